"""What searches gain, and what forecasts make of what they had found: on a few trainings, by hand."""

import itertools
import math

import numpy as np
import pytest
from how_many_trainings import Run, end_of, fitted

TRAINED = [0.5, 0.8, 0.6, 0.7, 0.9, 0.4]
# Trained at 0.8 it is lucky, and in truth worse than the first.
TRUE = [0.55, 0.52, 0.6, 0.7, 0.85, 0.4]
NEEDED = [0.9, 0.6, 0.5, 0.3, 0.2, 0.1]


def a_run(trained=TRAINED, true=TRUE, needed=NEEDED):
    return Run(space="hand", trained=np.array(trained), true=np.array(true), needed=np.array(needed))


def test_who_takes_the_best_as_it_was_trained_has_its_true_accuracy():
    run = a_run()
    assert run.best[0].tolist() == [0.55, 0.52, 0.52, 0.52, 0.85, 0.85]
    assert run.best[1].tolist()[2:] == [0.6, 0.7, 0.85, 0.85]
    assert np.isnan(run.best[1][:2]).all()
    assert run.seen[0].tolist() == [0.5, 0.8, 0.8, 0.8, 0.9, 0.9]


def test_a_gain_is_the_mean_over_the_parts_that_had_a_network():
    run = a_run()
    assert run.gain(3, more=2) == pytest.approx(((0.85 - 0.52) + (0.85 - 0.6)) / 2)
    assert run.gain(1, more=1) == pytest.approx(0.52 - 0.55)
    assert run.value(4) == pytest.approx((0.52 + 0.7 + 0.1 + 0.1) / 4)


def test_the_spread_is_that_around_the_median():
    assert a_run().spread(5) == pytest.approx(0.1)


def test_the_best_of_random_orders_grows_from_half_of_the_trainings_to_all():
    run = a_run(needed=[0.9] * 6)
    bests = [max(chosen) for chosen in itertools.combinations(TRAINED[:4], 2)]
    growth = (max(TRAINED[:4]) - np.mean(bests)) / math.log(2)
    assert run.orders(4) == pytest.approx(growth * math.log(16 / 4))
    assert a_run(needed=[2.0] * 6).orders(4) == 0.0


def test_a_forecast_is_fitted_on_what_was_gained_and_ends_a_search_below_the_bar():
    steps = np.arange(1.0, 101.0)
    run = a_run(trained=0.9 - 0.3 / steps, true=0.9 - 0.3 / steps, needed=[0.9] * 100)
    factor = fitted(lambda run, n: run.gain(n) / 2, [run])
    assert factor == pytest.approx(2.0)
    assert end_of(run, lambda run, n: 0.5 / n, 0.02) == 26
    assert end_of(run, lambda run, n: 1.0, 0.02) == 100
