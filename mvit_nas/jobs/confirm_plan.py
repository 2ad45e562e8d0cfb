"""What a confirmation trains: networks, seeds and a schedule that fit into the time, decided before it starts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.rules import Plain
from mvit_nas.documents import read_json
from mvit_nas.errors import InputError
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.files import write_text
from mvit_nas.jobs.estimate import StepCost, scoring_seconds, training_seconds, try_step
from mvit_nas.settings.commands import ConfirmSettings
from mvit_nas.study.record import Record
from mvit_nas.training.schedule import Schedule
from mvit_nas.units import format_seconds

_FILE = "confirm.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A network of the search that is to be confirmed."""

    record: Record
    arch: ArchConfig
    trial: int

    @property
    def label(self) -> str:
        """What people call it."""
        return self.record.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What is trained: ``known`` of the runs are in the cache, the others take about ``seconds``.

    ``asked`` is what it was planned from, ``notes`` say what was shortened and left out.
    """

    members: tuple[Member, ...]
    seeds: tuple[int, ...]
    schedule: Schedule
    known: int
    seconds: float
    memory_gib: float
    notes: tuple[str, ...]
    asked: Mapping[str, Plain]

    @property
    def runs(self) -> int:
        """Trainings in all."""
        return len(self.members) * len(self.seeds)

    def keep(self, folder: Path) -> None:
        """Write into ``folder`` what was decided: measured anew it could be another schedule, and nothing be known."""
        decided = {"epochs": self.schedule.epochs, "trials": [one.trial for one in self.members]}
        document = {"asked": self.asked, **decided, "notes": list(self.notes)}
        try:
            write_text(folder / _FILE, json.dumps(document, indent=1) + "\n")
        except OSError as error:
            raise InputError(f"cannot write {folder / _FILE} ({error.strerror}): choose another --out") from None


def make_plan(
    members: Sequence[Member],
    settings: ConfirmSettings,
    training: ShortTraining,
    *,
    searched: Schedule | None,
    folder: Path,
) -> Planned:
    """All of ``members`` by the schedule of ``training``, or what of that fits into the time.

    The schedule is shortened first, for all alike, but not below the images that the search trained on, by the schedule
    ``searched``; then networks are left out from the end. A plan that was kept in ``folder`` for the same question
    stands. Raises InputError where not even one network fits.
    """
    asked: dict[str, Plain] = {
        "trials": [one.trial for one in members],
        "seeds": list(settings.seeds),
        "schedule": training.schedule.to_dict(),
        "timeout": settings.timeout_seconds,
    }
    work = _Work(training=training, seeds=settings.seeds, steps={})
    kept = _kept(folder, asked)
    if kept is not None:
        epochs, trials, notes = kept
        schedule = replace(training.schedule, epochs=epochs)
        return work.planned([one for one in members if one.trial in trials], schedule, notes, asked)
    return work.planned(*_fitted(members, settings, training, work, searched), asked)


def _fitted(
    members: Sequence[Member],
    settings: ConfirmSettings,
    training: ShortTraining,
    work: "_Work",
    searched: Schedule | None,
) -> tuple[list[Member], Schedule, tuple[str, ...]]:
    schedule, time = training.schedule, settings.timeout_seconds
    least = _least_epochs(schedule, searched, images=training.data.count("train"))
    shorter = (replace(schedule, epochs=epochs) for epochs in range(schedule.epochs, least - 1, -1))
    fitting = next((one for one in shorter if work.seconds(members, one) <= time), None)
    fitted = fitting or replace(schedule, epochs=least)
    left = list(members)
    while work.seconds(left, fitted) > time:
        if len(left) == 1:
            seconds = work.seconds(left, fitted)
            raise InputError(
                f"--timeout {format_seconds(time)}: one network takes about {format_seconds(seconds)} with "
                f"{len(settings.seeds)} seeds by the shortest schedule: give more time or fewer --seeds"
            )
        left.pop()
    notes = []
    fits = f"to fit into {format_seconds(time)}"
    if fitted != schedule:
        notes.append(f"The schedule was shortened from {schedule.epochs} to {fitted.epochs} epochs, {fits}.")
    if len(left) < len(members):
        labels = ", ".join(one.label for one in members[len(left) :])
        notes.append(f"Left out, {fits}: {labels}.")
    return left, fitted, tuple(notes)


def _least_epochs(schedule: Schedule, searched: Schedule | None, *, images: int) -> int:
    """Epochs of ``schedule`` that see at least the images that the search's trainings saw, but no more than it has."""
    if searched is None:
        return 1
    wanted = searched.steps(images) * searched.batch_size
    each = schedule.steps_per_epoch(images) * schedule.batch_size
    return min(schedule.epochs, -(-wanted // each))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What trainings take, from one real step of each network, which is tried once it is asked for."""

    training: ShortTraining
    seeds: tuple[int, ...]
    steps: dict[int, StepCost]

    def planned(
        self, members: Sequence[Member], schedule: Schedule, notes: tuple[str, ...], asked: Mapping[str, Plain]
    ) -> Planned:
        """The plan of these."""
        seconds = self.seconds(members, schedule)
        new = sum(self._new(member, schedule) for member in members)
        return Planned(
            members=tuple(members),
            seeds=self.seeds,
            schedule=schedule,
            known=len(members) * len(self.seeds) - new,
            seconds=seconds,
            memory_gib=max((one.peak_gib for one in self.steps.values()), default=0.0),
            notes=notes,
            asked=asked,
        )

    def seconds(self, members: Sequence[Member], schedule: Schedule) -> float:
        """Of all their trainings that are not known."""
        return sum(self._seconds(member, schedule) for member in members)

    def _seconds(self, member: Member, schedule: Schedule) -> float:
        new = self._new(member, schedule)
        if not new:
            return 0.0
        if member.trial not in self.steps:
            self.steps[member.trial] = try_step(self.training, member.arch)
        step, training = self.steps[member.trial].step_seconds, self.training.with_schedule(schedule)
        return new * (training_seconds(training, step) + scoring_seconds(training, step, "test"))

    def _new(self, member: Member, schedule: Schedule) -> int:
        training = self.training.with_schedule(schedule)
        return sum(not training.is_kept(member.arch, seed=seed) for seed in self.seeds)


def _kept(folder: Path, asked: Mapping[str, Plain]) -> tuple[int, list[int], tuple[str, ...]] | None:
    """Epochs, trials and notes of the plan in ``folder``; None where it has none that was ``asked`` for."""
    try:
        document = read_json(folder / _FILE)
        if document["asked"] != json.loads(json.dumps(asked)):
            return None
        return int(document["epochs"]), list(document["trials"]), tuple(document["notes"])
    except (InputError, ValueError, KeyError, TypeError):
        return None


def plan_lines(planned: Planned) -> Iterator[str]:
    """The plan as a person reads it before it starts."""
    schedule = planned.schedule
    names = ", ".join(f"{one.label} (trial {one.trial})" for one in planned.members)
    yield f"networks: {names}"
    yield (
        f"runs:     {len(planned.members)} x {len(planned.seeds)} seeds = {planned.runs}, "
        f"{planned.known} of them known; schedule {schedule.name}, {schedule.epochs} epochs"
    )
    yield from (f"note:     {note}" for note in planned.notes)
    yield f"estimate: {format_seconds(planned.seconds)}"
