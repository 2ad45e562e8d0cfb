import json
import re
from dataclasses import replace

import pytest
from reports import (
    data_of,
    environment,
    example_table,
    headline,
    only_costs,
    three_rows,
    trained,
    view,
    without_libraries,
    write_report,
)
from sure import sure

from mvit_nas.arch.config import to_dict
from mvit_nas.arch.count import count
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import Label, adapt_preset, load_space
from mvit_nas.errors import InputError
from mvit_nas.metrics import ACCURACY, LATENCY, MACS, PARAMS
from mvit_nas.results.page import axis_label, provenance
from mvit_nas.results.report import remake_report, render_search
from mvit_nas.results.search.findings import STATE_WORDS, Finding, findings
from mvit_nas.results.search.letters import choice_words, descriptor, letters, names
from mvit_nas.results.search.page import MOST_ROWS, Outcome, candidates, glossary, outcomes, page_data
from mvit_nas.results.table import read_table, table_of
from mvit_nas.results.view import front
from mvit_nas.study.record import Candidate, State
from mvit_nas.study.table import Row

# The findings


def test_the_front_has_the_best_accuracy_first_and_each_architecture_once():
    records = [*three_rows().records, *three_rows().records]
    assert front(records, (ACCURACY, PARAMS)) == (2, 1, 0)
    assert front(records, (ACCURACY,)) == (2,)
    assert front(records, (PARAMS, LATENCY)) == (0,)


def test_only_trained_candidates_are_on_the_front():
    table = table_of([{"state": "failed", "accuracy": 0.9, "params": 5}, {"state": "complete", "params": 9}])
    assert front(table.records, (ACCURACY, PARAMS)) == ()
    assert front(table.records, (PARAMS,)) == (1,)
    assert front((), (ACCURACY, PARAMS)) == ()


def test_the_headline_says_what_to_take_and_what_is_as_good_and_cheaper():
    assert headline(view(three_rows(), environment(presets=["mobilevit_xxs", "mobilevit_s"]))) == [
        (
            "Best within the budget (at most 6M parameters): A, 73.0 % validation accuracy (70.4 to 75.4 %) "
            "after the short schedule, 4M parameters, 900M MACs, 15 ms latency, "
            "the best of these 3 with a probability of 98 % (over images alone, one seed)."
        ),
        ("Against mobilevit_xxs: +13.0 accuracy points, 300 % more parameters, 350 % more MACs, 200 % higher latency."),
        "Presets not compared: mobilevit_s (not tried).",
    ]


def test_the_cheapest_within_a_point_of_the_best_is_named():
    rows = [
        trained(4, 0.716, 3_000_000, 2, 1.0, arch_id="aa"),
        trained(5, 0.7065, 2_000_000, 3, 2.0, arch_id="bb"),
        trained(6, 0.705, 1_000_000, 3, 2.0, arch_id="cc"),
    ]
    best, cheap = findings(view(rows, environment(presets=[])))
    assert (best.subject, best.detail) == ("A", "trial 4, aa")
    assert best.command == "mvit-nas confirm 'Shirts and shoes within six million'"
    assert (cheap.title, cheap.subject) == ("Within one point of the best, fewest parameters", "B")
    assert cheap.facts[0].startswith("70.7 %")  # which rounds, as everywhere, to the even digit
    assert cheap.command == ""


