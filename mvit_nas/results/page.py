"""What every page shows alike: cards, the cells of its tables and the origin of its numbers, as plain data."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mvit_nas.metrics import format_metric
from mvit_nas.results.search.findings import accuracy_words, budget_words
from mvit_nas.results.table import missing
from mvit_nas.units import format_seconds

MISSING = "-"
_SCALE = ("reference_ms", "reference_low_ms", "reference_high_ms", "reference_measurements")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One thing to know, in words: a title, sentences, and points of a list."""

    title: str
    subject: str
    sentences: tuple[str, ...]
    points: tuple[str, ...] = ()


def provenance(environment: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """All of the environment in words: sections of (name, value)."""
    single = {key: value for key, value in environment.items() if not isinstance(value, Mapping)}
    sections = [("Run", list(_entries(single)))]
    for key, value in environment.items():
        if key == "latency" and value is not None:
            sections.append((title(key), _conditions(value)))
        elif key == "front_latency":
            sections += [(f"latency by {name}", _conditions(conditions)) for name, conditions in value.items()]
        elif isinstance(value, Mapping) and value:
            budgets = {"budgets": budget_words(environment)} if "budgets" in value else {}
            # The text of the space has a section of its own.
            shown = {name: part for name, part in value.items() if (key, name) != ("experiment", "space")}
            sections.append((title(key), list(_entries({**shown, **budgets}))))
    return sections


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
        "size_mib": "Size of the weights (MiB, float32)",
        "peak_memory_mib": "Peak memory of the activations (MiB, float32, counted)",
    }
    return labels[name]


def scale_words(latency: Mapping[str, Any]) -> str:
    """How far the milliseconds can be trusted; empty where the environment does not tell."""
    first, low, high, count = (latency.get(name) for name in _SCALE)
    if first is None or low is None or high is None or count is None:
        return ""
    ratios = f"All latencies are ratios to {latency['reference']}, times its {format_metric('latency_ms', first)}"
    if count == 1:
        return f"{ratios}, which was measured once: how far the absolute scale can be trusted is not known."
    return (
        f"{ratios}; in {count} measurements that reference took {low:.3g} to {format_metric('latency_ms', high)}, so "
        "the absolute scale is known to that only; comparisons between networks are not affected."
    )


def cell(text: str, *, detail: str = "", sort: Any = None) -> dict[str, Any]:
    """One cell: its text, its small print, and what the page sorts by ("" for missing, which comes last)."""
    return {"text": text, "detail": detail, "sort": text if sort is None else sort}


def number(value: Any, text: str, detail: str = "") -> dict[str, Any]:
    """The cell of a number that sorts by its value; a dash where it is missing."""
    return cell(MISSING, sort="") if missing(value) else cell(text, detail=detail, sort=value)


def to_float(value: Any) -> float:
    """The number in a table's cell, NaN where it is missing."""
    return math.nan if missing(value) else float(value)


def _conditions(latency: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The conditions of a latency, with what is known of its scale as a sentence."""
    scale = scale_words(latency)
    plain = {key: value for key, value in latency.items() if not (scale and key in (*_SCALE, "reference"))}
    if plain.get("precision") is not None:
        plain["precision"] = f"±{100 * plain['precision']:.2g} %"
    return [*_entries(plain), *([("scale", scale)] if scale else [])]


def _entries(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            for inner, text in _entries(value):
                yield f"{title(key)}: {inner}", text
        elif key == "elapsed_seconds":
            yield title(key), format_seconds(value)
        else:
            yield title(key), _words(value)


def _words(value: Any) -> str:
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{title(key)} {_words(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(item) for item in value)
    if isinstance(value, int | float) and abs(value) >= 10_000:
        return f"{value:,.10g}".replace(",", "\u202f")  # narrow no-break space between thousands
    return str(value)


def title(key: str) -> str:
    """A key of the environment, or the name of a factor, as a heading."""
    return _TITLES.get(key, key.replace("_", " "))


def finite(value: Any) -> Any:
    """``value`` for JSON: None for numbers that are not finite, which JSON does not know."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
