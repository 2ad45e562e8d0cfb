"""``mvit-nas search``: a study, its table kept up to date, and its report."""

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mvit_nas.arch.config import from_dict
from mvit_nas.errors import (
    CostError,
    InputError,
    InterruptedCleanlyError,
    MeasurementError,
    MvitNasError,
    PartialError,
)
from mvit_nas.evaluate.latency import LatencyMeter
from mvit_nas.jobs.setup import (
    COARSE,
    FINE,
    MEASURING_SECONDS,
    Setup,
    StepCost,
    by_macs,
    claimed,
    keep_settings,
    make_folders,
    make_meter,
    plain_row,
    provenance,
    set_up,
    training_seconds,
    try_step,
)
from mvit_nas.maths.pareto import hypervolume, near_front
from mvit_nas.optimize.loop import Limits, Row, Search, Study, trainings
from mvit_nas.optimize.within_budget import Design, Feasible, presets_within, sample_feasible
from mvit_nas.results.report import write_report
from mvit_nas.results.search.findings import IDEAL, MAXIMISE, front_rows
from mvit_nas.results.search.health import SETTLED_GROWTH, SETTLED_LEAST, SETTLED_SHARE
from mvit_nas.results.table import complete, make_table
from mvit_nas.settings import Experiment, LatencySettings, check_name, default_name
from mvit_nas.units import Budget, format_seconds

# A network is near the front that would be on it if its costs were this share less.
_NEAR = 0.05
# The dearest candidate's latency times this is where the hypervolume's axis of latency begins.
_LATENCY_MARGIN = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """The flags of ``mvit-nas search``, parsed."""

    data: str | None
    space: str | None
    image_size: int | None
    budgets: tuple[Budget, ...]
    objectives: tuple[str, ...]
    trials: int
    timeout_seconds: float | None
    schedule: str
    seed: int
    device: str
    latency: LatencySettings
    measure_front: tuple[str, ...]
    sampler: str
    baseline: float
    early_stopping: bool
    inherit: bool
    stop_when_settled: bool
    finish: tuple[int, ...]
    name: str | None
    out: Path
    resume: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a search stands, after ``done`` whole trainings and ``stopped`` ones that were ended early.

    ``best`` is the row of the best accuracy within the budget, if there is one.
    """

    done: float
    stopped: int
    trials: int
    rejected: int
    last: Row
    best: Row | None
    front: int
    hypervolume: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a search ended: its table's front, and where the files lie. ``error`` is why it ended early, if it did."""

    name: str
    front: list[dict[str, Any]]
    counts: dict[str, int]
    hypervolume: float
    report: Path
    error: MvitNasError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedDesign:
    """A candidate of which one training step was tried."""

    design: Design
    step: StepCost
    latency_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a search would do. ``hours`` extrapolates the two tried steps linearly in multiply-adds."""

    settings: int
    networks: int
    share_within_budget: float
    smallest: TriedDesign
    largest: TriedDesign
    steps: int
    hours: float
    memory_gib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that a search needs before the first trial. ``further`` measure the front, by runtime."""

    experiment: Experiment
    setup: Setup
    feasible: Feasible
    further: Mapping[str, LatencyMeter]


def prepare(options: SearchOptions, *, say: Callable[[str], None]) -> Prepared:
    """Read data and space, choose what was left open, and find what meets the budget. Says what it chose."""
    setup = set_up(
        data=options.data,
        space=options.space,
        image_size=options.image_size,
        schedule=options.schedule,
        device=options.device,
        latency=options.latency,
        precision=COARSE,
        say=say,
    )
    data, space, evaluator = setup.data, setup.space, setup.evaluator
    say(f"budget: {' and '.join(map(str, options.budgets)) or 'none'}")
    feasible = sample_feasible(space, options.budgets, evaluator.static_cost, seed=options.seed)
    later = "; latency is measured" if any(b.metric == "latency_ms" for b in options.budgets) else ""
    say(f"        {100 * feasible.share:.3g} % of {feasible.drawn} settings drawn from the space are within it{later}")
    experiment = Experiment(
        name=check_name(options.name) if options.name else default_name(data.name, options.budgets),
        data={"name": data.name, "fingerprint": data.fingerprint},
        space=space.text,
        image_size=space.base.image_size,
        budgets=options.budgets,
        objectives=options.objectives,
        schedule=setup.schedule.to_dict(),
        seed=options.seed,
        latency=replace(options.latency, runtime=evaluator.meter.runtime.name),
        measure_front=options.measure_front,
        sampler=options.sampler,
        baseline=options.baseline,
        early_stopping=options.early_stopping,
        inherit=options.inherit,
        trials=options.trials,
        timeout_seconds=options.timeout_seconds,
    )
    return Prepared(
        experiment=experiment, setup=setup, feasible=feasible, further=_further_meters(options, evaluator.meter, say)
    )


