"""The page of a comparison of searches, as plain data: who finds more, its plots and where the numbers come from."""

import html
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mvit_nas.metrics import format_metric
from mvit_nas.results.comparison.comparison import (
    Comparison,
    Curve,
    Gain,
    Method,
    Study,
    machine_words,
    reference_words,
    spent_to_reach,
)
from mvit_nas.results.page import Card, axis_label, cell, finite, number, provenance
from mvit_nas.results.search.findings import accuracy_words
from mvit_nas.units import format_seconds

_COLUMNS = (
    ("Method", False),
    ("Study", False),
    ("Seed", True),
    ("Hypervolume at equal compute", True),
    ("Trainings in all", True),
    ("Trials", True),
    ("Time", True),
)


def page_data(comparison: Comparison, conditions: Mapping[str, Any]) -> dict[str, Any]:
    """All that the page shows, as plain data. ``conditions`` are of making it: command, created, versions."""
    first = comparison.studies[0].environment
    by_seconds = all(method.by_seconds is not None for method in comparison.methods)
    return {
        "study": title(comparison),
        "summary": _summary(comparison),
        "cards": list(cards(comparison)),
        "notes": list(comparison.notes),
        "equal": trainings_words(comparison.trainings),
        "schedule": first["experiment"]["schedule"]["name"],
        "reference": reference_words(comparison.reference),
        "several": any(len(method.studies) > 1 for method in comparison.methods),
        "columns": [{"label": label, "numeric": numeric} for label, numeric in _COLUMNS],
        "rows": [_row(method, index) for method in comparison.methods for index in range(len(method.studies))],
        "provenance": [
            *provenance(_shared(comparison, conditions)),
            *((f"study {study.name}", provenance(_conditions(study))[0][1]) for study in comparison.studies),
        ],
        "document": finite(
            {
                "page": "comparison",
                "equal": comparison.trainings,
                "history": {
                    "axes": {"trainings": "Whole trainings"}
                    | ({"seconds": "Seconds of training"} if by_seconds else {}),
                    "lines": [_history(method) for method in comparison.methods],
                },
                "attained": _attained(comparison),
            }
        ),
    }


def title(comparison: Comparison) -> str:
    """What is compared: "cost-aware or tpe?"."""
    labels = [method.label for method in comparison.methods]
    if len(labels) == 1:
        return f"{labels[0]} over {_seeds(comparison.methods[0])}"
    return f"{', '.join(labels[:-1])} or {labels[-1]}?"


def cards(comparison: Comparison) -> Iterator[Card]:
    """The findings: the method with most hypervolume, then each against the first, in sentences."""
    best = max(comparison.methods, key=lambda method: method.mean)
    spent = trainings_words(comparison.trainings)
    yield Card(
        title=f"Most hypervolume after {spent}",
        subject=best.label,
        sentences=(f"It dominates {_volume_words(best)} of the box.",),
    )
    first = comparison.methods[0]
    for method in comparison.methods[1:]:
        assert method.gain is not None, "only the first has none"
        yield Card(
            title=f"{method.label} against {first.label}",
            subject=verdict(method.gain),
            sentences=(_difference_sentence(method, first, spent), *_saving(method, first, comparison.trainings)),
        )


def verdict(gain: Gain) -> str:
    """What a difference shows, in a few words."""
    if gain.low is None or gain.high is None:
        return f"{gain.mean:+.3f}; {gain.why}"
    return "Finds more" if gain.low > 0 else "Finds less" if gain.high < 0 else "No difference shows"


def gain_words(gain: Gain) -> str:
    """The difference with its interval, "+0.031 (+0.010 to +0.052)", or why it has none."""
    if gain.low is None or gain.high is None:
        return f"{gain.mean:+.3f} ({gain.why})"
    return f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def trainings_words(trainings: float) -> str:
    """ "12 trainings", "12.5 trainings"."""
    return f"{trainings:.1f}".removesuffix(".0") + f" training{'s' * (trainings != 1)}"


def _seeds(method: Method) -> str:
    return f"{len(method.studies)} seed{'s' * (len(method.studies) > 1)}"


def _volume_words(method: Method) -> str:
    if len(method.studies) == 1:
        return f"{method.mean:.3f}"
    low, high = min(method.hypervolumes), max(method.hypervolumes)
    return f"{method.mean:.3f} ({low:.3f} to {high:.3f} over {_seeds(method)})"