def test_what_is_tied_is_on_the_front_cheaper_and_within_the_budget():
    rows = [
        trained(1, 0.716, 3_000_000, 2, 2.0, arch_id="aa"),
        trained(2, 0.700, 2_000_000, 3, 2.0, arch_id="bb"),
        trained(3, 0.680, 1_500_000, 3, 1.5, arch_id="cc"),
        trained(4, 0.550, 1_000_000, 3, 1.0, arch_id="dd"),
        trained(5, 0.675, 1_600_000, 3, 1.7, arch_id="ee"),  # beaten by cc
    ]
    best = findings(view(rows, environment(presets=[])))[0]
    assert best.facts[1] == "the best of these 5 with a probability of 87 % (over images alone, one seed)"
    assert best.facts[2] == "B is tied with it (no difference shown) and has 33 % fewer parameters"
    goals = {**environment()["experiment"], "objectives": ["accuracy", "params", "macs"]}
    dearer = findings(view(rows, environment(presets=[], experiment=goals)))[0]
    assert dearer.facts[2] == f"{best.facts[2]}, but 50 % more MACs"
    seeds = {"seed_spread": {"deviation": 0.02, "freedom": 20, "source": "2 networks trained 22 times"}}
    blurred = findings(view(rows, environment(presets=[], **seeds)))[0]
    assert "(66.8 to 76.4 %)" in blurred.facts[0]
    assert blurred.facts[1] == "the best of these 5 with a probability of 62 % (over seeds and images)"
    assert blurred.facts[2] == "C is tied with it (no difference shown) and has 50 % fewer parameters"
    scores = [{"seed": seed, "values": {"accuracy": accuracy}} for seed, accuracy in enumerate((0.70, 0.716, 0.732))]
    repeated = [{**rows[0], "by_seed": json.dumps(scores)}, *rows[1:]]
    surer = findings(view(repeated, environment(presets=[], **seeds)))[0]
    assert surer.facts[0].startswith(
        "71.6 % validation accuracy (68.2 to 75.0 %) after the short schedule, mean of 3 seeds, 3M"
    )
    assert surer.facts[1] == "the best of these 5 with a probability of 65 % (over seeds and images)"


def small_space(**changes):
    space = load_space("mobilevit_small")
    experiment = {**environment()["experiment"], "budgets": [{"metric": "macs", "low": 0.0, "high": 15e6}], **changes}
    classes = [str(number) for number in range(10)]
    told = {"name": space.name, "settings": 1, "networks": 1, "text": space.text}
    return environment(space=told, experiment=experiment, data={**environment()["data"], "classes": classes})


def test_a_preset_that_the_budget_left_out_is_said_with_what_it_costs():
    found = findings(view(three_rows(name=""), small_space()))[-1]
    assert found.title == "Presets not compared"
    cost = count(sure(adapt_preset(PRESETS["mobilevit_xs"], load_space("mobilevit_small"))), classes=10)
    assert f"mobilevit_xs ({MACS.format(cost.macs)}, the budget is at most 15M MACs)" in found.facts
    assert found.facts[-1].startswith("in this space the presets have other strides than the paper's")


def test_a_preset_that_fits_but_was_not_tried_is_said_so_and_the_papers_own_strides_are_no_news():
    document = small_space(budgets=[{"metric": "macs", "low": 0.0, "high": 15e9}])
    space = load_space("mobilevit")
    document["space"] |= {"text": space.text, "name": space.name}
    found = findings(view(three_rows(name=""), document))[-1]
    assert found.facts == tuple(f"{name} (not tried)" for name in ("mobilevit_xxs", "mobilevit_xs", "mobilevit_s"))


def test_letters_go_on_after_z():
    assert letters(3) == ("A", "B", "C")
    assert letters(54)[24:29] + letters(54)[-2:] == ("Y", "Z", "AA", "AB", "AC", "BA", "BB")


def test_a_network_is_named_by_its_letter_its_preset_or_its_trial():
    rows = [
        trained(7, 0.5, 3_000_000, 2, 5.0, arch_id="aa"),
        trained(8, 0.7, 2_000_000, 3, 2.0, name="mobilevit_xs"),
        trained(9, 0.4, 2_500_000, 3, 2.0, name="mobilevit_s"),
        {"state": "failed", "arch_id": "ee"},
        trained(3, 0.6, 1_000_000, 3, 2.0, arch_id="ff"),
    ]
    assert names(view(rows)) == {0: "trial 7", 1: "A (mobilevit_xs)", 2: "mobilevit_s", 3: "ee", 4: "B"}


