"""How much does pairing pay: how much narrower is a difference over shared seeds than over independent ones?

Reads the runs of an ablation (``reports/NAME`` or ``experiments/patch_size``) and compares, for each variant, the
standard error of the paired difference with the one that the same runs would give were their seeds not shared. Below 1
pairing pays; 1 means that the seed decides nothing that the variants have in common. All variants are pooled, since the
spread of few seeds is itself hardly known; the range is that over leaving one seed out.

To make the runs again: mvit-nas ablate patch_size --data cifar10 --values 1 2 3 4 8,4,2 --seeds 5
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from mvit_nas.results.ablation.summary import summarise
from mvit_nas.results.table import read_table
from mvit_nas.study.origin import AblationOrigin
from mvit_nas.study.origin_file import read_origin


def ratio(variants: np.ndarray, base: np.ndarray) -> float:
    """Paired over unpaired standard error, pooled over ``variants`` [V, seeds] against ``base`` [seeds]."""
    paired = (variants - base).var(axis=1, ddof=1)
    unpaired = variants.var(axis=1, ddof=1) + base.var(ddof=1)
    return math.sqrt(paired.sum() / unpaired.sum())


def main() -> None:
    """Print the table, and as the last line one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parents[1] / "experiments/patch_size"
    parser.add_argument("folder", nargs="?", type=Path, default=here, help="of results.csv and environment.json")
    folder = parser.parse_args().folder
    origin = read_origin(folder / "environment.json")
    if not isinstance(origin, AblationOrigin):
        parser.error(f"{folder} is no ablation")
    summary = summarise(read_table(folder / "results.csv").records, origin.plan, origin.experiment.score)
    others = summary.others
    everything = np.array([variant.scores for variant in (summary.base, *others)], dtype=float)
    # A seed on which a run failed, or is not there yet, is no pair for all.
    whole = everything[:, ~np.isnan(everything).any(axis=0)]
    base, accuracies = whole[0], whole[1:]
    seeds = len(base)
    if seeds < 3:
        parser.error(f"{folder}: {seeds} seeds with all variants; 3 are needed")
    print(f"{origin.images.name}, {origin.plan.base}, {seeds} seeds, base {summary.base.words}")
    print(f"{'variant':<24} {'paired SE':>10} {'unpaired SE':>12} {'ratio':>6}   (accuracy points)")
    rows = []
    for variant, values in zip(others, accuracies, strict=True):
        paired = (values - base).std(ddof=1) / math.sqrt(seeds)
        unpaired = math.sqrt((values.var(ddof=1) + base.var(ddof=1)) / seeds)
        rows.append(
            {"variant": variant.words, "paired_se": paired, "unpaired_se": unpaired, "ratio": paired / unpaired}
        )
        print(f"{variant.words:<24} {100 * paired:>10.3f} {100 * unpaired:>12.3f} {paired / unpaired:>6.2f}")
    pooled = ratio(accuracies, base)
    without = [ratio(np.delete(accuracies, i, axis=1), np.delete(base, i)) for i in range(seeds)]
    print(f"pooled: {pooled:.2f} ({min(without):.2f} to {max(without):.2f} with one seed left out)")
    print(f"the paired design needs {100 * pooled**2:.0f} % of the seeds that an unpaired one would need")
    document = {"data": origin.images.name, "seeds": seeds, "variants": rows, "pooled_ratio": pooled}
    print(json.dumps(document | {"leave_one_out": [min(without), max(without)]}))


if __name__ == "__main__":
    main()