def _difference_sentence(method: Method, first: Method, spent: str) -> str:
    gain = method.gain
    assert gain is not None, "only the first has none"
    head = (
        f"After {spent} each, {method.label} dominates {method.mean:.3f} of the box and {first.label} "
        f"{first.mean:.3f}: a difference of {gain.mean:+.3f}"
    )
    if gain.low is None or gain.high is None:
        return f"{head}; {gain.why}."
    over = f"over {gain.seeds} paired seeds" if gain.paired else "by Welch, as the seeds are not shared"
    return f"{head} (95 % interval {gain.low:+.3f} to {gain.high:+.3f}, {over})."


def _saving(method: Method, first: Method, equal: float) -> Iterator[str]:
    """How much sooner the better one was where the other ended."""
    ahead, behind = (method, first) if method.mean > first.mean else (first, method)
    reached = spent_to_reach(ahead.by_trainings, behind.mean)
    if reached is not None and reached < equal:
        yield f"{ahead.label} had reached {behind.mean:.3f} after {trainings_words(reached)}, in the mean of its seeds."


def _summary(comparison: Comparison) -> list[str]:
    environment = comparison.studies[0].environment
    count = len(comparison.methods)
    machines = dict.fromkeys(machine_words(study.environment) for study in comparison.studies)
    return [
        f"{len(comparison.studies)} searches, {count} way{'s' * (count > 1)} of searching",
        f"data: {environment['data']['name']}",
        f"{environment['experiment']['schedule']['name']} schedule",
        next(iter(machines)) if len(machines) == 1 else f"{len(machines)} machines",
    ]


def _row(method: Method, index: int) -> dict[str, Any]:
    study, volume, spent = method.studies[index], method.hypervolumes[index], method.trainings[index]
    seconds = float(study.table["seconds"].sum())
    return {
        "reason": "",
        "cells": [
            cell(method.label),
            cell(study.name),
            number(study.seed, str(study.seed)),
            number(volume, f"{volume:.3f}"),
            number(spent, f"{spent:.1f}"),
            number(len(study.table), str(len(study.table))),
            number(seconds, format_seconds(seconds)),
        ],
    }


def _shared(comparison: Comparison, conditions: Mapping[str, Any]) -> dict[str, Any]:
    shared = comparison.studies[0].environment
    return {
        **conditions,
        "data": {key: shared["data"][key] for key in ("name", "fingerprint", "images")},
        "schedule": shared["experiment"]["schedule"],
        "hypervolume_reference": dict(comparison.reference),
    }


def _conditions(study: Study) -> dict[str, Any]:
    environment = study.environment
    known = ("command", "created", "mvit_nas", "commit", "python")
    packages = [f"{name} {version}" for name, version in environment.get("packages", {}).items()]
    return {
        **{key: environment[key] for key in known if key in environment},
        "packages": packages,
        "machine": machine_words(environment),
        "seed": study.seed,
    }


def _history(method: Method) -> dict[str, Any]:
    return {
        "label": html.escape(method.label),
        "seeds": len(method.studies),
        "trainings": _steps(method, method.by_trainings, trainings_words),
        "seconds": None if method.by_seconds is None else _steps(method, method.by_seconds, format_seconds),
    }


def _steps(method: Method, curve: Curve, words: Callable[[float], str]) -> dict[str, Any]:
    label, several = html.escape(method.label), len(method.studies) > 1
    # Before the first training has ended there is nothing to see, and it would stretch the axis down to 0.
    begin = next((index for index, high in enumerate(curve.high) if high > 0), 0)
    x_all, means, lows, highs = (values[begin:] for values in (curve.x, curve.mean, curve.low, curve.high))
    hover = [
        f"<b>{label}</b><br>after {words(x)}: {mean:.3f}"
        + (f"<br>  {low:.3f} to {high:.3f} over {_seeds(method)}" if several else "")
        for x, mean, low, high in zip(x_all, means, lows, highs, strict=True)
    ]
    return {"x": x_all, "mean": means, "low": lows, "high": highs, "hover": hover}


def _attained(comparison: Comparison) -> dict[str, Any]:
    environment = comparison.studies[0].environment
    cost = comparison.cost
    end = max(x for method in comparison.methods for x, _ in method.attained)
    lines = []
    for method in comparison.methods:
        # To the right of its last step a line goes on: who may spend more has no less.
        points = [*method.attained, (end, method.attained[-1][1])]
        label = html.escape(method.label)
        hover = [f"<b>{label}</b><br>{format_metric('accuracy', y)} at {format_metric(cost, x)}" for x, y in points]
        lines.append({"label": label, "x": [x for x, _ in points], "y": [100 * y for _, y in points], "hover": hover})
    accuracy = accuracy_words(environment)
    return {
        "x": html.escape(axis_label(cost, environment)),
        "y": html.escape(f"{accuracy[0].upper()}{accuracy[1:]} (%)"),
        "counts": cost != "latency_ms",
        "lines": lines,
    }
