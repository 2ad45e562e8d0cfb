import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvit_nas.maths.hypervolume import Box, hypervolume, hypervolume_history
from mvit_nas.maths.pareto import front, near_front


def a_box(reference, maximise, ideal):
    return Box(reference=tuple(reference), ideal=tuple(ideal), maximise=tuple(maximise))


relaxed = settings(deadline=None)  # the machine may be busy

# Few different values, so that ties and copies are common; some NaN.
_numbers = st.one_of(st.integers(-3, 6).map(float), st.just(float("nan")), st.floats(-3, 6))


@st.composite
def problems(draw):
    """(values, maximise), with 1 to 4 objectives and 0 to 7 rows."""
    objectives = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(_numbers, min_size=objectives, max_size=objectives), max_size=7))
    maximise = draw(st.lists(st.booleans(), min_size=objectives, max_size=objectives))
    return np.array(rows, dtype=float).reshape(-1, objectives), maximise


def dominates(a, b, maximise):
    """By the definition: nowhere worse and somewhere better."""
    better = [x > y if up else x < y for x, y, up in zip(a, b, maximise, strict=True)]
    worse = [x < y if up else x > y for x, y, up in zip(a, b, maximise, strict=True)]
    return any(better) and not any(worse)


def front_by_definition(values, maximise):
    known = [not any(np.isnan(row)) for row in values]
    return [
        known[i] and not any(known[j] and dominates(values[j], values[i], maximise) for j in range(len(values)))
        for i in range(len(values))
    ]


def box(maximise):
    """(reference, ideal) for the directions: asymmetric, and narrower than the values reach; costs are above 0."""
    low = [-1.0, -2.0, 1.0, 0.5]
    high = [5.0, 4.0, 4.5, 3.5]
    pairs = [(lo, hi) if up else (hi, abs(lo)) for lo, hi, up in zip(low, high, maximise, strict=False)]
    return [reference for reference, _ in pairs], [ideal for _, ideal in pairs]


def volume_by_inclusion_exclusion(values, reference, maximise, ideal):
    def gain_of(value, worst, best, more):
        if more or math.isnan(value):
            return (worst - value) / (worst - best)
        return (math.log2(worst) - math.log2(value)) / (math.log2(worst) - math.log2(best)) if value > 0 else 1.0

    gains = []
    for row in values:
        gain = [gain_of(*one) for one in zip(row, reference, ideal, maximise, strict=True)]
        if all(g > 0 for g in gain):  # False for NaN
            gains.append([min(g, 1.0) for g in gain])
    return sum(
        (-1) ** (size + 1) * np.prod(np.min(subset, axis=0))
        for size in range(1, len(gains) + 1)
        for subset in itertools.combinations(gains, size)
    )


@relaxed
@given(problems())
def test_the_front_is_what_the_definition_says(problem):
    values, maximise = problem
    assert front(values, maximise).tolist() == front_by_definition(values, maximise)


@relaxed
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_change_the_front(problem, random):
    values, maximise = problem
    order = random.sample(range(len(values)), len(values))
    assert front(values[order], maximise).tolist() == front(values, maximise)[order].tolist()


def test_an_unmeasured_row_is_never_on_the_front_and_removes_no_other():
    values = np.array([[0.9, np.nan], [0.5, 3.0], [np.nan, np.nan], [0.4, 2.0], [0.4, 3.0]])
    assert front(values, [True, False]).tolist() == [False, True, False, True, False]


def test_copies_of_a_front_point_all_stay():
    values = np.array([[0.5, 3.0], [0.5, 3.0], [0.4, 3.0]])
    assert front(values, [True, False]).tolist() == [True, True, False]


def test_infinite_values_are_compared_like_others():
    assert front(np.array([[np.inf, 1.0], [2.0, 1.0]]), [False, False]).tolist() == [False, True]


def test_an_objective_without_a_direction_is_an_error():
    with pytest.raises(ValueError, match=r"one column an objective, got values.shape=\(1, 2\) and len\(maximise\)=1"):
        front(np.array([[1.0, 2.0]]), [True])


def test_the_front_of_nothing_is_empty():
    assert front(np.empty((0, 2)), [True, False]).tolist() == []


@relaxed
@given(problems())
def test_the_hypervolume_is_that_of_inclusion_and_exclusion(problem):
    values, maximise = problem
    reference, ideal = box(maximise)
    expected = volume_by_inclusion_exclusion(values, reference, maximise, ideal)
    assert hypervolume(values, a_box(reference, maximise, ideal)) == pytest.approx(expected, abs=1e-12)


@relaxed
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_change_the_hypervolume(problem, random):
    values, maximise = problem
    reference, ideal = box(maximise)
    order = random.sample(range(len(values)), len(values))
    assert hypervolume(values[order], a_box(reference, maximise, ideal)) == pytest.approx(
        hypervolume(values, a_box(reference, maximise, ideal)), abs=1e-12
    )


