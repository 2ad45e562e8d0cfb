"""Are two trainings of one thread each faster than one training with two threads?

Real training steps on noise, for three sizes of network: as many processes as there are cores, each pinned to one with
one thread, against one process with all of them, in turns. Reported: images a second in all, and the ratio.

    python benchmarks/jobs_or_threads.py
"""

import argparse
import multiprocessing
import os
import statistics
import time
from typing import Any

import torch

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.nn.backbone import build

_BATCH, _WARM = 16, 3
_CASES = {
    "XXS, 32 px": ("mobilevit_xxs", 32),
    "XXS, 64 px": ("mobilevit_xxs", 64),
    "S, 64 px": ("mobilevit_s", 64),
}


def _steps(case: str, cores: set[int], seconds: float, barrier: Any, found: Any) -> None:
    """Train for so long on ``cores``, and put the images a second."""
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    preset, side = _CASES[case]
    arch = with_values(PRESETS[preset], {"image_size": side})
    model = build(arch, classes=10).train()
    optimizer = torch.optim.AdamW(model.parameters(), foreach=True)
    images, labels = torch.randn(_BATCH, 3, side, side), torch.randint(0, 10, (_BATCH,))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    for _ in range(_WARM):
        step()
    barrier.wait()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step()
        steps += 1
    found.put(steps * _BATCH / (time.perf_counter() - start))


def images_per_second(case: str, groups: list[set[int]], seconds: float) -> float:
    """Of a process on each of the ``groups`` of cores, in all."""
    context = multiprocessing.get_context("spawn")
    barrier, found = context.Barrier(len(groups)), context.Queue()
    processes = [context.Process(target=_steps, args=(case, one, seconds, barrier, found)) for one in groups]
    for one in processes:
        one.start()
    rates: list[float] = [found.get() for _ in processes]
    for one in processes:
        one.join()
    return sum(rates)


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    ways = {"one process": [set(cores)], "one a core": [{core} for core in cores]}
    for case in _CASES:
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, groups in ways.items():
                rates[name].append(images_per_second(case, groups, arguments.seconds))
        ratios = [many / one for many, one in zip(rates["one a core"], rates["one process"], strict=True)]
        words = ", ".join(f"{name} {statistics.median(values):.0f}" for name, values in rates.items())
        low, high = min(ratios), max(ratios)
        print(
            f"{case}: images a second {words}; ratio {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
