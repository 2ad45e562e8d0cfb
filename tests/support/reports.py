"""Searches that could have been, as rows, tables and views of them, and what a page holds."""

import base64
import gzip
import random
import re
import sys
from pathlib import Path

from sure import sure

from mvit_nas.metrics import ACCURACY
from mvit_nas.results.report import write_ablation, write_search
from mvit_nas.results.search.findings import findings
from mvit_nas.results.table import Table, table_of
from mvit_nas.results.view import StudyView
from mvit_nas.study.origin import AblationOrigin, SearchOrigin
from mvit_nas.study.origin_file import parse_origin

PRESETS = [
    ("mobilevit_xxs", 0.631, 951_000, 261_000_000, 7.4),
    ("mobilevit_xs", 0.668, 1_934_000, 706_000_000, 14.1),
    ("mobilevit_s", 0.689, 4_938_000, 1_421_000_000, 22.8),
]


def environment(**changes):
    document = {
        "study": "Shirts and shoes within six million",
        "command": "mvit-nas search --data clothing --budget 6M --trials 36 --seed 0",
        "created": "2026-11-21T09:21:48+00:00",
        "mvit_nas": "0.1.0",
        "python": "3.12.3",
        "packages": {"torch": "2.12.0+cpu", "optuna": "5.0.1", "numpy": "2.4.6"},
        "commit": None,
        "hardware": {
            "processor": "AMD EPYC 7B13",
            "cores": 2,
            "memory_gib": 7.8,
            "gpu": None,
            "system": "Linux 6.8",
        },
        "device": "cpu",
        "data": {
            "name": "clothing",
            "source": "clothing/",
            "fingerprint": "sha256:4b0c9d31",
            "classes": ["dress", "hat", "<script>alert(1)</script>"],
            "images": {"train": 2463, "validation": 341, "test": 372},
            "skipped": ["train/hat/broken.jpg: truncated"],
            "notes": [],
        },
        "space": {
            "name": "mobilevit_small",
            "settings": 46656,
            "networks": 31104,
            "text": "base: mobilevit_xs\nfactors:\n  width: [0.5, 0.75, 1.0]\n  patch_size: [1, 2, 4]\n",
        },
        "experiment": {
            "budgets": [{"metric": "params", "low": 0.0, "high": 6e6}],
            "objectives": ["accuracy", "params", "latency_ms"],
            "schedule": {"name": "short", "epochs": 8, "image_size": 64, "learning_rate": 0.002},
            "seed": 0,
            "latency": {"runtime": "onnxruntime", "target": "host", "threads": 1},
            "measure_front": ["executorch"],
        },
        "latency": {
            "runtime": "ONNX Runtime 1.31.1",
            "target": "this host",
            "machine": "bench; AMD EPYC 7B13; 2 cores; Linux 6.8",
            "threads": 1,
            "precision": 0.02,
            "reference": "mobilevit_xxs at 128 px",
            "reference_ms": 4.2,
            "reference_low_ms": 3.4,
            "reference_high_ms": 4.61,
            "reference_measurements": 14,
        },
        "hypervolume_reference": {"accuracy": 1 / 3, "params": 6e6, "latency_ms": 40.0},
        "presets": [name for name, *_ in PRESETS],
        "elapsed_seconds": 2710.4,
    }
    return {**document, **changes}


def trained(trial, accuracy, params, macs, latency, **more):
    """A complete row as the search writes it, with intervals around its numbers."""
    return {
        "trial": trial,
        "arch_id": f"{(trial + 3) * 2654435761 % 2**32:08x}",
        "name": "",
        "state": "complete",
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.026,
        "accuracy_high": accuracy + 0.024,
        "params": params,
        "macs": macs,
        "latency_ms": latency,
        "latency_low_ms": latency * 0.985,
        "latency_high_ms": latency * 1.02,
        "latency_runs": 60 + trial,
        "latency_threads": 1,
        "seconds": 40.0 + trial,
        "cached": False,
        "seed": trial,
        **more,
    }


def example_table():
    """36 trials of a search that could have been, in every state."""
    luck = random.Random(5)
    rows = []
    for trial, (name, *numbers) in enumerate(PRESETS):
        rows.append(trained(trial, *numbers, name=name))
    for trial in range(3, 36):
        width, depth = luck.choice([0.5, 0.75, 1.0, 1.25]), luck.choice([1, 2, 3, 4])
        patch_size, placement = luck.choice([1, 2, 4]), luck.choice(["3 4 5", "4 5", "5"])
        params = int(1_700_000 * width**1.8 * (0.6 + 0.25 * depth) * luck.uniform(0.85, 1.2))
        macs = int(params * luck.uniform(250, 420))
        latency = macs / 7e7 * luck.uniform(0.8, 1.3) + 2
        accuracy = 0.72 - 0.13 / (params / 1e6 + 0.35) + luck.gauss(0, 0.012)
        row = trained(trial, accuracy, params, macs, latency)
        row |= {
            "param.width": width,
            "param.depth": depth,
            "param.patch_size": patch_size,
            "param.placement": placement,
        }
        if trial % 9 == 4:
            row |= dict.fromkeys(["accuracy", "accuracy_low", "accuracy_high"])
            row |= dict.fromkeys(["latency_ms", "latency_low_ms", "latency_high_ms", "latency_runs"])
            row |= {"state": "over_budget", "params": 6_300_000 + 90_000 * trial, "macs": 2_100_000_000}
            row |= {"seconds": 0.01, "reason": f"{row['params'] / 1e6:.2f}M parameters, at most 6M"}
        elif trial in (10, 17, 24, 34):
            state = {10: "failed", 17: "duplicate", 24: "invalid", 34: "failed"}[trial]
            reason = {
                10: "the loss is not finite at step 112",
                24: "dim must be divisible by heads, got 90, 4",
            }
            row |= dict.fromkeys(["accuracy", "accuracy_low", "accuracy_high"])
            row |= {"state": state, "reason": reason.get(trial, "")}
        elif trial == 29:
            row |= dict.fromkeys(["accuracy", "accuracy_low", "accuracy_high"])
            row |= {"state": "stopped", "seconds": 12.0, "epochs": 2, "trainings": 0.25}
            row |= {"reason": "after epoch 2 of 8 at 31.4 %: 52.0 % ± 3.1 % foreseen, behind what costs no more"}
        elif trial == 20:
            row |= {"cached": True, "seconds": 0.0}
        rows.append(row)
    return table_of(rows)


