"""The page of a search as plain data: the front, its candidates and what they cost."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from mvit_nas.results.findings import STATE_WORDS, Row, budget_words, findings, front_rows, interval_words, label
from mvit_nas.results.page import MISSING, cell, finite, number, provenance, title, to_float
from mvit_nas.results.plots import axis_label, cost_plot, front_plot, further_plot, history_plot
from mvit_nas.results.runtimes import compare, measured_runtimes, sentences, short_name
from mvit_nas.results.table import PARAM, further_runtimes, missing
from mvit_nas.units import format_count, format_metric, format_seconds


def page_data(table: pd.DataFrame, environment: Mapping[str, Any]) -> dict[str, Any]:
    """All that the page shows, as plain data."""
    costs = cost_plot(table)
    history = history_plot(table, environment)
    further = further_runtimes(table)
    plots = {name: plot for name in further if (plot := further_plot(table, environment, name)) is not None}
    return {
        "study": environment["study"],
        "summary": _summary(table, environment),
        "findings": findings(table, environment),
        "trained": bool((table["state"] == "complete").any()),
        "schedule": environment["experiment"]["schedule"]["name"],
        "further": [further_section(table, environment, name) | {"drawn": name in plots} for name in further],
        "columns": columns(table, environment),
        "candidates": candidates(table, environment),
        # What the trials cost is the search's: a view shows only those that another runtime was measured on.
        "view": "view" in environment,
        "outcomes": [row | {"time": format_seconds(row["seconds"])} for row in costs["outcomes"]],
        "total": format_seconds(costs["total_seconds"]),
        "elapsed": format_seconds(environment["elapsed_seconds"]),
        "share": f"{history['percent'][-1]:.1f} %" if history else "",
        "reference": ", ".join(
            format_metric(name, value) + {"accuracy": " accuracy", "latency_ms": " latency"}.get(name, "")
            for name, value in environment["hypervolume_reference"].items()
        ),
        "provenance": provenance(environment),
        "plots": finite(
            {
                "front": front_plot(table, environment),
                "further": plots,
                "history": history,
                "cost": None if "view" in environment else costs,
            }
        ),
    }


def columns(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns of the candidates' table: label, and whether it holds numbers."""
    numeric = [_heading(name, environment) for name in ("accuracy", "params", "macs")]
    if table["latency_ms"].notna().any():
        numeric.append(_heading("latency_ms", environment))
    numeric += [_further_heading(environment, name) for name in measured_runtimes(table)]
    return [
        {"label": "Candidate", "numeric": False},
        {"label": "Front", "numeric": False},
        *({"label": name, "numeric": True} for name in numeric),
        *({"label": title(name.removeprefix(PARAM)), "numeric": False} for name in _factors(table)),
        {"label": "State", "numeric": False},
        {"label": "Cost (s)", "numeric": True},
        {"label": "Trial", "numeric": True},
    ]


