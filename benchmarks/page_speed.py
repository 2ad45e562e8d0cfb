"""How long does a review page take to make, how heavy is it, and does it follow a slider?

For made-up studies of some sizes: seconds to write the three files and of them the page alone, megabytes, seconds from
opening the page in a headless browser until its headline, sliders and front are drawn, until the table is there after a
jump to it, and the milliseconds from a slider's event until front, knee and headline are drawn again (medians and the
worst; the frame is over when the next one begins). The browser is Debian's chromium, without a GPU.

    python benchmarks/page_speed.py [--trials 100 10000] [--moves 30] [--opens 3]
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from mvit_nas.results.report import render_search, write_search
from mvit_nas.results.view import StudyView
from mvit_nas.study.origin import SearchOrigin
from mvit_nas.study.origin_file import parse_origin

sys.path[:0] = [str(Path(__file__).parent.parent / "tests" / folder) for folder in ("support", "results")]
from example_study import study  # noqa: E402

# From the event to the frame after the one in which everything was drawn.
_MOVE = """
async ([id, value]) => {
  const slider = document.getElementById(id);
  const start = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event('input', { bubbles: true }));
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - start;
}
"""


def measure_size(trials: int, page: Page, folder: Path, *, moves: int, opens: int) -> dict[str, Any]:
    """All that is measured of one study."""
    table, environment = study(trials, seed=0)
    origin = parse_origin(environment, where="environment.json")
    assert isinstance(origin, SearchOrigin)
    start = time.perf_counter()
    path = write_search(table.records, origin, folder / str(trials))
    written = time.perf_counter() - start
    start = time.perf_counter()
    render_search(StudyView(table, origin))
    rendered = time.perf_counter() - start
    ready = [open_page(page, path) for _ in range(opens)]
    sliders = page.locator("#limits input")
    redraws = []
    for move in range(moves):
        slider = sliders.nth(move % sliders.count())
        low, high = (int(slider.get_attribute(name) or 0) for name in ("min", "max"))
        value = low + (high - low) * (1 + move // sliders.count() % 9) // 10
        redraws.append(page.evaluate(_MOVE, [slider.get_attribute("id"), str(value)]))
        page.wait_for_timeout(300)  # as a hand that rests, so that table and cards follow too
    page.locator("#reset").click()
    start = time.perf_counter()
    page.locator("#candidates").scroll_into_view_if_needed()
    page.locator("#candidates .tabulator-row").first.wait_for()
    return {
        "trials": trials,
        "write_s": round(written, 2),
        "page_s": round(rendered, 2),
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "interactive_s": round(statistics.median(ready), 2),
        "table_s": round(time.perf_counter() - start, 2),
        "redraw_ms": round(statistics.median(redraws)),
        "worst_redraw_ms": round(max(redraws)),
    }


def open_page(page: Page, path: Path) -> float:
    """Seconds from opening ``path`` until all that is seen first is drawn and answers."""
    page.goto("about:blank")
    start = time.perf_counter()
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector("html[data-ready]")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return time.perf_counter() - start


def main() -> None:
    """Measure, print a table, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 10_000])
    parser.add_argument("--moves", type=int, default=30)
    parser.add_argument("--opens", type=int, default=3)
    options = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        rows = [
            measure_size(trials, page, Path(folder), moves=options.moves, opens=options.opens)
            for trials in options.trials
        ]
        browser.close()
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    print(json.dumps({"studies": rows}))


if __name__ == "__main__":
    main()
