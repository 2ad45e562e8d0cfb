import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ablations import (
    all_equal,
    all_failed,
    base_missing,
    by_hand,
    environment,
    example,
    example_of_two,
    failed,
    hostile,
    no_runs,
    origin_of,
    page_of,
    records_of,
    run,
    summary_of,
    two_seeds,
    variant,
    without_latency,
)
from reports import data_of, without_libraries, write_report
from sure import sure

from mvit_nas.errors import InputError
from mvit_nas.maths.statistics import detectable_deviations, mean_interval
from mvit_nas.metrics import LATENCY, MACS, PARAMS
from mvit_nas.results.ablation.plots import accuracy_plot, forest_plot
from mvit_nas.results.report import remake_report, render_ablation
from mvit_nas.results.table import read_table


def texts(row):
    return [(cell.text, cell.detail) if cell.detail else cell.text for cell in row.cells]


def card_points(rows, document):
    return page_of(rows, document).cards[2].points


def forest_of(rows, document):
    return forest_plot(summary_of(rows, document), origin_of(document))


def accuracy_of(rows, document):
    return accuracy_plot(summary_of(rows, document), origin_of(document))


# The numbers


def test_a_row_of_the_verdicts_is_what_one_works_out_by_hand():
    base, four = page_of(*by_hand()).variants
    assert texts(base) == [
        "2",
        ("62.00", "standard deviation 2.00"),
        *["-"] * 4,
        "base",
        "1M",
        "200M",
        ("5.00", "4.90 to 5.10 ms"),
    ]
    # t(0.975; 2) = 4.3027, so the interval is 3 ± 4.3027 / sqrt(3); g = 3 * 0.5642; p = 1 - t / sqrt(2 + t^2), t = 5.1962.
    assert texts(four) == [
        ("4", "stage 4: resized"),
        ("65.00", "standard deviation 2.65"),
        ("+3.00", "+0.52 to +5.48"),
        "0.035",
        "+1.7",
        f"{detectable_deviations(3, 1):.2f}",
        "better",
        ("1M", "the same"),
        ("216M", "+8 %"),
        ("5.00", "the same\n4.90 to 5.10 ms"),
    ]
    assert base.front
    assert not four.front


def test_the_score_that_variants_are_judged_by_is_named_everywhere():
    rows, document = by_hand()
    document["experiment"]["score"] = "balanced_accuracy"
    page = page_of([row | {"balanced_accuracy": row["accuracy"] - 0.1} for row in rows], document)
    assert page.cards[0].title == "Against mobilevit_xxs with patch_size 2, 52.00 % mean validation balanced accuracy"
    assert page.columns[1].label == "Balanced accuracy (%)"
    assert page.variants[0].cells[1].text == "52.00"
    assert [(column.label, cell.text) for column, cell in zip(page.run_columns, page.runs[0].cells, strict=True)][
        2
    ] == (
        "Balanced accuracy (%)",
        "50.00",
    )
    drawn: Any = page.document
    assert drawn["accuracy"]["y"] == "Mean validation balanced accuracy, short schedule (%)"
    assert "52.00 % mean balanced accuracy" in drawn["accuracy"]["hover"][0]


def test_the_answer_is_in_words_with_its_price():
    page = page_of(*by_hand())
    assert page.question == "What does patch_size do to mobilevit_xxs?"
    assert page.summary[:3] == ("6 of 6 runs trained", "data: clothing", "3 seeds")
    headline, reach = page.cards
    assert headline.title == "Against mobilevit_xxs with patch_size 2, 62.00 % mean validation accuracy"
    assert headline.subject == "patch_size 4 is better"
    assert headline.sentences == (
        "patch_size 4: +3.00 points of accuracy (95 % interval +0.52 to +5.48), at 8 % more MACs.",
        (
            f"With 3 seeds this could only have shown about {detectable_deviations(3, 1):.2f} points or more (80 % power). "
            "Smaller differences can go unseen."
        ),
    )
    assert "the same 341 validation images after the schedule 'short'" in " ".join(reach.sentences)


def test_what_was_not_shown_is_not_called_equal():
    headline = page_of(*example()).cards[0]
    assert headline.subject == "patch_size 1 is better, patch_size 4 and 4 at equal macs are worse"
    assert "No difference is shown for patch_size 1 at equal macs. That is no proof" in " ".join(headline.sentences)
    assert "No verdict on patch_size 8 (failed in 1 of 5 runs)." in headline.sentences
    assert "With 4 to 5 seeds" in headline.sentences[-1]


