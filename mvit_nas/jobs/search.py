"""``mvit-nas search``: a study, its files kept up to date, and its report."""

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mvit_nas.errors import CostError, InterruptedCleanlyError, MeasurementError, MvitNasError
from mvit_nas.evaluate.estimator import Question
from mvit_nas.evaluate.latency import LatencyMeter
from mvit_nas.jobs.crew import Crew, places, worker_command
from mvit_nas.jobs.ending import Ending, trials_of
from mvit_nas.jobs.folders import opened
from mvit_nas.jobs.joined import joined, publish, restore_settings
from mvit_nas.jobs.journal import Journal
from mvit_nas.jobs.learned import agreement_words
from mvit_nas.jobs.prepare import Prepared, candidates_of, limits_of, prepare, search_of
from mvit_nas.jobs.provenance import conditions, search_origin, seed_spread, updated
from mvit_nas.jobs.repeats import to_repeat
from mvit_nas.jobs.setup import gpus_of
from mvit_nas.maths.forecast import Forecast
from mvit_nas.maths.pareto import near_front
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY, LATENCY, Metric, score_of
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.reporter import Reporter
from mvit_nas.results.report import write_search
from mvit_nas.results.table import make_table
from mvit_nas.results.view import StudyView, box_of, front, numbers, volume
from mvit_nas.results.within import Within, best_within
from mvit_nas.settings.commands import SearchSettings
from mvit_nas.study.record import Further, Measured, Record, State
from mvit_nas.study.store import Store
from mvit_nas.study.table import further_runtimes

# Between two looks at what workers do.
_WATCHED_SECONDS = 1.0
# A network is near the front that would be on it if its costs were this share less.
_NEAR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a search stands, after ``done`` whole trainings and ``stopped`` ones that were ended early.

    ``trials`` is how many there will be, as far as that can be ``foreseen``: ``--trials auto`` goes by what is found.
    ``best`` is the best ``score``, if there is one, and ``within`` the best within the budget and its parts.
    """

    done: float
    stopped: int
    trials: int
    foreseen: bool
    last: Record
    score: Metric
    best: float | None
    within: tuple[Within, ...]
    front: int
    hypervolume: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a search ended: its front, and where the files lie. ``error`` is why it ended early, if it did.

    ``further`` are the runtimes beside its own that the front was to be timed on, ``counts`` its trials by state,
    ``forecast`` what more trainings are expected to bring, where that is known.
    """

    name: str
    objectives: tuple[Metric, ...]
    front: tuple[Record, ...]
    further: tuple[str, ...]
    counts: Mapping[State, int]
    within: tuple[Within, ...]
    hypervolume: float
    forecast: Forecast | None
    report: Path
    error: MvitNasError | None


