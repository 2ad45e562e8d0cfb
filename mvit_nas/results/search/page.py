"""The page of a search: what it shows without scripts, as plain data, and the document that its script draws."""

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from mvit_nas.metrics import format_metric
from mvit_nas.results.page import MISSING, axis_label, cell, number, provenance, title, to_float
from mvit_nas.results.search.document import document
from mvit_nas.results.search.findings import (
    STATE_WORDS,
    Row,
    budget_words,
    front_rows,
    interval_words,
    label,
    lasting_findings,
    leading_findings,
    random_comparison,
)
from mvit_nas.results.search.health import lights_beside
from mvit_nas.results.search.runtimes import compare, measured_runtimes, sentences, short_name
from mvit_nas.results.table import PARAM, STATES, further_runtimes, missing
from mvit_nas.units import format_count, format_seconds

# Without scripts a browser draws the whole table at once, and thousands of rows take it many seconds.
MOST_ROWS = 200
MOST_FACTORS = 30
_TERM = re.compile(r"^- \*\*(?P<word>.+?)\*\*: (?P<text>.+?)(?=\n- |\Z)", re.MULTILINE | re.DOTALL)


def page_data(table: pd.DataFrame, environment: Mapping[str, Any]) -> dict[str, Any]:
    """All that the page shows, as plain data."""
    # The matrices are small, and threads that wait for each other took 20 times as long on a busy machine.
    with threadpool_limits(limits=1):
        beside = random_comparison(table, environment)
        lasting = lasting_findings(table, environment, beside)
        drawn = document(table, environment, lasting)
    plotted = {one["runtime"] for one in drawn["further"]}
    return {
        "study": environment["study"],
        "summary": _summary(table, environment),
        "findings": [*leading_findings(table, environment), *lasting],
        "lights": lights_beside(table, environment, beside),
        "trained": bool((table["state"] == "complete").any()),
        "schedule": environment["experiment"]["schedule"]["name"],
        "metrics": len(drawn["metrics"]),
        "further": [
            further_section(table, environment, name) | {"drawn": name in plotted} for name in further_runtimes(table)
        ],
        "columns": columns(table, environment),
        "candidates": candidates(table, environment),
        "left_out": max(0, len(table) - MOST_ROWS),
        "factors_left_out": max(0, len(_factors(table)) - MOST_FACTORS),
        # What the trials cost is the search's: a view shows only those that another runtime was measured on.
        "view": "view" in environment,
        "outcomes": [row | {"time": format_seconds(row["seconds"])} for row in outcomes(table)],
        "total": format_seconds(float(table["seconds"].sum())),
        "elapsed": format_seconds(environment["elapsed_seconds"]),
        "share": f"{drawn['history'][0]['percent'][-1]:.1f} %" if drawn["history"] else "",
        "reference": ", ".join(
            format_metric(name, value) + {"accuracy": " accuracy", "latency_ms": " latency"}.get(name, "")
            for name, value in environment["hypervolume_reference"].items()
        ),
        "learned": bool(table["rungs"].notna().any()),
        "glossary": glossary(),
        "provenance": provenance(environment),
        "document": drawn,
    }


def glossary() -> list[tuple[str, str]]:
    """The words that a page uses, with what they mean."""
    text = (resources.files("mvit_nas.results") / "glossary.md").read_text("utf-8")
    return [(match["word"], " ".join(match["text"].split())) for match in _TERM.finditer(text)]


def outcomes(table: pd.DataFrame) -> list[dict[str, Any]]:
    """How trials ended and what that cost: trials, seconds and percent of all seconds, by state."""
    total = float(table["seconds"].sum())
    found = []
    for state in STATES:
        rows = table[table["state"] == state]
        seconds = float(rows["seconds"].sum())
        if len(rows):
            found.append(
                {
                    "state": state,
                    "outcome": STATE_WORDS[state],
                    "trials": len(rows),
                    "seconds": seconds,
                    "percent": 100 * seconds / total if total else 0.0,
                }
            )
    return found


def columns(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns of the candidates' table: label, and whether it holds numbers."""
    numeric = [axis_label(name, environment) for name in ("accuracy", "params", "macs")]
    if table["latency_ms"].notna().any():
        numeric.append(axis_label("latency_ms", environment))
    numeric += [_further_heading(environment, name) for name in measured_runtimes(table)]
    return [
        {"label": "Candidate", "numeric": False},
        {"label": "Front", "numeric": False},
        *({"label": name, "numeric": True} for name in numeric),
        *({"label": title(name.removeprefix(PARAM)), "numeric": False} for name in _factors(table)[:MOST_FACTORS]),
        {"label": "State", "numeric": False},
        {"label": "Cost (s)", "numeric": True},
        {"label": "Trial", "numeric": True},
    ]


def candidates(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The first MOST_ROWS rows of the candidates' table: those on the front, the other trained ones, the rest.

    Each has ``front``, ``state``, ``reason`` and ``cells``.
    """
    front = front_rows(table, environment["experiment"]["objectives"])
    rest = table.drop(index=front.index)
    trained = rest[rest["state"] == "complete"].sort_values("accuracy", ascending=False, kind="stable")
    others = rest.drop(index=trained.index).sort_values("trial", kind="stable")
    factors = _factors(table)[:MOST_FACTORS]
    latencies = ["latency_ms"] if table["latency_ms"].notna().any() else []
    latencies += [f"latency_ms.{name}" for name in measured_runtimes(table)]
    first = table.loc[[*front.index, *trained.index, *others.index][:MOST_ROWS]]
    return [
        {
            "front": on_front,
            "state": row["state"],
            "reason": "" if missing(row["reason"]) else row["reason"],
            "cells": list(_cells(row, factors, on_front=on_front, latencies=latencies)),
        }
        for on_front, row in zip(first.index.isin(front.index).tolist(), first.to_dict("records"), strict=True)
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
    headings = [axis_label("latency_ms", environment)] if own else []
    headings.append(_further_heading(environment, runtime))
    return {
        "runtime": runtime,
        "name": name,
        "sentences": sentences(comparison, environment),
        "columns": [
            {"label": "Candidate", "numeric": False},
            {"label": "On the front by", "numeric": False},
            {"label": axis_label("accuracy", environment), "numeric": True},
            *({"label": label, "numeric": True} for heading in headings for label in (heading, "Rank")),
        ],
        "rows": rows,
    }


def _further_heading(environment: Mapping[str, Any], runtime: str) -> str:
    return axis_label("latency_ms", {**environment, "latency": environment["front_latency"][runtime]})


def _accuracy_cell(row: Row) -> dict[str, Any]:
    return number(row["accuracy"], f"{100 * to_float(row['accuracy']):.1f}", interval_words(row, "accuracy"))


def _latency_cell(row: Row, name: str) -> dict[str, Any]:
    return number(row[name], f"{to_float(row[name]):#.3g}".rstrip("."), interval_words(row, name))


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
