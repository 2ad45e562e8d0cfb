import copy
import json
import random
import re
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from reports import ablation, data_of, without_libraries, write_report
from reports import environment as search_environment

from mvit_nas.errors import InputError
from mvit_nas.maths.statistics import detectable_deviations, mean_interval
from mvit_nas.metrics import ACCURACY
from mvit_nas.results.ablation.page import page_data
from mvit_nas.results.ablation.plots import accuracy_plot, forest_plot
from mvit_nas.results.ablation.summary import summarise
from mvit_nas.results.report import remake_report, render_ablation
from mvit_nas.results.table import make_table, read_table, table_of


def variant(matched="", *, base=False, notes=(), **labels):
    return {
        "labels": labels,
        "matched": matched,
        "is_base": base,
        "arch_id": f"{zlib.crc32(repr((labels, matched)).encode()):08x}",
        "notes": list(notes),
    }


def environment(variants, *, seeds=range(5), left_out=(), precision=None, stopped="", **changes):
    """The environment of an ablation over ``variants``; the first one's labels name the factors."""
    document = search_environment()
    del document["hypervolume_reference"], document["space"], document["presets"]
    document |= {
        "study": "patch size",
        "command": "mvit-nas ablate patch_size=1,2,4 --data clothing",
        "experiment": {
            "schedule": {"name": "short", "epochs": 8},
            "seeds": list(seeds),
            "max_seeds": len(seeds),
            "precision": precision,
            "match": "macs",
        },
        "ablation": {
            "factors": list(variants[0]["labels"]),
            "base": "mobilevit_xxs",
            "variants": variants,
            "left_out": list(left_out),
            "seeds": list(seeds),
            "precision": precision,
            "stopped": stopped,
        },
    }
    return document | changes


def run(one, seed, accuracy, **more):
    return {
        "arch_id": one["arch_id"],
        "name": "",
        "state": "complete",
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.05,
        "accuracy_high": accuracy + 0.05,
        "params": 1_000_000,
        "macs": 200_000_000,
        "latency_ms": 5.0,
        "latency_low_ms": 4.9,
        "latency_high_ms": 5.1,
        "seconds": 40.0,
        "cached": False,
        "seed": seed,
        "reason": "",
        **{f"param.{name}": label for name, label in one["labels"].items()},
        "param.matched": one["matched"],
        **more,
    }


def failed(one, seed, reason, **more):
    lost = dict.fromkeys(
        ["accuracy", "accuracy_low", "accuracy_high", "latency_ms", "latency_low_ms", "latency_high_ms"]
    )
    return run(one, seed, 0.5) | lost | {"state": "failed", "reason": reason} | more


def example():
    """Patch sizes that could have been: one better, one worse, one that does not show, one with a failed run."""
    luck = random.Random(3)
    shift = [luck.gauss(0, 0.012) for _ in range(5)]
    resized = ("stage 4: a 7 px map is resized to 8 px for patch size 2",)
    effects = [
        (variant(patch_size="2", base=True, notes=resized), 0.0, 951, 261, 7.4),
        (variant(patch_size="1"), 0.021, 951, 334, 9.9),
        (variant(patch_size="1", matched="macs"), 0.004, 742, 262, 7.9),
        (
            variant(patch_size="4", notes=["stage 4: a 7 px map is resized to 8 px for patch size 4"]),
            -0.017,
            951,
            249,
            7.2,
        ),
        (variant(patch_size="4", matched="macs"), -0.012, 1013, 260, 7.5),
        (
            variant(patch_size="8", notes=["stage 5: a 4 px map is resized to 8 px for patch size 8"]),
            -0.03,
            951,
            262,
            7.5,
        ),
    ]
    rows = []
    for one, effect, params, macs, latency in effects:
        costs = {"params": params * 1000, "macs": macs * 1_000_000, "latency_ms": latency}
        costs |= {"latency_low_ms": 0.985 * latency, "latency_high_ms": 1.02 * latency}
        for seed in range(5):
            accuracy = 0.631 + shift[seed] + effect + luck.gauss(0, 0.005)
            more = {"seconds": 40 + 0.1 * macs + seed, "cached": one["is_base"] and seed == 0}
            if (one["labels"]["patch_size"], seed) == ("8", 3):
                rows.append(
                    failed(one, seed, "the loss is not finite at step 112")
                    | {"params": costs["params"], "macs": costs["macs"]}
                )
            else:
                rows.append(run(one, seed, accuracy, **costs, **more))
    left_out = [{"labels": {"patch_size": "3"}, "reason": "2 x 3 x 3 = 18 tokens do not tile a 7 px map"}]
    stopped = "precision not reached: the widest interval is ± 1.1 points, asked were ± 0.5"
    document = environment([one for one, *_ in effects], left_out=left_out, precision=0.005, stopped=stopped)
    return table_of(rows), document


