"""Shares and their intervals, against other implementations and in simulation."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from statsmodels.stats.proportion import proportion_confint

from mvit_nas.maths.share import Accuracy, wilson


def test_wilson_is_that_of_others_and_takes_its_quantile_from_the_caller():
    assert wilson(17 / 40, 40) == pytest.approx(proportion_confint(17, 40, method="wilson"))
    assert wilson(17 / 40, 40, quantile=3.0)[0] < wilson(17 / 40, 40)[0]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_itself_is_within(share):
    low, high = wilson(share, 3)
    assert low <= share <= high
    assert 0 <= low < high <= 1


def test_the_interval_is_wilsons():
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for (correct, images), (low, high) in {
        (81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718),
    }.items():  # fmt: skip
        score = Accuracy(correct_K=(correct,), images_K=(images,))
        assert score.interval == pytest.approx((low, high), abs=5e-5)
        assert score.accuracy == correct / images
    assert Accuracy(correct_K=(20,), images_K=(20,)).interval[1] == 1


def test_balanced_accuracy_is_the_mean_over_the_classes_that_are_there():
    generator = np.random.default_rng(0)
    truth = generator.choice([0, 1, 3], 200, p=[0.7, 0.25, 0.05])  # none of class 2
    said = np.where(generator.random(200) < 0.6, truth, generator.choice([0, 1, 3], 200))
    correct, images = (tuple(np.bincount(one, minlength=4).tolist()) for one in (truth[said == truth], truth))
    found = Accuracy(correct_K=correct, images_K=images)
    assert found.balanced == pytest.approx(balanced_accuracy_score(truth, said))
    assert found.balanced != pytest.approx(found.accuracy, abs=0.01)
    low, high = found.balanced_interval
    assert low < found.balanced < high
    # The interval knows that the rare class says little: the wider of the two.
    assert high - low > 1.2 * (found.interval[1] - found.interval[0])
    without = Accuracy(correct_K=(correct[0], correct[1], correct[3]), images_K=(images[0], images[1], images[3]))
    assert (without.balanced, without.balanced_interval) == (found.balanced, found.balanced_interval)


# Clothing's validation part, about, and shares from bad to good.
UNEVEN = np.array([17, 119, 40, 8, 75, 26, 22, 60, 35, 18])


@pytest.mark.parametrize(("images", "lowest", "highest"), [(UNEVEN, 0.15, 0.7), (UNEVEN, 0.8, 0.98), (UNEVEN, 0.1, 0.97), (np.full(60, 10), 0.2, 0.95)])  # fmt: skip
def test_the_interval_of_balanced_accuracy_covers_what_it_says(images, lowest, highest):
    truth = np.linspace(lowest, highest, len(images))
    drawn = np.random.default_rng(0).binomial(images, truth, (2000, len(images)))
    scores = [Accuracy(correct_K=tuple(row.tolist()), images_K=tuple(images.tolist())) for row in drawn]
    ends = np.array([one.balanced_interval for one in scores])
    inside = (ends[:, 0] <= truth.mean()) & (truth.mean() <= ends[:, 1])
    assert 0.93 <= inside.mean() <= 0.97
    # Neither side is what misses.
    assert max((ends[:, 0] > truth.mean()).mean(), (ends[:, 1] < truth.mean()).mean()) < 0.04


def test_with_one_answer_for_all_and_with_nothing_wrong_there_is_still_an_interval():
    for correct, share in (((9, 0, 0), 1 / 3), ((9, 3, 5), 1.0), ((0, 0, 0), 0.0)):
        found = Accuracy(correct_K=correct, images_K=(9, 3, 5))
        low, high = found.balanced_interval
        assert found.balanced == pytest.approx(share)
        assert 0 <= low <= found.balanced <= high <= 1
        assert high - low > 0.1
