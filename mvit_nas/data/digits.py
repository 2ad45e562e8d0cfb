"""scikit-learn's handwritten digits: real images that need no download."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mvit_nas.data.parts import VERSION, IntArray, Listing


def list_digits() -> Listing:
    """The digits, all of them for training."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Listing(
        source="scikit-learn's handwritten digits (1,797 images of 8 x 8 pixels)",
        read=_read,
        fingerprint=hashlib.sha256(VERSION.encode() + digits.images.tobytes()).hexdigest()[:16],
        names=tuple(str(position) for position in range(len(digits.target))),
        classes=tuple(str(name) for name in digits.target_names),
        labels_N=digits.target.astype(np.int64),
        given={"train": np.arange(len(digits.target))},
        notes=(),
        flips=False,
        schedule="digits",
    )


def _read(positions: IntArray) -> Iterator[tuple[str, bytes | Path]]:
    from sklearn.datasets import load_digits

    grey_NHW = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    for position in positions:
        file = io.BytesIO()
        Image.fromarray(grey_NHW[position]).save(file, "PNG")  # encoded, to take the same way as all others
        yield f"digit {position}", file.getvalue()
