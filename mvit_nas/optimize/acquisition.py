"""What training a candidate can be expected to add, where costs are known and only its accuracy is a guess.

Two things are wanted of a search: the best accuracy within the budget, and within parts of it, and the front below it.
The first grows by the expected improvement (Jones et al., "Efficient global optimization", 1998). The second is the
expected hypervolume improvement (Emmerich et al., "Hypervolume-based expected improvement", CEC 2011): with costs known
one integral of it is left, that over the accuracy, and it has a closed form.
"""

import numpy as np
from scipy.stats import norm

from mvit_nas.budget import PARTS
from mvit_nas.maths.pareto import Floats

# Cells that the box of costs is cut into, at most. With two costs that is exact up to 63 evaluated networks on the
# front; beyond, and with more costs, neighbouring edges are merged.
_MOST_CELLS = 4096
# What the best accuracy within each of PARTS counts for beside the others.
_WEIGHTS = (3.0, 1.0, 1.0, 1.0)


def expected_growth(
    accuracy_C: Floats,
    deviation_C: Floats,
    savings_CD: Floats,
    needed_C: Floats,
    *,
    known_accuracy_K: Floats,
    known_savings_KD: Floats,
    known_needed_K: Floats,
    within_budget: float,
) -> Floats:
    """What each of C candidates is expected to add to what is wanted, beside K evaluated ones, in accuracy.

    ``within_budget`` is the share of what is wanted that lies in the best accuracy within the budget and within its
    parts; the rest lies in the hypervolume. Savings are as in ``expected_gains``; what is ``needed`` is the part of the
    budget that a network takes. Where no evaluated network is within a part, the worst of all stands for it.
    """
    front_C = expected_gains(
        accuracy_C,
        deviation_C,
        savings_CD,
        known_accuracy_K=known_accuracy_K,
        known_savings_KD=known_savings_KD,
    )
    worst = known_accuracy_K.min(initial=1.0) if len(known_accuracy_K) else 0.0
    best_C = np.zeros(len(accuracy_C))
    for part, weight in zip(PARTS, _WEIGHTS, strict=True):
        best = known_accuracy_K[known_needed_K <= part].max(initial=worst)
        improvement_C = _expected_improvement(accuracy_C, deviation_C, best)
        best_C += weight / sum(_WEIGHTS) * np.where(needed_C <= part, improvement_C, 0.0)
    growth: Floats = within_budget * best_C + (1.0 - within_budget) * front_C
    return growth


def expected_gains(
    accuracy_C: Floats, deviation_C: Floats, savings_CD: Floats, *, known_accuracy_K: Floats, known_savings_KD: Floats
) -> Floats:
    """The expected growth of the hypervolume for each of C candidates, beside K evaluated ones.

    Savings are what D costs leave of the box between its reference (0) and its ideal (1); accuracy is on the same
    scale. A candidate's accuracy is normal with ``deviation_C``. The hypervolume is the integral, over the savings that
    a person may ask for, of the best accuracy that offers them: a candidate adds the integral of its expected
    improvement over the box of the savings that it offers.
    """
    edges = [_edges(known_savings_KD[:, d], savings_CD.shape[1]) for d in range(savings_CD.shape[1])]
    best = np.zeros([len(edge) - 1 for edge in edges])  # the best known accuracy in each cell
    for k in np.argsort(known_accuracy_K):
        offered = tuple(
            slice(0, int(np.searchsorted(edge, saving + 1e-12, side="right")) - 1)
            for edge, saving in zip(edges, known_savings_KD[k], strict=True)
        )
        best[offered] = known_accuracy_K[k]
    levels_L, level_of_cell = np.unique(best, return_inverse=True)
    volume = np.ones((len(savings_CD), 1))  # of each cell, the part within the candidate's box
    for d, edge in enumerate(edges):
        within = np.clip(savings_CD[:, d, None] - edge[:-1], 0.0, np.diff(edge))
        volume = (volume[:, :, None] * within[:, None, :]).reshape(len(savings_CD), -1)
    volume_CL = volume @ np.eye(len(levels_L))[level_of_cell.ravel()]
    gains: Floats = (volume_CL * _expected_improvement(accuracy_C[:, None], deviation_C[:, None], levels_L)).sum(axis=1)
    return gains


def _expected_improvement(accuracy: Floats, deviation: Floats, best: Floats | float) -> Floats:
    """By how much a normal accuracy exceeds ``best``, in the mean over what it may be."""
    deviation = np.maximum(deviation, 1e-12)
    z = (accuracy - best) / deviation
    improvement: Floats = deviation * (z * norm.cdf(z) + norm.pdf(z))
    return improvement


def _edges(savings: Floats, dimensions: int) -> Floats:
    edges = np.unique(np.concatenate(([0.0, 1.0], np.clip(savings, 0.0, 1.0))))
    most = int(_MOST_CELLS ** (1 / dimensions))
    if len(edges) - 1 > most:
        edges = np.unique(np.quantile(edges, np.linspace(0.0, 1.0, most + 1)))
    return edges
