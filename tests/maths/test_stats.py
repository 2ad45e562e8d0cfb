import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower
from sure import sure

from mvit_nas.maths.statistics import (
    ALPHA,
    Difference,
    detectable_deviations,
    holm,
    paired_difference,
    rank_correlation,
)

relaxed = settings(deadline=None)  # the machine may be busy

# Of 1000 images: two differences of pairs are the same or clearly not.
_accuracies = st.integers(0, 1000).map(lambda right: right / 1000)


@st.composite
def pairs(draw, *, at_least=0):
    """(values, base) of the same length, NaN where a run failed."""
    cell = st.one_of(_accuracies, _accuracies, _accuracies, st.just(math.nan))
    rows = draw(st.lists(st.tuples(cell, cell), min_size=at_least, max_size=9))
    return np.array(rows, dtype=float).reshape(-1, 2).T


def numbers(difference):
    """What a difference says, for pytest.approx."""
    return [
        math.nan if number is None else number
        for number in (
            difference.pairs,
            difference.mean,
            difference.low,
            difference.high,
            difference.effect_size,
            difference.p,
            difference.detectable,
        )
    ]


def same(difference):
    return pytest.approx(numbers(difference), abs=1e-9, nan_ok=True)


# Differences .02 .04 .01 .07: mean .035; squares about it .000225 .000025 .000625 .001225, so a variance of .0007.
VALUES, BASE = [0.72, 0.75, 0.70, 0.79], [0.70, 0.71, 0.69, 0.72]


def test_an_interval_is_that_of_the_textbook():
    difference = paired_difference(VALUES, BASE)
    assert difference.pairs == 4
    assert difference.mean == pytest.approx(0.035)
    half = 3.182446 * math.sqrt(0.0007) / math.sqrt(4)  # the 97.5 % point of t with 3 degrees of freedom, from a table
    assert (difference.low, difference.high) == pytest.approx((0.035 - half, 0.035 + half), abs=1e-8)
    assert difference.half_width == pytest.approx(half, abs=1e-8)


def test_a_p_value_is_the_closed_form_of_three_degrees_of_freedom():
    angle = math.atan(math.sqrt(7) / math.sqrt(3))  # t is .035 / sqrt(.0007 / 4), the root of 7
    expected = 1 - 2 / math.pi * (angle + math.sin(angle) * math.cos(angle))
    assert paired_difference(VALUES, BASE).p == pytest.approx(expected, rel=1e-9)


def test_an_effect_size_is_in_standard_deviations_and_made_smaller_by_the_gamma_function():
    # J of 3 degrees of freedom is gamma(3/2) / (sqrt(3/2) gamma(1)), and gamma(3/2) is half the root of pi.
    correction = math.sqrt(math.pi) / 2 / math.sqrt(1.5)
    assert paired_difference(VALUES, BASE).effect_size == pytest.approx(correction * math.sqrt(7) / 2, rel=1e-9)


@pytest.mark.parametrize("count", [3, 4, 5, 10, 30])
def test_the_small_sample_correction_is_near_the_published_approximation(count):
    """Hedges 1981: J is about 1 - 3 / (4 m - 1) with m degrees of freedom, the closer the larger m."""
    random = np.random.default_rng(count)
    values = random.normal(0.7, 0.01, count)
    ratio = values.mean() / values.std(ddof=1)
    freedom = count - 1
    correction = paired_difference(values, np.zeros(count)).effect_size / ratio
    assert correction == pytest.approx(1 - 3 / (4 * freedom - 1), abs=0.036 / freedom**2)


def test_the_corrected_effect_size_is_right_on_average():
    """Without the correction the mean at 4 pairs would be 1.1 over .724."""
    samples = np.random.default_rng(3).normal(1.1, 1.0, (1500, 4))
    found = [sure(paired_difference(sample, np.zeros(4)).effect_size) for sample in samples]
    assert np.mean(found) == pytest.approx(1.1, abs=float(4 * np.std(found) / math.sqrt(len(found))))


@relaxed
@given(pairs(at_least=3))
def test_a_difference_is_that_of_scipys_paired_t_test(sample):
    values, base = sample
    there = ~np.isnan(values - base)
    difference = paired_difference(values, base)
    assert difference.pairs == there.sum()
    if difference.p is not None:
        test = stats.ttest_rel(values[there], base[there])
        interval = test.confidence_interval(0.95)
        assert difference.p == pytest.approx(test.pvalue, rel=1e-9)
        assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


@relaxed
@given(pairs())
def test_swapping_the_variant_and_the_base_mirrors_the_difference(sample):
    values, base = sample
    there, back = paired_difference(values, base), paired_difference(base, values)
    mirrored = Difference(
        pairs=back.pairs,
        mean=None if back.mean is None else -back.mean,
        low=None if back.high is None else -back.high,
        high=None if back.low is None else -back.low,
        effect_size=None if back.effect_size is None else -back.effect_size,
        p=back.p,
        detectable=back.detectable,
    )
    assert numbers(there) == same(mirrored)


