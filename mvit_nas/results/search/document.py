"""What the page of a search draws, as one JSON document: the table by columns, and what is computed of it once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mvit_nas.arch.config import ArchConfig
from mvit_nas.maths.hypervolume import Box, hypervolume_history
from mvit_nas.metrics import ACCURACY, LATENCY, MACS, METRICS, OBJECTIVES, PARAMS, Metric, Source
from mvit_nas.results.page import axis_label, finite
from mvit_nas.results.published import published_models
from mvit_nas.results.search.architecture import Part, drawing
from mvit_nas.results.search.findings import STATE_WORDS, Finding
from mvit_nas.results.search.importance import Importance, importance
from mvit_nas.results.search.runtimes import Comparison
from mvit_nas.results.table import Table
from mvit_nas.results.view import RANDOM, StudyView, front, values_where_complete
from mvit_nas.study.record import Record
from mvit_nas.study.table import PARAM

# Drawing takes about a millisecond each; of more networks than this the best are drawn.
MOST_DRAWN = 1000
# Whole numbers beyond this are sent as text: the page's are floats of 64 bits.
_LARGEST = 2**53

Document = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The dominated share of the box, in percent, where it rises and at both ends of a line."""

    name: str
    trial: tuple[int | None, ...]
    trainings: tuple[float, ...]
    seconds: tuple[float, ...]
    percent: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The plot of a further runtime: the rows with both numbers, and the search's own front among them."""

    runtime: str
    x: str
    rows: tuple[int, ...]
    marked: tuple[int, ...]
    mark: str


def document(
    view: StudyView, lasting: Sequence[Finding], comparisons: Mapping[str, Comparison], lines: Sequence[Line] | None
) -> Document:
    """All that the page of a search draws. Rows are named by their position in the table; missing is None.

    ``lasting`` are the findings that no limit changes, ``comparisons`` those with the front by further runtimes,
    ``lines`` the history.
    """
    metrics = list(measured_metrics(view))
    names = [metric.name for metric in metrics]
    x = view.cost.name
    found = importance(view)
    drawn = {
        "page": "search",
        "study": view.origin.study,
        "view": view.origin.through is not None,
        "states": {str(state): words for state, words in STATE_WORDS.items()},
        "score": view.score.name,
        "metrics": [
            {**entry(metric, view), "label": axis_label(metric, view.origin), "title": _title(metric, view)}
            for metric in metrics
        ],
        "known": {name: entry(metric, view) for name, metric in METRICS.items()},
        "objectives": [metric.name for metric in view.objectives],
        "budgets": [asdict(budget) | {"words": str(budget)} for budget in view.origin.experiment.budgets],
        "presets": view.origin.presets,
        "cost": x,
        "x": x,
        "y": view.score.name if view.score.name in names else next((name for name in names if name != x), x),
        "front": view.front,
        "findings": [asdict(finding) for finding in lasting],
        "further": [asdict(plot) for plot in plots(view, comparisons)],
        "importance": asdict(found),
        "order": _order(view, found),
        "history": None if lines is None else [asdict(line) for line in lines],
        "published": _published(),
    }
    plain = finite(drawn)
    assert isinstance(plain, dict)
    return {**plain, **drawings(view), "columns": columns(view.table)}


def entry(metric: Metric, view: StudyView) -> Document:
    """What the script must know of a metric to say it, draw it and limit by it."""
    return {
        "name": metric.name,
        "source": str(metric.source),
        "form": str(metric.form),
        "unit": metric.unit,
        "title": metric.title,
        "short": view.origin.further[metric.runtime].title if metric.runtime else "",
        "maximise": metric.maximise,
        "cost": metric.is_cost,
        "aside": metric.aside,
        "noun": metric.noun,
        "more": metric.more,
        "fewer": metric.fewer,
        "after": metric.after,
        "words": view.origin.score_words(metric) if metric.source is Source.TRAINED else "",
        "extreme": metric.extreme,
        "low": metric.low or None,
        "high": metric.high or None,
    }


def measured_metrics(view: StudyView) -> Iterator[Metric]:
    """What candidates can be compared by: what was measured of any, objectives first, further runtimes last."""
    asides = (metric for metric in METRICS.values() if metric.aside)
    yield from (metric for metric in (*OBJECTIVES, *asides) if view.is_measured(metric))
    yield from (LATENCY.by(runtime) for runtime in view.measured_runtimes)


def columns(table: Table) -> list[Document]:
    """Every column of ``table``: name, type and values, from which results.csv can be written again to the letter."""
    return [
        {
            "name": one.name,
            "kind": one.kind,
            "values": [str(cell) if isinstance(cell, int) and abs(cell) > _LARGEST else cell for cell in one.cells],
        }
        for one in table.columns
    ]