def test_many_variants_are_counted_and_the_largest_differences_named():
    headline = page_of(*example_of_two()).cards[0]
    assert headline.subject == "3 of 8 variants are better, 5 of 8 variants are worse"
    assert headline.sentences[0] == "The largest differences; the table has the others:"
    assert [text.split(":")[0] for text in headline.sentences[4:6]] == [
        "patch_size 4, depth 1 2 1",
        "patch_size 4, depth 4 6 5",
    ]


def test_all_that_did_not_go_as_planned_is_said():
    rows, document = example()
    too_sure = "Stopping when an interval is narrow makes it a little too sure: in simulations it covers 92 to 94 % instead of 95 %."
    assert card_points(rows[:-1], document) == (
        f"Precision not reached: the widest interval is ± 1.1 points, asked were ± 0.5. {too_sure}",
        "1 run not there yet",
        "Failed: patch_size 8, seed 3: the loss is not finite at step 112",
        "Left out: patch_size 3: 2 x 3 x 3 = 18 tokens do not tile a 7 px map",
    )
    assert len(page_of(*by_hand()).cards) == 2


def test_seeds_that_were_not_begun_count_as_missing_and_added_ones_as_planned():
    rows, document = by_hand()
    document["experiment"]["seeds"] = [0, 1]
    assert page_of(rows, document).summary[0] == "6 of 6 runs trained"
    document["experiment"]["seeds"] = [0, 1, 2, 3, 4]
    page = page_of(rows, document)
    assert [page.summary[0], page.summary[2]] == ["6 of 10 runs trained", "5 seeds"]
    assert page.cards[2].points == ("4 runs not there yet",)


def test_failures_for_the_same_reason_are_named_together():
    base, eight = variant(patch_size="2", base=True), variant(patch_size="8")
    rows = [
        failed(eight, 0, "no memory"),
        failed(eight, 1, "not finite"),
        failed(eight, 2, "no memory"),
        run(base, 0, 0.5),
    ]
    document = environment([base, eight], seeds=range(3))
    assert card_points(rows, document) == (
        "2 runs not there yet",
        "Failed: patch_size 8, seeds 0, 2: no memory",
        "Failed: patch_size 8, seed 1: not finite",
    )


def test_a_failed_run_of_a_rescaled_variant_is_not_taken_for_the_free_one():
    base, four = variant(patch_size="2", base=True), variant(patch_size="4")
    matched = variant(patch_size="4", matched="macs")
    rows = [run(base, 0, 0.5), run(four, 0, 0.5), failed(matched, 0, "no memory")]
    assert card_points(rows, environment([base, four, matched], seeds=[0])) == (
        "Failed: patch_size 4 at equal macs, seed 0: no memory",
    )


def test_a_run_is_never_dropped():
    rows, document = example()
    runs = page_of(rows, document).runs
    assert len(runs) == 30
    assert texts(runs[0])[:4] == ["0", "2", "-", f"{100 * rows[0]['accuracy']:.2f}"]
    assert texts(runs[0])[4:7] == ["trained", "66.1", "yes"]
    assert texts(runs[28])[3:5] == ["-", ("failed", "the loss is not finite at step 112")]
    assert [row.measured for row in runs].count(False) == 1


def test_the_plan_is_in_the_provenance_in_words():
    plan = dict(dict(page_of(*example()).provenance)["ablation"])
    assert plan == {
        "factors": "patch_size",
        "base": "mobilevit_xxs",
        "variants": "2, 1, 1 at equal macs, 4, 4 at equal macs, 8",
        "left out": "3 (2 x 3 x 3 = 18 tokens do not tile a 7 px map)",
        "seeds": "0, 1, 2, 3, 4",
        "precision": "± 0.5 points",
        "stopped": "precision not reached: the widest interval is ± 1.1 points, asked were ± 0.5",
    }


def test_the_interval_of_a_mean_is_students():
    low, high = sure(mean_interval([0.60, 0.62, 0.64, float("nan")]))
    assert (low, high) == pytest.approx((0.62 - 0.0496828, 0.62 + 0.0496828), abs=1e-6)  # 4.3027 * 0.02 / sqrt(3)
    assert mean_interval([0.6, 0.7]) is None
    assert mean_interval([0.6, 0.6, 0.6]) is None


