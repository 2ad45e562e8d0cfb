"""What every job begins with: the images, the space, how a candidate is trained and how it is timed."""

import os
from dataclasses import dataclass, fields, replace

import torch

from mvit_nas.arch.space import SearchSpace, fix_image_size, load_space, parse_space, shipped_spaces
from mvit_nas.cost.runtimes.registry import default_runtime, find_runtime
from mvit_nas.cost.runtimes.runtime import Runtime
from mvit_nas.cost.targets.registry import find_target
from mvit_nas.data.find import find_data
from mvit_nas.data.parts import ImageData
from mvit_nas.errors import DeviceError, InputError
from mvit_nas.evaluate.latency import LatencyMeter
from mvit_nas.evaluate.short import ShortTraining, training_threads
from mvit_nas.models.sources import read_source
from mvit_nas.nn.weights.inherit import Source
from mvit_nas.reporter import Reporter
from mvit_nas.settings.commands import AblateSettings, SearchSettings
from mvit_nas.settings.shared import Target, Training
from mvit_nas.training.schedule import NAMES, Schedule, find_schedule, parse_schedule

# What one latency may take, beside exporting it and warming up.
MEASURING_SECONDS = 8.0
# Shares to which the medians are measured: of many candidates far apart, and of a few that shall be told apart.
COARSE, FINE = 0.02, 0.01
# Images of up to this side get the space for small images.
_SMALL_SIDE = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a job works on. ``start`` says from which weights trainings start, "" where from their own."""

    space: SearchSpace
    training: ShortTraining
    meter: LatencyMeter
    start: str = ""

    @property
    def classes(self) -> int:
        """Number of classes of the data."""
        return self.training.classes

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of the data and of how candidates see it."""
        side = self.space.base.image_size
        trained = self.training.schedule.side(side)
        smaller = f"Networks for {side} px are trained and scored at {trained} px, where attention sees fewer tokens."
        own = (self.start, "" if trained == side else smaller)
        return (*self.training.data.notes, *filter(None, own))

    @property
    def scored_on(self) -> str:
        """What is done to images before candidates are scored on them, in one sentence."""
        contract = self.training.contract(self.training.schedule.side(self.space.base.image_size))
        several = any("image_size" in parameter.paths for parameter in self.space.parameters)
        return f"Scored on: {contract}" + "; other image sizes likewise at theirs" * several + "."


def find_images(data: str | None, *, test: bool = False, reporter: Reporter) -> ImageData:
    """The images of ``--data``. Says what they are, and whether the ``test`` part will be read."""
    images = find_data(data)
    reporter.say(f"data: {images.source}" + ", since no --data was given" * (data is None))
    counts = ", ".join(f"{images.count(part)} {part}" for part in ("train", "validation", "test"))
    reporter.say(f"      {len(images.classes)} classes, {counts} images{'' if test else '; the test part is not read'}")
    for note in images.notes:
        reporter.say(f"      {note}")
    return images


def find_space(
    asked: SearchSpace | str | None,
    images: ImageData,
    *,
    image_size: int | None,
    known: tuple[str | None, str] | None,
    reporter: Reporter,
) -> SearchSpace:
    """The space that is ``asked`` for, else by the size of the ``images``; at ``image_size`` where one is given.

    A study that was begun with the text of a shipped space goes on with that text, whatever is shipped now: ``known``
    are the name and the text of its space; of some old ones the name is not known.
    """
    name = str(asked or ("mobilevit_small" if images.median_side <= _SMALL_SIDE else "mobilevit"))
    if isinstance(asked, SearchSpace):
        found = asked
    elif asked is not None and "\n" in asked:
        same = next((one for one in shipped_spaces() if load_space(one).text == asked), "space")
        found = parse_space(asked, name=same, where="the space of --config")
    elif known is not None and known[0] in (None, name) and name in shipped_spaces():
        found = parse_space(known[1], name=name, where=f"the space {name} that the study was begun with")
    else:
        found = load_space(name)
    because = "" if asked else f", since the images are about {images.median_side} px"
    if image_size is not None:
        found = fix_image_size(found, image_size)
    elif asked is None and 48 <= images.median_side <= _SMALL_SIDE:
        found = fix_image_size(found, 64)
    reporter.say(f"space: {found.name}, {found.networks():,} networks at {found.base.image_size} px{because}")
    return found


