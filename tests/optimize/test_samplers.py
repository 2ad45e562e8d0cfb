"""The cost-aware sampler in an ordinary Optuna study, on a space whose accuracies are a formula."""

import itertools
import math
import random
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from scipy.optimize import minimize
from searches import candidates_of
from sure import sure

from mvit_nas.arch.count import StaticCost
from mvit_nas.maths.seeds import derive_seed
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY, MACS, PARAMS
from mvit_nas.optimize import propose as propose_module
from mvit_nas.optimize import samplers as samplers_module
from mvit_nas.optimize import surrogate as surrogate_module
from mvit_nas.optimize.acquisition import expected_growth
from mvit_nas.optimize.designs import Design
from mvit_nas.optimize.propose import Trained, propose
from mvit_nas.optimize.samplers import SAMPLERS, CostAwareSampler, RepairingSampler, open_store
from mvit_nas.optimize.surrogate import Surrogate
from mvit_nas.settings.parse import SAMPLERS as NAMES
from mvit_nas.settings.parse import parse_sampler
from mvit_nas.study.store import EXPECTED, OUTSIDE

optuna.logging.set_verbosity(optuna.logging.ERROR)


Direction = Literal["maximize", "minimize"]


class Grid:
    """A space of ``sides`` settings each way: x costs, y does not, and the best y is in the middle."""

    groups = (0, 1)
    earlier = None

    def __init__(self, *, sides=20, limit=math.inf, budgets=()):
        self.goal = SimpleNamespace(budgets=budgets)
        self.choices = {"x": tuple(range(sides)), "y": tuple(range(sides))}
        self.sides = sides
        self.limit = limit
        self.proposed = []

    @property
    def drawn(self):
        everything = [self.candidate({"x": x, "y": y}) for x, y in itertools.product(*self.choices.values())]
        return random.Random(0).sample([one for one in everything if one], min(60, sum(map(bool, everything))))

    def candidate(self, labels):
        x, y = labels["x"], labels["y"]
        if x > self.limit:
            return None
        return Design(labels=dict(labels), arch=None, arch_id=f"{x},{y}", cost=StaticCost(params=x, macs=x))

    def features(self, designs):
        return np.array([[one.labels["x"] / self.sides, one.labels["y"] / self.sides] for one in designs])

    def repaired(self, labels):
        return self.candidate({**labels, "x": self.limit}) if self.limit >= 0 else None

    def savings(self, candidates):
        return np.array([[1 - (one.labels["x"] + 1) / (self.sides + 1)] for one in candidates]).reshape(-1, 1)

    def needed(self, candidates):
        return np.array([(one.labels["x"] + 1) / (self.sides + 1) for one in candidates])

    def accuracy(self, labels):
        return 0.3 + 0.02 * labels["x"] - 0.3 * (labels["y"] / self.sides - 0.5) ** 2


def run(grid, trials, *, seed=0, accuracy=0, fail=lambda number: False, study=None, sampler="cost-aware"):
    directions: list[Direction] = ["maximize", "minimize"] if accuracy == 0 else ["minimize"]
    study = study or optuna.create_study(directions=directions)
    study.sampler = SAMPLERS[sampler](grid, accuracy, seed)
    for number in range(trials):
        trial = study.ask()
        labels = {name: trial.suggest_categorical(name, choices) for name, choices in grid.choices.items()}
        values = [grid.accuracy(labels), float(labels["x"])] if accuracy == 0 else [float(labels["x"])]
        if fail(number):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, values)
    return study


def settings(study):
    return [(trial.params["x"], trial.params["y"]) for trial in study.trials]


def test_it_proposes_nothing_twice_and_nothing_over_the_budget():
    found = settings(run(Grid(sides=8, limit=3), 30))
    assert len(set(found)) == 30  # of 32
    assert max(x for x, _ in found) <= 3


def test_it_finds_what_is_best_at_each_cost_sooner_than_drawing_does():
    found = settings(run(Grid(), 30))
    drawn = [(one.labels["x"], one.labels["y"]) for one in random.Random(1).sample(Grid().drawn, 40)]

    def volume(points):
        grid = Grid()
        return sum(
            max((grid.accuracy({"x": x, "y": y}) for x, y in points if x <= limit), default=0) for limit in range(20)
        )

    assert volume(found) > volume(drawn)
    later = found[15:]
    assert np.mean([abs(y / 20 - 0.5) for _, y in later]) < 0.15


def test_the_same_seed_and_trials_give_the_same_proposal_whoever_asks():
    one, other = run(Grid(), 17, seed=3), run(Grid(), 13, seed=3)
    run(Grid(), 4, seed=3, study=other)  # by a new sampler, as after a restart
    assert settings(one) == settings(other)
    assert settings(run(Grid(), 12, seed=4)) != settings(one)[:12]


