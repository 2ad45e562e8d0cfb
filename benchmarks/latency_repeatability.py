"""Does a latency come back, and does it put close networks in the right order on a machine that is busy?

Eight networks of a space, neighbours 3 to 12 % apart, are exported to one runtime and measured ten times each, in
turns, while a process keeps another core busy. The truth is a longer measurement of each beforehand,
without that load. Reported: how often all eight come out in the true order, tau with it, and the coefficient of
variation of each network over the repetitions; the same for the median wall time of the same runs, which is what most
tools report.

    python benchmarks/latency_repeatability.py [--space mobilevit_small] [--runtime onnxruntime] [--repetitions 10]
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from scipy.stats import kendalltau

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.space import fix_image_size, load_space
from mvit_nas.artifacts.checked import export
from mvit_nas.cost.latency import latency_of, measure
from mvit_nas.cost.runtimes.registry import find_runtime
from mvit_nas.cost.targets.python import this_host
from mvit_nas.cost.targets.target import Job
from mvit_nas.errors import InvalidArchError

# By space, the images' side and, of the networks drawn with seed 0, eight whose neighbours were 3 to 12 % apart on ONNX
# Runtime.
_CHOSEN = {
    "mobilevit": (256, (3, 107, 96, 7, 46, 77, 71, 9)),
    "mobilevit_small": (64, (55, 5, 61, 26, 34, 24, 77, 83)),
}
_CLASSES = 100


def networks(name: str) -> list[ArchConfig]:
    """The eight of the space ``name``, always the same."""
    side, chosen = _CHOSEN[name]
    space, generator = fix_image_size(load_space(name), side), random.Random(0)
    found: dict[str, ArchConfig] = {}
    while len(found) <= max(chosen):
        with contextlib.suppress(InvalidArchError):
            arch = space.arch(space.draw(generator))
            found.setdefault(arch_id(arch), arch)
    return [list(found.values())[index] for index in chosen]


def keep_busy(core: int) -> None:
    """Compute on one core for ever."""
    os.sched_setaffinity(0, {core})
    values = [random.random() for _ in range(100_000)]
    while True:
        values.sort(key=lambda value: (value * 7919) % 1)


@contextlib.contextmanager
def load() -> Iterator[None]:
    """A process that keeps the last core busy meanwhile."""
    process = multiprocessing.get_context("spawn").Process(
        target=keep_busy, args=(max(os.sched_getaffinity(0)),), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def main() -> None:
    """Print a table, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="mobilevit", choices=_CHOSEN)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--repetitions", type=int, default=10)
    arguments = parser.parse_args()
    runtime, target = find_runtime(arguments.runtime), this_host()
    machine = target.machine(runtime.name)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for index, arch in enumerate(networks(arguments.space)):
            paths.append(Path(folder) / f"{index}{runtime.suffix}")
            export(runtime, arch, paths[-1], classes=_CLASSES)
        shape = (1, 3, *[_CHOSEN[arguments.space][0]] * 2)
        reference = paths[len(paths) // 2]

        def once(path: Path, *, precision: float, seconds: float) -> tuple[float, float, float]:
            """(ratio to the reference, wall milliseconds, seconds that it took)."""
            start = time.perf_counter()
            job = Job(
                runtime=runtime.name,
                threads=1,
                candidate=path,
                reference=reference,
                candidate_shape=shape,
                reference_shape=shape,
                precision=precision,
                seconds=seconds,
            )
            rounds, agreed = measure(target, job)
            latency = latency_of(rounds, reference_ms=1.0, threads=1, agreed=agreed)
            return latency.median_ms, latency.wall_ms, time.perf_counter() - start

        truth = [once(path, precision=0.003, seconds=24.0)[0] for path in paths]
        with load():
            found = []
            for _ in range(arguments.repetitions):
                found.append([once(path, precision=0.01, seconds=6.0) for path in paths])
                print(found[-1], file=sys.stderr, flush=True)  # not to lose it all in the last minute
    order = sorted(range(len(truth)), key=truth.__getitem__)
    estimates = {}
    for name, column in (("CPU ratio to a reference", 0), ("median wall time", 1)):
        table = [[one[column] for one in repetition] for repetition in found]
        spreads = [statistics.stdev(values) / statistics.mean(values) for values in zip(*table, strict=True)]
        estimates[name] = {
            "right_order": sum(sorted(range(len(row)), key=row.__getitem__) == order for row in table) / len(table),
            "tau": statistics.mean(float(kendalltau(truth, row).statistic) for row in table),
            "variation": statistics.median(spreads),
            "largest_variation": max(spreads),
        }
    steps = [after / before - 1 for before, after in zip(sorted(truth), sorted(truth)[1:], strict=False)]
    seconds = [one[2] for repetition in found for one in repetition]
    print(
        f"{arguments.space}, {runtime.title} {machine.runtime_version}, {machine.processor}, {len(found)} repetitions"
    )
    print(f"neighbours {100 * min(steps):.1f} to {100 * max(steps):.1f} % apart; {max(seconds):.1f} s at most for each")
    print(f"{'estimate':<26}{'right order':>12}{'tau':>8}{'variation':>11}{'largest':>9}")
    for name, one in estimates.items():
        print(
            f"{name:<26}{100 * one['right_order']:>10.0f} %{one['tau']:>8.2f}"
            f"{100 * one['variation']:>9.2f} %{100 * one['largest_variation']:>7.2f} %"
        )
    document = {
        "space": arguments.space,
        "runtime": f"{runtime.title} {machine.runtime_version}",
        "processor": machine.processor,
        "truth": truth,
        "steps": steps,
        "estimates": estimates,
        "seconds": {"median": statistics.median(seconds), "largest": max(seconds)},
        "ratios": [[one[0] for one in repetition] for repetition in found],
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
