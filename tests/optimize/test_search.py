"""The search around a stand-in for training: proposals, budgets, constraints, resuming, repetition."""

import errno
import json
import random
import re
from pathlib import Path

import optuna
import pytest

from mvit_nas.arch.config import arch_id, from_dict
from mvit_nas.arch.count import count, features
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import load_space, parse_space
from mvit_nas.cost.latency import Latency
from mvit_nas.cost.predict import Predictor
from mvit_nas.errors import (
    InputError,
    InterruptedCleanlyError,
    MeasurementError,
    NothingFeasibleError,
    PartialError,
    SpaceError,
    TrainingError,
)
from mvit_nas.evaluate import cache as cache_module
from mvit_nas.evaluate.cache import Cache
from mvit_nas.optimize import loop as study_module
from mvit_nas.optimize.loop import Limits, Search, Study, derive_seed, trainings
from mvit_nas.optimize.within_budget import descend, sample_feasible, spread, violation
from mvit_nas.results.table import make_table
from mvit_nas.training.outcome import Rung, Score, Stopped
from mvit_nas.training.schedule import find_schedule
from mvit_nas.units import parse_budget

SPACE = load_space("mobilevit_small")


class StandIn:
    """An evaluator whose accuracy is a formula: deeper is better, and every training is counted."""

    classes = 10

    def __init__(self, *, fail=lambda arch: None, latency_of=lambda arch: count(arch).macs / 1e6):
        self.trained = []
        self.measured = []
        self.fail = fail
        self.latency_of = latency_of
        self.known = {}
        self.kept = set()

    def static_cost(self, arch):
        return count(arch, classes=10)

    def check_static_cost(self, arch):
        pass

    def latency(self, arch):
        self.measured.append(arch_id(arch))
        value = self.latency_of(arch)
        return Latency(
            median_ms=value, low_ms=value, high_ms=value, runs=20, threads=1, wall_ms=value, contended=False, drifted=False,
        rounds=6, clock="cpu", p90_ms=9.0, reference_ms=4.0, agreed=True,
        )  # fmt: skip

    schedule = find_schedule("short")

    def training_name(self, arch, *, seed, parent=""):
        return f"{parent}>{arch_id(arch)}"

    def has_weights(self, training):
        return training in self.kept

    def score_by_rungs(self, arch, *, seed, at_rung, should_stop, parent, keep_weights):
        if keep_weights:
            self.kept.add(self.training_name(arch, seed=seed, parent=parent))
        if arch_id(arch) in self.known:
            return self.known[arch_id(arch)], True
        if should_stop():
            raise InterruptedCleanlyError("stopped")
        self.trained.append(arch_id(arch))
        self.fail(arch)
        depth = sum(stage.mobilevit.depth for stage in arch.stages if stage.mobilevit)
        score = Score(correct=500 + 20 * depth, images=1000, losses=(1.0,), seconds=0.1)
        self.known[arch_id(arch)] = score
        return score, False


def limits(
    *budgets, trials=20, objectives=("accuracy", "params", "macs", "latency_ms"), seed=0, sampler="cost-aware",
    baseline=0.0, early_stopping=False, inherit=False,
):  # fmt: skip
    return Limits(
        budgets=tuple(map(parse_budget, budgets)), objectives=objectives, trials=trials, timeout_seconds=None, seed=seed,
        reference={"accuracy": 0.0, "params": 6e6, "macs": 1.5e8, "latency_ms": 150.0},
        sampler=sampler, baseline=baseline, early_stopping=early_stopping, inherit=inherit,
    )  # fmt: skip


def make(
    folder: Path, goal: Limits, *, space=SPACE, evaluator=None, should_stop=lambda: False, on_row=lambda rows: None
):
    evaluator = evaluator or StandIn()
    feasible = sample_feasible(space, goal.budgets, evaluator.static_cost, seed=goal.seed, samples=300)
    study = Study(folder, goal, space)
    study.recover()
    messages = []
    job = Search(study, evaluator, feasible, on_row=on_row, on_message=messages.append, should_stop=should_stop)
    return job, study, evaluator, messages


