import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvit_nas.maths.statistics import Difference, detectable_deviations, paired_difference
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY, COSTS, LATENCY, MACS, PARAMS
from mvit_nas.results.ablation.summary import Verdict, summarise, value_words, verdict
from mvit_nas.results.table import read_table, table_of, write_table
from mvit_nas.study.origin import Ablated, PlannedVariant
from mvit_nas.study.record import Measured
from mvit_nas.study.table import MATCHED, PARAM

relaxed = settings(deadline=None, max_examples=25)  # the machine may be busy

# Depth 2 is the base. Against it, depth 4 differs by .02 .04 .01 .07 (mean .035), depth 6 by -.05 -.05 -.06 -.05.
DEPTHS = {"2": [0.70, 0.71, 0.69, 0.72], "4": [0.72, 0.75, 0.70, 0.79], "6": [0.65, 0.66, 0.63, 0.67]}

# Against the base, a patch of 4 alone does -.02 -.03 -.01, a depth of 3 alone .05 .02 .04, and both together do
# .06 .05 -.01, which is .03 .06 -.04 more than their sum.
TWO = {
    ("2", "1"): [0.60, 0.64, 0.71],
    ("4", "1"): [0.58, 0.61, 0.70],
    ("2", "3"): [0.65, 0.66, 0.75],
    ("4", "3"): [0.66, 0.69, 0.70],
}


def run(labels, seed, accuracy, *, matched="", **cells):
    """A row of the table; without an accuracy, of a run that failed."""
    state = "failed" if accuracy is None else "complete"
    factors = {PARAM + name: label for name, label in labels.items()}
    return {"state": state, "accuracy": accuracy, "seed": seed, MATCHED: matched} | factors | cells


def variant(labels, *, is_base=False, matched="", arch_id="a", notes=()):
    return PlannedVariant(labels=labels, matched=matched, is_base=is_base, arch_id=arch_id, notes=notes)


def plan(factors, variants):
    return Ablated(
        factors=factors, base="x", variants=tuple(variants), left_out=(), seeds=(), precision=None, stopped=""
    )


def depth_plan(depths=DEPTHS, base="2", more=()):
    return plan(("depth",), [*(variant({"depth": depth}, is_base=depth == base) for depth in depths), *more])


def summed_up(rows, planned, score=ACCURACY):
    return summarise(table_of(rows).records, planned, score)


def depth_runs(accuracies=DEPTHS):
    """Seeds are 10, 11 and so on: no seed is its own position."""
    return [
        run({"depth": depth}, 10 + index, accuracy)
        for depth, values in accuracies.items()
        for index, accuracy in enumerate(values)
    ]


def summary_of(accuracies):
    return summed_up(depth_runs(accuracies), depth_plan(accuracies))


def two_factors(accuracies=TWO, *, extra_runs=(), extra_variants=()):
    runs = [
        run({"patch_size": patch, "depth": depth}, seed, accuracy)
        for (patch, depth), values in accuracies.items()
        for seed, accuracy in enumerate(values)
    ]
    variants = [
        variant({"patch_size": patch, "depth": depth}, is_base=(patch, depth) == ("2", "1"))
        for patch, depth in accuracies
    ]
    return summed_up([*runs, *extra_runs], plan(("patch_size", "depth"), [*variants, *extra_variants]))


def test_variants_are_judged_by_the_score_that_was_chosen():
    runs = [one | {"balanced_accuracy": 1 - one["accuracy"]} for one in depth_runs()]
    summary = summed_up(runs, depth_plan(), BALANCED_ACCURACY)
    assert [v.score for v in summary.variants] == pytest.approx([0.295, 0.26, 0.3475])
    assert summary.others[1].verdict is Verdict.BETTER
    assert summary_of(DEPTHS).others[1].verdict is Verdict.WORSE
    # Runs from before it was computed have none, and nothing is judged.
    assert summed_up(depth_runs(), depth_plan(), BALANCED_ACCURACY).others[0].verdict is Verdict.TOO_FEW


