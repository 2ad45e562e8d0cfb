"""The measuring protocol, on a clock that the test drives."""

import collections
import dataclasses
import itertools
import math
import os
import random
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from mvit_nas.cost import probe
from mvit_nas.cost.latency import LatencyConditions, half_width, interval, latency_of, measure, ratio_interval
from mvit_nas.cost.probe import Burst, Round
from mvit_nas.cost.targets.target import Job, TargetKind


class Machine:
    """A clock and two networks whose durations the test sets, in milliseconds, by their load and the time."""

    def __init__(self, reference, candidate, *, stolen=0.0, slowness=lambda seconds: 1.0):
        self.cpu = self.wall = 0
        self.calls = []  # in their order, each with its load
        self.loads: collections.Counter[str] = collections.Counter()
        self._durations = {"reference": reference, "candidate": candidate}
        self._stolen = stolen
        self._slowness = slowness

    def load(self, name):
        def fresh():
            self.loads[name] += 1
            number, pace = self.loads[name], next(self._durations[name])

            def call():
                self.calls.append((name, number))
                duration = int(1e6 * pace * self._slowness(self.wall / 1e9))
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


def latency(*processes, reference_ms=10.0, precision=0.01):
    return latency_of(processes, reference_ms=reference_ms, threads=1, precision=precision)


def rounds_of(*pairs):
    """Rounds of one run of the candidate and of the reference each, in nanoseconds."""
    return [Round(candidate=Burst(wall_ns=[one]), reference=Burst(wall_ns=[other])) for one, other in pairs]


def test_the_latency_is_the_ratio_on_the_references_own_scale():
    # The machine runs at half speed now: the reference takes 20 ms instead of its own 10.
    rounds = Machine(constant(20), constant(50)).measure()
    found = latency(rounds)
    assert found.median_ms == 25
    assert (found.wall_ms, found.p90_ms, found.reference_ms) == (50, 50, 20)
    assert found.rounds == probe.LEAST_ROUNDS
    assert found.runs == 3 * probe.LEAST_ROUNDS
    assert found.drifted
    assert not found.contended
    assert found.agreed
    assert not latency(Machine(constant(10), constant(50)).measure()).drifted


def test_each_is_run_in_bursts_of_20_ms_after_three_runs_unmeasured_and_they_take_turns_at_going_first():
    machine = Machine(constant(4), constant(0.5))
    rounds = machine.measure()
    bursts = [(name, len(list(calls))) for (name, _), calls in itertools.groupby(machine.calls)]
    unkept = len(bursts) - 2 * len(rounds)
    assert unkept == 12  # 51.5 ms each, until 0.3 s are over
    lengths = {"candidate": 3 + 40, "reference": 3 + 5}
    assert bursts[unkept:] == [
        (name, lengths[name])
        for number in range(len(rounds))
        for name in (["candidate", "reference"] if number % 2 == 0 else ["reference", "candidate"])
    ]
    assert {len(one.candidate.cpu_ns) for one in rounds} == {40}
    assert rounds[0].candidate.wall_ns == [500_000] * 40


def test_a_slow_network_is_run_three_times_in_each_burst():
    machine = Machine(constant(10), constant(100))
    rounds = machine.measure()
    assert {len(one.candidate.wall_ns) for one in rounds} == {3}
    assert len(rounds) == probe.LEAST_ROUNDS
    # One round that is not kept, since it takes more than 0.3 s.
    assert machine.loads == {"candidate": len(rounds) + 1, "reference": len(rounds) + 1}


def test_a_machine_that_slows_down_in_the_middle_changes_nothing_and_is_flagged():
    machine = Machine(constant(10), constant(4), slowness=lambda seconds: 1.0 if seconds < 0.8 else 1.5)
    found = latency(machine.measure())
    assert found.median_ms == pytest.approx(4.0)
    assert found.drifted


def test_each_round_loads_both_anew_so_that_memory_moves():
    machine = Machine(constant(10), constant(5))
    machine.measure()
    loads = [load for load, _ in itertools.groupby(machine.calls)]
    assert len(set(loads)) == len(loads)


def test_rounds_go_on_until_the_interval_of_their_mean_is_narrow():
    counts = []
    for spread in (0.01, 0.2, 0.35):
        # Memory moves the candidate: every load another time, the same within it.
        paces = itertools.cycle([10 - spread, 10 + spread, 10 + spread / 2, 10 - spread / 2, 10])
        rounds = Machine(constant(10), paces).measure()
        counts.append(len(rounds))
        assert probe.half_width(rounds) <= 0.01
        assert len(rounds) == probe.LEAST_ROUNDS or probe.half_width(rounds[:-1]) > 0.01
    assert probe.LEAST_ROUNDS == counts[0] < counts[1] < counts[2]


def test_a_measurement_that_does_not_settle_ends_at_its_time():
    machine = Machine(constant(10), itertools.cycle([50, 55, 47, 53, 45]))
    rounds = machine.measure(precision=1e-6, seconds=4.0)
    assert len(rounds) > probe.LEAST_ROUNDS
    assert 4.0 < machine.wall / 1e9 < 5.5


