import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from comparisons import CONDITIONS, by_hand, environment, example, flat, row, study, with_latency, write_data
from sure import sure

from mvit_nas.cli.app import main
from mvit_nas.errors import InputError
from mvit_nas.maths.statistics import paired_difference, welch_interval
from mvit_nas.metrics import LATENCY, PARAMS
from mvit_nas.results.comparison.comparison import (
    Curve,
    LikeRandom,
    compare_studies,
    document,
    like_random,
    spent_to_reach,
)
from mvit_nas.results.comparison.gains import Verdict
from mvit_nas.results.comparison.page import cards, gain_words, headline, like_random_sentences, page_data, title
from mvit_nas.results.page import Card
from mvit_nas.results.report import read_study, write_comparison

# Numbers


def test_hypervolume_against_compute_is_a_mean_of_steps_with_its_extent():
    comparison = compare_studies(by_hand())
    assert [method.label for method in comparison.methods] == ["cost-aware", "tpe"]
    assert comparison.reference == {"accuracy": 0.0, "params": 64.0}  # the worst corner of all
    assert comparison.trainings == 3.0
    first, second = comparison.methods
    assert first.trainings == (3.5, 3.0)
    assert first.hypervolumes == pytest.approx((0.4, 0.6))
    assert second.hypervolumes == pytest.approx((1 / 3, 0.2 + 0.2 / 6))
    # It ends where the first seed ended.
    assert first.by_trainings.x == (0.0, 1.0, 1.5, 2.0, 2.5, 3.0)
    assert first.by_trainings.mean == pytest.approx((0.0, 0.275, 0.275, 0.275, 0.35, 0.5))
    assert first.by_trainings.low == pytest.approx((0.0, 0.25, 0.25, 0.25, 0.3, 0.4))
    assert first.by_trainings.high == pytest.approx((0.0, 0.3, 0.3, 0.3, 0.4, 0.6))
    # Seconds of training; the failed one counts what its trial took: 20, 30, 50, 70 and 20, 45, 65.
    assert sure(first.by_seconds).x == (0.0, 20.0, 30.0, 45.0, 50.0, 65.0)
    assert sure(first.by_seconds).mean == pytest.approx((0.0, 0.275, 0.275, 0.275, 0.35, 0.5))


def test_the_box_reaches_to_the_worst_of_all_corners():
    corners = [{"accuracy": 0.2, "params": 8.0}, {"accuracy": 0.1, "params": 10.0}, {"accuracy": 0.3, "params": 9.0}]
    studies = [flat(f"s{i}", i, "tpe", 0.5, hypervolume_reference=corner) for i, corner in enumerate(corners)]
    comparison = compare_studies(studies)
    assert comparison.reference == {"accuracy": 0.1, "params": 10.0}
    assert comparison.methods[0].hypervolumes == pytest.approx([(0.5 - 0.1) / (1 - 0.1)] * 3)


def test_the_median_attainment_is_what_half_of_the_seeds_reach_at_equal_compute():
    first, second = compare_studies(by_hand()).methods
    # Of two seeds one suffices: the better of both. (0.9, 1) came after more compute than all had.
    assert first.attained == ((0.0, 0.6), (8.0, 0.8))
    assert second.attained == ((4.0, 0.5), (32.0, 0.6))
    rows = [[row(0.5, 2), row(0.9, 4)], [row(0.6, 3)], [row(0.4, 1), row(0.7, 5)]]
    three = [study(f"s{seed}", seed, "tpe", [*some, row(0.1, 9)][:2]) for seed, some in enumerate(rows)]
    # Of three it takes two: sorted, at 1: 0.4; at 2: 0.5, 0.4; at 3: 0.6, 0.5, 0.4; at 4: 0.9, 0.6; at 5: 0.9, 0.7.
    (method,) = compare_studies(three).methods
    assert method.attained == ((2.0, 0.4), (3.0, 0.5), (4.0, 0.6), (5.0, 0.7))


def test_with_one_seed_the_attainment_is_the_front_and_no_spread_is_known():
    comparison = compare_studies([by_hand()[0], by_hand()[2]])
    assert comparison.methods[0].attained == ((8.0, 0.8),)
    gain = sure(comparison.methods[1].gain)
    assert gain.difference == pytest.approx(1 / 3 - 0.4)
    assert gain.interval is None
    assert gain_words(gain) == "-6.7 (one seed: no spread is known)"