def test_every_variant_has_its_mean_its_spread_and_its_difference_from_the_base():
    summary = summary_of(DEPTHS)
    assert summary.factors == ("depth",)
    assert [v.value for v in summary.variants] == ["2", "4", "6"]
    assert [v.is_base for v in summary.variants] == [True, False, False]
    assert [v.runs for v in summary.variants] == [4, 4, 4]
    assert [v.failed for v in summary.variants] == [0, 0, 0]
    assert [v.score for v in summary.variants] == pytest.approx([0.705, 0.74, 0.6525])
    # Squares about the base's mean: .000025 .000025 .000225 .000225.
    assert summary.base.spread == pytest.approx(math.sqrt(0.0005 / 3))
    assert summary.variants[1].spread == pytest.approx(math.sqrt(0.0046 / 3))
    assert summary.base.difference is None
    assert summary.base.p_holm is None
    assert [v.difference.mean for v in summary.others] == pytest.approx([0.035, -0.0525])
    assert summary.seeds == (10, 11, 12, 13)
    assert summary.interactions == ()


def test_the_base_is_the_one_that_the_plan_names_wherever_it_stands():
    summary = summed_up(depth_runs(), depth_plan(base="6"))
    assert summary.base.value == "6"
    assert [v.value for v in summary.others] == ["2", "4"]
    assert [v.difference.mean for v in summary.others] == pytest.approx([0.0525, 0.0875])


def test_holms_family_is_all_variants_but_the_base():
    summary = summary_of(DEPTHS)
    four, six = summary.others
    assert six.difference.p < four.difference.p  # six is corrected by 2, four by 1
    assert six.p_holm == pytest.approx(2 * six.difference.p)
    assert four.p_holm == pytest.approx(four.difference.p)
    assert six.difference == paired_difference(DEPTHS["6"], DEPTHS["2"], comparisons=2)
    deviation = math.sqrt((3 * 0.0025**2 + 0.0075**2) / 3)
    assert six.difference.detectable == pytest.approx(detectable_deviations(4, 2) * deviation)


def test_verdicts_are_better_worse_and_nothing_shown():
    summary = summary_of(DEPTHS | {"8": [0.74, 0.76, 0.735, 0.76]})
    assert [v.verdict for v in summary.variants] == [Verdict.BASE, Verdict.NOT_SHOWN, Verdict.WORSE, Verdict.BETTER]
    assert [v.verdict_words for v in summary.variants] == ["base", "no difference shown", "worse", "better"]


def test_a_verdict_is_of_the_corrected_p_value():
    """.04, .05, .013 apart: shown alone, not among three."""
    runs = {"2": [0.70, 0.71, 0.69, 0.72], "4": [0.72, 0.74, 0.70, 0.76]}
    alone = summary_of(runs).variants[1]
    among = summary_of(runs | {"6": [0.71, 0.69, 0.70, 0.72], "8": [0.69, 0.72, 0.69, 0.71]}).variants[1]
    assert among.difference.p == alone.difference.p < 0.05 < among.p_holm
    assert (alone.verdict, among.verdict) == (Verdict.BETTER, Verdict.NOT_SHOWN)


@pytest.mark.parametrize(
    ("p_holm", "mean", "found"),
    [
        (0.049, 0.01, Verdict.BETTER),
        (0.049, -0.01, Verdict.WORSE),
        (0.051, 0.01, Verdict.NOT_SHOWN),
        (0.09, -0.01, Verdict.NOT_SHOWN),
        (None, 0.01, Verdict.NO_SPREAD),
    ],
)
def test_a_difference_is_shown_below_a_p_value_of_five_percent(p_holm, mean, found):
    difference = Difference(pairs=3, mean=mean, low=None, high=None, effect_size=None, p=p_holm, detectable=None)
    assert verdict(difference, p_holm) is found


@relaxed
@given(st.permutations(depth_runs()))
def test_runs_are_paired_by_their_seed_in_whatever_order_they_ended(runs):
    assert summed_up(runs, depth_plan()) == summary_of(DEPTHS)


