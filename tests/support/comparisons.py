"""Searches to compare, as they could have been: a few rows each, or three ways of searching with three seeds."""

import json
import random
import sys
from pathlib import Path

from mvit_nas.results.comparison.comparison import compare_studies
from mvit_nas.results.comparison.methods import Study
from mvit_nas.results.report import write_comparison
from mvit_nas.results.table import table_of, write_table
from mvit_nas.results.view import StudyView
from mvit_nas.study.origin import SearchOrigin
from mvit_nas.study.origin_file import parse_origin

CONDITIONS = {
    "command": "mvit-nas compare a b",
    "created": "2026-11-21T20:00:00+00:00",
    "mvit_nas": "0.1.0",
}


def environment(study, seed, sampler, *, reference=64.0, experiment=(), **changes):
    """An environment; ``experiment`` are settings that differ from the usual."""
    document = {
        "study": study,
        "command": f"mvit-nas search --budget 6M --sampler {sampler} --seed {seed} --name {study}",
        "created": "2026-11-20T09:21:48+00:00",
        "mvit_nas": "0.1.0",
        "packages": {"torch": "2.12.0+cpu", "optuna": "5.0.1"},
        "commit": None,
        "hardware": {"processor": "AMD EPYC 7B13", "cores": 2, "gpu": None},
        "data": {
            "name": "digits",
            "fingerprint": "sha256:4b0c9d31",
            "images": {"train": 1077, "validation": 360, "test": 360},
        },
        "space": {"name": "mobilevit_small", "text": "base: mobilevit_xs\n"},
        "experiment": {
            "budgets": [{"metric": "params", "low": 0.0, "high": 6e6}],
            "objectives": ["accuracy", "params"],
            "schedule": {"name": "short", "epochs": 8},
            "seed": seed,
            "sampler": sampler,
            "baseline": 0.0,
            "early_stopping": False,
            "image_size": 64,
            **dict(experiment),
        },
        "latency": None,
        "hypervolume_reference": {"accuracy": 0.0, "params": reference},
        "presets": [],
        "elapsed_seconds": 100.0,
    }
    return {**document, **changes}


def row(accuracy, params, *, share=1.0, state="complete", **more):
    trained = {"accuracy": accuracy} if state == "complete" else {}
    known = {"state": state, "params": params, "macs": 100 * params, "training_seconds": 20.0 * share, "seconds": 25.0}
    return known | trained | ({"trainings": share} if state in ("complete", "stopped") else {}) | more


def study(name, seed, sampler, rows, **options):
    """A search of ``rows``; ``options`` are those of its environment."""
    table = table_of({"trial": i, "arch_id": f"{name}{i}"} | one for i, one in enumerate(rows))
    origin = parse_origin(environment(name, seed, sampler, **options), where="environment.json")
    assert isinstance(origin, SearchOrigin)
    return Study(name=name, view=StudyView(table, origin))


def by_hand():
    """Two ways of searching with two seeds. In the box of 0 to 1 and six halvings of 64, (0.5, 8) alone dominates 0.25."""
    return [
        study("a0", 0, "cost-aware", [
            row(0.5, 8),  # 0.25
            row(None, 7, state="over_budget"),
            row(None, 4, state="stopped", share=0.5),
            row(0.8, 8),  # 0.4, after 2.5 trainings
            row(0.9, 1),  # 0.9, after 3.5
        ]),
        study("a1", 1, "cost-aware", [
            row(0.6, 8),  # 0.3
            row(None, 5, state="failed", training_seconds=None),
            row(0.6, 0, arch_id="z"),  # 0.6, after 3
        ]),
        study("b0", 0, "tpe", [row(0.5, 8), row(0.2, 32), row(0.5, 4)], reference=32.0),  # 1/4, 1/4, 1/3
        study("b1", 1, "tpe", [row(0.4, 8), row(0.4, 16), row(0.6, 32)]),  # 0.2, 0.2, 0.2 + 0.2 / 6
    ]  # fmt: skip


def flat(name, seed, sampler, volume, **options):
    """A search that ends at ``volume``, after one training."""
    return study(name, seed, sampler, [row(volume, 0)], **options)


LATENCY = {
    "runtime": "ONNX Runtime 1.31.1",
    "target": "this host",
    "machine": "bench; AMD EPYC 7B13",
    "threads": 1,
    "reference": "mobilevit_xxs at 64 px",
    "reference_ms": 4.2,
}


def with_latency(name, seed, objectives=("accuracy", "params", "latency_ms"), *, budgets=(), hardware=None, **changes):
    """A search that is for latency too, measured under conditions that may be changed."""
    options = {} if hardware is None else {"hardware": hardware}
    return study(
        name, seed, "tpe", [row(0.5, 5, latency_ms=5.0)], latency=LATENCY | changes, **options,
        experiment={"objectives": list(objectives), "budgets": list(budgets)},
        hypervolume_reference={"accuracy": 0.0, "params": 10.0, "latency_ms": 10.0},
    )  # fmt: skip


def example():
    """Three ways of searching with three seeds each, as they could have been."""
    studies = []
    for sampler, early_stopping, skill in (("cost-aware", True, 1.0), ("tpe", False, 0.6), ("random", False, 0.0)):
        for seed in range(3):
            luck = random.Random(f"{sampler} {seed}")
            rows: list[dict[str, object]] = []
            spent = 0.0
            while spent < 24:
                known = min(1.0, len(rows) / 20)
                params = int(400_000 + 5_400_000 * luck.random() ** 1.3)
                shortfall = luck.random() * 0.16 * (1 - skill * known)
                share = luck.choice([0.125, 0.25]) if early_stopping and len(rows) > 8 and luck.random() < 0.4 else 1.0
                accuracy = 0.95 - 0.11 / (params / 1e6 + 0.25) - shortfall + luck.gauss(0, 0.008)
                spent += share
                rows.append(row(accuracy, params, share=share, state="complete" if share == 1.0 else "stopped"))
            name = f"digits-{sampler}-{seed}"
            settings = {"early_stopping": early_stopping}
            studies.append(study(name, seed, sampler, rows, experiment=settings, reference=6e6))
    return compare_studies(studies)


def write_data(one, folder):
    """What is read to compare a study: its report without the page, which takes most of the time."""
    write_table(one.view.table, folder / "results.csv")
    (folder / "environment.json").write_text(json.dumps(dict(one.origin.document)))


if __name__ == "__main__":  # the example page, to look at: python tests/support/comparisons.py FOLDER
    print(write_comparison(example(), CONDITIONS, Path(sys.argv[1])))
