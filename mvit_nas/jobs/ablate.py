"""``mvit-nas ablate``: paired runs of a base and its variants, their statistics and their report."""

import itertools
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mvit_nas.ablation.match import TOLERANCE, rescale
from mvit_nas.ablation.plan import Plan, Variant, make_plan
from mvit_nas.arch.config import ArchConfig, arch_id, to_dict
from mvit_nas.arch.count import count
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import SearchSpace, adapt_preset
from mvit_nas.errors import (
    InputError,
    InterruptedCleanlyError,
    MeasurementError,
    MvitNasError,
    NothingFeasibleError,
    PartialError,
    TrainingError,
)
from mvit_nas.evaluate.short import values_of
from mvit_nas.evaluate.static import check_static_cost, static_values
from mvit_nas.jobs.begun import with_start
from mvit_nas.jobs.estimate import by_macs, training_seconds, try_step
from mvit_nas.jobs.folders import Folders, folders_of, known_schedule, known_space, opened
from mvit_nas.jobs.journal import Journal
from mvit_nas.jobs.named_networks import Choice, find_choice
from mvit_nas.jobs.provenance import ablation_origin, updated
from mvit_nas.jobs.setup import FINE, MEASURING_SECONDS, Setup, find_images, find_space, set_up
from mvit_nas.metrics import LATENCY, MACS, METRICS, PARAMS, Metric
from mvit_nas.reporter import Reporter
from mvit_nas.results.ablation.summary import Summary, summarise, value_words
from mvit_nas.results.report import write_ablation
from mvit_nas.settings.commands import AblateSettings
from mvit_nas.settings.flag import plain
from mvit_nas.settings.parse import joined_name
from mvit_nas.settings.study_file import Found
from mvit_nas.study.origin import Ablated, LeftOut, PlannedVariant
from mvit_nas.study.record import Candidate, Measured, Record, Spent, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that an ablation needs before the first run."""

    settings: AblateSettings
    found: Found
    folders: Folders
    setup: Setup
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where an ablation stands: ``runs`` may grow while ``--precision`` is not reached. ``variant`` is in words.

    ``score`` is what variants are judged by.
    """

    done: int
    runs: int
    variant: str
    last: Record
    score: Metric
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
class PricedVariant:
    """A planned variant with its price; ``value`` says it in words, ``base`` whether it is the base."""

    value: str
    labels: Mapping[str, str]
    matched: str | None
    base: bool
    params: int
    macs: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationPlan:
    """What an ablation would do. ``known`` of the ``runs`` are in the cache and cost nothing."""

    variants: tuple[PricedVariant, ...]
    left_out: tuple[LeftOut, ...]
    seeds: tuple[int, ...]
    runs: int
    known: int
    hours: float
    memory_gib: float


def prepare(settings: AblateSettings, *, reporter: Reporter) -> Prepared:
    """Read base, data and space, and plan the variants. Says what it chose."""
    base = find_choice(settings.base, settings.out, where="--base")
    images = find_images(_data(settings, base), reporter=reporter)
    name = settings.name or joined_name([*settings.factors, settings.base, images.name])
    folders = folders_of(name, settings.out)
    asked, known = settings.space or base.space, known_space(folders) if settings.resume else None
    space = find_space(asked, images, image_size=settings.image_size, known=known, reporter=reporter)
    begun = known_schedule(folders) if settings.resume else None
    setup = set_up(settings, images, space, known=begun, precision=FINE, reporter=reporter)
    if base.images is not None and base.images.fingerprint != images.fingerprint:
        reporter.say(f"note: these are not the images of the study that {settings.base} is from")
    arch = _base_arch(settings, base, space)
    setup = with_start(setup, arch, settings, which="the base", reporter=reporter)
    made = _planned(settings, arch, setup, reporter)
    found = Found(
        data={"name": images.name, "fingerprint": images.fingerprint},
        space_name=space.name,
        space=space.text,
        schedule=setup.training.schedule.to_dict(),
        more={
            "base_arch": plain(to_dict(arch)),
            "values": [list(dict.fromkeys(one.labels[factor] for one in made.variants)) for factor in settings.factors],
            "resize": not settings.no_resize,
            "max_seeds": settings.most_seeds,
            "init": setup.training.start,
        },
    )
    settings = replace(settings, name=name, runtime=setup.meter.runtime.name)
    return Prepared(settings=settings, found=found, folders=folders, setup=setup, plan=made)


