"""What the page of a search draws, as one JSON document: the table by columns, and what is computed of it once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mvit_nas.arch.config import ArchConfig
from mvit_nas.maths.hypervolume import Box, hypervolume_history
from mvit_nas.metrics import ACCURACY, LATENCY, MACS, METRICS, OBJECTIVES, PARAMS, Metric, Source
from mvit_nas.results.page import axis_label, finite
from mvit_nas.results.published import published_models
from mvit_nas.results.search.architecture import Part, drawing
from mvit_nas.results.search.confirmed import document as confirmed
from mvit_nas.results.search.devices import Device
from mvit_nas.results.search.findings import STATE_WORDS, lasting_findings, nothing_learned, single_token_words
from mvit_nas.results.search.importance import NOTE, Explained, importance
from mvit_nas.results.search.letters import descriptor
from mvit_nas.results.search.runtimes import Comparison
from mvit_nas.results.table import Table
from mvit_nas.results.view import RANDOM, StudyView, front, rank, values_where_complete
from mvit_nas.study.record import Record
from mvit_nas.study.table import PARAM, Cell

# Drawing takes about a millisecond each; of more networks than this the best are drawn.
MOST_DRAWN = 1000
# A choice that more than this share of the front made is told last.
_COMMON = 2 / 3
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


def document(
    view: StudyView,
    comparisons: Mapping[str, Comparison],
    lines: Sequence[Line] | None,
    devices: Sequence[Device] = (),
) -> Document:
    """All that the page of a search draws. Rows are named by their position in the table; missing is None.

    ``comparisons`` are those with the front by further runtimes, ``lines`` the history.
    """
    metrics = list(measured_metrics(view))
    x, y = shown_axes(view)
    explained = importance(view)
    order = [PARAM + name for name in factor_order(view, explained)]
    drawn = {
        "page": "search",
        "study": view.origin.study,
        "view": view.origin.through is not None,
        "states": {str(state): words for state, words in STATE_WORDS.items()},
        "score": view.score.name,
        "schedule": view.origin.schedule,
        "metrics": [
            {**entry(metric, view), "label": axis_label(metric, view.origin), "title": _title(metric, view)}
            for metric in metrics
        ],
        "known": {name: entry(metric, view) for name, metric in METRICS.items()},
        "objectives": [metric.name for metric in view.objectives],
        "budgets": [asdict(budget) | {"words": str(budget)} for budget in view.origin.experiment.budgets],
        "presets": view.origin.presets,
        "cost": view.cost.name,
        "x": x.name,
        "y": y.name,
        "front": view.front,
        "single": {str(i): words for i, record in enumerate(view.records) if (words := single_token_words(record))},
        "sure": _sure(view),
        "unlearned": None if (unlearned := nothing_learned(view)) is None else asdict(unlearned),
        "findings": [asdict(finding) for finding in lasting_findings(view)],
        "further": list(_plots(view, comparisons)),
        "importance": {"objectives": [asdict(one) for one in explained], "note": NOTE},
        "order": order,
        "choices": _choices(view),
        "descriptors": _descriptors(view, order),
        "history": None if lines is None else [asdict(line) for line in lines],
        "published": _published(),
        "confirmed": confirmed(view),
        "devices": [{"name": one.name, "limits": dict(one.limits), "words": one.words} for one in devices],
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


def shown_axes(view: StudyView) -> tuple[Metric, Metric]:
    """The axes on which candidates are shown first: the main cost, and the score or what else was measured."""
    metrics = list(measured_metrics(view))
    others = (metric for metric in metrics if metric.name != view.cost.name)
    return view.cost, view.score if view.score in metrics else next(others, view.cost)


def columns(table: Table) -> list[Document]:
    """Every column of ``table``: name, type and values, from which results.csv can be written again to the letter."""
    return [
        {"name": one.name, "kind": one.kind, "values": [_exact(value) for value in one.cells]} for one in table.columns
    ]


def _sure(view: StudyView) -> Document:
    """What the page needs to say how sure it is, for any limits: by row, None where no score is known.

    ``front`` is the probability to be on the front, of those alone that are on it or near it.
    """
    sure = view.sure
    mean: list[float | None] = [None] * len(view.records)
    deviation, low, high, on_front = mean.copy(), mean.copy(), mean.copy(), mean.copy()
    believed = zip(sure.rows, sure.believed.mean_N.tolist(), sure.believed.deviation_N.tolist(), strict=True)
    for row, mean[row], deviation[row] in believed:
        low[row], high[row] = sure.intervals[row]
    for row, chance in sure.near(frozenset(view.front)).items():
        on_front[row] = chance
    return {
        "covers": sure.covers,
        "mean": mean,
        "deviation": deviation,
        "low": low,
        "high": high,
        "front": on_front,
    }


def _exact(value: Cell) -> Cell:
    return str(value) if isinstance(value, int) and abs(value) > _LARGEST else value


def drawings(view: StudyView) -> Document:
    """``parts`` of networks, each kind once, and for each row of ``drawings`` which of them it has; None undrawn.

    ``imageSizes`` are the sides of the images for which the rows are drawn.
    """
    classes = len(view.origin.images.classes) or 1000
    parts: dict[Part, int] = {}
    known: dict[ArchConfig, list[int]] = {}
    found: list[list[int] | None] = [None] * len(view.records)
    sizes: list[int | None] = [None] * len(view.records)
    for index in _worth_drawing(view):
        arch = view.records[index].candidate.arch
        assert arch is not None, "it is worth drawing"
        if arch not in known:
            if len(known) >= MOST_DRAWN:
                break
            known[arch] = [parts.setdefault(part, len(parts)) for part in drawing(arch, classes)]
        found[index], sizes[index] = known[arch], arch.image_size
    return {"parts": [asdict(part) for part in parts], "drawings": found, "imageSizes": sizes}


def history(view: StudyView) -> list[Line] | None:
    """The dominated share of the box over trials, whole trainings and seconds; None without a box or a trained one.

    The first line is the search's; where a share of it was drawn at random to compare with, both parts follow, each
    over its own trainings and seconds.
    """
    if not view.trained or view.box is None:
        return None
    sampler, by = view.origin.experiment.sampler, {record.proposed_by for record in view.ordered}
    if sampler in (None, RANDOM) or RANDOM not in by or sampler not in by:
        return [_line("the search", view.ordered, view.objectives, view.box)]
    lines = [_line("all together", view.ordered, view.objectives, view.box)]
    for name in (sampler, RANDOM):
        own = [record for record in view.ordered if record.proposed_by == name]
        lines.append(_line(name, own, view.objectives, view.box))
    return lines


def factor_order(view: StudyView, explained: Sequence[Explained]) -> list[str]:
    """The factors that vary, the most important for the first objective that is explained first."""
    seen = {name: {record.candidate.labels.get(name) for record in view.records} - {None} for name in view.factors}
    names = [name for name, labels in seen.items() if len(labels) > 1]
    ranked = next(([factor.name for factor in one.factors] for one in explained if one.share is not None), [])
    return sorted(names, key=lambda name: ranked.index(name) if name in ranked else len(ranked))


def _plots(view: StudyView, comparisons: Mapping[str, Comparison]) -> Iterator[Document]:
    """The plots of the further runtimes: the rows with both numbers, and the search's own front among them."""
    own = view.origin.latency
    for runtime in view.measured_runtimes:
        metric = LATENCY.by(runtime)
        rows = [row for row, record in enumerate(view.records) if record.has(metric) and record.has(view.score)]
        if rows:
            marked = [row for row in rows if row in comparisons[runtime].own_front]
            mark = "on the front" + ("" if own is None else f" by {own.title}")
            yield {"runtime": runtime, "x": metric.name, "rows": rows, "marked": marked, "mark": mark}


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


def _choices(view: StudyView) -> Document:
    """The values of each factor as text, in the order of the space; empty where that is not known."""
    parameters = () if view.space is None else view.space.parameters
    return {PARAM + one.name: [str(label) for label in one.choices] for one in parameters}


def _descriptors(view: StudyView, order: Sequence[str]) -> list[str]:
    """What each trained network is like, by the most telling factors that vary on the front; "" for the others."""
    front = [view.records[index].candidate.labels for index in view.front]
    factors = [name.removeprefix(PARAM) for name in order]

    def is_common(name: str) -> bool:
        """Whether most of the front have the same label: it tells few of them apart."""
        known = Counter(labels[name] for labels in front if name in labels)
        return bool(known) and known.most_common(1)[0][1] > _COMMON * known.total()

    factors.sort(key=is_common)
    return [descriptor(record, factors) if record.is_complete else "" for record in view.records]


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
    ranked = sorted(there, key=lambda index: rank(view.records[index], view.score))
    return list(dict.fromkeys([*(there[position] for position in on_front), *ranked]))