def test_costs_come_from_a_run_that_measured_them():
    base, four = variant(patch_size="2", base=True), variant(patch_size="4")
    rows = [failed(base, 0, "no memory"), run(base, 1, 0.5, latency_ms=6.0), run(four, 1, 0.5)]
    found = summary_of(rows, environment([base, four])).base
    assert [found.cost(metric) for metric in (PARAMS, MACS, LATENCY)] == [1_000_000, 200_000_000, 6.0]
    assert found.scores == (None, 0.5)


# The plots


def test_the_forest_holds_each_seed_and_the_interval_in_points():
    plot = forest_of(*by_hand())
    (row,) = plot["rows"]
    assert row["dots"] == pytest.approx([3, 2, 4])
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((3, 0.51586, 5.48414), abs=1e-4)
    assert (row["label"], row["kind"], plot["base"]) == ("4", "free", "mobilevit_xxs<br>patch_size 2")
    assert plot["range"] == pytest.approx([-0.06 * 5.48414, 1.06 * 5.48414], abs=1e-4)
    assert list(plot["kinds"]) == ["base", "free"]


def test_the_forest_is_in_the_order_of_the_plan_and_keeps_those_without_interval():
    rows = forest_of(*two_seeds())["rows"]
    assert [row["label"] for row in rows] == ["1", "1 at equal macs", "4", "4 at equal macs", "8"]
    assert all(row["low"] is None and len(row["dots"]) == 2 for row in rows)


@pytest.mark.parametrize(
    ("changes", "x"),
    [
        ({"macs": 5, "latency_ms": 6.0, "params": 7}, "macs"),
        ({"latency_ms": 6.0, "params": 7}, "latency_ms"),
        ({"params": 7}, "params"),
        ({}, "macs"),
        ({"latency_ms": None, "params": 7}, "latency_ms"),
    ],
)
def test_the_first_cost_that_differs_is_the_axis(changes, x):
    base, four = variant(patch_size="2", base=True), variant(patch_size="4")
    assert accuracy_of([run(base, 0, 0.5), run(four, 0, 0.5, **changes)], environment([base, four]))["x"] == x


def test_accuracies_have_the_interval_of_the_mean():
    plot = accuracy_of(*by_hand())
    assert plot["accuracy"]["values"] == pytest.approx([62, 65])
    assert plot["accuracy"]["low"][0] == pytest.approx(62 - 4.96828, abs=1e-4)
    assert plot["accuracy"]["high"][0] == pytest.approx(62 + 4.96828, abs=1e-4)
    assert plot["kind"] == ["base", "free"]


# Odd tables


ODD = [example, example_of_two, two_seeds, all_equal, all_failed, base_missing, no_runs, without_latency]


@pytest.mark.parametrize("made", ODD, ids=lambda made: made.__name__)
def test_a_report_of_any_table_is_made_again_from_its_files(tmp_path, made):
    rows, document = made()
    first = write_report(rows, document, tmp_path).read_text()
    assert len(read_table(tmp_path / "results.csv")) == len(rows)
    assert remake_report(tmp_path).read_text() == first
    assert not re.search(r"\b(NaN|Infinity)\b", data_of(first))


@pytest.mark.parametrize(
    ("made", "subject"),
    [
        (no_runs, "No run has ended yet"),
        (all_failed, "No verdict"),
        (two_seeds, "No verdict"),
        (all_equal, "No verdict"),
        (base_missing, "No verdict"),
    ],
)
def test_the_headline_claims_nothing_without_a_verdict(made, subject):
    assert page_of(*made()).cards[0].subject == subject


def test_interactions_are_shown_for_two_factors_only():
    assert page_of(*example()).interactions == ()
    rows = page_of(*example_of_two()).interactions
    assert [texts(row)[0] for row in rows] == [
        f"patch_size {size}, depth {depth}" for size in (1, 4) for depth in ("1 2 1", "4 6 5")
    ]
    assert [texts(row)[-1] for row in rows] == [*["no difference shown"] * 3, "less than the sum"]


# The files


def plan_of(document):
    return document["ablation"]


