"""The page of a search as plain data: the front, its candidates and what they cost."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from mvit_nas.results.findings import STATE_WORDS, Row, budget_words, findings, front_rows, interval_words, label
from mvit_nas.results.page import MISSING, cell, finite, number, provenance, title, to_float
from mvit_nas.results.plots import axis_label, cost_plot, front_plot, history_plot
from mvit_nas.results.table import PARAM, missing
from mvit_nas.units import format_count, format_metric, format_seconds


def page_data(table: pd.DataFrame, environment: Mapping[str, Any]) -> dict[str, Any]:
    """All that the page shows, as plain data."""
    costs = cost_plot(table)
    history = history_plot(table, environment)
    return {
        "study": environment["study"],
        "summary": _summary(table, environment),
        "findings": findings(table, environment),
        "trained": bool((table["state"] == "complete").any()),
        "columns": columns(table, environment),
        "candidates": candidates(table, environment),
        "outcomes": [row | {"time": format_seconds(row["seconds"])} for row in costs["outcomes"]],
        "total": format_seconds(costs["total_seconds"]),
        "elapsed": format_seconds(environment["elapsed_seconds"]),
        "share": f"{history['percent'][-1]:.1f} %" if history else "",
        "reference": ", ".join(
            format_metric(name, value) + {"accuracy": " accuracy", "latency_ms": " latency"}.get(name, "")
            for name, value in environment["hypervolume_reference"].items()
        ),
        "provenance": provenance(environment),
        "plots": finite({"front": front_plot(table, environment), "history": history, "cost": costs}),
    }


def columns(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns of the candidates' table: label, and whether it holds numbers."""
    numeric = [axis_label("accuracy", environment), "Parameters", "MACs (fvcore FLOPs)"]
    if table["latency_ms"].notna().any():
        numeric.append(Markup(axis_label("latency_ms", environment)).unescape())
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
    latency = bool(table["latency_ms"].notna().any())
    return [
        {
            "front": on_front,
            "state": row["state"],
            "reason": "" if missing(row["reason"]) else row["reason"],
            "cells": list(_cells(row, factors, on_front=on_front, latency=latency)),
        }
        for rows, on_front in ((front, True), (trained, False), (others, False))
        for row in rows.to_dict("records")
    ]


def _cells(row: Row, factors: list[str], *, on_front: bool, latency: bool) -> Iterator[dict[str, Any]]:
    detail = "" if missing(row["arch_id"]) or label(row) == row["arch_id"] else row["arch_id"]
    yield cell(label(row), detail=detail)
    yield cell("front" if on_front else "", sort=0 if on_front else 1)
    yield number(row["accuracy"], f"{100 * to_float(row['accuracy']):.1f}", interval_words(row, "accuracy"))
    yield number(row["params"], format_count(to_float(row["params"])))
    yield number(row["macs"], format_count(to_float(row["macs"])))
    if latency:
        interval = interval_words(row, "latency_ms")
        yield number(row["latency_ms"], f"{to_float(row['latency_ms']):#.3g}", interval)
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
    return [
        f"{trained} of {len(table)} candidates trained",
        f"data: {data['name']}",
        ", ".join(f"budget: {words}" for words in budget_words(environment)) or "no budget",
        hardware["gpu"] or hardware["processor"],
        environment["created"][:16].replace("T", " "),
    ]
