"""The accuracy of networks that were not trained, guessed from those that were."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from mvit_nas.maths.pareto import Floats

# The kernel's three numbers are learned from this many trainings at most, evenly over all; the guess uses every one.
# Learning takes time with the cube of the trainings, some dozens of times over; the guess takes it once.
_LEARNED_FROM = 200
# Added to the diagonal, as a share of the variance, so that equal rows do no harm.
_JITTER = 1e-6


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