def example_of_two():
    """Two factors that get in each other's way."""
    luck = random.Random(8)
    shift = [luck.gauss(0, 0.01) for _ in range(5)]
    variants = [
        variant(patch_size=size, depth=depth, base=(size, depth) == ("2", "2 4 3"))
        for size in ("1", "2", "4")
        for depth in ("1 2 1", "2 4 3", "4 6 5")
    ]
    rows = []
    for one in variants:
        size, depth = one["labels"].values()
        effect = {"1": 0.01, "2": 0.0, "4": -0.015}[size] + {"1": -0.02, "2": 0.0, "4": 0.012}[depth[0]]
        effect -= 0.03 * (size == "4" and depth[0] == "4")
        macs = int(261e6 * {"1": 1.3, "2": 1, "4": 0.94}[size] * (0.7 + 0.1 * int(depth[0])))
        for seed in range(5):
            accuracy = 0.63 + shift[seed] + effect + luck.gauss(0, 0.003)
            rows.append(run(one, seed, accuracy, macs=macs, params=700_000 + 120_000 * int(depth[0])))
    return table_of(rows), environment(variants)


def by_hand(**changes):
    """One value against the base over three seeds: 3, 2 and 4 points better, for 8 % more MACs."""
    base, four = variant(patch_size="2", base=True), variant(patch_size="4", notes=["stage 4: resized"])
    rows = [run(base, seed, accuracy, arch_id="aa") for seed, accuracy in enumerate([0.60, 0.62, 0.64])]
    rows += [
        run(four, seed, accuracy, arch_id="bb", macs=216_000_000) for seed, accuracy in enumerate([0.63, 0.64, 0.68])
    ]
    return table_of(rows), environment([base, four], seeds=range(3), **changes)


def texts(row):
    return [(cell.text, cell.detail) if cell.detail else cell.text for cell in row.cells]


def card_points(document, table):
    return page_data(*ablation(table, document)).cards[2].points


def summary_of(table, document):
    records, origin = ablation(table, document)
    return summarise(records, origin.plan)


def forest_of(table, document):
    return forest_plot(summary_of(table, document), ablation(table, document)[1])


def accuracies_of(table, document):
    return accuracy_plot(summary_of(table, document), ablation(table, document)[1])


def early(table):
    """The runs of the first two seeds."""
    return make_table(record for record in table.records if record.seed < 2)


# The numbers