def test_a_network_is_described_by_the_first_telling_factors_that_it_has():
    labels: dict[str, Label] = {
        "patch_size": "2,1,1",
        "depth.stages.3": 1,
        "depth.stages.2": 4,
        "width": "xs",
        "gates": 6,
    }
    record = replace(view(three_rows()).records[0], candidate=Candidate(arch=None, arch_id="aa", labels=labels))
    assert descriptor(record, ["width", "heads", "depth.stages.3", "patch_size", "gates"]) == (
        "xs, 1 layer in stage 4, patch 2,1,1"
    )
    assert descriptor(record, ["depth.stages.2", "gates"]) == "4 layers in stage 3, gates 6"
    arch = with_values(PRESETS["mobilevit_xs"], {"stages.2.mobilevit": None})
    without = replace(record, candidate=Candidate(arch=arch, arch_id="aa", labels=labels))
    assert descriptor(without, ["depth.stages.2", "depth.stages.3", "gates"]) == "1 layer in stage 4, gates 6"
    assert choice_words("placement", "3,4") == "attention in stages 3,4"
    assert choice_words("placement", "4") == "attention in stage 4"


def test_blocks_that_see_a_single_token_are_said_to():
    arch = with_values(PRESETS["mobilevit_xs"], {"image_size": 64, "stages.*.mobilevit.patch_size": 4})
    row = trained(0, 0.60, 1_000_000, 200, 5.0) | {"arch": json.dumps(to_dict(arch))}
    best = findings(view(table_of([row]), environment(presets=[])))[0]
    assert best.facts[-1] == "attention sees a single token in 2 of 3 MobileViT blocks, and does nothing there"


def test_a_cost_that_was_measured_of_no_network_is_not_the_main_one():
    document = environment(presets=[])
    document["experiment"] |= {"budgets": [{"metric": "latency_ms", "low": 0.0, "high": 10.0}]}
    rows: list[Row] = [{"state": "complete", "accuracy": 0.5, "params": 1_000_000, "arch_id": "aa"}]
    assert view(table_of(rows), document).cost is PARAMS


def test_intervals_that_overlap_are_said_to():
    table = table_of(
        [
            trained(0, 0.60, 1_000_000, 200, 5.0, name="mobilevit_xxs"),
            trained(1, 0.62, 900_000, 200, 4.0, arch_id="bb"),
            {"state": "over_budget", "name": "mobilevit_s"},
        ]
    )
    found = findings(view(table, environment(presets=["mobilevit_xxs", "mobilevit_s"])))
    assert found[0].comparisons == (
        (
            "Against mobilevit_xxs: +2.0 accuracy points (the intervals overlap), 10 % fewer parameters, "
            "the same MACs, 20 % lower latency"
        ),
    )
    assert found[1] == Finding(
        title="Presets not compared", subject="", facts=("mobilevit_s (over budget)",), comparisons=()
    )


def test_of_two_as_accurate_the_cheaper_is_the_best():
    rows = [
        trained(0, 0.7, 3_000_000, 2, 1.0, arch_id="aa"),
        trained(1, 0.7, 2_000_000, 3, 2.0, arch_id="bb"),
    ]
    assert findings(view(table_of(rows), environment(presets=[])))[0].detail == "trial 1, bb"


def test_nothing_complete_is_said():
    table = table_of([{"state": "failed"}, {"state": "over_budget"}, {"state": "over_budget"}])
    assert headline(view(table, environment())) == [
        "No candidate was trained to the end: 3 tried: 2 over budget, 1 failed."
    ]
    assert headline(view(table_of([]), environment())) == [
        "No candidate was trained to the end: no trial has ended yet."
    ]


def test_a_search_over_costs_alone_names_the_smallest():
    assert headline(view(*only_costs())) == [
        "Fewest parameters: A (mobilevit_xxs), 1M parameters, 200M MACs, 5 ms latency.",
        "Lowest latency: A (mobilevit_xxs), 1M parameters, 200M MACs, 5 ms latency.",
    ]


# The page as data


