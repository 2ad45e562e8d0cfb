"""What comes of a training run: its rungs on the way, and its score or where it was stopped."""

from collections.abc import Callable
from dataclasses import dataclass

from mvit_nas.study.record import Rung
from mvit_nas.tasks.classify import Accuracy

# Asked after each rung with those so far, whether to stop there.
AtRung = Callable[[tuple[Rung, ...]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Accuracy):
    """How well a model did on the search-validation part.

    ``losses`` is the mean training loss of each epoch, ``seconds`` the wall time of training and scoring. ``rungs`` are
    there if they were asked for.
    """

    losses: tuple[float, ...]
    seconds: float
    rungs: tuple[Rung, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A training run that was stopped at the last of ``rungs``, after ``seconds`` of training and scoring."""

    rungs: tuple[Rung, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training run is: the ``losses`` of its epochs, its ``rungs``, and the ``seconds`` that they took."""

    losses: tuple[float, ...] = ()
    rungs: tuple[Rung, ...] = ()
    seconds: float = 0.0