def test_two_shared_seeds_are_too_few_for_an_interval():
    gain = sure(compare_studies(by_hand()).methods[1].gain)
    assert gain.paired
    assert gain_words(gain) == "-21.7 (2 seeds: too few for an interval)"


def test_shared_seeds_are_paired_and_others_compared_by_welch():
    values, base = [0.45, 0.53, 0.61, 0.72], [0.4, 0.5, 0.6, 0.7]
    first = [flat(f"a{seed}", seed, "tpe", volume) for seed, volume in enumerate(base)]
    second = [flat(f"b{seed}", seed, "gp", volume) for seed, volume in enumerate(values)]
    gain = sure(compare_studies(first + second).methods[1].gain)
    expected = paired_difference(values, base)
    assert (gain.paired, gain.pairs) == (True, 4)
    assert (gain.difference, *sure(gain.interval)) == pytest.approx((expected.mean, expected.low, expected.high))
    others = [flat(f"b{seed}", seed + 2, "gp", volume) for seed, volume in enumerate(values)]
    gain = sure(compare_studies(first + others).methods[1].gain)
    low, high = sure(welch_interval(values, base))
    assert (gain.paired, gain.pairs) == (False, None)
    assert (gain.difference, *sure(gain.interval)) == pytest.approx((0.0275, low, high))
    # Three shared seeds of four are pairs, and the others are left out.
    some = [flat(f"b{seed}", seed + 1, "gp", volume) for seed, volume in enumerate(values)]
    gain = sure(compare_studies(first + some).methods[1].gain)
    assert (gain.paired, gain.pairs) == (True, 3)
    assert gain.difference == pytest.approx((0.45 + 0.53 + 0.61 - 0.5 - 0.6 - 0.7) / 3)


def test_the_fewer_seeds_of_the_two_are_said_where_they_are_not_shared():
    first = [flat(f"a{seed}", seed, "tpe", 0.4 + seed / 10) for seed in range(4)]
    second = [flat(f"b{seed}", seed, "gp", 0.3 + seed / 10) for seed in (4, 5)]
    gain = sure(compare_studies(first + second).methods[1].gain)
    assert (gain.paired, gain.pairs, gain.note) == (False, None, "2 seeds: too few for an interval")


def test_welchs_interval_is_the_textbooks():
    # Variances 1 and 4 of three values each: standard error sqrt(5 / 3); (1/3 + 4/3)^2 / ((1/3)^2 / 2 + (4/3)^2 / 2)
    # = 2.9412 degrees of freedom, whose 97.5 % point of t is 3.2186.
    low, high = sure(welch_interval([1, 2, 3], [3, 5, 7]))
    assert (low + high) / 2 == pytest.approx(-3)
    assert (high - low) / 2 == pytest.approx(3.2186 * math.sqrt(5 / 3), rel=1e-3)
    assert welch_interval([1, 2], [3, 5, 7]) is None
    assert welch_interval([1, 1, 1], [2, 2, 2]) is None


def test_seeds_that_all_differ_by_the_same_have_no_interval():
    first = [flat(f"a{seed}", seed, "tpe", 0.25 + seed / 8) for seed in range(3)]
    second = [flat(f"b{seed}", seed, "gp", 0.375 + seed / 8) for seed in range(3)]
    assert gain_words(sure(compare_studies(first + second).methods[1].gain)) == "+12.5 (all seeds differ by the same)"


def test_old_tables_count_each_training_as_whole():
    rows = [{k: v for k, v in row(0.5, 5).items() if k not in ("trainings", "training_seconds")} for _ in range(2)]
    comparison = compare_studies([by_hand()[1], study("old", 3, "tpe", rows)])
    assert comparison.trainings == 2.0
    assert comparison.methods[0].by_seconds is None
    assert comparison.notes == (
        "There is no plot over seconds: the table of old does not say how long each training took.",
    )


def test_seconds_of_different_machines_are_not_compared():
    other = flat("b0", 0, "tpe", 0.5, hardware={"processor": "AMD EPYC 7B13", "cores": 2, "gpu": "NVIDIA H100"})
    comparison = compare_studies([by_hand()[0], other])
    assert comparison.notes == (
        "There is no plot over seconds: a0 and b0 were trained on different machines (AMD EPYC 7B13, 2 cores; NVIDIA H100).",
    )


