"""What the plots of a search's page show, as plain data; ``templates/search.js`` draws it."""

import html
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mvit_nas.results import pareto
from mvit_nas.results.findings import (
    COSTS,
    IDEAL,
    MAXIMISE,
    STATE_WORDS,
    Row,
    accuracy_words,
    budget_words,
    front_rows,
    interval_words,
    label,
    main_cost,
    numbers,
    spans_box,
)
from mvit_nas.results.runtimes import compare, seen_through, short_name
from mvit_nas.results.table import PARAM, STATES, missing
from mvit_nas.units import format_metric

_SHOWN = ("complete", "over_budget")
_NUMBERS = ("accuracy", "accuracy_low", "accuracy_high", "params", "macs")
_LATENCY = ("latency_ms", "latency_low_ms", "latency_high_ms")


def front_plot(table: pd.DataFrame, environment: Mapping[str, Any]) -> dict[str, Any]:
    """The front of every pair of axes: axes, points, the fronts as indices of points, and budget lines.

    ``points`` are the trained candidates and those over budget, a list a column, None for missing;
    accuracies in percent. ``fronts["params accuracy"]`` are the trained points on the front of these
    two axes, from left to right. An axis that was measured for no candidate is left out.
    """
    shown = table[table["state"].isin(_SHOWN)].reset_index(drop=True)
    objectives = environment["experiment"]["objectives"]
    front_trials = set(front_rows(shown, objectives).index)
    rows = shown.to_dict("records")
    axes = {
        name: {"label": axis_label(name, environment), "cost": name in COSTS}
        for name in MAXIMISE
        if shown[name].notna().any()
    }
    points: dict[str, list[Any]] = {
        "label": [html.escape(label(row)) for row in rows],
        "preset": [not missing(row["name"]) and row["name"] != "" for row in rows],
        "state": [row["state"] for row in rows],
        "on_front": [index in front_trials for index in range(len(rows))],
        "hover": [_hover(row, accuracy_words(environment)) for row in rows],
    }
    for name in (*_NUMBERS, *_LATENCY):
        scale = 100 if name.startswith("accuracy") else 1
        points[name] = [None if missing(row[name]) else row[name] * scale for row in rows]
    x = main_cost(shown, environment)
    return {
        "axes": axes,
        "x": x,
        "y": "accuracy" if "accuracy" in axes else next((name for name in axes if name != x), x),
        "points": points,
        "fronts": {f"{x} {y}": _front_indices(shown, x, y) for x in axes for y in axes if x != y},
        "budgets": [
            {
                "metric": budget["metric"],
                "limits": [limit for limit in (budget["low"], budget["high"]) if limit],
            }
            | {"label": html.escape(words)}
            for budget, words in zip(environment["experiment"]["budgets"], budget_words(environment), strict=True)
        ],
    }


def further_plot(table: pd.DataFrame, environment: Mapping[str, Any], runtime: str) -> dict[str, Any] | None:
    """Accuracy over the latency by a further runtime, as ``front_plot`` has it; None where either is unknown.

    ``marked`` are the points on the front that the search found.
    """
    seen, conditions = seen_through(table, environment, runtime)
    plot = front_plot(seen, conditions)
    if not {"accuracy", "latency_ms"} <= set(plot["axes"]):
        return None
    own = compare(table, environment, runtime).own_front
    # The title of the search's own latency would not fit the points.
    by = "" if environment["latency"] is None else f" by {html.escape(short_name(environment['latency']))}"
    return plot | {
        "x": "latency_ms",
        "y": "accuracy",
        "marked": [position for position, index in enumerate(seen.index) if index in own],
        "mark": f"on the front{by}",
    }


def history_plot(table: pd.DataFrame, environment: Mapping[str, Any]) -> dict[str, Any] | None:
    """The dominated share of the box, in percent, after each trial; None where the reference spans no box."""
    reference = environment["hypervolume_reference"]
    objectives = environment["experiment"]["objectives"]
    if not len(table) or not spans_box(environment):
        return None
    ordered = table.sort_values("trial", kind="stable")
    values = numbers(ordered, objectives)
    values[(ordered["state"] != "complete").to_numpy(dtype=bool)] = np.nan
    history = pareto.hypervolume_history(
        values,
        [reference[name] for name in objectives],
        maximise=[MAXIMISE[name] for name in objectives],
        ideal=[IDEAL[name] for name in objectives],
    )
    return {"trial": _plain(ordered["trial"]), "percent": (100 * history).tolist()}


def cost_plot(table: pd.DataFrame) -> dict[str, Any]:
    """What the trials cost: seconds of each trial; trials, seconds and share of the total of each outcome."""
    ordered = table.sort_values("trial", kind="stable")
    total = float(ordered["seconds"].sum())
    outcomes = []
    for state in STATES:
        rows = ordered[ordered["state"] == state]
        seconds = float(rows["seconds"].sum())
        if len(rows):
            outcomes.append(
                {
                    "state": state,
                    "outcome": STATE_WORDS[state],
                    "trials": len(rows),
                    "seconds": seconds,
                    "percent": 100 * seconds / total if total else 0.0,
                }
            )
    return {
        "trial": _plain(ordered["trial"]),
        "seconds": _plain(ordered["seconds"]),
        "state": ordered["state"].tolist(),
        "outcomes": outcomes,
        "total_seconds": total,
    }


def axis_label(name: str, environment: Mapping[str, Any]) -> str:
    """The title of an axis or a column, with its unit and, for latency, its conditions."""
    latency = environment["latency"]
    conditions = ""
    if latency:
        threads = latency["threads"]
        conditions = f"; {latency['runtime']}, {latency['target']}, {threads} thread{'s' * (threads != 1)}"
        # A search from before the precision was kept does not tell it.
        precision = latency.get("precision")
        conditions += "" if precision is None else f", ±{100 * precision:.2g} %"
    accuracy = accuracy_words(environment)
    labels = {
        "accuracy": f"{accuracy[0].upper()}{accuracy[1:]} (%)",
        "params": "Parameters",
        "macs": "MACs (fvcore FLOPs)",
        "latency_ms": f"Latency (ms{conditions})",
    }
    return html.escape(labels[name])


def _front_indices(shown: pd.DataFrame, x: str, y: str) -> list[int]:
    values = numbers(shown, [x, y])
    values[(shown["state"] != "complete").to_numpy(dtype=bool)] = np.nan
    indices = np.flatnonzero(pareto.front(values, [MAXIMISE[x], MAXIMISE[y]]))
    return [int(index) for index in indices[np.argsort(values[indices, 0], kind="stable")]]


def _hover(row: Row, accuracy: str) -> str:
    """Lines of text for Plotly, which reads them as HTML."""
    trial = "" if missing(row["trial"]) else f", trial {row['trial']}"
    lines = [f"<b>{html.escape(label(row))}</b>{trial}, {STATE_WORDS[row['state']]}"]
    for name in MAXIMISE:
        if not missing(row[name]):
            what = f" {html.escape(accuracy)}" if name == "accuracy" else " latency" if name == "latency_ms" else ""
            spread = interval_words(row, name) if name in ("accuracy", "latency_ms") else ""
            lines.append(format_metric(name, row[name]) + what + (f"<br>  95 % interval {spread}" if spread else ""))
    for name, value in row.items():
        if str(name).startswith(PARAM) and not missing(value):
            lines.append(html.escape(f"{str(name).removeprefix(PARAM)}: {value}"))
    return "<br>".join(lines)


def _plain(column: pd.Series) -> list[Any]:
    return [None if missing(value) else value for value in column.tolist()]