EXECUTORCH = {
    "runtime": "ExecuTorch 1.5.2",
    "target": "adb:R5CX10ABCDE",
    "machine": "SM-S921B; Exynos 2400; 4 cores; Android 16",
    "threads": 1,
    "precision": 0.02,
    "reference": "mobilevit_xxs at 128 px",
    "reference_ms": 6.5,
    "reference_low_ms": 6.5,
    "reference_high_ms": 6.5,
    "reference_measurements": 1,
}


def with_further(table, **changes):
    """The example with its front, and what is near it, measured by ExecuTorch too, and the environment of both."""
    luck = random.Random(2)
    document = environment(front_latency={"executorch": EXECUTORCH}, **changes)
    document["experiment"] |= {"objectives": ["accuracy", "latency_ms"]}
    best = view(table, document).front
    others = [index for index, record in enumerate(table.records) if record.is_complete and index not in best]
    near = [*best, *sorted(others, key=lambda index: -table.records[index].value(ACCURACY))[:5]]
    rows = rows_of(table)
    for index in near[:-1]:
        latency = 1.6 * rows[index]["latency_ms"] * luck.uniform(0.72, 1.25)
        rows[index] |= {"latency_ms.executorch": latency, "latency_low_ms.executorch": 0.99 * latency}
        rows[index] |= {"latency_high_ms.executorch": 1.012 * latency}
    rows[near[-1]]["latency_note.executorch"] = "the runtime refuses the model: missing operator aten::roll.out"
    return table_of(rows), document


def three_rows(**changes):
    """A table small enough to work out by hand."""
    rows = [
        trained(0, 0.60, 1_000_000, 200_000_000, 5.0, name="mobilevit_xxs", arch_id="aa"),
        trained(1, 0.70, 2_000_000, 300_000_000, 6.0, arch_id="bb"),
        trained(2, 0.73, 4_000_000, 900_000_000, 15.0, arch_id="cc"),
    ]
    return table_of(row | changes for row in rows)


def only_costs():
    """A search without training: complete rows that have no accuracy."""
    document = environment(presets=["mobilevit_xxs"])
    document["experiment"] = document["experiment"] | {"objectives": ["params", "latency_ms"], "budgets": []}
    return three_rows(accuracy=None, accuracy_low=None, accuracy_high=None), document


def view(table, document=None):
    """The view of a table, or of rows; what ``document``, an environment, leaves out is made up."""
    document = environment() if document is None else document
    least = {name: value for name, value in environment().items() if name not in ("presets", "experiment")}
    least |= {"latency": None, "space": {}, "hypervolume_reference": {}, "presets": []}
    experiment = {"objectives": ["accuracy", "params"], "budgets": [], "schedule": {"name": "short"}}
    given = document.get("experiment", {})
    document = {**document, "experiment": given | {name: it for name, it in experiment.items() if name not in given}}
    document |= {name: value for name, value in least.items() if name not in document}
    origin = parse_origin(document, where="environment.json")
    assert isinstance(origin, SearchOrigin)
    return StudyView(table if isinstance(table, Table) else table_of(table), origin)


def headline(seen):
    """What a view says first, as plain sentences."""
    found = []
    for finding in findings(seen):
        facts = ", ".join(filter(None, [finding.subject, *finding.facts]))
        found += [f"{finding.title}: {facts}.", *(f"{text}." for text in finding.comparisons)]
    return found


def rows_of(table):
    """The rows that a table was made of, without what is missing."""
    columns = {column.name: column.cells for column in table.columns}
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def write_report(table, document, folder):
    """The report of a search, or of an ablation, in ``folder``; the path of the page. ``table`` may be rows."""
    records = (table if isinstance(table, Table) else table_of(table)).records
    origin = parse_origin(document, where="environment.json")
    if isinstance(origin, AblationOrigin):
        return write_ablation(records, origin, folder)
    return write_search(records, origin, folder)


def data_of(page):
    """What the script of a page draws, as JSON."""
    packed = sure(re.search(r'<script type="application/gzip" id="data">(.*?)</script>', page, re.DOTALL))[1]
    return gzip.decompress(base64.b64decode(packed)).decode()


def without_libraries(page):
    return re.sub(r"<script>.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)


if __name__ == "__main__":  # the example page, to look at: python tests/support/reports.py FOLDER
    table, document = with_further(example_table())
    print(write_report(table, document, Path(sys.argv[1])))
