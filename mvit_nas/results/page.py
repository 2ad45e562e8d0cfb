"""What every page shows alike: cards, the cells of its tables and the origin of its numbers, as plain data."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mvit_nas.metrics import LATENCY, Metric, Source
from mvit_nas.study.origin import Conditions, Document, Origin, SearchOrigin, as_document
from mvit_nas.study.table import Cell as Value
from mvit_nas.units import format_seconds

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

MISSING = "-"
_SCALE = ("reference_ms", "reference_low_ms", "reference_high_ms", "reference_measurements")
_STAGE = re.compile(r"\bstages\.(\d+)\b")
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


class Column(NamedTuple):
    """The head of a table's column: its label, and whether it holds numbers."""

    label: str
    numeric: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: its text, its small print, and what the page sorts by; as it is, one that is missing and comes last."""

    text: str = MISSING
    detail: str = ""
    sort: Value = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table: on the ``front`` it is tinted, not ``measured`` grey; a detail that is the ``reason`` wraps."""

    cells: tuple[Cell, ...]
    reason: str = ""
    front: bool = False
    measured: bool = True


class Section(NamedTuple):
    """A part of the provenance: names and values in words."""

    title: str
    entries: tuple[tuple[str, str], ...]


def provenance(origin: Origin) -> tuple[Section, ...]:
    """All of the origin in words."""
    search = origin if isinstance(origin, SearchOrigin) else None
    document: dict[str, object] = {}
    for key, value in as_document(origin).items():
        if key == "latency" and origin.latency is not None:
            document[key] = _conditions(origin.latency)
        elif key == "front_latency" and search:
            document |= {f"latency by {name}": _conditions(one) for name, one in search.further.items()}
        elif key == "experiment":
            # The text of the space has a section of its own.
            shown = {name: part for name, part in value.items() if name != "space"}
            document[key] = shown | ({"budgets": search.budget_words} if search else {})
        elif key != "format":
            document[key] = value
    return sections_of(document)


def sections_of(document: Document) -> tuple[Section, ...]:
    """A document in words: first what stands by itself, then a section for each object."""
    single = {key: value for key, value in document.items() if not isinstance(value, Mapping)}
    objects = [(title(key), value) for key, value in document.items() if isinstance(value, Mapping) and value]
    return tuple(Section(name, tuple(_entries(values))) for name, values in [("Run", single), *objects])


def axis_label(metric: Metric, origin: Origin) -> str:
    """The title of an axis or a column, with its unit and, for a latency, its conditions."""
    if metric.source is Source.TRAINED:
        words = origin.score_words(metric)
        return f"{words[0].upper()}{words[1:]} ({metric.unit})"
    if metric.source is Source.COUNTED:
        return metric.heading
    latency = origin.latency
    if metric.runtime and isinstance(origin, SearchOrigin):
        latency = origin.further[metric.runtime]
    conditions = ""
    if latency is not None:
        conditions = f"; {latency.runtime}, {latency.target}, {counted(latency.threads, 'thread')}"
        conditions += "" if latency.precision is None else f", ±{100 * latency.precision:.2g} %"
    return f"{metric.heading} ({metric.unit}{conditions})"


def scale_words(latency: Conditions) -> str:
    """How far the milliseconds can be trusted; empty where the conditions do not tell."""
    low, high, count = latency.reference_low_ms, latency.reference_high_ms, latency.reference_measurements
    if latency.reference_ms is None or low is None or high is None or count is None:
        return ""
    ratios = f"All latencies are ratios to {latency.reference}, times its {LATENCY.format(latency.reference_ms)}"
    if count == 1:
        return f"{ratios}, which was measured once: how far the absolute scale can be trusted is not known."
    return (
        f"{ratios}; in {count} measurements that reference took {low:.3g} to {LATENCY.format(high)}, so "
        "the absolute scale is known to that only; comparisons between networks are not affected."
    )


def columns_of(*labels: str, numeric: bool = False) -> tuple[Column, ...]:
    """Columns of text, or of numbers."""
    return tuple(Column(label, numeric) for label in labels)


def cell(text: str, *, detail: str = "", sort: Value = None) -> Cell:
    """A cell, which sorts by its text where nothing else is given."""
    return Cell(text=text, detail=detail, sort=text if sort is None else sort)


def number(value: float | None, words: Callable[[float], str], detail: str = "") -> Cell:
    """The cell of a number in ``words`` that sorts by its value; a dash where it is missing."""
    return Cell() if value is None else Cell(text=words(value), detail=detail, sort=value)


def counted(count: int, noun: str) -> str:
    """How many: "1 seed", "3 seeds"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def _conditions(latency: Conditions) -> Document:
    """The conditions of a latency, with what is known of its scale as a sentence."""
    scale = scale_words(latency)
    hidden = (*_SCALE, "reference") if scale else ()
    shown = {key: value for key, value in latency.document.items() if key not in hidden}
    if latency.precision is not None:
        shown |= {"precision": f"±{100 * latency.precision:.2g} %"}
    return shown | ({"scale": scale} if scale else {})


def _entries(values: Document) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            for inner, text in _entries(value):
                yield f"{title(key)}: {inner}", text
        elif key == "elapsed_seconds":
            yield title(key), format_seconds(value)
        else:
            yield title(key), _words(value)


def _words(value: object) -> str:
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{title(key)} {_words(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(item) for item in value)
    if isinstance(value, int | float) and abs(value) >= 10_000:
        return f"{value:,.10g}"
    return str(value)


def title(key: str) -> str:
    """A key of the environment, or the name of a factor, as a heading; stages are counted from 1, as in the paper."""
    return _TITLES.get(key) or _STAGE.sub(lambda found: f"stage {int(found[1]) + 1}", key).replace("_", " ").replace(
        ".stage", " of stage"
    )


def finite(value: object) -> object:
    """``value`` for JSON: None for numbers that are not finite, which JSON does not know."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
