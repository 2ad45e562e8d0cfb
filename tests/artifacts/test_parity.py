"""An exported file beside the network that it was made of."""

import numpy as np
import pytest

from mvit_nas.artifacts.parity import compare
from mvit_nas.errors import MeasurementError

EXPECTED = np.array([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.3, 0.3, 0.4], [0.6, 0.2, 0.2]])
# The second image changes its class, the others hardly move.
FOUND = EXPECTED + np.array([[0.01, -0.01, 0], [0, -0.15, 0.15], [0, 0, 0], [0, 0, 0]])


def test_the_largest_difference_and_the_share_of_equal_classes():
    found = compare(EXPECTED, FOUND)
    assert (found.images, found.agreement, found.scored, found.samples) == (4, 0.75, None, 0)
    assert found.difference == pytest.approx(0.15)


@pytest.mark.parametrize(("label", "changes"), [(1, (1, 0)), (2, (0, 1)), (0, (0, 0))])
def test_images_that_turn_are_counted_by_their_direction(label, changes):
    scored = compare(EXPECTED, FOUND, labels_N=np.array([0, label, 0, 0])).scored
    assert scored is not None
    assert (scored.to_wrong, scored.to_right) == changes
    assert scored.torch_accuracy == pytest.approx((2 + (label == 1)) / 4)
    assert scored.accuracy == pytest.approx((2 + (label == 2)) / 4)
    assert scored.low < scored.accuracy < scored.high


def test_more_than_rounding_is_an_error():
    compare(EXPECTED, EXPECTED + 9e-5).require_equal("It")
    with pytest.raises(
        MeasurementError, match=r"^It computes something else than PyTorch: on 4 photos .* 0\.00011; no"
    ):
        compare(EXPECTED, EXPECTED + 1.1e-4).require_equal("It")


def test_a_number_that_is_none_is_an_error():
    with pytest.raises(MeasurementError, match="computes something else"):
        compare(EXPECTED, EXPECTED * np.nan).require_equal("It")


def test_samples_hold_to_what_they_promise():
    compare(EXPECTED, EXPECTED, promised_SK=EXPECTED[:2], sampled_SK=EXPECTED[:2] + 9e-4).require_equal("It")
    found = compare(EXPECTED, EXPECTED, promised_SK=EXPECTED[:2], sampled_SK=EXPECTED[:2] - 2e-3)
    assert found.samples == 2
    with pytest.raises(MeasurementError, match=r"^It answers the model's samples in check/ otherwise .* 0\.002"):
        found.require_equal("It")


def test_another_number_of_classes_is_an_error():
    with pytest.raises(MeasurementError, match=r"the file gives \[2\] numbers an image, not 3"):
        compare(EXPECTED, EXPECTED[:, :2])
