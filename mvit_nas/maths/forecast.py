"""What more trainings of a search are expected to bring, by what simulated searches gained.

The gain is that of the best within the budget and within the parts of it that have a network, in the mean over them. In
64 simulated searches 12 more trainings gained ``_GAIN`` over the trainings so far. What a search itself had found until
then told its own gain no better, but that there is less to be gained where accuracies spread less than in most of the
simulations (experiments/how_many_trainings). Needs no library, since the command line names its numbers.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MORE = 12
# With less expected of them, ``--trials auto`` ends: a point of accuracy.
ENOUGH = 0.01
# The trainings that the simulated searches tell something of.
FEWEST, MOST = 8, 100
_GAIN = 0.46
# The median over those searches of the median distance of accuracies from their median.
_SPREAD = 0.08
# Nine in ten of those searches gained at most so many times as much as was expected.
_AT_MOST = 2.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What ``more`` trainings are expected to gain, and what nine in ten searches gain ``at_most``; both are shares."""

    more: int
    gain: float
    at_most: float

    @property
    def is_little(self) -> bool:
        """Whether the gain is not worth the trainings, by ENOUGH."""
        return self.gain < ENOUGH


def forecast(trainings: int, accuracies: Sequence[float] = ()) -> Forecast | None:
    """After so many ``trainings`` with these ``accuracies``; without them, of a search that spreads as most do.

    None where the simulated searches do not tell.
    """
    if not FEWEST <= trainings <= MOST:
        return None
    gain = _gain_of_one(accuracies) / trainings
    return Forecast(more=MORE, gain=gain, at_most=_AT_MOST * gain)


def trainings_until_little(accuracies: Sequence[float] = ()) -> int:
    """After how many trainings more of them are expected to bring little, with ``accuracies`` so far; MOST at most."""
    return min(max(int(_gain_of_one(accuracies) / ENOUGH) + 1, FEWEST), MOST)


def _gain_of_one(accuracies: Sequence[float]) -> float:
    """The gain after one training, if it went on like this down to there."""
    if len(accuracies) < FEWEST:
        return _GAIN
    middle = statistics.median(accuracies)
    spread = statistics.median(abs(accuracy - middle) for accuracy in accuracies)
    return _GAIN * min(1.0, spread / _SPREAD)
