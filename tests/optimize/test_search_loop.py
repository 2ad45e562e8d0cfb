"""The search around stand-ins for training and measuring: proposals, budgets, constraints, resuming, repetition."""

import re
import time
from dataclasses import replace
from typing import Any

import optuna
import pytest
from searches import CLASSES, SMALL, SPACE, Formula, drawn, searching
from sure import sure

from mvit_nas.arch.config import arch_id
from mvit_nas.arch.count import count, features
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import parse_space
from mvit_nas.cost.predict import Predictor
from mvit_nas.errors import (
    DeviceError,
    InputError,
    InterruptedCleanlyError,
    MeasurementError,
    NothingFeasibleError,
    PartialError,
)
from mvit_nas.metrics import ACCURACY, LATENCY, MACS, PARAMS
from mvit_nas.optimize import candidates as candidates_module
from mvit_nas.optimize import loop as loop_module
from mvit_nas.study.record import Cause, Guess, Record, State
from mvit_nas.study.table import to_row

COUNTED = (ACCURACY, PARAMS, MACS)
TINY = """
base: mobilevit_xxs
set: {image_size: 32}
factors:
  patch_size: {paths: [stages.*.mobilevit.patch_size], values: [1, 2]}
  depth: {paths: [stages.*.mobilevit.depth], values: [1, 2, 3]}
"""


def tiny(text=TINY):
    return parse_space(text, name="tiny", where="tiny")


def ids(records):
    return [record.candidate.arch_id for record in records]


def states(records):
    return [str(record.state) for record in records]


def trained_by(running):
    return running.estimator.trained


def complete(records):
    return [record for record in records if record.is_complete]


def without_times(records):
    return [{name: cell for name, cell in to_row(one).items() if name != "seconds"} for one in records]


def test_a_search_trains_as_many_as_asked_and_nothing_over_the_budget_or_twice():
    running = searching(None, "1M", trials=30)
    records = running.search.run()
    trained = trained_by(running)
    assert len(complete(records)) == len(trained) == len(set(trained)) == 30
    assert set(states(records)) <= {"complete", "over_budget", "duplicate", "invalid"}
    for record in complete(records):
        assert record.value(PARAMS) <= 1e6
        assert arch_id(record.candidate.arch) == record.candidate.arch_id
        cost = count(record.candidate.arch, classes=CLASSES)
        assert (record.value(PARAMS), record.value(MACS)) == (cost.params, cost.macs)


def test_the_presets_that_fit_are_tried_first():
    records = searching(None, "3M", trials=4).search.run()
    assert [record.candidate.name for record in records] == ["mobilevit_xxs", "mobilevit_xs", "", ""]
    assert [record.proposed_by for record in records] == ["preset", "preset", "first design", "first design"]


def test_first_designs_range_from_the_cheapest_to_the_dearest():
    macs = [sure(record.value(MACS)) for record in searching(None, "6M", trials=6).search.run()[3:]]
    assert macs == sorted(macs)
    assert macs[-1] > 20 * macs[0]


def test_presets_outside_the_space_do_not_count_as_first_designs():
    running = searching(None, "6M", trials=9, sampler="cost-aware", space=SMALL, objectives=COUNTED)
    by = [record.proposed_by for record in running.search.run()]
    assert by == ["preset"] * 3 + ["first design"] * 5 + ["cost-aware"]


def test_a_record_says_what_the_trial_cost_and_how_it_was_scored():
    running = searching(None, "6M", trials=4, estimator=Formula(rungs=(1, 2)))
    record = running.search.run()[3]
    assert (record.spent.epochs, record.spent.trainings, record.spent.training_seconds) == (4, 1.0, 4.0)
    assert record.spent.seconds > 0
    assert not record.spent.cached
    assert [rung.epoch for rung in record.rungs] == [1, 2]
    accuracy = sure(record.measured(ACCURACY))
    assert sure(accuracy.low) < accuracy.value < sure(accuracy.high)
    assert (record.latency_runs, record.latency_threads, record.seed) == (20, 1, 0)
    # It is a network with one block, in stage 3: the depths of the others have no effect.
    without = {"depth.stages.2", "depth.stages.4"}
    assert set(record.candidate.labels) == {parameter.name for parameter in SPACE.parameters} - without
    assert running.heard.done[-2:] == [
        f"measuring the latency of {record.label}",
        f"training {record.label} ({PARAMS.format(sure(record.value(PARAMS)))})",
    ]


