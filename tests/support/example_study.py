"""A made-up search of any size that could have been: real networks of a shipped space, invented results."""

import json
import math
import random
from collections.abc import Mapping
from typing import Any

from reports import PRESETS as PRESET_ROWS
from reports import environment
from sure import sure

from mvit_nas.arch.config import arch_id, to_dict
from mvit_nas.arch.count import count, peak_memory
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import Label, adapt_preset, load_space
from mvit_nas.results.table import Table, table_of

SPACE = "mobilevit_small"
CLASSES, IMAGES, RUNG_IMAGES, EPOCHS = 10, 5000, 1000, 8
MOST_PARAMS = 3_000_000
# What a label adds to the accuracy, where it adds anything; the rest comes from the multiply-adds.
ADDS = {
    "patch_size": {"1": 0.012, "2": 0.006, "2,1,1": 0.008, "4,2,2": -0.008},
    "fusion": {"conv1x1": -0.004, "none": -0.012},
    "placement": {"3,4,5": 0.01, "4,5": 0.008, "3,4": 0.004, "5": -0.006},
    "kernel": {"5": 0.004},
}


def study(trials: int, seed: int = 0) -> tuple[Table, dict[str, Any]]:
    """Table and environment of a search with ``trials`` trials, in every state once there are some hundreds."""
    space, luck = load_space(SPACE), random.Random(seed)
    rows: list[dict[str, Any]] = []
    trained: list[tuple[Mapping[str, Label], float, float]] = []
    seen: set[str] = set()
    for trial in range(trials):
        if trial < len(PRESET_ROWS):
            name = PRESET_ROWS[trial][0]
            labels, by = space.nearest_labels(sure(adapt_preset(PRESETS[name], space))), "preset"
        else:
            name, (labels, by) = "", _propose(space, trained, luck)
        row: dict[str, Any] = {"trial": trial, "name": name, "proposed_by": by, "seed": seed}
        row["cached"] = luck.random() < 0.02
        row |= {f"param.{factor}": label for factor, label in space.effective(labels).items()}
        row |= _evaluate(space.arch(labels), labels, seen, trained, luck)
        rows.append(row)
        if row["state"] == "complete":
            trained.append((labels, row["accuracy"], math.log10(row["macs"] * row["params"]) / 2))
    return table_of(rows), _environment(space, rows)


def _propose(space, trained, luck):
    if len(trained) < 12:
        return space.draw(luck), "first design"
    if luck.random() < 0.25:
        return space.draw(luck), "random"
    # Now the cheap and now the accurate among some of the trained ones.
    price = luck.uniform(0, 0.2)
    labels = dict(max(luck.sample(trained[-200:], 12), key=lambda one: one[1] - price * one[2])[0])
    for parameter in luck.sample(space.parameters, luck.choice([1, 2, 2, 3])):
        labels[parameter.name] = luck.choice(list(parameter.choices))
    return labels, "cost-aware"