def _data(settings: AblateSettings, base: Choice) -> str | None:
    """``--data``; where it is missing and the base is from a study on other images than the digits, an error."""
    if settings.data is None and base.images is not None and base.images.name != "digits":
        raise InputError(f"--base {settings.base} was searched on {base.images.name!r}: give its images with --data")
    return settings.data


def _base_arch(settings: AblateSettings, base: Choice, space: SearchSpace) -> ArchConfig:
    arch = adapt_preset(base.arch, space) if settings.base in PRESETS else base.arch
    if arch is None:
        raise InputError(f"the space {space.name} has other stages than {settings.base}: give another --base")
    return arch if settings.image_size is None else with_values(arch, {"image_size": settings.image_size})


def _planned(settings: AblateSettings, arch: ArchConfig, setup: Setup, reporter: Reporter) -> Plan:
    """The variants, with those that are matched to the base's cost. Says what they are."""
    schedule = setup.training.schedule
    made = make_plan(setup.space, arch, schedule, settings.factors, settings.values, resize=not settings.no_resize)
    cost = count(arch, classes=setup.classes)
    size = f"{PARAMS.format(cost.params)}, {MACS.format(cost.macs)}"
    reporter.say(f"base:  {settings.base} at {arch.image_size} px, {size}")
    if settings.match is not None:
        made = _matched(made, settings.match, setup, given=bool(settings.values), reporter=reporter)
    words = [_words(variant) + (" (base)" if variant.is_base else "") for variant in made.variants]
    reporter.say(f"{' and '.join(made.factors)}: {'; '.join(words)}")
    for variant in made.variants:
        for note in variant.notes:
            reporter.say(f"       {_words(variant)}: {note}")
    for one in made.left_out:
        reporter.say(f"left out: {value_words(one.labels, '')}: {one.reason}")
    return made


