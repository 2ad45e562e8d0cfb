"""The page of a search: what it shows without scripts, as plain data, and the document that its script draws."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from threadpoolctl import threadpool_limits

from mvit_nas.metrics import LATENCY, MACS, METRICS, PARAMS, Metric
from mvit_nas.results.page import (
    Cell,
    Column,
    Row,
    Section,
    axis_label,
    cell,
    columns_of,
    counted,
    number,
    provenance,
    title,
)
from mvit_nas.results.search.confirmed import Colour, ConfirmedSection, section
from mvit_nas.results.search.devices import Device
from mvit_nas.results.search.document import Document, document, history, measured_metrics
from mvit_nas.results.search.findings import STATE_WORDS, Finding, findings, interval_words, lasting_findings, said
from mvit_nas.results.search.health import Light, lights
from mvit_nas.results.search.letters import names
from mvit_nas.results.search.measured_on import MeasuredOn, measured_on
from mvit_nas.results.search.runtimes import Comparison, compare, sentences
from mvit_nas.results.view import StudyView, numbers, rank
from mvit_nas.results.within import best_within, forecast_words, more_words, within_words
from mvit_nas.study.record import Further, Record, State
from mvit_nas.units import format_seconds

# Without scripts a browser draws the whole table at once, and thousands of rows take it many seconds.
MOST_ROWS = 200
MOST_FACTORS = 30
_COLOURS: tuple[tuple[Colour, str], ...] = (
    ("good", "good"),
    ("warning", "doubtful"),
    ("bad", "bad"),
    ("unknown", "not known"),
)
_TERM = re.compile(r"^- \*\*(?P<word>.+?)\*\*: (?P<text>.+?)(?=\n- |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the trials that ended in one state cost: ``percent`` of all seconds."""

    state: State
    trials: int
    seconds: float
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherSection:
    """What the page says of a further runtime; ``drawn`` where it has a plot."""

    runtime: str
    name: str
    sentences: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    drawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the page of a search shows, as plain data; ``document`` is what its script draws.

    ``forecast`` says what more trainings are expected to bring, ``more`` the same in a few words; empty where that is
    not known. ``noted`` are the titles of those findings that stand below, ``light_counts`` how many lights have each
    colour.
    """

    study: str
    view: StudyView
    summary: tuple[str, ...]
    findings: tuple[Finding, ...]
    noted: tuple[str, ...]
    lights: tuple[Light, ...]
    light_counts: tuple[tuple[Colour, int, str], ...]
    metrics: int
    sliders: int
    measured_on: MeasuredOn | None
    further: tuple[FurtherSection, ...]
    columns: tuple[Column, ...]
    candidates: tuple[Row, ...]
    factors_left_out: int
    outcomes: tuple[Outcome, ...]
    confirmed: ConfirmedSection | None
    spent: str
    within: str
    forecast: str
    more: str
    share: str
    reference: str
    glossary: tuple[tuple[str, str], ...]
    provenance: tuple[Section, ...]
    document: Document


def page_data(view: StudyView, devices: Sequence[Device] = ()) -> Page:
    """All that the page shows, the limits of ``devices`` to choose from among it."""
    origin = view.origin
    # The matrices are small, and threads that wait for each other took 20 times as long on a busy machine.
    with threadpool_limits(limits=1):
        comparisons = {name: compare(view, name) for name in view.table.further_runtimes}
        lines = history(view)
        drawn = document(view, comparisons, lines, devices)
    shown_lights = tuple(lights(view))
    return Page(
        study=origin.study,
        view=view,
        summary=tuple(_summary(view)),
        findings=tuple(findings(view)),
        noted=tuple(finding.title for finding in lasting_findings(view)),
        lights=shown_lights,
        light_counts=tuple(
            (state, sum(one.state == state for one in shown_lights), words) for state, words in _COLOURS
        ),
        metrics=len(list(measured_metrics(view))),
        sliders=sum(not metric.aside for metric in measured_metrics(view)),
        measured_on=measured_on(view),
        further=tuple(further_section(view, one) for one in comparisons.values()),
        columns=tuple(columns(view)),
        candidates=tuple(candidates(view)),
        factors_left_out=max(0, len(view.factors) - MOST_FACTORS),
        outcomes=tuple(outcomes(view.records)),
        confirmed=section(view),
        spent=spent_words(view),
        within=within_words(best_within(view.ordered, origin.experiment.budgets, view.score), view.score),
        forecast="" if view.forecast is None else forecast_words(view.forecast),
        more="" if view.forecast is None else more_words(view.forecast),
        share=f"{lines[0].percent[-1]:.1f} %" if lines else "",
        reference=", ".join(said(METRICS[name], value) for name, value in origin.reference.items()),
        glossary=tuple(glossary()),
        provenance=provenance(origin),
        document=drawn,
    )


def glossary() -> list[tuple[str, str]]:
    """The words that a page uses, with what they mean."""
    text = (resources.files("mvit_nas.results") / "glossary.md").read_text("utf-8")
    return [(match["word"], " ".join(match["text"].split())) for match in _TERM.finditer(text)]


def outcomes(records: Sequence[Record]) -> list[Outcome]:
    """How trials ended and what that cost, by state."""
    total = sum(record.spent.seconds for record in records)
    found = []
    for state in State:
        seconds = [record.spent.seconds for record in records if record.state is state]
        if seconds:
            percent = 100 * sum(seconds) / total if total else 0.0
            found.append(Outcome(state=state, trials=len(seconds), seconds=sum(seconds), percent=percent))
    return found


def spent_words(view: StudyView) -> str:
    """What the trials took: "44 min of training, taken from the cache in 14 s"."""
    elapsed = format_seconds(view.origin.elapsed_seconds)
    taken = sum(record.spent.seconds for record in view.records)
    trained = sum(record.spent.training_seconds or 0.0 for record in view.records)
    cached = [record for record in view.records if record.spent.cached]
    if not cached or trained <= taken:
        return f"{format_seconds(taken)} in trials, {elapsed} from start to end."
    if len(cached) == len(view.trained):
        return f"{format_seconds(trained)} of training, taken from the cache in {elapsed}."
    some = f"{counted(len(cached), 'network')} came from the cache"
    return f"{format_seconds(trained)} of training; {some}, so that it took {elapsed} from start to end."


def columns(view: StudyView) -> list[Column]:
    """The columns of the candidates' table."""
    return [
        *columns_of("Candidate", "Front"),
        *columns_of(*(axis_label(metric, view.origin) for metric in _shown(view)), numeric=True),
        *columns_of(*(title(name) for name in view.factors[:MOST_FACTORS]), "State"),
        *columns_of("Cost (s)", "Trial", numeric=True),
    ]


