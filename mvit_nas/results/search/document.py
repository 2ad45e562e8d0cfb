"""What the page of a search draws, as one JSON document: the table by columns, and what is computed of it once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from mvit_nas.arch.config import from_dict
from mvit_nas.errors import ArchError
from mvit_nas.maths import pareto
from mvit_nas.results.page import axis_label, finite
from mvit_nas.results.published import published_models
from mvit_nas.results.search.architecture import Part, drawing
from mvit_nas.results.search.findings import (
    COSTS,
    IDEAL,
    MAXIMISE,
    RANDOM,
    STATE_WORDS,
    Finding,
    accuracy_words,
    budget_words,
    front_rows,
    main_cost,
    numbers,
    spans_box,
)
from mvit_nas.results.search.importance import Importance, importance
from mvit_nas.results.search.runtimes import compare, measured_runtimes, short_name
from mvit_nas.results.table import PARAM, trainings

# Drawing takes about a millisecond each; of more networks than this the best are drawn.
MOST_DRAWN = 1000
# Whole numbers beyond this are sent as text: the page's are floats of 64 bits.
_LARGEST = 2**53
_TITLES = {"accuracy": "Accuracy", "params": "Parameters", "macs": "MACs", "latency_ms": "Latency"}
# Axes to choose, beside what networks are searched and limited by.
_ASIDE = {"size_mib": "Size", "peak_memory_mib": "Peak memory"}
_ENDS = {"accuracy": ("accuracy_low", "accuracy_high"), "latency_ms": ("latency_low_ms", "latency_high_ms")}


def document(table: pd.DataFrame, environment: Mapping[str, Any], lasting: Sequence[Finding]) -> dict[str, Any]:
    """All that the page of a search draws. Rows are named by their position in ``table``; missing is None.

    ``lasting`` are the findings that no limit changes.
    """
    table = table.reset_index(drop=True)
    experiment = environment["experiment"]
    metrics = list(_metrics(table, environment))
    names = [metric["name"] for metric in metrics]
    x = main_cost(table, environment)
    found = importance(table, environment)
    drawn = {
        "page": "search",
        "study": environment["study"],
        "view": "view" in environment,
        "states": STATE_WORDS,
        "accuracy": accuracy_words(environment),
        "metrics": metrics,
        "objectives": experiment["objectives"],
        "budgets": [
            {**budget, "words": words}
            for budget, words in zip(experiment["budgets"], budget_words(environment), strict=True)
        ],
        "presets": environment["presets"],
        "cost": x,
        "x": x,
        "y": "accuracy" if "accuracy" in names else next((name for name in names if name != x), x),
        "front": front_rows(table, experiment["objectives"]).index.tolist(),
        "findings": [asdict(finding) for finding in lasting],
        "further": list(_further(table, environment)),
        "importance": asdict(found),
        "order": _order(table, found),
        "history": history(table, environment),
        "published": _published(),
    }
    return {**finite(drawn), **drawings(table, environment), "columns": columns(table)}


def columns(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Every column of ``table``: name, type and values, from which results.csv can be written again to the letter."""
    found = []
    for name in table.columns:
        # Through object, because NA in a column of floats would come out as NaN.
        values = table[name].astype(object).where(table[name].notna(), None).tolist()
        values = [str(value) if isinstance(value, int) and abs(value) > _LARGEST else value for value in values]
        found.append({"name": name, "kind": str(table[name].dtype), "values": values})
    return found


def drawings(table: pd.DataFrame, environment: Mapping[str, Any]) -> dict[str, Any]:
    """``parts`` of networks, each kind once, and for each row of ``drawings`` which of them it has; None undrawn.

    ``imageSizes`` are the sides of the images for which the rows are drawn.
    """
    classes = len(environment["data"].get("classes") or ()) or 1000
    parts: dict[Part, int] = {}
    known: dict[str, tuple[list[int], int] | None] = {}
    found: list[list[int] | None] = [None] * len(table)
    sizes: list[int | None] = [None] * len(table)
    texts = table["arch"]
    for row in _worth_drawing(table, environment):
        text = texts[row]
        if text not in known:
            if len(known) >= MOST_DRAWN:
                break
            known[text] = _parts(text, classes, parts)
        drawn = known[text]
        if drawn is not None:
            found[row], sizes[row] = drawn
    return {"parts": [asdict(part) for part in parts], "drawings": found, "imageSizes": sizes}


