"""``mvit-nas ablate``: paired runs of a base and its variants, their statistics and their report."""

import itertools
import json
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mvit_nas.ablation.match import TOLERANCE, rescale
from mvit_nas.ablation.plan import LeftOut, Plan, Variant, make_plan
from mvit_nas.arch.config import ArchConfig, arch_id, to_dict, with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import adapt_preset
from mvit_nas.errors import (
    InputError,
    InterruptedCleanlyError,
    MeasurementError,
    MvitNasError,
    NothingFeasibleError,
    PartialError,
    TrainingError,
)
from mvit_nas.evaluate.short import Evaluator, static_columns
from mvit_nas.files import claimed
from mvit_nas.jobs.named_networks import Choice, find_choice
from mvit_nas.jobs.setup import (
    FINE,
    MEASURING_SECONDS,
    Setup,
    StepCost,
    by_macs,
    keep_settings,
    make_folders,
    provenance,
    set_up,
    training_seconds,
    try_step,
)
from mvit_nas.metrics import format_metric
from mvit_nas.results.ablation.summary import MATCHED, Summary, summarise, value_words
from mvit_nas.results.report import write_report
from mvit_nas.results.table import PARAM, make_table
from mvit_nas.settings import AblationExperiment, LatencySettings, check_name, joined_name

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AblateOptions:
    """The flags of ``mvit-nas ablate``, parsed. ``match`` is a column of the table or None."""

    factors: tuple[str, ...]
    base: str
    values: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    max_seeds: int
    precision: float | None
    match: str | None
    resize: bool
    data: str | None
    space: str | None
    image_size: int | None
    schedule: str
    device: str
    latency: LatencySettings
    name: str | None
    out: Path
    resume: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that an ablation needs before the first run."""

    experiment: AblationExperiment
    setup: Setup
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where an ablation stands: ``runs`` may grow while ``--precision`` is not reached. ``variant`` is in words."""

    done: int
    runs: int
    variant: str
    last: Row
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an ablation ended. ``stopped`` says how the precision came out, "" where none was asked for."""

    name: str
    base: str
    summary: Summary
    left_out: tuple[LeftOut, ...]
    stopped: str
    report: Path
    error: MvitNasError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationPlan:
    """What an ablation would do. ``known`` of the ``runs`` are in the cache and cost nothing."""

    prepared: Prepared
    runs: int
    known: int
    smallest: StepCost
    largest: StepCost
    hours: float
    memory_gib: float


def prepare(options: AblateOptions, *, say: Callable[[str], None]) -> Prepared:
    """Read base, data and space, and plan the variants. Says what it chose."""
    base = find_choice(options.base, options.out, where="--base")
    setup = set_up(
        data=_check_data(options, base),
        space=options.space or base.space,
        image_size=options.image_size,
        schedule=options.schedule,
        device=options.device,
        latency=options.latency,
        precision=FINE,
        say=say,
    )
    if base.data is not None and base.data["fingerprint"] != setup.data.fingerprint:
        say(f"note: these are not the images of the study that {options.base} is from")
    arch = adapt_preset(base.arch, setup.space) if options.base in PRESETS else base.arch
    if arch is None:
        raise InputError(f"the space {setup.space.name} has other stages than {options.base}: give another --base")
    if options.image_size is not None:
        arch = with_values(arch, {"image_size": options.image_size})
    plan = make_plan(setup.space, arch, setup.schedule, options.factors, options.values, resize=options.resize)
    cost = setup.evaluator.static_cost(arch)
    say(
        f"base:  {options.base} at {arch.image_size} px, {format_metric('params', cost.params)}, "
        f"{format_metric('macs', cost.macs)}"
    )
    if options.match is not None:
        plan = _matched(plan, options.match, setup.evaluator, given=bool(options.values), say=say)
    words = [value_words(v.labels, v.matched) + (" (base)" if v.is_base else "") for v in plan.variants]
    say(f"{' and '.join(plan.factors)}: {'; '.join(words)}")
    for variant in plan.variants:
        for note in variant.notes:
            say(f"       {value_words(variant.labels, variant.matched)}: {note}")
    for one in plan.left_out:
        say(f"left out: {value_words(one.labels, '')}: {one.reason}")
    experiment = AblationExperiment(
        name=check_name(options.name)
        if options.name
        else joined_name([*options.factors, options.base, setup.data.name]),
        data={"name": setup.data.name, "fingerprint": setup.data.fingerprint},
        space=setup.space.text,
        base=options.base,
        base_arch=to_dict(arch),
        factors=options.factors,
        values=tuple(tuple(dict.fromkeys(v.labels[factor] for v in plan.variants)) for factor in options.factors),
        match=options.match,
        resize=options.resize,
        schedule=setup.schedule.to_dict(),
        latency=replace(options.latency, runtime=setup.evaluator.meter.runtime.name),
        seeds=options.seeds,
        max_seeds=options.max_seeds,
        precision=options.precision,
    )
    return Prepared(experiment=experiment, setup=setup, plan=plan)


def ablate(
    options: AblateOptions,
    *,
    say: Callable[[str], None],
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> Outcome:
    """Run or resume an ablation, keep its table and report up to date after every run.

    An interruption or an error in the middle comes back in the outcome; errors before the first run are raised.
    """
    prepared = prepare(options, say=say)
    folder = options.out / "experiments" / prepared.experiment.name
    reports = options.out / "reports" / prepared.experiment.name
    make_folders(folder, reports)
    with claimed(folder):
        keep_settings(folder, prepared.experiment, resume=options.resume, say=say)
        job = _Ablation(prepared, folder, reports, say=say, on_progress=on_progress, should_stop=should_stop)
        return job.run()


class _Ablation:
    """The runs of one ablation, seed by seed."""

    def __init__(
        self,
        prepared: Prepared,
        folder: Path,
        reports: Path,
        *,
        say: Callable[[str], None],
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._experiment = prepared.experiment
        self._plan = prepared.plan
        self._evaluator = prepared.setup.evaluator
        self._folder = folder
        self._reports = reports
        self._say = say
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._start = time.monotonic()
        self._rows: list[Row] = []
        self._costs: dict[str, Row] = {}
        self._environment = provenance(prepared.setup, prepared.experiment)

    def run(self) -> Outcome:
        error: MvitNasError | None = None
        stopped = ""
        try:
            for variant in self._plan.variants:
                if self._should_stop():
                    raise InterruptedCleanlyError("stopped before the first run")
                self._costs[arch_id(variant.arch)] = self._cost(variant)
            self._environment["ablation"] = self._described("")
            stopped = self._run_seeds()
        except MvitNasError as raised:
            if not self._rows:
                raise
            error = raised
        report = self._write(stopped)
        return Outcome(
            name=self._experiment.name,
            base=self._experiment.base,
            summary=self._summary(),
            left_out=self._plan.left_out,
            stopped=stopped,
            report=report,
            error=error,
        )

    def _run_seeds(self) -> str:
        """Run all seeds, and more where a precision asks for them; how the precision came out."""
        wanted = self._experiment.precision
        for number, seed in enumerate(self._seeds(), start=1):
            # Another variant begins each time, so that none always meets the machine as it is at first.
            first = number % len(self._plan.variants)
            for variant in (*self._plan.variants[first:], *self._plan.variants[:first]):
                if self._should_stop():
                    raise InterruptedCleanlyError("stopped between two runs")
                self._rows.append(self._run(variant, seed))
                self._write("")
                self._on_progress(self._progress(variant))
            if number >= len(self._experiment.seeds) and wanted is not None:
                largest = self._summary().largest
                half = largest.difference.half_width if largest and largest.difference else None
                if half is not None and half <= wanted:
                    return f"the precision of {100 * wanted:g} points was reached with {number} seeds"
        if wanted is None:
            return ""
        known = "has no interval" if half is None else f"is known to {100 * half:.2f} points"
        return (
            f"the precision of {100 * wanted:g} points was not reached with {number} seeds: "
            f"the largest difference {known}"
        )

    def _seeds(self) -> Iterator[int]:
        """The seeds of the experiment, then the smallest that are not among them."""
        given = self._experiment.seeds
        further = (seed for seed in itertools.count() if seed not in given)
        return itertools.islice(itertools.chain(given, further), self._experiment.max_seeds)

    def _cost(self, variant: Variant) -> Row:
        identity = arch_id(variant.arch)
        self._evaluator.check_static_cost(variant.arch)
        cost = self._evaluator.static_cost(variant.arch)
        self._say(f"measuring the latency of {value_words(variant.labels, variant.matched)}")
        row = {
            "arch_id": identity,
            "arch": json.dumps(to_dict(variant.arch), sort_keys=True),
            **static_columns(variant.arch, cost, classes=self._evaluator.classes),
        }
        try:
            latency = self._evaluator.latency(variant.arch)
        except MeasurementError as error:  # the accuracies still say what they say
            self._say(f"no latency of {value_words(variant.labels, variant.matched)}: {error}")
            return row
        return row | {
            "latency_ms": latency.median_ms,
            "latency_low_ms": latency.low_ms,
            "latency_high_ms": latency.high_ms,
            "latency_runs": latency.runs,
            "latency_threads": latency.threads,
        }

    def _run(self, variant: Variant, seed: int) -> Row:
        words = value_words(variant.labels, variant.matched)
        self._say(f"training {words} with seed {seed}")
        is_preset = variant.is_base and self._experiment.base in PRESETS
        row: Row = {
            "trial": len(self._rows),
            "name": self._experiment.base if is_preset else "",
            "seed": seed,
            **self._costs[arch_id(variant.arch)],
            **{PARAM + factor: text for factor, text in variant.labels.items()},
            MATCHED: variant.matched,
        }
        evaluator = self._evaluator.with_schedule(variant.schedule)
        row["cached"] = evaluator.is_known(variant.arch, seed=seed)
        start = time.monotonic()
        try:
            score, _ = evaluator.score(variant.arch, seed=seed, should_stop=self._should_stop)
        except TrainingError as error:
            return row | {"state": "failed", "reason": str(error), "seconds": time.monotonic() - start}
        except (InterruptedCleanlyError, PartialError, OSError, KeyboardInterrupt):
            raise
        except Exception as error:  # One variant that breaks is a result; the others go on.
            with (self._folder / "failures.log").open("a") as file:
                file.write(f"{words}, seed {seed}\n{traceback.format_exc()}\n")
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return row | {"state": "failed", "reason": reason, "seconds": time.monotonic() - start}
        low, high = score.interval
        return row | {
            "state": "complete",
            "reason": "",
            "accuracy": score.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "seconds": score.seconds,
        }

    def _summary(self) -> Summary:
        return summarise(make_table(self._rows), self._environment)

    def _write(self, stopped: str) -> Path:
        self._environment["ablation"] = self._described(stopped)
        self._environment["latency"] = self._evaluator.meter.conditions()
        self._environment["elapsed_seconds"] = time.monotonic() - self._start
        self._environment["data"]["skipped"] = list(self._evaluator.skipped())
        try:
            return write_report(make_table(self._rows), self._environment, self._reports)
        except InputError as error:
            raise PartialError(f"{error}; finished runs are kept: make room, then go on with --resume") from None

    def _described(self, stopped: str) -> dict[str, Any]:
        """The plan for the report, as plain values."""
        return {
            "factors": list(self._plan.factors),
            "base": self._experiment.base,
            "variants": [
                {
                    "labels": dict(variant.labels),
                    "matched": variant.matched,
                    "is_base": variant.is_base,
                    "arch_id": arch_id(variant.arch),
                    "notes": list(variant.notes),
                }
                for variant in self._plan.variants
            ],
            "left_out": [{"labels": dict(one.labels), "reason": one.reason} for one in self._plan.left_out],
            "seeds": list(dict.fromkeys(row["seed"] for row in self._rows)),
            "precision": self._experiment.precision,
            "stopped": stopped,
        }

    def _progress(self, variant: Variant) -> Progress:
        experiment = self._experiment
        rounds = len(experiment.seeds) if experiment.precision is None else experiment.max_seeds
        runs = rounds * len(self._plan.variants)
        trained = [row["seconds"] for row in self._rows if not row["cached"]]
        left = runs - len(self._rows)
        return Progress(
            done=len(self._rows),
            runs=runs,
            variant=value_words(variant.labels, variant.matched),
            last=self._rows[-1],
            seconds_left=left * sum(trained) / len(trained) if trained else None,
        )


def plan(options: AblateOptions, *, say: Callable[[str], None]) -> AblationPlan:
    """What ``ablate`` would do and take: one real training step of the smallest and the largest variant."""
    prepared = prepare(options, say=say)
    setup, evaluator = prepared.setup, prepared.setup.evaluator
    costs = {arch_id(v.arch): (evaluator.static_cost(v.arch).macs, v.arch) for v in prepared.plan.variants}
    ordered = sorted(costs.values(), key=lambda pair: pair[0])
    smallest, largest = (try_step(evaluator, arch) for _, arch in (ordered[0], ordered[-1]))
    step_seconds = by_macs((ordered[0][0], smallest.step_seconds), (ordered[-1][0], largest.step_seconds))
    runs = [(variant, seed) for seed in options.seeds for variant in prepared.plan.variants]
    new = [
        variant
        for variant, seed in runs
        if not evaluator.with_schedule(variant.schedule).is_known(variant.arch, seed=seed)
    ]
    seconds = sum(training_seconds(setup, step_seconds(costs[arch_id(variant.arch)][0])) for variant in new)
    return AblationPlan(
        prepared=prepared,
        runs=len(runs),
        known=len(runs) - len(new),
        smallest=smallest,
        largest=largest,
        hours=(seconds + MEASURING_SECONDS * len(costs)) / 3600,
        memory_gib=largest.peak_gib,
    )


def _check_data(options: AblateOptions, base: Choice) -> str | None:
    """``--data``; where it is missing and the base is from a study on other images than the digits, an error."""
    if options.data is None and base.data is not None and base.data["name"] != "digits":
        raise InputError(f"--base {options.base} was searched on {base.data['name']!r}: give its images with --data")
    return options.data


def _matched(plan: Plan, match: str, evaluator: Evaluator, *, given: bool, say: Callable[[str], None]) -> Plan:
    """``plan`` with a copy of each variant whose width was rescaled until it costs what the base costs."""
    cost: Callable[[ArchConfig], float] = {
        "params": lambda arch: evaluator.static_cost(arch).params,
        "macs": lambda arch: evaluator.static_cost(arch).macs,
        "latency_ms": lambda arch: evaluator.latency(arch).median_ms,
    }[match]
    base, *others = plan.variants
    target = cost(base.arch)
    variants, left_out = [], list(plan.left_out)
    for variant in others:
        words = value_words(variant.labels, match)
        if abs(cost(variant.arch) / target - 1) <= TOLERANCE:
            note = f"costs what the base costs: no rescaling for equal {match.removesuffix('_ms')}"
            variants.append(replace(variant, notes=(*variant.notes, note)))
            continue
        variants.append(variant)
        say(f"measuring widths for {words}")
        try:
            arch, scale = rescale(
                variant.arch, target=target, cost=cost, keep=plan.paths, what=value_words(variant.labels, "")
            )
        except NothingFeasibleError as error:
            if given:
                raise
            left_out.append(LeftOut(labels=variant.labels, reason=f"at equal {match.removesuffix('_ms')}: {error}"))
            continue
        note = f"width times {scale:.2f}: {cost(arch) / target:.3f} of the base's {match.removesuffix('_ms')}"
        variants.append(replace(variant, arch=arch, matched=match, notes=(*variant.notes, note)))
    if not any(variant.matched for variant in variants):
        say(f"--match {match.removesuffix('_ms')}: no variant needs rescaling, or none can be")
    return replace(plan, variants=(base, *variants), left_out=tuple(left_out))