def candidates(view: StudyView) -> list[Row]:
    """The first MOST_ROWS rows of the candidates' table: those on the front, the other trained ones, the rest."""
    on_front = set(view.front)
    complete = view.where(lambda record: record.is_complete)
    trained = sorted(complete, key=lambda index: rank(view.records[index], view.score))
    ordered = list(dict.fromkeys([*view.front, *trained, *view.by_trial]))
    metrics, factors, called = _shown(view), view.factors[:MOST_FACTORS], names(view)
    return [
        _row(view.records[index], called[index], factors, metrics, front=index in on_front)
        for index in ordered[:MOST_ROWS]
    ]


def further_section(view: StudyView, comparison: Comparison) -> FurtherSection:
    """What the page says of a further runtime: sentences, and both latencies of each candidate side by side.

    The candidates are those that were to be measured, fastest by this runtime first, then those that could not be.
    """
    runtime, metric = comparison.runtime, LATENCY.by(comparison.runtime)
    asked = [row for row, one in enumerate(view.records) if one.has(metric) or one.further.get(runtime, Further()).note]
    asked.sort(key=lambda index: (not view.records[index].has(metric), view.records[index].value(metric) or 0.0))
    own = any(view.records[index].has(LATENCY) for index in asked)
    latencies = (LATENCY, metric) if own else (metric,)
    # Ranks among the same candidates, or they could not be compared.
    both = [index for index in asked if all(view.records[index].has(latency) for latency in latencies)]
    ranks = [_ranks(view, both, latency) for latency in latencies]
    headings = [axis_label(latency, view.origin) for latency in latencies]
    return FurtherSection(
        runtime=runtime,
        name=view.origin.further[runtime].title,
        sentences=tuple(sentences(comparison, view)),
        columns=(
            *columns_of("Candidate", "On the front by"),
            *columns_of(axis_label(view.score, view.origin), numeric=True),
            *columns_of(*(label for heading in headings for label in (heading, "Rank")), numeric=True),
        ),
        rows=tuple(_further_row(view, index, comparison, dict(zip(latencies, ranks, strict=True))) for index in asked),
        drawn=any(view.records[index].has(metric) and view.records[index].has(view.score) for index in asked),
    )