def test_the_front_is_first_among_the_candidates():
    table = example_table()
    rows = candidates(view(table, environment()))
    on_front = front(table.records, (ACCURACY, PARAMS, LATENCY))
    assert len(rows) == len(table)
    assert [row.front for row in rows] == [True] * len(on_front) + [False] * (len(table) - len(on_front))
    measured = [row.measured for row in rows]
    assert measured == sorted(measured, reverse=True)


def test_a_candidate_shows_intervals_choices_and_what_was_not_measured():
    table = table_of(
        [
            trained(7, 0.7, 2_000_000, 300_000_000, 6.0, name="mobilevit_xs", arch_id="aa")
            | {"cached": True, "param.width": 0.75},
            {"trial": 8, "arch_id": "bb", "state": "failed", "reason": "no memory", "param.depth": 3},
        ]
    )
    rows = [
        [(cell.text, cell.detail, cell.sort) for cell in row.cells] for row in candidates(view(table, environment()))
    ]
    assert rows == [
        [
            ("A (mobilevit_xs)", "aa", "A (mobilevit_xs)"),
            ("front", "", 0),
            ("70.0", "67.4 to 72.4 %", 0.7),
            ("2M", "", 2_000_000),
            ("300M", "", 300_000_000),
            ("6.00", "5.91 to 6.12 ms", 6.0),
            ("0.75", "", 0.75),
            ("-", "", ""),
            ("trained (earlier)", "", "trained (earlier)"),
            ("47.0", "", 47.0),
            ("7", "", 7),
        ],
        [
            ("trial 8", "bb", "trial 8"),
            ("", "", 1),
            *[("-", "", "")] * 4,
            ("-", "", ""),
            ("3", "", 3),
            ("failed", "no memory", "failed"),
            ("0.0", "", 0.0),
            ("8", "", 8),
        ],
    ]


def test_provenance_tells_all_of_the_environment():
    sections = {
        section.title: section.entries
        for section in provenance(view([], environment(extra={"new": [1, {"a": True}]})).origin)
    }
    assert list(sections) == [
        "Run",
        "packages",
        "hardware",
        "data",
        "space",
        "experiment",
        "latency",
        "hypervolume reference",
        "extra",
    ]
    assert ("commit", "none") in sections["Run"]
    assert ("elapsed", "45 min 10 s") in sections["Run"]
    assert ("images: validation", "341") in sections["data"]
    assert ("budgets", "at most 6M parameters") in sections["experiment"]
    assert ("schedule: epochs", "8") in sections["experiment"]
    assert ("params", "6,000,000") in sections["hypervolume reference"]
    assert sections["extra"] == (("new", "1, a yes"),)


def test_numbers_that_are_not_finite_are_never_written(tmp_path):
    document = environment(elapsed_seconds=12.0)
    document["latency"] = document["latency"] | {"reference_ms": float("nan")}
    page = write_report(example_table(), document, tmp_path)
    assert json.loads((tmp_path / "environment.json").read_text())["latency"]["reference_ms"] is None
    assert not re.search(r"\b(NaN|Infinity)\b", data_of(page.read_text()))


# The files


def test_a_report_is_three_files(tmp_path):
    table = example_table()
    page = write_report(table, environment(), tmp_path / "deep" / "report")
    assert page == tmp_path / "deep" / "report" / "report.html"
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "environment.json",
        "report.html",
        "results.csv",
    ]
    assert read_table(page.parent / "results.csv").records == table.records
    assert json.loads((page.parent / "environment.json").read_text()) == environment()


def test_a_report_is_made_again_from_its_files(tmp_path):
    first = write_report(example_table(), environment(), tmp_path).read_text()
    (tmp_path / "report.html").unlink()
    assert remake_report(tmp_path).read_text() == first


def test_text_from_outside_stays_text():
    table = three_rows(reason="</script><script>alert(2)</script>", name="<img src=x onerror=alert(3)>")
    page = render_search(view(table, environment(study="<script>alert(1)</script>")))
    own = without_libraries(page)
    assert "<script>alert" not in own
    assert "<img" not in own
    assert "&lt;script&gt;alert(1)" in own
    json.loads(data_of(page))


