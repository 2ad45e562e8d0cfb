"""How fast is a candidate's cost known without a model, and how fast is a budget sampled?

For each shipped space: milliseconds to count parameters and multiply-adds of an architecture in closed form, to
draw, build and name one as the search does, and to count the same by fvcore on the built model, for comparison.
Medians over random architectures, one thread, CPU time.

    python benchmarks/count_speed.py [--samples 300]
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.count import count
from mvit_nas.arch.space import load_space
from mvit_nas.cost.static import count_macs
from mvit_nas.errors import InvalidArchError
from mvit_nas.nn.backbone import build
from mvit_nas.optimize.designs import Designs


def milliseconds(call: Callable[[], object]) -> float:
    """CPU milliseconds of one call."""
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1e6


def by_fvcore(arch: ArchConfig) -> int:
    """Multiply-adds of the built model."""
    return count_macs(build(arch), torch.zeros(1, 3, arch.image_size, arch.image_size))


def main() -> None:
    """Print a table, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=300)
    samples = parser.parse_args().samples
    torch.set_num_threads(1)
    results = {}
    for name in ("mobilevit", "mobilevit_small"):
        space, generator = load_space(name), random.Random(0)
        designs = Designs(space, classes=1000)
        counts: list[float] = []
        draws: list[float] = []
        archs: list[ArchConfig] = []
        while len(archs) < samples:
            labels = space.draw(generator)
            try:
                arch = space.arch(labels)
            except InvalidArchError:
                continue
            archs.append(arch)
            counts.append(milliseconds(partial(count, arch)))
            draws.append(milliseconds(partial(designs.describe, labels)))
        traced = [milliseconds(partial(by_fvcore, arch)) for arch in archs[:5]]
        results[name] = {
            "count_ms": round(statistics.median(counts), 4),
            "draw_and_count_ms": round(statistics.median(draws), 4),
            "fvcore_ms": round(statistics.median(traced), 1),
        }
        print(f"{name:<16} closed form {results[name]['count_ms']:.3f} ms, drawn, named and counted "
              f"{results[name]['draw_and_count_ms']:.3f} ms, fvcore {results[name]['fvcore_ms']:.0f} ms")  # fmt: skip
    print(json.dumps({"samples": samples, "results": results}))


if __name__ == "__main__":
    main()