def first_variant(document):
    return document["ablation"]["variants"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(ablation=3), "'ablation' must be an object"),
        (lambda d: d["data"].pop("images"), "'data.images' is missing"),
        (lambda d: d.update(experiment=[]), "'experiment' must be an object"),
        (lambda d: d["experiment"].update(seeds=[[1]]), "'experiment.seeds.0' has the wrong type, list"),
        (
            lambda d: d["experiment"].update(score="macs"),
            "'experiment.score' must be one of accuracy, balanced_accuracy",
        ),
        (lambda d: d["experiment"].update(score=[1]), "'experiment.score' has the wrong type, list"),
        (lambda d: plan_of(d).pop("stopped"), "'ablation.stopped' is missing"),
        (lambda d: plan_of(d).update(precision="0.5"), "'ablation.precision' has the wrong type, str"),
        (lambda d: plan_of(d).update(seeds=["a"]), "'ablation.seeds.0' has the wrong type, str"),
        (lambda d: plan_of(d).update(factors=[]), "'ablation.factors' must be one or two names"),
        (lambda d: plan_of(d).update(factors=["a", "b", "c"]), "'ablation.factors' must be one or two names"),
        (lambda d: plan_of(d).update(factors=["a", "a"]), "'ablation.factors' must be one or two names"),
        (lambda d: plan_of(d).update(factors=[1]), "'ablation.factors.0' has the wrong type, int"),
        (lambda d: plan_of(d).update(variants=[1]), "'ablation.variants.0' must be an object"),
        (lambda d: first_variant(d).pop("labels"), "'ablation.variants.0.labels' is missing"),
        (lambda d: first_variant(d).update(notes="x"), "'ablation.variants.0.notes' has the wrong type, str"),
        (lambda d: first_variant(d).update(notes=[1]), "'ablation.variants.0.notes' must hold text"),
        (
            lambda d: first_variant(d).update(labels={"depth": "2"}),
            "'ablation.variants.0.labels' must hold one text for each of patch_size, in this order",
        ),
        (
            lambda d: first_variant(d).update(labels={"patch_size": 2}),
            "'ablation.variants.0.labels' must hold one text for each of patch_size, in this order",
        ),
        (
            lambda d: plan_of(d)["left_out"][0].update(labels={}),
            "'ablation.left_out.0.labels' must hold one text for each of patch_size, in this order",
        ),
        (lambda d: plan_of(d)["left_out"][0].pop("reason"), "'ablation.left_out.0.reason' is missing"),
        (
            lambda d: first_variant(d).update(matched="flops"),
            "'ablation.variants.0.matched' must be empty or one of params, macs, latency_ms",
        ),
        (lambda d: first_variant(d).update(is_base=False), "'ablation.variants' must hold one base"),
        (lambda d: plan_of(d)["variants"][1].update(is_base=True), "'ablation.variants' must hold one base"),
        (lambda d: plan_of(d)["variants"].append(first_variant(d)), "'ablation.variants' holds one twice"),
        (lambda d: d["latency"].pop("threads"), "'latency.threads' is missing"),
    ],
)
def test_a_broken_ablation_is_an_error_in_one_line(tmp_path, change, message):
    rows, document = example()
    write_report(rows, document, tmp_path)
    broken = copy.deepcopy(document)
    change(broken)
    (tmp_path / "environment.json").write_text(json.dumps(broken))
    with pytest.raises(InputError) as error:
        remake_report(tmp_path)
    assert str(error.value) == f"{tmp_path / 'environment.json'}: {message}"


def test_a_table_whose_labels_became_numbers_is_an_error(tmp_path):
    rows, document = example()
    write_report(rows, document, tmp_path)
    path = tmp_path / "results.csv"
    path.write_text(path.read_text().replace('"', ""))
    with pytest.raises(InputError, match=r"results.csv: the column 'param.patch_size' must hold text, in quotes$"):
        remake_report(tmp_path)


def test_text_from_outside_stays_text():
    rows, document = hostile()
    page = render_ablation(records_of(rows), origin_of(document))
    own = without_libraries(page)
    assert "<script>alert" not in own
    assert "<img" not in own
    json.loads(data_of(page))


# The page in a browser


def trace(plot, index, what):
    return f"document.getElementById('{plot}').data[{index}].{what}"


