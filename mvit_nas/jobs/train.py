"""``mvit-nas train``: a chosen network trained in full, kept as a model folder. The loop is that of a search."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import nn

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.rules import Plain
from mvit_nas.arch.space import adapt_preset
from mvit_nas.data.parts import ImageData
from mvit_nas.documents import read_json
from mvit_nas.errors import InputError, InterruptedCleanlyError, PartialError
from mvit_nas.evaluate.confirm import Outputs, outputs_of
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.files import claimed, write_text
from mvit_nas.jobs.estimate import training_seconds, try_step
from mvit_nas.jobs.folders import Folders, folders_of, note_look
from mvit_nas.jobs.named_networks import Choice, find_choice
from mvit_nas.jobs.setup import choose_device, find_images, find_space, make_training
from mvit_nas.jobs.training_log import TrainingLog
from mvit_nas.maths.calibration import fitted_temperature
from mvit_nas.maths.share import Accuracy
from mvit_nas.metrics import ACCURACY
from mvit_nas.models.document import ModelDocument
from mvit_nas.models.folder import CONFIG, Model, write_model
from mvit_nas.models.samples import some_photos
from mvit_nas.models.sources import read_source
from mvit_nas.nn.backbone import build
from mvit_nas.nn.weights.inherit import from_other_heads, initialised
from mvit_nas.reporter import Reporter
from mvit_nas.results.page import counted
from mvit_nas.settings.commands import SearchSettings
from mvit_nas.settings.parse import check_name
from mvit_nas.settings.study_file import read_config
from mvit_nas.settings.train import TrainSettings
from mvit_nas.study.record import Measured, Rung
from mvit_nas.training.checkpoint import Checkpoint
from mvit_nas.training.loop import Score, fit
from mvit_nas.training.speed import Speed
from mvit_nas.training.workers import Workers, joined

# A tried step in bf16 must be so many times as fast on a processor.
_WORTH_BF16 = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A trained network: its folder, its scores, the ``seconds`` of its training. ``test`` is None unless asked for."""

    name: str
    folder: Path
    arch_id: str
    schedule: str
    epochs: int
    validation: Measured
    test: Measured | None
    temperature: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """What ``train`` would do."""

    name: str
    arch_id: str
    schedule: str
    steps: int
    hours: float
    memory_gib: float
    bf16: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that is known before the first step. ``study`` is where the choice is from, with its trial."""

    settings: TrainSettings
    name: str
    arch: ArchConfig
    training: ShortTraining
    study: tuple[Folders, int] | None
    speed: Speed

    @property
    def folder(self) -> Path:
        """The model's folder."""
        return self.settings.out / "models" / self.name

    @property
    def state(self) -> Path:
        """Where the state of the training is kept while it runs, and its table afterwards."""
        return self.folder / "training"

    @property
    def side(self) -> int:
        """At which the network is trained and scored."""
        return self.training.schedule.side(self.arch.image_size)


def prepare(settings: TrainSettings, *, reporter: Reporter) -> Prepared:
    """Find the network, the images and the schedule. Says what it chose."""
    choice = find_choice(settings.choice, settings.out, where="CHOICE")
    out = settings.out if choice.model is None else choice.model.resolve().parent.parent
    folders = None if choice.trial is None else folders_of(choice.trial[0], out)
    images = find_images(settings.data or _data_of(folders), test=settings.test, reporter=reporter)
    arch = _arch(choice, settings, images, reporter)
    schedule = settings.schedule or ("digits_medium" if images.schedule == "digits" else "long")
    source = None if settings.init is None else read_source(settings.init, colours=settings.init_colours)
    training = make_training(replace(settings, schedule=schedule), images, source=source, reporter=reporter)
    if settings.compile and training.device.type != "cuda":
        raise InputError("--compile is for CUDA: on a processor compiling takes a minute and saves 3 %")
    of_study = choice.trial is not None and choice.model is None
    chosen = "-".join(map(str, choice.trial or ())) if of_study else choice.name
    # With the schedule, since confirm keeps its models by the choice alone.
    name = settings.name or check_name(f"{chosen}-{Path(schedule).stem}")
    return Prepared(
        settings=settings,
        name=name,
        arch=arch,
        training=training,
        study=None if folders is None or choice.trial is None else (folders, choice.trial[1]),
        speed=_speed(settings, training, arch, reporter),
    )


def _data_of(folders: Folders | None) -> str | None:
    """The images that the study in ``folders`` was searched on, as its file has them."""
    if folders is None or not folders.settings.exists():
        return None
    asked = read_config(folders.settings, SearchSettings).get("data")
    return None if asked is None else str(asked)


