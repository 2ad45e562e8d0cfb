"""Records as flat rows, whose keys are the columns of every table; the store keeps them so, too."""

import functools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace

from mvit_nas.arch.config import ArchConfig, arch_id, from_dict, to_dict
from mvit_nas.documents import parse_json
from mvit_nas.errors import InputError
from mvit_nas.metrics import LATENCY, METRICS, Form, Metric
from mvit_nas.study.record import Candidate, Cause, Further, Measured, Record, Rung, SeedScore, Spent, State

Cell = str | int | float | bool | None
Row = Mapping[str, Cell]


def _metric_columns() -> dict[str, str]:
    columns = {}
    for metric in METRICS.values():
        columns[metric.name] = "Int64" if metric.form is Form.COUNT else "Float64"
        columns |= {end: "Float64" for end in (metric.low, metric.high) if end}
    return columns


# The contract of every table. Text and numbers may be missing; what was not measured is never zero.
COLUMNS: dict[str, str] = {
    "trial": "Int64",
    "arch_id": "string",
    "name": "string",  # of a published preset, otherwise ""
    "state": "string",  # one of State
    **_metric_columns(),
    "latency_runs": "Int64",
    "latency_threads": "Int64",
    "seconds": "Float64",  # what the trial cost
    "proposed_by": "string",  # the sampler, "preset" or "first design"
    "epochs": "Int64",  # of training, and as a share of the schedule's
    "trainings": "Float64",
    "training_seconds": "Float64",  # of the training alone, also where it was known before
    "inherited_from": "Int64",  # the trial whose weights it started from
    "rungs": "string",  # JSON: what the training was scored at on its way
    "by_seed": "string",  # JSON: the scores of each seed, where there were several; their mean is in the column of each
    "cached": "boolean",  # taken from an earlier evaluation
    "seed": "Int64",
    "reason": "string",  # why it failed or which budget it broke
    "arch": "string",  # JSON
    "tokens": "string",  # that attention sees in each MobileViT block, stage after stage, at the image size: "64,16,4"
}
# And for each further runtime R on which the front was measured, "latency_ms.R" and so on; the note says why not.
FURTHER: dict[str, str] = {
    LATENCY.name: "Float64",
    LATENCY.low: "Float64",
    LATENCY.high: "Float64",
    "latency_note": "string",
    "artefact_mib": "Float64",  # of the file that the runtime executes
    "delegated": "Float64",  # the share of its operators that the delegate takes
}
PARAM = "param."  # begins the column of a factor of the search space
MATCHED = f"{PARAM}matched"  # in the table of an ablation: which cost a variant's width was rescaled to match
# Of a record in a store. Rows of the first format have no number, and say in their reason alone what is tried again;
# before the third, heads over a single token made another arch_id.
FORMAT = 3
_UNMEASURED_BEFORE = "latency not measured"


def to_row(record: Record) -> dict[str, Cell]:
    """``record`` by the columns of a table; what is not known has no column."""
    return {name: value for name, value in _cells(record) if value is not None}


def from_row(row: Row) -> Record:
    """The record of a row, whose missing cells are None or not there. Raises ValueError for an unknown state.

    An architecture that does not parse, in a table that was written by hand or by another version, is left out.
    """
    state = State(_text(row["state"]))
    runtimes = dict.fromkeys(
        name.partition(".")[2] for name in row if name.partition(".")[0] in FURTHER and "." in name
    )
    labels = {name.removeprefix(PARAM): value for name, value in row.items() if name.startswith(PARAM)}
    matched = labels.pop(MATCHED.removeprefix(PARAM), None)
    return Record(
        trial=_integer(row.get("trial")),
        state=state,
        candidate=Candidate(
            arch=_parsed(_text(row.get("arch"))),
            arch_id=_text(row.get("arch_id")),
            name=_text(row.get("name")),
            labels={name: label for name, label in labels.items() if label is not None},
            matched=None if matched is None else str(matched),
        ),
        values={name: found for name, metric in METRICS.items() if (found := _measured(row, metric)) is not None},
        further={
            runtime: Further(
                latency=_measured(row, LATENCY.by(runtime)),
                note=_text(row.get(f"latency_note.{runtime}")),
                artefact_mib=_number(row.get(f"artefact_mib.{runtime}")),
                delegated=_number(row.get(f"delegated.{runtime}")),
            )
            for runtime in runtimes
        },
        spent=Spent(
            seconds=_number(row.get("seconds")) or 0.0,
            training_seconds=_number(row.get("training_seconds")),
            epochs=_integer(row.get("epochs")),
            # Rows of failed trainings, and all rows of early tables, do not say it.
            trainings=(1.0 if (told := _number(row.get("trainings"))) is None else told) if state.is_training else 0.0,
            cached=bool(row.get("cached")),
        ),
        rungs=tuple(Rung(**rung) for rung in json.loads(_text(row.get("rungs")) or "[]")),
        by_seed=tuple(SeedScore(**one) for one in json.loads(_text(row.get("by_seed")) or "[]")),
        latency_runs=_integer(row.get("latency_runs")),
        latency_threads=_integer(row.get("latency_threads")),
        seed=_integer(row.get("seed")),
        proposed_by=_text(row.get("proposed_by")),
        inherited_from=_integer(row.get("inherited_from")),
        reason=_text(row.get("reason")),
        cause=Cause(_text(row.get("cause"))),
    )


