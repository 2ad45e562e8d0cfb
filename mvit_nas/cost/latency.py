"""How long an artefact takes, in a way that comes back tomorrow and on a loaded machine.

Bursts of runs of the candidate alternate with bursts of a fixed reference; what counts is the ratio of their medians,
in CPU time of the process where there is one thread, while the machine is calm. Times the reference's own time on that
machine it is the latency. Background load then shows up as a wider interval and not as another ranking.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from scipy import stats

from mvit_nas.cost.probe import Round, calm_ratios, calm_rounds
from mvit_nas.cost.targets.registry import Target
from mvit_nas.cost.targets.target import Job, TargetKind

# A wall time this far above the CPU time means that the process had to wait for the core.
_CONTENTION = 1.15
# A reference this far from its own time means that the machine runs at another speed than then.
_DRIFT = 0.10
# An interval this many times as wide as was asked for means that repetitions do not agree.
_FAR_APART = 2.0
# A latency is of this many processes at least, and at most.
_LEAST_PROCESSES, _MOST_PROCESSES = 2, 4
# The standard deviation of the ratio over processes on a calm host, and how many processes that knowledge is worth.
_PROCESS_SPREAD, _KNOWN_PROCESSES = 0.005, 4
# The same over minutes, in which other guests of a shared host come and go: 0.4 to 2.2 % for five networks, twenty
# measurements each. No further process of the same minute makes it less.
_MINUTES_SPREAD = 0.01

# The rounds of each process.
Processes = Sequence[Sequence[Round]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds of one run with their 95 % interval, from ``runs`` in ``rounds`` on ``threads`` threads.

    By the "cpu" or the "wall" ``clock``, on the scale of the reference's own time. ``wall_ms`` and ``p90_ms`` are the
    median and the 90th percentile of the wall time as it was, waiting included, and ``reference_ms`` what the reference
    took meanwhile. ``contended``: others held the core at times. ``drifted``: the reference ran more than 10 % off its
    own time, or changed by as much on the way, so that the machine was slower or faster. ``agreed``: processes that
    measured one after the other gave the same, to twice the precision that was asked for.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    rounds: int
    threads: int
    clock: str
    wall_ms: float
    p90_ms: float
    reference_ms: float
    contended: bool
    drifted: bool
    agreed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyConditions:
    """What latencies hang on. ``target_name`` is what people type, ``machine`` what must be the same for one scale.

    ``weight_bits`` are those of int8's weights, None for float32. The reference took ``reference_low_ms`` to
    ``reference_high_ms`` in so many measurements; ``reference_ms`` is what all latencies are ratios to.
    ``reliability`` says in words what speaks against them.
    """

    machine: str
    threads: int
    precision: float
    reference: str
    reference_ms: float
    reference_low_ms: float
    reference_high_ms: float
    reference_measurements: int
    reliability: str
    runtime_name: str
    runtime_title: str
    runtime_version: str
    weight_bits: int | None
    target_name: str
    target_kind: TargetKind

    @property
    def runtime(self) -> str:
        """The runtime with its version, for people."""
        return f"{self.runtime_title} {self.runtime_version}" + " int8" * (self.weight_bits is not None)

    @property
    def target(self) -> str:
        """The target, for people."""
        return "this host" if self.target_kind is TargetKind.HOST else self.target_name

    def to_dict(self) -> dict[str, object]:
        """As ``environment.json`` and ``latency --json`` have it."""
        plain = asdict(self) | {"target_kind": str(self.target_kind)}
        del plain["runtime_title"]
        if self.weight_bits is None:
            del plain["weight_bits"]
        return {"runtime": self.runtime, "target": self.target} | plain


def measure(target: Target, job: Job, *, now: Callable[[], float] = time.monotonic) -> list[list[Round]]:
    """The rounds of two processes, and of up to two more until ``half_width`` is within the job's precision.

    Each is given a quarter of the job's time, and none is started once that is over. Raises DeviceError and
    MeasurementError as the target does.
    """
    quarter, end = replace(job, seconds=job.seconds / _MOST_PROCESSES), now() + job.seconds
    found = [target.measure(quarter) for _ in range(_LEAST_PROCESSES)]
    while len(found) < _MOST_PROCESSES and half_width(found) > job.precision and now() < end:
        found.append(target.measure(quarter))
    return found


def interval(processes: Processes) -> tuple[float, float, float]:
    """(low, centre, high): the mean ratio of candidate to reference in calm rounds with its 95 % interval.

    It covers what another measurement would give minutes later: ``half_width`` and the spread over minutes.
    """
    centre = _centre(processes)
    half = centre * math.hypot(half_width(processes), float(stats.norm.ppf(0.975)) * _MINUTES_SPREAD)
    return centre - half, centre, centre + half


def half_width(processes: Processes) -> float:
    """Half of the 95 % interval of what these minutes would give, as a share of the centre.

    Two independent errors add: that of the mean over rounds, and that of the processes, which differ by more than their
    rounds do. How much is known from before, as if from four other processes, and from these.
    """
    ratios = calm_ratios([one for rounds in processes for one in rounds])
    centre = _centre(processes)
    centres = [statistics.mean(calm_ratios(rounds)) / centre for rounds in processes]
    freedom = _KNOWN_PROCESSES + len(processes) - 1
    apart = sum((one - statistics.mean(centres)) ** 2 for one in centres)
    of_processes = (_KNOWN_PROCESSES * _PROCESS_SPREAD**2 + apart) / freedom / len(processes)
    of_rounds = statistics.variance(ratios) / centre**2 / len(ratios)
    return float(stats.t.ppf(0.975, freedom)) * math.sqrt(of_processes + of_rounds)


def _centre(processes: Processes) -> float:
    return statistics.mean(calm_ratios([one for rounds in processes for one in rounds]))


def latency_of(processes: Processes, *, reference_ms: float, threads: int, precision: float) -> Latency:
    """The latency that ``processes`` say, where the reference's own time is ``reference_ms``."""
    rounds = [one for process in processes for one in process]
    low, centre, high = interval(processes)
    walls = [ns / 1e6 for one in rounds for ns in one.candidate.wall_ns]
    waited = sum(sum(one.candidate.wall_ns) for one in rounds)
    ran = sum(sum(one.candidate.cpu_ns or one.candidate.wall_ns) for one in rounds)
    meanwhile_ms = statistics.median(one.reference.median_ns for one in calm_rounds(rounds)) / 1e6
    references = [one.reference.median_ns for one in rounds]
    third = len(references) // 3 or 1
    speeds = (
        meanwhile_ms / reference_ms,
        statistics.median(references[-third:]) / statistics.median(references[:third]),
    )
    return Latency(
        median_ms=centre * reference_ms,
        low_ms=low * reference_ms,
        high_ms=high * reference_ms,
        runs=len(walls),
        rounds=len(rounds),
        threads=threads,
        clock="cpu" if rounds[0].candidate.cpu_ns else "wall",
        wall_ms=statistics.median(walls),
        p90_ms=statistics.quantiles(walls, n=10, method="inclusive")[-1] if len(walls) > 1 else walls[0],
        reference_ms=meanwhile_ms,
        contended=waited > _CONTENTION * ran,
        drifted=any(abs(speed - 1) > _DRIFT for speed in speeds),
        agreed=half_width(processes) <= _FAR_APART * precision,
    )


def ratio_interval(one: Latency, other: Latency) -> tuple[float, float, float]:
    """(low, ratio, high): how many times as long as ``other`` the ``one`` takes, both on one scale.

    The relative half widths of two independent measurements add as their squares.
    """
    half = math.hypot(*((latency.high_ms - latency.low_ms) / 2 / latency.median_ms for latency in (one, other)))
    ratio = one.median_ms / other.median_ms
    return ratio * math.exp(-half), ratio, ratio * math.exp(half)
