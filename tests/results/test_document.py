"""The values that the page of a search draws."""

import json
import math
from typing import Any

import pytest
from reports import environment, example_table, three_rows, trained, view
from sure import sure

from mvit_nas.arch.config import to_dict
from mvit_nas.arch.presets import PRESETS
from mvit_nas.results.search import document as module
from mvit_nas.results.search.document import columns, document, drawings, history
from mvit_nas.results.search.findings import findings
from mvit_nas.results.table import table_of

XXS = json.dumps(to_dict(PRESETS["mobilevit_xxs"]), sort_keys=True)
XS = json.dumps(to_dict(PRESETS["mobilevit_xs"]), sort_keys=True)


def drawn_of(table):
    seen = view(table)
    return document(seen, {}, history(seen))


def values(drawn, name):
    return next(column["values"] for column in drawn["columns"] if column["name"] == name)


def test_the_document_is_json_and_holds_every_cell():
    table = example_table()
    drawn = json.loads(json.dumps(drawn_of(table), allow_nan=False))
    assert [column["name"] for column in drawn["columns"]] == [column.name for column in table.columns]
    assert {column["kind"] for column in drawn["columns"]} == {"Int64", "string", "Float64", "boolean"}
    assert values(drawn, "accuracy")[:2] == [0.631, 0.668]
    assert values(drawn, "accuracy")[4] is None
    assert values(drawn, "cached")[20] is True


def test_whole_numbers_beyond_a_float_are_text():
    table = table_of([{"state": "failed", "seed": 2**60 + 1, "macs": 5}])
    found = {column["name"]: column["values"] for column in columns(table)}
    assert (found["seed"], found["macs"]) == (["1152921504606846977"], [5])


def test_metrics_are_what_was_measured():
    assert [metric["name"] for metric in drawn_of(three_rows())["metrics"]] == [
        "accuracy",
        "params",
        "macs",
        "latency_ms",
    ]
    drawn = drawn_of(three_rows(latency_ms=None))
    assert [metric["name"] for metric in drawn["metrics"]] == ["accuracy", "params", "macs"]
    costs = drawn_of(three_rows(accuracy=None))
    assert (costs["x"], costs["y"]) == ("params", "macs")
    assert drawn_of(table_of([]))["metrics"] == []


def test_what_limits_do_not_change_is_said_by_python():
    drawn = drawn_of(three_rows())
    assert [finding["title"] for finding in drawn["findings"]] == ["Presets not compared"]
    whole = [finding.title for finding in findings(view(three_rows()))]
    assert whole[-1:] == ["Presets not compared"]
    assert len(whole) == 2


def test_a_part_of_several_networks_is_drawn_once():
    rows = [trained(trial, 0.5, 1, 1, 1.0, arch=text) for trial, text in enumerate([XXS, XS, XXS, "{}", "no json"])]
    drawn: Any = drawings(view([*rows, {"state": "failed"}], environment(data={"name": "x", "classes": ["a", "b"]})))
    assert drawn["drawings"][0] == drawn["drawings"][2] == list(range(7))
    assert drawn["drawings"][3:] == [None] * 3
    assert drawn["imageSizes"] == [256, 256, 256, None, None, None]
    assert len(drawn["parts"]) < 14
    assert [drawn["parts"][part]["name"] for part in drawn["drawings"][1]] == [
        "stem",
        *(f"stage {n}" for n in range(1, 6)),
        "head",
    ]


def test_of_many_networks_the_best_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "MOST_DRAWN", 1)
    rows = [trained(0, 0.5, 2, 2, 2.0, arch=XXS), trained(1, 0.6, 1, 1, 1.0, arch=XS)]
    found: Any = drawings(view(rows))["drawings"]
    assert (found[0], found[1] is None) == (None, False)


HISTORY = [
    {"trial": 0, "state": "complete", "accuracy": 0.75, "params": 4e6, "seconds": 30.0},
    {"trial": 1, "state": "complete", "accuracy": 0.5, "params": 2e6, "seconds": 20.0},
    {"trial": 2, "state": "complete", "accuracy": 0.375, "params": 3e6, "seconds": 10.0},
    {"trial": 3, "state": "over_budget", "params": 30e6, "seconds": 0.0},
    {"trial": 4, "state": "failed", "params": 10, "seconds": 40.0},
]


def box(**changes):
    """A search of two objectives whose box is easily worked out by hand."""
    experiment = {**environment()["experiment"], "objectives": ["accuracy", "params"], **changes}
    return environment(experiment=experiment, hypervolume_reference={"accuracy": 1 / 3, "params": 16e6})


def counted(rows):
    return table_of({**row, "params": int(row["params"])} for row in rows)


def test_the_history_has_the_points_at_which_it_rises_and_the_last():
    """From a third, that of guessing among three classes: 5/8 by 2/6; then 2/8 by 1/6 more; nothing adds after that."""
    (line,) = sure(history(view(counted(reversed(HISTORY)), box())))
    assert line.name == "the search"
    assert line.trial == (0, 1, 4)
    assert line.percent == pytest.approx((100 * 10 / 48, 100 * 12 / 48, 100 * 12 / 48))
    assert line.trainings == (1.0, 2.0, 4.0)
    assert line.seconds == (30.0, 50.0, 100.0)


def test_the_sampler_and_what_was_drawn_at_random_have_lines_of_their_own():
    by = ["random", "cost-aware", "random", "cost-aware", "first design"]
    rows = [row | {"proposed_by": name} for row, name in zip(HISTORY, by, strict=True)]
    whole, sampler, drawn = sure(history(view(counted(rows), box(sampler="cost-aware", baseline=0.5))))
    assert [line.name for line in (whole, sampler, drawn)] == ["all together", "cost-aware", "random"]
    assert sampler.percent == pytest.approx((100 * 6 / 48, 100 * 6 / 48))
    assert sampler.trainings == (1.0, 1.0)
    assert drawn.percent == pytest.approx((100 * 10 / 48, 100 * (10 / 48 + 1 / 16 * (math.log2(16 / 3) - 2) / 6)))
    assert drawn.seconds == (30.0, 40.0)


def test_without_a_box_there_is_no_history():
    table = counted(HISTORY)
    assert history(view(table, {**box(), "hypervolume_reference": {"accuracy": 0.2}})) is None
    assert history(view(table, {**box(), "hypervolume_reference": {"accuracy": 0.2, "params": 0}})) is None
    assert history(view([], box())) is None


def test_published_models_come_once_each_with_a_cost():
    published = drawn_of(three_rows())["published"]
    names = [model["name"] for model in published]
    assert len(names) == len(set(names)) > 50
    assert all(model["values"]["params"] or model["values"]["macs"] for model in published)
    assert all(0.3 < model["values"]["accuracy"] < 1 and model["source"] for model in published)
