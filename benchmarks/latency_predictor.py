"""How many measurements teach how well to foresee a latency?

For random networks of a shipped space, measured by ONNX Runtime on one thread of this host (or read from the cache,
where they were measured before), and for random splits: the predictor learns from some and foresees up to 40 others.
Given are the median and the 90th percentile of its relative error and Kendall's tau; the error that it states, and the
share of the others within the 90 % error that it states; the same for a price of multiply-adds alone. And what the
search makes of it, with a budget at the median latency: the share of what is over the budget that is not measured, and
the share of what is within it that is wrongly left out. A network takes about 20 seconds to measure.

    python benchmarks/latency_predictor.py [--spaces mobilevit_small:64 mobilevit:256] [--networks 100] [--splits 20]
"""

import argparse
import json
import random
import time
from collections.abc import Iterator

import numpy as np
import torch
from scipy.stats import kendalltau

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.count import count, features
from mvit_nas.arch.space import fix_image_size, load_space
from mvit_nas.cost.predict import LEAST, fit
from mvit_nas.cost.runtimes.registry import find_runtime
from mvit_nas.cost.targets.python import this_host
from mvit_nas.errors import InvalidArchError
from mvit_nas.evaluate.latency import LatencyMeter

CLASSES = {"mobilevit_small": 100, "mobilevit": 1000}
LEAST_UNSEEN, MOST_UNSEEN = 15, 40
LESSONS = (LEAST, 20, 40, 60)
COLUMNS = {
    "median": "error",
    "p90": "p90",
    "tau": "tau",
    "stated": "stated",
    "covered": "within 90 %",
    "macs_median": "macs: error",
    "macs_tau": "tau",
    "spared": "spared",
    "wronged": "wronged",
}


def networks(space_name: str, side: int) -> Iterator[ArchConfig]:
    """Different random networks of a space, always the same."""
    space, generator, seen = fix_image_size(load_space(space_name), side), random.Random(0), set()
    while True:
        try:
            arch = space.arch(space.draw(generator))
        except InvalidArchError:
            continue
        if arch_id(arch) not in seen:
            seen.add(arch_id(arch))
            yield arch


def judge(
    archs: list[ArchConfig], measured_ms: np.ndarray, classes: int, lessons: int, splits: int
) -> dict[str, float]:
    """Means over random splits of what the docstring names, for ``lessons`` measurements to learn from."""
    known = [features(arch, classes=classes) for arch in archs]
    macs = np.array([count(arch, classes=classes).macs for arch in archs], float)
    generator = np.random.default_rng(0)
    found: dict[str, list[float]] = {}
    for _ in range(splits):
        order = generator.permutation(len(archs))
        taught, unseen = order[:lessons], order[lessons : lessons + MOST_UNSEEN]
        start = time.process_time()
        predictor = fit([known[i] for i in taught], list(measured_ms[taught]))
        fitted = time.process_time()
        assert predictor is not None  # there are enough lessons
        foreseen = predictor.predict([known[i] for i in unseen])
        predicted = time.process_time()
        truth, budget = measured_ms[unseen], np.median(measured_ms)
        errors = np.abs(foreseen / truth - 1)
        by_macs = macs[unseen] * np.median(measured_ms[taught] / macs[taught])
        left_out = foreseen > budget * (1 + predictor.error_90)
        for name, value in {
            "median": np.median(errors),
            "p90": np.quantile(errors, 0.9),
            "tau": kendalltau(foreseen, truth).statistic,
            "stated": predictor.error,
            "stated_90": predictor.error_90,
            "covered": np.mean(errors <= predictor.error_90),
            "macs_median": np.median(np.abs(by_macs / truth - 1)),
            "macs_tau": kendalltau(by_macs, truth).statistic,
            "spared": np.mean(left_out[truth > budget]),
            "wronged": np.mean(left_out[truth <= budget]),
            "fit_ms": 1e3 * (fitted - start),
            "predict_1000_ms": 1e6 * (predicted - fitted) / len(unseen),
        }.items():
            found.setdefault(name, []).append(float(value))
    means = {name: round(float(np.mean(values)), 4) for name, values in found.items()}
    return means | {"worst_median": round(max(found["median"]), 4), "worst_tau": round(min(found["tau"]), 4)}


def main() -> None:
    """Print a table for each space, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=["mobilevit_small:64", "mobilevit:256"])
    parser.add_argument("--networks", nargs="+", type=int, default=[100], help="of each space, or one for each")
    parser.add_argument("--splits", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    meter = LatencyMeter(find_runtime("onnxruntime"), this_host(), threads=1, precision=0.01, seconds=6.0)
    numbers = arguments.networks * (len(arguments.spaces) if len(arguments.networks) == 1 else 1)
    results = {}
    for name, number in zip(arguments.spaces, numbers, strict=True):
        space_name, _, side = name.partition(":")
        drawn = networks(space_name, int(side))
        archs = [next(drawn) for _ in range(number)]
        latencies = [meter.latency(arch, classes=CLASSES[space_name]).latency for arch in archs]
        measured_ms = np.array([latency.median_ms for latency in latencies])
        noise = float(np.median([(one.high_ms - one.low_ms) / 2 / one.median_ms for one in latencies]))
        print(
            f"\n{name}: {number} networks of {measured_ms.min():.2f} to {measured_ms.max():.2f} ms, each ± {noise:.1%}"
        )
        print("learned from" + "".join(f"{title:>13}" for title in COLUMNS.values()))
        results[name] = {
            "networks": number,
            "low_ms": round(float(measured_ms.min()), 3),
            "high_ms": round(float(measured_ms.max()), 3),
            "half_interval": round(noise, 4),
            "learned_from": {},
        }
        for lessons in LESSONS:
            if lessons + LEAST_UNSEEN > number:
                break
            row = judge(archs, measured_ms, CLASSES[space_name], lessons, arguments.splits)
            results[name]["learned_from"][lessons] = row
            cells = [f"{row[key]:13.3f}" if "tau" in key else f"{row[key]:13.1%}" for key in COLUMNS]
            print(f"{lessons:12}" + "".join(cells))
    known = meter.conditions().to_dict()
    conditions = {name: known[name] for name in ("runtime", "threads", "precision", "reference", "reference_ms")}
    print(json.dumps({"conditions": conditions, "splits": arguments.splits, "results": results}))


if __name__ == "__main__":
    main()