def test_what_was_reached_when_is_read_from_the_mean():
    curve = Curve(x=(0.0, 1.0, 2.5), mean=(0.0, 0.25, 0.5), low=(), high=())
    assert [spent_to_reach(curve, volume) for volume in (0.0, 0.25, 0.3, 0.6)] == [0.0, 1.0, 2.5, None]


# Who is compared with whom


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ([{"sampler": "cost-aware", "early_stopping": True}, {"sampler": "tpe"}], ["cost-aware + stopping", "tpe"]),
        ([{"sampler": "tpe", "early_stopping": True}, {"sampler": "tpe"}], ["stopping", "no stopping"]),
        ([{"baseline": 0.25}, {}, {"sampler": "gp"}], ["tpe + 25 % at random", "tpe", "gp"]),
        ([{"budgets": []}, {}], ["no budget", "at most 6M parameters"]),
        ([{"image_size": 32}, {"image_size": 64}], ["32 px", "64 px"]),
        ([{"early_stopping": True}, {"early_stopping": True, "seed": 7}], ["tpe + stopping"]),
        # A setting that came later counts where it is used.
        ([{"later": True}, {"later": False}, {"seed": 7}], ["later", "no later"]),
        ([{"later": 4}, {"later": 8}], ["later 4", "later 8"]),
    ],
)  # fmt: skip
def test_a_label_says_what_differs(options, labels):
    studies = [flat(f"s{index}", 0, "tpe", 0.5, experiment=changes) for index, changes in enumerate(options)]
    assert [method.label for method in compare_studies(studies).methods] == labels


def test_spaces_of_one_name_are_told_apart():
    texts = [f"base: mobilevit_{size}\n" for size in ("xs", "s", "xxs")]
    studies = [
        flat(f"s{index}", 0, "tpe", 0.5, space={"name": "mine", "text": text}) for index, text in enumerate(texts)
    ]
    assert [method.label for method in compare_studies(studies).methods] == ["mine", "mine (2)", "mine (3)"]


def test_how_many_trainings_were_allowed_makes_no_other_method():
    studies = [flat(name, seed, "tpe", 0.5, experiment={"trials": seed}) for seed, name in enumerate("ab")]
    assert len(compare_studies(studies).methods) == 1


def test_latencies_under_the_same_conditions_count():
    comparison = compare_studies([with_latency("a", 0), with_latency("b", 1)])
    assert [metric.name for metric in comparison.objectives] == ["accuracy", "params", "latency_ms"]
    assert comparison.methods[0].mean == pytest.approx(0.5 / 6**2)
    assert comparison.notes == ()


def test_a_search_from_before_machines_were_kept_measured_on_its_own_processor():
    hardware = [{"processor": name, "gpu": None} for name in ("AMD EPYC 7B13", "Apple M4", "Apple M4")]
    first, second, third = (
        with_latency(name, seed, machine=None, hardware=one)
        for seed, (name, one) in enumerate(zip("abc", hardware, strict=True))
    )
    assert compare_studies([second, third]).notes == ()
    (note, _) = compare_studies([first, second]).notes
    assert note.endswith("a and b measured it under different conditions (machine: AMD EPYC 7B13 and Apple M4).")


def test_a_latency_that_cannot_be_compared_is_no_axis_either():
    budgets = [{"metric": "latency_ms", "low": 0.0, "high": 9.0}, {"metric": "params", "low": 0.0, "high": 6e6}]
    same, other = with_latency("b", 1, budgets=budgets), with_latency("b", 1, budgets=budgets, reference_ms=4.4)
    first = with_latency("a", 0, budgets=budgets)
    assert compare_studies([first, same]).cost is LATENCY
    assert compare_studies([first, other]).cost is PARAMS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"machine": "desk; Apple M4"}, "machine: bench; AMD EPYC 7B13 and desk; Apple M4"),
        ({"reference_ms": 4.4}, "reference ms: 4.2 and 4.4"),
    ],
)
def test_latencies_under_other_conditions_are_left_out(changes, words):
    comparison = compare_studies([with_latency("a", 0), with_latency("b", 1, **changes)])
    assert [metric.name for metric in comparison.objectives] == ["accuracy", "params"]
    assert comparison.methods[0].mean == pytest.approx(0.5 / 6)
    reason = f"a and b measured it under different conditions ({words})"
    assert comparison.notes == (f"Latency is left out of the hypervolume: {reason}.",)
    only = ("accuracy", "latency_ms")
    with pytest.raises(InputError) as error:
        compare_studies([with_latency("a", 0, only), with_latency("b", 1, only, **changes)])
    assert str(error.value) == f"{reason}, and accuracy and latency are all that they measured: measure both under one"


