"""``mvit-nas latency``: chosen networks on chosen runtimes, side by side."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mvit_nas.arch.paths import with_values
from mvit_nas.artifacts.checked import artefact_of
from mvit_nas.cost.latency import ratio_interval
from mvit_nas.cost.probe import STAGES
from mvit_nas.cost.runtimes.registry import RUNTIMES, find_runtime
from mvit_nas.cost.runtimes.runtime import Runtime
from mvit_nas.cost.targets.machine import Machine
from mvit_nas.errors import DeviceError, InputError, InterruptedCleanlyError, MvitNasError, PartialError
from mvit_nas.evaluate.latency import LatencyMeter, Measured
from mvit_nas.jobs.int8 import Trainer
from mvit_nas.jobs.named_networks import Choice, find_choices
from mvit_nas.jobs.provenance import conditions
from mvit_nas.jobs.setup import make_meter, runtime_for
from mvit_nas.reporter import Reporter
from mvit_nas.settings.commands import LatencySettings
from mvit_nas.study.origin import Conditions

# What is measured: an architecture with a classifier for its classes, or the artefact in a file.
Subject = Choice | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One network on one runtime. ``measured`` is None where ``error`` says why it is not.

    ``runtime`` and ``target`` are what people type, ``machine`` and ``conditions`` what the number hangs on,
    ``accuracy`` that of the artefact on the validation images where int8 was asked for, ``stages`` milliseconds by
    stage where they were.
    """

    model: str
    runtime: str
    int8: bool
    target: str
    machine: Machine | None
    conditions: Conditions | None
    measured: Measured | None
    accuracy: float | None
    stages: dict[str, float] | None
    error: MvitNasError | None

    @property
    def name(self) -> str:
        """The network, and that it is in integers."""
        return self.model + " int8" * self.int8


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How many times as long as ``other`` the ``one`` takes on a runtime, with the 95 % interval of that ratio.

    ``neighbours``: no third network lies between them.
    """

    runtime: str
    one: str
    other: str
    neighbours: bool
    ratio: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """ "A is faster than B" only where the interval says so."""
        if self.high < 1:
            return f"{self.one} is faster than {self.other}"
        if self.low > 1:
            return f"{self.other} is faster than {self.one}"
        return f"{self.one} and {self.other} cannot be told apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All measurements, and the verdicts between each two of the same runtime, the faster first."""

    measurements: tuple[Measurement, ...]
    verdicts: tuple[Verdict, ...]
    error: MvitNasError | None


def measure(settings: LatencySettings, *, reporter: Reporter, should_stop: Callable[[], bool]) -> Outcome:
    """Measure every choice on every runtime. One that cannot be measured does not keep the others from it.

    Raises InputError and DeviceError before the first measurement, and the first error where none could be made.
    """
    subjects = _subjects(settings)
    meters = _meters(settings, subjects, reporter=reporter)
    trainer = Trainer(settings, reporter=reporter, stop=should_stop) if settings.int8 else None
    found: list[Measurement] = []
    stopped = ""
    for subject, meter in itertools.product(subjects, meters):
        if isinstance(subject, Path) and (subject.suffix != meter.runtime.suffix or meter.int8):
            continue  # a file is in integers already, or is not
        if should_stop():
            stopped = "stopped between two measurements; "
            break
        what = f"{subject.name} on {meter.runtime.title}{' int8' * meter.int8}"
        reporter.doing(f"measuring {what}")
        found.append(_measure(subject, meter, trainer, settings))
        if isinstance(found[-1].error, DeviceError):
            stopped = "the others were not tried; "
            break
    failed = [one for one in found if one.error is not None]
    if failed and len(failed) == len(found):
        raise failed[0].error or AssertionError
    error = None
    if failed or stopped:
        reasons = "; ".join(f"{one.model} on {one.runtime}: {one.error}" for one in failed)
        error = PartialError(f"{stopped}{len(found) - len(failed)} measurements are kept. {reasons}".strip())
    return Outcome(measurements=tuple(found), verdicts=tuple(_verdicts(found)), error=error)


def _subjects(settings: LatencySettings) -> list[Subject]:
    suffixes = {runtime.suffix for runtime in RUNTIMES.values() if runtime.shape is not None}
    side = settings.image_size
    found: dict[object, Subject] = {}  # each once
    for text in settings.choices:
        path = Path(text)
        if path.suffix in suffixes:
            if not path.is_file():
                raise InputError(f"{text}: there is no such file")
            found[path] = path
            continue
        for choice in find_choices(text, settings.out, where="CHOICE"):
            arch = choice.arch if side is None else with_values(choice.arch, {"image_size": side})
            found[choice.name, arch] = replace(choice, arch=arch)
    return list(found.values())