@pytest.mark.parametrize("made", [*ODD, hostile], ids=lambda made: made.__name__)
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_opens_and_is_no_wider_than_the_window(opened, made, width):
    page = opened(*made(), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("img").count() == 0


def test_the_plots_are_drawn(opened):
    page = opened(*example())
    assert page.locator("#forest .scatterlayer .trace").count() == 4  # two kinds, each with its seeds
    assert page.evaluate(trace("forest", 0, "y")) == [0, 2, 4]
    assert page.evaluate(trace("forest", 1, "x.length")) == 14
    assert page.locator("#forest .annotation").text_content() == "mobilevit_xxspatch_size 2"
    assert page.locator("#accuracy .scatterlayer .trace").count() == 4  # three kinds, and their names


def test_kinds_without_intervals_are_in_the_legend_too(opened):
    page = opened(*two_seeds())
    assert page.locator("#forest .legendtext").all_text_contents() == [
        "only patch_size changed",
        "width rescaled to equal MACs",
    ]


def test_the_forest_grows_with_its_rows(opened):
    page = opened(*example_of_two())
    axis = "document.getElementById('forest')._fullLayout.yaxis"
    assert page.evaluate(f"{axis}.d2p(7) - {axis}.d2p(0)") >= 7 * 52  # pixels; with the height of five rows 39 each


def test_the_cost_can_be_chosen(opened):
    page = opened(*example())
    assert page.input_value("#x") == "macs"
    assert page.evaluate(trace("accuracy", 0, "error_x")) is None
    page.select_option("#x", "latency_ms")
    assert page.evaluate(trace("accuracy", 0, "x")) == [7.4]
    # The interval of the example's latencies is from 0.985 to 1.02 of them.
    assert page.evaluate(trace("accuracy", 0, "error_x.arrayminus")) == pytest.approx([0.015 * 7.4])
    assert page.evaluate(trace("accuracy", 0, "error_x.array")) == pytest.approx([0.02 * 7.4])
    page.select_option("#x", "params")
    assert page.evaluate("document.getElementById('accuracy').layout.xaxis.title.text") == "Parameters"


def test_labels_cover_neither_points_nor_each_other(opened):
    page = opened(*example_of_two(), viewport={"width": 400, "height": 800})
    boxes = page.evaluate(
        """() => [...document.querySelectorAll('#accuracy .textpoint text, #accuracy .scatterlayer .text text')]
            .filter(text => text.textContent.trim()).map(text => text.getBoundingClientRect().toJSON())"""
    )
    assert len(boxes) > 3
    for index, one in enumerate(boxes):
        for other in boxes[:index]:
            apart = one["left"] >= other["right"] or other["left"] >= one["right"]
            assert apart or one["top"] >= other["bottom"] - 2 or other["top"] >= one["bottom"] - 2


def test_the_names_are_written_and_none_is_empty(opened):
    page = opened(*example())
    drawn = page.locator("#accuracy .textpoint text").all_text_contents()
    assert len(drawn) > 1
    assert all(drawn)


@pytest.mark.parametrize("chart", ["forest", "accuracy"])
def test_its_charts_can_be_saved(opened, chart):
    page = opened(*example())
    with page.expect_download() as waiting:
        page.click(f"[data-save={chart}] button:has-text('SVG')")
    assert "<svg" in Path(waiting.value.path()).read_text("utf-8")
    assert waiting.value.suggested_filename.endswith(f"-{chart}.svg")


def test_a_click_on_a_header_sorts_its_table_alone(opened):
    page = opened(*example())
    page.locator("#variants thead th", has_text="MACs").locator("button").click()
    macs = page.evaluate("[...document.querySelectorAll('#variants tbody tr')].map(row => row.cells[8].dataset.sort)")
    assert [int(value) for value in macs] == sorted(int(value) for value in macs)
    seeds = page.evaluate("[...document.querySelectorAll('#runs tbody tr')].map(row => row.cells[0].dataset.sort)")
    assert seeds == ["0", "1", "2", "3", "4"] * 6


def test_the_page_follows_the_colour_scheme_and_paper_is_white(opened):
    page = opened(*example(), color_scheme="dark")
    colour = trace("forest", 0, "marker.color")
    assert page.evaluate(colour) == "#56b4e9"
    page.evaluate("() => { dispatchEvent(new Event('beforeprint')) }")
    assert page.evaluate(colour) == "#0072b2"


def test_the_tables_are_there_without_scripts(opened):
    page = opened(*example(), java_script_enabled=False)
    assert page.locator("#variants tbody tr").count() == 6
    assert page.locator("#runs tbody tr").count() == 30
    assert page.get_by_text("The plots need scripts").is_visible()