def history(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The dominated share of the box, in percent, over trials, whole trainings and seconds; None without a box or a
    trained candidate.

    The first line is the search's; where a share of it was drawn at random to compare with, both parts follow, each
    over its own trainings and seconds. A line has the points at which it rises, and both ends.
    """
    if not (table["state"] == "complete").any() or not spans_box(environment):
        return None
    ordered = table.sort_values("trial", kind="stable")
    by = ordered["proposed_by"]
    sampler = environment["experiment"].get("sampler")
    lines = [_line("the search", ordered, environment)]
    if sampler not in (None, RANDOM) and (by == RANDOM).any() and (by == sampler).any():
        lines[0]["name"] = "all together"
        for name in (sampler, RANDOM):
            lines.append(_line(name, ordered[(by == name).fillna(False)], environment))
    return lines


def _line(name: str, rows: pd.DataFrame, environment: Mapping[str, Any]) -> dict[str, Any]:
    objectives, reference = environment["experiment"]["objectives"], environment["hypervolume_reference"]
    values = numbers(rows, objectives)
    values[(rows["state"] != "complete").to_numpy(dtype=bool)] = np.nan
    percent = 100 * pareto.hypervolume_history(
        values,
        [reference[name] for name in objectives],
        maximise=[MAXIMISE[name] for name in objectives],
        ideal=[IDEAL[name] for name in objectives],
    )
    kept = sorted({*np.flatnonzero(np.diff(percent, prepend=-1.0)).tolist(), len(rows) - 1})
    seconds = rows["seconds"].to_numpy(dtype=float, na_value=0.0)
    return {
        "name": name,
        "trial": [None if pd.isna(trial) else int(trial) for trial in rows["trial"].iloc[kept]],
        "trainings": np.cumsum(trainings(rows))[kept].tolist(),
        "seconds": np.cumsum(seconds)[kept].tolist(),
        "percent": percent[kept].tolist(),
    }


def _metrics(table: pd.DataFrame, environment: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What candidates can be compared by: those that were measured of any, with the columns of their intervals."""
    for name, maximise in MAXIMISE.items():
        if table[name].notna().any():
            low, high = _ENDS.get(name, (None, None))
            yield {
                "name": name,
                "label": axis_label(name, environment),
                "title": _TITLES[name],
                "short": "",
                "maximise": maximise,
                "cost": name in COSTS,
                "aside": False,
                "low": low,
                "high": high,
            }
    for name, title in _ASIDE.items():
        if table[name].notna().any():
            yield {
                "name": name,
                "label": axis_label(name, environment),
                "title": title,
                "short": "",
                "maximise": False,
                "cost": True,
                "aside": True,
                "low": None,
                "high": None,
            }
    for runtime in measured_runtimes(table):
        conditions = environment["front_latency"][runtime]
        yield {
            "name": f"latency_ms.{runtime}",
            "label": axis_label("latency_ms", {**environment, "latency": conditions}),
            "title": f"Latency by {short_name(conditions)}",
            "short": short_name(conditions),
            "maximise": False,
            "cost": True,
            "aside": False,
            "low": f"latency_low_ms.{runtime}",
            "high": f"latency_high_ms.{runtime}",
        }


def _further(table: pd.DataFrame, environment: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The plots of further runtimes: the rows that both numbers are known of, and the search's own front among them."""
    for runtime in measured_runtimes(table):
        rows = table.index[table[f"latency_ms.{runtime}"].notna() & table["accuracy"].notna()]
        if len(rows):
            own = compare(table, environment, runtime).own_front
            by = "" if environment["latency"] is None else f" by {short_name(environment['latency'])}"
            yield {
                "runtime": runtime,
                "rows": rows.tolist(),
                "marked": [row for row in rows.tolist() if row in own],
                "mark": f"on the front{by}",
            }


def _order(table: pd.DataFrame, found: Importance) -> list[str]:
    """The columns of the factors that vary, the most important for the first objective that is explained first."""
    names = [name for name in table.columns if name.startswith(PARAM) and table[name].nunique() > 1]
    explained = next((one for one in found.objectives if one.share is not None), None)
    ranked = [] if explained is None else [PARAM + factor.name for factor in explained.factors]
    return sorted(names, key=lambda name: ranked.index(name) if name in ranked else len(ranked))


def _published() -> list[dict[str, Any]]:
    """What others published, each network once, where a cost is stated that has the same unit everywhere."""
    found: dict[str, dict[str, Any]] = {}
    for model in published_models():
        if model.params is not None or model.macs is not None:
            keys = ("name", "accuracy", "params", "macs", "source")
            found.setdefault(model.name, {key: getattr(model, key) for key in keys})
    return list(found.values())


def _worth_drawing(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[int]:
    """The rows that hold an architecture: the front, the other trained ones, the most accurate first, then the rest."""
    there = table[table["arch"].notna() & (table["arch"] != "")]
    front = front_rows(there, environment["experiment"]["objectives"]).index.tolist()
    ranked = there.sort_values("accuracy", ascending=False, kind="stable").index.tolist()
    return list(dict.fromkeys([*front, *ranked]))


def _parts(text: str, classes: int, parts: dict[Part, int]) -> tuple[list[int], int] | None:
    """(The numbers of the network's parts in ``parts``, image size); None where ``text`` describes no network."""
    try:
        drawn = drawing(from_dict(json.loads(text)), classes)
    except (ValueError, TypeError, AttributeError, ArchError):
        return None  # a table that was written by hand, or by another version
    return [parts.setdefault(part, len(parts)) for part in drawn.parts], drawn.image_size