def test_a_row_of_the_verdicts_is_what_one_works_out_by_hand():
    base, four = page_data(*ablation(*by_hand())).variants
    assert texts(base) == [
        "2",
        "62.00 ± 2.00",
        *["-"] * 4,
        "base",
        "1M",
        "200M",
        ("5.00", "4.90 to 5.10 ms"),
    ]
    # t(0.975; 2) = 4.3027, so the interval is 3 ± 4.3027 / sqrt(3); g = 3 * 0.5642; p = 1 - t / sqrt(2 + t^2), t = 5.1962.
    assert texts(four) == [
        ("4", "stage 4: resized"),
        "65.00 ± 2.65",
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


def test_the_answer_is_in_words_with_its_price():
    page = page_data(*ablation(*by_hand()))
    assert page.question == "What does patch_size do to mobilevit_xxs?"
    assert page.summary[:3] == ("6 of 6 runs trained", "data: clothing", "3 seeds")
    headline, reach = page.cards
    assert headline.title == "Against mobilevit_xxs with patch_size 2, 62.00 % accurate"
    assert headline.subject == "patch_size 4 is better"
    assert headline.sentences == (
        "patch_size 4: +3.00 points (95 % interval +0.52 to +5.48), at 8 % more MACs.",
        (
            "With 3 seeds, the smallest difference that could have shown in 8 of 10 such experiments is "
            f"{detectable_deviations(3, 1):.2f} points. Smaller ones can go unseen."
        ),
    )
    assert "the same 341 validation images after the schedule 'short'" in " ".join(reach.sentences)


def test_what_was_not_shown_is_not_called_equal():
    table, document = example()
    headline = page_data(*ablation(table, document)).cards[0]
    assert headline.subject == "patch_size 1 is better, patch_size 4 and 4 at equal macs are worse"
    assert "No difference is shown for patch_size 1 at equal macs. That is no proof" in " ".join(headline.sentences)
    assert "No verdict on patch_size 8 (failed in 1 of 5 runs)." in headline.sentences
    assert "With 4 to 5 seeds" in headline.sentences[-1]


def test_many_variants_are_counted_and_the_largest_differences_named():
    headline = page_data(*ablation(*example_of_two())).cards[0]
    assert headline.subject == "3 of 8 variants are better, 5 of 8 variants are worse"
    assert headline.sentences[0] == "The largest differences; the table has the others:"
    assert [text.split(":")[0] for text in headline.sentences[4:6]] == [
        "patch_size 4, depth 1 2 1",
        "patch_size 4, depth 4 6 5",
    ]


def test_all_that_did_not_go_as_planned_is_said():
    table, document = example()
    too_sure = "Stopping when an interval is narrow makes it a little too sure: in simulations it covers 92 to 94 % instead of 95 %."
    assert card_points(document, make_table(table.records[:-1])) == (
        f"Precision not reached: the widest interval is ± 1.1 points, asked were ± 0.5. {too_sure}",
        "1 run not there yet",
        "Failed: patch_size 8, seed 3: the loss is not finite at step 112",
        "Left out: patch_size 3: 2 x 3 x 3 = 18 tokens do not tile a 7 px map",
    )
    assert len(page_data(*ablation(*by_hand())).cards) == 2


def test_seeds_that_were_not_begun_count_as_missing_and_added_ones_as_planned():
    table, document = by_hand()
    document["experiment"]["seeds"] = [0, 1]
    assert page_data(*ablation(table, document)).summary[0] == "6 of 6 runs trained"
    document["experiment"]["seeds"] = [0, 1, 2, 3, 4]
    page = page_data(*ablation(table, document))
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
    assert card_points(document, table_of(rows)) == (
        "2 runs not there yet",
        "Failed: patch_size 8, seeds 0, 2: no memory",
        "Failed: patch_size 8, seed 1: not finite",
    )


def test_a_run_is_never_dropped():
    table, document = example()
    page = page_data(*ablation(table, document))
    assert len(page.runs) == 30
    assert texts(page.runs[0])[:4] == ["0", "2", "-", f"{100 * table.records[0].value(ACCURACY):.2f}"]
    assert texts(page.runs[0])[4:7] == ["trained", "66.1", "yes"]
    assert texts(page.runs[28])[3:5] == ["-", ("failed", "the loss is not finite at step 112")]
    assert [row.measured for row in page.runs].count(False) == 1


def test_the_plan_is_in_the_provenance_in_words():
    plan = dict(dict(page_data(*ablation(*example())).provenance)["ablation"])
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
    low, high = mean_interval([0.60, 0.62, 0.64, float("nan")])
    assert (low, high) == pytest.approx((0.62 - 0.0496828, 0.62 + 0.0496828), abs=1e-6)  # 4.3027 * 0.02 / sqrt(3)
    assert mean_interval([0.6, 0.7]) is None
    assert mean_interval([0.6, 0.6, 0.6]) is None


def test_costs_come_from_a_run_that_measured_them():
    base, four = variant(patch_size="2", base=True), variant(patch_size="4")
    table = table_of([failed(base, 0, "no memory"), run(base, 1, 0.5, latency_ms=6.0), run(four, 1, 0.5)])
    summary = summary_of(table, environment([base, four]))
    costs = {name: one.value for name, one in summary.base.costs.items()}
    assert costs == {"params": 1_000_000, "macs": 200_000_000, "latency_ms": 6.0}
    assert summary.base.accuracies == (None, 0.5)


# The plots


def test_the_forest_holds_each_seed_and_the_interval_in_points():
    table, document = by_hand()
    plot = forest_of(table, document)
    (row,) = plot.rows
    assert row.dots == pytest.approx([3, 2, 4])
    assert (row.mean, row.low, row.high) == pytest.approx((3, 0.51586, 5.48414), abs=1e-4)
    assert (row.label, row.kind, plot.base) == ("4", "free", "mobilevit_xxs<br>patch_size 2")
    assert plot.range == pytest.approx([-0.06 * 5.48414, 1.06 * 5.48414], abs=1e-4)
    assert list(plot.kinds) == ["base", "free"]


def test_the_forest_is_in_the_order_of_the_plan_and_keeps_those_without_interval():
    table, document = example()
    rows = forest_of(early(table), document).rows
    assert [row.label for row in rows] == ["1", "1 at equal macs", "4", "4 at equal macs", "8"]
    assert all(row.low is None and len(row.dots) == 2 for row in rows)


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
    document = environment([base, four])
    table = table_of([run(base, 0, 0.5), run(four, 0, 0.5, **changes)])
    assert accuracies_of(table, document).x == x


def test_accuracies_have_the_interval_of_the_mean():
    table, document = by_hand()
    plot = accuracies_of(table, document)
    assert plot.accuracy.values == pytest.approx([62, 65])
    assert plot.accuracy.low[0] == pytest.approx(62 - 4.96828, abs=1e-4)
    assert plot.accuracy.high[0] == pytest.approx(62 + 4.96828, abs=1e-4)
    assert plot.kind == ("base", "free")


# Odd tables


def two_seeds():
    table, document = example()
    return early(table), document


def all_equal():
    base, four = variant(patch_size="2", base=True), variant(patch_size="4")
    rows = [run(one, seed, 0.5) for one in (base, four) for seed in range(5)]
    return table_of(rows), environment([base, four])


def all_failed():
    base, four = variant(patch_size="2", base=True), variant(patch_size="4")
    rows = [failed(one, seed, "no memory") for one in (base, four) for seed in range(5)]
    return table_of(rows), environment([base, four])


def base_missing():
    table, document = example()
    return make_table(one for one in table.records if one.candidate.labels["patch_size"] != "2"), document


def no_runs():
    return table_of([]), example()[1]


def without_latency():
    table, document = by_hand(latency=None)
    values = [{name: it for name, it in one.values.items() if name != "latency_ms"} for one in table.records]
    return make_table(replace(one, values=it) for one, it in zip(table.records, values, strict=True)), document


ODD = [example, example_of_two, two_seeds, all_equal, all_failed, base_missing, no_runs, without_latency]


@pytest.mark.parametrize("made", ODD, ids=lambda made: made.__name__)
def test_a_report_of_any_table_is_made_again_from_its_files(tmp_path, made):
    table, document = made()
    first = write_report(table, document, tmp_path).read_text()
    assert len(read_table(tmp_path / "results.csv")) == len(table)
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
    assert page_data(*ablation(*made())).cards[0].subject == subject


def test_interactions_are_shown_for_two_factors_only():
    assert page_data(*ablation(*example())).interactions == ()
    rows = page_data(*ablation(*example_of_two())).interactions
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
        (lambda d: d["experiment"].update(seeds=[[1]]), "'experiment.seeds' must hold whole numbers"),
        (lambda d: plan_of(d).pop("stopped"), "'ablation.stopped' is missing"),
        (lambda d: plan_of(d).update(precision="0.5"), "'ablation.precision' has the wrong type, str"),
        (lambda d: plan_of(d).update(seeds=["a"]), "'ablation.seeds' must hold whole numbers"),
        (lambda d: plan_of(d).update(factors=[]), "'ablation.factors' must be one or two names"),
        (lambda d: plan_of(d).update(factors=["a", "b", "c"]), "'ablation.factors' must be one or two names"),
        (lambda d: plan_of(d).update(factors=["a", "a"]), "'ablation.factors' must be one or two names"),
        (lambda d: plan_of(d).update(factors=[1]), "'ablation.factors' must be one or two names"),
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
    table, document = example()
    write_report(table, document, tmp_path)
    broken = copy.deepcopy(document)
    change(broken)
    (tmp_path / "environment.json").write_text(json.dumps(broken))
    with pytest.raises(InputError) as error:
        remake_report(tmp_path)
    assert str(error.value) == f"{tmp_path / 'environment.json'}: {message}"


def test_a_table_whose_labels_became_numbers_is_an_error(tmp_path):
    write_report(*example(), tmp_path)
    path = tmp_path / "results.csv"
    path.write_text(path.read_text().replace('"', ""))
    with pytest.raises(InputError, match=r"results.csv: the column 'param.patch_size' must hold text, in quotes$"):
        remake_report(tmp_path)


HOSTILE = "<img src=x onerror=alert(3)></script><script>alert(2)</script>"


def hostile():
    base, other = variant(**{HOSTILE: "2"}, base=True, notes=[HOSTILE]), variant(**{HOSTILE: HOSTILE}, notes=[HOSTILE])
    rows = [run(one, seed, 0.5 + 0.01 * seed * seed) for one in (base, other) for seed in range(3)]
    rows += [failed(other, 3, HOSTILE), run(base, 3, 0.52)]
    left_out = [{"labels": {HOSTILE: HOSTILE}, "reason": HOSTILE}]
    document = environment([base, other], seeds=range(4), left_out=left_out, stopped=HOSTILE, study=HOSTILE)
    document["ablation"]["base"] = HOSTILE
    return table_of(rows), document


def test_text_from_outside_stays_text():
    page = render_ablation(*ablation(*hostile()))
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
    assert page.locator("#accuracy .scatterlayer .trace").count() == 3


def test_kinds_without_intervals_are_in_the_legend_too(opened):
    page = opened(*two_seeds())
    assert page.locator("#forest .legendtext").all_text_contents() == [
        "only patch_size changed",
        "width rescaled to equal MACs",
    ]


def test_the_forest_grows_with_its_rows(opened):
    height = "document.getElementById('forest').getBoundingClientRect().height"
    five, eight = (opened(*made()).evaluate(height) for made in (example, example_of_two))
    assert eight - five == 3 * 52


def test_the_cost_can_be_chosen(opened):
    page = opened(*by_hand())
    assert page.input_value("#x") == "macs"
    page.select_option("#x", "latency_ms")
    assert page.evaluate(trace("accuracy", 0, "x")) == [5.0]
    assert page.evaluate(trace("accuracy", 0, "error_x.array")) == pytest.approx([0.1])
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


if __name__ == "__main__":  # example pages, to look at: python tests/test_ablation_page.py FOLDER
    import sys

    print(write_report(*example(), Path(sys.argv[1]) / "example-ablation"))
    print(write_report(*example_of_two(), Path(sys.argv[1]) / "example-ablation-of-two"))
