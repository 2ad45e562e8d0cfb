"""The best within the budget and its parts."""

import pytest
from sure import sure

from mvit_nas.budget import needed_part, parse_budget
from mvit_nas.metrics import ACCURACY
from mvit_nas.results.within import best_within, forecast_words, foreseen, more_words, within_words
from mvit_nas.study.record import Candidate, Measured, Record, State

BUDGETS = (parse_budget("8M"), parse_budget("100MMACs"))


def record(trial, accuracy, params, macs, *, state=State.COMPLETE):
    numbers = {"accuracy": accuracy, "params": params * 1e6, "macs": macs * 1e6}
    values = {name: Measured(value=value) for name, value in numbers.items() if value is not None}
    return Record(trial=trial, state=state, candidate=Candidate(arch=None, arch_id=f"{trial}"), values=values, seed=0)


RECORDS = [
    record(0, 0.6, 8, 100),
    record(1, 0.7, 9, 40),  # over the budget
    record(2, 0.5, 1, 50),  # a half, for its multiply-adds
    record(3, 0.4, 2, 10),  # a quarter, for its parameters
    record(4, 0.8, 1, 1, state=State.STOPPED),
]


def test_a_network_is_within_a_part_where_all_that_it_costs_is():
    found = best_within(RECORDS, BUDGETS, ACCURACY)
    assert [(one.part, one.best and one.best.trial) for one in found] == [(1.0, 0), (0.5, 2), (0.25, 3), (0.125, None)]
    assert [one.score(ACCURACY) for one in found] == [0.6, 0.5, 0.4, None]
    assert within_words(found, ACCURACY) == (
        "60.0 % within the budget, 50.0 % within 1/2, 40.0 % within 1/4, nothing within 1/8 of it"
    )


def test_without_a_budget_nothing_is_said():
    assert best_within(RECORDS, (), ACCURACY) == ()
    assert within_words((), ACCURACY) == ""


MANY = [record(trial, 0.1 * trial, 1, 10) for trial in range(1, 10)]


def test_what_more_trainings_bring_goes_by_those_that_were_trained_to_the_end():
    found = sure(foreseen([*MANY, *RECORDS[4:]], BUDGETS, ACCURACY, "cost-aware"))
    assert found.gain == pytest.approx(0.46 / 9)
    assert forecast_words(found) == (
        "12 more trainings are expected to bring about 5.1 points (nine in ten simulated searches: at most 13.8)"
    )
    assert more_words(found) == "12 more trainings: about +5.1 points"


def test_it_is_not_said_of_what_was_not_simulated():
    assert foreseen(MANY, (), ACCURACY, "cost-aware") is None
    assert foreseen(MANY, BUDGETS, ACCURACY, "tpe") is None
    assert foreseen(MANY, BUDGETS, ACCURACY, None) is None
    assert foreseen(MANY[:5], BUDGETS, ACCURACY, "cost-aware") is None


@pytest.mark.parametrize(
    ("values", "part"), [([4e6, 90e6], 0.9), ([8e6, 10e6], 1.0), ([16e6, 10e6], 2.0), ([4e6, None], None)]
)
def test_the_part_that_is_needed_is_that_of_the_scarcest(values, part):
    needed = needed_part(BUDGETS, values)
    assert needed != needed if part is None else needed == pytest.approx(part)


def test_what_lies_below_a_range_is_within_no_part():
    budget = (parse_budget("2M..6M"),)
    assert not needed_part(budget, [1.9e6]) <= 1
    # A third of the range's end is its beginning, so nothing can be within a quarter.
    assert [one.part for one in best_within(RECORDS, budget, ACCURACY)] == [1.0, 0.5]
    assert needed_part(budget, [6e6]) == 1
    assert needed_part((), []) == 0