@relaxed
@given(problems())
def test_only_the_front_counts_for_the_hypervolume(problem):
    values, maximise = problem
    reference, ideal = box(maximise)
    assert hypervolume(values[front(values, maximise)], a_box(reference, maximise, ideal)) == pytest.approx(
        hypervolume(values, a_box(reference, maximise, ideal)), abs=1e-12
    )


@relaxed
@given(problems())
def test_a_copy_and_a_dominated_row_change_no_hypervolume(problem):
    values, maximise = problem
    reference, ideal = box(maximise)
    worse = values - np.where(maximise, 0.25, -0.25)
    more = np.vstack([values, worse, values])
    assert hypervolume(more, a_box(reference, maximise, ideal)) == pytest.approx(
        hypervolume(values, a_box(reference, maximise, ideal)), abs=1e-12
    )


@relaxed
@given(problems())
def test_the_history_is_the_hypervolume_of_each_beginning(problem):
    values, maximise = problem
    reference, ideal = box(maximise)
    history = hypervolume_history(values, a_box(reference, maximise, ideal))
    expected = [hypervolume(values[: n + 1], a_box(reference, maximise, ideal)) for n in range(len(values))]
    assert history == pytest.approx(expected, abs=1e-12)
    assert (np.diff(history) >= 0).all()


def test_the_hypervolume_by_hand():
    """Accuracy up from 0.2 to 1, cost down from 16 to 1, four halvings: boxes 3/4 x 1/2 and 1/4 x 3/4 share 1/4 x 1/2."""
    values = np.array([[0.8, 4.0], [0.4, 2.0], [0.3, 3.0], [0.1, 1.5], [0.9, 16.0]])
    assert hypervolume(values, a_box([0.2, 16.0], [True, False], [1.0, 1.0])) == pytest.approx(0.375 + 0.1875 - 0.125)


def test_a_point_beyond_the_ideal_fills_the_box_and_no_more():
    assert hypervolume(np.array([[2.0, -1.0]]), a_box([0.0, 10.0], [True, False], [1.0, 0.5])) == 1.0


def test_a_point_on_the_reference_counts_nothing():
    assert hypervolume(np.array([[0.0, 5.0]]), a_box([0.0, 10.0], [True, False], [1.0, 0.5])) == 0.0


@pytest.mark.parametrize("objectives", [3, 4])
def test_the_hypervolume_of_a_large_front_is_that_of_monte_carlo(objectives):
    random = np.random.default_rng(7)
    points = np.abs(random.normal(size=(60, objectives)))
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    samples = random.random((100_000, objectives))
    inside = np.zeros(len(samples), dtype=bool)
    for point in points:
        inside |= (samples <= point).all(axis=1)
    volume = hypervolume(points, a_box([0.0] * objectives, [True] * objectives, [1.0] * objectives))
    assert volume == pytest.approx(inside.mean(), abs=4 * 0.5 / np.sqrt(len(samples)))


def test_the_hypervolume_of_200_points_in_4_objectives_takes_well_under_a_second():
    points = np.abs(np.random.default_rng(1).normal(size=(200, 4)))
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    before = time.thread_time()
    hypervolume(points, a_box([0.0] * 4, [True] * 4, [1.0] * 4))
    assert time.thread_time() - before < 1.0


def test_an_ideal_that_is_worse_than_the_reference_is_an_error():
    with pytest.raises(ValueError, match=r"the ideal must be better than the reference, got self.ideal=\(5.0,\)"):
        hypervolume(np.array([[1.0]]), a_box([3.0], [False], [5.0]))


def test_a_cost_of_nothing_is_no_ideal_since_its_axis_is_logarithmic():
    with pytest.raises(ValueError, match=r"of which less is better must be above 0, got self.ideal=\(1.0, 0.0\)"):
        a_box([0.0, 10.0], [True, False], [1.0, 0.0])


def test_near_the_front_is_what_5_percent_less_cost_would_bring_onto_it():
    # accuracy up, cost down
    values = np.array([[0.9, 100.0], [0.8, 50.0], [0.8, 52.0], [0.8, 53.0], [0.7, 51.0], [np.nan, 1.0], [0.9, 106.0]])
    assert front(values, [True, False]).tolist() == [True, True, False, False, False, False, False]
    assert near_front(values, [True, False], 0.05).tolist() == [True, True, True, False, True, False, False]
    assert near_front(values, [True, False], 0.0).tolist() == front(values, [True, False]).tolist()
    # A score is not eased: what is on the front for its score alone stays near it.
    assert near_front(np.array([[0.87, 96.0], [0.88, 102.0]]), [True, False], 0.05).all()