@relaxed
@given(pairs(), _accuracies)
def test_a_shift_of_the_variant_shifts_its_difference_and_nothing_of_its_spread(sample, shift):
    values, base = sample
    before, after = paired_difference(values, base), paired_difference(values + shift, base)
    assert after.pairs == before.pairs
    assert (after.p is None) == (before.p is None)
    for name in ("mean", "low", "high"):
        old, new = getattr(before, name), getattr(after, name)
        assert new == (None if old is None else pytest.approx(old + shift, abs=1e-9))
    for name in ("half_width", "detectable"):
        old, new = getattr(before, name), getattr(after, name)
        assert new == (None if old is None else pytest.approx(old, abs=1e-9))


@relaxed
@given(pairs(), st.lists(_accuracies, min_size=9, max_size=9))
def test_what_a_seed_does_to_both_changes_nothing(sample, effects):
    values, base = sample
    effect = np.array(effects[: len(values)])
    assert numbers(paired_difference(values + effect, base + effect)) == same(paired_difference(values, base))


@relaxed
@given(pairs(), st.randoms(use_true_random=False))
def test_the_order_of_the_seeds_changes_nothing(sample, random):
    values, base = sample
    order = random.sample(range(len(values)), len(values))
    assert numbers(paired_difference(values[order], base[order])) == same(paired_difference(values, base))


def test_a_difference_is_the_variant_less_the_base():
    better = paired_difference([0.8, 0.82, 0.85], [0.7, 0.73, 0.74])
    assert sure(better.mean) > 0
    assert sure(better.low) > 0
    assert sure(better.effect_size) > 0


def test_a_pair_without_a_value_on_either_side_is_dropped_and_counted_out():
    values = [0.72, math.nan, 0.75, 0.70, 0.9, 0.79]
    base = [0.70, 0.3, 0.71, 0.69, math.nan, 0.72]
    assert paired_difference(values, base) == paired_difference(VALUES, BASE)


@pytest.mark.parametrize(
    ("values", "base", "count", "mean"),
    [([], [], 0, None), ([math.nan], [0.5], 0, None), ([0.5], [0.25], 1, 0.25), ([0.5, 0.75], [0.25, 0.25], 2, 0.375)],
)
def test_fewer_than_three_pairs_have_a_mean_and_no_interval(values, base, count, mean):
    difference = paired_difference(values, base)
    assert difference == Difference(
        pairs=count, mean=mean, low=None, high=None, effect_size=None, p=None, detectable=None
    )
    assert difference.half_width is None


def test_pairs_that_all_differ_by_the_same_but_for_rounding_have_no_interval():
    values, base = [0.1 + 0.2, 0.4 + 0.2, 0.7 + 0.2], [0.1, 0.4, 0.7]
    assert np.ptp(np.subtract(values, base)) > 0  # of rounding
    difference = paired_difference(values, base)
    assert difference.pairs == 3
    assert difference.mean == pytest.approx(0.2)
    assert (difference.low, difference.high, difference.effect_size) == (None, None, None)
    assert (difference.p, difference.detectable) == (None, None)


def test_the_smallest_spread_that_images_can_have_has_an_interval():
    assert paired_difference([0.5, 0.5, 0.5 + 1 / 50_000], [0.4, 0.4, 0.4]).low is not None


def test_a_detectable_difference_is_the_spread_times_its_deviations_at_the_number_of_comparisons():
    found = paired_difference(VALUES, BASE, comparisons=3).detectable
    assert found == pytest.approx(detectable_deviations(4, 3) * math.sqrt(0.0007), rel=1e-9)


def test_holm_by_hand():
    """Sorted .004 .01 .02 .6 and one to come: times 5, 4, 3, 2, never below the one before."""
    assert holm([0.02, None, 0.004, 0.6, 0.01]) == [
        pytest.approx(0.06),
        None,
        pytest.approx(0.02),
        1.0,
        pytest.approx(0.04),
    ]


def test_holm_never_lets_a_larger_p_value_overtake_a_smaller_one():
    """.02 times 2 is .04, and .03 times 1 is not below it."""
    assert holm([0.03, 0.02]) == pytest.approx([0.04, 0.04])


def test_holm_of_one_is_itself_and_of_none_is_nothing():
    assert holm([0.0123]) == pytest.approx([0.0123])
    assert holm([]) == []
    assert holm([None, None]) == [None, None]


@relaxed
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=8))
def test_holm_is_its_definition(p_values):
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    expected, before = [None] * len(p_values), 0.0
    for rank, (p, index) in enumerate(order):
        before = max(before, min(1.0, (len(p_values) - rank) * p))
        expected[index] = before
    assert holm(p_values) == [None if p is None else pytest.approx(p) for p in expected]


def test_a_comparison_that_is_run_later_takes_no_verdict_back():
    early = holm([0.02, None, None])
    assert early[0] == pytest.approx(0.06)
    assert holm([0.02, 0.9, 0.8])[0] == pytest.approx(early[0])


