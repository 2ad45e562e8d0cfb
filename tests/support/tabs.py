"""A browser's tab that tests share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Dialog, Page


@dataclass
class Tab:
    """A page of the browser, what it complained of, what it asked for and what it was to show."""

    page: Page
    options: dict[str, Any]
    complaints: list[str] = field(default_factory=list)
    requests: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.add(request.url))
        self.page.on("dialog", self._refuse)

    def _refuse(self, dialog: Dialog) -> None:
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def show(self, path: Path) -> Page:
        """The page, when it has loaded the file."""
        self.shown.add(path.as_uri())
        self.page.goto(path.as_uri())
        return self.page

    def leave(self) -> None:
        """Show nothing. No error was in the console and nothing but the files was asked for."""
        self.page.mouse.move(0, 0)
        self.page.goto("about:blank")
        complaints, requests, shown = list(self.complaints), set(self.requests), set(self.shown)
        for kept in (self.complaints, self.requests, self.shown):
            kept.clear()
        assert complaints == []
        assert {url for url in requests if not url.startswith(("data:", "blob:", "about:"))} <= shown


class Tabs:
    """The tab that was used last is used again: a new one starts a process, which compiles the libraries anew.

    That takes 3 s of processor time, where the next file in the same tab takes 0.8 s.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._last: Tab | None = None

    @contextmanager
    def tab(self, *, viewport: Any = None, color_scheme: Any = "light", **options: Any) -> Iterator[Tab]:
        """A tab with a window of this size and these colours. One that differs in other options is a new one."""
        if self._last is None or self._last.options != options:
            self.close()
            self._last = Tab(self._browser.new_page(**options), options)
        tab = self._last
        window: Any = viewport or {"width": 1280, "height": 900}
        tab.page.set_viewport_size(window)
        tab.page.emulate_media(color_scheme=color_scheme)
        yield tab
        try:
            tab.leave()
        except BaseException:
            self.close()  # it may have crashed: the next test shall not meet it
            raise

    def close(self) -> None:
        """Close the tab."""
        if self._last is not None:
            self._last.page.close()
            self._last = None