def test_a_core_shared_with_others_is_flagged_and_does_not_lengthen_the_latency():
    alone = latency(Machine(constant(10), constant(5)).measure())
    shared = latency(Machine(constant(10), constant(5), stolen=2).measure())
    assert shared.median_ms == alone.median_ms
    assert shared.contended
    assert shared.wall_ms == 7
    assert not alone.contended


def test_several_threads_are_timed_by_the_wall():
    rounds = Machine(constant(10), constant(5), stolen=10).measure(by_cpu=False)
    assert not rounds[0].candidate.cpu_ns
    found = latency(rounds)
    assert (found.clock, found.median_ms) == ("wall", 7.5)
    assert latency(Machine(constant(10), constant(5)).measure()).clock == "cpu"


def test_the_stopping_rule_knows_students_quantile():
    ratios = [1.0, 1.02, 0.99, 1.01]
    # As many rounds again while the machine is slow; they do not count.
    rounds = rounds_of(*((1000 * x * slow, 1000 * slow) for slow in (1, 2) for x in ratios))
    low, high = stats.t.interval(0.95, 3, loc=1.005, scale=stats.sem(ratios))
    assert probe.half_width(rounds) == pytest.approx((high - low) / 2 / 1.005, rel=0.04)


def test_of_the_rounds_those_count_in_which_the_machine_is_calm():
    calm, slow = (600, 1000), (900, 1200)
    slower = [(900 * (1 + n / 99), 1200 * (1 + n / 99)) for n in range(9)]
    assert probe.calm_ratios(rounds_of(*[calm] * 3, *slower)) == pytest.approx([0.6] * 3 + [0.75])  # four at least
    assert probe.calm_ratios(rounds_of(*[slow] * 4, *[calm] * 4)) == [0.6] * 4
    # Within 10 % of the faster quarter all count, in their order.
    assert probe.calm_ratios(rounds_of((600, 1000), (630, 1050), (651, 1085), (672, 1120), (600, 1000))) == (
        pytest.approx([0.6] * 4)
    )
    # A candidate that is slow by itself counts as much as a slow reference.
    odd = [(600, 1000)] * 6 + [(900, 1000), (600, 1500)]
    assert probe.calm_ratios(rounds_of(*odd)) == [0.6] * 6


def test_a_burst_counts_by_its_median_run_in_cpu_time_where_that_was_read():
    assert Burst(wall_ns=[9, 1, 5, 40], cpu_ns=[2, 2, 3, 90]).median_ns == 2.5
    assert Burst(wall_ns=[9, 1, 5]).median_ns == 5


def of_ratio(ratio, *, spread=0.0):
    return rounds_of(*((round(1e6 * ratio * (1 + sign * spread)), 1_000_000) for sign in (1, -1) * 4))


def test_the_interval_takes_in_the_rounds_and_how_far_processes_lie_apart():
    # Nothing differs here, so it is what is known from before: 0.5 %, as if from four processes more.
    t = stats.t.ppf(0.975, 5)
    alike = [of_ratio(2.0), of_ratio(2.0)]
    assert half_width(alike) == pytest.approx(t * math.sqrt(4 * 0.005**2 / 5 / 2))
    # And that ratios move by 1 % over minutes.
    low, centre, high = interval(alike)
    assert centre == 2.0
    assert high / 2 - 1 == pytest.approx(1 - low / 2)
    assert high / 2 - 1 == pytest.approx(math.hypot(half_width(alike), 1.96 * 0.01), rel=1e-4)
    # Processes 2 % to either side of their mean.
    apart = math.sqrt((4 * 0.005**2 + 2 * 0.02**2) / 5 / 2 + (0.02**2 * 16 / 15) / 16)
    assert half_width([of_ratio(1.96), of_ratio(2.04)]) == pytest.approx(t * apart, rel=1e-3)
    # Rounds 1 % to either side of it; and four processes are known better than two.
    spread = [of_ratio(2.0, spread=0.01)] * 2
    assert half_width(spread) == pytest.approx(t * math.sqrt(4 * 0.005**2 / 5 / 2 + (0.01**2 * 16 / 15) / 16), rel=1e-3)
    assert half_width(spread * 2) < 0.7 * half_width(spread)


@pytest.mark.parametrize(("of_process", "of_minutes"), [(0.003, 0.01), (0.005, 0.01), (0.01, 0.008), (0.003, 0.0)])
def test_the_interval_holds_the_truth_in_95_of_100_measurements_though_processes_and_minutes_differ(
    of_process, of_minutes
):
    generator = random.Random(3)

    def process(now):
        moved = now * generator.gauss(1.0, of_process)
        return rounds_of(*((round(1e9 * moved * generator.gauss(1.0, 0.01)), 1e9) for _ in range(10)))

    minutes = [generator.gauss(1.0, of_minutes) for _ in range(400)]
    intervals = [interval([process(now), process(now)]) for now in minutes]
    covered = sum(low <= 1.0 <= high for low, _, high in intervals) / len(intervals)
    assert covered >= 0.94
    told_apart = [
        not math.exp(-math.hypot(*halves)) < ratio < math.exp(math.hypot(*halves))
        for (low, one, high), (less, other, more) in itertools.pairwise(intervals)
        for ratio, halves in [(one / other, ((high - low) / 2 / one, (more - less) / 2 / other))]
    ]
    assert sum(told_apart) / len(told_apart) <= 0.05