def ablate(
    settings: AblateSettings,
    *,
    reporter: Reporter,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> Outcome:
    """Run or resume an ablation, keep its files up to date, and write the report.

    An interruption or an error in the middle comes back in the outcome; errors before the first run are raised.
    """
    prepared = prepare(settings, reporter=reporter)
    with opened(prepared.folders, prepared.settings, prepared.found, reporter=reporter):
        return _Ablating(prepared=prepared, reporter=reporter, on_progress=on_progress, should_stop=should_stop).run()


@dataclass(kw_only=True)
class _Ablating:
    """One ablation, seed by seed, to its report."""

    prepared: Prepared
    reporter: Reporter
    on_progress: Callable[[Progress], None]
    should_stop: Callable[[], bool]

    def __post_init__(self) -> None:
        prepared, self._settings = self.prepared, self.prepared.settings
        self._start = time.monotonic()
        self._plan = _ablated(prepared)
        self._origin = ablation_origin(prepared.setup, prepared.settings, prepared.found, plan=self._plan)
        self._journal = Journal([], self._write, kept="finished runs")
        self._costs: dict[str, Record] = {}

    def run(self) -> Outcome:
        """Measure every variant, run it on every seed, and write the report."""
        error: MvitNasError | None = None
        try:
            self._measure()
            self._plan = replace(self._plan, stopped=self._run_seeds())
        except MvitNasError as raised:
            if not self._journal.records:
                raise
            error = raised
        return Outcome(
            name=self._origin.study,
            base=self._settings.base,
            summary=self._summary(),
            left_out=self._plan.left_out,
            stopped=self._plan.stopped,
            report=self._journal.write(),
            error=error,
        )

    def _measure(self) -> None:
        for variant in self.prepared.plan.variants:
            if self.should_stop():
                raise InterruptedCleanlyError("stopped before the first run")
            self._costs[arch_id(variant.arch)] = self._priced(variant)

    def _priced(self, variant: Variant) -> Record:
        """What is known of every run of ``variant`` before it is trained."""
        setup, words = self.prepared.setup, _words(variant)
        check_static_cost(variant.arch, classes=setup.classes)
        record = Record(
            trial=None,
            state=State.COMPLETE,
            candidate=Candidate(arch=variant.arch, arch_id=arch_id(variant.arch)),
            values=static_values(variant.arch, classes=setup.classes),
        )
        self.reporter.doing(f"measuring the latency of {words}")
        try:
            latency = setup.meter.latency(variant.arch, classes=setup.classes).latency
        except MeasurementError as error:  # the accuracies still say what they say
            self.reporter.say(f"no latency of {words}: {error}")
            return record
        measured = Measured(value=latency.median_ms, low=latency.low_ms, high=latency.high_ms)
        return replace(
            record,
            values={**record.values, LATENCY.name: measured},
            latency_runs=latency.runs,
            latency_threads=latency.threads,
        )

    def _run_seeds(self) -> str:
        """Run all seeds, and more where a precision asks for them; how the precision came out."""
        wanted, variants = self._settings.precision, self.prepared.plan.variants
        for number, seed in enumerate(self._seeds(), start=1):
            # Another variant begins each time, so that none always meets the machine as it is at first.
            first = number % len(variants)
            for variant in (*variants[first:], *variants[:first]):
                if self.should_stop():
                    raise InterruptedCleanlyError("stopped between two runs")
                record = self._run(variant, seed)
                self._journal.append(record)
                self.on_progress(self._progress(variant, record))
            if number >= len(self._settings.seeds) and wanted is not None:
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
        """The seeds that were given, then the smallest that are not among them."""
        given = self._settings.seeds
        further = (seed for seed in itertools.count() if seed not in given)
        return itertools.islice(itertools.chain(given, further), self._settings.most_seeds)

    def _run(self, variant: Variant, seed: int) -> Record:
        words = _words(variant)
        self.reporter.doing(f"training {words} with seed {seed}")
        training = self.prepared.setup.training.with_schedule(variant.schedule)
        known = self._costs[arch_id(variant.arch)]
        is_preset = variant.is_base and self._settings.base in PRESETS
        candidate = replace(
            known.candidate,
            name=self._settings.base if is_preset else "",
            labels=variant.labels,
            matched=variant.matched,
        )
        record = replace(known, trial=len(self._journal.records), candidate=candidate, seed=seed)
        was_known, start = training.is_known(variant.arch, seed=seed), time.monotonic()
        try:
            score, _ = training.score(variant.arch, seed=seed, should_stop=self.should_stop)
        except TrainingError as error:
            reason = str(error)
        except (InterruptedCleanlyError, PartialError, OSError, KeyboardInterrupt):
            raise
        except Exception as error:  # One variant that breaks is a result; the others go on.
            with (self.prepared.folders.state / "failures.log").open("a") as file:
                file.write(f"{words}, seed {seed}\n{traceback.format_exc()}\n")
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            values = {**record.values, **values_of(score)}
            spent = Spent(seconds=score.seconds, trainings=1.0, cached=was_known)
            return replace(record, values=values, spent=spent)
        spent = Spent(seconds=time.monotonic() - start, trainings=1.0, cached=was_known)
        return replace(record, state=State.FAILED, reason=reason, spent=spent)

    def _summary(self) -> Summary:
        return summarise(self._journal.records, self._plan, METRICS[self._settings.score])

    def _write(self, records: Sequence[Record]) -> Path:
        seeds = tuple(dict.fromkeys(record.seed for record in records if record.seed is not None))
        self._plan = replace(self._plan, seeds=seeds)
        origin = updated(self._origin, self.prepared.setup, seconds=time.monotonic() - self._start, latency=True)
        return write_ablation(records, replace(origin, plan=self._plan), self.prepared.folders.report)

    def _progress(self, variant: Variant, last: Record) -> Progress:
        settings, records = self._settings, self._journal.records
        rounds = len(settings.seeds) if settings.precision is None else settings.most_seeds
        runs = rounds * len(self.prepared.plan.variants)
        trained = [record.spent.seconds for record in records if not record.spent.cached]
        left = runs - len(records)
        return Progress(
            done=len(records),
            runs=runs,
            variant=_words(variant),
            last=last,
            score=METRICS[settings.score],
            seconds_left=left * sum(trained) / len(trained) if trained else None,
        )


def _ablated(prepared: Prepared) -> Ablated:
    settings, made = prepared.settings, prepared.plan
    return Ablated(
        factors=made.factors,
        base=settings.base,
        variants=tuple(
            PlannedVariant(
                labels=variant.labels,
                matched=variant.matched,
                is_base=variant.is_base,
                arch_id=arch_id(variant.arch),
                notes=variant.notes,
            )
            for variant in made.variants
        ),
        left_out=made.left_out,
        seeds=(),
        precision=settings.precision,
        stopped="",
    )


def plan(settings: AblateSettings, *, reporter: Reporter) -> AblationPlan:
    """What ``ablate`` would do and take: one real training step of the smallest and the largest variant."""
    prepared = prepare(settings, reporter=reporter)
    settings, training = prepared.settings, prepared.setup.training
    priced = [(one, count(one.arch, classes=prepared.setup.classes)) for one in prepared.plan.variants]
    ordered = sorted(priced, key=lambda pair: pair[1].macs)
    tried = [(cost.macs, try_step(training, one.arch)) for one, cost in (ordered[0], ordered[-1])]
    step_seconds = by_macs(*((macs, step.step_seconds) for macs, step in tried))
    new = [
        cost
        for seed in settings.seeds
        for one, cost in priced
        if not training.with_schedule(one.schedule).is_known(one.arch, seed=seed)
    ]
    runs, networks = len(settings.seeds) * len(priced), len({arch_id(one.arch) for one, _ in priced})
    seconds = sum(training_seconds(training, step_seconds(cost.macs)) for cost in new)
    return AblationPlan(
        variants=tuple(
            PricedVariant(
                value=_words(one),
                labels=one.labels,
                matched=one.matched or None,
                base=one.is_base,
                params=cost.params,
                macs=cost.macs,
                notes=one.notes,
            )
            for one, cost in priced
        ),
        left_out=prepared.plan.left_out,
        seeds=settings.seeds,
        runs=runs,
        known=runs - len(new),
        hours=(seconds + MEASURING_SECONDS * networks) / 3600,
        memory_gib=tried[-1][1].peak_gib,
    )


def _words(variant: Variant) -> str:
    return value_words(variant.labels, variant.matched)


def _matched(made: Plan, match: str, setup: Setup, *, given: bool, reporter: Reporter) -> Plan:
    """``made`` with a copy of each variant whose width was rescaled until it costs what the base costs."""

    def cost(arch: ArchConfig) -> float:
        if match == LATENCY.name:
            return setup.meter.latency(arch, classes=setup.classes).latency.median_ms
        counted = count(arch, classes=setup.classes)
        return {PARAMS.name: counted.params, MACS.name: counted.macs}[match]

    base, *others = made.variants
    word, target = METRICS[match].option, cost(base.arch)
    variants, left_out = [base], list(made.left_out)
    for variant in others:
        if abs(cost(variant.arch) / target - 1) <= TOLERANCE:
            note = f"costs what the base costs: no rescaling for equal {word}"
            variants.append(replace(variant, notes=(*variant.notes, note)))
            continue
        variants.append(variant)
        reporter.doing(f"measuring widths for {value_words(variant.labels, match)}")
        what = value_words(variant.labels, "")
        try:
            arch, scale = rescale(variant.arch, target=target, cost=cost, keep=made.paths, what=what)
        except NothingFeasibleError as error:
            if given:
                raise
            left_out.append(LeftOut(labels=variant.labels, reason=f"at equal {word}: {error}"))
            continue
        note = f"width times {scale:.2f}: {cost(arch) / target:.3f} of the base's {word}"
        variants.append(replace(variant, arch=arch, matched=match, notes=(*variant.notes, note)))
    if not any(variant.matched for variant in variants):
        reporter.say(f"--match {word}: no variant needs rescaling, or none can be")
    return replace(made, variants=tuple(variants), left_out=tuple(left_out))
