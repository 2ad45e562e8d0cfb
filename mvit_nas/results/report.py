"""The review page: one self-contained HTML file, beside it the table and the environment it was made from."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import plotly.offline
from markupsafe import Markup

from mvit_nas.errors import InputError
from mvit_nas.results.findings import (
    MAXIMISE,
    STATE_WORDS,
    Row,
    budget_words,
    findings,
    front_rows,
    interval_words,
    label,
)
from mvit_nas.results.plots import axis_label, cost_plot, front_plot, history_plot
from mvit_nas.results.table import PARAM, missing, read_table, write_atomically, write_table
from mvit_nas.units import format_count, format_metric, format_seconds

# What the environment must hold, with the types of its values; it may hold more, which the page shows too.
_ENVIRONMENT: dict[str, Any] = {
    "study": str,
    "command": str,
    "created": str,
    "mvit_nas": str,
    "hardware": {"processor": str, "gpu": (str, type(None))},
    "data": {"name": str},
    "space": dict,
    "experiment": {"budgets": list, "objectives": list},
    "latency": (dict, type(None)),  # checked further where there is one
    "hypervolume_reference": dict,
    "presets": list,
    "elapsed_seconds": (int, float),
}
_BUDGET = {"metric": str, "low": (int, float), "high": (int, float)}
_LATENCY = {"runtime": str, "target": str, "threads": int}
_TITLES = {
    "mvit_nas": "mvit-nas version",
    "python": "Python",
    "memory_gib": "memory (GiB)",
    "gpu": "GPU",
    "reference_ms": "reference (ms)",
    "elapsed_seconds": "elapsed",
    "text": "search space file",
    "latency_ms": "latency (ms)",
}
_MISSING = "-"


def write_report(table: pd.DataFrame, environment: Mapping[str, Any], directory: Path) -> Path:
    """Write results.csv, environment.json and report.html into ``directory``; the path of the page.

    Each file is written whole or not at all. Raises InputError where the folder cannot be written.
    """
    document = json.dumps(_finite(environment), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_table(table, directory / "results.csv")
    write_atomically(directory / "environment.json", lambda path: path.write_text(document, "utf-8"))
    return _write_page(table, environment, directory)


def remake_report(directory: Path) -> Path:
    """Write report.html again from results.csv and environment.json in ``directory``; its path.

    Raises InputError in one line for a file that is missing or broken.
    """
    return _write_page(
        read_table(directory / "results.csv"), read_environment(directory / "environment.json"), directory
    )


def render(table: pd.DataFrame, environment: Mapping[str, Any]) -> str:
    """The page as HTML."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("mvit_nas.results"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.policies["json.dumps_kwargs"] = {"allow_nan": False}
    page = templates.get_template("report.html")
    assert templates.loader is not None
    return page.render(
        **page_data(table, environment),
        plotly=Markup(plotly.offline.get_plotlyjs()),
        script=Markup(templates.loader.get_source(templates, "report.js")[0]),
    )


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
        "plots": _finite({"front": front_plot(table, environment), "history": history, "cost": costs}),
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
        *({"label": _title(name.removeprefix(PARAM)), "numeric": False} for name in _factors(table)),
        {"label": "State", "numeric": False},
        {"label": "Cost (s)", "numeric": True},
        {"label": "Trial", "numeric": True},
    ]


