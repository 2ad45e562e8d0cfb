"""The measuring protocol, on a clock that the test drives."""

import itertools

import pytest

from mvit_nas.cost.latency import measure, median_interval, own_time


class Machine:
    """A clock and two calls whose durations the test sets, in nanoseconds."""

    def __init__(self, reference, candidate, stolen=lambda: 0):
        self.cpu = self.wall = 0
        self._reference, self._candidate, self._stolen = reference, candidate, stolen

    def _spend(self, duration):
        self.cpu += duration
        self.wall += duration + self._stolen()

    def reference(self):
        self._spend(next(self._reference))

    def candidate(self):
        self._spend(next(self._candidate))

    def measure(self, **options):
        options = {"reference_ms": 10.0, "threads": 1} | options
        return measure(self.candidate, self.reference, clock=lambda: self.cpu, wall=lambda: self.wall, **options)


def constant(milliseconds):
    return itertools.repeat(int(milliseconds * 1e6))


def test_the_latency_is_the_ratio_on_the_references_own_scale():
    # The machine runs at half speed now: the reference takes 20 ms instead of its own 10.
    latency = Machine(constant(20), constant(50)).measure()
    assert (latency.median_ms, latency.low_ms, latency.high_ms) == (25, 25, 25)
    assert latency.wall_ms == 50
    assert latency.runs == 20
    assert latency.drifted
    assert not latency.contended


def test_a_machine_that_slows_down_in_the_middle_changes_nothing():
    speed = itertools.chain([1.0] * 60, itertools.repeat(3.0))
    pace = (x for s in speed for x in (s, s))
    reference_pace, candidate_pace = itertools.tee(pace)
    machine = Machine((int(10e6 * s) for s in reference_pace), (int(4e6 * s) for s in candidate_pace))
    # Both see the same slow-down at the same run, so that every ratio stays 0.4.
    assert machine.measure().median_ms == pytest.approx(4.0)


def test_noise_is_measured_until_the_interval_is_narrow():
    noisy = itertools.cycle([int(x * 1e6) for x in (9, 10, 11, 9.5, 10.5, 10.2, 9.8)])
    wide = Machine(constant(10), noisy).measure(precision=0.2, seconds=60)
    noisy = itertools.cycle([int(x * 1e6) for x in (9, 10, 11, 9.5, 10.5, 10.2, 9.8)])
    narrow = Machine(constant(10), noisy).measure(precision=0.021, seconds=60)
    assert wide.runs == 20
    assert narrow.runs > wide.runs
    assert narrow.high_ms - narrow.low_ms < wide.high_ms - wide.low_ms
    assert narrow.low_ms <= narrow.median_ms <= narrow.high_ms


def test_a_measurement_that_does_not_settle_ends_at_its_time():
    noisy = itertools.cycle([1_000_000, 100_000_000])
    machine = Machine(constant(10), noisy)
    latency = machine.measure(seconds=2.0)
    assert latency.runs >= 20
    assert machine.wall < 4e9


def test_a_core_shared_with_others_is_flagged_and_does_not_lengthen_the_latency():
    alone = Machine(constant(10), constant(5)).measure()
    shared = Machine(constant(10), constant(5), stolen=lambda: 2_000_000).measure()
    assert shared.median_ms == alone.median_ms
    assert shared.contended
    assert not alone.contended


def test_both_calls_run_before_the_first_pair_counts():
    machine = Machine(constant(10), constant(60))
    calls = {"reference": 0, "candidate": 0}

    def counted(name):
        def call():
            calls[name] += 1
            getattr(machine, name)()

        return call

    latency = measure(
        counted("candidate"), counted("reference"), reference_ms=10.0, threads=1,
        clock=lambda: machine.cpu, wall=lambda: machine.wall,
    )  # fmt: skip
    # At least three times and for a tenth of a second: ten of 10 ms, three of 60 ms.
    assert calls["reference"] - latency.runs == 10
    assert calls["candidate"] - latency.runs == 3


def test_own_time_is_the_median_and_at_least_twenty_runs():
    machine = Machine(constant(1), constant(100))
    runs = []

    def call():
        runs.append(1)
        machine.candidate()

    assert own_time(call, threads=1, seconds=0.1, clock=lambda: machine.cpu, wall=lambda: machine.wall) == 100
    assert len(runs) == 20 + 3


def test_the_interval_of_the_median_holds_it_in_about_95_of_100_samples():
    import random

    generator = random.Random(3)
    covered = 0
    for _ in range(1000):
        low, _, high = median_interval([generator.expovariate(1.0) for _ in range(31)])
        covered += low <= 0.6931 <= high
    assert 930 <= covered <= 985


def test_one_thread_is_timed_by_its_own_clock():
    import time

    from mvit_nas.cost.latency import cpu_clock

    assert cpu_clock(1) is time.thread_time_ns
    assert cpu_clock(2) is time.perf_counter_ns
