"""The store on Optuna: what comes back, what samplers are told, and studies that earlier versions made."""

import gzip
import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from searches import Formula, searching

from mvit_nas.arch.config import arch_id
from mvit_nas.arch.space import Label, parse_space
from mvit_nas.errors import InputError
from mvit_nas.maths.seeds import derive_seed
from mvit_nas.metrics import ACCURACY, MACS, PARAMS
from mvit_nas.study.record import Candidate, Cause, Guess, Measured, Record, State
from mvit_nas.study.store import Store, Told, Wish
from mvit_nas.study.table import to_row

STUDIES = Path(__file__).parents[1] / "support/studies"
CHOICES = {"a": (1, 2, 3), "b": ("x", "y")}
LABELS: dict[str, Label] = {"a": 2, "b": "y"}


class Numbered:
    """Makes random samplers, and remembers for whom."""

    def __init__(self):
        self.made = []

    def __call__(self, name, number):
        self.made.append((name, number))
        return optuna.samplers.RandomSampler(seed=derive_seed(number) % 2**32)


def opened(folder=None, samplers=None):
    return Store(folder, objectives=(ACCURACY, PARAMS), choices=CHOICES, samplers=samplers or Numbered())


def record(asked, state=State.COMPLETE, *, identity="i", **values):
    candidate = Candidate(arch=None, arch_id=identity, name=asked.wish.name, labels=dict(asked.wish.labels))
    known = {"accuracy": 0.5, "params": 100} | values if state is State.COMPLETE else values
    measured = {name: Measured(value=value) for name, value in known.items()}
    return Record(trial=asked.number, state=state, candidate=candidate, values=measured)


def test_what_is_queued_comes_first_with_all_that_was_wished():
    store = opened()
    assert store.is_new()
    wish = Wish(labels=LABELS, proposed_by="preset", name="xs", is_outside=True, must_measure=True, must_finish=True)
    store.queue(wish)
    assert not store.is_new()
    asked = store.ask("random")
    assert (asked.number, asked.wish, asked.guess) == (0, wish, None)
    proposed = store.ask("random")
    assert proposed.number == 1
    assert proposed.wish == Wish(labels=proposed.wish.labels, proposed_by="random")
    assert proposed.wish.labels.keys() == CHOICES.keys()


def test_a_sampler_is_made_for_each_trial_by_its_name_and_number():
    samplers = Numbered()
    store = opened(samplers=samplers)
    for name in ("random", "tpe"):
        store.ask(name)
    assert samplers.made == [("random", 0), ("tpe", 1)]


def test_a_trial_ends_as_samplers_shall_see_it():
    store = opened()
    told = {}
    for state in (State.COMPLETE, State.OVER_BUDGET, State.STOPPED, State.DUPLICATE, State.FAILED, State.INVALID):
        asked = store.ask("random")
        told[asked.number] = state
        expected = Guess(accuracy=0.4, deviation=0.1) if state is State.STOPPED else None
        store.tell(asked, Told(record=record(asked, state), constraints={"params.0": -0.5}, expected=expected))
    trials = store.study.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "PRUNED", "FAIL", "FAIL", "FAIL"]
    assert trials[0].values == [0.5, 100.0]
    assert all(trial.constraints == {"params.0": -0.5} for trial in trials)
    assert tuple(trials[2].user_attrs["expected_accuracy"]) == (0.4, 0.1)
    assert "expected_accuracy" not in trials[0].user_attrs
    assert [one.state for one in store.records()] == list(told.values())


def test_a_network_outside_the_space_tells_samplers_nothing_of_its_labels():
    store = opened()
    store.queue(Wish(labels=LABELS, proposed_by="preset", name="xs", is_outside=True))
    asked = store.ask("random")
    store.tell(asked, Told(record=record(asked)))
    assert store.study.trials[0].state.name == "FAIL"
    assert store.records()[0].is_complete


def test_records_come_back_from_disk_as_they_were(tmp_path):
    running = searching(tmp_path, "6M", "10ms", trials=12, early_stopping=True, estimator=Formula(rungs=(1, 2)))
    records = running.search.run()
    assert {"complete", "over_budget"} <= {str(one.state) for one in records}
    again = searching(tmp_path, "6M", "10ms", trials=12).store.records()
    assert [one.candidate.arch for one in again] == [one.candidate.arch for one in records]
    assert again == records


def test_what_ran_when_the_process_died_is_queued_as_it_was_wished(tmp_path):
    wish = Wish(labels=LABELS, proposed_by="preset", name="xs", must_finish=True)
    store = opened(tmp_path)
    store.queue(wish)
    store.ask("random")
    later = opened(tmp_path)
    assert later.recover() == 1
    assert later.recover() == 0
    assert later.ask("random").wish == wish
    assert later.records() == []


def test_what_could_not_be_measured_is_queued_once_for_each_network_that_is_not_done():
    store = opened()
    for identity, state, cause in (
        ("one", State.FAILED, Cause.NOT_MEASURED),
        ("one", State.FAILED, Cause.NOT_MEASURED),
        ("two", State.FAILED, Cause.NOT_MEASURED),
        ("two", State.COMPLETE, Cause.UNKNOWN),
        ("three", State.FAILED, Cause.UNKNOWN),
    ):
        store.queue(Wish(labels=LABELS, proposed_by=identity))
        asked = store.ask("random")
        found = record(asked, state, identity=identity)
        # What is decided does not hang on the words.
        found = Record(trial=asked.number, state=state, candidate=found.candidate, values=found.values, cause=cause,
                       reason="latency not measured: no" if cause is Cause.UNKNOWN else "gone")  # fmt: skip
        store.tell(asked, Told(record=found))
    assert store.retry() == [0, 1, 2]
    assert store.ask("random").wish.proposed_by == "one"
    assert store.ask("random").wish.proposed_by == "random"  # nothing else was queued