def test_a_seed_that_one_variant_lacks_is_left_out_of_its_pairs_only():
    runs = [row for row in depth_runs() if (row["param.depth"], row["seed"]) != ("4", 11)]
    _, four, six = summed_up(runs, depth_plan()).variants
    assert (four.runs, four.failed, four.difference.pairs) == (3, 0, 3)
    assert four.difference.mean == pytest.approx((0.02 + 0.01 + 0.07) / 3)
    assert six.difference == summary_of(DEPTHS).variants[2].difference


def test_the_seeds_are_in_order():
    runs = [run({"depth": depth}, seed, 0.7) for depth in DEPTHS for seed in (10, 33, 3)]
    assert summed_up(runs, depth_plan()).seeds == (3, 10, 33)


def test_a_seed_that_only_a_variant_has_makes_no_pair():
    summary = summed_up([*depth_runs(), run({"depth": "4"}, 3, 0.9)], depth_plan())
    assert summary.seeds == (3, 10, 11, 12, 13)
    assert summary.variants[1].runs == 5
    assert summary.variants[1].score == pytest.approx((0.72 + 0.75 + 0.70 + 0.79 + 0.9) / 5)
    assert summary.variants[1].difference == summary_of(DEPTHS).variants[1].difference


def test_a_failed_run_is_counted_and_named_and_its_pair_is_left_out():
    base, four, six = summary_of(DEPTHS | {"4": [0.72, None, 0.70, 0.79]}).variants
    assert (four.runs, four.failed) == (4, 1)
    assert four.verdict_words == "failed in 1 of 4 runs"
    assert four.score == pytest.approx((0.72 + 0.70 + 0.79) / 3)
    assert four.difference == paired_difference([0.72, 0.70, 0.79], [0.70, 0.69, 0.72], comparisons=2)
    assert four.p_holm is not None
    assert (base.verdict, six.verdict, six.difference.pairs) == (Verdict.BASE, Verdict.WORSE, 4)


def test_a_variant_of_which_all_runs_failed_still_stands_in_the_summary_and_in_holms_family():
    _, four, six = summary_of(DEPTHS | {"4": [None, None, None, None]}).variants
    assert (four.runs, four.failed, four.verdict_words) == (4, 4, "failed in 4 of 4 runs")
    assert (four.score, four.spread, four.p_holm) == (None, None, None)
    assert four.difference == paired_difference([], [])
    assert six.p_holm == pytest.approx(2 * six.difference.p)


def test_a_base_that_failed_in_one_seed_is_named_and_takes_that_pair_from_all():
    summary = summary_of(DEPTHS | {"2": [0.70, 0.71, None, 0.72]})
    assert (summary.base.verdict_words, summary.base.failed) == ("failed in 1 of 4 runs", 1)
    assert summary.base.score == pytest.approx((0.70 + 0.71 + 0.72) / 3)
    assert [v.difference.pairs for v in summary.others] == [3, 3]
    assert [v.failed for v in summary.others] == [0, 0]
    assert summary.others[0].difference.mean == pytest.approx((0.02 + 0.04 + 0.07) / 3)
    assert summary.others[0].score == pytest.approx(0.74)


def test_a_base_that_failed_leaves_too_few_seeds_and_not_a_silent_nothing():
    summary = summary_of({"2": [0.70, None, 0.69], "4": [0.72, 0.75, 0.70]})
    assert summary.others[0].verdict_words == "too few seeds (2 of at least 3)"
    assert summary.others[0].difference.mean == pytest.approx(0.015)
    assert summary.others[0].p_holm is None


def test_a_variant_that_was_not_run_yet_says_so_and_counts_in_holms_family():
    runs = [row for row in depth_runs() if row["param.depth"] != "4"]
    _, four, six = summed_up(runs, depth_plan()).variants
    assert (four.verdict_words, four.runs, four.failed) == ("not run yet", 0, 0)
    assert (four.score, four.spread, four.p_holm) == (None, None, None)
    assert (four.difference.pairs, four.difference.mean) == (0, None)
    assert (four.costs, four.cost(PARAMS)) == ({}, None)
    assert six.p_holm == pytest.approx(2 * six.difference.p)