def candidates(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the candidates' table: those on the front, the other trained ones, the rest.

    Each has ``front``, ``state``, ``reason`` and ``cells``; a cell has ``text``, ``detail`` (small print) and
    ``sort`` (what the page sorts by: a number, a text, or "" for missing, which comes last).
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


def provenance(environment: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """All of the environment in words: sections of (name, value)."""
    single = {key: value for key, value in environment.items() if not isinstance(value, Mapping)}
    sections = [("Run", list(_entries(single)))]
    for key, value in environment.items():
        if isinstance(value, Mapping):
            budgets = {"budgets": budget_words(environment)} if key == "experiment" else {}
            sections.append((_title(key), list(_entries({**value, **budgets}))))
    return sections


def _cells(row: Row, factors: list[str], *, on_front: bool, latency: bool) -> Iterator[dict[str, Any]]:
    detail = "" if missing(row["arch_id"]) or label(row) == row["arch_id"] else row["arch_id"]
    yield _cell(label(row), detail=detail)
    yield _cell("front" if on_front else "", sort=0 if on_front else 1)
    yield _number(row["accuracy"], f"{100 * _float(row['accuracy']):.1f}", interval_words(row, "accuracy"))
    yield _number(row["params"], format_count(_float(row["params"])))
    yield _number(row["macs"], format_count(_float(row["macs"])))
    if latency:
        interval = interval_words(row, "latency_ms")
        yield _number(row["latency_ms"], f"{_float(row['latency_ms']):#.3g}", interval)
    for factor in factors:
        value = row[factor]
        yield _cell(_MISSING, sort="") if missing(value) else _cell(str(value), sort=value)
    state = STATE_WORDS[row["state"]]
    cached = not missing(row["cached"]) and bool(row["cached"])
    yield _cell(f"{state} (earlier)" if cached else state, detail="" if missing(row["reason"]) else row["reason"])
    yield _number(row["seconds"], f"{_float(row['seconds']):.1f}")
    yield _number(row["trial"], f"{_float(row['trial']):.0f}")


def _cell(text: str, *, detail: str = "", sort: Any = None) -> dict[str, Any]:
    return {"text": text, "detail": detail, "sort": text if sort is None else sort}


def _number(value: Any, text: str, detail: str = "") -> dict[str, Any]:
    return _cell(_MISSING, sort="") if missing(value) else _cell(text, detail=detail, sort=value)


def _float(value: Any) -> float:
    return math.nan if missing(value) else float(value)


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


def _entries(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            for inner, text in _entries(value):
                yield f"{_title(key)}: {inner}", text
        elif key == "elapsed_seconds":
            yield _title(key), format_seconds(value)
        else:
            yield _title(key), _words(value)


def _words(value: Any) -> str:
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{_title(key)} {_words(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(item) for item in value)
    if isinstance(value, int | float) and abs(value) >= 10_000:
        return f"{value:,.10g}".replace(",", "\u202f")  # narrow no-break space between thousands
    return str(value)


def _title(key: str) -> str:
    return _TITLES.get(key, key.replace("_", " "))


def _finite(value: Any) -> Any:
    """``value`` for JSON: None for numbers that are not finite, which JSON does not know."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_page(table: pd.DataFrame, environment: Mapping[str, Any], directory: Path) -> Path:
    path = directory / "report.html"
    page = render(table, environment)
    write_atomically(path, lambda temporary: temporary.write_text(page, "utf-8"))
    return path


def read_environment(path: Path) -> dict[str, Any]:
    """The environment in ``path``. Raises InputError in one line for a file that is missing or broken."""
    try:
        environment = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise InputError(f"{path}: is no JSON document ({error})") from None
    if not isinstance(environment, dict):
        raise InputError(f"{path}: must hold one JSON object")
    problems = list(_problems(environment, _ENVIRONMENT, "")) or _deeper_problems(environment)
    for problem in problems:
        raise InputError(f"{path}: {problem}")
    return environment


def _deeper_problems(environment: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong inside values whose types are right."""
    objectives = environment["experiment"]["objectives"]
    if not objectives or any(name not in MAXIMISE for name in objectives):
        yield f"'experiment.objectives' must be some of {', '.join(MAXIMISE)}"
    for budget in environment["experiment"]["budgets"]:
        if not isinstance(budget, dict) or list(_problems(budget, _BUDGET, "")) or set(budget) != set(_BUDGET):
            yield "'experiment.budgets' must hold metric, low and high"
    reference = environment["hypervolume_reference"]
    if not all(name in MAXIMISE and isinstance(value, int | float) for name, value in reference.items()):
        yield "'hypervolume_reference' must hold numbers by objective"
    if environment["latency"] is not None:
        yield from _problems(environment["latency"], _LATENCY, "latency.")


def _problems(values: Mapping[str, Any], expected: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, kind in expected.items():
        name = prefix + key
        if key not in values:
            yield f"{name!r} is missing"
        elif isinstance(kind, dict):
            if isinstance(values[key], dict):
                yield from _problems(values[key], kind, f"{name}.")
            else:
                yield f"{name!r} must be an object"
        elif not isinstance(values[key], kind):
            yield f"{name!r} has the wrong type, {type(values[key]).__name__}"
