"""A search from its flags to its files. Training and measuring are stood in for."""

import csv
import functools
import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from commands import SPACE
from latencies import make_conditions
from searches import Heard
from sure import sure

from mvit_nas.arch.config import arch_id
from mvit_nas.arch.count import count
from mvit_nas.arch.space import parse_space
from mvit_nas.artifacts.checked import Artefact
from mvit_nas.budget import parse_budget
from mvit_nas.cost.latency import Latency
from mvit_nas.errors import DeviceError, InputError, InterruptedCleanlyError, MeasurementError, MvitNasError
from mvit_nas.evaluate import latency as meter
from mvit_nas.evaluate import short
from mvit_nas.evaluate.estimator import Estimate
from mvit_nas.jobs import prepare as preparing
from mvit_nas.jobs import search as job
from mvit_nas.jobs import search_plan, setup
from mvit_nas.jobs.estimate import StepCost
from mvit_nas.jobs.named_networks import find_choices
from mvit_nas.maths.forecast import FEWEST
from mvit_nas.metrics import ACCURACY, LATENCY
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.within_budget import sample_feasible
from mvit_nas.reporter import Reporter
from mvit_nas.results.table import read_table
from mvit_nas.results.view import SETTLED_LEAST
from mvit_nas.settings.commands import SearchSettings
from mvit_nas.settings.study_file import described
from mvit_nas.training.loop import Score

TORCH = LATENCY.by("torch")


@pytest.fixture
def stand_ins(monkeypatch):
    """Training and measuring by formula: torch is slower and, where it is told to, refuses or is gone."""
    state: dict[str, Any] = {
        "refuse": set(),
        "gone": False,
        "measured": [],
        "trained": 0,
        "correct": lambda params: 50 + params % 100,
    }

    def fit(model, *parts, **options):
        state["trained"] += 1
        params = sum(p.numel() for p in model.parameters())
        return Score(correct_K=(state["correct"](params),), images_K=(225,), losses=(1.0,), seconds=1.0)

    def latency(self, arch, *, classes):
        name = arch_id(arch)
        state["measured"].append((self.runtime.name, name))
        if self.runtime.name == "torch" and state["gone"]:
            raise DeviceError("the phone is gone")
        if self.runtime.name == "torch" and name in state["refuse"]:
            raise MeasurementError("PyTorch cannot export this network")
        ms = count(arch).macs / 1e7 * (3 if self.runtime.name == "torch" else 1)
        found = Latency(
            median_ms=ms, low_ms=0.9 * ms, high_ms=1.1 * ms, runs=60, rounds=12, threads=1, clock="cpu", wall_ms=ms,
            p90_ms=ms, reference_ms=4.0, contended=False, drifted=False, agreed=True,
        )  # fmt: skip
        artefact = Artefact(digest=name, size_bytes=3 * 2**19, delegated=0.75, quantised=None, difference=0.0)
        return meter.Measured(latency=found, artefact=artefact)

    monkeypatch.setattr(preparing, "sample_feasible", functools.partial(sample_feasible, samples=100))
    monkeypatch.setattr(short, "fit", fit)
    monkeypatch.setattr(short, "check_static_cost", lambda arch, classes: None)
    monkeypatch.setattr(meter.LatencyMeter, "latency", latency)
    monkeypatch.setattr(
        meter.LatencyMeter,
        "conditions",
        lambda self: make_conditions(
            precision=self.precision, runtime_name=self.runtime.name, runtime_title=self.runtime.title
        ),
    )
    return state


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "space.yaml").write_text(SPACE)
    return SearchSettings(
        space=str(tmp_path / "space.yaml"), trials=6, schedule="smoke", device="cpu", runtime="onnxruntime", sampler="random",
        name="s", out=tmp_path,
    )  # fmt: skip


@pytest.fixture
def search(settings):
    def run(*, reporter=None, on_progress=lambda progress: None, should_stop=lambda: False, **changes):
        return job.search(
            replace(settings, **changes),
            reporter=reporter or Reporter(),
            on_progress=on_progress,
            should_stop=should_stop,
        )

    return run


def records(tmp_path, name="s"):
    return read_table(tmp_path / "reports" / name / "results.csv").records


