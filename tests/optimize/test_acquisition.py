"""The expected growth of the hypervolume, against sampling it."""

import numpy as np
import pytest
from scipy import stats

from mvit_nas.maths.hypervolume import Box, hypervolume
from mvit_nas.optimize.acquisition import expected_gains, expected_growth


def volume(accuracy, savings):
    points = np.column_stack([accuracy, savings])
    dimensions = points.shape[1]
    box = Box(reference=(0.0,) * dimensions, ideal=(1.0,) * dimensions, maximise=(True,) * dimensions)
    return hypervolume(points, box)


@pytest.mark.parametrize("costs", [1, 2, 3])
def test_it_is_the_mean_of_what_the_possible_accuracies_add(costs):
    generator = np.random.default_rng(costs)
    known_accuracy, known_savings = generator.uniform(0.3, 0.7, 9), generator.uniform(0.05, 0.95, (9, costs))
    accuracy, deviation = np.array([0.4, 0.6, 0.75]), np.array([0.02, 0.08, 0.03])
    savings = generator.uniform(0.2, 0.9, (3, costs))
    found = expected_gains(
        accuracy, deviation, savings, known_accuracy_K=known_accuracy, known_savings_KD=known_savings
    )
    before = volume(known_accuracy, known_savings)
    for i in range(3):
        # Each as likely as the others.
        possible = stats.norm.ppf((np.arange(300) + 0.5) / 300, accuracy[i], deviation[i])
        gains = [
            volume(np.append(known_accuracy, one), np.vstack([known_savings, savings[i]])) - before for one in possible
        ]
        assert found[i] == pytest.approx(np.mean(gains), rel=0.01, abs=1e-5)


def test_a_certain_accuracy_adds_what_the_hypervolume_says():
    known_accuracy, known_savings = np.array([0.5, 0.8]), np.array([[0.9, 0.4], [0.3, 0.3]])
    found = expected_gains(
        np.array([0.7, 0.4]), np.zeros(2), np.array([[0.6, 0.6], [0.2, 0.1]]),
        known_accuracy_K=known_accuracy, known_savings_KD=known_savings,
    )  # fmt: skip
    after = volume(np.append(known_accuracy, 0.7), np.vstack([known_savings, [0.6, 0.6]]))
    # The second is beaten in everything by one that is known.
    assert found == pytest.approx([after - volume(known_accuracy, known_savings), 0.0], abs=1e-9)


def test_with_nothing_known_it_is_the_candidates_own_box():
    found = expected_gains(
        np.array([0.5]), np.array([1e-6]), np.array([[0.5, 0.4]]),
        known_accuracy_K=np.zeros(0), known_savings_KD=np.zeros((0, 2)),
    )  # fmt: skip
    assert found == pytest.approx([0.5 * 0.5 * 0.4])


def test_many_known_networks_are_merged_and_stay_near_the_truth():
    generator = np.random.default_rng(0)
    savings = np.sort(generator.uniform(0.05, 0.95, 300))
    known = np.column_stack([savings, savings[::-1]])
    accuracy = np.full(300, 0.6)
    found = expected_gains(
        np.array([0.9]), np.array([1e-6]), np.array([[0.5, 0.5]]), known_accuracy_K=accuracy, known_savings_KD=known
    )
    after = volume(np.append(accuracy, 0.9), np.vstack([known, [0.5, 0.5]]))
    assert found[0] == pytest.approx(after - volume(accuracy, known), rel=0.05)


def growth(accuracy, needed, *, known_accuracy, known_needed, deviation=1e-6, within_budget=1.0):
    """Of one candidate that needs the share ``needed`` of the budget."""
    return float(
        expected_growth(
            np.array([accuracy]), np.array([deviation]), np.array([[1 - needed]]), np.array([needed]),
            known_accuracy_K=np.array(known_accuracy), known_savings_KD=1 - np.array([known_needed]).T,
            known_needed_K=np.array(known_needed), within_budget=within_budget,
        )[0]
    )  # fmt: skip


def test_the_best_is_wanted_within_the_budget_and_its_half_its_quarter_and_its_eighth():
    known = {"known_accuracy": [0.6, 0.5, 0.4, 0.3], "known_needed": [1.0, 0.5, 0.25, 0.125]}
    assert growth(0.7, 0.9, **known) == pytest.approx(0.1 * 3 / 6)
    assert growth(0.55, 0.9, **known) == pytest.approx(0.0, abs=1e-5)
    assert growth(0.7, 0.5, **known) == pytest.approx(0.1 * 3 / 6 + 0.2 / 6)
    assert growth(0.45, 0.2, **known) == pytest.approx(0.05 / 6)
    assert growth(0.65, 0.1, **known) == pytest.approx(0.05 * 3 / 6 + (0.15 + 0.25 + 0.35) / 6)


def test_the_worst_known_stands_for_a_part_that_nothing_is_within():
    assert growth(0.5, 0.1, known_accuracy=[0.6, 0.4], known_needed=[0.9, 0.8]) == pytest.approx(3 * 0.1 / 6)


def test_the_two_wants_are_shared_out():
    known = {"known_accuracy": [0.6], "known_needed": [0.9]}
    front, best = growth(0.7, 0.5, within_budget=0.0, **known), growth(0.7, 0.5, within_budget=1.0, **known)
    assert front == pytest.approx(0.7 * 0.5 - 0.6 * 0.1)
    assert growth(0.7, 0.5, within_budget=0.6, **known) == pytest.approx(0.4 * front + 0.6 * best)


def test_without_costs_only_the_accuracy_counts():
    found = expected_growth(
        np.array([0.7, 0.6]), np.full(2, 1e-6), np.zeros((2, 0)), np.zeros(2),
        known_accuracy_K=np.array([0.5]), known_savings_KD=np.zeros((1, 0)), known_needed_K=np.zeros(1),
        within_budget=0.6,
    )  # fmt: skip
    assert found == pytest.approx([0.2, 0.1])