def test_a_search_trains_as_many_as_asked_and_nothing_over_the_budget_or_twice(tmp_path):
    job, _, evaluator, _ = make(tmp_path, limits("1M", trials=30))
    rows = job.run()
    complete = [row for row in rows if row["state"] == "complete"]
    assert len(complete) == 30
    assert len(evaluator.trained) == len(set(evaluator.trained)) == 30
    assert all(row["params"] <= 1e6 for row in complete)
    assert {row["state"] for row in rows} <= {"complete", "over_budget", "duplicate", "invalid"}
    for row in complete:
        arch = from_dict(json.loads(row["arch"]))
        assert arch_id(arch) == row["arch_id"]
        assert (row["params"], row["macs"]) == (count(arch, classes=10).params, count(arch, classes=10).macs)


def test_the_presets_that_fit_are_tried_first(tmp_path):
    job, *_ = make(tmp_path, limits("3M", trials=4))
    assert [row["name"] for row in job.run()] == ["mobilevit_xxs", "mobilevit_xs", "", ""]


def test_first_designs_range_from_the_cheapest_to_the_dearest(tmp_path):
    job, *_ = make(tmp_path, limits("6M", trials=10))
    macs = [row["macs"] for row in job.run()[3:]]
    assert macs == sorted(macs)
    assert macs[-1] > 20 * macs[0]


def test_rows_come_back_from_disk_as_they_were(tmp_path):
    job, study, *_ = make(tmp_path, limits("6M", trials=12))
    rows = job.run()
    again = Study(tmp_path, study.limits, SPACE).rows()
    assert json.loads(json.dumps(rows)) == json.loads(json.dumps(again))
    assert {name for name in rows[0] if name.startswith("param.")} == {f"param.{p.name}" for p in SPACE.parameters}


def test_the_same_seed_proposes_the_same_and_another_seed_others(tmp_path):
    ids = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        folder = tmp_path / name
        folder.mkdir()
        job, *_ = make(folder, limits("6M", trials=16, seed=seed))
        ids.append([row["arch_id"] for row in job.run()])
    assert ids[0] == ids[1]
    assert ids[0][3:] != ids[2][3:]