def drawings(view: StudyView) -> Document:
    """``parts`` of networks, each kind once, and for each row of ``drawings`` which of them it has; None undrawn.

    ``imageSizes`` are the sides of the images for which the rows are drawn.
    """
    classes = len(view.origin.images.classes) or 1000
    parts: dict[Part, int] = {}
    known: dict[ArchConfig, tuple[list[int], int]] = {}
    found: list[list[int] | None] = [None] * len(view.records)
    sizes: list[int | None] = [None] * len(view.records)
    for index in _worth_drawing(view):
        arch = view.records[index].candidate.arch
        assert arch is not None, "it is worth drawing"
        if arch not in known:
            if len(known) >= MOST_DRAWN:
                break
            drawn = drawing(arch, classes)
            known[arch] = [parts.setdefault(part, len(parts)) for part in drawn.parts], drawn.image_size
        found[index], sizes[index] = known[arch]
    return {"parts": [asdict(part) for part in parts], "drawings": found, "imageSizes": sizes}


def history(view: StudyView) -> list[Line] | None:
    """The dominated share of the box over trials, whole trainings and seconds; None without a box or a trained one.

    The first line is the search's; where a share of it was drawn at random to compare with, both parts follow, each
    over its own trainings and seconds.
    """
    if not view.trained or view.box is None:
        return None
    ordered = [view.records[index] for index in view.by_trial]
    sampler, by = view.origin.experiment.sampler, {record.proposed_by for record in ordered}
    if sampler in (None, RANDOM) or RANDOM not in by or sampler not in by:
        return [_line("the search", ordered, view.objectives, view.box)]
    lines = [_line("all together", ordered, view.objectives, view.box)]
    for name in (sampler, RANDOM):
        own = [record for record in ordered if record.proposed_by == name]
        lines.append(_line(name, own, view.objectives, view.box))
    return lines


def plots(view: StudyView, comparisons: Mapping[str, Comparison]) -> Iterator[Plot]:
    """The plots of the further runtimes that any scored network was measured on."""
    own = view.origin.latency
    for runtime in view.measured_runtimes:
        metric = LATENCY.by(runtime)
        rows = view.where(lambda record, metric=metric: record.has(metric) and record.has(view.score))  # type: ignore[misc]
        if rows:
            on_front = set(comparisons[runtime].own_front)
            marked = tuple(row for row in rows if row in on_front)
            by = "" if own is None else f" by {own.title}"
            yield Plot(runtime=runtime, x=metric.name, rows=rows, marked=marked, mark=f"on the front{by}")


def _line(name: str, records: Sequence[Record], objectives: Sequence[Metric], box: Box) -> Line:
    percent = 100 * hypervolume_history(values_where_complete(records, objectives), box)
    kept = sorted({*np.flatnonzero(np.diff(percent, prepend=-1.0)).tolist(), len(records) - 1})
    spent = np.cumsum([[record.spent.trainings, record.spent.seconds] for record in records], axis=0)
    return Line(
        name=name,
        trial=tuple(records[index].trial for index in kept),
        trainings=tuple(spent[kept, 0].tolist()),
        seconds=tuple(spent[kept, 1].tolist()),
        percent=tuple(percent[kept].tolist()),
    )


def _title(metric: Metric, view: StudyView) -> str:
    return metric.title + (f" by {view.origin.further[metric.runtime].title}" if metric.runtime else "")


def _order(view: StudyView, found: Importance) -> list[str]:
    """The columns of the factors that vary, the most important for the first objective that is explained first."""
    seen = {name: {record.candidate.labels.get(name) for record in view.records} - {None} for name in view.factors}
    names = [name for name, labels in seen.items() if len(labels) > 1]
    explained = next((one for one in found.objectives if one.share is not None), None)
    ranked = [] if explained is None else [factor.name for factor in explained.factors]
    ordered = sorted(names, key=lambda name: ranked.index(name) if name in ranked else len(ranked))
    return [PARAM + name for name in ordered]


def _published() -> list[Document]:
    """What others published, each network once, where a cost is stated that has the same unit everywhere."""
    found: dict[str, Document] = {}
    for model in published_models():
        if model.params is not None or model.macs is not None:
            values = {ACCURACY.name: model.accuracy, PARAMS.name: model.params, MACS.name: model.macs}
            found.setdefault(model.name, {"name": model.name, "values": values, "source": model.source})
    return list(found.values())


def _worth_drawing(view: StudyView) -> list[int]:
    """The rows that hold an architecture: the front, the other trained ones, the most accurate first, then the rest."""
    there = view.where(lambda record: record.candidate.arch is not None)
    on_front = front([view.records[index] for index in there], view.objectives, first=view.score)

    def rank(index: int) -> tuple[bool, float]:
        value = view.records[index].value(view.score)
        return value is None, -(value or 0.0)

    return list(dict.fromkeys([*(there[position] for position in on_front), *sorted(there, key=rank)]))