def _arch(choice: Choice, settings: TrainSettings, images: ImageData, reporter: Reporter) -> ArchConfig:
    """The network of the choice; a preset as a search on these images would try it."""
    arch = choice.arch
    if choice.name in PRESETS and arch == PRESETS[choice.name]:
        space = find_space(None, images, image_size=settings.image_size, known=None, reporter=reporter)
        return adapt_preset(arch, space) or arch
    return arch if settings.image_size is None else with_values(arch, {"image_size": settings.image_size})


def _speed(settings: TrainSettings, training: ShortTraining, arch: ArchConfig, reporter: Reporter) -> Speed:
    """How its steps are computed."""
    usual = replace(Speed.usual(training.device), compiled=settings.compile)
    if settings.precision != "auto":
        return replace(usual, bf16=settings.precision == "bf16")
    if training.device.type != "cpu" or not _has_amx():
        return usual
    reporter.doing("trying a training step in bfloat16")
    fast = replace(usual, bf16=True)
    gain = try_step(training, arch).step_seconds / try_step(training, arch, speed=fast).step_seconds
    reporter.say(f"bf16:     a tried step is {gain:.2g} times as fast, {_WORTH_BF16} are needed")
    return fast if gain >= _WORTH_BF16 else usual


def _has_amx() -> bool:
    """Whether the processor multiplies matrices of bfloat16 by itself."""
    try:
        return bool(torch.cpu._is_amx_tile_supported())
    except (AttributeError, RuntimeError):
        return False


def plan(settings: TrainSettings, *, reporter: Reporter) -> TrainPlan:
    """What ``train`` would do and take, by a real training step."""
    prepared = prepare(settings, reporter=reporter)
    training, tried = prepared.training, try_step(prepared.training, prepared.arch, speed=prepared.speed)
    return TrainPlan(
        name=prepared.name,
        arch_id=arch_id(prepared.arch),
        schedule=training.schedule.name,
        steps=training.schedule.steps(training.data.count("train")),
        hours=training_seconds(training, tried.step_seconds) / 3600,
        memory_gib=tried.peak_gib,
        bf16=prepared.speed.bf16,
    )


def train(settings: TrainSettings, *, reporter: Reporter, should_stop: Callable[[], bool]) -> Outcome | None:
    """Train, score and keep the network. Of several processes the first writes; the others return None.

    Stopped, or killed, it goes on with ``resume`` as if it had not been.
    """
    workers, device = joined(choose_device(settings.device))
    reporter = reporter if workers.is_first else Reporter()
    prepared = prepare(settings, reporter=reporter)
    prepared.training.device = device
    if not workers.is_first:
        _trained(prepared, reporter=reporter, should_stop=should_stop, workers=workers)
        return None
    if (prepared.folder / CONFIG).exists():
        is_done = "is trained to the end, and nothing is left to go on with" if settings.resume else "holds a model"
        raise InputError(f"{prepared.folder} {is_done}: use another --name, or remove it")
    with claimed(prepared.state):
        _begin(prepared)
        start = time.monotonic()
        model, score = _trained(prepared, reporter=reporter, should_stop=should_stop, workers=workers)
        reporter.doing("scoring")
        outcome = _keep(prepared, model, score, should_stop=should_stop)
        (prepared.state / "state.pt").unlink(missing_ok=True)
        reporter.say(f"took {time.monotonic() - start:.0f} s in this run, {score.seconds:.0f} s of training in all")
        return outcome


