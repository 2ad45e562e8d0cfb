"""How well networks do that were trained with several seeds and scored on the same images: intervals over both.

``correct_VSN`` says whether network v, trained with seed s, was right on image n. Every network has the same seeds and
the same images. Both are samples of what there could have been, so an accuracy has two spreads that neither of them
alone shows: other seeds, and other images (a two-way layout with random effects; Searle, Casella and McCulloch 1992).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from mvit_nas.maths.pareto import Floats
from mvit_nas.maths.share import wilson
from mvit_nas.maths.statistics import ALPHA, holm

# As a share: two networks so near are as good as each other.
_AS_GOOD = 0.0025


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A share or a difference of two: its ``value``, its standard ``deviation``, and its 95 % interval.

    ``freedom`` are the degrees of freedom of the deviation (Satterthwaite 1946).
    """

    value: float
    deviation: float
    freedom: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Network ``first`` minus network ``second``, by position; ``p`` of no difference, and Holm's over all pairs.

    Both are None where no image tells the two apart: then no difference is shown.
    """

    first: int
    second: int
    difference: Estimated
    p: float | None
    p_holm: float | None

    @property
    def both(self) -> tuple[int, int]:
        """Their positions."""
        return self.first, self.second

    @property
    def is_shown(self) -> bool:
        """Whether the two differ, at 5 % over all pairs."""
        return self.p_holm is not None and self.p_holm < ALPHA


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spread:
    """The variance of a mean over seeds and images, and its degrees of freedom."""

    variance: float
    freedom: float


def accuracies(correct_VSN: npt.ArrayLike) -> list[Estimated]:
    """The accuracy of each network with its interval over seeds and images.

    The spread over seeds is pooled over the networks, since one of few seeds is hardly known. With one seed it is not
    known at all: the interval is then over the images alone, a lower bound. The interval is Wilson's with as many
    independent answers as would have that spread, so that it stays within 0 and 1 and has a width at both ends.
    """
    values = np.asarray(correct_VSN, dtype=float)
    networks, seeds, _ = values.shape
    between = float(values.mean(2).var(1, ddof=1).mean()) if seeds > 1 else 0.0
    return [_share(one, _spread(one, between, freedom=networks * (seeds - 1))) for one in values]


def comparisons(correct_VSN: npt.ArrayLike) -> list[Compared]:
    """The difference of each two networks, paired over seeds and images, with Student's test and Holm's correction.

    What a seed or an image does to both alike cancels. What a seed does to one network alone is pooled over all
    networks: the residual of networks and seeds, whose degrees of freedom are (V - 1) (S - 1).
    """
    values = np.asarray(correct_VSN, dtype=float)
    networks, seeds, _ = values.shape
    means = values.mean(2)
    residual = means - means.mean(1, keepdims=True) - means.mean(0) + means.mean()
    freedom = (networks - 1) * (seeds - 1)
    between = 2 * float((residual**2).sum()) / freedom if freedom else 0.0
    found, p_values = [], []
    for first, second in itertools.combinations(range(networks), 2):
        difference = values[first] - values[second]
        one = _difference(difference, _spread(difference, between, freedom=freedom))
        p = 2 * float(stats.t.sf(abs(one.value) / one.deviation, one.freedom)) if one.deviation else None
        found.append((first, second, one))
        p_values.append(p)
    return [
        Compared(first=first, second=second, difference=one, p=p, p_holm=corrected)
        for (first, second, one), p, corrected in zip(found, p_values, holm(p_values), strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The network to ``take``, by position, and the others that are not shown to differ from the best."""

    take: int
    tied: tuple[int, ...]


def choose(accuracies: Sequence[float], pairs: Sequence[Compared], costs: Sequence[float]) -> Chosen:
    """The cheapest of those that are as good as the best: not shown to be worse, and within a quarter of a point.

    Tried and left: the cheapest of all that are not shown to be worse. With 3 seeds it was within a point of the truly
    best in 14 % of 300 simulated studies, this in 86 %, and the best alone in 87 % (``benchmarks/confirm_choice.py``).
    """
    best = max(range(len(accuracies)), key=accuracies.__getitem__)
    less = {one.first if one.second == best else one.second for one in pairs if one.is_shown and best in one.both}
    group = [position for position in range(len(accuracies)) if position not in less]
    as_good = [position for position in group if accuracies[position] >= accuracies[best] - _AS_GOOD]
    take = min(as_good, key=lambda position: (costs[position], -accuracies[position]))
    return Chosen(take=take, tied=tuple(position for position in group if position != take))


def _spread(values_SN: Floats, between: float, *, freedom: int) -> _Spread:
    """The variance of the mean of ``values_SN``, whose seed means vary by ``between``, known with that ``freedom``.

    Over the seeds S and the images N it is between / S + within / N - residual / (S N), where within is the variance
    of the images' means: the residual is in both of the others. Where that makes less than the images alone, which
    chance can, those stand.
    """
    seeds, images = values_SN.shape
    if images < 2:
        return _Spread(variance=between / seeds, freedom=max(freedom, 1))
    within = float(values_SN.mean(0).var(ddof=1)) / images
    if seeds < 2:
        return _Spread(variance=within, freedom=images - 1)
    left = values_SN - values_SN.mean(1, keepdims=True) - values_SN.mean(0) + values_SN.mean()
    residual_freedom = (seeds - 1) * (images - 1)
    residual = float((left**2).sum()) / residual_freedom / (seeds * images)
    seed_part = between / seeds
    variance = seed_part + within - residual
    if variance <= within:
        return _Spread(variance=within, freedom=images - 1)
    parts = ((seed_part, freedom), (within, images - 1), (residual, residual_freedom))
    return _Spread(variance=variance, freedom=variance**2 / sum(part**2 / its for part, its in parts))


def _share(values_SN: Floats, spread: _Spread) -> Estimated:
    value, images = float(values_SN.mean()), values_SN.shape[1]
    known = spread.variance > 0 and 0 < value < 1
    answers = value * (1 - value) / spread.variance if known else float(images)
    low, high = (
        wilson(value, answers, quantile=float(stats.t.isf(ALPHA / 2, spread.freedom)))
        if known
        else wilson(value, answers)
    )
    return Estimated(value=value, deviation=math.sqrt(spread.variance), freedom=spread.freedom, low=low, high=high)


def _difference(values_SN: Floats, spread: _Spread) -> Estimated:
    value, deviation = float(values_SN.mean()), math.sqrt(spread.variance)
    half = float(stats.t.isf(ALPHA / 2, spread.freedom)) * deviation
    return Estimated(
        value=value,
        deviation=deviation,
        freedom=spread.freedom,
        low=max(-1.0, value - half),
        high=min(1.0, value + half),
    )