def test_what_an_early_variant_shows_does_not_change_when_a_later_one_is_run_and_shows_nothing():
    runs = DEPTHS | {"4": [0.70, 0.72, 0.68, 0.72]}
    early = summed_up([r for r in depth_runs(runs) if r["param.depth"] != "4"], depth_plan())
    assert early.variants[2] == summary_of(runs).variants[2]


def test_one_run_has_an_accuracy_and_no_spread():
    summary = summary_of({"2": [0.70], "4": [0.75]})
    assert (summary.others[0].score, summary.others[0].spread) == (0.75, None)
    assert summary.others[0].verdict_words == "too few seeds (1 of at least 3)"


def test_seeds_that_all_differ_by_the_same_are_no_proof():
    summary = summary_of({"2": [0.70, 0.71, 0.69], "4": [0.75, 0.76, 0.74]})
    assert summary.others[0].verdict_words == "no spread between seeds"


@relaxed
@given(
    st.lists(
        st.tuples(*[st.one_of(st.none(), st.integers(0, 360).map(lambda right: right / 360))] * 3),
        min_size=1,
        max_size=6,
    )
)
def test_no_run_is_lost_and_every_failed_one_is_named(rows):
    runs = {depth: [row[index] for row in rows] for index, depth in enumerate(DEPTHS)}
    for variant_, values in zip(summary_of(runs).variants, runs.values(), strict=True):
        failed = values.count(None)
        assert (variant_.runs, variant_.failed) == (len(values), failed)
        assert (variant_.verdict is Verdict.FAILED) == (failed > 0)
        if failed:
            assert variant_.verdict_words == f"failed in {failed} of {len(values)} runs"


def test_the_largest_is_the_farthest_from_the_base_either_way():
    assert summary_of(DEPTHS).largest.value == "6"
    assert summary_of(DEPTHS | {"6": [0.69, 0.70, 0.68, 0.71]}).largest.value == "4"


def test_there_is_no_largest_before_a_pair_is_there():
    runs = [row for row in depth_runs() if row["param.depth"] == "2"]
    assert summed_up(runs, depth_plan()).largest is None
    one = [*runs, run({"depth": "4"}, 10, 0.71)]
    assert summed_up(one, depth_plan()).largest.value == "4"


@pytest.mark.parametrize(
    ("labels", "matched", "words"),
    [
        ({"depth": "4"}, "", "4"),
        ({"depth": "4"}, "macs", "4 at equal macs"),
        ({"depth": "4"}, "latency_ms", "4 at equal latency"),
        ({"patch_size": "4", "depth": "1"}, "", "patch_size 4, depth 1"),
        ({"patch_size": "4", "depth": "1"}, "params", "patch_size 4, depth 1 at equal params"),
    ],
)
def test_a_variant_in_words(labels, matched, words):
    assert value_words(labels, matched) == words


def test_a_matched_variant_is_one_of_its_own_and_counts_in_holms_family():
    planned = depth_plan(more=[variant({"depth": "6"}, matched="macs", arch_id="b", notes=("wider",))])
    matched = [run({"depth": "6"}, 10 + i, a, matched="macs") for i, a in enumerate([0.69, 0.72, 0.69, 0.74])]
    _, four, six, six_matched = summed_up([*matched, *depth_runs()], planned).variants
    assert (six_matched.value, six_matched.matched, six_matched.arch_id) == ("6 at equal macs", "macs", "b")
    assert six_matched.notes == ("wider",)
    assert six_matched.score == pytest.approx(0.71)
    assert six_matched.difference.mean == pytest.approx(0.005)  # from the base, not from the free 6
    assert (six.score, six.runs) == (pytest.approx(0.6525), 4)
    assert six.p_holm == pytest.approx(3 * six.difference.p)
    assert four.p_holm == pytest.approx(2 * four.difference.p)
    assert six.difference.detectable == paired_difference(DEPTHS["6"], DEPTHS["2"], comparisons=3).detectable


