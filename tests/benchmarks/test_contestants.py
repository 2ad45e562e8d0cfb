"""Ways of searching that the default is compared with: each does what its name says, within the budget."""

import random

import pytest
from contestants import AgingEvolution, LocalSearch
from known_spaces import MEASURES, SimulatedSpace
from search_efficiency import run

from mvit_nas.budget import needed_part
from mvit_nas.optimize.within_budget import violation
from mvit_nas.study.record import Measured, Record, State


@pytest.fixture(scope="module")
def space():
    return SimulatedSpace()


@pytest.fixture(scope="module")
def pool(space):
    return space.candidates(0)


def steps(one, other):
    return sum(one.labels[name] != other.labels[name] for name in one.labels)


def test_evolution_mutates_one_choice_of_a_recent_network(pool):
    trained = [(design, 0.5 + place / 100) for place, design in enumerate(pool.drawn[:12])]
    tried = {design.arch_id for design, _ in trained}
    for seed in range(20):
        child = AgingEvolution(pool, seed).propose(trained, tried, random.Random(seed))
        assert child is not None
        # The best of five of the last ten is never among the four worst of them.
        assert any(steps(child, parent) == 1 for parent, _ in trained[6:])
        assert child.arch_id not in tried
        assert violation(child.cost, pool.goal.budgets) <= 0
    assert AgingEvolution(pool, 0).propose(trained[:9], tried, random.Random(0)) is None


def test_local_search_goes_a_step_from_the_front(pool):
    best = pool.drawn[0]  # and the cheapest
    worse = [one for one in pool.drawn[1:] if one.cost.params > best.cost.params][:10]
    trained = [(best, 0.9), *((one, 0.1) for one in worse)]
    for seed in range(10):
        child = LocalSearch(pool, seed).propose(trained, {one.arch_id for one, _ in trained}, random.Random(seed))
        assert child is not None
        assert steps(child, best) == 1


@pytest.mark.parametrize("name", ["aging evolution", "local search", "random"])
def test_a_run_has_every_measure_after_every_unit(space, name):
    found = run(space, name, 0, units=14)
    assert set(found.at_unit) == set(MEASURES)
    for measure, values in found.at_unit.items():
        assert len(values) == 14
        if "hypervolume" in measure:
            assert list(values) == sorted(values)


def record(trial, design, accuracy):
    values = {"accuracy": accuracy, "params": design.cost.params, "macs": design.cost.macs}
    return Record(
        trial=trial,
        state=State.COMPLETE,
        candidate=design.candidate,
        values={name: Measured(value=value) for name, value in values.items()},
        seed=0,
    )


def test_who_takes_the_best_within_a_part_gets_its_true_accuracy(space, pool):
    budgets = pool.goal.budgets

    def needed(one):
        return needed_part(budgets, [one.cost.params, one.cost.macs])

    whole = next(one for one in pool.drawn if needed(one) > 0.5)
    lucky, half = [one for one in pool.drawn if 0.25 < needed(one) <= 0.5][:2]
    found = [record(0, whole, 0.6), record(1, lucky, 0.9), record(2, half, 0.5)]
    measured = space.measures(found)
    true = [space.true_accuracy(one.candidate) for one in found]
    # After the second one the lucky one is taken, whatever it is worth.
    assert measured["best within the budget"] == pytest.approx([true[0], true[1], true[1]])
    assert measured["best within 1/2 of it"] == pytest.approx([0.1, true[1], true[1]])
    assert measured["best within 1/4 of it"] == pytest.approx([0.1, 0.1, 0.1])
