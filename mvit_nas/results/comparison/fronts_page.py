"""How two fronts differ, in words: a section of the comparison's page, and lines for a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mvit_nas.metrics import Form, Metric
from mvit_nas.results.comparison.fronts import Change, Fronts, Member, changed
from mvit_nas.results.page import Card, Cell, Column, Row, axis_label, cell, columns_of
from mvit_nas.results.search.findings import interval_words
from mvit_nas.study.origin import SearchOrigin
from mvit_nas.study.record import Measured, Record

_ARROW = "\u2192"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontsSection:
    """The table of the members of both fronts, under a title and the count of each change."""

    title: str
    counts: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def fronts_section(fronts: Fronts, origin: SearchOrigin) -> FrontsSection:
    """The section of the page; axes are labelled with the conditions of ``origin``."""
    return FrontsSection(
        title=f"What changed on the front, from {fronts.old} to {fronts.new}",
        counts=count_words(fronts),
        columns=(
            *columns_of("Network", "On the front"),
            *columns_of(*(axis_label(metric, origin) for metric in fronts.objectives), numeric=True),
            *columns_of("Why"),
        ),
        rows=tuple(_row(member, fronts.objectives) for member in fronts.members),
    )


def fronts_card(fronts: Fronts) -> Card:
    """The count of each change, as one of the page's findings."""
    return Card(
        title=f"The front of {fronts.new} against that of {fronts.old}", subject=count_words(fronts), sentences=()
    )


def count_words(fronts: Fronts) -> str:
    """How many members changed how: "2 new, 1 lost, 3 kept"; "the same front" where none did."""
    counts = {change: fronts.count(change) for change in Change}
    if counts[Change.KEPT] == len(fronts.members):
        return f"the same front, {len(fronts.members)} kept"
    return ", ".join(f"{count} {change}" for change, count in counts.items() if count)


def front_lines(fronts: Fronts) -> Iterator[str]:
    """A line for each member that is not on both fronts as it was."""
    for member in fronts.members:
        if member.change is Change.KEPT:
            continue
        values = ", ".join(filter(None, (_said(member, metric) for metric in fronts.objectives)))
        yield f"{member.change}: {member.record.label}: {values}" + (f" ({member.why})" if member.why else "")


def _said(member: Member, metric: Metric) -> str:
    """A value with its unit, with the one before it where the member moved."""
    old, new = _values(member, metric)
    if member.change is Change.MOVED and old is not None and new is not None and metric.cell(old) != metric.cell(new):
        return f"{metric.cell(old)} {_ARROW} {metric.format(new)}"
    value = old if member.change is Change.LOST else new
    return "" if value is None else metric.format(value)


def _values(member: Member, metric: Metric) -> tuple[float | None, float | None]:
    return (
        None if member.old is None else member.old.value(metric),
        None if member.new is None else member.new.value(metric),
    )


def _row(member: Member, objectives: Sequence[Metric]) -> Row:
    record, trials = member.record, [one.trial for one in (member.old, member.new) if one is not None]
    words = [str(trial) for trial in dict.fromkeys(trials) if trial is not None]
    cells = (
        cell(record.label, detail=f"trial {f' {_ARROW} '.join(words)}" if words else ""),
        cell(str(member.change), sort=list(Change).index(member.change)),
        *(_cell(member, metric) for metric in objectives),
        cell(member.why or "-", sort=member.why),
    )
    return Row(cells=cells, front=member.change is Change.NEW, measured=member.change is not Change.LOST)


def _cell(member: Member, metric: Metric) -> Cell:
    """The value on the front that the member is on; before and after, with the difference, where it moved."""
    moved = member.change is Change.MOVED
    if (
        moved
        and member.old is not None
        and member.new is not None
        and metric in changed(member.old, member.new, [metric])
    ):
        return _moved_cell(member.old, member.new, metric)
    shown = member.old if member.change is Change.LOST else member.new
    value = None if shown is None else shown.value(metric)
    if shown is None or value is None:
        return Cell()
    return Cell(text=metric.cell(value), detail=interval_words(metric, shown.measured(metric)), sort=value)


def _moved_cell(old: Record, new: Record, metric: Metric) -> Cell:
    one, other = old.measured(metric), new.measured(metric)
    texts = ["-" if found is None else metric.cell(found.value) for found in (one, other)]
    detail = "" if one is None or other is None else _difference_words(metric, one, other)
    return Cell(text=f" {_ARROW} ".join(texts), detail=detail, sort="" if other is None else other.value)


def _difference_words(metric: Metric, old: Measured, new: Measured) -> str:
    """By how much it moved, and whether the two 95 % intervals overlap, where both have one."""
    if metric.form is Form.SHARE:
        words = f"{100 * (new.value - old.value):+.1f} points"
    else:
        words = metric.change(new.value / old.value) if old.value else ""
    if old.low is None or old.high is None or new.low is None or new.high is None:
        return words
    overlap = new.low <= old.high and old.low <= new.high
    return f"{words} (the intervals {'overlap' if overlap else 'are apart'})"