def test_workers_that_ask_at_once_get_different_candidates(monkeypatch):
    pending = []

    def watched(pool, **options):
        pending.append({one.arch_id for one in options["pending"]})
        return propose(pool, **options)

    grid = Grid()
    study = run(grid, 15)
    monkeypatch.setattr(samplers_module, "propose", watched)
    asked = set()
    for _ in range(5):
        trial = study.ask()
        asked.add(tuple(trial.suggest_categorical(name, choices) for name, choices in grid.choices.items()))
    assert len(asked) == 5
    assert not asked & set(settings(study)[:15])
    # Each knows of those that others are training.
    assert [len(one) for one in pending] == [0, 1, 2, 3, 4]


def test_a_space_that_is_used_up_gives_what_the_search_then_refuses():
    grid = Grid(sides=3)
    study = run(grid, 9)
    assert len(set(settings(study))) == 9
    study.ask()
    assert study.sampler.sample_relative(study, study.trials[-1], {}) == {}
    run(grid, 1, study=study)  # drawn then, and a repetition


def test_half_of_the_trials_failing_leaves_a_search_that_goes_on():
    study = run(Grid(), 40, fail=lambda number: number % 2)
    assert len(set(settings(study))) == 40


def test_an_accuracy_that_never_moves_is_no_error():
    class Flat(Grid):
        def accuracy(self, labels):
            return 0.1

    grid = Flat()
    assert len(set(settings(run(grid, 20)))) == 20


def test_objectives_that_are_all_costs_are_searched_too():
    found = settings(run(Grid(), 30, accuracy=None))
    assert min(x for x, _ in found) == 0


def test_a_space_with_one_candidate_is_proposed_once():
    grid = Grid(sides=1)
    assert settings(run(grid, 2)) == [(0, 0), (0, 0)]


def test_a_stopped_training_teaches_with_its_doubt_and_is_not_proposed_again():
    grid = Grid()
    study = run(grid, 12)
    trial = study.ask()
    labels = {name: trial.suggest_categorical(name, choices) for name, choices in grid.choices.items()}
    trial.set_user_attr(EXPECTED, (0.2, 0.05))
    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    run(grid, 20, study=study)
    assert settings(study).count((labels["x"], labels["y"])) == 1


def test_what_is_outside_the_space_says_nothing_about_its_labels():
    grid = Grid()
    study = optuna.create_study(directions=["maximize", "minimize"])
    for x, y in itertools.product(range(20), range(20)):
        if (x, y) != (5, 5):
            study.add_trial(_outside(grid, x, y))
    run(grid, 3, study=study)
    assert len(study.trials) == 399 + 3


def _outside(grid, x, y):
    distributions: dict[str, BaseDistribution] = {
        name: optuna.distributions.CategoricalDistribution(known) for name, known in grid.choices.items()
    }
    return optuna.trial.create_trial(
        params={"x": x, "y": y}, distributions=distributions, user_attrs={OUTSIDE: True},
        state=optuna.trial.TrialState.FAIL,
    )  # fmt: skip


def test_pending_candidates_count_as_if_they_had_come_out_as_expected():
    grid: Any = Grid()
    trained = [Trained(design=one, accuracy=grid.accuracy(one.labels)) for one in grid.drawn[:15]]
    taken = {one.design.arch_id for one in trained}
    first, _ = sure(propose(grid, trained=trained, pending=[], taken=taken, generator=random.Random(1)))
    taken |= {first.arch_id}
    second, _ = sure(propose(grid, trained=trained, pending=[first], taken=taken, generator=random.Random(1)))
    assert first.arch_id != second.arch_id


def test_after_a_lost_race_a_worker_looks_at_a_part_of_the_candidates():
    store = open_store(None, candidates_of("6M", objectives=(ACCURACY, PARAMS, MACS), samples=100), seed=0)
    parts: list[Any] = [store._samplers("cost-aware", 9, lost) for lost in (0, 0, 1, 1)]
    assert [one._share for one in parts] == [1.0, 1.0, 0.25, 0.25]
    assert parts[0]._seed == parts[1]._seed
    assert parts[2]._seed != parts[3]._seed


def test_of_many_trainings_the_front_and_an_even_part_are_learned(monkeypatch):
    monkeypatch.setattr(propose_module, "_MOST_LEARNED", 40)
    grid: Any = Grid()
    trained = [Trained(design=one, accuracy=grid.accuracy(one.labels)) for one in grid.drawn]
    assert len(trained) > 50
    learned = propose_module._learned(grid, trained)
    front = {one.arch_id for one in propose_module._front(grid, trained)}
    assert {one.design.arch_id for one in learned} >= front
    places = [trained.index(one) for one in learned if one.design.arch_id not in front]
    assert places[0] <= 1
    assert places[-1] >= len(trained) - 2
    assert len(learned) == 40 > len(front)
    assert propose_module._learned(grid, trained[:40]) == trained[:40]