def test_what_was_known_before_costs_a_training_of_the_search_all_the_same():
    estimator = Formula()
    searching(None, "6M", trials=4, estimator=estimator).search.run()
    records = searching(None, "6M", trials=4, estimator=estimator).search.run()
    assert [record.spent.cached for record in records] == [True] * 4
    assert [record.spent.trainings for record in records] == [1.0] * 4


def test_the_same_seed_proposes_the_same_and_another_seed_others():
    one, again, other = (
        searching(None, "6M", trials=12, seed=seed, sampler="cost-aware", objectives=COUNTED).search.run()
        for seed in (1, 1, 2)
    )
    assert without_times(one) == without_times(again)
    assert ids(one)[3:] != ids(other)[3:]


def test_random_sampling_draws_another_candidate_each_time():
    proposed = [r for r in searching(None, "6M", trials=25).search.run() if r.proposed_by == "random"]
    labels = {tuple(record.candidate.labels.values()) for record in proposed}
    assert len(labels) == len(proposed) >= 15


def test_a_search_in_two_runs_gives_what_one_run_gives(tmp_path):
    options: dict[str, Any] = {"sampler": "cost-aware", "space": SMALL, "estimator": (estimator := Formula())}
    whole = searching(None, "6M", trials=16, sampler="cost-aware", space=SMALL).search.run()
    searching(tmp_path, "6M", trials=13, **options).search.run()
    parts = searching(tmp_path, "6M", trials=16, **options).search.run()
    assert without_times(parts) == without_times(whole)
    assert len(estimator.trained) == 16


def test_a_trial_that_was_killed_is_tried_again_and_nothing_else(tmp_path):
    class Killed(BaseException):
        pass

    def kill(arch):
        if len(estimator.trained) == 6:
            raise Killed
        return ""

    estimator = Formula(fail=kill)
    with pytest.raises(Killed):
        searching(tmp_path, "6M", space=SMALL, trials=12, estimator=estimator).search.run()
    killed = estimator.trained[-1]
    records = searching(tmp_path, "6M", space=SMALL, trials=12, estimator=estimator).search.run()
    assert len(complete(records)) == 12
    assert estimator.trained.count(killed) == 2
    assert all(estimator.trained.count(one) == 1 for one in estimator.trained if one != killed)


