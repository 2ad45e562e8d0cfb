"""The measuring protocol, on a clock that the test drives."""

import collections
import dataclasses
import itertools
from pathlib import Path

import pytest
from scipy import stats

from mvit_nas.cost import probe
from mvit_nas.cost.latency import interval_of_mean, latency_of, measure, ratio_interval
from mvit_nas.cost.targets.target import Job


class Machine:
    """A clock and two networks whose durations the test sets, in milliseconds; each load takes the next of a pace."""

    def __init__(self, reference, candidate, *, stolen=0.0, slowness=lambda seconds: 1.0):
        self.cpu = self.wall = 0
        self.calls = collections.Counter()
        self.loads = collections.Counter()
        self._durations = {"reference": reference, "candidate": candidate}
        self._stolen = stolen
        self._slowness = slowness

    def load(self, name):
        def fresh():
            self.loads[name] += 1

            def call():
                self.calls[name] += 1
                duration = int(1e6 * next(self._durations[name]) * self._slowness(self.wall / 1e9))
                self.cpu += duration
                self.wall += duration + int(1e6 * self._stolen)

            return call

        return fresh

    def measure(self, *, precision=0.01, seconds=60.0, by_cpu=True):
        return probe.measure(
            self.load("candidate"), self.load("reference"), precision=precision, seconds=seconds, by_cpu=by_cpu,
            cpu=lambda: self.cpu, wall=lambda: self.wall,
        )  # fmt: skip


def constant(milliseconds):
    return itertools.repeat(milliseconds)


def latency(rounds, *, reference_ms=10.0, agreed=True):
    return latency_of(rounds, reference_ms=reference_ms, threads=1, agreed=agreed)


def test_the_latency_is_the_ratio_on_the_references_own_scale():
    # The machine runs at half speed now: the reference takes 20 ms instead of its own 10.
    found = latency(Machine(constant(20), constant(50)).measure())
    assert (found.median_ms, found.low_ms, found.high_ms) == (25, 25, 25)
    assert (found.wall_ms, found.p90_ms, found.reference_ms) == (50, 50, 20)
    assert found.rounds == probe.LEAST_ROUNDS
    assert found.drifted
    assert not found.contended
    assert not latency(Machine(constant(10), constant(50)).measure()).drifted


def test_a_machine_that_slows_down_in_the_middle_changes_nothing_and_is_flagged():
    machine = Machine(constant(10), constant(4), slowness=lambda seconds: 1.0 if seconds < 2 else 1.5)
    found = latency(machine.measure())
    assert found.median_ms == pytest.approx(4.0)
    assert found.drifted


def test_each_round_loads_both_anew_and_earlier_ones_are_kept_so_that_memory_moves():
    machine = Machine(constant(10), constant(5))
    rounds = machine.measure()
    assert machine.loads == {"reference": len(rounds), "candidate": len(rounds)}


def test_rounds_go_on_until_the_interval_of_their_mean_is_narrow():
    def by_load(spread):
        """A candidate whose memory moves it: every round another time, the same within it."""
        machine = Machine(constant(10), constant(0))
        paces = itertools.cycle([10 - spread, 10 + spread, 10 + spread / 2, 10 - spread / 2, 10])

        def fresh():
            machine._durations["candidate"] = constant(next(paces))
            return machine.load("candidate")()

        return machine, fresh

    counts = []
    for spread in (0.01, 0.2, 0.35):
        machine, fresh = by_load(spread)
        rounds = probe.measure(
            fresh, machine.load("reference"), precision=0.01, seconds=60, by_cpu=True,
            cpu=lambda machine=machine: machine.cpu, wall=lambda machine=machine: machine.wall,
        )  # fmt: skip
        counts.append(len(rounds))
        found = latency(rounds)
        assert found.low_ms < found.median_ms < found.high_ms
        assert found.high_ms - found.median_ms <= 0.0103 * found.median_ms
    assert probe.LEAST_ROUNDS == counts[0] < counts[1] < counts[2]


def test_a_measurement_that_does_not_settle_ends_at_its_time():
    noisy = itertools.cycle([1, 1, 1, 1, 1, 100, 100, 100, 100, 100, 100])
    machine = Machine(constant(10), noisy)
    rounds = machine.measure(seconds=4.0)
    assert len(rounds) >= probe.LEAST_ROUNDS
    assert machine.wall < 20e9


def test_a_core_shared_with_others_is_flagged_and_does_not_lengthen_the_latency():
    alone = latency(Machine(constant(10), constant(5)).measure())
    shared = latency(Machine(constant(10), constant(5), stolen=2).measure())
    assert shared.median_ms == alone.median_ms
    assert shared.contended
    assert shared.wall_ms == 7
    assert not alone.contended


def test_several_threads_are_timed_by_the_wall():
    rounds = Machine(constant(10), constant(5), stolen=10).measure(by_cpu=False)
    assert set(rounds[0]) == {"reference_wall", "candidate_wall"}
    found = latency(rounds)
    assert (found.clock, found.median_ms) == ("wall", 7.5)
    assert latency(Machine(constant(10), constant(5)).measure()).clock == "cpu"


