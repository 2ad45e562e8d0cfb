"""The front of several objectives, the volume that it dominates and its knee, on plain arrays.

One row of ``values`` is one candidate, one column one objective; ``maximise`` says for each objective whether
more is better. A row with NaN was not measured: it is on no front, has no volume and removes no other row.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Points of the box that a sampled volume is drawn from, and those that some row dominates of which it counts at most.
_DRAWN, _COUNTED = 40_000, 8_000


def front(values: Floats, maximise: Sequence[bool]) -> NDArray[np.bool_]:
    """Mask of the rows that no other row dominates; all copies of a row on the front are on it."""
    costs = _as_costs(values, maximise)
    mask = np.zeros(len(costs), dtype=bool)
    left = np.flatnonzero(~np.isnan(costs).any(axis=1))
    # In lexicographic order a row can only be dominated by an earlier one, so the first of those left is on
    # the front; what it dominates goes. The work is rows times size of the front, in vector operations.
    left = left[np.lexsort(costs[left].T[::-1])]
    while left.size:
        best = costs[left[0]]
        same = (costs[left] == best).all(axis=1)
        mask[left[same]] = True
        left = left[(costs[left] < best).any(axis=1)]
    return mask


def near_front(values: Floats, maximise: Sequence[bool], slack: float) -> NDArray[np.bool_]:
    """Mask of the rows that would be on the front if alone their costs, what is not maximised, were ``slack`` less.

    ``slack`` is a share. The front itself is among them.
    """
    costs = _as_costs(values, maximise)
    mask = np.zeros(len(costs), dtype=bool)
    measured = np.flatnonzero(~np.isnan(costs).any(axis=1))
    eased = np.where(np.asarray(maximise, dtype=bool), costs, costs * (1 - slack))
    for row in measured:
        others = costs[measured[measured != row]]
        beaten = (others <= eased[row]).all(axis=1) & (others < eased[row]).any(axis=1)
        mask[row] = not beaten.any()
    return mask


def hypervolume(
    values: Floats, reference: Sequence[float], *, maximise: Sequence[bool], ideal: Sequence[float]
) -> float:
    """Share, from 0 to 1, of the box between ``reference`` and ``ideal`` that the rows dominate; exact.

    A row that is not better than the reference in every objective counts nothing; one that is better than the
    ideal counts as the ideal. The work grows as rows^(objectives - 1). Raises ValueError where the ideal is
    not better than the reference in every objective.
    """
    return _volume(_unit_gains(values, reference, maximise=maximise, ideal=ideal))


def hypervolume_history(
    values: Floats, reference: Sequence[float], *, maximise: Sequence[bool], ideal: Sequence[float]
) -> Floats:
    """The hypervolume of the first 1, 2, ... n rows; the last is that of all. It never falls."""
    gains = _unit_gains(values, reference, maximise=maximise, ideal=ideal)
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


def sampled_volumes(
    values: Floats,
    subsets: NDArray[np.bool_],
    reference: Sequence[float],
    *,
    maximise: Sequence[bool],
    ideal: Sequence[float],
) -> Floats:
    """The hypervolume of many subsets of the rows, estimated; ``subsets`` has one row a subset, one column a row.

    All are counted on the same points of the box, drawn from one seed, so that differences between subsets are known
    better than the volumes. It takes one product of matrices: 2,000 subsets of 100 rows, four objectives, take 0.15 s,
    of 40 rows their exact volumes 5 s.
    """
    gains = _unit_gains(values, reference, maximise=maximise, ideal=ideal)
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


def knee(cost: Floats, gain: Floats) -> int | None:
    """Index of the row of the front (low ``cost``, high ``gain``) that lies farthest above its chord.

    Both axes are scaled to the extent of the front, whose ends the chord joins (Das, "On characterizing the
    'knee' of the Pareto curve", 1999). None where the front has fewer than three different points, or where
    none lies above the chord: such a front has no knee.
    """
    on_front = np.flatnonzero(front(np.column_stack([cost, gain]), [False, True]))
    points = np.column_stack([cost, gain])[on_front]
    if len(np.unique(points, axis=0)) < 3:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / (high - low)
    above = scaled[:, 1] - scaled[:, 0]  # distance from the chord, but for a constant factor
    farthest = int(above.argmax())
    return int(on_front[farthest]) if above[farthest] > 1e-12 else None


def _as_costs(values: Floats, maximise: Sequence[bool]) -> Floats:
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(maximise):
        raise ValueError(f"values must have one column an objective, got {values.shape=} and {len(maximise)=}")
    return np.where(np.asarray(maximise, dtype=bool), -values, values)


def _unit_gains(
    values: Floats, reference: Sequence[float], *, maximise: Sequence[bool], ideal: Sequence[float]
) -> Floats:
    """Each row as a point of the unit cube, reference at 0, ideal at 1; rows that count nothing are 0."""
    costs = _as_costs(values, maximise)
    worst = _as_costs(np.asarray([reference], dtype=float), maximise)[0]
    best = _as_costs(np.asarray([ideal], dtype=float), maximise)[0]
    if not (best < worst).all():
        raise ValueError(f"the ideal must be better than the reference, got {ideal=} and {reference=}")
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
