"""A temperature that undoes a known one, and measures of calibration against other implementations and by hand."""

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import log_loss

from mvit_nas.maths.calibration import calibration, fitted_temperature, probabilities


def drawn(*, images=20_000, classes=7, heat=1.0):
    """Logits whose softmax at temperature ``heat`` is what the labels were drawn from."""
    luck = np.random.default_rng(0)
    logits = luck.normal(0, 2.0, (images, classes))
    chances = special.softmax(logits / heat, axis=1)
    labels = (chances.cumsum(1) < luck.random((images, 1))).sum(1)
    return logits, labels


@pytest.mark.parametrize("heat", [0.4, 1.0, 2.5])
def test_the_temperature_is_the_one_that_was_drawn_with(heat):
    logits, labels = drawn(heat=heat)
    assert fitted_temperature(logits, labels) == pytest.approx(heat, rel=0.03)


def test_a_fitted_temperature_mends_a_network_that_is_too_unsure():
    logits, labels = drawn(heat=0.4)
    before, after = (
        calibration(logits, labels),
        calibration(logits, labels, temperature=fitted_temperature(logits, labels)),
    )
    right = (logits.argmax(1) == labels).mean()
    assert before.confidence < right - 0.1
    assert after.confidence == pytest.approx(right, abs=0.01)
    assert after.error < 0.02 < 0.1 < before.error
    assert after.log_loss < before.log_loss


def test_log_loss_is_that_of_scikit_learn():
    logits, labels = drawn(images=300)
    expected = log_loss(labels, special.softmax(logits / 1.7, axis=1), labels=np.arange(7))
    assert calibration(logits, labels, temperature=1.7).log_loss == pytest.approx(expected)
    assert probabilities(logits, temperature=1.7) == pytest.approx(special.softmax(logits / 1.7, axis=1))


def test_the_calibration_error_is_by_hand_that_of_fifteen_bins():
    # Highest probabilities 0.9 (bin 13, one right of two), 0.55 (bin 8, right) and 0.6 (bin 9, wrong).
    chances = np.array([[0.9, 0.1], [0.9, 0.1], [0.55, 0.45], [0.4, 0.6]])
    found = calibration(np.log(chances), np.array([0, 1, 0, 0]))
    assert found.error == pytest.approx((abs(1.8 - 1) + abs(0.55 - 1) + 0.6) / 4)
    assert found.confidence == pytest.approx((0.9 + 0.9 + 0.55 + 0.6) / 4)


def test_a_network_that_is_always_right_has_a_temperature_that_can_be_divided_by():
    logits = np.eye(3) * 4
    found = fitted_temperature(logits, np.arange(3))
    assert 0.05 <= found < 0.2
    assert np.isfinite(calibration(logits * 100, np.arange(3), temperature=found).log_loss)