def test_the_surrogate_recovers_a_smooth_function_and_knows_where_it_was_not():
    generator = np.random.default_rng(0)
    seen = generator.uniform(0, 1, (60, 2))
    accuracy = np.sin(3 * seen[:, 0]) + seen[:, 1] + 0.01 * generator.normal(size=60)
    surrogate = Surrogate(seen, accuracy, np.zeros(60), groups_F=(0, 1))
    new = generator.uniform(0.1, 0.9, (100, 2))
    mean, deviation = surrogate.predict(new)
    truth = np.sin(3 * new[:, 0]) + new[:, 1]
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 0.03
    far = surrogate.predict(np.array([[3.0, 3.0]]))[1]
    assert far[0] > 5 * np.median(deviation)


def test_what_is_believed_changes_no_mean_and_leaves_less_doubt_near_it():
    generator = np.random.default_rng(0)
    rows = generator.uniform(size=(30, 2))
    surrogate = Surrogate(rows, np.sin(3 * rows[:, 0]) + rows[:, 1], np.zeros(30), groups_F=(0, 1))
    pending, far = np.array([[1.4, 1.4]]), np.array([[-0.9, -0.9]])
    believing = surrogate.believing(pending)
    for place in (pending, far, rows[:5]):
        assert believing.predict(place)[0] == pytest.approx(surrogate.predict(place)[0], abs=1e-3)
    assert believing.predict(pending)[1] < 0.5 * surrogate.predict(pending)[1]
    assert believing.predict(far)[1] > 0.9 * surrogate.predict(far)[1]


def test_the_surrogate_trusts_a_doubtful_accuracy_less():
    features = np.linspace(0, 1, 12)[:, None]
    accuracy = np.full(12, 0.5)
    accuracy[::2] += 0.001
    accuracy[5] = 0.9
    doubt = np.zeros(12)
    trusted = Surrogate(features, accuracy, doubt, groups_F=(0,)).predict(features[5:6])[0][0]
    doubt[5] = 0.5
    unsure = Surrogate(features, accuracy, doubt, groups_F=(0,)).predict(features[5:6])[0][0]
    assert abs(unsure - 0.5) < abs(trusted - 0.5)


def test_the_surrogate_finds_out_which_choice_matters():
    generator = np.random.default_rng(0)
    names = generator.integers(0, 3, (40, 4))
    features = np.eye(3)[names].reshape(40, 12)
    groups = [group for group in range(4) for _ in range(3)]
    accuracy = np.array([0.3, 0.5, 0.4])[names[:, 2]] + 0.005 * generator.normal(size=40)
    surrogate = Surrogate(features, accuracy, np.zeros(40), groups_F=groups)
    every = np.array(list(itertools.product(range(3), repeat=4)))
    mean, _ = surrogate.predict(np.eye(3)[every].reshape(81, 12))
    assert np.abs(mean - np.array([0.3, 0.5, 0.4])[every[:, 2]]).max() < 0.02


def test_the_surrogate_learns_along_the_true_gradient(monkeypatch):
    asked = []

    def hearing(unlikely, start, **options):
        asked.append((unlikely, start))
        return minimize(unlikely, start, **options)

    monkeypatch.setattr(surrogate_module, "minimize", hearing)
    generator = np.random.default_rng(0)
    features, accuracy = generator.normal(size=(15, 4)), generator.normal(size=15)
    Surrogate(features, accuracy, np.zeros(15), groups_F=(0, 0, 1, 2))
    ((unlikely, start),) = asked
    for _ in range(3):
        where = start + 0.5 * generator.normal(size=len(start))
        slope = [derivative(unlikely, where, along) for along in np.eye(len(start))]
        assert unlikely(where)[1] == pytest.approx(np.array(slope), rel=1e-4, abs=1e-5)


def derivative(function, where, along, step=1e-5):
    """Of the function's first value."""
    return (function(where + step * along)[0] - function(where - step * along)[0]) / (2 * step)


def test_a_group_counts_alike_however_many_columns_tell_it():
    generator = np.random.default_rng(1)
    one, other = generator.normal(size=(2, 20))
    accuracy = 0.5 + 0.1 * one + 0.05 * np.sin(other)
    apart = Surrogate(np.column_stack([one, other]), accuracy, np.zeros(20), groups_F=(0, 1))
    doubled = Surrogate(np.column_stack([one, one, one, other]), accuracy, np.zeros(20), groups_F=(0, 0, 0, 1))
    new = generator.normal(size=(2, 30))
    expected = apart.predict(np.column_stack([new[0], new[1]]))
    found = doubled.predict(np.column_stack([new[0], new[0], new[0], new[1]]))
    assert np.allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("budgets", "share"), [((), 0.0), (("a budget",), 0.6)])
