"""``mvit-nas confirm``: networks of a search trained for longer, with several seeds, and scored on the test part."""

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mvit_nas.errors import InputError, InterruptedCleanlyError, PartialError, TrainingError
from mvit_nas.evaluate.confirm import Outputs, ScoredPart, has_outputs, outputs
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.files import claimed
from mvit_nas.jobs.begun import study_images, study_source
from mvit_nas.jobs.confirm_findings import Scored, findings
from mvit_nas.jobs.confirm_plan import Member, Planned, make_plan, plan_lines
from mvit_nas.jobs.folders import Folders, folders_of, known_schedule, note_look
from mvit_nas.jobs.setup import make_training
from mvit_nas.maths.statistics import ALPHA
from mvit_nas.metrics import METRICS
from mvit_nas.reporter import Reporter
from mvit_nas.results.report import remake_report
from mvit_nas.results.search.confirmed import verdict_words
from mvit_nas.results.table import read_table
from mvit_nas.results.view import StudyView
from mvit_nas.settings.commands import ConfirmSettings
from mvit_nas.study.confirmation import Confirmation
from mvit_nas.study.confirmation_file import read_looks, write_confirmation
from mvit_nas.study.origin import AblationOrigin
from mvit_nas.study.origin_file import read_origin
from mvit_nas.study.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that is known before the first training."""

    settings: ConfirmSettings
    folders: Folders
    view: StudyView
    training: ShortTraining
    planned: Planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A finished training and where the work stands. ``accuracy`` is on the validation part, None where it failed."""

    done: int
    runs: int
    label: str
    seed: int
    accuracy: float | None
    failure: str
    seconds: float
    was_known: bool
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was confirmed, in a sentence the ``verdict``, and where the page lies. ``view`` is the search with it."""

    name: str
    confirmation: Confirmation
    view: StudyView
    verdict: str
    report: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmPlan:
    """What ``confirm`` would do. ``known`` of the ``runs`` cost nothing; ``looks`` at the test part there were."""

    networks: tuple[str, ...]
    trials: tuple[int, ...]
    seeds: tuple[int, ...]
    schedule: str
    epochs: int
    runs: int
    known: int
    hours: float
    memory_gib: float
    looks: int
    notes: tuple[str, ...]


def plan(settings: ConfirmSettings, *, reporter: Reporter) -> ConfirmPlan:
    """What ``confirm`` would do and take: one real training step of each network."""
    prepared = prepare(settings, reporter=reporter)
    planned = prepared.planned
    return ConfirmPlan(
        networks=tuple(one.label for one in planned.members),
        trials=tuple(one.trial for one in planned.members),
        seeds=planned.seeds,
        schedule=planned.schedule.name,
        epochs=planned.schedule.epochs,
        runs=planned.runs,
        known=planned.known,
        hours=planned.seconds / 3600,
        memory_gib=planned.memory_gib,
        looks=len(read_looks(prepared.folders.ledger)),
        notes=planned.notes,
    )


def prepare(settings: ConfirmSettings, *, reporter: Reporter) -> Prepared:
    """Read the search and its images, choose the networks, and fit the work into the time. Says what it chose."""
    folders = folders_of(settings.name, settings.out)
    view = _search(folders, settings)
    members = _members(view, settings)
    images = study_images(view.origin, folders, settings.data)
    reporter.say(f"data:     {images.source}, as they were searched on")
    default = "digits_medium" if images.schedule == "digits" else "medium"
    source = study_source(view.origin, folders, settings)
    if source is not None:
        reporter.say(f"start:    from what fits of {source.name}, as in the search")
    scheduled = replace(settings, schedule=settings.schedule or default)
    training = make_training(scheduled, images, source=source, reporter=reporter)
    reporter.doing("trying a training step of each network")
    planned = make_plan(members, settings, training, searched=known_schedule(folders), folder=folders.state)
    for line in plan_lines(planned):
        reporter.say(line)
    training = training.with_schedule(planned.schedule)
    return Prepared(settings=settings, folders=folders, view=view, training=training, planned=planned)


def ranked_front(view: StudyView) -> list[Record]:
    """The scored networks, those first that are to be confirmed first: the likeliest to be the best, then on the front.

    Not the measured front alone: who was unlucky by little may be on the true one. What has no interval comes last.
    """
    sure = view.sure
    chances = {row: (sure.best[row] if sure.best[row] >= ALPHA else 0.0, sure.front[row]) for row in sure.rows}
    ranked = sorted(chances, key=lambda row: chances[row], reverse=True)
    return [view.records[row] for row in dict.fromkeys([*ranked, *view.front])]


def _search(folders: Folders, settings: ConfirmSettings) -> StudyView:
    table = folders.report / "results.csv"
    if not table.is_file():
        reports = settings.out / "reports"
        known = ", ".join(sorted(path.parent.name for path in reports.glob("*/results.csv"))) or "none"
        raise InputError(f"no study {settings.name!r} in {reports}: known are {known}")
    origin = read_origin(folders.report / "environment.json")
    if isinstance(origin, AblationOrigin):
        raise InputError(f"{settings.name} is an ablation, whose runs have seeds already: confirm takes a search")
    return StudyView(read_table(table), origin)


def _members(view: StudyView, settings: ConfirmSettings) -> list[Member]:
    """The networks to confirm: those that were named, else the top of the front and the presets within the budget."""
    trained = {record.trial: record for record in view.scored if record.candidate.arch is not None}
    if not trained:
        raise InputError(f"{settings.name} has nothing to confirm: none of its networks was trained to the end")
    if settings.trials:
        for asked in settings.trials:
            if asked not in trained:
                known = ", ".join(str(one) for one in trained)
                raise InputError(f"{settings.name} has no trained network of trial {asked}; it has those of {known}")
        chosen = [trained[trial] for trial in settings.trials]
    else:
        presets = () if settings.no_presets else view.origin.presets
        found = [record for name in presets if (record := view.preset(name)) and _is_within(record, view)]
        chosen = [*ranked_front(view)[: settings.top], *found]
    members: dict[int, Member] = {}
    for record in chosen:
        arch, trial = record.candidate.arch, record.trial
        if arch is not None and trial is not None:
            members.setdefault(trial, Member(record=record, arch=arch, trial=trial))
    return list(members.values())


def _is_within(record: Record, view: StudyView) -> bool:
    """Whether it keeps every budget of the search, as far as is known."""
    values = [(budget, record.value(METRICS[budget.metric])) for budget in view.origin.experiment.budgets]
    return all(value is None or budget.low <= value <= budget.high for budget, value in values)


def confirm(
    settings: ConfirmSettings,
    *,
    reporter: Reporter,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> Outcome:
    """Train, look at the test part once, and write the confirmation, the models and the search's page.

    Raises InterruptedCleanlyError where it was stopped: the same command goes on, from the cache alone.
    """
    prepared = prepare(settings, reporter=reporter)
    state = prepared.folders.state
    with claimed(state):
        prepared.planned.keep(state)
        return _Confirming(prepared=prepared, reporter=reporter, on_progress=on_progress, should_stop=should_stop).run()


@dataclass(kw_only=True)
class _Confirming:
    """One confirmation, seed by seed, to its page."""

    prepared: Prepared
    reporter: Reporter
    on_progress: Callable[[Progress], None]
    should_stop: Callable[[], bool]

    def __post_init__(self) -> None:
        self._start = time.monotonic()
        self._planned, self._training = self.prepared.planned, self.prepared.training
        self._seconds: dict[int, list[float]] = {one.trial: [] for one in self._planned.members}
        self._failures: dict[int, str] = {}
        self._now: list[float] = []  # seconds of what was trained now, not known
        self._done = 0

    def run(self) -> Outcome:
        """Train every network on every seed that fits, then look at the test part."""
        seeds = self._train()
        scored = self._score(seeds)
        self.reporter.doing("comparing the networks")
        confirmation = self._confirmation(seeds, scored)
        folders, view = self.prepared.folders, self.prepared.view
        try:
            write_confirmation(confirmation, folders.report)
        except OSError as error:
            where = f"cannot write to {folders.report} ({error.strerror})"
            raise PartialError(f"{where}; what was trained is kept: run the command again") from None
        seen = StudyView(view.table, view.origin, confirmation)
        return Outcome(
            name=folders.name,
            confirmation=confirmation,
            view=seen,
            verdict=verdict_words(
                confirmation,
                seen,
                called={one.trial: f"{one.label} (trial {one.trial})" for one in confirmation.networks},
            ),
            report=remake_report(folders.report),
        )

    def _confirmation(self, seeds: tuple[int, ...], scored: Sequence[Scored]) -> Confirmation:
        prepared, training, notes = self.prepared, self._training, list(self._planned.notes)
        failed = [(one, self._failures[one.trial]) for one in self._planned.members if one.trial in self._failures]
        found = findings(
            scored,
            failed,
            seeds,
            view=prepared.view,
            training=training,
            folders=prepared.folders,
            with_images=not prepared.settings.no_images,
        )
        if len(seeds) < len(self._planned.seeds):
            notes.append(f"The time was up after {len(seeds)} of {len(self._planned.seeds)} seeds.")
        if len(seeds) == 1:
            notes.append("With one seed the intervals are over the images alone: lower bounds of what is not known.")
        classes, there = training.data.classes, scored[0].test[0].labels_N if scored else ()
        missing = [name for index, name in enumerate(classes) if scored and index not in there]
        if missing:
            notes.append(f"The test part has no image of {', '.join(missing)}.")
        return Confirmation(
            study=prepared.folders.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=shlex.join(["mvit-nas", *sys.argv[1:]]),
            fingerprint=training.data.fingerprint,
            schedule=training.schedule.to_dict(),
            seeds=seeds,
            images=len(there),
            networks=found.networks,
            pairs=found.pairs,
            ranks=found.ranks,
            lead=found.lead,
            take=found.take,
            tied=found.tied,
            looks=read_looks(prepared.folders.ledger),
            notes=tuple(notes),
        )

    def _train(self) -> tuple[int, ...]:
        """Train round by round; the seeds of the rounds that were finished."""
        members, seeds = self._planned.members, self._planned.seeds
        for number, seed in enumerate(seeds):
            if number and not self._fits(seed):
                return seeds[:number]
            # Another network begins each time, so that none always meets the machine as it is at first.
            first = number % len(members)
            for member in (*members[first:], *members[:first]):
                if self.should_stop():
                    raise self._stopped()
                if member.trial not in self._failures:
                    self._train_one(member, seed)
        return seeds

    def _fits(self, seed: int) -> bool:
        """Whether the round of ``seed`` fits into what is left of the time, by what trainings took so far."""
        elapsed = time.monotonic() - self._start
        return elapsed + self._expected([seed]) <= self.prepared.settings.timeout_seconds

    def _expected(self, seeds: Sequence[int]) -> float:
        """Seconds that the trainings of these seeds will take, of which those that are known take none."""
        if not self._now:
            return 0.0
        left = [one for one in self._planned.members if one.trial not in self._failures]
        new = sum(not self._training.is_kept(one.arch, seed=seed) for one in left for seed in seeds)
        return new * sum(self._now) / len(self._now)

    def _train_one(self, member: Member, seed: int) -> None:
        self.reporter.doing(f"training {member.label} with seed {seed}")
        start, failure, accuracy = time.monotonic(), "", None
        was_known = self._training.is_kept(member.arch, seed=seed)
        try:
            score, _ = self._training.kept(member.arch, seed=seed, should_stop=self.should_stop)
        except TrainingError as error:  # one network that diverges is a result; the others go on
            failure = str(error)
            self._failures[member.trial] = f"with seed {seed} {failure}"
        except InterruptedCleanlyError:
            raise self._stopped() from None
        else:
            accuracy = score.accuracy
            self._seconds[member.trial].append(score.seconds)
        seconds = time.monotonic() - start
        if not was_known:
            self._now.append(seconds)
        self._done += 1
        self.on_progress(
            Progress(
                done=self._done,
                runs=self._planned.runs,
                label=member.label,
                seed=seed,
                accuracy=accuracy,
                failure=failure,
                seconds=seconds,
                was_known=was_known,
                seconds_left=self._expected(self._planned.seeds) if self._now else None,
            )
        )

    def _stopped(self) -> InterruptedCleanlyError:
        done = f"{self._done} of {self._planned.runs} trainings are kept: the same command goes on"
        return InterruptedCleanlyError(f"stopped, and the test part was not looked at; {done}")

    def _score(self, seeds: Sequence[int]) -> list[Scored]:
        """What each network says of both parts. The look at the test part is written down before it begins."""
        sound = [one for one in self._planned.members if one.trial not in self._failures]
        new = [
            (one.trial, seed)
            for one in sound
            for seed in seeds
            if not has_outputs(self._training, one.arch, seed=seed, part="test")
        ]
        if new:
            self.reporter.doing("scoring the test part")
            note_look(
                "confirm",
                self.prepared.folders,
                trials=tuple(dict.fromkeys(trial for trial, _ in new)),
                seeds=tuple(sorted({seed for _, seed in new})),
                schedule=self._planned.schedule.name,
                images=self._training.data.count("test"),
            )
        scored = []
        for member in sound:
            try:
                scored.append(
                    Scored(
                        member=member,
                        seconds=tuple(self._seconds[member.trial]),
                        validation=self._outputs(member, seeds, "validation"),
                        test=self._outputs(member, seeds, "test"),
                    )
                )
            except TrainingError as error:
                self._failures[member.trial] = str(error)
        return scored

    def _outputs(self, member: Member, seeds: Sequence[int], part: ScoredPart) -> tuple[Outputs, ...]:
        stop = self.should_stop
        return tuple(outputs(self._training, member.arch, seed=seed, part=part, should_stop=stop) for seed in seeds)
