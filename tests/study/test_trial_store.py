"""The store on Optuna: what comes back, what samplers are told, and studies that earlier versions made."""

import gzip
import json
import os
import shutil
import sqlite3
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from searches import Formula, searching

from mvit_nas.arch.config import arch_id
from mvit_nas.arch.space import Label, parse_space
from mvit_nas.errors import InputError, PartialError
from mvit_nas.maths.seeds import derive_seed
from mvit_nas.metrics import ACCURACY, MACS, PARAMS
from mvit_nas.study import store as store_module
from mvit_nas.study.record import Candidate, Cause, Guess, Measured, Record, State
from mvit_nas.study.storage import closing, open_file
from mvit_nas.study.store import Store
from mvit_nas.study.table import to_row
from mvit_nas.study.trial import Claimed, Dead, Proposal, Told, Wish

STUDIES = Path(__file__).parents[1] / "support/studies"
CHOICES = {"a": (1, 2, 3), "b": ("x", "y")}
LABELS: dict[str, Label] = {"a": 2, "b": "y"}
WISH = Wish(labels=LABELS, proposed_by="random")


class Numbered:
    """Makes random samplers, and remembers for whom."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int, int]] = []

    def __call__(self, name: str, number: int, lost: int) -> optuna.samplers.BaseSampler:
        self.made.append((name, number, lost))
        return optuna.samplers.RandomSampler(seed=derive_seed(number + lost) % 2**32)


class Fallen:
    """Knows which workers died."""

    def __init__(self, worker: str, fallen: set[str]) -> None:
        self.worker, self._fallen = worker, fallen

    def dead(self, workers: Collection[str]) -> set[str]:
        return {*workers} & self._fallen


def opened(storage=None, samplers=None, *, worker="", fallen=None):
    life = (lambda study: Fallen(worker, fallen if fallen is not None else set())) if worker else None
    samplers = samplers or Numbered()
    return Store(storage, objectives=(ACCURACY, PARAMS), choices=CHOICES, samplers=samplers, life=life)


def record(number, state=State.COMPLETE, *, identity="i", wish=WISH, **values):
    candidate = Candidate(arch=None, arch_id=identity, name=wish.name, labels=dict(wish.labels))
    known = {"accuracy": 0.5, "params": 100} | values if state is State.COMPLETE else values
    measured = {name: Measured(value=value) for name, value in known.items()}
    return Record(trial=number, state=state, candidate=candidate, values=measured)


def claim(store, identity="i", wish=WISH, *, steps=0):
    return store.claim(Proposal(wish=wish), identity, constraints={"params.0": -0.5}, steps=steps)


def ended(store, state=State.COMPLETE, identity="i", wish=WISH, **told):
    claimed = claim(store, identity, wish)
    assert store.tell(claimed, Told(record=record(claimed.number, state, identity=identity, wish=wish), **told))
    return claimed


def test_a_claim_is_there_at_once_with_all_that_was_wished():
    store = opened(worker="me")
    wish = Wish(labels=LABELS, proposed_by="preset", name="xs", is_outside=True, must_measure=True, must_finish=True)
    claimed = claim(store, "abc", wish)
    assert claimed == Claimed(number=0, wish=wish, arch_id="abc", worker="me")
    assert store.running() == [claimed]
    assert store.tried() == {"abc"}
    trial = store.study.trials[0]
    assert (trial.state.name, trial.params, trial.constraints) == ("RUNNING", LABELS, {"params.0": -0.5})


@pytest.mark.parametrize("sampler", ["random", "nsga2"])
def test_a_sampler_is_made_for_each_proposal_by_its_name_and_number(sampler):
    samplers = Numbered()
    store = opened(samplers=samplers)
    proposal = store.propose(sampler)
    assert proposal.wish.labels.keys() == CHOICES.keys()
    assert store.propose(sampler) == proposal  # nothing was begun by it
    assert store.study.trials == []
    ended(store)
    store.propose(sampler, lost=2)
    assert samplers.made == [(sampler, 0, 0), (sampler, 0, 0), (sampler, 1, 2)]


def test_what_a_sampler_keeps_with_a_trial_is_kept_with_it():
    made = lambda name, number, lost: optuna.samplers.NSGAIISampler(population_size=2, seed=number)  # noqa: E731
    store = opened(samplers=made)
    for _ in range(4):
        claimed = store.claim(store.propose("nsga2"), "i", constraints={}, steps=0)
        store.tell(claimed, Told(record=record(claimed.number)))
    generations = [value for trial in store.study.trials for name, value in trial.system_attrs.items() if "gen" in name]
    assert generations == [0, 0, 1, 1]


def test_a_trial_ends_as_samplers_shall_see_it():
    store = opened()
    states = (State.COMPLETE, State.OVER_BUDGET, State.STOPPED, State.DUPLICATE, State.FAILED, State.INVALID)
    for state in states:
        expected = Guess(accuracy=0.4, deviation=0.1) if state is State.STOPPED else None
        ended(store, state, constraints={"params.0": -0.5, "latency_ms.1": 0.2}, expected=expected)
    trials = store.study.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "PRUNED", "FAIL", "FAIL", "FAIL"]
    assert trials[0].values == [0.5, 100.0]
    assert all(trial.constraints == {"params.0": -0.5, "latency_ms.1": 0.2} for trial in trials)
    assert tuple(trials[2].user_attrs["expected_accuracy"]) == (0.4, 0.1)
    assert "expected_accuracy" not in trials[0].user_attrs
    assert [trial.user_attrs["state"] for trial in trials] == [str(state) for state in states]
    assert [one.state for one in store.records()] == list(states)


def test_what_ends_before_it_begins_is_one_trial_with_its_number():
    store = opened()
    ended(store)
    told = Told(record=record(None, State.OVER_BUDGET, identity="j"), constraints={"params.0": 0.5})
    assert store.note(Proposal(wish=WISH), told) == record(1, State.OVER_BUDGET, identity="j")
    trial = store.study.trials[1]
    assert (trial.state.name, trial.constraints) == ("PRUNED", {"params.0": 0.5})
    assert store.records()[1].trial == 1
    assert store.last_wish() == WISH


def test_a_network_outside_the_space_tells_samplers_nothing_of_its_labels():
    store = opened()
    ended(store, wish=Wish(labels=LABELS, proposed_by="preset", name="xs", is_outside=True))
    assert store.study.trials[0].state.name == "FAIL"
    assert store.records()[0].is_complete


def test_records_come_back_from_disk_as_they_were(tmp_path):
    running = searching(tmp_path, "6M", "10ms", trials=12, early_stopping=True, estimator=Formula(rungs=(1, 2)))
    records = running.search.run()
    assert {"complete", "over_budget"} <= {str(one.state) for one in records}
    again = searching(tmp_path, "6M", "10ms", trials=12).store.records()
    assert [one.candidate.arch for one in again] == [one.candidate.arch for one in records]
    assert again == records


def two(tmp_path):
    """Two workers on one study, and those that died."""
    fallen: set[str] = set()
    return (*(opened(open_file(tmp_path), worker=name, fallen=fallen) for name in ("one", "two")), fallen)


def test_of_two_that_claim_the_same_network_the_later_one_gives_way(tmp_path):
    one, two_, _ = two(tmp_path)
    assert claim(one, "i") is not None
    assert claim(two_, "i") is None
    assert claim(two_, "j") is not None
    assert [(each.arch_id, each.worker) for each in one.running()] == [("i", "one"), ("j", "two")]
    assert one.dead() == []  # what gave way is not tried again


def test_what_a_dead_worker_was_at_is_tried_again_as_it_was_wished(tmp_path):
    one, two_, fallen = two(tmp_path)
    wish = Wish(labels=LABELS, proposed_by="preset", name="xs", must_finish=True)
    claimed = claim(one, "i", wish)
    assert (two_.bury(), two_.dead()) == (0, [])
    fallen.add("one")
    assert two_.bury() == 1
    assert two_.bury() == 0
    assert two_.dead() == [Dead(wish=wish, arch_id="i", deaths=1)]
    # It was not dead after all, and is late.
    assert not one.tell(claimed, Told(record=record(claimed.number)))
    assert two_.records() == []
    again = claim(two_, "i", wish)
    assert two_.dead() == []
    assert two_.tell(again, Told(record=record(again.number)))
    assert [each.trial for each in one.records()] == [1]


def test_a_proposal_does_not_see_what_came_to_nothing(tmp_path):
    one, two_, fallen = two(tmp_path)
    samplers = Numbered()
    ended(one, identity="i")
    claim(one, "j")
    fallen.add("one")
    two_.bury()
    two_._samplers = samplers
    two_.propose("random")
    assert samplers.made == [("random", 1, 0)]


def test_who_was_asleep_while_it_claimed_and_was_buried_goes_on(tmp_path):
    """Its claim is ended by another before it looks whether it was first."""
    one, two_, fallen = two(tmp_path)
    claim(one, "i")
    real = two_._marked

    def sleeping(mark):
        found = real(mark)
        if found is not None:
            fallen.add("two")
            one.bury()
        return found

    two_._marked = sleeping
    assert claim(two_, "i") is None
    fallen.clear()
    two_._marked = real
    assert claim(two_, "j") is not None


def test_one_look_answers_all_that_is_asked_meanwhile_and_a_look_within_sees_what_is_new(tmp_path):
    one, two_, _ = two(tmp_path)
    with one.seen_once():
        claim(two_, "i")
        assert one.running() == []
        with one.seen_once():
            assert len(one.running()) == 1
        assert one.running() == []
    assert len(one.running()) == 1


def test_deaths_are_counted_as_long_as_the_training_gets_no_further(tmp_path):
    fallen: set[str] = set()
    for number, (steps, deaths) in enumerate([(0, 1), (0, 2), (5, 1), (5, 2), (0, 3), (5, 4), (6, 1)]):
        store = opened(open_file(tmp_path), worker=f"w{number}", fallen=fallen)
        claim(store, "i", steps=steps)
        fallen.add(f"w{number}")
        store.bury()
        assert [one.deaths for one in store.dead()] == [deaths]


def test_what_is_given_back_is_tried_again_and_is_no_death():
    store = opened(worker="me")
    store.release(claim(store, "i"))
    assert store.dead() == [Dead(wish=WISH, arch_id="i", deaths=0)]
    assert store.running() == []


def test_a_trial_with_its_record_is_finished_whoever_died(tmp_path):
    one, two_, fallen = two(tmp_path)
    claimed = claim(one, "i")
    one._end = lambda *_, **__: None  # killed between the record and the end
    one.tell(claimed, Told(record=record(claimed.number)))
    assert two_.records() == []
    fallen.add("one")
    assert two_.bury() == 0
    assert two_.records() == [record(0)]
    assert two_.study.trials[0].values == [0.5, 100.0]


def test_a_claim_whose_connection_broke_after_the_commit_is_made_once(tmp_path, monkeypatch):
    store = opened(open_file(tmp_path), worker="me")
    store._patience_seconds = 10.0
    add = store.study.add_trial
    broken: list[object] = []

    def breaks(trial):
        add(trial)
        if not broken:
            broken.append(trial)
            raise optuna.exceptions.StorageInternalError("the server went away")

    monkeypatch.setattr(store.study, "add_trial", breaks)
    monkeypatch.setattr(store_module, "_AGAIN_SECONDS", 0.0)
    assert claim(store, "i").number == 0
    assert len(store.study.trials) == 1


def test_a_study_that_cannot_be_read_for_long_enough_is_an_error(tmp_path, monkeypatch):
    store = opened(open_file(tmp_path), worker="me")

    def gone(**_):
        raise optuna.exceptions.StorageInternalError("the server went away")

    monkeypatch.setattr(store.study, "get_trials", gone)
    with pytest.raises(PartialError, match=r"cannot reach the study \(the server went away\)"):
        store.records()


def test_what_could_not_be_measured_is_known_once_for_each_network_that_is_not_done():
    store = opened()
    for identity, state, cause in (
        ("one", State.FAILED, Cause.NOT_MEASURED),
        ("one", State.FAILED, Cause.NOT_MEASURED),
        ("two", State.FAILED, Cause.NOT_MEASURED),
        ("two", State.COMPLETE, Cause.UNKNOWN),
        ("three", State.FAILED, Cause.UNKNOWN),
    ):
        claimed = claim(store, identity, wish := Wish(labels=LABELS, proposed_by=identity))
        # What is decided does not hang on the words.
        reason = "latency not measured: no" if cause is Cause.UNKNOWN else "gone"
        found = record(claimed.number, state, identity=identity, wish=wish)
        store.tell(claimed, Told(record=replace(found, cause=cause, reason=reason)))
    assert store.unmeasured() == {"one": Wish(labels=LABELS, proposed_by="one")}


def test_a_stopped_trial_can_be_finished_and_stays_what_it_was():
    store = opened()
    ended(store, State.STOPPED, "i", expected=Guess(accuracy=0, deviation=1))
    ended(store, State.COMPLETE, "j")
    with pytest.raises(InputError, match=r"--finish 1: there is no stopped trial 1; the stopped ones are 0"):
        store.stopped(1)
    wish = store.stopped(0)
    assert wish == replace(WISH, must_finish=True)
    assert "train_to_the_end" not in store.study.trials[0].user_attrs
    ended(store, State.COMPLETE, "i", wish)
    with pytest.raises(InputError, match=r"there is no stopped trial 0; none was stopped"):
        store.stopped(0)


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
    # First the one that is to be finished, then what could not be measured.
    assert records[0].candidate.arch_id == stopped.candidate.arch_id
    assert records[0].is_complete
    assert {one.candidate.arch_id for one in records[1 : 1 + len(unmeasured)]} == unmeasured
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
    path = tmp_path / "study.db"
    with closing(open_file(tmp_path)) as storage:
        ended(opened(storage))
    with sqlite3.connect(path) as connection:  # what lies beside it is written into it
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
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
        opened(open_file(tmp_path)).records()
    assert before is None or path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_no_damaged_study(tmp_path, monkeypatch):
    def full(*_, **__):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite3, "connect", full)
    with pytest.raises(InputError, match=r"cannot use .*study.db \(database or disk is full\): make room, or choose"):
        open_file(tmp_path)
