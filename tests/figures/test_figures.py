"""Each figure shows the numbers of the page, from kept studies and from tables small enough to work out by hand."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from reports import environment, example_table, only_costs, three_rows, trained, view, with_further

from mvit_nas import figures
from mvit_nas.errors import InputError
from mvit_nas.results.ablation.page import page_data
from mvit_nas.results.page import title
from mvit_nas.results.reading import AblationView, open_study
from mvit_nas.results.search.document import document, history
from mvit_nas.results.search.runtimes import compare
from mvit_nas.results.view import StudyView

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
OF_SEARCHES = (
    figures.front,
    figures.parallel_coordinates,
    figures.learning_curves,
    figures.hypervolume,
    figures.importance,
    figures.effects,
)


@pytest.fixture(scope="module")
def kept():
    """A real search, and what its page draws."""
    study = open_study(EXPERIMENTS / "search_efficiency/cost-aware-0")
    assert isinstance(study, StudyView)
    drawn: Any = document(study, {}, history(study))
    return study, drawn, {column["name"]: column["values"] for column in drawn["columns"]}


@pytest.fixture(scope="module")
def ablated():
    """A real ablation, and what its page draws."""
    study = open_study(EXPERIMENTS / "patch_size")
    assert isinstance(study, AblationView)
    return study, page_data(study.records, study.origin).document


def trace(figure, name):
    (found,) = [one for one in figure.data if one.name == name and one.showlegend is not False]
    return found


def points(traces):
    """All marks; a preset on the step line has one there of no size."""
    found = []
    for one in traces:
        sizes = one.marker.size if isinstance(one.marker.size, tuple) else [one.marker.size] * len(one.x)
        found += [(x, y) for x, y, size in zip(one.x, one.y, sizes, strict=True) if size]
    return sorted(found)


def ends(bars, values):
    """What error bars reach from and to."""
    below = [value - length for value, length in zip(values, bars.arrayminus, strict=True)]
    above = [value + length for value, length in zip(values, bars.array, strict=True)]
    return below, above


def words(figure):
    return f"{figure.layout.title.text} {figure.layout.title.subtitle.text}".replace("<br>", " ")


def test_the_front_has_every_trained_candidate_of_the_page_once(kept):
    study, drawn, columns = kept
    figure = figures.front(study)
    shown = zip(columns["state"], columns[drawn["x"]], columns[drawn["y"]], strict=True)
    expected = sorted((x, 100 * y) for state, x, y in shown if state == "complete")
    assert len(expected) == 25
    assert points(figure.data) == expected
    labels = {metric["name"]: metric["label"] for metric in drawn["metrics"]}
    assert figure.layout.xaxis.title.text == labels[drawn["x"]] == "Parameters"
    assert figure.layout.yaxis.title.text == labels[drawn["y"]] == "Validation accuracy, short schedule (%)"


def test_the_step_line_joins_what_none_beats_on_these_axes(kept):
    study, _, columns = kept
    figure = figures.front(study, x="macs")
    known = list(zip(columns["macs"], columns["accuracy"], strict=True))
    unbeaten = sorted(
        (cost, 100 * score)
        for cost, score in known
        if not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in known)
    )
    line = trace(figure, "front of these axes")
    assert list(zip(line.x, line.y, strict=True)) == unbeaten
    assert line.line.shape == "hv"


def test_the_front_of_all_objectives_is_that_of_the_page(kept):
    study, drawn, columns = kept
    figure = figures.front(study, x="params")
    both = [trace(figure, name) for name in ("front of these axes", "best trade-offs over all goals")]
    assert points(both) == sorted((columns["params"][i], 100 * columns["accuracy"][i]) for i in drawn["front"])
    (dominated,) = [one for one in figure.data if one.name == "dominated"]
    assert len(dominated.x) == 25 - len(drawn["front"])
    assert dominated.error_y.array is None


def test_bars_end_where_the_intervals_of_the_page_do(kept):
    study, _, columns = kept
    line = trace(figures.front(study), "front of these axes")
    rows = [columns["params"].index(x) for x in line.x]
    low, high = ends(line.error_y, line.y)
    assert low == pytest.approx([100 * columns["accuracy_low"][row] for row in rows])
    assert high == pytest.approx([100 * columns["accuracy_high"][row] for row in rows])
    assert line.error_x.array is None


def test_any_two_metrics_are_axes_and_milliseconds_stay_as_they_are():
    figure = figures.front(view(three_rows()), x="accuracy", y="latency_ms")
    line = trace(figure, "front of these axes")
    assert list(zip(line.x, line.y, strict=True)) == [(60.0, 5.0), (70.0, 6.0), (73.0, 15.0)]
    assert line.line.shape == "vh"
    (preset,) = [one for one in figure.data if one.name == "preset"]
    low, high = ends(preset.error_y, preset.y)
    assert (low, high) == (pytest.approx([4.925]), pytest.approx([5.1]))


def test_a_preset_is_drawn_and_barred_once():
    figure = figures.front(view(three_rows()))
    line, preset = (trace(figure, name) for name in ("front of these axes", "preset"))
    assert line.marker.size == (0, 9, 9)
    assert line.error_y.array == pytest.approx((0, 2.4, 2.4))
    assert (preset.text, preset.x, preset.error_y.array) == (("mobilevit_xxs",), (1_000_000,), pytest.approx((2.4,)))


def test_the_names_of_presets_stand_away_from_the_edges():
    rows = [
        trained(0, 0.6, 1_000_000, 9, 5.0, name="mobilevit_xxs"),
        trained(1, 0.7, 1_900_000, 9, 5.0, name="mobilevit_xs"),
        trained(2, 0.8, 5_000_000, 9, 5.0, name="mobilevit_s"),
    ]
    assert trace(figures.front(view(rows)), "preset").textposition == ("bottom right", "bottom right", "bottom left")


def test_a_further_runtime_has_an_axis():
    table, origin = with_further(example_table())
    study = view(table, origin)
    figure = figures.front(study, x="latency_ms.executorch")
    drawn: Any = document(study, {name: compare(study, name) for name in table.further_runtimes}, None)
    assert figure.layout.xaxis.title.text == drawn["metrics"][-1]["label"]
    assert len(points(figure.data)) == len(drawn["further"][0]["rows"])
    assert "by ExecuTorch" in figure.data[0].hovertext[0]


def test_a_budget_is_a_line_where_it_does_not_press_the_candidates_together():
    experiment = environment()["experiment"]
    near = environment(experiment=experiment | {"budgets": [{"metric": "params", "low": 0.0, "high": 4.5e6}]})
    far = environment(experiment=experiment | {"budgets": [{"metric": "params", "low": 0.0, "high": 9e6}]})
    (line,) = figures.front(view(three_rows(), near), x="params").layout.shapes
    assert (line.x0, line.x1, line.label.text) == (4.5e6, 4.5e6, "budget: at most 4.5M parameters")
    assert not figures.front(view(three_rows(), far), x="params").layout.shapes
    (flat,) = figures.front(view(three_rows(), near), x="macs", y="params").layout.shapes
    assert (flat.y0, flat.y1) == (4.5e6, 4.5e6)


def test_a_hover_says_who_it_is_what_is_known_and_what_was_chosen():
    rows = [trained(7, 0.6, 1_000_000, 200_000_000, 5.0, **{"param.patch_size": "2,1"})]
    (hover,) = figures.front(view(rows)).data[0].hovertext
    assert hover.split("<br>") == [
        "trial 7",
        "60.0 % validation accuracy, short schedule (95 % interval 57.4 to 62.4 %)",
        "1M parameters",
        "200M MACs",
        "5 ms latency (95 % interval 4.92 to 5.10 ms)",
        "patch size: 2,1",
    ]


def test_parallel_coordinates_have_the_numbers_and_the_order_of_the_page(kept):
    study, drawn, columns = kept
    (lines,) = figures.parallel_coordinates(study).data
    titles = [one.label for one in lines.dimensions]
    assert titles == [
        *(title(name.removeprefix("param.")) for name in drawn["order"][:8]),
        "Parameters",
        "MACs",
        "Accuracy (%)",
    ]
    rows = sorted(range(25), key=lambda row: columns["accuracy"][row])
    by_title = dict(zip(titles, lines.dimensions, strict=True))
    assert by_title["Accuracy (%)"]["values"] == pytest.approx([100 * columns["accuracy"][row] for row in rows])
    assert lines.line.color == by_title["Accuracy (%)"]["values"]
    assert by_title["MACs"]["values"] == pytest.approx([columns["macs"][row] for row in rows])
    width = by_title["width"]
    assert [width.ticktext[place] for place in width["values"]] == [columns["param.width"][row] for row in rows]
    assert width.ticktext == ("micro", "tiny", "xxs", "xs")  # as the space has them


def test_a_factor_without_effect_is_a_dash_and_numbers_are_in_order():
    rows = [
        trained(0, 0.5, 30, 1, 1.0, **{"param.depth": 10, "param.place": "b"}),
        trained(1, 0.6, 10, 2, 2.0, **{"param.depth": 9, "param.place": "a"}),
        trained(2, 0.4, 20, 3, 3.0, **{"param.place": "a"}),
    ]
    (lines,) = figures.parallel_coordinates(view(rows)).data
    depth, place = lines.dimensions[:2]
    assert (depth.ticktext, depth["values"]) == (("-", "9", "10"), (0, 2, 1))  # worst first: trials 2, 0, 1
    assert (place.ticktext, place["values"]) == (("a", "b"), (0, 1, 0))


def test_what_lacks_a_number_is_left_out_and_counted():
    rows = [trained(0, 0.5, 30, 1, 1.0), trained(1, 0.6, 10, 2, 2.0), trained(2, 0.7, 9, 3, 3.0)]
    rows[1]["latency_ms"] = rows[1]["latency_low_ms"] = rows[1]["latency_high_ms"] = None
    figure = figures.parallel_coordinates(view(rows))
    assert "2 of 3 trained candidates" in words(figure)
    assert figure.data[0].dimensions[-1]["values"] == pytest.approx((50, 70))


def test_learning_curves_are_those_of_the_page(kept):
    study, drawn, columns = kept

    def curve(row):
        rungs = [(one["epoch"], 100 * (one["correct"] / one["images"])) for one in json.loads(columns["rungs"][row])]
        last = columns["epochs"][row]
        return [*(one for one in rungs if one[0] < last), (last, 100 * columns["accuracy"][row])]

    figure = figures.learning_curves(study)
    best = drawn["front"][:6]
    assert [one.name for one in figure.data] == ["other trainings", *(f"trial {columns['trial'][row]}" for row in best)]
    for row, shown in zip(best, figure.data[1:], strict=True):
        assert list(zip(shown.x, shown.y, strict=True)) == curve(row)
    others = [point for row in range(25) if row not in best for point in curve(row)]
    behind = [point for point in zip(figure.data[0].x, figure.data[0].y, strict=True) if point[0] is not None]
    assert behind == others
    assert list(figure.data[0].x).count(None) == 25 - 6


def test_a_curve_ends_with_all_images_and_a_stopped_one_where_it_was_stopped():
    rungs = json.dumps([{"epoch": epoch, "loss": 1.0, "correct": 10 * epoch, "images": 80} for epoch in (1, 2, 4)])
    rows = [
        trained(0, 0.55, 30, 1, 1.0, rungs=rungs, epochs=4),
        {"trial": 1, "state": "stopped", "params": 20, "rungs": rungs, "epochs": 4},
    ]
    whole, stopped = figures.learning_curves(view(rows), trials=[0, 1]).data
    assert list(zip(whole.x, whole.y, strict=True)) == [(1, 12.5), (2, 25.0), (4, 100 * 0.55)]
    assert list(zip(stopped.x, stopped.y, strict=True)) == [(1, 12.5), (2, 25.0), (4, 50.0)]


def test_chosen_trials_are_coloured(kept):
    study, _, columns = kept
    figure = figures.learning_curves(study, trials=[3, 17])
    assert [one.name for one in figure.data] == ["other trainings", "trial 3", "trial 17"]
    assert figure.data[2].y[-1] == pytest.approx(100 * columns["accuracy"][columns["trial"].index(17)])
    with pytest.raises(InputError, match=r"^cost-aware-0: trial 99 has no learning curve$"):
        figures.learning_curves(study, trials=[3, 99])


@pytest.mark.parametrize(("over", "key"), [("trial", "trial"), ("trainings", "trainings"), ("seconds", "seconds")])
def test_the_hypervolume_is_that_of_the_page(kept, over, key):
    study, drawn, _ = kept
    (line,) = figures.hypervolume(study, over=over).data
    (expected,) = drawn["history"]
    assert (list(line.x), list(line.y)) == (list(expected[key]), list(expected["percent"]))


def test_a_baseline_has_lines_of_its_own():
    rows = [
        trained(trial, 0.3 + 0.1 * trial, 4_000_000 - trial, 9, 1.0, proposed_by=by)
        for trial, by in enumerate(["random", "cost-aware", "random", "cost-aware"])
    ]
    experiment = environment()["experiment"] | {"objectives": ["accuracy", "params"], "sampler": "cost-aware"}
    study = view(rows, environment(experiment=experiment | {"baseline": 0.5}))
    figure = figures.hypervolume(study, over="trainings")
    assert [one.name for one in figure.data] == ["all together", "cost-aware", "random"]
    assert [list(one.y) for one in figure.data] == [list(one.percent) for one in history(study) or ()]
    assert figure.layout.showlegend


@pytest.mark.parametrize("objective", ["accuracy", "macs"])
def test_importance_and_effects_are_those_of_the_page(kept, objective):
    study, drawn, _ = kept
    explained = next(one for one in drawn["importance"]["objectives"] if one["objective"] == objective)
    factors = [one for one in explained["factors"] if one["share"]]

    (shares,) = figures.importance(study, objective=objective).data
    cut = [
        {end: 100 * min(1, max(0, value)) * (one["shown"] or end == "high") for end, value in one["share"].items()}
        for one in factors[:12]
    ]
    low, high = ends(shares.error_x, shares.x)
    assert list(shares.y) == [title(one["name"]) for one in factors[:12]]
    assert list(shares.x) == pytest.approx([one["value"] for one in cut])
    assert low == pytest.approx([one["low"] for one in cut])
    assert high == pytest.approx([one["high"] for one in cut])

    figure = figures.effects(study, objective=objective)
    (dots,) = figure.data
    scale = 100 if objective == "accuracy" else 1
    means = [effect["mean"] for one in factors[:6] for effect in one["effects"]]
    low, high = ends(dots.error_x, dots.x)
    assert list(dots.x) == pytest.approx([scale * mean["value"] for mean in means])
    assert low == pytest.approx([scale * mean["low"] for mean in means])
    assert high == pytest.approx([scale * mean["high"] for mean in means])
    ticks = dict(zip(figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext, strict=True))
    assert [ticks[y] for y in dots.y] == [effect["label"] for one in factors[:6] for effect in one["effects"]]
    assert [text for text in ticks.values() if text.startswith("<b>")] == [
        f"<b>{title(one['name'])}</b>" for one in factors[:6]
    ]


def test_a_share_that_cannot_be_told_from_nothing_is_said_to_be_none_shown(kept):
    study, drawn, _ = kept
    explained = next(one for one in drawn["importance"]["objectives"] if one["objective"] == "accuracy")
    factors = [one for one in explained["factors"] if one["share"]][:12]
    assert any(one["share"]["low"] <= 0 < one["share"]["value"] for one in factors), "or this shows nothing"
    (shares,) = figures.importance(study).data
    for one, hover in zip(factors, shares.hovertext, strict=True):
        assert ("none shown" in hover) == (not one["shown"])
        assert not re.search(r"[-\u2212]\d|1[1-9]\d %", hover)


def test_the_forest_is_that_of_the_page(ablated):
    study, drawn = ablated
    figure = figures.forest(study)
    rows = drawn["forest"]["rows"]
    means, dots = figure.data
    low, high = ends(means.error_x, means.x)
    assert list(means.x) == pytest.approx([row["mean"] for row in rows])
    assert low == pytest.approx([row["low"] for row in rows])
    assert high == pytest.approx([row["high"] for row in rows])
    assert list(dots.x) == pytest.approx([dot for row in rows for dot in row["dots"]])
    assert [round(y - 0.26) for y in dots.y] == [y for y, row in enumerate(rows) for _ in row["dots"]]
    assert list(figure.layout.yaxis.ticktext) == [row["label"] for row in rows] == ["1", "3", "4", "8,4,2"]
    assert list(figure.layout.xaxis.range) == drawn["forest"]["range"]
    assert means.hovertext == tuple(row["hover"] for row in rows)


@pytest.mark.parametrize("cost", [None, "latency_ms"])
def test_accuracy_against_cost_is_that_of_the_page(ablated, cost):
    study, drawn = ablated
    expected = drawn["accuracy"]
    axis, score = expected["axes"][cost or expected["x"]], expected["accuracy"]
    figure = figures.accuracy(study, x=cost)
    assert points(figure.data) == sorted(zip(axis["values"], score["values"], strict=True))
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == (axis["title"], expected["y"])
    base, others = figure.data
    low, high = ends(others.error_y, others.y)
    rows = [row for row, kind in enumerate(expected["kind"]) if kind == "free"]
    assert low == pytest.approx([score["low"][row] for row in rows])
    assert high == pytest.approx([score["high"][row] for row in rows])
    assert (base.text, others.text) == (("2",), ("1", "3", "4", "8,4,2"))
    if cost:
        low, _ = ends(others.error_x, others.x)
        assert low == pytest.approx([axis["low"][row] for row in rows])
    else:
        assert others.error_x.array is None


def test_titles_say_no_more_than_is_known(kept, ablated):
    for draw in (figures.front, figures.parallel_coordinates, figures.learning_curves, figures.hypervolume):
        said = words(draw(kept[0]))
        assert "short schedule, one training with one seed each, not confirmed" in said
        assert "cost-aware-0: cifar10, 5000 validation images" in said
    assert "95 % intervals over images alone, not over seeds (accuracy)" in words(figures.front(kept[0]))
    assert "one short training each" in words(figures.importance(kept[0]))
    for draw in (figures.forest, figures.accuracy):
        assert "the same 5000 validation images for all; short schedule, 10 seeds" in words(draw(ablated[0]))
    assert "nothing was trained" in words(figures.front(view(*only_costs())))


def test_names_are_text_to_plotly_too():
    document = environment(study="a <b> & c", data={"name": "x<y", "images": {"validation": 400}})
    figure = figures.front(view(three_rows(), document))
    assert "a &lt;b&gt; &amp; c: x&lt;y, 400 validation images" in figure.layout.title.subtitle.text


def test_a_figure_is_written_by_plotly(kept, tmp_path):
    figures.front(kept[0]).write_html(tmp_path / "front.html", include_plotlyjs="cdn")
    assert "Validation accuracy after the short schedule" in (tmp_path / "front.html").read_text()


@pytest.mark.parametrize("draw", OF_SEARCHES, ids=lambda draw: draw.__name__)
def test_a_figure_of_searches_refuses_an_ablation(draw, ablated):
    with pytest.raises(InputError, match=rf"^patch_size is an ablation: {draw.__name__} shows a search; .*$"):
        draw(ablated[0])


@pytest.mark.parametrize("draw", [figures.forest, figures.accuracy], ids=lambda draw: draw.__name__)
def test_a_figure_of_ablations_refuses_a_search(draw, kept):
    with pytest.raises(InputError, match=rf"^cost-aware-0 is a search: {draw.__name__} shows an ablation; .*$"):
        draw(kept[0])


@pytest.mark.parametrize("draw", OF_SEARCHES, ids=lambda draw: draw.__name__)
def test_a_study_with_nothing_to_draw_is_an_error_in_one_line(draw):
    with pytest.raises(InputError, match=r"^clothing-6M: [^\n]*$"):
        draw(view([{"state": "failed", "trial": 0}], environment(study="clothing-6M")))


def test_an_ablation_that_has_not_begun_is_an_error_in_one_line(ablated):
    empty = AblationView(records=(), origin=ablated[0].origin)
    with pytest.raises(InputError, match=r"^patch_size: there is no difference from the base yet$"):
        figures.forest(empty)
    with pytest.raises(InputError, match=r"^patch_size: no accuracy is known yet$"):
        figures.accuracy(empty)


def test_a_misspelt_name_is_answered_with_the_nearest(kept, ablated):
    for draw, message in [
        (lambda: figures.front(kept[0], x="param"), "cost-aware-0: unknown 'param', did you mean 'params'"),
        (lambda: figures.front(kept[0], y="accurcy"), "cost-aware-0: unknown 'accurcy', did you mean 'accuracy'"),
        (lambda: figures.effects(kept[0], objective="mac"), "cost-aware-0: unknown 'mac', did you mean 'macs'"),
        (lambda: figures.hypervolume(kept[0], over="trials"), "over: unknown 'trials', did you mean 'trial'"),
        (lambda: figures.accuracy(ablated[0], x="latency"), "patch_size: unknown 'latency', did you mean 'latency_ms'"),
    ]:
        with pytest.raises(InputError, match=f"^{re.escape(message)}"):
            draw()
