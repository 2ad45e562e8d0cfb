"""Take the pictures of docs/images: a search's page and an ablation's, on a screen, a phone and paper, light and dark.

They end where the provenance begins, which names the folders of whoever ran it.

    python docs/take_images.py SEARCH/report.html ABLATION/report.html
"""

import shutil
import sys
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import FloatRect, sync_playwright

_IMAGES = Path(__file__).parent / "images"
# By name: width in pixels, scheme and medium. A4 is 794 pixels wide at 96 to the inch.
_VIEWS: dict[str, tuple[int, Literal["light", "dark"], str]] = {
    "desktop-light": (1280, "light", "screen"),
    "desktop-dark": (1280, "dark", "screen"),
    "phone-light": (400, "light", "screen"),
    "phone-dark": (400, "dark", "screen"),
    "print": (794, "light", "print"),
}
_HEIGHT = 900
# Where the provenance begins; on paper it is not there while it is folded.
_END = "document.getElementById('provenance').offsetTop || document.querySelector('main').offsetHeight"
_BEGINNING = {"search": 1840, "ablation": 1100}


def main() -> None:
    """Write one PNG for each page and view, and the beginning of both pages for the README."""
    _IMAGES.mkdir(exist_ok=True)
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        for name, path in zip(("search", "ablation"), sys.argv[1:], strict=True):
            for view, (width, scheme, medium) in _VIEWS.items():
                page = browser.new_page(viewport={"width": width, "height": _HEIGHT}, color_scheme=scheme)
                page.goto(Path(path).resolve().as_uri())
                if medium == "print":
                    page.emulate_media(media="print", color_scheme="light")
                    page.evaluate("dispatchEvent(new Event('beforeprint'))")
                # What lies below the window is drawn when it comes into sight.
                page.set_viewport_size({"width": width, "height": page.evaluate("document.body.scrollHeight") + 6000})
                page.wait_for_timeout(4000)
                clip: FloatRect = {"x": 0, "y": 0, "width": width, "height": page.evaluate(_END)}
                page.screenshot(full_page=True, clip=clip, path=_IMAGES / f"{name}-{view}.png")
                if view == "desktop-light":
                    clip["height"] = _BEGINNING[name]
                    page.screenshot(full_page=True, clip=clip, path=_IMAGES / f"{name}.png")
                page.close()
        browser.close()
    for image in _IMAGES.glob("*.png"):  # a third of the size; rare colours shift a little
        Image.open(image).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(image, optimize=True)


if __name__ == "__main__":
    main()