def _evaluate(arch, labels, seen, trained, luck):
    if luck.random() < 0.003:
        reason = "dim must be divisible by heads, got dim=90, heads=4"
        return {"state": "invalid", "arch_id": "", "arch": "", "seconds": 0.001, "reason": reason}
    cost, identity = count(arch, classes=CLASSES), arch_id(arch)
    row: dict[str, Any] = {"arch_id": identity, "arch": json.dumps(to_dict(arch), sort_keys=True)}
    row |= {"params": cost.params, "macs": cost.macs, "seconds": 0.01, "reason": ""}
    row |= {"size_mib": 4 * cost.params / 2**20, "peak_memory_mib": peak_memory(arch, classes=CLASSES) / 2**20}
    if cost.params > MOST_PARAMS:
        reason = f"{cost.params / 1e6:.3g}M parameters is not at most 3M parameters"
        return row | {"state": "over_budget", "reason": reason}
    if identity in seen:
        return row | {"state": "duplicate", "reason": "evaluated before in this study"}
    seen.add(identity)
    latency = (0.35 + cost.macs / 2.5e7) * luck.lognormvariate(0, 0.05)
    row |= {"latency_ms": latency, "latency_runs": luck.randint(40, 400), "latency_threads": 1}
    row |= {
        "latency_low_ms": latency * luck.uniform(0.98, 0.995),
        "latency_high_ms": latency * luck.uniform(1.004, 1.02),
    }
    if luck.random() < 0.01:
        return row | {"state": "failed", "seconds": 9.0, "reason": "the loss is not finite at step 112"}
    accuracy = 0.80 - 0.35 * (cost.macs / 1e6) ** -0.35 + luck.gauss(0, 0.006)
    accuracy += sum(adds.get(str(labels[factor]), 0.0) for factor, adds in ADDS.items())
    training = 8 + cost.macs / 3e6
    rungs = [_rung(epoch, accuracy, luck) for epoch in (1, 2, 4, 8)]
    score = accuracy - 0.03 * math.log10(cost.macs * cost.params) / 2
    recent = [other - 0.03 * price for _, other, price in trained[-30:]]
    if len(recent) == 30 and score < sum(recent) / 30 and luck.random() < 0.6:
        kept = luck.choice([1, 2, 3])
        epoch, reached = rungs[kept - 1]["epoch"], rungs[kept - 1]["correct"] / RUNG_IMAGES
        row |= {"epochs": epoch, "trainings": epoch / EPOCHS, "rungs": json.dumps(rungs[:kept])}
        reason = f"after epoch {epoch} of {EPOCHS} at {100 * reached:.1f} %: behind what costs no more"
        spent = training * epoch / EPOCHS
        return row | {"state": "stopped", "seconds": spent + 1, "training_seconds": spent, "reason": reason}
    low, high = _interval(accuracy)
    row |= {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high, "epochs": EPOCHS, "trainings": 1.0}
    return row | {
        "state": "complete",
        "seconds": training + 1,
        "training_seconds": training,
        "rungs": json.dumps(rungs),
    }


def _rung(epoch, accuracy, luck):
    reached = accuracy * (1 - 0.6 * math.exp(-epoch / 2)) + luck.gauss(0, 0.01)
    return {
        "epoch": epoch,
        "loss": round(2.4 * (1 - reached) + 0.1, 4),
        "correct": round(RUNG_IMAGES * reached),
        "images": RUNG_IMAGES,
    }


def _interval(share):
    """Wilson's 95 % interval."""
    z = 1.96
    middle = share + z * z / (2 * IMAGES)
    half = z * math.sqrt(share * (1 - share) / IMAGES + z * z / (4 * IMAGES**2))
    return (middle - half) / (1 + z * z / IMAGES), (middle + half) / (1 + z * z / IMAGES)


def _environment(space, rows):
    document = environment(
        study=f"{len(rows)} trials within three million", elapsed_seconds=sum(r["seconds"] for r in rows)
    )
    document["command"] = f"mvit-nas search --budget 3M --trials {len(rows)} --baseline random"
    document["space"] = {
        "name": space.name,
        "settings": space.settings(),
        "networks": space.networks(),
        "text": space.text,
    }
    document["data"] |= {"classes": [f"class {i}" for i in range(CLASSES)]}
    document["data"] |= {"images": {"train": 40_000, "validation": IMAGES, "test": 10_000}}
    document["experiment"] |= {"budgets": [{"metric": "params", "low": 0.0, "high": float(MOST_PARAMS)}]}
    document["experiment"] |= {"sampler": "cost-aware", "baseline": 0.25, "early_stopping": True}
    slowest = max((row["latency_ms"] for row in rows if "latency_ms" in row), default=10.0)
    document["hypervolume_reference"] = {"accuracy": 0.0, "params": float(MOST_PARAMS), "latency_ms": 1.25 * slowest}
    return document | {"front_latency": {}}