def _further_meters(options: SearchOptions, meter: LatencyMeter, say: Callable[[str], None]) -> dict[str, LatencyMeter]:
    """What measures the front, by runtime. Raises InputError and DeviceError for what is not there."""
    found = {}
    for text in options.measure_front:
        runtime, at, target = text.partition("@")
        if runtime == meter.runtime.name:
            raise InputError(f"--measure-front {text}: every candidate is timed on {runtime} already")
        settings = replace(options.latency, runtime=runtime, target=target if at else options.latency.target)
        found[runtime] = make_meter(settings, precision=FINE, say=say)
        for doubt in found[runtime].machine.doubts:
            say(f"note: {found[runtime].target.name}: {doubt}")
    return found


def search(
    options: SearchOptions,
    *,
    say: Callable[[str], None],
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> Outcome:
    """Run or resume a search, keep its table up to date after every trial, and write the report.

    An interruption or an error in the middle comes back in the outcome, after the report of what is there was made;
    errors before the first result are raised.
    """
    prepared = prepare(options, say=say)
    experiment = prepared.experiment
    folder = options.out / "experiments" / experiment.name
    reports = options.out / "reports" / experiment.name
    make_folders(folder, reports)
    with claimed(folder):
        keep_settings(folder, experiment, resume=options.resume, say=say)
        reference = _hypervolume_reference(prepared)
        study = _open_study(folder, prepared, reference, say=say)
        return _search(prepared, study, reports, options, say=say, on_progress=on_progress, should_stop=should_stop)


def _search(
    prepared: Prepared,
    study: Study,
    reports: Path,
    options: SearchOptions,
    *,
    say: Callable[[str], None],
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> Outcome:
    experiment = prepared.experiment
    start = time.monotonic()
    spent_before = sum(row["seconds"] for row in study.rows())
    reference = study.limits.reference
    evaluator = prepared.setup.evaluator
    environment = provenance(prepared.setup, experiment) | {"hypervolume_reference": reference, "front_latency": {}}

    def write(rows: list[Row]) -> Path:
        if "latency_ms" in experiment.objectives:
            environment["latency"] = evaluator.meter.conditions()
        environment["elapsed_seconds"] = spent_before + time.monotonic() - start
        environment["data"]["skipped"] = list(evaluator.skipped())
        try:
            return write_report(make_table(rows), environment, reports)
        except InputError as error:
            raise PartialError(f"{error}; finished evaluations are kept: make room, then go on with --resume") from None

    def keep(rows: list[Row]) -> None:
        if rows[-1]["state"] in ("complete", "failed", "stopped"):
            write(rows)
        on_progress(_progress(rows, experiment, reference, time.monotonic() - start))

    def is_settled(rows: list[Row]) -> bool:
        if not options.stop_when_settled or not _settled(rows, experiment.objectives, reference):
            return False
        left = experiment.trials - sum(map(trainings, rows))
        mean_seconds = sum(row["seconds"] for row in rows) / sum(map(trainings, rows))
        say(
            f"settled: the hypervolume grew by less than {100 * SETTLED_GROWTH:g} % over the last "
            f"{100 * SETTLED_SHARE:.0f} % of the trainings; {left:.3g} of {experiment.trials} trainings are saved, "
            f"about {format_seconds(left * mean_seconds)}"
        )
        return True

    job = Search(
        study,
        prepared.setup.evaluator,
        prepared.feasible,
        on_row=keep,
        on_message=say,
        should_stop=should_stop,
        is_settled=is_settled,
    )
    error: MvitNasError | None = None
    try:
        rows = job.run(options.finish)
        _measure_front(rows, prepared, environment, write, say=say, should_stop=should_stop)
    except MvitNasError as raised:
        error = raised
        rows = job.rows
    table = make_table(rows)
    if error is not None and complete(table).empty:
        raise error
    if complete(table).empty:
        last = f"; the last one {rows[-1]['state'].replace('_', ' ')}: {rows[-1]['reason']}" if rows else ""
        raise MvitNasError(f"no candidate was trained to the end in {len(rows)} trials{last}")
    report = write(rows)
    front = front_rows(table, experiment.objectives)
    return Outcome(
        name=experiment.name,
        front=[plain_row(row) for row in front.to_dict("records")],
        counts={str(state): int(number) for state, number in table["state"].value_counts().items()},
        hypervolume=_hypervolume(rows, experiment.objectives, reference),
        report=report,
        error=error,
    )


def _measure_front(
    rows: list[Row],
    prepared: Prepared,
    environment: dict[str, Any],
    write: Callable[[list[Row]], object],
    *,
    say: Callable[[str], None],
    should_stop: Callable[[], bool],
) -> None:
    """Measure the front, and what is within 5 % of it, on the further runtimes; into ``rows`` and ``environment``.

    A network that cannot be measured is noted and the others go on. Raises DeviceError where a device is gone: what
    was measured is in the rows, and the rest is measured with --resume.
    """
    objectives = prepared.experiment.objectives
    trained = [row for row in rows if row["state"] == "complete"]
    values = np.array([[row[name] for name in objectives] for row in trained], dtype=float)
    chosen = near_front(values.reshape(-1, len(objectives)), [MAXIMISE[name] for name in objectives], _NEAR)
    for (runtime, meter), row in itertools.product(
        prepared.further.items(), [row for row, near in zip(trained, chosen, strict=True) if near]
    ):
        if should_stop():
            raise InterruptedCleanlyError("stopped between two measurements of the front")
        say(f"measuring {row['name'] or row['arch_id']} on {meter.runtime.title}")
        try:
            arch = from_dict(json.loads(row["arch"]))
            latency = meter.latency(arch, classes=prepared.setup.evaluator.classes).latency
        except (MeasurementError, CostError) as error:
            row[f"latency_note.{runtime}"] = str(error)
        else:
            found = {
                "latency_ms": latency.median_ms,
                "latency_low_ms": latency.low_ms,
                "latency_high_ms": latency.high_ms,
            }
            row.update({f"{column}.{runtime}": value for column, value in found.items()})
        environment["front_latency"][runtime] = meter.conditions()
        write(rows)


def plan(options: SearchOptions, *, say: Callable[[str], None]) -> Plan:
    """What ``search`` would do and what it would take: one real training step of the smallest and largest candidate."""
    prepared = prepare(options, say=say)
    setup, designs = prepared.setup, prepared.feasible.designs
    measured = "latency_ms" in options.objectives
    smallest, largest = (
        TriedDesign(
            design=design,
            step=try_step(setup.evaluator, design.arch),
            latency_ms=setup.evaluator.latency(design.arch).median_ms if measured else None,
        )
        for design in (designs[0], designs[-1])
    )
    step_seconds = by_macs(*((tried.design.cost.macs, tried.step.step_seconds) for tried in (smallest, largest)))
    seconds = training_seconds(setup, step_seconds(sum(d.cost.macs for d in designs) / len(designs)))
    return Plan(
        settings=setup.space.settings(),
        networks=setup.space.networks(),
        share_within_budget=prepared.feasible.share,
        smallest=smallest,
        largest=largest,
        steps=setup.schedule.steps(setup.data.count("train")),
        hours=options.trials * (seconds + (MEASURING_SECONDS if measured else 0.0)) / 3600,
        memory_gib=largest.step.peak_gib,
    )


def _open_study(
    folder: Path, prepared: Prepared, reference: Mapping[str, float], *, say: Callable[[str], None]
) -> Study:
    experiment = prepared.experiment
    limits = Limits(
        budgets=experiment.budgets,
        objectives=experiment.objectives,
        reference=reference,
        trials=experiment.trials,
        timeout_seconds=experiment.timeout_seconds,
        seed=experiment.seed,
        sampler=experiment.sampler,
        baseline=experiment.baseline,
        early_stopping=experiment.early_stopping,
        inherit=experiment.inherit,
    )
    study = Study(folder, limits, prepared.setup.space)
    queued = study.recover()
    if queued:
        say(f"{queued} trial{'s' if queued > 1 else ''} that was running when the last process ended starts again")
    return study


def _hypervolume_reference(prepared: Prepared) -> dict[str, float]:
    """The worst corner of the box in which hypervolume is measured: the budget, else the dearest that fits."""
    experiment, evaluator = prepared.experiment, prepared.setup.evaluator
    presets = presets_within(prepared.setup.space, experiment.budgets, evaluator.static_cost)
    archs = [*(design.arch for design in prepared.feasible.designs), *presets.values()]
    costs = [evaluator.static_cost(arch) for arch in archs]
    reference = {
        "accuracy": 0.0,
        "params": float(max(cost.params for cost in costs)),
        "macs": float(max(cost.macs for cost in costs)),
    }
    if "latency_ms" in experiment.objectives:
        dearest = max(archs, key=lambda arch: evaluator.static_cost(arch).macs)
        reference["latency_ms"] = _LATENCY_MARGIN * evaluator.latency(dearest).median_ms
    for budget in experiment.budgets:
        if budget.metric in reference:
            reference[budget.metric] = min(reference[budget.metric], budget.high)
    return {name: reference[name] for name in experiment.objectives}


def _hypervolume(rows: Sequence[Row], objectives: Sequence[str], reference: Mapping[str, float]) -> float:
    values = [[row[name] for name in objectives] for row in rows if row["state"] == "complete"]
    return hypervolume(
        np.array(values, dtype=float).reshape(-1, len(objectives)),
        [reference[name] for name in objectives],
        maximise=[MAXIMISE[name] for name in objectives],
        ideal=[IDEAL[name] for name in objectives],
    )


def _settled(rows: Sequence[Row], objectives: Sequence[str], reference: Mapping[str, float]) -> bool:
    """Whether the hypervolume has hardly grown over the last part of the trainings, of which there were enough."""
    spent = sum(map(trainings, rows))
    if spent < SETTLED_LEAST:
        return False
    before: list[Row] = []
    for row in rows:
        if sum(map(trainings, before)) + trainings(row) > (1 - SETTLED_SHARE) * spent:
            break
        before.append(row)
    now, then = (_hypervolume(part, objectives, reference) for part in (rows, before))
    return now <= (1 + SETTLED_GROWTH) * then


def _progress(rows: list[Row], experiment: Experiment, reference: Mapping[str, float], elapsed: float) -> Progress:
    evaluated = [row for row in rows if trainings(row)]
    done = sum(map(trainings, rows))
    finished = [row for row in rows if row["state"] == "complete"]
    trained = [row for row in evaluated if not row["cached"]]
    left = max(0.0, experiment.trials - done)
    seconds = left * sum(row["seconds"] for row in trained) / sum(map(trainings, trained)) if trained else None
    if seconds is not None and experiment.timeout_seconds is not None:
        seconds = min(seconds, max(0.0, experiment.timeout_seconds - elapsed))
    return Progress(
        done=done,
        stopped=sum(row["state"] == "stopped" for row in rows),
        trials=experiment.trials,
        rejected=len(rows) - len(evaluated),
        last=rows[-1],
        best=max(finished, key=lambda row: row["accuracy"], default=None),
        front=len(front_rows(make_table(rows), experiment.objectives)) if finished else 0,
        hypervolume=_hypervolume(rows, experiment.objectives, reference),
        seconds_left=seconds,
    )