def search(
    settings: SearchSettings,
    *,
    reporter: Reporter,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> Outcome:
    """Run or resume a search, keep its files up to date, and write the report.

    An interruption or an error in the middle comes back in the outcome, after the report of what is there was made;
    errors before the first result are raised.
    """
    prepared = prepare(settings, reporter=reporter)
    restore_settings(prepared.folders, settings.storage)
    with opened(prepared.folders, prepared.settings, prepared.found, reporter=reporter):
        prepared.load()
        candidates = candidates_of(prepared)
        with joined(prepared, candidates) as store:
            publish(store, prepared)
            return _Searching(
                prepared=prepared,
                candidates=candidates,
                store=store,
                reporter=reporter,
                on_progress=on_progress,
                should_stop=should_stop,
            ).run()


@dataclass(kw_only=True)
class _Searching:
    """One search, from its store to its report."""

    prepared: Prepared
    candidates: Candidates
    store: Store
    reporter: Reporter
    on_progress: Callable[[Progress], None]
    should_stop: Callable[[], bool]

    def __post_init__(self) -> None:
        self._start = time.monotonic()
        prepared, settings, goal = self.prepared, self.prepared.settings, self.candidates.goal
        self._gpus = gpus_of(prepared.setup.training.device)
        self._jobs = (settings.jobs_per_gpu or 0) * len(self._gpus) or settings.jobs
        self._box = box_of(goal.objectives, [goal.reference[metric.name] for metric in goal.objectives])
        self._objectives = goal.objectives
        self._origin = search_origin(prepared.setup, settings, prepared.found, reference=goal.reference)
        self._ending = Ending(settings, goal, self.reporter)
        self._search = search_of(
            prepared,
            self.store,
            self.candidates,
            limits_of(settings),
            reporter=self.reporter,
            on_record=self._take,
            should_stop=self.should_stop,
            is_done=self._ending.is_done,
        )
        self._journal = Journal(self._search.records, self._write, kept="finished evaluations")
        self._spent_before = sum(record.spent.seconds for record in self._journal.records)

    def run(self) -> Outcome:
        """Train, measure the front, and write the report."""
        error: MvitNasError | None = None
        try:
            settings = self.prepared.settings
            self._work_together() if self._jobs > 1 else self._search.run(settings.finish)
            self._repeat_front()
            self._measure_front()
        except MvitNasError as raised:
            error = raised
        records = self._journal.records
        if self.prepared.earlier is not None:
            score = score_of(self._objectives)
            self.reporter.say(agreement_words(self.prepared.earlier, self.prepared.designs, records, score))
        self._origin = replace(self._origin, ended=self._ended(error))
        if not any(record.is_complete for record in records):
            if any(record.state.is_training for record in records):
                self._journal.write()
            raise error or _nothing_trained(records)
        return Outcome(
            name=self._origin.study,
            objectives=self._objectives,
            front=tuple(records[index] for index in front(records, self._objectives)),
            further=further_runtimes(records),
            counts=Counter(record.state for record in records),
            within=best_within(records, self.prepared.settings.budgets, score_of(self._objectives)),
            hypervolume=volume(records, self._objectives, self._box),
            forecast=StudyView(make_table(records), self._origin).forecast,
            report=self._journal.write(),
            error=error,
        )

    def _ended(self, error: MvitNasError | None) -> str:
        """Why it ended before it had trained what was asked for; "" where it did not."""
        settings = self.prepared.settings
        records = self._journal.records
        trained = sum(record.spent.trainings for record in records)
        if trained >= settings.most_trials - settings.repeats or self._ending.is_enough(records):
            return ""
        if error is not None:
            return "stopped by Ctrl-C" if isinstance(error, InterruptedCleanlyError) else "stopped by an error"
        if settings.timeout_seconds is not None:
            return "out of time"
        return "settled" if settings.stop_when_settled else "nothing else within the budget"

    def _work_together(self) -> None:
        """Let workers search, and watch them."""
        settings, folders = self.prepared.settings, self.prepared.folders
        self._search.finish(settings.finish)
        flags = [f"--grace={settings.grace_seconds}s"]
        flags += [f"--storage={settings.storage}"] if settings.storage is not None else []
        flags += [f"--shared={settings.shared}"] if settings.shared is not None else []
        flags += ["--device=cuda"] if self._gpus else []
        command = worker_command(folders.name, folders.out, flags)
        crew = Crew(command, places(self._jobs, self._gpus), folders.state / "workers", self.reporter)
        with crew.working():
            while not crew.is_done(len(self._journal.records)):
                if self.should_stop():
                    raise InterruptedCleanlyError("stopped with all of its workers")
                self._search.look()
                names = ", ".join(one.arch_id for one in self.store.running())
                self.reporter.watching(f"training {names}" if names else "waiting for the workers")
                time.sleep(_WATCHED_SECONDS)
        self._search.look()

    def _take(self, record: Record) -> None:
        self._journal.append(record)
        self.on_progress(self._progress(record))

    def _write(self, records: Sequence[Record]) -> Path:
        seconds = self._spent_before + time.monotonic() - self._start
        self._origin = updated(self._origin, self.prepared.setup, seconds=seconds, latency=LATENCY in self._objectives)
        workers, given_back = self.store.worked()
        self._origin = replace(self._origin, workers=workers, given_back=given_back)
        return write_search(records, self._origin, self.prepared.folders.report)

    def _progress(self, last: Record) -> Progress:
        records, settings, score = self._journal.records, self.prepared.settings, score_of(self._objectives)
        done = sum(record.spent.trainings + record.seeds - 1 for record in records)
        scores = [value for one in records if one.is_complete and (value := one.value(score)) is not None]
        trials = trials_of(settings, scores)
        trained = [record for record in records if record.state.is_training and not record.spent.cached]
        spent = sum(record.spent.trainings for record in trained)
        seconds = None
        if spent:
            seconds = max(0.0, trials - done) * sum(record.spent.seconds for record in trained) / spent
            seconds /= self._jobs
            if settings.timeout_seconds is not None:
                elapsed = time.monotonic() - self._start
                seconds = min(seconds, max(0.0, settings.timeout_seconds - elapsed))
        return Progress(
            done=done,
            stopped=sum(record.state is State.STOPPED for record in records),
            trials=trials,
            foreseen=settings.trials == "auto",
            last=last,
            score=score,
            best=max(scores, default=None),
            within=best_within(records, settings.budgets, score),
            front=len(front(records, self._objectives)),
            hypervolume=volume(records, self._objectives, self._box),
            seconds_left=seconds,
        )

    def _repeat_front(self) -> None:
        """Train the front with further seeds, as often as the settings keep trainings for it.

        In the cache a repeat is like any training: one that was interrupted is taken up with --resume.
        """
        settings, training = self.prepared.settings, self.prepared.setup.training
        end = math.inf if settings.timeout_seconds is None else self._start + settings.timeout_seconds
        failed: set[int] = set()
        for _ in range(settings.repeats):
            self._origin = replace(self._origin, seed_spread=seed_spread(training))
            index = to_repeat(self._journal.records, self._origin, most=settings.seeds_for_front, without=failed)
            if index is None or time.monotonic() > end:
                break
            record = self._journal.records[index]
            seed = settings.seed + record.seeds
            self.reporter.doing(f"training {record.label} with the seed {seed}")
            start = time.monotonic()
            found = training.estimate(Question(record=replace(record, seed=seed)), should_stop=self.should_stop)
            if found.failure:
                failed.add(index)
                self.reporter.say(f"{record.label} failed with the seed {seed}: {found.failure}")
                continue
            scores = {ACCURACY.name: found.accuracy, BALANCED_ACCURACY.name: found.balanced}
            known = {name: one for name, one in scores.items() if one is not None}
            record = record.with_seed(seed, known, seconds=time.monotonic() - start)
            self._journal.replace(index, record)
            self.on_progress(self._progress(record))

    def _measure_front(self) -> None:
        """Measure the front, and what is within 5 % of it, on the further runtimes.

        A network that cannot be measured is noted and the others go on. Raises DeviceError where a device is gone: what
        was measured is in the journal, and the rest is measured with --resume.
        """
        trained = [index for index, record in enumerate(self._journal.records) if record.is_complete]
        values = numbers([self._journal.records[index] for index in trained], self._objectives)
        chosen = near_front(values, [metric.maximise for metric in self._objectives], _NEAR)
        near = [index for index, is_near in zip(trained, chosen, strict=True) if is_near]
        for (runtime, meter), index in itertools.product(self.prepared.further.items(), near):
            if self.should_stop():
                raise InterruptedCleanlyError("stopped between two measurements of the front")
            record = self._journal.records[index]
            self.reporter.doing(f"measuring {record.label} on {meter.runtime.title}")
            found = _measured_by(meter, record, classes=self.prepared.setup.classes)
            further = {**self._origin.further, runtime: conditions(meter)}
            self._origin = replace(self._origin, further=further)
            self._journal.replace(index, replace(record, further={**record.further, runtime: found}))


def _measured_by(meter: LatencyMeter, record: Record, *, classes: int) -> Further:
    assert record.candidate.arch is not None, "what was trained is a network"
    try:
        found = meter.latency(record.candidate.arch, classes=classes)
    except (MeasurementError, CostError) as error:
        return Further(note=str(error))
    latency, artefact = found.latency, found.artefact
    return Further(
        latency=Measured(value=latency.median_ms, low=latency.low_ms, high=latency.high_ms),
        artefact_mib=artefact.size_bytes / 2**20,
        delegated=artefact.delegated,
    )


def _nothing_trained(records: Sequence[Record]) -> MvitNasError:
    last = f"; the last one {records[-1].state.replace('_', ' ')}: {records[-1].reason}" if records else ""
    return MvitNasError(f"no candidate was trained to the end in {len(records)} trials{last}")