def environment(tmp_path, name="s"):
    return json.loads((tmp_path / "reports" / name / "environment.json").read_text())


def test_the_environment_says_what_networks_were_scored_on(tmp_path, search, stand_ins):
    search(trials=1)
    *_, last = environment(tmp_path)["data"]["notes"]
    assert last.startswith("Scored on: shortest edge to 32 px by Pillow's bilinear filter, centre crop 32, ")


# Earlier searches

LEARNING: dict[str, Any] = {"name": "later", "sampler": "cost-aware", "objectives": ("accuracy", "macs")}


@pytest.fixture
def earlier(search, stand_ins):
    search(trials=6)


def test_it_learns_from_an_earlier_search_and_says_how_alike_they_were(tmp_path, search, earlier):
    heard = Heard()
    search(trials=7, learn_from=("s",), reporter=heard, **LEARNING)
    assert "learns from s: 6 networks on digits" in heard.said
    (last,) = [line for line in heard.said if "Kendall's tau" in line]
    # The presets lie beside this space: the sampler does not see them.
    assert last.startswith("the earlier searches rank the 4 networks of this one with a Kendall's tau of 0.")
    assert list(environment(tmp_path, "later")["experiment"]["learn_from"]) == ["s"]


def test_its_proposals_see_what_was_learned(search, earlier, monkeypatch):
    made = []

    def hearing(*parts, earlier):
        made.append(earlier)
        return Candidates(*parts, earlier=earlier)

    monkeypatch.setattr(preparing, "Candidates", hearing)
    search(trials=1, learn_from=("s",), **LEARNING)
    search(trials=1, **{**LEARNING, "name": "alone"})
    assert [one is not None for one in made] == [True, False]