def _meters(settings: LatencySettings, subjects: list[Subject], *, reporter: Reporter) -> list[LatencyMeter]:
    """One for each runtime that was named, or that a file needs; and one for its int8 where that was asked for."""
    names = list(settings.runtimes)
    files = [subject for subject in subjects if isinstance(subject, Path)]
    if not names:
        names += [runtime_for(settings, "").name] * (len(files) < len(subjects))
        names += [runtime.name for runtime in RUNTIMES.values() if any(f.suffix == runtime.suffix for f in files)]
    for name in names:
        find_runtime(name)
        if settings.by_stage and (name not in STAGES or settings.target.startswith("adb")):
            raise InputError(f"--by-stage: only {' and '.join(STAGES)} tell stages apart, on a host or over ssh")
    meters = []
    for name in dict.fromkeys(names):
        for int8 in (False, True) if settings.int8 else (False,):
            precision, seconds = settings.precision, settings.seconds
            meter = make_meter(
                settings, runtime=name, precision=precision, seconds=seconds, int8=int8, reporter=reporter
            )
            if not int8 or meter.runtime.quantise:
                meters.append(meter)
            else:
                reporter.say(f"{meter.runtime.title} has no int8 here")
    # A device that is not there is said before anything is exported.
    for doubt in dict.fromkeys(doubt for meter in meters for doubt in meter.machine.doubts):
        reporter.say(f"note: {settings.target}: {doubt}")
    unused = [file for file in files if all(file.suffix != meter.runtime.suffix for meter in meters)]
    if unused:
        raise InputError(f"{unused[0]}: no runtime of {', '.join(names)} executes a {unused[0].suffix} file")
    return meters


def _measure(subject: Subject, meter: LatencyMeter, trainer: Trainer | None, settings: LatencySettings) -> Measurement:
    measured, stages, accuracy, error = None, None, None, None
    try:
        if isinstance(subject, Path):
            shape = _shape(meter.runtime, subject, settings.image_size)
            measured = meter.measure(artefact_of(meter.runtime, subject), subject, shape=shape)
        elif trainer is not None:
            measured, accuracy = trainer.trained(subject.name, subject.arch).measure(meter)
        else:
            measured = meter.latency(subject.arch, classes=subject.classes)
        if settings.by_stage and isinstance(subject, Choice):
            stages = meter.stages(subject.arch, classes=subject.classes)
    except InterruptedCleanlyError:
        raise
    except MvitNasError as raised:
        error = raised
    return Measurement(
        model=subject.name,
        runtime=meter.runtime.name,
        int8=meter.int8,
        target=meter.target.name,
        accuracy=accuracy,
        machine=None if measured is None else meter.machine,
        conditions=None if measured is None else conditions(meter),
        measured=measured,
        stages=stages,
        error=error,
    )


def _shape(runtime: Runtime, file: Path, asked: int | None) -> tuple[int, ...]:
    """That of one image for ``file``, which may take any number at once. InputError where its side is not ``asked``."""
    assert runtime.shape is not None, "only files whose shape can be read are subjects"
    shape = runtime.shape(file)
    side = shape[2] if len(shape) == 4 else 0
    if side < 1 or shape[0] not in (0, 1) or shape[1:] not in ((3, side, side), (side, side, 3)):
        wanted = "[1, 3, side, side] and [1, side, side, 3]"
        raise InputError(f"{file}: takes images of the shape {list(shape)}; only {wanted} are measured")
    if asked not in (None, side):
        raise InputError(
            f"{file}: takes images of {side} px, and --image-size is {asked}: export it anew, or leave that out"
        )
    return (1, *shape[1:])


def _verdicts(found: list[Measurement]) -> Iterator[Verdict]:
    measured = [(one, one.measured.latency) for one in found if one.measured is not None]
    for runtime in dict.fromkeys(one.runtime for one, _ in measured):
        ordered = sorted((pair for pair in measured if pair[0].runtime == runtime), key=lambda pair: pair[1].median_ms)
        for (i, (one, faster)), (j, (other, slower)) in itertools.combinations(enumerate(ordered), 2):
            if one.int8 == other.int8 or one.model == other.model:
                low, ratio, high = ratio_interval(faster, slower)
                yield Verdict(
                    runtime=runtime,
                    one=one.name,
                    other=other.name,
                    neighbours=j == i + 1,
                    ratio=ratio,
                    low=low,
                    high=high,
                )
