"""What training a candidate can be expected to add to the hypervolume, where only its accuracy is a guess.

Costs are known before training, so of the expected hypervolume improvement (Emmerich et al., "Hypervolume-based
expected improvement", CEC 2011) one integral is left, that over the accuracy, and it has a closed form.
"""

import numpy as np
from scipy.stats import norm

from mvit_nas.maths.pareto import Floats

# Cells that the box of costs is cut into, at most. With two costs that is exact up to 63 evaluated networks on the
# front; beyond, and with more costs, neighbouring edges are merged.
_MOST_CELLS = 4096


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
    deviation_C1 = np.maximum(deviation_C, 1e-12)[:, None]
    z_CL = (accuracy_C[:, None] - levels_L) / deviation_C1
    improvement_CL = deviation_C1 * (z_CL * norm.cdf(z_CL) + norm.pdf(z_CL))
    gains: Floats = (volume_CL * improvement_CL).sum(axis=1)
    return gains


def _edges(savings: Floats, dimensions: int) -> Floats:
    edges = np.unique(np.concatenate(([0.0, 1.0], np.clip(savings, 0.0, 1.0))))
    most = int(_MOST_CELLS ** (1 / dimensions))
    if len(edges) - 1 > most:
        edges = np.unique(np.quantile(edges, np.linspace(0.0, 1.0, most + 1)))
    return edges
