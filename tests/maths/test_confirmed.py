"""Accuracies and differences over seeds and images: by hand, against known truth, and where there is little to know."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from mvit_nas.maths.confirmed import Chosen, Compared, Estimated, accuracies, choose, comparisons


def answers(luck, *, networks=4, seeds=3, images=400, seed_spread=0.0, levels=None):
    """Whether each was right: images are easy or hard, each network knows its own, and each training is luckier or not."""
    levels = np.linspace(0.3, 0.9, networks) if levels is None else np.asarray(levels)
    ease = luck.normal(0, 1.0, images) + luck.normal(0, 0.7, (networks, 1, images))
    trained = luck.normal(0, seed_spread, (networks, seeds, 1)) + luck.normal(0, 0.6, (networks, seeds, images))
    return levels[:, None, None] + ease + trained > 0


def true_shares(levels, seed_spread):
    return stats.norm.cdf(np.asarray(levels) / np.sqrt(1 + 0.7**2 + 0.6**2 + seed_spread**2))


@pytest.mark.parametrize("seed_spread", [0.0, 0.12])
def test_intervals_hold_the_truth_nineteen_times_of_twenty(seed_spread):
    luck, levels = np.random.default_rng(1), [0.3, 0.5, 0.7, 0.9]
    truth = true_shares(levels, seed_spread)
    differences = {(i, j): truth[i] - truth[j] for i in range(4) for j in range(i + 1, 4)}
    held, held_differences = [], []
    for _ in range(300):
        correct = answers(luck, seed_spread=seed_spread, levels=levels)
        held += [one.low <= true <= one.high for one, true in zip(accuracies(correct), truth, strict=True)]
        held_differences += [
            one.difference.low <= differences[one.first, one.second] <= one.difference.high
            for one in comparisons(correct)
        ]
    assert 0.93 <= np.mean(held) <= 0.97
    assert 0.93 <= np.mean(held_differences) <= 0.975


def test_with_no_difference_at_all_one_is_shown_in_a_twentieth_of_experiments():
    luck = np.random.default_rng(2)
    shown = [
        any(one.is_shown for one in comparisons(answers(luck, seed_spread=0.1, levels=[0.5] * 4))) for _ in range(250)
    ]
    assert 0.01 <= np.mean(shown) <= 0.07


def test_the_spread_of_an_accuracy_is_that_of_seeds_and_images_by_hand():
    correct = np.array([[[1, 1, 1, 0, 1], [1, 0, 1, 0, 1]], [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]])
    first, second = accuracies(correct)
    between = (np.var([0.8, 0.6], ddof=1) + np.var([0.4, 0.8], ddof=1)) / 2
    within = np.var([1, 0.5, 1, 0, 1], ddof=1)
    # One image is right with the first seed alone: after rows and columns are taken out, 1.2 in ten is left of it.
    table = correct[0] - correct[0].mean(1, keepdims=True) - correct[0].mean(0) + correct[0].mean()
    variance = between / 2 + within / 5 - (table**2).sum() / 4 / 10
    assert first.value == pytest.approx(0.7)
    assert first.deviation**2 == pytest.approx(variance)
    parts = np.array([between / 2, within / 5, (table**2).sum() / 4 / 10])
    assert first.freedom == pytest.approx(variance**2 / (parts**2 / [2, 4, 4]).sum())
    assert second.value == pytest.approx(0.6)
    assert first.low < 0.7 < first.high


def test_a_difference_has_only_the_spread_that_the_two_do_not_share():
    luck = np.random.default_rng(3)
    # Each seed moves all networks alike, by much: the accuracies are hardly known, the difference is.
    shared = np.array([0.5, -0.4, 0.1])[:, None]
    ease = luck.normal(0, 1, 900)
    levels = np.array([0.3, 0.15, 0.1, 0.05])[:, None, None]
    correct = levels + shared + ease + luck.normal(0, 0.2, (4, 3, 900)) > 0
    one, alone = comparisons(correct)[0], accuracies(correct)
    assert one.difference.value == pytest.approx(alone[0].value - alone[1].value)
    assert one.difference.deviation < alone[0].deviation / 4
    assert one.is_shown
    assert one.p is not None
    assert one.p < 0.01


def test_holm_counts_every_pair():
    correct = answers(np.random.default_rng(4), networks=5, seed_spread=0.05)
    found = comparisons(correct)
    assert [(one.first, one.second) for one in found] == [(i, j) for i in range(5) for j in range(i + 1, 5)]
    least = min((one for one in found), key=lambda one: one.p or 1.0)
    assert least.p_holm == pytest.approx(10 * (least.p or 1.0))


def test_one_seed_gives_an_interval_over_the_images_alone():
    correct = answers(np.random.default_rng(5), networks=2, seeds=1, images=200)
    one, _ = accuracies(correct)
    assert one.deviation == pytest.approx(np.sqrt(one.value * (1 - one.value) / 199))
    low, high = proportion_confint(int(correct[0].sum()), 200, method="wilson")
    assert (one.low, one.high) == pytest.approx((low, high), abs=0.003)
    (pair,) = comparisons(correct)
    test = stats.ttest_rel(correct[0, 0].astype(float), correct[1, 0].astype(float))
    assert pair.p == pytest.approx(test.pvalue)


def test_three_images_that_are_always_right_leave_much_unknown():
    always = accuracies(np.ones((2, 3, 3), bool))[0]
    assert (always.value, always.high) == (1.0, 1.0)
    assert always.low == pytest.approx(proportion_confint(3, 3, method="wilson")[0])
    (pair,) = comparisons(np.ones((2, 3, 3), bool))
    assert (pair.p, pair.p_holm, pair.is_shown) == (None, None, False)


def test_one_network_has_an_accuracy_and_no_pairs():
    correct = answers(np.random.default_rng(6), networks=1)
    assert len(accuracies(correct)) == 1
    assert comparisons(correct) == []


def pair(first, second, p):
    nothing = Estimated(value=0.0, deviation=0.01, freedom=9.0, low=-0.02, high=0.02)
    return Compared(first=first, second=second, difference=nothing, p=p, p_holm=p)


def test_the_cheapest_is_taken_of_those_that_are_as_good_as_the_best():
    # Network 2 is the best, 0 is worse, 1 and 3 are tied with it; 0 is the cheapest, then 3.
    pairs = [pair(0, 1, 0.6), pair(0, 2, 0.01), pair(0, 3, 0.2), pair(1, 2, 0.5), pair(1, 3, 0.9), pair(2, 3, 0.06)]
    assert choose([0.5, 0.6, 0.7, 0.698], pairs, [1, 9, 8, 7]) == Chosen(take=3, tied=(1, 2))
    assert choose([0.5, 0.6, 0.7, 0.698], pairs, [1, 9, 8, 8]) == Chosen(take=2, tied=(1, 3))
    # That no difference is shown does not make two equal: what may be worse by 5 points is not taken for its price.
    assert choose([0.5, 0.6, 0.7, 0.65], pairs, [1, 9, 8, 7]) == Chosen(take=2, tied=(1, 3))
    # Nor what is shown to be worse, by however little.
    assert choose([0.699, 0.6, 0.7, 0.65], pairs, [1, 9, 8, 7]) == Chosen(take=2, tied=(1, 3))
    assert choose([0.4], [], [1.0]) == Chosen(take=0, tied=())
