"""Does a latency come back, does its interval hold what repeated measurements show, and are equal networks told apart?

Five networks of 0.3 to 100 ms are measured again and again as `mvit-nas latency` does it, each repetition in processes
of its own and with a fresh cache, so that the reference's own time is taken anew as well: first on the host as it is
(shut down whatever else runs), then beside a process that keeps another core busy. Reported by network: the coefficient
of variation of the milliseconds and of the ratio to the reference; how often one repetition's ratio lies in another's
95 % interval (83 % where the interval is right, since both err); and how often two repetitions, which are of equal
graphs, are told apart (5 % where it is right).

Every measurement is a line of LOG as soon as it is there; the same command goes on where it was stopped.

    python benchmarks/latency_repeatability.py LOG [--repetitions 10] [--conditions calm,busy] [--precision 2]
"""

import argparse
import contextlib
import itertools
import json
import math
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.cost.runtimes.registry import find_runtime
from mvit_nas.cost.targets.python import this_host
from mvit_nas.evaluate.latency import LatencyMeter

_XXS, _S = PRESETS["mobilevit_xxs"], PRESETS["mobilevit_s"]
_SMALL = {"image_size": 32, "stages.*.blocks": 1, "stages.*.mobilevit.depth": 1, "head_expansion": 2.0}
NETWORKS = {
    "small at 32 px": with_values(_XXS, _SMALL),
    "xxs at 128 px": with_values(_XXS, {"image_size": 128}),
    "xxs at 256 px": _XXS,
    "s at 256 px": _S,
    "s at 320 px": with_values(_S, {"image_size": 320}),
}
_CLASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measurement: milliseconds and their interval, where the reference's own time was ``anchor_ms``."""

    condition: str
    repetition: int
    network: str
    median_ms: float
    low_ms: float
    high_ms: float
    anchor_ms: float
    reference_ms: float
    wall_ms: float
    seconds: float
    is_flagged: bool
    load: float

    @property
    def key(self) -> tuple[str, int, str]:
        """Which measurement it is."""
        return self.condition, self.repetition, self.network

    @property
    def ratio(self) -> float:
        """To the reference."""
        return self.median_ms / self.anchor_ms

    @property
    def half(self) -> float:
        """Half of the interval, as a share."""
        return (self.high_ms - self.low_ms) / 2 / self.median_ms


def keep_busy(core: int) -> None:
    """Compute on one core for ever."""
    os.sched_setaffinity(0, {core})
    values = [random.random() for _ in range(100_000)]
    while True:
        values.sort(key=lambda value: (value * 7919) % 1)


@contextlib.contextmanager
def load(condition: str) -> Iterator[None]:
    """A process that keeps the last core busy meanwhile, where the ``condition`` is busy."""
    if condition != "busy":
        yield
        return
    process = multiprocessing.get_context("spawn").Process(
        target=keep_busy, args=(max(os.sched_getaffinity(0)),), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def measured(arch: ArchConfig, meter: LatencyMeter, *, key: tuple[str, int, str]) -> Line:
    """One measurement; its ``seconds`` are without those of the reference by itself."""
    anchor_ms = meter.anchors_ms()[0]
    start = time.perf_counter()
    latency = meter.latency(arch, classes=_CLASSES).latency
    condition, repetition, network = key
    return Line(
        condition=condition,
        repetition=repetition,
        network=network,
        median_ms=latency.median_ms,
        low_ms=latency.low_ms,
        high_ms=latency.high_ms,
        anchor_ms=anchor_ms,
        reference_ms=latency.reference_ms,
        wall_ms=latency.wall_ms,
        seconds=time.perf_counter() - start,
        is_flagged=latency.contended or latency.drifted or not latency.agreed,
        load=os.getloadavg()[0],
    )


def variation(values: Sequence[float]) -> float:
    """The standard deviation as a share of the mean."""
    return statistics.stdev(values) / statistics.mean(values)


def summary(lines: Sequence[Line]) -> dict[str, float]:
    """What repeated measurements of one network say, two or more."""
    pairs = list(itertools.permutations(lines, 2))
    return {
        "repetitions": len(lines),
        "ms": statistics.median(one.median_ms for one in lines),
        "variation_ms": variation([one.median_ms for one in lines]),
        "variation_ratio": variation([one.ratio for one in lines]),
        "half_width": statistics.median(one.half for one in lines),
        "within": statistics.mean(abs(other.ratio / one.ratio - 1) <= one.half for one, other in pairs),
        "told_apart": statistics.mean(
            abs(math.log(one.ratio / other.ratio)) > math.hypot(one.half, other.half) for one, other in pairs
        ),
        "flagged": statistics.mean(one.is_flagged for one in lines),
        "seconds": statistics.median(one.seconds for one in lines),
    }


def main() -> None:
    """Print a table, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--conditions", default="calm,busy")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--precision", type=float, default=2.0, help="percent")
    parser.add_argument("--seconds", type=float, default=8.0, help="at most for each")
    arguments = parser.parse_args()
    names = arguments.networks.split(",")
    runtime, target = find_runtime(arguments.runtime), this_host()
    lines = (
        [Line(**json.loads(text)) for text in arguments.log.read_text().splitlines()] if arguments.log.exists() else []
    )
    done = {line.key for line in lines}
    for condition in arguments.conditions.split(","):
        keys = list(itertools.product([condition], range(arguments.repetitions), names))
        with load(condition):
            for key in (key for key in keys if key not in done):
                meter = LatencyMeter(
                    runtime,
                    target,
                    threads=1,
                    precision=arguments.precision / 100,
                    seconds=arguments.seconds,
                    folder=arguments.log.with_suffix(".cache") / f"{condition}-{key[1]}",
                )
                lines.append(measured(NETWORKS[key[2]], meter, key=key))
                with arguments.log.open("a") as file:
                    file.write(json.dumps(asdict(lines[-1])) + "\n")
                print(f"{key}: {lines[-1].median_ms:.3f} ms ± {lines[-1].half:.1%}", file=sys.stderr, flush=True)
    machine = target.machine(runtime.name)
    print(f"{runtime.title} {machine.runtime_version}, {machine.processor}, precision {arguments.precision:g} %")
    titles = ("ms", "CV of ms", "CV of ratio", "half width", "within", "told apart", "flagged", "seconds")
    print(f"{'condition':<10}{'network':<16}{'times':>6}" + "".join(f"{title:>12}" for title in titles))
    found: list[dict[str, object]] = []
    for condition, name in itertools.product(arguments.conditions.split(","), names):
        of_network = [line for line in lines if (line.condition, line.network) == (condition, name)]
        if len(of_network) < 2:
            continue
        one = summary(of_network)
        shares = ("variation_ms", "variation_ratio", "half_width", "within", "told_apart", "flagged")
        cells = [f"{one['ms']:.3f}", *(f"{100 * one[key]:.2f} %" for key in shares), f"{one['seconds']:.1f}"]
        print(f"{condition:<10}{name:<16}{one['repetitions']:>6}" + "".join(f"{cell:>12}" for cell in cells))
        found.append({"condition": condition, "network": name, **one})
    document = {"runtime": f"{runtime.title} {machine.runtime_version}", "processor": machine.processor}
    print(json.dumps({**document, "precision": arguments.precision / 100, "networks": found}))


if __name__ == "__main__":
    main()