def test_a_stopped_trial_is_queued_to_be_finished_and_stays_what_it_was():
    store = opened()
    asked = store.ask("random")
    store.tell(asked, Told(record=record(asked, State.STOPPED, identity="i"), expected=Guess(accuracy=0, deviation=1)))
    other = store.ask("random")
    store.tell(other, Told(record=record(other, State.COMPLETE, identity="j")))
    with pytest.raises(InputError, match=r"--finish 1: there is no stopped trial 1; the stopped ones are 0"):
        store.finish_stopped(1)
    assert store.finish_stopped(0) == "i"
    assert "train_to_the_end" not in store.study.trials[0].user_attrs
    again = store.ask("random")
    assert again.wish == Wish(labels=asked.wish.labels, proposed_by="random", must_finish=True)
    store.tell(again, Told(record=record(again, State.COMPLETE, identity="i")))
    with pytest.raises(InputError, match=r"there is no stopped trial 0; none was stopped"):
        store.finish_stopped(0)


@pytest.fixture
def small(tmp_path):
    """A study of the first format, killed in its last trial: its folder, its space and the rows that it had then."""
    folder = STUDIES / "small"
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.executescript(gzip.decompress((folder / "study.sql.gz").read_bytes()).decode())
    space = parse_space((folder / "space.yaml").read_text(), name="small", where="small")
    return tmp_path, space, json.loads((folder / "rows.json").read_text())


def resumed(folder, space, **options):
    """The study as it was begun, with what now can be measured."""

    def quality(arch):
        return 0.2 + 0.1 * min(stage.mobilevit.depth for stage in arch.stages if stage.mobilevit)

    settings: dict[str, Any] = {
        "trials": 40,
        "early_stopping": True,
        "estimator": Formula(quality, rungs=(1, 2)),
    } | options
    return searching(folder, "6M", "40ms", space=space, **settings)


def test_a_study_of_the_first_format_opens(small):
    folder, space, rows = small
    records = resumed(folder, space).store.records()
    # Since then heads over a single token make no other network, and the tokens are told.
    since = ("arch", "arch_id", "tokens")
    now, then = (
        [{k: v for k, v in row.items() if k not in since} for row in table] for table in (map(to_row, records), rows)
    )
    assert now == then
    assert {one.cause for one in records if one.state is State.FAILED} == {Cause.NOT_MEASURED, Cause.UNKNOWN}
    assert all(arch_id(one.candidate.arch) == one.candidate.arch_id for one in records)
    assert [bool(one.candidate.labels) for one in records[:4]] == [False, False, False, True]  # three presets outside


def test_a_study_of_the_first_format_goes_on(small):
    folder, space, _ = small
    running = resumed(folder, space)
    before = running.search.records[:]
    stopped = next(one for one in before if one.state is State.STOPPED)
    records = running.search.run([stopped.trial])[len(before) :]
    unmeasured = {one.candidate.arch_id for one in before if one.cause is Cause.NOT_MEASURED}
    # First what was killed, then what could not be measured, then the one that is to be finished.
    assert {one.candidate.arch_id for one in records[1 : 1 + len(unmeasured)]} == unmeasured
    assert records[1 + len(unmeasured)].candidate.arch_id == stopped.candidate.arch_id
    assert records[1 + len(unmeasured)].is_complete
    told = [one for one in before if one.cause is not Cause.NOT_MEASURED] + records
    assert 40 <= sum(one.spent.trainings for one in told) < 41
    ids = [one.candidate.arch_id for one in told if one.is_complete]
    assert len(ids) == len(set(ids))


def test_a_study_that_the_command_made_before_opens(tmp_path):
    shutil.copy(STUDIES / "old/study.db", tmp_path)
    estimator = Formula()
    objectives = (ACCURACY, PARAMS, MACS)
    running = searching(tmp_path, trials=4, objectives=objectives, sampler="cost-aware", estimator=estimator)
    assert [one.candidate.name for one in running.search.records] == ["mobilevit_xxs", "mobilevit_xs", "mobilevit_s"]
    assert [record.is_complete for record in running.search.run()] == [True] * 4
    assert len(estimator.trained) == 1


@pytest.mark.parametrize("damage", ["empty", "cut off", "no database", "a pipe", "a state", "a distribution"])
def test_a_study_that_is_damaged_is_told_and_left_as_it_is(tmp_path, damage):
    store, path = opened(tmp_path), tmp_path / "study.db"
    asked = store.ask("random")
    store.tell(asked, Told(record=record(asked)))
    store.study._storage._backend.engine.dispose()
    whole = path.read_bytes()
    texts = {"a state": (b'"complete"', b'"c/mplete"'), "a distribution": (b"CategoricalD", b"CategoricalE")}
    if damage == "a pipe":
        path.unlink()
        os.mkfifo(path)
    elif damage in texts:
        assert texts[damage][0] in whole
        path.write_bytes(whole.replace(*texts[damage]))
    else:
        path.write_bytes({"empty": b"", "cut off": whole[:-5000], "no database": b"hello" * 1000}[damage])
    before = None if damage == "a pipe" else path.read_bytes()
    with pytest.raises(
        InputError, match=r"the study in .*study.db is damaged \(.*\): bring back a copy, or begin again"
    ):
        opened(tmp_path).records()
    assert before is None or path.read_bytes() == before
