"""The front of several objectives, on plain arrays.

One row of ``values`` is one candidate, one column one objective; ``maximise`` says for each objective whether
more is better. A row with NaN was not measured: it is on no front and removes no other row.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def front(values: Floats, maximise: Sequence[bool]) -> NDArray[np.bool_]:
    """Mask of the rows that no other row dominates; all copies of a row on the front are on it."""
    costs = as_costs(values, maximise)
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
    costs = as_costs(values, maximise)
    mask = np.zeros(len(costs), dtype=bool)
    measured = np.flatnonzero(~np.isnan(costs).any(axis=1))
    eased = np.where(np.asarray(maximise, dtype=bool), costs, costs * (1 - slack))
    for row in measured:
        others = costs[measured[measured != row]]
        beaten = (others <= eased[row]).all(axis=1) & (others < eased[row]).any(axis=1)
        mask[row] = not beaten.any()
    return mask


def as_costs(values: Floats, maximise: Sequence[bool]) -> Floats:
    """``values`` with the sign that makes less better; ValueError where the columns are not the objectives."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(maximise):
        raise ValueError(f"values must have one column an objective, got {values.shape=} and {len(maximise)=}")
    return np.where(np.asarray(maximise, dtype=bool), -values, values)