def candidates(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the candidates' table: those on the front, the other trained ones, the rest.

    Each has ``front``, ``state``, ``reason`` and ``cells``.
    """
    front = front_rows(table, environment["experiment"]["objectives"])
    rest = table.drop(index=front.index)
    trained = rest[rest["state"] == "complete"].sort_values("accuracy", ascending=False, kind="stable")
    others = rest.drop(index=trained.index).sort_values("trial", kind="stable")
    factors = _factors(table)
    latencies = ["latency_ms"] if table["latency_ms"].notna().any() else []
    latencies += [f"latency_ms.{name}" for name in measured_runtimes(table)]
    return [
        {
            "front": on_front,
            "state": row["state"],
            "reason": "" if missing(row["reason"]) else row["reason"],
            "cells": list(_cells(row, factors, on_front=on_front, latencies=latencies)),
        }
        for rows, on_front in ((front, True), (trained, False), (others, False))
        for row in rows.to_dict("records")
    ]


def further_section(table: pd.DataFrame, environment: Mapping[str, Any], runtime: str) -> dict[str, Any]:
    """What the page says of a further runtime: title, sentences, and both latencies of each candidate side by side.

    The candidates are those that were to be measured, fastest by this runtime first, then those that could not be.
    """
    comparison = compare(table, environment, runtime)
    name = short_name(environment["front_latency"][runtime])
    own_name = "the search" if environment["latency"] is None else short_name(environment["latency"])
    column = f"latency_ms.{runtime}"
    asked = table[table[column].notna() | table[f"latency_note.{runtime}"].notna()].sort_values(column, kind="stable")
    own = bool(asked["latency_ms"].notna().any())
    # Ranks among the same candidates, or they could not be compared.
    both = asked[asked[column].notna() & (asked["latency_ms"].notna() if own else True)]
    latencies = ["latency_ms", column] if own else [column]
    ranks = [both[name].rank(method="min").astype(int).to_dict() for name in latencies]
    rows = []
    for index, row in zip(asked.index, asked.to_dict("records"), strict=True):
        fronts = [who for who, front in ((own_name, comparison.own_front), (name, comparison.front)) if index in front]
        note = "" if missing(row[f"latency_note.{runtime}"]) else row[f"latency_note.{runtime}"]
        cells = [
            cell(label(row)),
            cell("both" if len(fronts) == 2 else ", ".join(fronts), sort=-len(fronts)),
            _accuracy_cell(row),
        ]
        for latency, rank in zip(latencies, ranks, strict=True):
            failed = note and latency == column
            cells.append(cell(MISSING, detail=note, sort="") if failed else _latency_cell(row, latency))
            cells.append(number(rank.get(index), str(rank.get(index))))
        rows.append({"front": index in comparison.front, "reason": note, "cells": cells})
    headings = [_heading("latency_ms", environment)] if own else []
    headings.append(_further_heading(environment, runtime))
    return {
        "runtime": runtime,
        "name": name,
        "sentences": sentences(comparison, environment),
        "columns": [
            {"label": "Candidate", "numeric": False},
            {"label": "On the front by", "numeric": False},
            {"label": _heading("accuracy", environment), "numeric": True},
            *({"label": label, "numeric": True} for heading in headings for label in (heading, "Rank")),
        ],
        "rows": rows,
    }


def _heading(name: str, environment: Mapping[str, Any]) -> str:
    return str(Markup(axis_label(name, environment)).unescape())


def _further_heading(environment: Mapping[str, Any], runtime: str) -> str:
    return _heading("latency_ms", {**environment, "latency": environment["front_latency"][runtime]})


def _accuracy_cell(row: Row) -> dict[str, Any]:
    return number(row["accuracy"], f"{100 * to_float(row['accuracy']):.1f}", interval_words(row, "accuracy"))


def _latency_cell(row: Row, name: str) -> dict[str, Any]:
    return number(row[name], f"{to_float(row[name]):#.3g}", interval_words(row, name))


def _cells(row: Row, factors: list[str], *, on_front: bool, latencies: list[str]) -> Iterator[dict[str, Any]]:
    detail = "" if missing(row["arch_id"]) or label(row) == row["arch_id"] else row["arch_id"]
    yield cell(label(row), detail=detail)
    yield cell("front" if on_front else "", sort=0 if on_front else 1)
    yield _accuracy_cell(row)
    yield number(row["params"], format_count(to_float(row["params"])))
    yield number(row["macs"], format_count(to_float(row["macs"])))
    for name in latencies:
        yield _latency_cell(row, name)
    for factor in factors:
        value = row[factor]
        yield cell(MISSING, sort="") if missing(value) else cell(str(value), sort=value)
    state = STATE_WORDS[row["state"]]
    cached = not missing(row["cached"]) and bool(row["cached"])
    yield cell(f"{state} (earlier)" if cached else state, detail="" if missing(row["reason"]) else row["reason"])
    yield number(row["seconds"], f"{to_float(row['seconds']):.1f}")
    yield number(row["trial"], f"{to_float(row['trial']):.0f}")


def _factors(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name.startswith(PARAM) and table[name].notna().any()]


def _summary(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[str]:
    data, hardware = environment["data"], environment["hardware"]
    trained = int((table["state"] == "complete").sum())
    tried = f"{trained} of {len(table)} candidates trained"
    if "view" in environment:
        view = environment["view"]
        tried = f"as {view['runtime']} runs them: {view['measured']} of the {view['trained']} trained candidates"
    return [
        tried,
        f"data: {data['name']}",
        ", ".join(f"budget: {words}" for words in budget_words(environment)) or "no budget",
        hardware["gpu"] or hardware["processor"],
        environment["created"][:16].replace("T", " "),
    ]