def test_a_killed_preset_keeps_its_name(tmp_path):
    def kill(arch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searching(tmp_path, "6M", space=SMALL, trials=12, estimator=Formula(fail=kill)).search.run()
    records = searching(tmp_path, "6M", space=SMALL, trials=12).search.run()
    assert sorted(one.candidate.name for one in records if one.candidate.name) == sorted(PRESETS)


def test_stopping_keeps_what_was_finished():
    seen: list[Record] = []
    running = searching(None, "6M", on_record=seen.append, should_stop=lambda: len(seen) >= 3)
    with pytest.raises(InterruptedCleanlyError):
        running.search.run()
    assert states(running.store.records()) == states(seen) == ["complete"] * 3


def test_a_training_that_fails_is_a_record_with_its_reason_and_the_search_goes_on():
    def fail(arch):
        if len(estimator.trained) == 2:
            raise RuntimeError("boom\nmore")
        return "the training loss became nan" if len(estimator.trained) == 1 else ""

    estimator = Formula(fail=fail)
    running = searching(None, "6M", trials=6, estimator=estimator)
    records = running.search.run()
    assert states(records) == ["failed", "failed"] + ["complete"] * 4
    assert [record.reason for record in records[:2]] == ["the training loss became nan", "RuntimeError: boom"]
    assert not records[0].has(ACCURACY)
    assert "boom" in running.store.study.trials[1].user_attrs["traceback"]
    assert not searching(None, "6M", trials=6).search.records


@pytest.mark.parametrize(
    "error",
    [
        InterruptedCleanlyError("now"),
        PartialError("full"),
        OSError("gone"),
        InputError("no images"),
        DeviceError("no GPU"),
    ],
)
def test_what_no_candidate_is_to_blame_for_ends_the_search(error):
    def fail(arch):
        raise error

    running = searching(None, "6M", trials=6, estimator=Formula(fail=fail))
    with pytest.raises(type(error), match=str(error)):
        running.search.run()
    assert not running.search.records


def test_a_latency_that_cannot_be_measured_is_a_record_and_is_tried_again_on_resume(tmp_path):
    def refuse(arch):
        if arch.stages[3].mobilevit and arch.stages[3].mobilevit.depth == 1:
            raise MeasurementError("ONNX Runtime cannot export this network")
        return count(arch).macs / 1e6

    records = list(searching(tmp_path, space=SMALL, trials=12, milliseconds=refuse).search.run())
    refused = [record for record in records if record.state is State.FAILED]
    assert refused
    assert {one.reason for one in refused} == {"latency not measured: ONNX Runtime cannot export this network"}
    assert {one.cause for one in refused} == {Cause.NOT_MEASURED}
    assert not any(one.has(LATENCY) or one.has(ACCURACY) for one in refused)
    after = searching(tmp_path, space=SMALL, trials=12).search.run()
    assert set(ids(after[len(records) :])) == set(ids(refused))
    assert len(complete(after)) == 12
    assert {one.label for one in after[len(records) :]} == {one.label for one in refused}
    # Now that all could be measured nothing is left to try.
    assert len(searching(tmp_path, space=SMALL, trials=12).search.run()) == len(after)


def test_over_budget_trials_teach_the_sampler_through_their_constraint():
    running = searching(None, "400K", "20MMACs", trials=20, sampler="tpe", objectives=COUNTED)
    records = running.search.run()
    assert {"complete", "over_budget"} <= set(states(records))
    for record, trial in zip(records, running.store.study.trials, strict=False):
        if record.is_complete:
            assert len(trial.constraints) == 2
            assert all(value <= 0 for value in trial.constraints.values())
            assert trial.state == optuna.trial.TrialState.COMPLETE
        elif record.state is State.OVER_BUDGET:
            assert max(trial.constraints.values()) > 0
            assert trial.state == optuna.trial.TrialState.PRUNED
            assert "is not at most" in record.reason


def test_a_sampler_that_does_not_learn_from_them_proposes_nothing_over_the_budget():
    records = searching(None, "400K", "20MMACs", trials=12, sampler="gp", objectives=COUNTED).search.run()
    assert "over_budget" not in states(records)


def test_a_latency_over_the_budget_is_measured_and_not_trained():
    running = searching(None, "6M", "10ms", trials=10)
    over = [record for record in running.search.run() if record.state is State.OVER_BUDGET]
    measured = [record for record in over if record.has(LATENCY)]
    assert measured
    assert all(sure(one.value(LATENCY)) > 10 and "ms is not at most 10 ms" in one.reason for one in measured)
    assert not set(ids(over)) & set(trained_by(running))


def test_what_was_measured_to_be_too_slow_is_not_measured_again():
    running = searching(None, "3ms", trials=20, space=tiny(), samples=50)
    records = running.search.run()
    assert {"over_budget", "duplicate"} <= set(states(records))
    assert len(running.measured) == len(set(running.measured))


def test_what_is_predicted_to_be_surely_too_slow_is_not_measured(monkeypatch):
    running = searching(None, "6M", "10ms", trials=16, sampler="tpe")
    records = running.search.run()
    spared = [record for record in records if "not measured" in record.reason]
    assert spared
    assert not set(ids(spared)) & set(trained_by(running))
    for record in spared:
        trial = running.store.study.trials[sure(record.trial)]
        assert not record.has(LATENCY)
        assert record.state is State.OVER_BUDGET
        assert re.fullmatch(r"predicted [\d.]+ ms \(± \d+ %\), not measured; at most 10 ms", record.reason)
        assert trial.state == optuna.trial.TrialState.PRUNED
        assert trial.constraints["latency_ms.1"] > 0
        assert sure(record.value(MACS)) > 10e6
    # Every latency in the table was measured.
    assert ids(record for record in records if record.has(LATENCY)) == running.measured
    monkeypatch.setattr(candidates_module, "fit", lambda features, milliseconds: None)
    blind = searching(None, "6M", "10ms", trials=16, sampler="tpe")
    assert len(complete(records)) == len(complete(blind.search.run())) == 16
    assert len(running.measured) < len(blind.measured)


def foreseeing(monkeypatch, *, price_ms, error_90):
    """A predictor of its own: so many milliseconds for a multiply-add of 1x1 convolutions."""
    predictor = Predictor(prices_ms={"pointwise.macs": price_ms}, error=0.0, error_90=error_90)
    monkeypatch.setattr(candidates_module, "fit", lambda features, milliseconds: predictor if features else None)


def pointwise_ms(arch):
    return features(arch, classes=CLASSES)["pointwise.macs"] / 1e6


@pytest.mark.parametrize(("budget", "low", "high"), [("4ms", 0, 6), ("3ms..6ms", 2, 9)])
def test_only_what_is_over_by_more_than_the_stated_error_is_not_measured(monkeypatch, budget, low, high):
    foreseeing(monkeypatch, price_ms=1e-6, error_90=0.5)
    records = searching(None, "6M", budget, trials=12, milliseconds=pointwise_ms).search.run()
    spared = [pointwise_ms(record.candidate.arch) for record in records if "not measured" in record.reason]
    assert spared
    assert not any(low <= ms <= high for ms in spared)
    assert low == 0 or min(spared) < low


def test_what_takes_the_place_of_a_candidate_is_predicted_to_fit(monkeypatch):
    foreseeing(monkeypatch, price_ms=1e-6, error_90=0.5)
    running = searching(None, "6M", "4ms", trials=12, milliseconds=pointwise_ms)
    records = running.search.run()
    instead = [records[trial.number] for trial in running.store.study.trials if "measure" in trial.user_attrs]
    assert instead
    assert all(pointwise_ms(record.candidate.arch) <= 4 for record in instead)


def test_a_prediction_that_is_wrong_does_not_stop_the_search(monkeypatch):
    foreseeing(monkeypatch, price_ms=1.0, error_90=0.0)
    monkeypatch.setattr(loop_module, "_COMPARED", 20)
    records = searching(None, "6M", "4ms", trials=6, milliseconds=lambda arch: 1.0).search.run()
    assert len(complete(records)) == 6
    assert {record.value(LATENCY) for record in records} == {None, 1.0}


def test_a_search_that_predicts_is_resumed_to_the_same_trials(tmp_path):
    whole = searching(None, "6M", "10ms", trials=12, sampler="tpe").search.run()
    searching(tmp_path, "6M", "10ms", trials=6, sampler="tpe").search.run()
    parts = searching(tmp_path, "6M", "10ms", trials=12, sampler="tpe").search.run()
    assert any("not measured" in record.reason for record in whole)
    assert without_times(parts) == without_times(whole)


def test_a_latency_without_a_budget_is_always_measured():
    records = searching(None, "6M", trials=14).search.run()
    assert all(record.has(LATENCY) for record in complete(records))
    assert not any("not measured" in record.reason for record in records)


def test_a_latency_that_nothing_meets_ends_the_search_and_names_the_fastest(monkeypatch):
    monkeypatch.setattr(loop_module, "_COMPARED", 20)  # for speed: each of the 40 is the best predicted of so many
    running = searching(None, "6M", "10ms", milliseconds=lambda arch: 50 + count(arch).macs / 1e9)
    with pytest.raises(
        NothingFeasibleError, match=r"none of 40 measured candidates .*at most 10 ms.* takes 50 ms"
    ) as caught:
        running.search.run()
    assert caught.value.exit_code == 3
    assert trained_by(running) == []
    fastest = min(running.search.records, key=lambda record: record.value(LATENCY) or 1e9)
    assert f"the fastest seen, {fastest.candidate.arch_id}," in str(caught.value)


def test_without_latency_nothing_is_measured():
    running = searching(None, "6M", trials=4, objectives=(ACCURACY, MACS))
    assert not any(record.has(LATENCY) for record in running.search.run())
    assert running.measured == []


def test_a_space_that_is_used_up_ends_the_search():
    running = searching(None, "6M", trials=50, space=tiny())
    records = running.search.run()
    # Two patch sizes, three depths, and the three presets, whose widths or depths the space does not have.
    assert len(set(trained_by(running))) == 6 + 3
    # A preset outside the space has no values of its factors, and tells the sampler nothing.
    assert all(bool(record.candidate.labels) is (record.candidate.name == "") for record in records)
    trials = running.store.study.trials
    presets = [record for record in records if record.candidate.name]
    assert {trials[sure(record.trial)].state for record in presets} == {optuna.trial.TrialState.FAIL}
    assert {record.state for record in presets} == {State.COMPLETE}
    assert running.heard.said[-1] == "all candidates within the budget that could be found were tried"
    assert len(records) < 200


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_space_with_one_candidate_is_searched_to_its_end(early_stopping):
    space = tiny(TINY.replace("[1, 2]", "[2]").replace("[1, 2, 3]", "[2]"))
    running = searching(
        None, "700K..800K", trials=50, objectives=(ACCURACY, PARAMS), early_stopping=early_stopping, space=space
    )
    running.search.run()
    assert len(trained_by(running)) == 1
    assert running.heard.said[-1] == "all candidates within the budget that could be found were tried"


@pytest.mark.parametrize("sampler", ["cost-aware", "random"])
def test_an_accuracy_that_never_moves_is_searched_all_the_same(sampler):
    estimator = Formula(lambda arch: 0.1, rungs=(1, 2))
    running = searching(None, "6M", trials=13, early_stopping=True, estimator=estimator, sampler=sampler)
    records = running.search.run()
    assert sum(record.spent.trainings for record in records) >= 13
    assert {record.value(ACCURACY) for record in complete(records)} == {0.1}


def test_half_of_the_trials_failing_leaves_a_search_that_ends_where_it_was_to():
    estimator = Formula(fail=lambda arch: "the loss became nan" if int(arch_id(arch), 16) % 2 else "")
    records = searching(None, "6M", trials=16, estimator=estimator).search.run()
    assert 4 <= states(records).count("failed") <= 12
    assert sum(record.spent.trainings for record in records) == 16  # a training that failed was one too


def quality(arch):
    """Shallow networks are good for nothing, so that whatever costs more than a deep one is hopeless."""
    depth = min((stage.mobilevit.depth for stage in arch.stages if stage.mobilevit), default=0)
    return 0.2 + 0.1 * depth


def stopping(folder, **options):
    estimator = Formula(quality, rungs=(1, 2))
    return searching(folder, "6M", trials=25, estimator=estimator, **{"early_stopping": True} | options)


def test_hopeless_trainings_are_stopped_and_count_as_their_share():
    running = stopping(None)
    records = running.search.run()
    stopped = [record for record in records if record.state is State.STOPPED]
    spent = sum(record.spent.trainings for record in records)
    assert stopped
    assert 25 <= spent < 26
    assert spent == pytest.approx(len(complete(records)) + 0.25 * len(stopped))
    for record in stopped:
        assert not record.has(ACCURACY)  # a part of a training is no accuracy
        assert (record.spent.epochs, record.spent.trainings) == (1, 0.25)
        assert record.rungs[0].images == 500
        assert re.fullmatch(
            r"after epoch 1 of 4 at [\d.]+ %: [\d.]+ % ± [\d.]+ % foreseen, behind what costs no more", record.reason
        )
        trial = running.store.study.trials[record.trial]
        assert trial.state == optuna.trial.TrialState.PRUNED
        assert max(trial.constraints.values()) <= 0
        better = [
            one for one in complete(records)
            if all(one.value(cost) <= record.value(cost) for cost in (PARAMS, MACS, LATENCY))
            and one.value(ACCURACY) >= quality(record.candidate.arch) - 0.05
        ]  # fmt: skip
        assert better, "a cheap network was stopped for being less accurate than a dear one"


def test_the_sampler_learns_what_a_stopped_training_was_expected_to_reach():
    running = stopping(None)
    records = running.search.run()
    for record in records:
        told = running.store.study.trials[record.trial].user_attrs.get("expected_accuracy")
        assert (told is not None) is (record.state is State.STOPPED)
        if told:
            assert f"{100 * told[0]:.1f} % ± {100 * told[1]:.1f} % foreseen" in record.reason


def test_an_estimator_hears_what_the_sampler_guessed_and_what_was_found_before():
    class Listening(Formula):
        def estimate(self, question, **options):
            asked.append((question.guess, len(question.before), question.record.value(PARAMS)))
            return super().estimate(question, **options)

    asked: list[tuple[Guess | None, int, float | None]] = []
    options: dict[str, Any] = {"sampler": "cost-aware", "space": SMALL, "objectives": COUNTED}
    searching(None, "6M", trials=16, estimator=Listening(), **options).search.run()
    guesses, before, params = zip(*asked, strict=True)
    # What is queued was not proposed, and the presets outside the space teach nothing.
    assert guesses[:8] == (None,) * 8
    assert all(0.3 < guess.accuracy < 1 and guess.deviation > 0 for guess in guesses[8:])
    assert before[:11] == tuple(range(11))
    assert all(params)


def test_without_early_stopping_no_training_is_stopped():
    records = stopping(None, early_stopping=False).search.run()
    assert set(states(records)) <= {"complete", "duplicate", "over_budget", "invalid"}


def test_a_stopped_trial_is_finished_when_that_is_asked_for(tmp_path):
    records = list(stopping(tmp_path).search.run())
    stopped = [record for record in records if record.state is State.STOPPED][:2]
    more = stopping(tmp_path).search.run([record.trial for record in stopped])[len(records) :]
    assert ids(more) == ids(stopped)
    assert states(more) == ["complete", "complete"]
    assert [one.spent.trainings for one in more] == [0.75, 0.75]  # a quarter was counted when it was stopped
    assert more[0].value(ACCURACY) == pytest.approx(quality(stopped[0].candidate.arch))


def test_what_was_finished_is_not_finished_again(tmp_path):
    records = list(stopping(tmp_path).search.run())
    stopped = next(record for record in records if record.state is State.STOPPED)
    stopping(tmp_path).search.run([stopped.trial])
    with pytest.raises(InputError, match=f"there is no stopped trial {stopped.trial}"):
        stopping(tmp_path).search.run([stopped.trial])


def test_a_trial_that_was_not_stopped_cannot_be_finished():
    with pytest.raises(InputError, match=r"--finish 0: there is no stopped trial 0; none was stopped"):
        searching(None, "6M", trials=3).search.run([0])


def test_a_share_of_the_proposals_is_drawn_at_random_to_compare_with():
    running = searching(None, "6M", trials=30, baseline=0.4, sampler="tpe", objectives=COUNTED)
    by = [record.proposed_by for record in complete(running.search.run())]
    assert by[:6] == ["preset"] * 3 + ["first design"] * 3
    assert by.count("random") == 10
    assert by.count("tpe") == 14


def test_a_search_that_is_done_ends():
    asked = []

    def is_done(records):
        asked.append(len(records))
        return len(records) == 12

    assert len(searching(None, "6M", trials=30, is_done=is_done).search.run()) == 12
    assert asked == list(range(13))


def test_a_search_ends_when_its_time_is_up(monkeypatch):
    now = [0.0]

    def tick(record):
        now[0] += 10.0

    running = searching(None, "6M", trials=30, on_record=tick)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    running.search._limits = replace(running.search._limits, timeout_seconds=35.0)
    assert len(running.search.run()) == 4


def test_a_tight_budget_finds_the_few_that_fit():
    cheapest = min(one.cost.params for one in drawn(SPACE, (), seed=1, samples=1500)[1].designs)
    records = searching(None, f"{int(cheapest * 1.1)}", trials=4, objectives=COUNTED, sampler="cost-aware").search.run()
    assert len(complete(records)) == 4
    assert len(records) < 300


def test_a_study_that_cannot_be_written_says_so_and_keeps_what_was_there(tmp_path, monkeypatch):
    estimator = Formula()
    running = searching(tmp_path, "6M", space=SMALL, trials=10, estimator=estimator)
    real = optuna.storages.RDBStorage.set_trial_state_values

    def full(self, *args, **kwargs):
        if len(estimator.trained) >= 4:
            raise optuna.exceptions.StorageInternalError("database or disk is full")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(optuna.storages.RDBStorage, "set_trial_state_values", full)
    with pytest.raises(PartialError, match=r"cannot reach the study .*disk is full.*--resume"):
        running.search.run()
    monkeypatch.undo()
    records = searching(tmp_path, "6M", space=SMALL, trials=10, estimator=estimator).search.run()
    assert len(complete(records)) == 10
    assert len(estimator.trained) == len(set(estimator.trained)) == 10
