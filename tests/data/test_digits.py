"""The handwritten digits."""

from pathlib import Path

import numpy as np
from image_files import PARTS

from mvit_nas.data.find import find_data
from mvit_nas.data.store import load_part


def test_without_a_path_the_digits_are_found_and_a_mirrored_digit_is_another() -> None:
    data = find_data(None)
    assert data == find_data("digits")
    assert data.name == "digits"
    assert "scikit-learn" in data.source
    assert data.classes == tuple("0123456789")
    assert data.median_side == 8
    assert not data.flips
    assert sum(data.count(part) for part in PARTS) == 1797


def test_a_digit_is_decoded_to_its_own_pixels(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    data = find_data(None)
    images = load_part(data, "validation", side=8, cache=tmp_path)
    original = load_digits()
    position = data.members["validation"][3]
    assert images.labels_N[3] == original.target[position]
    assert np.array_equal(images.pixels_NHWC[3, ..., 1], np.rint(original.images[position] * 255 / 16))