def test_costs_are_those_of_the_first_run_that_has_them():
    costs = {"params": 1_272_024, "macs": 3 * 10**8, "latency_ms": 5.5, "latency_low_ms": 5.25, "latency_high_ms": 6.0}
    runs = [run({"depth": "2"}, 0, 0.7, params=9), run({"depth": "4"}, 0, None), run({"depth": "4"}, 1, 0.8, **costs)]
    base, four = summed_up(runs, depth_plan({"2": [], "4": []})).variants
    assert [four.cost(metric) for metric in COSTS] == [1_272_024, 300_000_000, 5.5]
    assert four.costs[LATENCY.name] == Measured(value=5.5, low=5.25, high=6.0)
    assert all(type(four.cost(metric)) is int for metric in (PARAMS, MACS))
    assert (base.cost(PARAMS), list(base.costs)) == (9, [PARAMS.name])


def test_two_factors_and_their_interaction_by_hand():
    summary = two_factors()
    assert [v.value for v in summary.variants][3] == "patch_size 4, depth 3"
    assert [v.difference.mean for v in summary.others] == pytest.approx([-0.02, 0.11 / 3, 0.10 / 3])
    (interaction,) = summary.interactions
    assert (interaction.value, interaction.difference.pairs) == ("patch_size 4, depth 3", 3)
    # .03 .06 -.04: mean .05/3; squares about it 1.6, 16.9 and 28.9 over 9000, so a variance of 47.4 over 18000.
    assert interaction.difference.mean == pytest.approx(0.05 / 3)
    half = 4.302653 * math.sqrt(47.4 / 18000 / 3)  # the 97.5 % point of t with 2 degrees of freedom, from a table
    assert interaction.difference.half_width == pytest.approx(half, abs=1e-7)
    assert interaction.p_holm == interaction.difference.p  # a family of its own, of one
    assert interaction.verdict_words == "no difference shown"


def test_every_pair_of_changed_values_is_an_interaction_in_one_family():
    more = TWO | {
        ("8", "1"): [0.55, 0.60, 0.66],
        ("8", "3"): [0.50, 0.52, 0.605],
        ("1", "3"): [0.60, 0.61, 0.62],  # there is no ("1", "1"), so nothing to add up
    }
    four, eight = two_factors(more).interactions
    assert [four.value, eight.value] == ["patch_size 4, depth 3", "patch_size 8, depth 3"]
    # .50 - .55 - .65 + .60 and so on: -.10, -.10, -.095.
    assert eight.difference.mean == pytest.approx(-0.295 / 3)
    assert eight.p_holm == pytest.approx(2 * eight.difference.p)
    assert four.p_holm == pytest.approx(four.difference.p)
    assert eight.verdict_words == "less than the sum"
    assert eight.difference.detectable == pytest.approx(detectable_deviations(3, 2) * math.sqrt(0.00005 / 6))


def test_an_interaction_can_be_more_than_the_sum():
    runs = TWO | {("4", "3"): [0.73, 0.73, 0.841]}  # .10 .10 .101 more
    (interaction,) = two_factors(runs).interactions
    assert interaction.verdict_words == "more than the sum"


def test_an_interaction_needs_a_seed_of_all_four():
    runs: dict[tuple[str, str], list[float | None]] = {labels: list(values) for labels, values in TWO.items()}
    runs["2", "3"][1] = None
    (interaction,) = two_factors(runs).interactions
    assert (interaction.difference.pairs, interaction.difference.mean) == (2, pytest.approx(-0.005))
    assert interaction.verdict_words == "too few seeds (2 of at least 3)"


def test_a_matched_variant_is_in_no_interaction():
    labels = {"patch_size": "4", "depth": "3"}
    runs = [run(labels, seed, accuracy, matched="params") for seed, accuracy in enumerate([0.9, 0.8, 0.95])]
    summary = two_factors(extra_runs=runs, extra_variants=[variant(labels, matched="params")])
    assert len(summary.others) == 4
    assert summary.interactions == two_factors().interactions


def test_a_table_says_the_same_after_a_way_over_the_disk(tmp_path):
    table = table_of(depth_runs())
    write_table(table, tmp_path / "runs.csv")
    assert summarise(read_table(tmp_path / "runs.csv").records, depth_plan(), ACCURACY) == summary_of(DEPTHS)