def to_document(record: Record) -> dict[str, Cell]:
    """``record`` for a store: its row, with what tables do not have."""
    return to_row(record) | {"format": FORMAT, "cause": str(record.cause)}


def from_document(document: Row) -> Record:
    """The record that a store holds, also one that an earlier version wrote."""
    if is_first_format(document):
        unmeasured = document["state"] == State.FAILED and _text(document.get("reason")).startswith(_UNMEASURED_BEFORE)
        document = {**document, "cause": str(Cause.NOT_MEASURED if unmeasured else Cause.UNKNOWN)}
    record = from_row(document)
    arch = record.candidate.arch
    if arch is None or document.get("format") == FORMAT:
        return record
    return replace(record, candidate=replace(record.candidate, arch_id=arch_id(arch)))


def is_first_format(document: Row) -> bool:
    """Whether an early version wrote it, whose rows lack what the store's trial says itself."""
    return "format" not in document


def further_runtimes(records: Sequence[Record]) -> tuple[str, ...]:
    """The further runtimes that any of ``records`` was to be measured on, in order of appearance."""
    return tuple(dict.fromkeys(runtime for record in records for runtime in record.further))


def _cells(record: Record) -> Iterator[tuple[str, Cell]]:
    candidate, spent = record.candidate, record.spent
    yield "trial", record.trial
    yield "arch_id", candidate.arch_id
    yield "name", candidate.name
    yield "state", str(record.state)
    for metric in METRICS.values():
        yield from _numbers(metric, record)
    yield "latency_runs", record.latency_runs
    yield "latency_threads", record.latency_threads
    yield "seconds", spent.seconds
    yield "proposed_by", record.proposed_by or None
    yield "epochs", spent.epochs
    # Every run of an ablation is a whole one.
    is_told = record.state in (State.COMPLETE, State.STOPPED) and candidate.matched is None
    yield "trainings", spent.trainings if is_told else None
    yield "training_seconds", spent.training_seconds
    yield "inherited_from", record.inherited_from
    was_trained = record.rungs or spent.training_seconds is not None
    yield "rungs", json.dumps([asdict(rung) for rung in record.rungs]) if was_trained else None
    yield "by_seed", json.dumps([asdict(one) for one in record.by_seed]) if record.by_seed else None
    yield "cached", spent.cached
    yield "seed", record.seed
    yield "reason", record.reason
    yield "arch", "" if candidate.arch is None else json.dumps(to_dict(candidate.arch), sort_keys=True)
    yield "tokens", None if candidate.arch is None else ",".join(map(str, candidate.tokens))
    for runtime, further in record.further.items():
        yield from _numbers(LATENCY.by(runtime), record)
        # Also where there is none: that the column is there says that it was to be measured.
        yield f"latency_note.{runtime}", further.note or None
        yield f"artefact_mib.{runtime}", further.artefact_mib
        yield f"delegated.{runtime}", further.delegated
    for name, label in candidate.labels.items():
        yield PARAM + name, label
    yield MATCHED, candidate.matched


def _numbers(metric: Metric, record: Record) -> Iterator[tuple[str, Cell]]:
    if found := record.measured(metric):
        yield metric.name, found.value
        yield from ((metric.low, found.low), (metric.high, found.high)) if metric.low else ()


def _measured(row: Row, metric: Metric) -> Measured | None:
    value, low, high = (_number(row.get(name)) for name in (metric.name, metric.low, metric.high))
    return None if value is None else Measured(value=value, low=low, high=high)


@functools.lru_cache(maxsize=4096)  # the runs of an ablation have a few networks among them
def _parsed(text: str) -> ArchConfig | None:
    try:
        return from_dict(parse_json(text, where="arch")) if text else None
    except InputError:
        return None


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell)


def _number(cell: Cell) -> float | None:
    if cell is None or isinstance(cell, str):
        return None
    return cell if math.isfinite(cell) else None


def _integer(cell: Cell) -> int | None:
    return None if cell is None or isinstance(cell, str) else int(cell)