def _broken(tmp_path, change):
    write_report(three_rows(), environment(), tmp_path)
    document = environment()
    change(document)
    (tmp_path / "environment.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.pop("study"), "'study' is missing"),
        (lambda document: document["experiment"].pop("objectives"), "'experiment.objectives' is missing"),
        (lambda document: document.update(experiment=3), "'experiment' must be an object"),
        (lambda document: document.update(presets="all"), "'presets' has the wrong type, str"),
        (
            lambda document: document["experiment"].update(objectives=["size"]),
            "'experiment.objectives' must be some of accuracy, balanced_accuracy, params, macs, latency_ms",
        ),
        (
            lambda document: document["experiment"].update(objectives=[]),
            "'experiment.objectives' must be some of accuracy, balanced_accuracy, params, macs, latency_ms",
        ),
        (
            lambda document: document["experiment"].update(budgets=[{"metric": "params"}]),
            "'experiment.budgets' must hold metric, low and high",
        ),
        (
            lambda document: document["hypervolume_reference"].update(params="big"),
            "'hypervolume_reference' must hold numbers by objective",
        ),
        (
            lambda document: document["experiment"].update(budgets=[{"metric": "params", "low": 0, "high": "6M"}]),
            "'experiment.budgets' must hold metric, low and high",
        ),
        (
            lambda document: document["experiment"].update(budgets=[{"metric": "parms", "low": 0, "high": 6e6}]),
            "'experiment.budgets': unknown 'parms', did you mean 'params'?",
        ),
        (lambda document: document.update(presets=["x", {}]), "'presets.1' has the wrong type, dict"),
        (
            lambda document: document["data"]["images"].update(validation="x"),
            "'data.images.validation' has the wrong type, str",
        ),
        (lambda document: document["data"].pop("name"), "'data.name' is missing"),
        (
            lambda document: document["experiment"].update(sampler=3),
            "'experiment.sampler' has the wrong type, int",
        ),
        (lambda document: document["latency"].pop("threads"), "'latency.threads' is missing"),
    ],
)
def test_an_environment_that_lacks_something_is_an_error(tmp_path, change, message):
    _broken(tmp_path, change)
    with pytest.raises(InputError) as error:
        remake_report(tmp_path)
    assert str(error.value) == f"{tmp_path / 'environment.json'}: {message}"


def test_a_broken_or_missing_file_is_an_error_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"results.csv: there is no such file$"):
        remake_report(tmp_path)
    write_report(three_rows(), environment(), tmp_path)
    path = tmp_path / "environment.json"
    path.write_text("{")
    with pytest.raises(InputError, match=r"environment.json is no JSON: Expecting property name"):
        remake_report(tmp_path)
    path.write_text("[]")
    with pytest.raises(InputError, match=r"environment.json: must hold one JSON object$"):
        remake_report(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=r"cannot read .*environment.json: No such file"):
        remake_report(tmp_path)
    path.mkdir()
    with pytest.raises(InputError, match=r"cannot read .*environment.json: Is a directory$"):
        remake_report(tmp_path)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*results.csv: (Not a directory|File exists)$"):
        write_report(three_rows(), environment(), tmp_path / "file")


@pytest.mark.parametrize(
    "table", [table_of([]), table_of([{"trial": 0, "state": "failed"}])], ids=["no trial", "one failed"]
)
def test_a_page_is_written_when_nothing_is_complete(tmp_path, table):
    page = write_report(table, environment(), tmp_path).read_text()
    assert "No candidate was trained to the end" in page
    assert remake_report(tmp_path).read_text() == page


def test_every_state_has_its_word():
    rows = page_data(view(example_table(), environment())).outcomes
    assert [row.state for row in rows] == list(STATE_WORDS)


