"""A search that is killed, at each point at which something is half done, goes on as the one that would have run."""

import multiprocessing
import os
from typing import Any

import optuna
import pytest
from searches import SMALL, Formula, searching

from mvit_nas.optimize.loop import Search
from mvit_nas.study.record import State
from mvit_nas.study.store import Store
from mvit_nas.study.table import to_row

# Some of what is tried is over the budget, and some are repetitions.
OPTIONS: dict[str, Any] = {"trials": 14, "space": SMALL, "sampler": "tpe"}
BUDGETS = ("5M", "12ms")
# Where it is killed, before or after the call.
POINTS = [
    (optuna.Study, "add_trial"),
    (Store, "claim"),
    (Store, "note"),
    (Store, "tell"),
    (Store, "_end"),
    (Formula, "estimate"),
    (Search, "_instead"),
    (Store, "propose"),
]


def killed(folder, owner, name, place, number):
    """Search until the call ``number`` of ``owner.name``, and die just before or after it."""
    real = getattr(owner, name)
    calls: list[None] = []

    def dying(*args, **kwargs):
        calls.append(None)
        if len(calls) == number and place == "before":
            os._exit(9)
        found = real(*args, **kwargs)
        if len(calls) == number:
            os._exit(9)
        return found

    setattr(owner, name, dying)
    searching(folder, *BUDGETS, **OPTIONS).search.run()


def known(records):
    """What a record says beside its number and its time."""
    return [{key: cell for key, cell in to_row(one).items() if key not in ("seconds", "trial")} for one in records]


@pytest.fixture(scope="module")
def whole():
    records = searching(None, *BUDGETS, **OPTIONS).search.run()
    assert {str(one.state) for one in records} >= {"complete", "over_budget", "duplicate"}
    return known(records)


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize(("owner", "name"), POINTS, ids=[name for _, name in POINTS])
@pytest.mark.parametrize("number", [1, 6])
def test_killed_anywhere_it_goes_on_as_the_search_that_would_have_run(tmp_path, whole, owner, name, place, number):
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=killed, args=(tmp_path, owner, name, place, number))
    process.start()
    process.join()
    assert process.exitcode in (9, 0)  # some are called less often
    estimator = Formula()
    running = searching(tmp_path, *BUDGETS, estimator=estimator, **OPTIONS)
    records = running.search.run()
    assert known(records) == whole
    assert running.store.running() == []
    assert len(estimator.trained) <= 14


def test_what_kills_its_process_each_time_is_given_up(tmp_path):
    for number in range(3):
        process = multiprocessing.get_context("fork").Process(
            target=killed, args=(tmp_path, Formula, "estimate", "before", 1)
        )
        process.start()
        process.join()
        assert process.exitcode == 9, number
    records = searching(tmp_path, *BUDGETS, **OPTIONS).search.run()
    assert records[0].state is State.FAILED
    assert records[0].reason == "its process died 3 times without getting further"
    assert sum(one.spent.trainings for one in records) == 14
