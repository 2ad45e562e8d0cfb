"""What is shown on a terminal: names and messages of strangers are seen there, not obeyed."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from mvit_nas.errors import visible


def show(text: str) -> None:
    """Print ``text``, which may have several lines."""
    print(_shown(text))


class Terminal(Console):
    """A console whose own control codes count, and none within what it prints."""

    def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
        """As rich does."""
        for one in super().render(*arguments, **options):
            yield one if one.control else Segment(_shown(one.text), one.style)


def _shown(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))