def test_a_search_in_two_runs_gives_what_one_run_gives(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    whole = make(tmp_path / "one", limits("6M", trials=18))[0].run()
    evaluator = StandIn()
    make(tmp_path / "two", limits("6M", trials=13), evaluator=evaluator)[0].run()
    parts = make(tmp_path / "two", limits("6M", trials=18), evaluator=evaluator)[0].run()
    assert [row["arch_id"] for row in parts] == [row["arch_id"] for row in whole]
    assert len(evaluator.trained) == 18


def test_a_trial_that_was_killed_is_tried_again_and_nothing_else(tmp_path):
    class Killed(BaseException):
        pass

    evaluator = StandIn()
    done = []

    def kill(rows):
        done.append(rows[-1]["arch_id"])
        if len(done) == 5:
            evaluator.fail = lambda arch: (_ for _ in ()).throw(Killed)

    with pytest.raises(Killed):
        make(tmp_path, limits("6M", trials=12), evaluator=evaluator, on_row=kill)[0].run()
    killed = evaluator.trained[-1]
    evaluator.fail = lambda arch: None
    rows = make(tmp_path, limits("6M", trials=12), evaluator=evaluator)[0].run()
    assert sum(row["state"] == "complete" for row in rows) == 12
    assert evaluator.trained.count(killed) == 2
    assert all(evaluator.trained.count(one) == 1 for one in evaluator.trained if one != killed)


def test_a_killed_preset_keeps_its_name(tmp_path):
    evaluator = StandIn(fail=lambda arch: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, limits("6M", trials=12), evaluator=evaluator)[0].run()
    evaluator.fail = lambda arch: None
    rows = make(tmp_path, limits("6M", trials=12), evaluator=evaluator)[0].run()
    assert sorted(row["name"] for row in rows if row["name"]) == sorted(PRESETS)


def test_stopping_keeps_what_was_finished(tmp_path):
    count_of = []
    job, study, *_ = make(
        tmp_path, limits("6M"), on_row=lambda rows: count_of.append(1), should_stop=lambda: len(count_of) >= 3
    )
    with pytest.raises(InterruptedCleanlyError):
        job.run()
    assert [row["state"] for row in study.rows()] == ["complete"] * 3


def test_a_training_that_fails_is_a_row_with_its_reason_and_the_search_goes_on(tmp_path):
    failing = set()

    def fail(arch):
        if len(failing) < 2:
            failing.add(arch_id(arch))
            raise TrainingError("the training loss became nan") if len(failing) == 1 else RuntimeError("boom\nmore")

    job, study, *_ = make(tmp_path, limits("6M", trials=6), evaluator=StandIn(fail=fail))
    rows = job.run()
    assert [row["state"] for row in rows] == ["failed", "failed"] + ["complete"] * 4
    assert [row["reason"] for row in rows[:2]] == ["the training loss became nan", "RuntimeError: boom"]
    assert "accuracy" not in rows[0]
    assert "boom" in study._study.trials[1].user_attrs["traceback"]


def test_a_latency_that_cannot_be_measured_is_a_row_and_is_tried_again_on_resume(tmp_path):
    def refuse(arch):
        if arch.stages[3].mobilevit and arch.stages[3].mobilevit.depth == 4:
            raise MeasurementError("ONNX Runtime cannot export this network")
        return count(arch).macs / 1e6

    rows = make(tmp_path, limits(trials=12), evaluator=StandIn(latency_of=refuse))[0].run()
    refused = [row for row in rows if row["state"] == "failed"]
    assert refused
    assert {row["reason"] for row in refused} == {"latency not measured: ONNX Runtime cannot export this network"}
    assert all(row.get("latency_ms") is None and row.get("accuracy") is None for row in refused)
    after = make(tmp_path, limits(trials=12))[0].run()
    retried = {row["arch_id"] for row in after[len(rows) :]}
    assert retried == {row["arch_id"] for row in refused}
    assert sum(row["state"] == "complete" for row in after) == 12
    assert {row["name"] for row in after[len(rows) :]} == {row["name"] for row in refused}
    # Now that all could be measured nothing is left to try.
    assert len(make(tmp_path, limits(trials=12))[0].run()) == len(after)


def test_over_budget_trials_teach_the_sampler_through_their_constraint(tmp_path):
    job, study, *_ = make(tmp_path, limits("400K", "20MMACs", trials=25))
    job.run()
    for trial in study._study.trials:
        row = trial.user_attrs.get("row", {})
        constraints = trial.constraints
        if row.get("state") == "complete":
            assert len(constraints) == 2
            assert all(value <= 0 for value in constraints.values())
            assert trial.state == optuna.trial.TrialState.COMPLETE
        elif row.get("state") == "over_budget":
            assert max(constraints.values()) > 0
            assert trial.state == optuna.trial.TrialState.PRUNED
            assert "is not at most" in row["reason"]


def test_a_sampler_that_does_not_learn_from_them_proposes_nothing_over_the_budget(tmp_path):
    job, *_ = make(tmp_path, limits("400K", "20MMACs", trials=12, sampler="gp"))
    assert not [row for row in job.run() if row["state"] == "over_budget"]


def test_a_latency_over_the_budget_is_measured_and_not_trained(tmp_path):
    job, _, evaluator, _ = make(tmp_path, limits("6M", "10ms", trials=10))
    rows = job.run()
    over = [row for row in rows if row["state"] == "over_budget"]
    measured = [row for row in over if "latency_ms" in row]
    assert measured
    assert all(row["latency_ms"] > 10 and "ms is not at most 10 ms" in row["reason"] for row in measured)
    assert not {row["arch_id"] for row in over} & set(evaluator.trained)


def test_what_is_predicted_to_be_surely_too_slow_is_not_measured(tmp_path, monkeypatch):
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    goal = limits("6M", "10ms", trials=16, sampler="tpe")
    job, study, evaluator, _ = make(tmp_path / "with", goal)
    rows = job.run()
    spared = [row for row in rows if "not measured" in row["reason"]]
    assert spared
    assert not any(name.startswith("latency") for row in spared for name in row)
    assert not {row["arch_id"] for row in spared} & set(evaluator.trained)
    trials = study._study.trials
    for row in spared:
        assert row["state"] == "over_budget"
        assert re.fullmatch(r"predicted [\d.]+ ms \(± \d+ %\), not measured; at most 10 ms", row["reason"])
        assert trials[row["trial"]].state == optuna.trial.TrialState.PRUNED
        assert trials[row["trial"]].constraints["latency_ms.1"] > 0
        assert count(from_dict(json.loads(row["arch"]))).macs > 10e6
    # Every latency in the table was measured.
    assert [row["arch_id"] for row in rows if "latency_ms" in row] == evaluator.measured
    monkeypatch.setattr(study_module, "fit", lambda features, milliseconds: None)
    blind = make(tmp_path / "without", goal)
    others = blind[0].run()
    assert sum(row["state"] == "complete" for row in rows) == sum(row["state"] == "complete" for row in others) == 16
    assert len(evaluator.measured) < len(blind[2].measured)


def foreseeing(monkeypatch, *, price_ms, error_90):
    """A predictor of its own: so many milliseconds for a multiply-add of 1x1 convolutions."""
    predictor = Predictor(prices_ms={"pointwise.macs": price_ms}, measurements=10, error=0.0, error_90=error_90)
    monkeypatch.setattr(study_module, "fit", lambda features, milliseconds: predictor if features else None)


def pointwise_ms(arch):
    return features(arch, classes=10)["pointwise.macs"] / 1e6


@pytest.mark.parametrize(("budget", "low", "high"), [("4ms", 0, 6), ("3ms..6ms", 2, 9)])
def test_only_what_is_over_by_more_than_the_stated_error_is_not_measured(tmp_path, monkeypatch, budget, low, high):
    foreseeing(monkeypatch, price_ms=1e-6, error_90=0.5)
    rows = make(tmp_path, limits("6M", budget, trials=12), evaluator=StandIn(latency_of=pointwise_ms))[0].run()
    spared = [pointwise_ms(from_dict(json.loads(row["arch"]))) for row in rows if "not measured" in row["reason"]]
    assert spared
    assert not any(low <= ms <= high for ms in spared)
    assert low == 0 or min(spared) < low


def test_a_prediction_that_is_wrong_does_not_stop_the_search(tmp_path, monkeypatch):
    foreseeing(monkeypatch, price_ms=1.0, error_90=0.0)
    monkeypatch.setattr(study_module, "_COMPARED", 20)
    evaluator = StandIn(latency_of=lambda arch: 1.0)
    rows = make(tmp_path, limits("6M", "4ms", trials=6), evaluator=evaluator)[0].run()
    assert sum(row["state"] == "complete" for row in rows) == 6
    assert {row.get("latency_ms") for row in rows} == {None, 1.0}


def test_a_search_that_predicts_is_resumed_to_the_same_trials(tmp_path):
    goal = [limits("6M", "10ms", trials=trials, sampler="tpe") for trials in (6, 12)]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    whole = make(tmp_path / "one", goal[1])[0].run()
    make(tmp_path / "two", goal[0])[0].run()
    parts = make(tmp_path / "two", goal[1])[0].run()
    assert any("not measured" in row["reason"] for row in whole)
    told = [[(row["arch_id"], row["state"], row["reason"]) for row in rows] for rows in (whole, parts)]
    assert told[0] == told[1]


def test_a_latency_without_a_budget_is_always_measured(tmp_path):
    rows = make(tmp_path, limits("6M", trials=14))[0].run()
    assert all("latency_ms" in row for row in rows if row["state"] == "complete")
    assert not any("not measured" in row["reason"] for row in rows)


def test_a_latency_that_nothing_meets_ends_the_search_and_names_the_fastest(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "_COMPARED", 20)  # for speed: each of the 40 is the best predicted of so many
    evaluator = StandIn(latency_of=lambda arch: 50 + count(arch).macs / 1e9)
    with pytest.raises(
        NothingFeasibleError, match=r"none of 40 measured candidates .*at most 10 ms.* takes 50 ms"
    ) as e:
        make(tmp_path, limits("6M", "10ms"), evaluator=evaluator)[0].run()
    assert e.value.exit_code == 3
    assert evaluator.trained == []


def test_without_latency_nothing_is_measured(tmp_path):
    def never(arch):
        raise AssertionError

    goal = limits("6M", trials=4, objectives=("accuracy", "macs"))
    rows = make(tmp_path, goal, evaluator=StandIn(latency_of=never))[0].run()
    assert all("latency_ms" not in row for row in rows)


TINY = """
base: mobilevit_xxs
set: {image_size: 32}
factors:
  patch_size: {paths: [stages.*.mobilevit.patch_size], values: [1, 2]}
  depth: {paths: [stages.*.mobilevit.depth], values: [1, 2, 3]}
"""


def test_a_space_that_is_used_up_ends_the_search(tmp_path):
    space = parse_space(TINY, name="tiny", where="tiny")
    job, study, evaluator, messages = make(tmp_path, limits("6M", trials=50), space=space)
    rows = job.run()
    # Two patch sizes, three depths, and the three presets, whose widths or depths the space does not have.
    assert len(set(evaluator.trained)) == 6 + 3
    # A preset outside the space has no values of its factors, and tells the sampler nothing.
    assert all(("param.depth" in row) is (row["name"] == "") for row in rows)
    states = {trial.number: trial.state for trial in study._study.trials}
    assert {states[row["trial"]] for row in rows if row["name"]} == {optuna.trial.TrialState.FAIL}
    assert {row["state"] for row in rows if row["name"]} == {"complete"}
    assert messages[-1] == "all candidates within the budget that could be found were tried"
    assert len(rows) < 200


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_space_with_one_candidate_is_searched_to_its_end(tmp_path, early_stopping):
    space = parse_space(TINY.replace("[1, 2]", "[2]").replace("[1, 2, 3]", "[2]"), name="one", where="one")
    goal = limits("700K..800K", trials=50, objectives=("accuracy", "params"), early_stopping=early_stopping)
    job, _, evaluator, messages = make(tmp_path, goal, space=space)
    job.run()
    assert len(evaluator.trained) == 1
    assert messages[-1] == "all candidates within the budget that could be found were tried"


def test_an_accuracy_that_never_moves_is_searched_all_the_same(tmp_path):
    goal = limits("6M", trials=14, early_stopping=True)
    rows = make(tmp_path, goal, evaluator=Learning(quality=lambda arch: 0.1))[0].run()
    assert sum(map(trainings, rows)) >= 14
    assert {row["accuracy"] for row in rows if row["state"] == "complete"} == {0.1}


def test_half_of_the_trials_failing_leaves_a_search_that_ends_where_it_was_to(tmp_path):
    def fail(arch):
        if int(arch_id(arch), 16) % 2:
            raise TrainingError("the loss became nan")

    rows = make(tmp_path, limits("6M", trials=16), evaluator=StandIn(fail=fail))[0].run()
    failed = sum(row["state"] == "failed" for row in rows)
    assert 4 <= failed <= 12
    assert sum(map(trainings, rows)) == 16  # a training that failed was one too


class Learning(StandIn):
    """Trainings with two rungs, the first at a third of what it ends with."""

    def __init__(self, *, quality, **options):
        super().__init__(**options)
        self.quality = quality

    def score_by_rungs(self, arch, *, seed, at_rung, should_stop, parent, keep_weights):
        name, final = arch_id(arch), self.quality(arch)
        rungs = ()
        for epoch in (1, 2):
            rungs += (Rung(epoch=epoch, loss=2.0, correct=round(500 * final * epoch / 3), images=500),)
            if at_rung is not None and at_rung(rungs):
                return Stopped(rungs=rungs, seconds=epoch), False
        self.trained.append(name)
        return Score(correct=round(1000 * final), images=1000, losses=(1.0,) * 4, seconds=4.0, rungs=rungs), False


def quality(arch):
    """Shallow networks are good for nothing, so that whatever costs more than a deep one is hopeless."""
    depth = min((stage.mobilevit.depth for stage in arch.stages if stage.mobilevit), default=0)
    return 0.2 + 0.1 * depth


def test_hopeless_trainings_are_stopped_and_count_as_their_share(tmp_path):
    evaluator = Learning(quality=quality)
    job, study, *_ = make(tmp_path, limits("6M", trials=25, early_stopping=True, sampler="random"), evaluator=evaluator)
    rows = job.run()
    stopped = [row for row in rows if row["state"] == "stopped"]
    finished = [row for row in rows if row["state"] == "complete"]
    assert stopped
    assert 25 <= sum(map(trainings, rows)) < 26
    assert sum(map(trainings, rows)) == pytest.approx(len(finished) + 0.25 * len(stopped))
    for row in stopped:
        assert "accuracy" not in row  # a part of a training is no accuracy
        assert (row["epochs"], row["trainings"]) == (1, 0.25)
        assert json.loads(row["rungs"])[0]["images"] == 500
        assert re.fullmatch(
            r"after epoch 1 of 4 at [\d.]+ %: [\d.]+ % ± [\d.]+ % foreseen, behind what costs no more", row["reason"]
        )
        trial = study._study.trials[row["trial"]]
        assert trial.state == optuna.trial.TrialState.PRUNED
        assert max(trial.constraints.values()) <= 0
        better = [
            one for one in finished
            if all(one[cost] <= row[cost] for cost in ("params", "macs", "latency_ms"))
            and one["accuracy"] >= quality(from_dict(json.loads(row["arch"]))) - 0.05
        ]  # fmt: skip
        assert better, "a cheap network was stopped for being less accurate than a dear one"
    make_table(rows)


def test_without_early_stopping_no_training_is_stopped(tmp_path):
    job, *_ = make(tmp_path, limits("6M", trials=25, sampler="random"), evaluator=Learning(quality=quality))
    assert {row["state"] for row in job.run()} <= {"complete", "duplicate", "over_budget", "invalid"}


def test_a_stopped_trial_is_finished_when_that_is_asked_for(tmp_path):
    goal = limits("6M", trials=25, early_stopping=True, sampler="random")
    rows = make(tmp_path, goal, evaluator=Learning(quality=quality))[0].run()
    stopped = [row for row in rows if row["state"] == "stopped"][:2]
    more = make(tmp_path, goal, evaluator=Learning(quality=quality))[0].run([row["trial"] for row in stopped])
    assert [row["arch_id"] for row in more[len(rows) :]] == [row["arch_id"] for row in stopped]
    assert {row["state"] for row in more[len(rows) :]} == {"complete"}
    assert [row["trainings"] for row in more[len(rows) :]] == [0.75, 0.75]  # a quarter was counted when it was stopped
    assert more[len(rows)]["accuracy"] == pytest.approx(quality(from_dict(json.loads(stopped[0]["arch"]))))


def test_what_was_queued_before_does_not_keep_a_stopped_trial_from_being_finished(tmp_path):
    goal = limits("6M", trials=25, early_stopping=True, sampler="random")
    rows = make(tmp_path, goal, evaluator=Learning(quality=quality))[0].run()
    stopped = next(row for row in rows if row["state"] == "stopped")
    job, study, *_ = make(tmp_path, goal, evaluator=Learning(quality=quality))
    study.enqueue(study._study.trials[stopped["trial"]].params, proposed_by="first design")
    more = job.run([stopped["trial"]])
    assert [row["state"] for row in more[len(rows) :]] == ["duplicate", "complete"]
    assert more[-1]["arch_id"] == stopped["arch_id"]
    with pytest.raises(InputError, match=f"there is no stopped trial {stopped['trial']}"):
        make(tmp_path, goal, evaluator=Learning(quality=quality))[0].run([stopped["trial"]])


def test_a_trial_that_was_not_stopped_cannot_be_finished(tmp_path):
    goal = limits("6M", trials=3)
    with pytest.raises(InputError, match=r"--finish 0: there is no stopped trial 0; none was stopped"):
        make(tmp_path, goal)[0].run([0])


def test_a_share_of_the_proposals_is_drawn_at_random_to_compare_with(tmp_path):
    rows = make(tmp_path, limits("6M", trials=30, baseline=0.4))[0].run()
    by = [row["proposed_by"] for row in rows if row["state"] == "complete"]
    assert by[:10] == ["preset"] * 3 + ["first design"] * 7
    assert by.count("random") == 8
    assert by.count("cost-aware") == 12


def test_a_search_that_is_settled_ends(tmp_path):
    asked = []

    def is_settled(rows):
        asked.append(len(rows))
        return len(rows) == 12

    evaluator = StandIn()
    goal = limits("6M", trials=30)
    feasible = sample_feasible(SPACE, goal.budgets, evaluator.static_cost, seed=0, samples=300)
    job = Search(
        Study(tmp_path, goal, SPACE), evaluator, feasible, on_row=lambda rows: None, on_message=lambda message: None,
        should_stop=lambda: False, is_settled=is_settled,
    )  # fmt: skip
    assert len(job.run()) == 12
    assert asked == list(range(1, 13))


def test_each_training_inherits_from_the_nearest_one_that_was_kept(tmp_path):
    job, _, evaluator, _ = make(tmp_path, limits("6M", trials=16, inherit=True))
    rows = job.run()
    finished = {row["trial"]: row for row in rows if row["state"] == "complete"}
    assert rows[0]["inherited_from"] is None
    assert all(row["inherited_from"] < row["trial"] for row in list(finished.values())[1:])
    # A name holds its whole ancestry, so no training is mistaken for one that began elsewhere.
    last = max(finished)
    ancestry, number = "", last
    while number is not None:
        ancestry = f">{finished[number]['arch_id']}" + ancestry
        number = finished[number]["inherited_from"]
    assert ancestry in evaluator.kept
    xs, s = (row for row in rows if row["name"] in ("mobilevit_xs", "mobilevit_s"))
    assert (xs["inherited_from"], s["inherited_from"]) == (0, 1)


def test_without_the_switch_nothing_is_inherited_or_kept(tmp_path):
    job, _, evaluator, _ = make(tmp_path, limits("6M", trials=6))
    assert not any("inherited_from" in row for row in job.run())
    assert not evaluator.kept


def test_a_tight_budget_finds_the_few_that_fit(tmp_path):
    cheapest = min(
        d.cost.params for d in sample_feasible(SPACE, (), StandIn().static_cost, seed=1, samples=3000).designs
    )
    goal = limits(f"{int(cheapest * 1.1)}", trials=4)
    rows = make(tmp_path, goal)[0].run()
    assert sum(row["state"] == "complete" for row in rows) == 4
    assert len(rows) < 300


def test_a_budget_below_everything_is_an_error_that_names_the_nearest():
    with pytest.raises(NothingFeasibleError, match=r"nothing in mobilevit_small meets the budget \(at most 1K parameters\); the nearest candidate seen, [0-9a-f]{10}, has [\d.]+K parameters") as raised:  # fmt: skip
        sample_feasible(SPACE, [parse_budget("1K")], StandIn().static_cost, seed=0, samples=100)
    named = str(raised.value)
    # The walk went on to the bottom of the space, below what 100 draws saw.
    assert float(named.split(", has ")[1].split("K")[0]) < 40


def test_the_last_step_of_a_walk_leaves_least_of_the_budget():
    budgets, cost_of = [parse_budget("400K"), parse_budget("20MMACs")], StandIn().static_cost
    over = [
        d for d in sample_feasible(SPACE, [], cost_of, seed=0, samples=60).designs if violation(d.cost, budgets) > 0
    ]
    assert len(over) > 10
    excess = [violation(descend(SPACE, d, budgets, cost_of, random.Random(0)).cost, budgets) for d in over]
    assert max(excess) <= 0
    assert sorted(excess)[len(excess) // 2] > -0.1  # half of them end within a tenth of the limit


def test_a_walk_finds_what_no_draw_hits():
    smallest = sample_feasible(SPACE, [parse_budget("1G")], StandIn().static_cost, seed=0, samples=2000).designs[0]
    feasible = sample_feasible(SPACE, [parse_budget("40K")], StandIn().static_cost, seed=0, samples=50)
    assert feasible.fitting == 0
    assert feasible.designs[0].cost.params <= 40_000 < smallest.cost.params


def test_a_range_keeps_both_ends():
    feasible = sample_feasible(SPACE, [parse_budget("1M..1.2M")], StandIn().static_cost, seed=0, samples=400)
    assert feasible.designs
    assert all(1e6 <= design.cost.params <= 1.2e6 for design in feasible.designs)
    assert violation(feasible.designs[0].cost, [parse_budget("1M..1.2M")]) <= 0


def test_a_space_in_which_nothing_is_a_network_says_why():
    text = TINY.replace(
        "values: [1, 2, 3]}", "values: [1, 2, 3]}\n  heads: {paths: [stages.*.mobilevit.heads], values: [7]}"
    )
    space = parse_space(text, name="tiny", where="tiny")
    with pytest.raises(SpaceError, match=r"none of 50 drawn settings is a network.*dim=64, heads=7"):
        sample_feasible(space, (), StandIn().static_cost, seed=0, samples=50)


def test_a_spread_takes_both_ends():
    designs = sample_feasible(SPACE, (), StandIn().static_cost, seed=0, samples=50).designs
    chosen = spread(designs, 4)
    assert (chosen[0], chosen[-1], len(chosen)) == (designs[0], designs[-1], 4)
    assert spread(designs[:2], 4) == list(designs[:2])
    assert spread(designs, 0) == []


@pytest.mark.parametrize(("correct", "images"), [(0, 10), (10, 10), (7, 10), (812, 1000)])
def test_the_interval_of_an_accuracy_is_wilsons(correct, images):
    low, high = Score(correct=correct, images=images, losses=(), seconds=1.0).interval
    assert 0 <= low <= correct / images <= high <= 1
    # Its ends solve (p - share)^2 = z^2 p (1 - p) / n.
    for end in {low, high} - {0.0, 1.0}:
        assert (end - correct / images) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / images)


def test_seeds_depend_on_every_part_and_fit_torch():
    assert derive_seed(1, "a") == derive_seed(1, "a")
    assert len({derive_seed(1, "a"), derive_seed(1, "b"), derive_seed(2, "a"), derive_seed("1a")}) == 4
    assert 0 <= derive_seed(0, "x") < 2**63


def test_a_cached_document_comes_back_for_its_key_only(tmp_path):
    cache = Cache(tmp_path / "c")
    cache.put({"a": 1, "b": [1, 2]}, {"x": 0.5})
    assert Cache(tmp_path / "c").get({"b": [1, 2], "a": 1}) == {"x": 0.5}
    assert cache.get({"a": 2, "b": [1, 2]}) is None


def test_a_half_written_document_counts_as_none(tmp_path):
    cache = Cache(tmp_path)
    cache.put({"a": 1}, {"x": 1})
    (document,) = tmp_path.glob("*.json")
    document.write_text(document.read_text()[:-5])
    assert cache.get({"a": 1}) is None


def test_a_full_disk_still_keeps_the_last_result(tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    real = cache_module.write_text

    def full(path, text):
        if (tmp_path / "reserve").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, text)

    monkeypatch.setattr(cache_module, "write_text", full)
    with pytest.raises(PartialError, match=r"is full; the last result is saved") as raised:
        cache.put({"a": 1}, {"x": 1})
    assert raised.value.exit_code == 4
    assert cache.get({"a": 1}) == {"x": 1}


def test_a_study_that_cannot_be_written_says_so_and_keeps_what_was_there(tmp_path, monkeypatch):
    job, _, evaluator, _ = make(tmp_path, limits("6M", trials=10))
    real = optuna.storages.RDBStorage.set_trial_state_values

    def full(self, *args, **kwargs):
        if len(evaluator.trained) >= 4:
            raise optuna.exceptions.StorageInternalError("database or disk is full")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(optuna.storages.RDBStorage, "set_trial_state_values", full)
    with pytest.raises(PartialError, match=r"cannot write the study .*disk is full.*--resume"):
        job.run()
    monkeypatch.undo()
    rows = make(tmp_path, limits("6M", trials=10), evaluator=evaluator)[0].run()
    assert sum(row["state"] == "complete" for row in rows) == 10
    assert len(evaluator.trained) == len(set(evaluator.trained)) == 10
