"""The page of a comparison of searches, as plain data: who finds more, its plots and where the numbers come from."""

import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

from mvit_nas.metrics import Form
from mvit_nas.results.comparison.comparison import (
    Comparison,
    Curve,
    Gain,
    Method,
    spent_to_reach,
)
from mvit_nas.results.comparison.methods import Study, machine_words
from mvit_nas.results.page import Card, Cell, Column, Section, axis_label, cell, entries_of, finite, number
from mvit_nas.results.search.findings import said
from mvit_nas.study.origin import comparison_document, study_document
from mvit_nas.units import format_seconds

_COLUMNS = (
    ("Method", False),
    ("Study", False),
    ("Seed", True),
    ("Hypervolume at equal compute", True),
    ("Trainings in all", True),
    ("Trials", True),
    ("Time", True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A search in the table of them."""

    cells: tuple[Cell, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A curve with what it says under the pointer."""

    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    hover: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Hypervolume against compute, of one method."""

    label: str
    seeds: int
    trainings: Steps
    seconds: Steps | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttainedLine:
    """Accuracy against cost, of one method."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    hover: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attained:
    """The plot of accuracy against cost; ``counts`` where the cost's numbers are counts."""

    x: str
    y: str
    counts: bool
    lines: tuple[AttainedLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the page of a comparison shows, as plain data; ``document`` is what its script draws."""

    study: str
    summary: tuple[str, ...]
    cards: tuple[Card, ...]
    notes: tuple[str, ...]
    equal: str
    schedule: str
    reference: str
    several: bool
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    provenance: tuple[Section, ...]
    document: object


def page_data(comparison: Comparison, conditions: Mapping[str, str]) -> Page:
    """All that the page shows. ``conditions`` are of making it: command, created, versions."""
    by_seconds = all(method.by_seconds is not None for method in comparison.methods)
    axes = {"trainings": "Whole trainings"} | ({"seconds": "Seconds of training"} if by_seconds else {})
    first = comparison.studies[0].origin
    return Page(
        study=title(comparison),
        summary=tuple(_summary(comparison)),
        cards=tuple(cards(comparison)),
        notes=comparison.notes,
        equal=trainings_words(comparison.trainings),
        schedule=first.schedule,
        reference=", ".join(
            said(metric, worst) for metric, worst in zip(comparison.objectives, comparison.box.reference, strict=True)
        ),
        several=any(len(method.studies) > 1 for method in comparison.methods),
        columns=tuple(Column(label=label, numeric=numeric) for label, numeric in _COLUMNS),
        rows=tuple(_row(method, index) for method in comparison.methods for index in range(len(method.studies))),
        provenance=(
            *entries_of(comparison_document(first, conditions, comparison.reference)),
            *(_study_section(study) for study in comparison.studies),
        ),
        document=finite(
            {
                "page": "comparison",
                "equal": comparison.trainings,
                "history": {"axes": axes, "lines": [asdict(_history(method)) for method in comparison.methods]},
                "attained": asdict(_attained(comparison)),
            }
        ),
    )


def _study_section(study: Study) -> Section:
    document = study_document(study.origin, machine=machine_words(study), seed=study.seed)
    return Section(title=f"study {study.name}", entries=entries_of(document)[0].entries)


def title(comparison: Comparison) -> str:
    """What is compared: "cost-aware or tpe?"."""
    labels = [method.label for method in comparison.methods]
    if len(labels) == 1:
        return f"{labels[0]} over {_seeds(comparison.methods[0])}"
    return f"{', '.join(labels[:-1])} or {labels[-1]}?"


def cards(comparison: Comparison) -> Iterator[Card]:
    """The findings: the method with most hypervolume, then each against the first, in sentences."""
    best = max(comparison.methods, key=lambda method: method.mean)
    spent = trainings_words(comparison.trainings)
    yield Card(
        title=f"Most hypervolume after {spent}",
        subject=best.label,
        sentences=(f"It dominates {_volume_words(best)} of the box.",),
    )
    first = comparison.methods[0]
    for method in comparison.methods[1:]:
        assert method.gain is not None, "only the first has none"
        yield Card(
            title=f"{method.label} against {first.label}",
            subject=verdict(method.gain),
            sentences=(_difference_sentence(method, first, spent), *_saving(method, first, comparison.trainings)),
        )


def verdict(gain: Gain) -> str:
    """What a difference shows, in a few words."""
    if gain.low is None or gain.high is None:
        return f"{gain.mean:+.3f}; {gain.why}"
    return "Finds more" if gain.low > 0 else "Finds less" if gain.high < 0 else "No difference shows"


def gain_words(gain: Gain) -> str:
    """The difference with its interval, "+0.031 (+0.010 to +0.052)", or why it has none."""
    if gain.low is None or gain.high is None:
        return f"{gain.mean:+.3f} ({gain.why})"
    return f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def trainings_words(trainings: float) -> str:
    """ "12 trainings", "12.5 trainings"."""
    return f"{trainings:.1f}".removesuffix(".0") + f" training{'s' * (trainings != 1)}"


def _seeds(method: Method) -> str:
    return f"{len(method.studies)} seed{'s' * (len(method.studies) > 1)}"


def _volume_words(method: Method) -> str:
    if len(method.studies) == 1:
        return f"{method.mean:.3f}"
    low, high = min(method.hypervolumes), max(method.hypervolumes)
    return f"{method.mean:.3f} ({low:.3f} to {high:.3f} over {_seeds(method)})"


def _difference_sentence(method: Method, first: Method, spent: str) -> str:
    gain = method.gain
    assert gain is not None, "only the first has none"
    head = (
        f"After {spent} each, {method.label} dominates {method.mean:.3f} of the box and {first.label} "
        f"{first.mean:.3f}: a difference of {gain.mean:+.3f}"
    )
    if gain.low is None or gain.high is None:
        return f"{head}; {gain.why}."
    over = f"over {gain.seeds} paired seeds" if gain.paired else "by Welch, as the seeds are not shared"
    return f"{head} (95 % interval {gain.low:+.3f} to {gain.high:+.3f}, {over})."


def _saving(method: Method, first: Method, equal: float) -> Iterator[str]:
    """How much sooner the better one was where the other ended."""
    ahead, behind = (method, first) if method.mean > first.mean else (first, method)
    reached = spent_to_reach(ahead.by_trainings, behind.mean)
    if reached is not None and reached < equal:
        yield f"{ahead.label} had reached {behind.mean:.3f} after {trainings_words(reached)}, in the mean of its seeds."


def _summary(comparison: Comparison) -> Iterator[str]:
    origin, count = comparison.studies[0].origin, len(comparison.methods)
    machines = dict.fromkeys(machine_words(study) for study in comparison.studies)
    yield f"{len(comparison.studies)} searches, {count} way{'s' * (count > 1)} of searching"
    yield f"data: {origin.images.name}"
    yield f"{origin.schedule} schedule"
    yield next(iter(machines)) if len(machines) == 1 else f"{len(machines)} machines"


def _row(method: Method, index: int) -> Row:
    study, volume, spent = method.studies[index], method.hypervolumes[index], method.trainings[index]
    records = study.view.records
    seconds = sum(record.spent.seconds for record in records)
    return Row(
        cells=(
            cell(method.label),
            cell(study.name),
            number(study.seed, str(study.seed)),
            number(volume, f"{volume:.3f}"),
            number(spent, f"{spent:.1f}"),
            number(len(records), str(len(records))),
            number(seconds, format_seconds(seconds)),
        )
    )


def _history(method: Method) -> History:
    return History(
        label=html.escape(method.label),
        seeds=len(method.studies),
        trainings=_steps(method, method.by_trainings, trainings_words),
        seconds=None if method.by_seconds is None else _steps(method, method.by_seconds, format_seconds),
    )


def _steps(method: Method, curve: Curve, words: Callable[[float], str]) -> Steps:
    label, several = html.escape(method.label), len(method.studies) > 1
    # Before the first training has ended there is nothing to see, and it would stretch the axis down to 0.
    begin = next((index for index, high in enumerate(curve.high) if high > 0), 0)
    x_all, means, lows, highs = (values[begin:] for values in (curve.x, curve.mean, curve.low, curve.high))
    hover = [
        f"<b>{label}</b><br>after {words(x)}: {mean:.3f}"
        + (f"<br>  {low:.3f} to {high:.3f} over {_seeds(method)}" if several else "")
        for x, mean, low, high in zip(x_all, means, lows, highs, strict=True)
    ]
    return Steps(x=x_all, mean=means, low=lows, high=highs, hover=tuple(hover))


def _attained(comparison: Comparison) -> Attained:
    origin, score, cost = comparison.studies[0].origin, comparison.score, comparison.cost
    end = max(x for method in comparison.methods for x, _ in method.attained)
    lines = []
    for method in comparison.methods:
        # To the right of its last step a line goes on: who may spend more has no less.
        points = [*method.attained, (end, method.attained[-1][1])]
        label = html.escape(method.label)
        hover = tuple(f"<b>{label}</b><br>{score.format(y)} at {cost.format(x)}" for x, y in points)
        x_all, y_all = tuple(x for x, _ in points), tuple(100 * y for _, y in points)
        lines.append(AttainedLine(label=label, x=x_all, y=y_all, hover=hover))
    return Attained(
        x=html.escape(axis_label(cost, origin)),
        y=html.escape(axis_label(score, origin)),
        counts=cost.form is Form.COUNT,
        lines=tuple(lines),
    )