@pytest.mark.parametrize("comparisons", [1, 4])
@pytest.mark.parametrize(("count", "within"), [(50, 0.03), (100, 0.015), (300, 0.005)])
def test_with_many_pairs_the_smallest_difference_is_statsmodels(count, comparisons, within):
    expected = TTestPower().solve_power(nobs=count, alpha=ALPHA / comparisons, power=0.8, alternative="two-sided")
    found = detectable_deviations(count, comparisons)
    assert found == pytest.approx(expected, rel=within)
    assert found > expected  # an estimated spread never makes it smaller


@pytest.mark.parametrize("comparisons", [1, 4])
@pytest.mark.parametrize("count", [3, 5])
def test_with_few_pairs_a_new_experiment_shows_the_reported_difference_four_times_in_five(count, comparisons):
    """By simulation: one experiment reports from its own spread, the next has that true difference."""
    random = np.random.default_rng(20 + count)
    repetitions = 200_000
    pilots = random.normal(0.0, 0.02, (repetitions, count))
    reported = detectable_deviations(count, comparisons) * pilots.std(axis=1, ddof=1)
    runs = random.normal(0.0, 0.02, (repetitions, count)) + reported[:, None]
    p_values = stats.ttest_1samp(runs, 0.0, axis=1).pvalue
    power = ((p_values * comparisons <= 0.05) & (runs.mean(axis=1) > 0)).mean()
    assert power == pytest.approx(0.8, abs=0.004)  # four standard errors are .0036


def test_the_smallest_difference_falls_with_the_pairs_and_grows_with_the_comparisons():
    by_pairs = [detectable_deviations(count, 2) for count in (3, 4, 6, 12, 40)]
    by_comparisons = [detectable_deviations(5, comparisons) for comparisons in (1, 2, 5, 15)]
    assert by_pairs == sorted(by_pairs, reverse=True)
    assert by_comparisons == sorted(by_comparisons)


# Rank correlation


def test_tau_is_scipys_and_rows_without_both_do_not_count():
    first, second = [5.0, 6.0, math.nan, 8.0, 9.0, 7.0], [10.0, 9.0, 11.0, 20.0, 15.0, math.nan]
    found = rank_correlation(first, second)
    assert (found.rows, found.tau) == (4, round(stats.kendalltau([5, 6, 8, 9], [10, 9, 20, 15]).statistic, 12))


def test_few_rows_or_equal_ones_have_no_tau():
    for first, second in [([1, 2, 3], [1, 2, 3]), ([], []), ([1, 2, 3, 4], [5, 5, 5, 5])]:
        found = rank_correlation(first, second)
        assert (found.rows, found.tau, found.low, found.high) == (len(first), None, None, None)


def concordance(tau, rows, samples):
    """Shares of the pairs that have the same order, in fresh samples of the bivariate normal distribution."""
    generator = np.random.default_rng(77)
    r = math.sin(math.pi * tau / 2)
    covariance = [[1, r], [r, 1]]
    values = generator.multivariate_normal([3, -5], covariance, (samples, rows))
    order = np.sign(values[:, :, None] - values[:, None, :])
    same = (order[..., 0] * order[..., 1]).sum((1, 2)) / (rows * (rows - 1))
    return (1 + same) / 2


def test_the_ends_of_taus_interval_give_what_was_seen_in_2_of_100_samples_and_a_half():
    first = range(9)
    second = [2, 1, 3, 4, 7, 5, 6, 8, 9]
    found = rank_correlation(first, second)
    assert found.tau == round(30 / 36, 12)
    share = (1 + found.tau) / 2
    assert (concordance(found.low, 9, 20_000) >= share - 1e-9).mean() == pytest.approx(0.025, abs=0.008)
    assert (concordance(found.high, 9, 20_000) <= share + 1e-9).mean() == pytest.approx(0.025, abs=0.008)


def test_an_agreement_of_all_rows_is_not_certain_to_hold_for_others():
    found = rank_correlation(range(9), range(9))
    assert (found.tau, found.high) == (1.0, 1.0)
    assert (concordance(found.low, 9, 20_000) > 1 - 1e-9).mean() == pytest.approx(0.025, abs=0.008)


def test_the_opposite_order_has_the_opposite_tau():
    found, opposite = rank_correlation(range(9), range(9)), rank_correlation(range(9), range(9, 0, -1))
    assert (opposite.tau, opposite.low) == (-1.0, -1.0)
    assert opposite.high == pytest.approx(-sure(found.low))


def test_ties_widen_the_interval():
    tied, whole = rank_correlation([1, 2, 2, 3, 4], [1, 2, 3, 4, 5]), rank_correlation(range(5), range(5))
    assert sure(tied.low) <= sure(whole.low)
    assert (sure(tied.tau) < 1, tied.high) == (True, 1.0)


def test_many_rows_are_sampled_within_little_memory():
    found = rank_correlation(range(150), [*range(1, 150), 0])
    assert sure(found.low) < sure(found.tau) < sure(found.high)