def test_what_was_learned_from_is_part_of_the_study(tmp_path, search, earlier):
    search(trials=2, learn_from=("s",), **LEARNING)
    with pytest.raises(InputError, match="other settings: learn_from"):
        search(trials=3, resume=True, **LEARNING)
    table = tmp_path / "reports/s/results.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match="other settings: learn_from"):
        search(trials=3, resume=True, learn_from=("s",), **LEARNING)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learn_from": ("gone",)}, r"^no report 'gone' in .*: known are s$"),
        (
            {"learn_from": ("s",), "sampler": "tpe"},
            "^--learn-from teaches cost-aware alone: leave --sampler tpe out$",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(search, earlier, changes, words):
    with pytest.raises(InputError, match=words):
        search(trials=2, **{**LEARNING, **changes})


def test_a_search_that_has_trained_nothing_teaches_nothing(tmp_path, search, earlier):
    table = tmp_path / "reports/s/results.csv"
    table.write_text(table.read_text().splitlines(keepends=True)[0])
    with pytest.raises(InputError, match=r"^--learn-from s: has no trained network with accuracy$"):
        search(trials=2, learn_from=("s",), **LEARNING)


# The box


def test_the_worst_corner_of_the_box_is_the_dearest_candidate(tmp_path, search, stand_ins, settings):
    search(trials=1)
    reference = environment(tmp_path)["hypervolume_reference"]
    designs = preparing.prepare(settings, reporter=Reporter()).feasible.designs
    costs = [count(sure(design.arch), classes=10) for design in designs]
    assert list(reference) == ["accuracy", "params", "macs", "latency_ms"]
    counts = environment(tmp_path)["data"]["class_counts"]["validation"]
    assert reference["accuracy"] == max(counts) / sum(counts)  # of always saying the largest class
    # The presets are tried as well, and dearer than all of the space.
    assert reference["params"] > max(cost.params for cost in costs)
    assert reference["macs"] > max(cost.macs for cost in costs)


def test_the_box_ends_at_the_budget(tmp_path, search, stand_ins):
    budgets = ("100K", "3MMACs", "0.3ms")
    outcome = search(trials=3, budgets=tuple(map(parse_budget, budgets)))
    reference = environment(tmp_path)["hypervolume_reference"]
    assert reference["params"] < 1e5 + 1
    assert reference["macs"] <= 3e6
    assert reference["latency_ms"] == 0.3
    by_hand = max(
        (record.value(ACCURACY) - reference["accuracy"])
        / (1 - reference["accuracy"])
        * math.log2(0.3 / record.value(LATENCY))
        / 6
        * math.log2(reference["params"] / record.values["params"].value)
        / 6
        * math.log2(reference["macs"] / record.values["macs"].value)
        / 6
        for record in outcome.front
    )
    assert outcome.hypervolume >= by_hand > 0


def test_a_budget_above_the_dearest_candidate_leaves_the_box_as_it_is(tmp_path, search, stand_ins):
    budgets = (parse_budget("400K"), parse_budget("10GMACs"))
    search(trials=1, budgets=budgets, objectives=("accuracy", "macs"))
    assert environment(tmp_path)["hypervolume_reference"]["macs"] < 1e9


# Settled


def test_a_search_that_has_settled_ends_and_says_what_is_saved(search, stand_ins):
    # One step at the 7th, before the last third of 15 trainings, and after the first third of them.
    stand_ins["correct"] = lambda params: 200 if stand_ins["trained"] == 7 else 1
    heard = Heard()
    outcome = search(trials=30, stop_when_settled=True, reporter=heard, objectives=("accuracy", "params"))
    assert stand_ins["trained"] == outcome.counts["complete"] == SETTLED_LEAST == 15
    (line,) = [line for line in heard.said if line.startswith("settled: ")]
    assert "grew by less than 1 % over the last 33 % of the trainings" in line
    assert "15 of 30 trainings are saved" in line


def test_a_front_that_grew_in_the_last_third_goes_on(search, stand_ins):
    # One step at the 11th of 15 trainings, inside the last third of them, and none before: the first third is settled.
    stand_ins["correct"] = lambda params: 150 if stand_ins["trained"] >= 11 else 50
    search(trials=16, stop_when_settled=True, objectives=("accuracy", "params"))
    assert stand_ins["trained"] == 16


def test_a_search_that_was_not_told_to_goes_on_when_it_has_settled(search, stand_ins):
    stand_ins["correct"] = lambda params: 100
    search(trials=SETTLED_LEAST + 1, objectives=("accuracy", "params"))
    assert stand_ins["trained"] == SETTLED_LEAST + 1


# An open number of trials

AUTO: dict[str, Any] = {
    "trials": "auto", "sampler": "cost-aware", "budgets": (parse_budget("500K"),), "objectives": ("accuracy", "params"),
}  # fmt: skip


def test_an_open_number_ends_where_little_more_is_expected_and_no_resume_trains_more(tmp_path, search, stand_ins):
    stand_ins["correct"] = lambda params: 100
    told: list[job.Progress] = []
    outcome = search(on_progress=told.append, **AUTO)
    assert stand_ins["trained"] == FEWEST
    assert sure(outcome.forecast).is_little
    assert environment(tmp_path)["ended"] == ""
    assert f"{FEWEST} of {len(records(tmp_path))} candidates trained" in outcome.report.read_text()
    assert [progress.trials for progress in told] == [47] * (FEWEST - 1) + [FEWEST]
    assert all(progress.foreseen for progress in told)
    search(**AUTO, resume=True, timeout_seconds=9999.0)
    assert stand_ins["trained"] == FEWEST
    assert environment(tmp_path)["ended"] == ""
    search(**{**AUTO, "trials": FEWEST + 1}, resume=True)
    assert stand_ins["trained"] == FEWEST + 1


def test_an_open_number_goes_on_while_more_is_expected(search, stand_ins):
    told: list[job.Progress] = []
    stop = {"should_stop": lambda: stand_ins["trained"] >= FEWEST + 2}
    outcome = search(**AUTO, **stop, on_progress=told.append)
    assert isinstance(outcome.error, InterruptedCleanlyError)
    assert not sure(outcome.forecast).is_little
    assert told[-1].trials > FEWEST + 2


def test_an_open_number_ends_when_the_time_is_up(tmp_path, search, stand_ins):
    search(**AUTO, timeout_seconds=0.001)
    assert stand_ins["trained"] == 1
    assert environment(tmp_path)["ended"] == "out of time"
    assert "1 of 1 candidates trained, out of time" in (tmp_path / "reports/s/report.html").read_text()


def test_without_a_budget_nothing_is_foreseen(search, stand_ins):
    assert search(trials=FEWEST, sampler="cost-aware", objectives=("accuracy", "params")).forecast is None


# Progress and files


def test_progress_says_where_the_search_stands(search, stand_ins):
    told: list[job.Progress] = []
    outcome = search(trials=4, on_progress=told.append, timeout_seconds=9999.0)
    assert [progress.done for progress in told if progress.last.state.is_training] == [1, 2, 3, 4]
    assert {progress.trials for progress in told} == {4}
    last = told[-1]
    assert last.best == max(record.value(ACCURACY) for record in outcome.front)
    assert last.front == len(outcome.front)
    assert last.hypervolume == outcome.hypervolume
    assert last.seconds_left == 0
    assert told[0].seconds_left == pytest.approx(3 * told[0].last.spent.seconds)


def test_a_time_limit_bounds_what_is_left(search, stand_ins):
    told: list[job.Progress] = []
    search(trials=4, on_progress=told.append, timeout_seconds=0.001)
    assert [progress.seconds_left for progress in told] == [0]


def test_a_search_that_ended_early_says_why(tmp_path, search, stand_ins):
    outcome = search(trials=6, should_stop=lambda: stand_ins["trained"] >= 2)
    assert environment(tmp_path)["ended"] == "stopped by Ctrl-C"
    assert "2 of 6 candidates trained, stopped by Ctrl-C" in outcome.report.read_text()
    search(trials=4, resume=True, timeout_seconds=0.001)
    assert environment(tmp_path)["ended"] == "out of time"
    search(trials=4, resume=True)
    assert environment(tmp_path)["ended"] == ""


def test_a_stop_between_two_trials_keeps_what_there_is(tmp_path, search, stand_ins):
    outcome = search(trials=6, should_stop=lambda: stand_ins["trained"] >= 2)
    assert isinstance(outcome.error, InterruptedCleanlyError)
    assert [record.is_complete for record in records(tmp_path)] == [True, True]
    again = search(trials=4, resume=True)
    assert again.error is None
    assert stand_ins["trained"] == 4
    assert environment(tmp_path)["elapsed_seconds"] >= sum(record.spent.seconds for record in records(tmp_path)[:2])


def test_a_search_in_which_nothing_was_trained_says_why(tmp_path, search, stand_ins, monkeypatch):
    def broken(model, *parts, **options):
        raise ValueError("shapes do not fit")

    monkeypatch.setattr(short, "fit", broken)
    with pytest.raises(
        MvitNasError, match=r"no candidate was trained to the end in 1 trials; the last one failed: ValueError"
    ):
        search(trials=1)
    assert [str(record.state) for record in records(tmp_path)] == ["failed"]
    assert (tmp_path / "reports/s/report.html").exists()


@pytest.mark.parametrize("is_old", [False, True])
def test_a_study_goes_on_with_the_text_of_the_shipped_space_that_it_was_begun_with(
    tmp_path, settings, search, stand_ins, monkeypatch, is_old
):
    changes = {"space": None, "budgets": (parse_budget("500K"),), "objectives": ("accuracy", "params")}
    search(trials=1, **changes)
    file = tmp_path / "experiments/s/experiment.yaml"
    begun = file.read_text()
    if is_old:  # as it was written before it said the space's name, which the report knows
        prepared = preparing.prepare(replace(settings, **changes), reporter=Reporter())
        file.write_text(yaml.safe_dump(described(prepared.settings, prepared.found)))
    other = "base: mobilevit_xxs\nfactors: {heads: {paths: [stages.*.mobilevit.heads], values: [1, 2]}}\n"
    monkeypatch.setattr(setup, "load_space", lambda name: parse_space(other, name=name, where=name))
    heard = Heard()
    search(trials=2, resume=True, reporter=heard, **changes)
    (line,) = [line for line in heard.said if line.startswith("space: mobilevit_small, ")]
    assert ", 2 networks" not in line
    assert file.read_text() == begun.replace("trials: 1\n", "trials: 2\n")
    assert {*records(tmp_path)[-1].candidate.labels} > {"heads"}
    # Another study begins with what is shipped now.
    search(trials=1, name="t", reporter=heard, **changes | {"budgets": ()})
    assert any(line.startswith("space: mobilevit_small, 2 networks") for line in heard.said)


def test_a_file_of_the_same_name_is_another_space(tmp_path, search, stand_ins):
    search(trials=1)
    (tmp_path / "space.yaml").write_text(SPACE.replace("values: [1, 2]", "values: [1, 3]"))
    with pytest.raises(InputError, match=r"the study 's' has other settings: space \("):
        search(trials=2, resume=True)


# The dry run


def test_the_dry_run_counts_every_epoch_of_every_trial(search, settings, stand_ins, monkeypatch):
    monkeypatch.setattr(search_plan, "try_step", lambda training, arch: StepCost(step_seconds=0.5, peak_gib=1.5))
    plan = search_plan.plan(
        replace(settings, trials=10, epochs=3, objectives=("accuracy", "params")), reporter=Reporter()
    )
    # 512 images an epoch in batches of 32 are 16 steps; scoring 225 images costs a third of 225 / 32 steps.
    assert plan.steps == 3 * 16
    assert plan.hours * 3600 == pytest.approx(10 * (3 * 16 * 0.5 + 225 / 32 * 0.5 / 3))
    assert plan.memory_gib == 1.5
    timed = search_plan.plan(replace(settings, trials=10, epochs=3), reporter=Reporter())
    assert timed.hours * 3600 == pytest.approx(plan.hours * 3600 + 10 * setup.MEASURING_SECONDS)
    assert (plan.smallest.latency_ms, timed.smallest.latency_ms is None) == (None, False)
    assert (plan.trials, plan.forecast) == (10, None)  # without a budget
    known = replace(settings, **{**AUTO, "trials": 10}, epochs=3)
    assert sure(search_plan.plan(known, reporter=Reporter()).forecast).gain == pytest.approx(0.46 / 10)
    assert search_plan.plan(replace(known, sampler="tpe"), reporter=Reporter()).forecast is None
    foreseen = search_plan.plan(replace(settings, **AUTO, epochs=3), reporter=Reporter())
    assert foreseen.trials == 47
    assert foreseen.hours == pytest.approx(4.7 * search_plan.plan(known, reporter=Reporter()).hours)
    assert sure(foreseen.forecast).is_little


# The front on further runtimes


def test_the_front_and_what_is_near_it_is_timed_on_the_further_runtime(tmp_path, search, stand_ins):
    outcome = search(measure_front=("torch",), early_stopping=True, sampler="cost-aware")
    assert outcome.error is None
    assert outcome.further == ("torch",)
    timed = [record for record in records(tmp_path) if record.has(TORCH)]
    assert {record.candidate.arch_id for record in timed} >= {record.candidate.arch_id for record in outcome.front}
    for record in timed:
        assert record.value(TORCH) == pytest.approx(3 * record.value(LATENCY))
        assert record.measured(TORCH).low == pytest.approx(2.7 * record.value(LATENCY))
    with (tmp_path / "reports/s/results.csv").open(newline="") as file:
        kept = [row for row in csv.DictReader(file) if row["latency_ms.torch"]]
    assert {(row["artefact_mib.torch"], row["delegated.torch"]) for row in kept} == {("1.5", "0.75")}
    assert len(kept) == len(timed)
    told = environment(tmp_path)
    assert told["front_latency"]["torch"]["runtime"].startswith("PyTorch")
    # Candidates coarsely, the front, of which neighbours shall be told apart, finely.
    assert (told["latency"]["precision"], told["front_latency"]["torch"]["precision"]) == (0.02, 0.01)
    assert "The front as PyTorch runs it" in outcome.report.read_text()
    found = find_choices("s:front", tmp_path, where="CHOICE")
    assert [arch_id(choice.arch) for choice in found] == [record.candidate.arch_id for record in outcome.front]
    assert {choice.classes for choice in found} == {10}


def test_what_is_behind_the_front_is_not_timed_on_the_further_runtime(tmp_path, search, stand_ins):
    stand_ins["correct"] = lambda params: 200 - params // 1000  # the smallest is the best
    outcome = search(measure_front=("torch",), objectives=("accuracy", "params"))
    (best,) = outcome.front
    timed = [record for record in records(tmp_path) if record.has(TORCH)]
    assert best.candidate.arch_id in {record.candidate.arch_id for record in timed}
    assert all(record.values["params"].value < 1.06 * best.values["params"].value for record in timed)
    assert len(timed) < 6


def test_a_network_that_the_further_runtime_refuses_is_noted_and_the_others_go_on(tmp_path, search, stand_ins):
    refused = search().front[0].candidate.arch_id
    stand_ins["refuse"].add(refused)
    outcome = search(name="t", measure_front=("torch",))
    assert outcome.error is None
    by_id = {record.candidate.arch_id: record for record in records(tmp_path, "t")}
    assert by_id[refused].further["torch"].note == "PyTorch cannot export this network"
    assert not by_id[refused].has(TORCH)
    assert any(record.has(TORCH) for record in by_id.values())


def test_a_device_that_is_gone_keeps_the_search_and_the_rest_is_measured_on_resume(tmp_path, search, stand_ins):
    stand_ins["gone"] = True
    outcome = search(measure_front=("torch",))
    assert isinstance(outcome.error, DeviceError)
    assert outcome.front
    stand_ins["gone"] = False
    stand_ins["measured"].clear()
    outcome = search(resume=True, measure_front=("torch",))
    assert outcome.error is None
    assert any(record.has(TORCH) for record in records(tmp_path))
    # But for the dearest network, which bounds the hypervolume, nothing is measured again.
    assert [runtime for runtime, _ in stand_ins["measured"]].count("onnxruntime") == 1


def test_the_runtime_of_all_candidates_is_no_further_one(search, stand_ins):
    with pytest.raises(
        InputError, match="--measure-front onnxruntime: every candidate is timed on onnxruntime already"
    ):
        search(measure_front=("onnxruntime",))


def test_a_quarter_of_the_trainings_go_to_the_front_again(tmp_path, search, stand_ins):
    outcome = search(trials=8, seeds_for_front=3)
    assert (outcome.error, stand_ins["trained"]) == (None, 8)
    found = records(tmp_path)
    assert len(found) == 6
    again = [record for record in found if record.by_seed]
    assert sum(record.seeds - 1 for record in again) == 2
    for record in again:  # with its seed and the next ones
        assert [one.seed for one in record.by_seed] == list(range(record.seeds))
        assert record.candidate.arch_id in {one.candidate.arch_id for one in outcome.front}
    assert environment(tmp_path)["ended"] == ""
    search(trials=8, seeds_for_front=3, resume=True)
    assert stand_ins["trained"] == 8
    assert [(one.values, one.by_seed) for one in records(tmp_path)] == [(one.values, one.by_seed) for one in found]


def test_a_seed_that_fails_costs_its_training_and_no_more(tmp_path, search, stand_ins, monkeypatch):
    estimate = short.ShortTraining.estimate

    def failing(self, question, **options):
        return Estimate(failure="diverged") if question.record.seed == 1 else estimate(self, question, **options)

    monkeypatch.setattr(short.ShortTraining, "estimate", failing)
    heard = Heard()
    assert search(trials=4, seeds_for_front=2, reporter=heard).error is None
    assert not any(record.by_seed for record in records(tmp_path))
    assert any("failed with the seed 1: diverged" in line for line in heard.said)


@pytest.mark.parametrize(
    ("flags", "words"), [({"trials": 3}, "give 4"), ({"inherit": True}, "--inherit out"), ({}, "")]
)
def test_what_does_not_go_with_seeds_for_the_front_is_said(settings, flags, words):
    if not words:
        assert replace(settings, trials=13, seeds_for_front=3).repeats == 3
        return
    with pytest.raises(InputError, match=words):
        replace(settings, seeds_for_front=3, **flags)


def test_no_seed_more_is_begun_when_the_time_is_up(search, stand_ins, monkeypatch):
    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: 100.0 * stand_ins["trained"]))
    search(trials=8, seeds_for_front=3, timeout_seconds=650.0)
    assert stand_ins["trained"] == 7
