"""A latency foreseen from those that were measured, to choose what to measure next; never to report.

The model is a sum over what a network asks of the machine (``Features``) at prices that are learned and never negative.
They are fitted to relative errors and held near a guess that is one for all kinds of blocks, times the machine's speed:
each as firmly as it has a share of the time. What the measurements do not tell apart thus keeps the guess's ratio.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from mvit_nas.maths.pareto import Floats

# With fewer measurements the error, by leaving some of them out, says little.
LEAST = 10
_FOLDS = 10
# How firmly prices are held. From a hundredth to a tenth it made no difference on networks that were measured.
_FIRMNESS = 0.03
# Nanoseconds on one thread of a server: 50 multiply-adds or 5 numbers moved in one, 4 microseconds to start a block.
# Only the ratios count. 10 networks of mobilevit_small foresaw others within 3.5 % so, with 1 or 10 microseconds for a
# start within 3.8 or 3.9 %, and without any guess within 6.2 % (medians).
_GUESS_NS = {"macs": 0.0, "padded_macs": 0.02, "values": 0.2, "products": 200.0, "calls": 4000.0}

# How much a network asks for, as "linear.macs": the kind of block and, as in _GUESS_NS, of what. What is left out is 0.
Features = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """Milliseconds for one of each feature.

    ``error`` is the median and ``error_90`` the 90th percentile of the error relative to measurements that were left
    out of the fit. A feature that no measured network has is free, so that such a network is rather foreseen too fast.
    """

    prices_ms: Mapping[str, float]
    error: float
    error_90: float

    def predict(self, features: Sequence[Features]) -> Floats:
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
    guess = np.array([_GUESS_NS[name.rpartition(".")[2]] for name in names])
    amounts, measured_ms = _matrix(features, names), np.asarray(milliseconds, np.float64)
    fold = np.arange(len(features)) % _FOLDS
    foreseen_ms = np.empty_like(measured_ms)
    for left_out in (fold == number for number in range(_FOLDS)):
        foreseen_ms[left_out] = amounts[left_out] @ _prices(amounts[~left_out], measured_ms[~left_out], guess)
    errors = np.sort(np.abs(foreseen_ms / measured_ms - 1))
    # The rank below which 90 % of new errors lie, whatever their distribution (split conformal prediction).
    rank = min(math.ceil(0.9 * (len(errors) + 1)), len(errors))
    return Predictor(
        prices_ms=dict(zip(names, map(float, _prices(amounts, measured_ms, guess)), strict=True)),
        error=float(np.median(errors)),
        error_90=float(errors[rank - 1]),
    )


def _prices(amounts: Floats, measured_ms: Floats, guess: Floats) -> Floats:
    """The price of each column of ``amounts``."""
    relative = amounts / measured_ms[:, None]
    guess = guess / np.median(relative @ guess)
    share = relative.mean(axis=0)
    share[share == 0] = 1.0
    firmness = math.sqrt(_FIRMNESS * len(amounts))
    rows = np.vstack((relative / share, firmness * np.eye(len(share))))
    wanted = np.concatenate((np.ones(len(amounts)), firmness * guess * share))
    prices: Floats = nnls(rows, wanted)[0] / share
    return prices


def _matrix(features: Sequence[Features], names: Sequence[str]) -> Floats:
    return np.array([[one.get(name, 0.0) for name in names] for one in features], np.float64).reshape(-1, len(names))
