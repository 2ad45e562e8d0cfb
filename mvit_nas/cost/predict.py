"""A latency foreseen from those that were measured, to choose what to measure next; never to report.

The model is a sum over what a network asks of the machine (``Features``: multiply-adds, numbers moved, calls, for each
kind of block), at a price in milliseconds that is learned and never negative. It is fitted to relative errors, with a
penalty on the share of the time that each feature takes, so that features that rise together share it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

# With fewer measurements the error, by leaving some of them out, says little.
LEAST = 10
_FOLDS = 10
_PENALTY = 1e-3

# How much of each thing a network asks for, by its name; what is not named is 0.
Features = Mapping[str, float]
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """Milliseconds for one of each feature, learned from ``measurements``.

    ``error`` is the median and ``error_90`` the 90th percentile of the error relative to measurements that were left
    out of the fit. A feature that no measured network has is free, so that such a network is rather foreseen too fast.
    """

    prices_ms: Mapping[str, float]
    measurements: int
    error: float
    error_90: float

    def predict(self, features: Sequence[Features]) -> _Floats:
        """Milliseconds for each of ``features``."""
        prices = np.fromiter(self.prices_ms.values(), np.float64)
        return _matrix(features, list(self.prices_ms)) @ prices


def fit(features: Sequence[Features], milliseconds: Sequence[float]) -> Predictor | None:
    """What the measurements teach; None where they are fewer than LEAST.

    The same measurements in the same order give the same.
    """
    if len(features) < LEAST:
        return None
    names = sorted({name for one in features for name in one})
    amounts, measured_ms = _matrix(features, names), np.asarray(milliseconds, np.float64)
    fold = np.arange(len(features)) % _FOLDS
    foreseen_ms = np.empty_like(measured_ms)
    for left_out in (fold == number for number in range(_FOLDS)):
        foreseen_ms[left_out] = amounts[left_out] @ _prices(amounts[~left_out], measured_ms[~left_out])
    errors = np.sort(np.abs(foreseen_ms / measured_ms - 1))
    # The rank at which 90 % of new errors are below, whatever their distribution (Vovk's split conformal prediction).
    rank = min(math.ceil(0.9 * (len(errors) + 1)), len(errors))
    return Predictor(
        prices_ms=dict(zip(names, map(float, _prices(amounts, measured_ms)), strict=True)),
        measurements=len(errors),
        error=float(np.median(errors)),
        error_90=float(errors[rank - 1]),
    )


def _prices(amounts: _Floats, measured_ms: _Floats) -> _Floats:
    """The price of each column of ``amounts``."""
    relative = amounts / measured_ms[:, None]
    means = relative.mean(axis=0)
    scale = np.where(means > 0, means, 1.0)
    penalty = math.sqrt(_PENALTY * len(amounts)) * np.eye(amounts.shape[1])
    rows = np.vstack((relative / scale, penalty))
    wanted = np.concatenate((np.ones(len(amounts)), np.zeros(amounts.shape[1])))
    prices: _Floats = nnls(rows, wanted)[0] / scale
    return prices


def _matrix(features: Sequence[Features], names: Sequence[str]) -> _Floats:
    return np.array([[one.get(name, 0.0) for name in names] for one in features], np.float64).reshape(-1, len(names))
