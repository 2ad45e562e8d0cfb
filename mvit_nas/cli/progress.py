"""What a person watches, on stderr: one line that moves where there is a terminal, else one line for each trial."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from mvit_nas.cli.terminal import Terminal
from mvit_nas.errors import InterruptedCleanlyError
from mvit_nas.metrics import ACCURACY, LATENCY, MACS, PARAMS
from mvit_nas.reporter import Reporter, TrainingStep
from mvit_nas.units import format_count, format_seconds

if TYPE_CHECKING:
    from mvit_nas.jobs import ablate, confirm, search


class Watch(Reporter):
    """Shows what a job tells, and finished trials and runs."""

    def __init__(self, console: Terminal, line: Spinner | None) -> None:
        """``line`` is what moves, None where there is no terminal."""
        self._console = console
        self._line = line
        self._status = ""
        self._doing = ""
        self._step = ""

    def say(self, line: str) -> None:
        """Show a line that stays."""
        # Where there is no terminal a line stays one line, for grep.
        self._console.print(Text(line), soft_wrap=self._line is None)

    def doing(self, activity: str) -> None:
        """Show what is being done."""
        if self._line is None:
            self.say(activity)
        self._doing, self._step = activity, ""
        self._refresh()

    def watching(self, activity: str) -> None:
        """Show what others are doing."""
        self._doing, self._step = activity, ""
        self._refresh()

    def training(self, step: TrainingStep) -> None:
        """Show how far the running training is."""
        self._step = step_line(step)
        self._refresh()

    def show(self, progress: "search.Progress") -> None:
        """Show a finished trial and where the search stands."""
        from mvit_nas.results.within import within_words

        if progress.last.state.is_training:
            self.say(trial_line(progress))
        parts = [f"{_number(progress.done)}/{_all(progress)} trials"]
        if progress.stopped:
            parts.append(f"{progress.stopped} stopped")
        if progress.best is not None and progress.within:
            parts.append(f"best {within_words(progress.within, progress.score)}")
        elif progress.best is not None:
            parts.append(f"best {progress.score.format(progress.best)}")
            parts.append(f"front {progress.front}")
            parts.append(f"hypervolume {progress.hypervolume:.3f}")
        if progress.seconds_left is not None:
            parts.append(f"about {format_seconds(progress.seconds_left)} left")
        self._shown(" · ".join(parts))

    def show_run(self, progress: "ablate.Progress") -> None:
        """Show a finished run of an ablation and where it stands."""
        self.say(run_line(progress))
        status = f"{progress.done}/{progress.runs} runs"
        if progress.seconds_left is not None:
            status += f" · about {format_seconds(progress.seconds_left)} left"
        self._shown(status)

    def show_confirming(self, progress: "confirm.Progress") -> None:
        """Show a finished training of a confirmation and where it stands."""
        self.say(confirming_line(progress))
        status = f"{progress.done}/{progress.runs} trainings"
        if progress.seconds_left is not None:
            status += f" · about {format_seconds(progress.seconds_left)} left"
        self._shown(status)

    def _shown(self, status: str) -> None:
        self._status, self._step = status, ""
        self._refresh()

    def _refresh(self) -> None:
        if self._line is not None:
            parts = (self._status, self._doing, self._step)
            self._line.update(text=Text(" · ".join(part for part in parts if part)))


def step_line(step: TrainingStep) -> str:
    """ "epoch 2/4, loss 1.31, 410 images/s, 12 s left"."""
    rate = f"{step.images_per_second:.0f}" if step.images_per_second >= 10 else f"{step.images_per_second:.1f}"
    left = format_seconds(step.seconds_left)
    return f"epoch {step.epoch}/{step.epochs}, loss {step.loss:.2f}, {rate} images/s, {left} left"


def trial_line(progress: "search.Progress") -> str:
    """The line of a finished trial."""
    last = progress.last
    head = f"{_number(progress.done):>4}/{_all(progress)} {last.label:<13}"
    if not last.is_complete:
        return f"{head} {last.state}: {last.reason}"
    parts = [head + f" {progress.score.format(last.value(progress.score) or 0.0):>6}"]
    parts += [f"{format_count(last.value(one) or 0)} {words}" for one, words in ((PARAMS, "params"), (MACS, "MACs"))]
    latency_ms = last.value(LATENCY)
    if latency_ms is not None:
        parts.append(LATENCY.format(latency_ms))
    parts.append("from the cache" if last.spent.cached else format_seconds(last.spent.seconds))
    return "  ".join(parts)


def run_line(progress: "ablate.Progress") -> str:
    """The line of a finished run of an ablation."""
    last = progress.last
    score = last.value(progress.score)
    result = f"failed: {last.reason}" if score is None else progress.score.format(score)
    spent = "from the cache" if last.spent.cached else format_seconds(last.spent.seconds)
    return f"{progress.done:>3}/{progress.runs} {progress.variant}, seed {last.seed}  {result}  {spent}"


def confirming_line(progress: "confirm.Progress") -> str:
    """The line of a finished training of a confirmation, with its validation accuracy."""
    result = "failed: " + progress.failure if progress.accuracy is None else ACCURACY.format(progress.accuracy)
    spent = "from the cache" if progress.was_known else format_seconds(progress.seconds)
    return f"{progress.done:>3}/{progress.runs} {progress.label}, seed {progress.seed}  {result}  {spent}"


def _all(progress: "search.Progress") -> str:
    """ "12", or "~46" where that is only foreseen."""
    return "~" * progress.foreseen + str(progress.trials)


def _number(trainings: float) -> str:
    """ "12", or "12.5" where a stopped training left a part."""
    return f"{trainings:.1f}".removesuffix(".0")


@contextmanager
def watched() -> Iterator[Watch]:
    """What shows progress, as long as the work takes."""
    console = Terminal(stderr=True, highlight=False)
    if not console.is_terminal:
        yield Watch(console, None)
        return
    line = Spinner("line")  # turns by itself, also while nothing is told
    with Live(line, console=console, transient=True, refresh_per_second=4):
        yield Watch(console, line)


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask the work to stop at the next safe place; a second one stops it at once."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise InterruptedCleanlyError("stopped at once; the trial that was running starts again with --resume")
        asked.set()
        print("\nstopping after this step; once more to stop at once", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
