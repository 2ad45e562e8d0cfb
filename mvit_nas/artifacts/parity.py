"""How near an exported file comes to the network that it was made of, on the same images."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvit_nas.errors import MeasurementError
from mvit_nas.maths.share import wilson

# A probability of float32 may differ by so much: rounding is a hundredth of it.
TOLERANCE = 1e-4
# What a model's samples promise.
SAMPLE_TOLERANCE = 1e-3
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """How well the file does on labelled images: its share of right answers, with the 95 % interval, and PyTorch's.

    ``to_wrong`` images PyTorch has right and the file wrong, ``to_right`` the other way round.
    """

    accuracy: float
    low: float
    high: float
    torch_accuracy: float
    to_wrong: int
    to_right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """A file beside PyTorch on so many ``images``.

    ``difference`` is the largest of a probability, ``agreement`` the share of images whose likeliest class is the same.
    ``samples`` of the model were compared, too, and ``sample_difference`` is the largest difference from what they
    promise; None where the model has none. ``scored`` is None where no labels are known.
    """

    images: int
    difference: float
    agreement: float
    samples: int
    sample_difference: float | None
    scored: Scored | None

    def require_equal(self, title: str) -> None:
        """Raise MeasurementError where this is more than rounding.

        Where nothing differs by more than ``TOLERANCE``, the likeliest class is the same on every image whose margin is
        more than twice that: two classes nearer than that are a tie, and rounding may decide it.
        """
        if not self.difference <= TOLERANCE:
            raise MeasurementError(
                f"{title} computes something else than PyTorch: on {self.images} photos a probability differs by up to "
                f"{self.difference:.2g}; no file is kept"
            )
        if self.sample_difference is not None and not self.sample_difference <= SAMPLE_TOLERANCE:
            raise MeasurementError(
                f"{title} answers the model's samples in check/ otherwise than they say, by up to "
                f"{self.sample_difference:.2g}: were its weights changed? No file is kept"
            )


def compare(
    expected_NK: Floats,
    found_NK: Floats,
    *,
    labels_N: npt.NDArray[np.int64] | None = None,
    promised_SK: Floats | None = None,
    sampled_SK: Floats | None = None,
) -> Parity:
    """What PyTorch ``expected`` beside what the file ``found``; what samples ``promised`` and it gives of them."""
    if found_NK.shape != expected_NK.shape:
        raise MeasurementError(
            f"the file gives {list(found_NK.shape[1:])} numbers an image, not {expected_NK.shape[1]}"
        )
    right = expected_NK.argmax(1), found_NK.argmax(1)
    return Parity(
        images=len(expected_NK),
        difference=_apart(expected_NK, found_NK),
        agreement=float((right[0] == right[1]).mean()),
        samples=0 if promised_SK is None else len(promised_SK),
        sample_difference=None if promised_SK is None or sampled_SK is None else _apart(promised_SK, sampled_SK),
        scored=None if labels_N is None else _scored(right[0] == labels_N, right[1] == labels_N),
    )


def _apart(one: Floats, other: Floats) -> float:
    return float(np.abs(one - other).max())


def _scored(expected_N: npt.NDArray[np.bool_], found_N: npt.NDArray[np.bool_]) -> Scored:
    accuracy = float(found_N.mean())
    low, high = wilson(accuracy, len(found_N))
    return Scored(
        accuracy=accuracy,
        low=low,
        high=high,
        torch_accuracy=float(expected_N.mean()),
        to_wrong=int((expected_N & ~found_N).sum()),
        to_right=int((~expected_N & found_N).sum()),
    )
