"""How well an architecture does: whoever answers that, by training it, from a table or by a formula."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mvit_nas.study.record import Guess, Measured, Record, Rung

# Asked after each rung with those so far, whether to stop there.
AtRung = Callable[[tuple[Rung, ...]], bool]


def never(*_: object) -> bool:
    """Do not stop, whatever is asked."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of an estimator: the accuracy of ``record``'s candidate, trained with its seed.

    ``record`` holds what the candidate costs, ``before`` what the search found up to here, ``guess`` what its sampler
    expects. ``must_finish``: whoever stops trainings early lets this one run to its end.
    """

    record: Record
    before: Sequence[Record] = ()
    guess: Guess | None = None
    must_finish: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The answer: an ``accuracy`` after ``epochs``; None where the training was stopped at the last of ``rungs``.

    ``balanced`` is the balanced accuracy, None where whoever answers does not know it. ``expected`` is what a stopped
    one would have reached, ``failure`` says why one came to nothing, ``note`` what was unusual. ``seconds`` are those
    of the training, also where it ``was_known``. ``parent`` is the trial whose weights it started from.
    """

    accuracy: Measured | None = None
    balanced: Measured | None = None
    rungs: tuple[Rung, ...] = ()
    epochs: int | None = None
    seconds: float | None = None
    was_known: bool = False
    expected: Guess | None = None
    failure: str = ""
    note: str = ""
    parent: int | None = None


class Estimator(Protocol):
    """Answers questions. One that wraps another forwards what it does not decide itself."""

    @property
    def epochs(self) -> int:
        """Of a whole training."""

    def estimate(self, question: Question, *, at_rung: AtRung, should_stop: Callable[[], bool]) -> Estimate:
        """The answer, which ends early where ``at_rung`` says so after one of its rungs, if it has any.

        Asked again, it goes on from there. Raises InterruptedCleanlyError as soon as ``should_stop`` says so.
        """