def test_warming_up_ends_when_times_level_off_and_not_before():
    def runs(pace):
        clock = [0]
        taken = [0]

        def call():
            taken[0] += 1
            clock[0] += int(1e6 * next(pace))

        probe.warm_up(call, lambda: clock[0])
        return taken[0], clock[0] / 1e9

    level, seconds = runs(constant(10))
    assert seconds == pytest.approx(0.3, abs=0.02)
    settling, _ = runs(itertools.chain((50 - n / 2 for n in range(80)), constant(10)))
    assert settling > 80
    _, restless = runs(10 * 1.002**n for n in itertools.count())
    assert restless == pytest.approx(3.0, abs=0.4)
    assert level < settling
    slow, _ = runs(constant(700))
    assert slow == 6  # two blocks of three


def test_the_stopping_rule_knows_students_quantile():
    ratios = [1.0, 1.02, 0.99, 1.01]
    # As many rounds again while the machine is slow; they do not count.
    rounds = [
        {"reference_cpu": [1000 * slow], "candidate_cpu": [int(1000 * x * slow)]} for slow in (1, 2) for x in ratios
    ]
    low, mean, high = interval_of_mean(ratios)
    assert probe.half_width(rounds, "cpu") == pytest.approx((high - low) / 2 / mean, rel=0.04)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 3, loc=mean, scale=stats.sem(ratios)))


def test_the_interval_holds_the_truth_in_about_95_of_100_measurements():
    import random

    generator = random.Random(3)
    covered = 0
    for _ in range(1000):
        low, _, high = interval_of_mean([generator.gauss(1.0, 0.02) for _ in range(12)])
        covered += low <= 1.0 <= high
    assert 930 <= covered <= 970


class Scripted:
    """A target whose measurements have the given ratios, one after the other."""

    name = "scripted"

    def __init__(self, *ratios):
        self.ratios = list(ratios)
        self.jobs = []

    def measure(self, job):
        self.jobs.append(job)
        ratio = self.ratios.pop(0)
        return [{"reference_cpu": [1000, 1000], "candidate_cpu": [int(1000 * ratio)] * 2,
                 "reference_wall": [1000, 1000], "candidate_wall": [int(1000 * ratio)] * 2}] * 6  # fmt: skip


JOB = Job(
    runtime="torch", threads=1, candidate=Path("c"), reference=Path("r"), candidate_shape=(1, 3, 8, 8),
    reference_shape=(1, 3, 8, 8), precision=0.01, seconds=8.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("ratios", "measurements", "agreed"),
    [
        ((2.0, 2.01), 2, True),
        ((2.0, 2.2, 2.01), 3, True),  # the second was the odd one
        ((2.0, 2.2, 2.4), 3, False),
    ],
)
def test_two_measurements_that_are_far_apart_are_followed_by_a_third(ratios, measurements, agreed):
    target = Scripted(*ratios)
    rounds, same = measure(target, JOB)
    assert (len(rounds), same) == (6 * measurements, agreed)
    assert {job.seconds for job in target.jobs} == {8.0 / 3}


def test_a_ratio_is_as_unsure_as_both_of_its_parts():
    rounds = Machine(constant(10), constant(5)).measure()
    base = latency(rounds)
    one = dataclasses.replace(base, median_ms=6.0, low_ms=5.82, high_ms=6.18)
    other = dataclasses.replace(base, median_ms=5.0, low_ms=4.8, high_ms=5.2)
    low, ratio, high = ratio_interval(one, other)
    assert ratio == 1.2
    assert high / ratio == pytest.approx(1.0513, abs=1e-4)  # exp(hypot(0.03, 0.04))
    assert low / ratio == pytest.approx(0.9512, abs=1e-4)


def test_pinning_takes_the_fastest_cores_and_always_the_same(monkeypatch):
    monkeypatch.setattr(probe.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    chosen = []
    monkeypatch.setattr(probe.os, "sched_setaffinity", lambda _, cores: chosen.append(cores))
    monkeypatch.setattr(probe, "_top_speed", lambda core: 1.8e6 if core == 0 else 2.4e6)  # core 0 is a small one
    assert probe.pin(2) == probe.pin(2) == [1, 2]
    assert chosen == [[1, 2], [1, 2]]


def test_a_ratio_is_the_median_of_neighbouring_runs_while_the_machine_is_calm():
    def one(*pairs):
        candidate, reference = zip(*pairs, strict=True)
        return {"candidate_cpu": candidate, "reference_cpu": reference, "candidate_wall": [9], "reference_wall": [3]}

    calm = one((5, 10), (9, 15), (8, 12), (30, 20), (30, 20))
    slow = one((16, 20), (18, 20), (17, 20))
    # Calm: the faster three of five pairs, the middle one of their ratios. A single round always counts.
    assert probe.calm_ratios([calm], "cpu") == [0.6]
    assert probe.calm_ratios([slow, calm], "cpu") == [0.6]
    assert probe.calm_ratios([slow], "cpu") == [pytest.approx(0.825)]
    assert probe.calm_ratios([slow, calm], "wall") == [3.0]


def test_bursts_that_slow_one_network_more_than_the_other_do_not_count():
    bursts = itertools.cycle([1.0] * 7 + [1.3] * 5)
    slowness = itertools.chain.from_iterable((x, x) for x in bursts)
    machine = Machine((10 * next(slowness) for _ in itertools.count()), constant(4))
    assert latency(machine.measure()).median_ms == pytest.approx(4.0)