def _further_row(view: StudyView, index: int, comparison: Comparison, ranks: Mapping[Metric, Mapping[int, int]]) -> Row:
    record, own = view.records[index], view.origin.latency
    name, own_name = view.origin.further[comparison.runtime].title, "the search" if own is None else own.title
    fronts = [who for who, front in ((own_name, comparison.own_front), (name, comparison.front)) if index in front]
    note = record.further[comparison.runtime].note
    cells = [
        cell(names(view)[index], detail=record.candidate.arch_id),
        cell("both" if len(fronts) == 2 else ", ".join(fronts), sort=-len(fronts)),
        _metric_cell(record, view.score),
    ]
    for latency, known in ranks.items():
        failed = note and latency.runtime
        cells.append(Cell(detail=note) if failed else _metric_cell(record, latency))
        cells.append(number(known.get(index), str))
    return Row(front=index in comparison.front, measured=not note, reason=note, cells=tuple(cells))


def _ranks(view: StudyView, among: Sequence[int], metric: Metric) -> dict[int, int]:
    """1 for the fastest; of equal ones all have the first rank."""
    values = numbers([view.records[index] for index in among], [metric])[:, 0]
    return {index: 1 + int((values < value).sum()) for index, value in zip(among, values, strict=True)}


def _shown(view: StudyView) -> list[Metric]:
    """The metrics that have columns: scores and counted costs always, what is timed where it was."""
    always = (view.score, PARAMS, MACS)
    return [*always, *(m for m in measured_metrics(view) if m not in always and not m.aside)]


def _metric_cell(record: Record, metric: Metric) -> Cell:
    return number(record.value(metric), metric.cell, interval_words(metric, record.measured(metric)))


def _row(record: Record, name: str, factors: Sequence[str], metrics: Sequence[Metric], *, front: bool) -> Row:
    identity, labels, state = record.candidate.arch_id, record.candidate.labels, STATE_WORDS[record.state]
    cells = (
        cell(name, detail="" if name == identity else identity),
        cell("front" if front else "", sort=0 if front else 1),
        *(_metric_cell(record, metric) for metric in metrics),
        *(cell(str(labels[name]), sort=labels[name]) if name in labels else Cell() for name in factors),
        cell(f"{state} (earlier)" if record.spent.cached else state, detail=record.reason),
        number(record.spent.seconds, "{:.1f}".format),
        number(record.trial, "{:.0f}".format),
    )
    return Row(front=front, measured=record.is_complete, reason=record.reason, cells=cells)


def _summary(view: StudyView) -> Iterator[str]:
    origin = view.origin
    if origin.through is None:
        asked, trained = origin.experiment.trials, len(view.trained)
        asked = None if isinstance(asked, str) else asked  # auto asks for no number
        planned = f", {asked} asked for" if asked is not None and trained < asked else ""
        if origin.ended:
            yield f"{trained:,} of {asked or len(view.records):,} candidates trained, {origin.ended}"
        else:
            yield f"{trained:,} of {len(view.records):,} candidates trained{planned}"
    else:
        seen = origin.through
        yield f"as {seen.runtime} runs them: {seen.measured} of the {seen.trained} trained candidates"
    if origin.workers > 1:
        yield f"{origin.workers} processes worked on it"
    if origin.given_back:
        yield f"{counted(origin.given_back, 'trial')} tried again, since a process ended"
    yield f"data: {origin.images.name}"
    yield f"budget: {', '.join(origin.budget_words)}" if origin.budget_words else "no budget"
    yield origin.hardware.name
    yield origin.created[:16].replace("T", " ")