def set_up(
    settings: SearchSettings | AblateSettings,
    images: ImageData,
    space: SearchSpace,
    *,
    known: Schedule | None,
    precision: float,
    reporter: Reporter,
) -> Setup:
    """What trains and what times the candidates of ``space``, each latency to ``precision``.

    ``known`` is the schedule of a study that was begun: it goes on with that where no other is asked for.
    """
    meter = make_meter(
        settings, runtime=settings.runtime, precision=precision, seconds=MEASURING_SECONDS, reporter=reporter
    )
    source = None if settings.init is None else read_source(settings.init, colours=settings.init_colours)
    training = make_training(settings, images, known=known, source=source, reporter=reporter)
    setup = Setup(space=space, training=training, meter=meter)
    for note in setup.notes[len(images.notes) :]:
        reporter.say(f"note:  {note}")
    return setup


def make_training(
    settings: Training,
    images: ImageData,
    *,
    known: Schedule | None = None,
    source: Source | None = None,
    reporter: Reporter,
) -> ShortTraining:
    """What trains on ``images`` as ``settings`` say, from ``source`` where there is one."""
    torch.set_num_threads(training_threads())
    schedule = schedule_for(settings, images, known)
    return ShortTraining(images, schedule, device=choose_device(settings.device), source=source, reporter=reporter)


def schedule_for(settings: Training, images: ImageData, known: Schedule | None = None) -> Schedule:
    """The schedule that ``settings`` name with the fields that they override; without mirroring where that is wrong.

    Where they name none, it is that of the study, if it is ``known``, else the one for the ``images``.
    """
    flags = {one.name for one in fields(settings)} - {"name", "seed"}
    overrides = [one.name for one in fields(Schedule) if one.name in flags]
    given = {name: value for name in overrides if (value := getattr(settings, name)) is not None}
    if settings.schedule is None and known is not None and replace(known, **given) == known:
        return known
    schedule = _named_schedule(settings.schedule or images.schedule)
    if given:
        said = {name.replace("_", " "): "" if value is True else f" {value}" for name, value in given.items()}
        words = ", ".join(name + value for name, value in said.items())
        schedule = replace(schedule, **given, name=f"{schedule.name} ({words})")
    return schedule if images.flips else replace(schedule, augmentation="crop")


def _named_schedule(asked: str) -> Schedule:
    """The schedule of that name, in that file, or of that text, by which it has the name of the shipped one it is."""
    if "\n" not in asked:
        return find_schedule(asked)
    written = parse_schedule(asked, name="schedule", where="the schedule of --config")
    for name in NAMES:
        if replace(find_schedule(name), name=written.name, augmentation=written.augmentation) == written:
            return replace(written, name=name)
    return written


def runtime_for(settings: Target, runtime: str) -> Runtime:
    """The ``runtime`` of that name, else LiteRT for a phone, else what is installed here."""
    if runtime:
        return find_runtime(runtime)
    return find_runtime("litert") if settings.target.startswith("adb") else default_runtime()


def make_meter(
    settings: Target,
    *,
    runtime: str,
    precision: float,
    seconds: float,
    int8: bool = False,
    reporter: Reporter,
) -> LatencyMeter:
    """What measures latency by ``runtime`` on the target, each to ``precision``. Raises InputError and DeviceError."""
    target = find_target(settings.target, adb_benchmark=settings.adb_benchmark)
    return LatencyMeter(
        runtime_for(settings, runtime),
        target,
        threads=settings.threads,
        precision=precision,
        seconds=seconds,
        int8=int8,
        say=reporter.doing,
    )


def choose_device(name: str) -> torch.device:
    """The training device for "auto", "cpu", "cuda" or "cuda:1". Raises DeviceError where it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"--device {name!r} is no device: use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"--device {name!r} is not supported: use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}: this torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def gpus_of(device: torch.device) -> tuple[str, ...]:
    """The GPUs that trainings on ``device`` may use, as CUDA_VISIBLE_DEVICES names them; none on a processor."""
    if device.type != "cuda":
        return ()
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    names = named or [str(number) for number in range(torch.cuda.device_count())]
    return tuple(names if device.index is None else names[device.index : device.index + 1])


def further_meters(settings: SearchSettings, reporter: Reporter) -> dict[str, LatencyMeter]:
    """What measures the front, by runtime. Raises InputError and DeviceError for what is not there."""
    found = {}
    for text in settings.measure_front:
        runtime, at, target = text.partition("@")
        if runtime == settings.runtime:
            raise InputError(f"--measure-front {text}: every candidate is timed on {runtime} already")
        where = replace(settings, target=target) if at else settings
        found[runtime] = make_meter(
            where, runtime=runtime, precision=FINE, seconds=MEASURING_SECONDS, reporter=reporter
        )
        for doubt in found[runtime].machine.doubts:
            reporter.say(f"note: {found[runtime].target.name}: {doubt}")
    return found
