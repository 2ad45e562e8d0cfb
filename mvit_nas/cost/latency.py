"""How long a call takes, in a way that comes back tomorrow and on a loaded machine.

The candidate alternates with a fixed reference; what counts is the median of the ratios of neighbouring runs, in CPU
time of the thread where there is one thread. Times the reference's own time on this machine it is the latency.
Background load then shows up as a wider interval and not as another ranking.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

_LEAST_PAIRS = 20
_MOST_PAIRS = 2000
_LEAST_WARMUPS = 3
# A wall time this far above the CPU time means that the thread had to wait for the core.
_CONTENTION = 1.15
# A reference this far from its own time means that the machine runs at another speed than then.
_DRIFT = 0.10

Call = Callable[[], object]
Clock = Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds of one call: the median with its 95 % interval over ``runs`` pairs on ``threads`` threads.

    ``wall_ms`` is the median wall time as it was, waiting included. ``contended``: others held the core at times.
    ``drifted``: the reference ran more than 10 % off its own time, so that the machine was slower or faster.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    threads: int
    wall_ms: float
    contended: bool
    drifted: bool


def cpu_clock(threads: int) -> Clock:
    """Nanoseconds of this thread's CPU time for one thread, else of wall time."""
    return time.thread_time_ns if threads == 1 else time.perf_counter_ns


def own_time(
    call: Call,
    *,
    threads: int,
    seconds: float = 1.0,
    clock: Clock | None = None,
    wall: Clock = time.perf_counter_ns,
) -> float:
    """Median milliseconds of ``call`` over about ``seconds``: the scale that ratios to it are read on."""
    clock = clock or cpu_clock(threads)
    _warm_up(call, wall)
    times: list[int] = []
    end = wall() + seconds * 1e9
    while len(times) < _LEAST_PAIRS or wall() < end:
        start = clock()
        call()
        times.append(clock() - start)
    return statistics.median(times) / 1e6


def measure(
    call: Call,
    reference: Call,
    *,
    reference_ms: float,
    threads: int,
    precision: float = 0.02,
    seconds: float = 3.0,
    clock: Clock | None = None,
    wall: Clock = time.perf_counter_ns,
) -> Latency:
    """The latency of ``call`` on the scale of ``reference``, whose own time is ``reference_ms``.

    Warm-up, then at least 20 pairs, until the interval of the median ratio is within ``precision`` on both sides or
    ``seconds`` have passed.
    """
    clock = clock or cpu_clock(threads)
    _warm_up(reference, wall)
    _warm_up(call, wall)
    ratios: list[float] = []
    walls: list[float] = []
    references: list[float] = []
    waited = ran = 0
    end = wall() + seconds * 1e9
    while True:
        reference_ns, _ = _time(reference, clock, wall)
        call_ns, wall_ns = _time(call, clock, wall)
        ratios.append(call_ns / max(reference_ns, 1))
        references.append(reference_ns / 1e6)
        walls.append(wall_ns / 1e6)
        waited, ran = waited + wall_ns, ran + call_ns
        if len(ratios) < _LEAST_PAIRS:
            continue
        low, median, high = median_interval(ratios)
        narrow = high - median <= precision * median and median - low <= precision * median
        if narrow or wall() >= end or len(ratios) >= _MOST_PAIRS:
            break
    return Latency(
        median_ms=median * reference_ms,
        low_ms=low * reference_ms,
        high_ms=high * reference_ms,
        runs=len(ratios),
        threads=threads,
        wall_ms=statistics.median(walls),
        contended=waited > _CONTENTION * ran,
        drifted=abs(statistics.median(references) / reference_ms - 1) > _DRIFT,
    )


def median_interval(values: list[float]) -> tuple[float, float, float]:
    """(low, median, high): the median with its 95 % interval from the order statistics, free of any distribution.

    Uses the normal approximation of the binomial ranks, for 20 values or more (Conover, "Practical Nonparametric
    Statistics", 3rd edition, section 3.2).
    """
    ordered = sorted(values)
    n = len(ordered)
    reach = 1.96 * n**0.5 / 2
    low = max(0, int(n / 2 - reach) - 1)  # the formula's ranks count from 1
    return ordered[low], statistics.median(ordered), ordered[n - 1 - low]


def _warm_up(call: Call, wall: Clock) -> None:
    end = wall() + 1e8
    runs = 0
    while runs < _LEAST_WARMUPS or wall() < end:
        call()
        runs += 1


def _time(call: Call, clock: Clock, wall: Clock) -> tuple[int, int]:
    wall_start, start = wall(), clock()
    call()
    elapsed = clock() - start
    return elapsed, wall() - wall_start
