"""Whether a network is as sure as it is right: one temperature, and what it does, on plain arrays.

``logits_NK`` are a network's outputs for N images and K classes, ``labels_N`` the classes that they are of.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from mvit_nas.maths.pareto import Floats

Labels = npt.NDArray[np.int64]
Logits = npt.NDArray[np.floating[Any]]

_BINS = 15
# Between these a temperature is looked for. A network that was trained with label smoothing needs about 0.5.
_COLDEST, _HOTTEST = 0.05, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How well probabilities fit what comes true.

    ``error`` is the expected calibration error over 15 bins of equal width (Naeini and others 2015), ``log_loss`` the
    mean of minus the logarithm of the true class's probability, ``confidence`` the mean of the highest probability.
    """

    error: float
    log_loss: float
    confidence: float


def fitted_temperature(logits_NK: Logits, labels_N: Labels) -> float:
    """What to divide logits by, for the least log loss on these images (Guo and others 2017). Ranks stay as they are.

    A network that is always right gets one at which it is quite sure, one that only guesses the highest looked for.
    """

    def loss(logarithm: float) -> float:
        return calibration(logits_NK, labels_N, temperature=math.exp(logarithm)).log_loss

    ends = (math.log(_COLDEST), math.log(_HOTTEST))
    found = optimize.minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-4})
    return math.exp(float(found.x))


def probabilities(logits_NK: Logits, *, temperature: float = 1.0) -> Floats:
    """The probability of each class [N, K]."""
    return np.asarray(special.softmax(np.asarray(logits_NK, dtype=float) / temperature, axis=-1))


def calibration(logits_NK: Logits, labels_N: Labels, *, temperature: float = 1.0) -> Calibration:
    """How well the probabilities fit on these images."""
    scaled = np.asarray(logits_NK, dtype=float) / temperature
    logs = scaled - special.logsumexp(scaled, axis=1, keepdims=True)
    highest = np.exp(logs.max(1))
    right = logs.argmax(1) == labels_N
    bins = np.minimum((highest * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=highest - right, minlength=_BINS)
    return Calibration(
        error=float(np.abs(gaps).sum()) / len(labels_N),
        log_loss=-float(logs[np.arange(len(labels_N)), labels_N].mean()),
        confidence=float(highest.mean()),
    )
