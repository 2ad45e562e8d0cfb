"""Which candidate to train next, where costs are known and only the accuracy must be learned.

The surrogate guesses accuracies; of the candidates within the budget that were not tried, the one with the largest
expected gain of hypervolume is next. As costs are known before training, of the expected hypervolume improvement
(Emmerich et al., "Hypervolume-based expected improvement", CEC 2011) one integral is left, that over the accuracy, and
it has a closed form.
"""

import random
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from mvit_nas.maths.pareto import Floats, front
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.designs import Design
from mvit_nas.study.record import Guess

# Neighbours of the front that are looked at for each proposal, and how many parameters they differ in.
_MUTATIONS = 150
_STEPS = (1, 1, 2, 3)
# Draws for each of them, most of which may be over the budget.
_PATIENCE = 6
# The kernel's three numbers are learned from this many trainings at most, evenly over all; the guess uses every one.
# Learning takes time with the cube of the trainings, some dozens of times over; the guess takes it once.
_LEARNED_FROM = 200
# Added to the diagonal, as a share of the variance, so that equal rows do no harm.
_JITTER = 1e-6
# Cells that the box of costs is cut into, at most. With two costs that is exact up to 63 evaluated networks on the
# front; beyond, and with more costs, neighbouring edges are merged.
_MOST_CELLS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A design with its ``accuracy``, which is unsure by ``deviation`` where its training was stopped."""

    design: Design
    accuracy: float
    deviation: float = 0.0


def propose(
    pool: Candidates,
    *,
    trained: Sequence[Trained],
    pending: Sequence[Design],
    taken: Collection[str],
    generator: random.Random,
) -> tuple[Design, Guess | None] | None:
    """The candidate to train next and the accuracy that is guessed for it; None where no candidate is left.

    There is no guess where nothing was trained yet. ``taken`` are identities that are not proposed again.
    Candidates that others are training, ``pending``, count as if they had come out as expected, so that a batch is
    spread out.
    """
    candidates = _candidates(pool, trained, taken, generator)
    if not candidates:
        return None
    if not trained:
        return generator.choice(candidates), None
    surrogate = Surrogate(
        pool.features([one.design for one in trained]),
        np.array([one.accuracy for one in trained]),
        np.array([one.deviation for one in trained]),
    )
    accuracy_C, deviation_C = surrogate.predict(pool.features(candidates))
    finished = [one for one in trained if not one.deviation]
    known = [one.design for one in finished] + list(pending)
    known_accuracy_K = np.array([one.accuracy for one in finished])
    if pending:
        known_accuracy_K = np.append(known_accuracy_K, surrogate.predict(pool.features(pending))[0])
    gains_C = expected_gains(
        accuracy_C,
        deviation_C,
        pool.savings(candidates),
        known_accuracy_K=known_accuracy_K,
        known_savings_KD=pool.savings(known),
    )
    best = int(gains_C.argmax())
    return candidates[best], Guess(accuracy=float(accuracy_C[best]), deviation=float(deviation_C[best]))


def _candidates(
    pool: Candidates, trained: Sequence[Trained], taken: Collection[str], generator: random.Random
) -> list[Design]:
    """What was drawn uniformly, and neighbours of the front."""
    found = {one.arch_id: one for one in pool.drawn if one.arch_id not in taken}
    best = _front(pool, [one for one in trained if not one.deviation])
    names = list(pool.choices)
    wanted = len(found) + _MUTATIONS
    for _ in range(_MUTATIONS * _PATIENCE if best else 0):
        labels = dict(generator.choice(best).labels)
        for name in generator.sample(names, min(len(names), generator.choice(_STEPS))):
            labels[name] = generator.choice(pool.choices[name])
        candidate = pool.candidate(labels)
        if candidate is not None and candidate.arch_id not in taken:
            found[candidate.arch_id] = candidate
            if len(found) >= wanted:
                break
    return list(found.values())


def _front(pool: Candidates, trained: Sequence[Trained]) -> list[Design]:
    """Those that no other beats in accuracy and every cost."""
    designs = [one.design for one in trained]
    values_KO = np.column_stack([[one.accuracy for one in trained], pool.savings(designs)])
    return [designs[k] for k in np.flatnonzero(front(values_KO, [True] * values_KO.shape[1]))]


class Surrogate:
    """A Gaussian process over features, with one length for all of them once each has been scaled to unit variance.

    A length for each feature (automatic relevance determination) has not been compared with it.
    """

    def __init__(self, features_NF: Floats, accuracy_N: Floats, deviation_N: Floats) -> None:
        """Learn from N trainings; ``deviation_N`` says how unsure each accuracy is beyond what all are."""
        self._middle_F, self._scale_F = features_NF.mean(axis=0), features_NF.std(axis=0)
        self._scale_F[self._scale_F == 0] = 1.0
        self._mean, self._spread = float(accuracy_N.mean()), float(accuracy_N.std()) or 1.0
        scaled_NF = self._scaled(features_NF)
        scaled_N = (accuracy_N - self._mean) / self._spread
        noise_N = (deviation_N / self._spread) ** 2 + _JITTER
        length = np.sqrt(features_NF.shape[1])  # the usual distance between two rows is about 1.4 times this
        kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(length, (0.3 * length, 30 * length), nu=2.5) + WhiteKernel(
            0.05, (1e-4, 0.5)
        )
        some = np.unique(np.linspace(0, len(scaled_N) - 1, min(len(scaled_N), _LEARNED_FROM)).astype(int))
        with warnings.catch_warnings():
            # A number at its bound is no harm: the bounds are what is believed before anything is seen.
            warnings.simplefilter("ignore", ConvergenceWarning)
            learned = GaussianProcessRegressor(kernel, alpha=noise_N[some]).fit(scaled_NF[some], scaled_N[some])
            self._process = GaussianProcessRegressor(learned.kernel_, alpha=noise_N, optimizer=None)
            self._process.fit(scaled_NF, scaled_N)
        self._noise = float(learned.kernel_.k2.noise_level)

    def predict(self, features_CF: Floats) -> tuple[Floats, Floats]:
        """(accuracy, deviation) of C networks: of what would come out on average, without the noise of a training."""
        mean_C, deviation_C = self._process.predict(self._scaled(features_CF), return_std=True)
        variance_C = np.maximum(deviation_C**2 - self._noise, _JITTER)
        return mean_C * self._spread + self._mean, np.sqrt(variance_C) * self._spread

    def _scaled(self, features: Floats) -> Floats:
        scaled: Floats = (features - self._middle_F) / self._scale_F
        return scaled


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