class Scripted:
    """A target whose processes have the given ratios, one after the other, each after a second."""

    name, kind = "scripted", TargetKind.HOST

    def __init__(self, *ratios):
        self.ratios = list(ratios)
        self.jobs = []

    def measure(self, job):
        self.jobs.append(job)
        return of_ratio(self.ratios.pop(0))

    def machine(self, runtime):
        raise AssertionError("how long it takes is all that is asked")

    def now(self):
        return len(self.jobs)


JOB = Job(
    runtime="torch", threads=1, candidate=Path("c"), reference=Path("r"), candidate_shape=(1, 3, 8, 8),
    reference_shape=(1, 3, 8, 8), precision=0.01, seconds=8.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("ratios", "seconds", "processes", "agreed"),
    [
        ((2.0, 2.0), 8.0, 2, True),
        ((2.0, 2.03, 2.0, 2.0), 8.0, 3, True),
        ((2.0, 2.08, 2.0, 2.0), 8.0, 4, True),
        ((2.0, 2.2, 2.4, 2.0), 8.0, 4, False),
        ((2.0, 2.2, 2.4, 2.0), 2.5, 3, False),  # no more once the time is over
        ((2.0, 2.2), 0.0, 2, False),
    ],
)
def test_processes_that_are_far_apart_are_followed_by_others(ratios, seconds, processes, agreed):
    target: Any = Scripted(*ratios)
    found = measure(target, dataclasses.replace(JOB, seconds=seconds), now=target.now)
    assert len(found) == processes
    assert latency(*found).agreed == agreed
    assert {job.seconds for job in target.jobs} == {seconds / 4}


def test_a_latency_tells_its_runs_and_the_waiting_of_the_slowest_tenth():
    bursts = Burst(wall_ns=[4, 5, 6, 9], cpu_ns=[3, 4, 4, 5]), Burst(wall_ns=[9, 9, 30], cpu_ns=[8, 9, 9])
    found = latency([Round(candidate=bursts[0], reference=bursts[1])] * 4, reference_ms=18e-6)
    assert (found.runs, found.rounds) == (16, 4)
    assert found.median_ms == pytest.approx(4 / 9 * 18e-6)
    assert (found.wall_ms, found.p90_ms) == pytest.approx((5.5e-6, 9e-6))
    assert found.reference_ms == pytest.approx(9e-6)
    assert found.contended


def test_a_ratio_is_as_unsure_as_both_of_its_parts():
    base = latency(Machine(constant(10), constant(5)).measure())
    one = dataclasses.replace(base, median_ms=6.0, low_ms=5.82, high_ms=6.18)
    other = dataclasses.replace(base, median_ms=5.0, low_ms=4.8, high_ms=5.2)
    low, ratio, high = ratio_interval(one, other)
    assert ratio == 1.2
    assert high / ratio == pytest.approx(1.0513, abs=1e-4)  # exp(hypot(0.03, 0.04))
    assert low / ratio == pytest.approx(0.9512, abs=1e-4)


def test_pinning_takes_the_fastest_cores_and_always_the_same(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    chosen = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: chosen.append(cores))
    monkeypatch.setattr(probe, "_top_speed", lambda core: 1.8e6 if core == 0 else 2.4e6)  # core 0 is a small one
    probe.pin(2)
    probe.pin(2)
    assert chosen == [[1, 2], [1, 2]]


def test_conditions_are_written_with_the_keys_that_reports_have_and_with_fields_for_programs():
    conditions = LatencyConditions(
        machine="box; chip; 4 cores; Linux", threads=1, precision=0.02, reference="mobilevit_xxs at 128 px",
        reference_ms=4.0, reference_low_ms=3.9, reference_high_ms=4.1, reference_measurements=3,
        reliability="2 measurements, none of them under suspicion", runtime_name="onnxruntime",
        runtime_title="ONNX Runtime", runtime_version="1.32.0", weight_bits=None, target_name="host",
        target_kind=TargetKind.HOST,
    )  # fmt: skip
    assert conditions.to_dict() == {
        "runtime": "ONNX Runtime 1.32.0", "target": "this host", "machine": "box; chip; 4 cores; Linux", "threads": 1,
        "precision": 0.02, "reference": "mobilevit_xxs at 128 px", "reference_ms": 4.0, "reference_low_ms": 3.9,
        "reference_high_ms": 4.1, "reference_measurements": 3,
        "reliability": "2 measurements, none of them under suspicion", "runtime_name": "onnxruntime",
        "runtime_version": "1.32.0", "target_name": "host", "target_kind": "host",
    }  # fmt: skip
    board = dataclasses.replace(conditions, target_name="ssh://pi", target_kind=TargetKind.SSH, weight_bits=7)
    assert board.to_dict() | {"target": "ssh://pi", "runtime": "ONNX Runtime 1.32.0 int8"} == board.to_dict()
    assert board.to_dict()["weight_bits"] == 7
