"""How sure a choice among noisy accuracies is."""

import numpy as np
import pytest

from mvit_nas.maths.sure import MOST_NEAR, Believed, believe, half_width, p_above, p_best, p_front, reaching_front


def believed(*pairs):
    mean, deviation = np.array(pairs, dtype=float).T
    return Believed(mean_N=mean, deviation_N=deviation)


def drawn(found, size=200_000):
    generator = np.random.default_rng(1)
    return generator.normal(found.mean_N, found.deviation_N, (size, len(found.mean_N)))


def test_the_probability_to_be_the_best_is_the_share_of_draws_in_which_it_is():
    found = believed((0.50, 0.01), (0.49, 0.02), (0.47, 0.03), (0.30, 0.01))
    shares = np.bincount(drawn(found).argmax(1), minlength=4) / 200_000
    assert p_best(found) == pytest.approx(shares, abs=0.004)
    assert p_best(found)[3] < 1e-9


def test_a_network_is_on_the_front_where_none_that_costs_no_more_is_better():
    found = believed((0.50, 0.01), (0.51, 0.02), (0.49, 0.01))
    costs = np.array([[2.0, 5.0], [1.0, 5.0], [3.0, 4.0]])
    draws = drawn(found)
    assert p_front(found, costs) == pytest.approx([(draws[:, 0] > draws[:, 1]).mean(), 1.0, 1.0], abs=0.004)


def test_without_costs_the_front_is_the_best():
    found = believed((0.50, 0.01), (0.49, 0.02), (0.47, 0.03))
    assert p_front(found, np.zeros((3, 0))) == pytest.approx(p_best(found), abs=1e-6)


def many(count=400):
    generator = np.random.default_rng(4)
    costs = np.exp(generator.normal(size=(count, 2)))
    mean = 0.5 + 0.03 * np.log(costs[:, 0]) + generator.normal(0, 0.02, count)
    return Believed(mean_N=mean, deviation_N=generator.uniform(0.008, 0.02, count)), costs


def test_of_many_networks_each_is_as_likely_on_the_front_as_its_draws_say():
    found, costs = many()
    draws = drawn(found, 4000)
    cheaper = (costs[:, None] <= costs[None]).all(2) & ~np.eye(400, dtype=bool)
    shares = [(draws[:, [n]] > draws[:, cheaper[:, n]]).all(1).mean() for n in range(400)]
    asked = np.array([399, 3, 300, 17])
    assert p_front(found, costs) == pytest.approx(shares, abs=0.035)
    assert p_front(found, costs, asked).tolist() == pytest.approx(p_front(found, costs)[asked].tolist(), abs=1e-6)


def test_who_cannot_reach_the_front_has_little_chance_to_be_on_it():
    found, costs = many()
    ahead = found.mean_N[None] > found.mean_N[:, None]
    front = np.flatnonzero(~((costs[None] <= costs[:, None]).all(2) & ahead).any(1))
    near = reaching_front(found, costs, front)
    assert set(front) < set(near)
    assert len(near) < 250
    assert np.delete(p_front(found, costs), near).max() < 0.025


def test_of_many_that_are_nearly_equal_the_nearest_to_the_front_are_looked_at():
    count = 1000
    means = np.linspace(0.5, 0.51, count)  # the dearer, the worse, and none is shown to be
    found = Believed(mean_N=means, deviation_N=np.full(count, 0.01))
    costs = -np.arange(count, dtype=float)[:, None]
    near = reaching_front(found, costs, np.array([count - 1]))
    assert near.tolist() == list(range(count - MOST_NEAR, count))
    everybody = np.arange(count)
    assert reaching_front(found, costs, everybody).tolist() == everybody.tolist()


def test_whose_cost_is_unknown_reaches_no_front():
    found = believed((0.50, 0.01), (0.51, 0.01))
    assert reaching_front(found, np.array([[1.0], [np.nan]]), np.array([0])).tolist() == [0]


def test_nobody_is_the_best_of_none():
    assert not len(p_best(Believed(mean_N=np.zeros(0), deviation_N=np.zeros(0))))


def test_the_luckiest_of_many_equal_networks_is_drawn_back_to_them():
    accuracies = 0.4 + np.random.default_rng(2).normal(0, 0.02, 40)
    found = believe(accuracies, np.full(40, 0.02**2), np.zeros((40, 0)))
    assert found.mean_N.max() - 0.4 < 0.6 * (accuracies.max() - 0.4)


def test_few_networks_are_taken_as_they_are():
    found = believe(np.array([0.3, 0.5]), np.array([0.01, 0.04]), np.zeros((2, 1)))
    assert found.mean_N.tolist() == [0.3, 0.5]
    assert found.deviation_N == pytest.approx([0.1, 0.2])


def test_what_is_believed_keeps_its_word():
    """Of networks with a chance of 40 to 60 % about half are the best, and 95 % intervals hold about 95 %."""
    generator = np.random.default_rng(3)
    chances, is_best, covered = [], [], []
    for _ in range(300):
        size = generator.uniform(0, 2.7, 20)
        true = 0.3 + 0.06 * size + generator.normal(0, 0.02, 20)
        seen = true + generator.normal(0, 0.015, 20)
        found = believe(seen, np.full(20, 0.015**2), size[:, None])
        chances.append(p_best(found))
        is_best.append(np.arange(20) == true.argmax())
        covered.append(np.abs(found.mean_N - true) < 1.96 * found.deviation_N)
    chance, best = np.concatenate(chances), np.concatenate(is_best)
    some = (chance > 0.4) & (chance < 0.6)
    assert some.sum() > 60
    assert 0.35 <= best[some].mean() <= 0.65
    assert 0.93 <= np.mean(covered) <= 0.97


def test_a_difference_is_judged_by_both_deviations():
    assert p_above(believed((0.55, 0.03), (0.50, 0.04)), 0, 1) == pytest.approx(0.8413, abs=1e-4)


def test_an_interval_is_the_wider_the_less_its_spread_is_known():
    known = half_width(0.0004, seeds_variance=0.0, freedom=0)
    assert known == pytest.approx(1.95996 * 0.02, rel=1e-5)
    # Student's t with 3 degrees of freedom has 3.1824 at 97.5 %.
    assert half_width(0.0004, seeds_variance=0.0004, freedom=3) == pytest.approx(3.1824 * 0.02, rel=1e-4)
    assert known < half_width(0.0004, seeds_variance=0.0002, freedom=3) < 3.1824 * 0.02