def _begin(prepared: Prepared) -> None:
    """Refuse to go on with another training, or to begin where one was begun."""
    path, training = prepared.state / "begun.json", prepared.training
    now: dict[str, Plain] = {
        "network": arch_id(prepared.arch),
        "schedule": training.schedule.to_dict(),
        "seed": prepared.settings.seed,
        "init": None if training.source is None else training.source.digest,
        "data": training.data.fingerprint,
        "classes": list(training.data.classes),
    }
    if path.exists() and not prepared.settings.resume:
        raise InputError(f"a training of {prepared.name} was begun: go on with --resume, or use another --name")
    if prepared.settings.resume:
        try:
            before = read_json(path)
        except InputError as error:
            raise InputError(f"no training of {prepared.name} to go on with: {error}") from None
        if not isinstance(before, dict):
            raise InputError(f"no training of {prepared.name} to go on with: {path} must hold one mapping")
        if differ := [key for key, value in now.items() if before.get(key) != json.loads(json.dumps(value))]:
            raise InputError(
                f"the training of {prepared.name} was begun with another {' and another '.join(differ)}: "
                "use another --name"
            )
    try:
        write_text(path, json.dumps(now, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"cannot write to {prepared.state}: {error.strerror}") from None


def _trained(
    prepared: Prepared, *, reporter: Reporter, should_stop: Callable[[], bool], workers: Workers
) -> tuple[nn.Module, Score]:
    training, schedule, side = prepared.training, prepared.training.schedule, prepared.side
    model = build(prepared.arch, classes=training.classes, seed=prepared.settings.seed)
    if training.source is not None:
        state, taken = initialised(
            model.state_dict(), training.source, training.data.classes, partial=prepared.settings.partial
        )
        model.load_state_dict(state)
        reporter.say(f"start: {training.source.name} ({training.source.digest}): {taken}")
        for which, names in (("whole", taken.whole), ("in part", taken.part), ("drawn anew", taken.anew)):
            reporter.say(f"  {which}: {', '.join(names) or 'none'}")
        if others := from_other_heads(prepared.arch, training.source):
            reporter.say(f"  from another number of heads: {counted(others, 'attention layer')}")
    train, validation = training.train_part(side), training.scored_part("validation", side)
    log = TrainingLog(prepared.state, prepared.settings, reporter=reporter, epochs=schedule.epochs)
    unwritten: list[bool] = []

    def failed() -> None:
        if not unwritten:
            reporter.say(f"cannot keep the state in {prepared.state}: make room; the training goes on")
        unwritten.append(True)

    def told(rungs: tuple[Rung, ...]) -> bool:
        if workers.is_first:
            log.write(rungs)
        return False

    checkpoint = Checkpoint(prepared.state / "state.pt", every_seconds=prepared.settings.keep_every, on_failure=failed)
    try:
        score = fit(
            model,
            train,
            validation,
            schedule,
            task=training.task,
            side=side,
            seed=prepared.settings.seed,
            device=training.device,
            should_stop=should_stop,
            at_rung=told,
            rungs=range(1, schedule.epochs + 1),
            checkpoint=checkpoint,
            on_step=training.reporting(len(train.labels_N), side),
            workers=workers,
            speed=prepared.speed,
        )
    except InterruptedCleanlyError:
        if unwritten:
            raise PartialError(f"stopped, and the state could not be kept in {prepared.state}: make room") from None
        raise InterruptedCleanlyError("stopped; the same command with --resume goes on") from None
    assert isinstance(score, Score), "nothing stops it"
    return model, score


def _keep(prepared: Prepared, model: nn.Module, score: Score, *, should_stop: Callable[[], bool]) -> Outcome:
    """Write the model folder, and say how well it does."""
    training, settings, side = prepared.training, prepared.settings, prepared.side
    validation = outputs_of(model, training, part="validation", side=side, should_stop=should_stop)
    temperature = fitted_temperature(validation.logits_NK, validation.labels_N)
    test = None
    if settings.test:
        if prepared.study is not None:
            folders, trial = prepared.study
            images = training.data.count("test")
            by = training.schedule.name
            note_look("train", folders, trials=(trial,), seeds=(settings.seed,), schedule=by, images=images)
        test = _measured(outputs_of(model, training, part="test", side=side, should_stop=should_stop), training)
    shown = _measured(validation, training)
    facts = [f"{ACCURACY.format(shown.value)} of {training.data.count('validation'):,} validation images are right."]
    if test is not None:
        facts = [_words(test, training.data.count("test")), *facts]
    epochs, images, by = training.schedule.epochs, training.data.count("train"), training.schedule.name
    facts.append(f"Trained for {epochs} epochs on {images:,} images by the schedule {by}.")
    contract = training.contract(side)
    document = ModelDocument(
        arch=prepared.arch,
        classes=training.data.classes,
        contract=contract,
        temperature=temperature,
        provenance={
            "study": prepared.study[0].name if prepared.study else None,
            "trial": prepared.study[1] if prepared.study else None,
            "arch_id": arch_id(prepared.arch),
            "schedule": training.schedule.to_dict(),
            "seed": settings.seed,
            "validation_accuracy": shown.value,
            "test_accuracy": None if test is None else test.value,
            "init": None if training.source is None else f"{training.source.name} ({training.source.digest})",
            "data": training.data.fingerprint,
            "losses": list(score.losses),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    photos = some_photos(training.data, "validation", contract)
    write_model(prepared.folder, Model(document=document, weights=weights), photos=photos, facts=facts)
    return Outcome(
        name=prepared.name,
        folder=prepared.folder,
        arch_id=arch_id(prepared.arch),
        schedule=training.schedule.name,
        epochs=training.schedule.epochs,
        validation=shown,
        test=test,
        temperature=temperature,
        seconds=score.seconds,
    )


def _words(test: Measured, images: int) -> str:
    assert test.low is not None, "it has an interval"
    assert test.high is not None, "it has an interval"
    interval = ACCURACY.interval(test.low, test.high)
    return f"{ACCURACY.format(test.value)} of {images:,} test images are right ({interval}, over images alone)."


def _measured(found: Outputs, training: ShortTraining) -> Measured:
    """The accuracy with its interval over images."""
    right_K, images_K = (
        tuple(int((labels == index).sum()) for index in range(training.classes))
        for labels in (found.labels_N[found.correct_N], found.labels_N)
    )
    score = Accuracy(correct_K=right_K, images_K=images_K)
    low, high = score.interval
    return Measured(value=score.accuracy, low=low, high=high)
