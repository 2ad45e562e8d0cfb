"""How long an artefact takes, in a way that comes back tomorrow and on a loaded machine.

The candidate alternates with a fixed reference; what counts is the median of the ratios of neighbouring runs, in CPU
time of the process where there is one thread, while the machine is calmest. Times the reference's own time on that
machine it is the latency. Background load then shows up as a wider interval and not as another ranking.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy import stats

from mvit_nas.cost.probe import Round, calm_ratios
from mvit_nas.cost.targets.target import Job, Target

# A wall time this far above the CPU time means that the process had to wait for the core.
_CONTENTION = 1.15
# A reference this far from its own time means that the machine runs at another speed than then.
_DRIFT = 0.10
# Two measurements whose ratios are this many precisions apart do not agree.
_FAR_APART = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds of one run with their 95 % interval, from ``runs`` pairs in ``rounds`` on ``threads`` threads.

    By the "cpu" or the "wall" ``clock``, on the scale of the reference's own time. ``wall_ms`` and ``p90_ms`` are the
    median and the 90th percentile of the wall time as it was, waiting included, and ``reference_ms`` what the reference
    took meanwhile. ``contended``: others held the core at times. ``drifted``: the reference ran more than 10 % off its
    own time, or changed by as much on the way, so that the machine was slower or faster. ``agreed``: measurements made
    one after the other gave the same.
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


def measure(target: Target, job: Job) -> tuple[list[Round], bool]:
    """Rounds of at least two measurements of ``job``, and whether they agree; where they do not, of three.

    Each is given a third of the job's time. Raises DeviceError and MeasurementError as the target does.
    """
    third = replace(job, seconds=job.seconds / 3)
    first, second = target.measure(third), target.measure(third)
    found = [*first, *second]
    apart = abs(_centre(first) / _centre(second) - 1)
    if apart <= _FAR_APART * job.precision:
        return found, True
    last = target.measure(third)
    centres = sorted(map(_centre, (first, second, last)))
    near = min(centres[1] / centres[0], centres[2] / centres[1]) - 1
    return [*found, *last], near <= _FAR_APART * job.precision


def latency_of(rounds: Sequence[Round], *, reference_ms: float, threads: int, agreed: bool) -> Latency:
    """The latency that ``rounds`` say, where the reference's own time is ``reference_ms``."""
    clock = clock_of(rounds)
    low, centre, high = interval_of_mean(calm_ratios(rounds, clock))
    walls = [ns / 1e6 for one in rounds for ns in one["candidate_wall"]]
    references = [ns / 1e6 for one in rounds for ns in one[f"reference_{clock}"]]
    waited = sum(sum(one["candidate_wall"]) for one in rounds)
    ran = sum(sum(one[f"candidate_{clock}"]) for one in rounds)
    begun, ended = references[: len(references) // 3 or 1], references[-(len(references) // 3 or 1) :]
    speeds = (
        statistics.median(references) / reference_ms,
        statistics.median(ended) / statistics.median(begun),
    )
    return Latency(
        median_ms=centre * reference_ms,
        low_ms=low * reference_ms,
        high_ms=high * reference_ms,
        runs=len(walls),
        rounds=len(rounds),
        threads=threads,
        clock=clock,
        wall_ms=statistics.median(walls),
        p90_ms=statistics.quantiles(walls, n=10, method="inclusive")[-1] if len(walls) > 1 else walls[0],
        reference_ms=statistics.median(references),
        contended=waited > _CONTENTION * ran,
        drifted=any(abs(speed - 1) > _DRIFT for speed in speeds),
        agreed=agreed,
    )


def clock_of(rounds: Sequence[Round]) -> str:
    """ "cpu" where CPU times were read, else "wall"."""
    return "cpu" if "candidate_cpu" in rounds[0] else "wall"


def interval_of_mean(values: Sequence[float]) -> tuple[float, float, float]:
    """(low, mean, high): the mean with Student's 95 % interval, for 2 values or more."""
    mean = statistics.mean(values)
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return mean - half, mean, mean + half


def ratio_interval(one: Latency, other: Latency) -> tuple[float, float, float]:
    """(low, ratio, high): how many times as long as ``other`` the ``one`` takes, both on one scale.

    The relative half widths of two independent measurements add as their squares.
    """
    half = math.hypot(*((latency.high_ms - latency.low_ms) / 2 / latency.median_ms for latency in (one, other)))
    ratio = one.median_ms / other.median_ms
    return ratio * math.exp(-half), ratio, ratio * math.exp(half)


def _centre(rounds: Sequence[Round]) -> float:
    return statistics.mean(calm_ratios(rounds, clock_of(rounds)))