# Errors


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            lambda: flat("b", 0, "gp", 0.5, data={"name": "x", "fingerprint": "sha256:77", "images": {"train": 1077, "validation": 360, "test": 360}}),
            "a and b cannot be compared, they differ in data (sha256:4b0c9d31 and sha256:77)",
        ),
        (
            lambda: flat("b", 0, "gp", 0.5, experiment={"schedule": {"name": "smoke", "epochs": 1}}),
            "a and b cannot be compared, they differ in schedule.name (short and smoke), schedule.epochs (8 and 1)",
        ),
        (
            lambda: flat("b", 0, "gp", 0.5, experiment={"objectives": ["accuracy", "macs"]}),
            "a and b cannot be compared, they differ in objectives (accuracy, params and accuracy, macs)",
        ),
        (
            lambda: study("b", 0, "gp", [row(None, 5, state="failed")]),
            "b has no trained candidate yet: leave it out, or let it run on",
        ),
        (lambda: flat("a", 1, "gp", 0.5), "a is named twice: name each study once"),
        (
            lambda: flat("b", 0, "gp", 0.5, hypervolume_reference={"accuracy": 0.0}),
            "b: environment.json lacks 'hypervolume_reference.params'",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_line_that_says_why(other, message):
    with pytest.raises(InputError) as error:
        compare_studies([flat("a", 0, "tpe", 0.5), other()])
    assert str(error.value) == message


def test_one_study_is_no_comparison():
    with pytest.raises(
        InputError, match=r"^compare takes at least two studies; the page of one is made by mvit-nas report$"
    ):
        compare_studies(by_hand()[:1])


def test_a_box_without_room_is_an_error():
    studies = [flat("a", 0, "tpe", 0.5, reference=0.0), flat("b", 1, "tpe", 0.5, reference=0.0)]
    with pytest.raises(InputError, match=r"^the hypervolume's reference for params, 0, leaves no box$"):
        compare_studies(studies)


# Random sampling


def random_and(*rows):
    """A search of so many ``rows`` beside random sampling of three: a quarter, a third and 0.4 of the box."""
    drawn = study("r0", 0, "random", [row(0.5, 8), row(0.5, 4), row(0.6, 4)])
    return compare_studies([drawn, study("a0", 0, "tpe", rows)])


def test_how_many_trainings_the_others_needed_for_what_random_sampling_had_in_the_end():
    found = random_and(row(0.5, 8), row(0.8, 8), row(0.9, 1))
    random, other = found.methods
    assert like_random(found, random) is None
    assert like_random(found, other) == LikeRandom(trainings=2.0, random=3.0, volume=random.mean)
    assert list(like_random_sentences(found)) == [
        "After 2 trainings tpe had what random sampling had after 3 trainings (40.0 %)."
    ]
    verdict, against, _ = cards(found)
    assert set(like_random_sentences(found)) <= set(verdict.sentences)
    assert not any("had reached" in one for one in against.sentences)
    written: Any = document(found)
    assert [one["like_random"] for one in written["methods"]] == [
        None, {"trainings": 2.0, "random": 3.0, "volume": pytest.approx(0.4)}
    ]  # fmt: skip


def test_that_it_was_not_reached_is_said_with_the_trainings_that_there_were():
    found = random_and(row(0.5, 8), row(0.7, 8))
    assert list(like_random_sentences(found)) == [
        "In 2 trainings tpe did not reach what random sampling had after 3 trainings (40.0 %)."
    ]
    written: Any = document(found)
    assert written["methods"][1]["like_random"]["trainings"] is None


def test_where_random_sampling_is_not_there_or_found_nothing_there_is_nothing_to_reach():
    assert list(like_random_sentences(compare_studies(by_hand()))) == []
    empty = compare_studies([study("r0", 0, "random", [row(0.5, 100)]), study("a0", 0, "tpe", [row(0.5, 8)])])
    assert list(like_random_sentences(empty)) == []


# The page


def test_the_cards_say_it_in_sentences():
    comparison = compare_studies(by_hand())
    answer, other = cards(comparison)
    assert answer == Card(
        title="The verdict",
        subject="Too little is known to tell cost-aware from tpe, after 3 trainings (2 seeds each)",
        sentences=(
            "cost-aware: 50.0 % (2 seeds from 40.0 to 60.0 %) of the box.",
            "tpe: 28.3 % (2 seeds from 23.3 to 33.3 %) of the box.",
            (
                "The box holds every trade-off between a reference and the ideal, and is the same for all; the more of it "
                "is dominated by what a search found, the better that is."
            ),
        ),
    )
    assert other.title == "tpe against cost-aware"
    assert other.subject == "-21.7 points; 2 seeds: too few for an interval"
    assert other.sentences == (
        (
            "After 3 trainings each, tpe dominates 28.3 % of the box and cost-aware 50.0 %: a difference of -21.7 points; "
            "2 seeds: too few for an interval."
        ),
        "cost-aware had reached 28.3 % after 2.5 trainings, in the mean of its seeds.",
    )
    first = [flat(f"a{seed}", seed, "tpe", volume) for seed, volume in enumerate([0.4, 0.5, 0.6])]
    second = [flat(f"b{seed}", seed, "gp", volume) for seed, volume in enumerate([0.5, 0.61, 0.72])]
    third = [flat(f"c{seed}", seed, "random", volume) for seed, volume in enumerate([0.3, 0.38, 0.49])]
    answer, better, worse = cards(compare_studies(first + second + third))
    assert answer.subject == "gp finds more than tpe; tpe finds more than random, after 1 training (3 seeds each)"
    assert better.subject == "Finds more"
    assert better.sentences == (
        (
            "After 1 training each, gp dominates 61.0 % of the box and tpe 50.0 %: a difference of +11.0 points (95 % "
            "interval +8.5 to +13.5, over 3 paired seeds)."
        ),
    )
    assert worse.subject == "Finds less"


def test_where_no_difference_shows_no_way_is_named_first():
    first = [flat(f"a{seed}", seed, "tpe", volume) for seed, volume in enumerate([0.4, 0.5, 0.6])]
    second = [flat(f"b{seed}", seed, "gp", volume) for seed, volume in enumerate([0.5, 0.49, 0.68])]
    third = [flat(f"c{seed}", seed, "random", volume) for seed, volume in enumerate([0.5, 0.4, 0.7, 0.9])]
    subject = headline(compare_studies(first + second + third))
    assert subject == "No difference shown between tpe and gp or random, after 1 training (3 to 4 seeds)"


def test_the_same_with_every_seed_is_a_tie():
    first = [flat(f"a{seed}", seed, "tpe", volume) for seed, volume in enumerate([0.4, 0.5, 0.6])]
    second = [flat(f"b{seed}", seed, "gp", volume) for seed, volume in enumerate([0.4, 0.5, 0.6])]
    comparison = compare_studies(first + second)
    assert headline(comparison) == "A tie between tpe and gp, after 1 training (3 seeds each)"
    _, other = cards(comparison)
    assert other.subject == "Tie"
    assert other.sentences == (
        "After 1 training each, gp dominates 50.0 % of the box and tpe 50.0 %: the same with all 3 seeds.",
    )
    # The same in the mean alone is none.
    mixed = [flat(f"b{seed}", seed, "gp", volume) for seed, volume in enumerate([0.6, 0.5, 0.4])]
    assert sure(compare_studies(first + mixed).methods[1].gain).verdict is Verdict.NOT_SHOWN


def test_where_neither_has_anything_inside_the_box_that_is_said():
    first = [flat(f"a{seed}", seed, "tpe", 0.0) for seed in range(3)]
    second = [flat(f"b{seed}", seed, "gp", 0.0) for seed in range(3)]
    comparison = compare_studies(first + second)
    assert headline(comparison) == "Nothing that tpe or gp found is inside the box, after 1 training (3 seeds each)"
    _, other = cards(comparison)
    assert other.subject == "Nothing inside the box"
    assert other.sentences == (
        (
            "After 1 training each, no network that tpe or gp found is better than the reference in every goal, so there "
            "is nothing to compare."
        ),
    )
    # Seeds that are not shared say the same.
    apart = compare_studies([*first, *(flat(f"b{seed}", seed, "gp", 0.0) for seed in range(3, 6))])
    assert sure(apart.methods[1].gain).verdict is Verdict.NOTHING


def test_how_soon_nothing_was_reached_is_not_said():
    first = [flat(f"a{seed}", seed, "tpe", volume) for seed, volume in enumerate([0.4, 0.5, 0.6])]
    _, other = cards(compare_studies([*first, *(flat(f"b{seed}", seed, "gp", 0.0) for seed in range(3))]))
    assert len(other.sentences) == 1


def test_time_of_what_came_from_the_cache_is_marked():
    rows = [row(0.5, 5, cached=True), row(0.6, 5), row(0.7, 8, cached=True), row(None, 9, state="over_budget")]
    page = page_data(compare_studies([study("a", 0, "tpe", rows), flat("b", 0, "gp", 0.5)]), CONDITIONS)
    assert page.notes == (
        (
            "2 of 4 trainings came from the cache: their time is what they took when they first ran, and says nothing "
            "of a search's speed."
        ),
    )
    assert [one.cells[-1].detail for one in page.rows] == ["2 of 3 trainings from the cache: no speed", ""]


def test_accuracy_is_shown_for_each_cost_that_all_have():
    comparison = compare_studies(by_hand())
    assert [metric.name for metric in comparison.costs] == ["params", "macs"]
    assert comparison.methods[1].attained_by == (((4.0, 0.5), (32.0, 0.6)), ((400.0, 0.5), (3200.0, 0.6)))
    # A latency counts where it can be compared, also where it is no objective.
    only = ("accuracy", "params")
    both = compare_studies([with_latency("a", 0, only), with_latency("b", 1, only)])
    assert [metric.name for metric in both.costs][:1] == ["params"]
    assert "latency_ms" in [metric.name for metric in both.costs]
    apart = compare_studies([with_latency("a", 0, only), with_latency("b", 1, only, reference_ms=4.4)])
    assert "latency_ms" not in [metric.name for metric in apart.costs]
    assert apart.notes == ()


def test_the_title_is_the_question():
    assert title(example()) == "Which finds more: cost-aware + stopping, tpe or random?"
    assert title(compare_studies(by_hand()[:2])) == "cost-aware over 2 seeds"


def test_the_page_has_a_line_a_method_and_a_row_a_study():
    page = page_data(compare_studies(by_hand()), CONDITIONS)
    drawn: Any = page.document
    history, attained = drawn["history"], drawn["attained"][0]
    assert [line["label"] for line in history["lines"]] == ["cost-aware", "tpe"]
    assert attained["lines"][0]["x"] == [0.0, 8.0, 32.0]  # drawn on to where the longest ends
    assert attained["lines"][0]["y"] == [60.0, 80.0, 80.0]
    assert [cell.text for cell in page.rows[0].cells] == [
        "cost-aware", "a0", "0", "40.0", "3.5", "5", "2 min 5 s",
    ]  # fmt: skip
    sections = {section.title: section.entries for section in page.provenance}
    assert ("command", "mvit-nas compare a b") in sections["Run"]
    assert ("fingerprint", "sha256:4b0c9d31") in sections["data"]
    assert ("epochs", "8") in sections["schedule"]
    assert ("machine", "AMD EPYC 7B13, 2 cores") in sections["study a0"]
    assert ("packages", "torch 2.12.0+cpu, optuna 5.0.1") in sections["study b1"]


def test_a_comparison_is_a_page_and_its_numbers(tmp_path):
    comparison = compare_studies(by_hand())
    page = write_comparison(comparison, CONDITIONS, tmp_path / "c")
    assert sorted(path.name for path in page.parent.iterdir()) == ["compare.html", "comparison.json"]
    numbers = json.loads((tmp_path / "c/comparison.json").read_text())
    assert numbers == json.loads(json.dumps(document(comparison)))
    assert numbers["methods"][1]["difference"] == pytest.approx((1 / 3 + 0.2 + 0.2 / 6) / 2 - 0.5)
    documented = (Path(__file__).parents[2] / "docs/json.md").read_text()
    for key in {
        *numbers,
        *numbers["methods"][0],
        *numbers["methods"][0]["studies"][0],
        *numbers["methods"][0]["by_seconds"],
    }:
        assert f"`{key}`" in documented, key


@pytest.fixture
def opened_comparison(shown, tmp_path):
    """Open a comparison."""

    def open_page(comparison, **options):
        page = shown(write_comparison(comparison, CONDITIONS, tmp_path), **options)
        page.wait_for_function("[...document.querySelectorAll('#history, #attained')].every(plot => plot.data)")
        return page

    return open_page


def test_the_lines_on_the_page_are_those_of_the_comparison(opened_comparison):
    comparison = compare_studies(by_hand())
    page = opened_comparison(comparison)
    line = "document.getElementById('history').data.filter(trace => trace.showlegend).map(trace => [trace.x, trace.y])"
    methods = comparison.methods
    drawn = [method.by_trainings for method in methods]
    assert page.evaluate(line) == [[list(one.x[1:]), [100 * mean for mean in one.mean[1:]]] for one in drawn]
    assert page.evaluate("document.getElementById('history').layout.yaxis.rangemode") == "tozero"
    page.select_option("#compute", "seconds")
    assert page.evaluate(line) == [
        [list(curve.x[1:]), [100 * mean for mean in curve.mean[1:]]] for curve in (sure(m.by_seconds) for m in methods)
    ]
    attained = "document.getElementById('attained').data.map(trace => trace.x)"
    assert page.evaluate(attained) == [[0, 8, 32], [4, 32, 32]]
    page.select_option("#cost", label="MACs")
    assert page.evaluate(attained) == [[0, 800, 3200], [400, 3200, 3200]]


@pytest.mark.parametrize(("chart", "said"), [("history", "Whole trainings"), ("attained", "Parameters")])
def test_its_charts_can_be_saved(opened_comparison, chart, said):
    page = opened_comparison(compare_studies(by_hand()))
    for kind in ("svg", "png"):
        with page.expect_download() as waiting:
            page.click(f"[data-save={chart}] button:has-text('{kind.upper()}')")
        assert waiting.value.suggested_filename.endswith(f"-{chart}.{kind}")
        content = Path(waiting.value.path()).read_bytes()
        assert content.startswith(b"\x89PNG") if kind == "png" else said in content.decode()


def test_without_seconds_there_is_nothing_to_choose(opened_comparison):
    rows = [row(0.5, 5) | {"training_seconds": None}]
    page = opened_comparison(compare_studies([study("a", 0, "tpe", rows), study("b", 0, "gp", rows)]))
    assert not page.locator(".controls", has_text="Compute").is_visible()
    assert page.locator(".controls", has_text="Cost").is_visible()
    assert page.get_by_text("There is no plot over seconds").is_visible()


@pytest.mark.parametrize("width", [400, 1280])
def test_the_comparison_is_no_wider_than_the_window(opened_comparison, width):
    page = opened_comparison(example(), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_comparison_follows_the_colour_scheme(opened_comparison):
    page = opened_comparison(example(), color_scheme="dark")
    line = "document.getElementById('history').data.find(trace => trace.showlegend).line.color"
    assert page.evaluate(line) == "#56b4e9"
    page.evaluate("() => { dispatchEvent(new Event('beforeprint')) }")
    assert page.evaluate(line) == "#0072b2"


def test_hostile_names_stay_text(opened_comparison):
    name = "</script><img src=x onerror=alert(3)>"
    page = opened_comparison(compare_studies([flat(name, 0, name, 0.5), flat("b", 0, "gp", 0.4)]))
    assert page.locator("img").count() == 0
    assert name in page.locator("h1").text_content()


# The command line


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command in a folder that has the examples' tables; exit code, stdout and stderr."""
    for one in (*by_hand(), *example().studies):
        write_data(one, tmp_path / "reports" / one.name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["mvit-nas", "compare", *arguments])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    return run_command


def budgeted(name, seed, sampler, rows, *, budget=8):
    """A search with a budget of so many parameters."""
    budgets = [{"metric": "params", "low": 0.0, "high": float(budget)}]
    return study(name, seed, sampler, rows, experiment={"budgets": budgets})


def test_the_best_within_the_budget_and_its_parts_is_compared_by_seed():
    one = [row(0.5, 8), row(0.25, 4), row(0.9, 1)]
    found = compare_studies(
        [budgeted(f"a{seed}", seed, "cost-aware", one[:2]) for seed in range(3)]
        + [budgeted(f"b{seed}", seed, "tpe", [row(0.5 + seed / 100, 7), row(0.3, 2)]) for seed in range(3)]
        + [budgeted("c0", 0, "gp", one)]  # of which the third came after the compute that all had
    )
    first, second, third = found.methods
    assert [(one.part, one.mean) for one in first.within] == [(1.0, 0.5), (0.5, 0.25), (0.25, None), (0.125, None)]
    assert [one.mean for one in second.within] == pytest.approx([0.51, 0.3, 0.3, None])
    assert [one.mean for one in third.within] == [0.5, 0.25, None, None]
    whole, half, quarter, _ = (one.gain for one in second.within)
    assert whole is not None
    assert half is not None
    assert whole.difference == pytest.approx(0.01)
    assert whole.pairs == 3
    assert whole.interval is not None
    assert whole.interval[0] < 0 < whole.interval[1]
    assert half.difference == pytest.approx(0.05)
    assert quarter is None  # the first found nothing there
    told: Any = document(found)
    assert [one["part"] for one in told["methods"][0]["best_within"]] == [1.0, 0.5, 0.25, 0.125]


def test_parts_of_different_budgets_are_not_compared():
    rows = [row(0.5, 5)]
    found = compare_studies([budgeted("a", 0, "gp", rows), budgeted("b", 0, "tpe", rows, budget=6)])
    assert [method.within for method in found.methods] == [(), ()]


EXAMPLE = [f"digits-{sampler}-{seed}" for sampler in ("cost-aware", "tpe", "random") for seed in range(3)]


def test_the_table_fits_a_terminal_and_the_page_comes_last(run):
    code, out, err = run(*EXAMPLE, "--name", "c")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "".join(lines[1:3]).endswith("after 24 trainings (3 seeds each)")
    assert lines[4] == "Hypervolume after 24 trainings each:"
    assert lines[5].split() == ["method", "seeds", "hypervolume", "points", "(95", "%)"]
    assert [line.split("  ")[0] for line in lines[6:9]] == ["cost-aware + stopping", "tpe", "random"]
    said = " ".join(" ".join(lines[9:13]).split())
    assert "cost-aware + stopping had what random sampling had after 24 trainings (" in said
    assert "tpe did not reach what random sampling had after 24 trainings (" in said
    assert lines[14].startswith("The budget is at most ")
    assert [line.split("   ")[0].rstrip() for line in lines[16:22]] == [
        "the budget", "  cost-aware + stopping", "  tpe", "  random", "1/2 of it", "  cost-aware + stopping"
    ]  # fmt: skip
    assert all(len(line.rstrip()) <= 80 for line in lines)
    assert lines[-1] == "page: reports/c/compare.html"
    assert Path("reports/c/compare.html").is_file()


def test_json_is_one_document(run):
    code, out, err = run("a0", "a1", "reports/b0", "b1", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found.pop("report") == "reports/a0-a1-b0-b1/compare.html"
    assert found == json.loads(Path("reports/a0-a1-b0-b1/comparison.json").read_text())
    assert [one["study"] for one in found["methods"][1]["studies"]] == ["reports/b0", "b1"]


def test_it_needs_neither_torch_nor_optuna(run, tmp_path):
    for name in ("torch", "optuna", "fvcore"):
        (tmp_path / "blocked" / name).mkdir(parents=True)
        (tmp_path / "blocked" / name / "__init__.py").write_text("raise ImportError('must not be needed')")
    path = os.pathsep.join([str(tmp_path / "blocked"), os.environ.get("PYTHONPATH", "")])
    code = "from mvit_nas.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "compare", "a0", "b0"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # In 80 columns with a long reason, too.
    assert all(len(line.rstrip()) <= 80 for line in done.stdout.splitlines())
    assert "one seed: no spread is known" in " ".join(done.stdout.split())


def test_a_study_that_is_not_there_lists_those_that_are(run):
    code, out, err = run("a0", "x")
    assert (code, out) == (2, "")
    assert err.startswith("mvit-nas: no report 'x' in reports: known are a0, a1, b0, b1, digits-")
    assert err.count("\n") == 1


def test_an_ablation_is_refused(tmp_path):
    one = by_hand()[0]
    plan = {
        "factors": ["depth"], "base": "x", "left_out": [], "seeds": [0], "precision": None, "stopped": "",
        "variants": [{"labels": {"depth": "1"}, "matched": "", "is_base": True, "arch_id": "aa", "notes": []}],
    }  # fmt: skip
    write_data(one, tmp_path)
    document = environment("s", 0, "tpe", experiment={"seeds": [0]}) | {"ablation": plan}
    (tmp_path / "environment.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"^s is an ablation: compare takes searches$"):
        read_study(tmp_path, "s")


def test_an_environment_without_a_seed_is_an_error(tmp_path):
    one = by_hand()[0]
    write_data(one, tmp_path)
    document = json.loads((tmp_path / "environment.json").read_text())
    del document["experiment"]["seed"]
    (tmp_path / "environment.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"environment.json: 'experiment.seed' is missing$"):
        read_study(tmp_path, "s")