def test_who_gives_a_budget_wants_what_is_best_within_it(monkeypatch, budgets, share):
    heard = []

    def hearing(*parts, within_budget, **options):
        heard.append(within_budget)
        return expected_growth(*parts, within_budget=within_budget, **options)

    monkeypatch.setattr(propose_module, "expected_growth", hearing)
    run(Grid(budgets=budgets), 8)
    assert heard == [share] * 3  # after five that were drawn


def test_an_accuracy_that_is_only_expected_is_nothing_that_was_reached(monkeypatch):
    grid: Any = Grid()
    finished = [Trained(design=one, accuracy=grid.accuracy(one.labels)) for one in grid.drawn[:15]]
    stopped = Trained(design=grid.drawn[15], accuracy=0.99, deviation=0.1)
    reached = []

    def heard(*parts, known_accuracy_K, **options):
        reached.extend(known_accuracy_K.tolist())
        return expected_growth(*parts, known_accuracy_K=known_accuracy_K, **options)

    monkeypatch.setattr(propose_module, "expected_growth", heard)
    propose(grid, trained=[*finished, stopped], pending=[], taken=set(), generator=random.Random(1))
    assert reached == [one.accuracy for one in finished]


def test_the_gaussian_process_of_optuna_proposes_within_the_budget():
    study = run(Grid(limit=4), 15, sampler="gp")
    first, proposed = study.trials[:10], study.trials[10:]
    assert any(trial.params["x"] > 4 for trial in first)  # which are drawn
    assert all(trial.params["x"] <= 4 for trial in proposed)


def repaired(monkeypatch, grid, labels):
    """What becomes of the ``labels`` that Optuna's Gaussian process proposes."""
    monkeypatch.setattr(optuna.samplers.GPSampler, "sample_relative", lambda *_: labels)
    trial = optuna.trial.create_trial(value=0.0)
    return RepairingSampler(grid, seed=0).sample_relative(optuna.create_study(), trial, {})


@pytest.mark.parametrize(
    ("limit", "proposed", "expected"),
    [
        (4, {"x": 3, "y": 7}, {"x": 3, "y": 7}),
        (4, {"x": 9, "y": 7}, {"x": 4, "y": 7}),
        (-1, {"x": 9, "y": 7}, {"x": 9, "y": 7}),  # nothing near is within it
        (4, {}, {}),
    ],
)
def test_a_proposal_over_the_budget_is_moved_within_it(monkeypatch, limit, proposed, expected):
    assert repaired(monkeypatch, Grid(limit=limit), proposed) == expected


def test_a_parameter_with_one_label_is_left_out_by_the_sampler_and_by_the_repair(monkeypatch):
    grid = Grid(limit=4)
    grid.choices["y"] = (7,)
    assert repaired(monkeypatch, grid, {"x": 9}) == {"x": 4}


def test_seeds_depend_on_every_part_and_fit_torch():
    assert derive_seed(1, "a") == derive_seed(1, "a")
    assert len({derive_seed(1, "a"), derive_seed(1, "b"), derive_seed(2, "a"), derive_seed("1a")}) == 4
    assert 0 <= derive_seed(0, "x") < 2**63


def test_a_sampler_of_each_trial_has_a_seed_of_its_own():
    candidates = candidates_of("6M", objectives=(ACCURACY, PARAMS, MACS), samples=100)
    drawn = [open_store(None, candidates, seed=seed) for seed in (0, 0, 1)]
    labels = [[tuple(store.propose("random", lost=lost).wish.labels.values()) for lost in range(12)] for store in drawn]
    assert labels[0] == labels[1] != labels[2]
    assert len(set(labels[0])) > 6


def test_names_of_samplers_are_those_that_the_command_line_knows():
    assert tuple(SAMPLERS) == NAMES
    assert parse_sampler("auto") == "cost-aware"
    assert parse_sampler("tpe") == "tpe"
    with pytest.raises(Exception, match=r"--sampler: unknown 'tep'.*tpe"):
        parse_sampler("tep")


def test_what_is_learned_is_the_score_that_the_search_is_for():
    """Costs come before it here, and accuracy is recorded beside it."""
    for objectives, place in (((PARAMS, BALANCED_ACCURACY), 1), ((ACCURACY, MACS), 0)):
        store = open_store(None, candidates_of("6M", objectives=objectives, samples=100), seed=0)
        sampler = store._samplers("cost-aware", 0, 0)
        assert isinstance(sampler, CostAwareSampler)
        assert sampler._accuracy == place