def test_without_scripts_a_long_table_is_cut_and_says_so():
    table = table_of([trained(trial, 0.5, 1, 1, 1.0) for trial in range(MOST_ROWS + 7)])
    page = render_search(view(table, environment()))
    assert "7 candidates after the first 200; results.csv beside this page has them" in re.sub(r"\s+", " ", page)
    assert "Left out here" not in render_search(view(example_table(), environment()))


def simulated(trials=12, **experiment):
    """The environment of a search like those that were simulated."""
    return environment(
        experiment=environment()["experiment"] | {"sampler": "cost-aware", "trials": trials} | experiment
    )


def test_the_page_says_what_more_trainings_are_expected_to_bring():
    rows = [trained(trial, 0.1 * trial, 1_000_000 + trial, 9, 1.0) for trial in range(1, 10)]
    page = " ".join(render_search(view(rows, simulated())).split())
    assert '<a class="count" href="#how">12 more trainings: about +5.1 points</a>' in page
    assert "12 more trainings are expected to bring about 5.1 points (nine in ten simulated searches: at most" in page
    for other in (simulated(sampler="tpe"), simulated(budgets=[])):
        assert "more trainings" not in render_search(view(rows, other))
    assert "more trainings" not in render_search(view(rows[:7], simulated()))


def test_a_search_that_asked_for_no_number_of_trials_says_how_many_it_trained():
    rows = [trained(trial, 0.1 * trial, 1_000_000 + trial, 9, 1.0) for trial in range(1, 10)]
    assert "9 of 9 candidates trained" in render_search(view(rows, simulated("auto")))
    ended = simulated("auto") | {"ended": "out of time"}
    assert "9 of 9 candidates trained, out of time" in render_search(view(rows, ended))


def test_the_page_says_the_best_within_parts_of_the_budget():
    table = table_of(
        [trained(trial, accuracy, params, 1, 1.0) for trial, accuracy, params in ((0, 0.6, 5e6), (1, 0.5, 3e6))]
    )
    page = " ".join(render_search(view(table, environment())).split())
    assert "60.0 % within the budget, 50.0 % within 1/2, nothing within 1/4, nothing within 1/8 of it" in page


def test_what_the_trials_cost_is_summed_by_outcome():
    rows: list[Row] = [
        {"state": "complete", "seconds": 30.0},
        {"state": "complete", "seconds": 30.0},
        {"state": "failed", "seconds": 40.0},
    ]
    assert outcomes(table_of([*rows, {"state": "over_budget", "seconds": None}]).records) == [
        Outcome(state=State.COMPLETE, trials=2, seconds=60.0, percent=60.0),
        Outcome(state=State.OVER_BUDGET, trials=1, seconds=0.0, percent=0.0),
        Outcome(state=State.FAILED, trials=1, seconds=40.0, percent=40.0),
    ]
    assert outcomes(table_of([{"state": "failed"}]).records)[0].percent == 0.0


def test_the_glossary_explains_the_words_of_the_page():
    words = dict(glossary())
    assert {"Budget", "Front", "Letters", "MACs", "Hypervolume", "Training"} <= set(words)
    assert words["Front"] == "the trained candidates that no other dominates."
    assert not any("*" in text or "\n" in text for text in words.values())


def label_of(metric, document):
    return axis_label(metric, view([], document).origin)


def test_an_axis_names_schedule_and_conditions():
    latency = environment()["latency"]
    label = "Latency (ms; ONNX Runtime 1.31.1, this host, 1 thread"
    assert label_of(LATENCY, environment()) == f"{label}, ±2 %)"
    assert label_of(LATENCY, environment(latency={**latency, "precision": None})) == f"{label})"
    two = {**latency, "threads": 2, "precision": 0.015}
    assert label_of(LATENCY, environment(latency=two)) == f"{label}s, ±1.5 %)".replace(", 1 ", ", 2 ")
    assert label_of(LATENCY, environment(latency=None)) == "Latency (ms)"
    document = environment(experiment={"schedule": {"name": "<long>"}})
    assert label_of(ACCURACY, document) == "Validation accuracy, <long> schedule (%)"
