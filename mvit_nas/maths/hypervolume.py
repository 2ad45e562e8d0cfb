"""The volume that the front of several objectives dominates, on plain arrays.

One row of ``values`` is one candidate, one column one objective. A row with NaN was not measured and has no volume.
Where less is better the axis is logarithmic, so that each halving counts alike: on a linear one a network of a tenth of
the budget and one of its hundredth are nearly the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvit_nas.maths.pareto import Floats, as_costs, front

# Points of the box that a sampled volume is drawn from, and those that some row dominates of which it counts at most.
_DRAWN, _COUNTED = 40_000, 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Between ``reference``, the worst corner, and ``ideal``; ``maximise`` says where more is better.

    Where less is better both are above 0, since that axis is logarithmic.
    """

    reference: tuple[float, ...]
    ideal: tuple[float, ...]
    maximise: tuple[bool, ...]

    def __post_init__(self) -> None:
        pairs = zip(self.ideal, self.reference, self.maximise, strict=True)
        if not all(best > worst if more else best < worst for best, worst, more in pairs):
            raise ValueError(f"the ideal must be better than the reference, got {self.ideal=} and {self.reference=}")
        if not all(more or best > 0 for best, more in zip(self.ideal, self.maximise, strict=True)):
            raise ValueError(f"an ideal of which less is better must be above 0, got {self.ideal=}")


def hypervolume(values: Floats, box: Box) -> float:
    """Share, from 0 to 1, of ``box`` that the rows dominate; exact.

    A row that is not better than the reference in every objective counts nothing; one that is better than the
    ideal counts as the ideal. The work grows as rows^(objectives - 1).
    """
    return _volume(_unit_gains(values, box))


def hypervolume_history(values: Floats, box: Box) -> Floats:
    """The hypervolume of the first 1, 2, ... n rows; the last is that of all. It never falls."""
    gains = _unit_gains(values, box)
    history = np.zeros(len(gains))
    known = np.empty((0, gains.shape[1]))
    volume = 0.0
    for index, gain in enumerate(gains):
        if gain.all() and not (known >= gain).all(axis=1).any():
            # What it adds is its own box but for what the others cover of it, of which few are left inside that box.
            added = float(gain.prod()) - _volume(np.minimum(known, gain))
            volume += max(0.0, added)  # rounding must not make the history fall
            known = np.vstack([known[~(known <= gain).all(axis=1)], gain])
        history[index] = volume
    return history


def sampled_volumes(values: Floats, subsets: NDArray[np.bool_], box: Box) -> Floats:
    """The hypervolume of many subsets of the rows, estimated; ``subsets`` has one row a subset, one column a row.

    All are counted on the same points of the box, drawn from one seed, so that differences between subsets are known
    better than the volumes. It takes one product of matrices: 2,000 subsets of 100 rows, four objectives, take 0.15 s,
    of 40 rows their exact volumes 5 s.
    """
    gains = _unit_gains(values, box)
    points = np.random.default_rng(0).random((_DRAWN, gains.shape[1]))
    below = np.ones((_DRAWN, len(gains)), dtype=bool)
    for points_of_one, gains_of_one in zip(points.T, gains.T, strict=True):
        below &= points_of_one[:, None] < gains_of_one
    reached = below[below.any(axis=1)][:_COUNTED]
    share = below.any(axis=1).mean()
    if not len(reached):
        return np.zeros(len(subsets))
    hits = reached.astype(np.float32) @ subsets.T.astype(np.float32)
    volumes: Floats = share * (hits > 0).mean(axis=0)
    return volumes


def _unit_gains(values: Floats, box: Box) -> Floats:
    """Each row as a point of the unit cube, reference at 0, ideal at 1; rows that count nothing are 0."""
    costs = as_costs(values, box.maximise)
    for column in np.flatnonzero(~np.asarray(box.maximise, dtype=bool)):
        costs[:, column] = np.log(np.maximum(costs[:, column], box.ideal[column]))
    worst, best = (
        np.array([-one if more else np.log(one) for one, more in zip(corner, box.maximise, strict=True)])
        for corner in (box.reference, box.ideal)
    )
    gains = (worst - costs) / (worst - best)
    counts = (gains > 0).all(axis=1)  # False for NaN
    clipped: Floats = np.where(counts[:, None], np.minimum(gains, 1.0), 0.0)
    return clipped


def _volume(gains: Floats) -> float:
    """Volume of the union of the boxes from the origin to each row of ``gains``."""
    gains = gains[gains.all(axis=1)]  # a row of zeros counts nothing
    gains = np.unique(gains[front(gains, [True] * gains.shape[1])], axis=0)
    if not len(gains):
        return 0.0
    if gains.shape[1] <= 3:
        return _volume_3d(np.pad(gains, ((0, 0), (0, 3 - gains.shape[1])), constant_values=1.0))
    order = np.argsort(-gains[:, -1])
    heights = gains[order, -1]
    # Between two heights the cross-section is the union of the rows that reach above, one dimension lower.
    slabs = heights - np.append(heights[1:], 0.0)
    return float(sum(_volume(gains[order[: i + 1], :-1]) * slab for i, slab in enumerate(slabs) if slab > 0))


def _volume_3d(gains: Floats) -> float:
    """The same in three dimensions, with all cross-sections at once: 0.1 ms for 200 rows."""
    x, y, z = gains[np.argsort(-gains[:, 2])].T
    edges = np.unique(x)
    widths = np.diff(edges, prepend=0.0)
    # Row i, column j: how far the first i rows, those as high as z[i], reach along y where x = edges[j].
    reach = np.maximum.accumulate(np.where(x[:, None] >= edges, y[:, None], 0.0), axis=0)
    return float((reach @ widths) @ (z - np.append(z[1:], 0.0)))
