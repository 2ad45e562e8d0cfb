"""The accuracy of networks that were not trained, guessed from those that were.

A Gaussian process (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006). Its numbers are those of
the largest posterior probability, found from the gradient: with a dozen trainings the likelihood alone would follow
chance, and what is believed beforehand keeps a length from running away.
"""

import copy
from collections.abc import Sequence

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from mvit_nas.maths.pareto import Floats

# The kernel's numbers are learned from this many trainings at most, evenly over all; the guess uses every one.
# Learning takes time with the cube of the trainings, some dozens of times over; the guess takes it once.
_LEARNED_FROM = 150
_STEPS = 60
# Added to the diagonal, as a share of the variance, so that equal rows do no harm.
_JITTER = 1e-6
# What is believed of each number before anything is seen: the median, and the deviation of its logarithm. Accuracies
# have unit variance here; lengths are in units of the usual distance of two rows.
_LENGTH = (2.0, 1.0)
_CURVED = (0.7, 1.0)
_STRAIGHT = (0.3, 1.0)
_NOISE = (0.05, 1.0)
# No number is tried so many deviations from its median: a step of the search for them can be wild.
_FARTHEST = 5.0


class Surrogate:
    """A Gaussian process over features in groups, with one length for each group: Matérn 5/2 plus linear.

    A group is what one choice is told by: the columns of its names, or one number. ``groups_F`` says which group each
    feature belongs to, from 0.
    """

    def __init__(
        self, features_NF: Floats, accuracy_N: Floats, deviation_N: Floats, *, groups_F: Sequence[int]
    ) -> None:
        """Learn from N trainings; ``deviation_N`` says how unsure each accuracy is beyond what all are."""
        self._middle_F, self._scale_F = features_NF.mean(axis=0), features_NF.std(axis=0)
        # A group counts as one feature, however many columns it has.
        self._scale_F[self._scale_F == 0] = 1.0
        self._scale_F *= np.sqrt(np.bincount(groups_F)[np.asarray(groups_F)])
        self._groups_F = np.asarray(groups_F)
        self._mean, self._spread = float(accuracy_N.mean()), float(accuracy_N.std()) or 1.0
        self._rows_NF = self._scaled(features_NF)
        scaled_N = (accuracy_N - self._mean) / self._spread
        noise_N = (deviation_N / self._spread) ** 2 + _JITTER
        some = np.unique(np.linspace(0, len(scaled_N) - 1, min(len(scaled_N), _LEARNED_FROM)).astype(int))
        self._learn(self._rows_NF[some], scaled_N[some], noise_N[some])
        self._scaled_N, self._noise_N = scaled_N, noise_N + self._noise
        self._solve()

    def believing(self, features_PF: Floats) -> "Surrogate":
        """The same after P networks more had come out as expected, so that near them nothing is to be learned."""
        mean_P = (self.predict(features_PF)[0] - self._mean) / self._spread
        other = copy.copy(self)
        other._rows_NF = np.vstack([self._rows_NF, self._scaled(features_PF)])
        other._scaled_N = np.append(self._scaled_N, mean_P)
        other._noise_N = np.append(self._noise_N, np.full(len(mean_P), self._noise + _JITTER))
        other._solve()
        return other

    def _solve(self) -> None:
        covariance_NN = self._covariance(self._rows_NF, self._rows_NF) + np.diag(self._noise_N)
        self._root_NN = cholesky(covariance_NN, lower=True)
        self._weights_N = cho_solve((self._root_NN, True), self._scaled_N)

    def predict(self, features_CF: Floats) -> tuple[Floats, Floats]:
        """(accuracy, deviation) of C networks: of what would come out on average, without the noise of a training."""
        rows_CF = self._scaled(features_CF)
        across_CN = self._covariance(rows_CF, self._rows_NF)
        mean_C = across_CN @ self._weights_N
        explained_NC = solve_triangular(self._root_NN, across_CN.T, lower=True)
        own_C = self._curved + self._straight * (rows_CF**2).sum(axis=1) / self._groups
        variance_C = np.maximum(own_C - (explained_NC**2).sum(axis=0), _JITTER)
        return mean_C * self._spread + self._mean, np.sqrt(variance_C) * self._spread

    @property
    def _groups(self) -> int:
        return int(self._groups_F.max()) + 1

    def _learn(self, rows_NF: Floats, accuracy_N: Floats, noise_N: Floats) -> None:
        """The numbers of the kernel, by the largest posterior probability."""
        by_group_GNN = np.zeros((self._groups, len(rows_NF), len(rows_NF)))
        for column, group in enumerate(self._groups_F):
            by_group_GNN[group] += np.subtract.outer(rows_NF[:, column], rows_NF[:, column]) ** 2
        straight_NN = rows_NF @ rows_NF.T / self._groups
        length = _LENGTH[0] * np.sqrt(self._groups)  # so that the usual distance of two rows is about 1.4
        beliefs = [(length, _LENGTH[1])] * self._groups + [_CURVED, _STRAIGHT, _NOISE]
        middle, width = (np.array(numbers) for numbers in zip(*beliefs, strict=True))
        middle = np.log(middle)
        identity_NN = np.eye(len(rows_NF))

        def unlikely(logs: Floats) -> tuple[float, Floats]:
            """The negative logarithm of the posterior, and its gradient."""
            inverse_G = np.exp(-2 * logs[:-3])
            curved, straight, noise = np.exp(logs[-3:])
            squared_NN = np.tensordot(inverse_G, by_group_GNN, 1)
            shape_NN, slope_NN = _matern(squared_NN)
            covariance_NN = curved * shape_NN + straight * straight_NN + np.diag(noise_N + noise)
            root_NN = cholesky(covariance_NN, lower=True)
            inverse_NN = cho_solve((root_NN, True), identity_NN)
            weights_N = inverse_NN @ accuracy_N
            away = (logs - middle) / width
            value = accuracy_N @ weights_N / 2 + np.log(np.diag(root_NN)).sum() + away @ away / 2
            pull_NN = (inverse_NN - np.outer(weights_N, weights_N)) / 2
            lengths_G = -2 * inverse_G * np.tensordot(by_group_GNN, pull_NN * slope_NN * curved, 2)
            others = [(pull_NN * part_NN).sum() for part_NN in (curved * shape_NN, straight * straight_NN)]
            gradient = np.concatenate((lengths_G, others, [noise * np.trace(pull_NN)]))
            return float(value), gradient + away / width

        bounds = list(zip(middle - _FARTHEST * width, middle + _FARTHEST * width, strict=True))
        found = minimize(unlikely, middle, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS})
        self._lengths_G = np.exp(found.x[:-3])
        self._curved, self._straight, self._noise = (float(number) for number in np.exp(found.x[-3:]))

    def _covariance(self, rows_AF: Floats, rows_BF: Floats) -> Floats:
        """Between A and B networks, without noise."""
        short_AF, short_BF = (rows / self._lengths_G[self._groups_F] for rows in (rows_AF, rows_BF))
        squared_AB = (short_AF**2).sum(axis=1)[:, None] + (short_BF**2).sum(axis=1) - 2 * short_AF @ short_BF.T
        shape_AB, _ = _matern(np.maximum(squared_AB, 0.0))
        covariance: Floats = self._curved * shape_AB + self._straight * rows_AF @ rows_BF.T / self._groups
        return covariance

    def _scaled(self, features: Floats) -> Floats:
        scaled: Floats = (features - self._middle_F) / self._scale_F
        return scaled


def _matern(squared: Floats) -> tuple[Floats, Floats]:
    """The Matérn kernel of smoothness 5/2 at squared distances (in lengths), and its derivative by them."""
    distance = np.sqrt(5 * squared)
    fall = np.exp(-distance)
    return (1 + distance + distance**2 / 3) * fall, -5 / 6 * (1 + distance) * fall
