"""The networks of the front on every device, runtime and precision that they were measured on, as a table."""

from collections.abc import Iterator
from dataclasses import dataclass

from mvit_nas.metrics import LATENCY
from mvit_nas.results.page import Cell, Column, Row, cell, columns_of, counted, number
from mvit_nas.results.search.findings import interval_words
from mvit_nas.results.search.letters import names
from mvit_nas.results.view import StudyView
from mvit_nas.study.origin import Conditions
from mvit_nas.study.record import Further, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredOn:
    """What the page says of all measurements of the front: a row for each network and each place."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def measured_on(view: StudyView) -> MeasuredOn | None:
    """The table; None where the front was measured in fewer than two places, and there is nothing to compare."""
    places = dict(_places(view))
    if len(places) < 2:
        return None
    return MeasuredOn(
        title=f"The front in {counted(len(places), 'place')} that it was measured in",
        columns=(
            *columns_of("Candidate", "Device", "Runtime", "Precision"),
            *columns_of("Latency (ms)", "File (MiB)", "Operators on the delegate (%)", numeric=True),
        ),
        rows=tuple(
            _row(view, index, runtime, conditions) for index in view.front for runtime, conditions in places.items()
        ),
    )


def _places(view: StudyView) -> Iterator[tuple[str, Conditions]]:
    """What the front was measured on: the search's own runtime, "", then the further ones, by which any latency is."""
    front, origin = [view.records[index] for index in view.front], view.origin
    if origin.latency is not None and any(record.has(LATENCY) for record in front):
        yield "", origin.latency
    for runtime, conditions in origin.further.items():
        if any(record.has(LATENCY.by(runtime)) for record in front):
            yield runtime, conditions


def _row(view: StudyView, index: int, runtime: str, conditions: Conditions) -> Row:
    record = view.records[index]
    identity = record.candidate.arch_id
    bits = conditions.weight_bits
    # Of the search's own runtime a record keeps the latency alone.
    found = record.further.get(runtime, Further())
    cells = (
        cell(names(view)[index], detail=identity),
        cell(conditions.target, detail=conditions.machine or ""),
        cell(conditions.runtime),
        cell("float32" if bits is None else f"int8, weights of {bits} bits"),
        _latency_cell(record, runtime, found.note),
        number(found.artefact_mib, "{:.2f}".format),
        number(found.delegated, lambda share: f"{100 * share:.0f}"),
    )
    return Row(measured=record.has(LATENCY.by(runtime) if runtime else LATENCY), reason=found.note, cells=cells)


def _latency_cell(record: Record, runtime: str, note: str) -> Cell:
    metric = LATENCY.by(runtime) if runtime else LATENCY
    found = record.measured(metric)
    return Cell(detail=note) if found is None else number(found.value, metric.cell, interval_words(metric, found))
