"""``mvit-nas reproduce``: a trial trained again from its record, outside the cache: whether its number came back."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from mvit_nas.ablation.plan import schedule_with
from mvit_nas.arch.config import ArchConfig
from mvit_nas.errors import DeviceError, InputError
from mvit_nas.evaluate.short import ShortTraining, training_threads, values_of
from mvit_nas.jobs.begun import study_images, study_source
from mvit_nas.jobs.folders import folders_of
from mvit_nas.jobs.named_networks import find_record
from mvit_nas.jobs.provenance import here, seed_spread
from mvit_nas.jobs.setup import choose_device
from mvit_nas.maths.statistics import farthest_apart
from mvit_nas.metrics import ACCURACY, SCORES
from mvit_nas.reporter import Reporter
from mvit_nas.settings.shipping import ReproduceSettings
from mvit_nas.study.origin import AblationOrigin, Origin, SearchOrigin, SeedSpread
from mvit_nas.study.record import Record
from mvit_nas.training.schedule import Schedule, schedule_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """What decides the numbers of a training beside its record and is not as it was: ``what`` in words."""

    what: str
    then: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The scores of a trial as shares, by the name of the metric: ``then`` in its table, ``now`` trained again.

    ``spread`` is how far accuracies of one network differ from seed to seed, None where that is not known.
    """

    trial: str
    network: str
    seed: int
    schedule: str
    then: dict[str, float]
    now: dict[str, float]
    differing: tuple[Differing, ...]
    spread: SeedSpread | None
    seconds: float

    @property
    def is_equal(self) -> bool:
        """Whether every score came back to the last digit."""
        return self.then == self.now

    @property
    def difference(self) -> float:
        """The accuracy now minus that of the record."""
        return self.now[ACCURACY.name] - self.then[ACCURACY.name]

    @property
    def farthest(self) -> float | None:
        """How far apart the accuracies of two seeds lie at most, in 95 % of the cases; None where not known."""
        return None if self.spread is None else farthest_apart(self.spread.deviation, freedom=self.spread.freedom)

    @property
    def is_explained(self) -> bool:
        """Whether it came back, or something differs and the accuracy moved no more than another seed moves it."""
        within = self.farthest is not None and abs(self.difference) <= self.farthest
        return self.is_equal or bool(self.differing and within)


def reproduce(settings: ReproduceSettings, *, reporter: Reporter, should_stop: Callable[[], bool]) -> Outcome:
    """Train the trial again and compare. Raises InputError for a trial that its record alone does not decide."""
    name, _, _ = settings.trial.rpartition(":")
    record, origin = find_record(settings.trial, settings.out)
    arch, seed, then = _recorded(record, settings.trial)
    folders = folders_of(name, settings.out)
    images = study_images(origin, folders, settings.data)
    source = study_source(origin, folders, settings)
    schedule, device = _schedule(record, origin), _device(settings.device, origin)
    torch.set_num_threads(training_threads())
    training = ShortTraining(images, schedule, device=device, source=source, reporter=reporter)
    differing = tuple(_differing(origin, here(device)))
    for one in differing:
        reporter.say(f"differs: {one.what}: {one.then} then, {one.now} now")
    reporter.doing(f"training {record.label} with seed {seed} by the {schedule.name} schedule")
    with tempfile.TemporaryDirectory(prefix="mvit-nas-") as folder:
        score, _ = training.outside(Path(folder)).score(arch, seed=seed, should_stop=should_stop)
    now = {key: one.value for key, one in values_of(score).items() if key in then}
    known = origin.seed_spread if isinstance(origin, SearchOrigin) else None
    return Outcome(
        trial=settings.trial,
        network=record.label,
        seed=seed,
        schedule=schedule.name,
        then=then,
        now=now,
        differing=differing,
        spread=known or seed_spread(training),
        seconds=score.seconds,
    )


def _recorded(record: Record, trial: str) -> tuple[ArchConfig, int, dict[str, float]]:
    """Network, seed and scores of the trial. Raises InputError where the record does not decide its training."""
    if not record.is_complete or not record.has(ACCURACY):
        why = f": {record.reason}" if record.reason else ""
        raise InputError(f"{trial} has no accuracy to compare with, it is {record.state.replace('_', ' ')}{why}")
    if record.inherited_from is not None:
        raise InputError(
            f"{trial} started from the weights of trial {record.inherited_from} (--inherit), so that its record alone "
            "does not decide it"
        )
    if record.candidate.arch is None or record.seed is None:
        raise InputError(f"{trial} says no network or no seed that can be read: an early version wrote it")
    scores = dict(record.by_seed[0].values) if record.by_seed else {}
    values = {metric.name: record.value(metric) for metric in SCORES}
    return record.candidate.arch, record.seed, scores or {key: one for key, one in values.items() if one is not None}


def _schedule(record: Record, origin: Origin) -> Schedule:
    """The schedule of the trial, in an ablation with its own choices of the training."""
    told = origin.experiment.schedule
    plain = {key: value for key, value in told.document.items() if key != "name"}
    schedule = schedule_of(plain, name=told.name, where=f"the schedule of {origin.study}")
    return schedule_with(schedule, record.candidate.labels) if isinstance(origin, AblationOrigin) else schedule


def _device(asked: str, origin: Origin) -> torch.device:
    """The device that is ``asked`` for, else the trial's, else what is here."""
    if asked:
        return choose_device(asked)
    try:
        return choose_device(origin.device or "auto")
    except DeviceError:
        return choose_device("auto")


def _differing(origin: Origin, now: dict[str, str | None]) -> Iterator[Differing]:
    """What is not as it was, of what the study says."""
    hardware = origin.hardware
    then = {
        "mvit-nas": origin.version,
        "commit": origin.commit,
        **{name: origin.packages.get(name) for name in now if name in origin.packages},
        "processor": hardware.processor,
        "threads": None if hardware.cores is None else str(hardware.cores),
        "device": origin.device.partition(":")[0] or None,
        "GPU": hardware.gpu if origin.device.startswith("cuda") else None,
    }
    for what, before in then.items():
        if before is not None and before != now[what]:
            yield Differing(what=what, then=before, now=now[what] or "none")
