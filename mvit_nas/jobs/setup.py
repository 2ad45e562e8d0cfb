"""What every job begins with: data, space, schedule and evaluator; its folders; its provenance."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch

from mvit_nas import __version__
from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import SearchSpace, fix_image_size, load_space
from mvit_nas.cost.runtimes.registry import default_runtime, find_runtime
from mvit_nas.cost.runtimes.runtime import Runtime
from mvit_nas.cost.targets.registry import find_target
from mvit_nas.data.images import ImageData, find_data
from mvit_nas.errors import DeviceError, InputError
from mvit_nas.evaluate.cache import write_text
from mvit_nas.evaluate.latency import LatencyMeter
from mvit_nas.evaluate.short import Evaluator, processor, training_threads
from mvit_nas.nn.backbone import build
from mvit_nas.settings import AblationExperiment, Experiment, LatencySettings, check_same
from mvit_nas.training.loop import fit
from mvit_nas.training.schedule import Schedule, find_schedule

# What one latency may take, beside exporting it and warming up.
MEASURING_SECONDS = 8.0
# Shares to which the medians are measured: of many candidates far apart, and of a few that shall be told apart.
COARSE, FINE = 0.02, 0.01
# Images of up to this side get the space for small images.
_SMALL_SIDE = 96
_RUNTIMES = ("onnx", "onnxruntime", "litert-torch", "ai-edge-litert", "executorch", "torchao")
_PACKAGES = ("torch", "optuna", "fvcore", "numpy", "pandas", "pillow", "scikit-learn", "scipy", "statsmodels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a job works on."""

    data: ImageData
    space: SearchSpace
    schedule: Schedule
    evaluator: Evaluator


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """One training step of a candidate as it was tried: seconds, and the peak memory of the process after it."""

    step_seconds: float
    peak_gib: float


def set_up(
    *,
    data: str | None,
    space: SearchSpace | str | None,
    image_size: int | None,
    schedule: str,
    device: str,
    latency: LatencySettings,
    precision: float,
    say: Callable[[str], None],
) -> Setup:
    """Read data and space, and choose what was left open. Says what it chose."""
    chosen_device = choose_device(device)
    torch.set_num_threads(training_threads())
    plan = find_schedule(schedule)
    images = find_data(data)
    if not images.flips:
        plan = replace(plan, augmentation="crop")
    if data is None:
        say(f"data: {images.source}, since no --data was given")
    else:
        say(f"data: {images.source}")
    counts = ", ".join(f"{images.count(part)} {part}" for part in ("train", "validation", "test"))
    say(f"      {len(images.classes)} classes, {counts} images; the test part is not read")
    for note in images.notes:
        say(f"      {note}")
    by_size = "mobilevit_small" if images.median_side <= _SMALL_SIDE else "mobilevit"
    found = space if isinstance(space, SearchSpace) else load_space(space or by_size)
    because = "" if space else f", since the images are about {images.median_side} px"
    if image_size is not None:
        found = fix_image_size(found, image_size)
    elif space is None and 48 <= images.median_side <= _SMALL_SIDE:
        found = fix_image_size(found, 64)
    say(f"space: {found.name}, {found.networks():,} networks at {found.base.image_size} px{because}")
    meter = make_meter(latency, precision=precision, say=say)
    evaluator = Evaluator(images, plan, device=chosen_device, meter=meter, on_decode=_sayer(say))
    return Setup(data=images, space=found, schedule=plan, evaluator=evaluator)


def runtime_for(settings: LatencySettings) -> Runtime:
    """The runtime that was named, else LiteRT for a phone, else what is installed here."""
    if settings.runtime:
        return find_runtime(settings.runtime)
    return find_runtime("litert") if settings.target.startswith("adb") else default_runtime()


def make_meter(
    settings: LatencySettings,
    *,
    precision: float,
    seconds: float = MEASURING_SECONDS,
    int8: bool = False,
    say: Callable[[str], None],
) -> LatencyMeter:
    """What measures latency by ``settings``, each to ``precision``. Raises InputError and DeviceError."""
    target = find_target(settings.target, adb_benchmark=settings.adb_benchmark)
    runtime = runtime_for(settings)
    return LatencyMeter(
        runtime, target, threads=settings.threads, precision=precision, seconds=seconds, int8=int8, say=say
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


def _sayer(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """Says that images are decoded, once every tenth of them."""
    said: set[tuple[int, int]] = set()

    def progress(done: int, total: int) -> None:
        tenth = done * 10 // max(1, total)
        if total >= 5000 and (total, tenth) not in said:
            said.add((total, tenth))
            say(f"decoding images: {done:,} of {total:,}")

    return progress


def make_folders(*folders: Path) -> None:
    """Make ``folders``; InputError where they cannot be made."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {folder} ({error.strerror}): choose another --out") from None


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """``folder`` kept from other processes meanwhile. Raises InputError where one works on it."""
    lock = filelock.FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError(f"another process is working on {folder}; wait for it or use another --name") from None
    try:
        yield
    finally:
        lock.release()


def keep_settings(
    folder: Path, experiment: Experiment | AblationExperiment, *, resume: bool, say: Callable[[str], None]
) -> None:
    """Write ``experiment.yaml``; InputError where the folder holds an experiment that this does not go on with."""
    file = folder / "experiment.yaml"
    if file.exists() and not resume:
        raise InputError(
            f"the study {experiment.name!r} exists in {folder}: go on with --resume, or use another --name"
        )
    if file.exists():
        check_same(experiment, file)
    elif resume:
        say(f"there is no study {experiment.name!r} yet; starting it")
    try:
        write_text(file, experiment.to_yaml())
    except OSError as error:
        raise InputError(f"cannot write {file} ({error.strerror}): choose another --out") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _NoiseImages:
    """A batch of noise, to time a step without decoding the data."""

    pixels_NHWC: np.ndarray
    aspects_N: np.ndarray
    labels_N: np.ndarray


# Training steps that are timed for an estimate.
_TRIED_STEPS = 3


def try_step(evaluator: Evaluator, arch: ArchConfig) -> StepCost:
    """Real training steps of ``arch`` on noise, which needs no decoding."""
    schedule = replace(evaluator.schedule, images_per_epoch=evaluator.schedule.batch_size)
    side = schedule.side(arch.image_size)
    batch = _NoiseImages(
        pixels_NHWC=np.random.default_rng(0).integers(0, 256, (schedule.batch_size, side, side, 3), np.uint8),
        aspects_N=np.ones(schedule.batch_size, np.float32),
        labels_N=np.zeros(schedule.batch_size, np.int64),
    )

    def seconds(epochs: int) -> float:
        return fit(
            build(arch, classes=evaluator.classes),
            batch,
            _NoiseImages(pixels_NHWC=batch.pixels_NHWC[:1], aspects_N=batch.aspects_N[:1], labels_N=batch.labels_N[:1]),
            replace(schedule, epochs=epochs),
            side=side,
            seed=0,
            device=evaluator.device,
        ).seconds

    seconds(1)  # what a process does once, and prepares for each shape, is no part of a step
    return StepCost(step_seconds=seconds(_TRIED_STEPS) / _TRIED_STEPS, peak_gib=_peak_bytes(evaluator.device) / 2**30)


def training_seconds(setup: Setup, step_seconds: float) -> float:
    """Seconds of a whole training run and its scoring, from those of one step."""
    steps = setup.schedule.steps(setup.data.count("train"))
    # A forward pass is about a third of a training step.
    scoring = setup.data.count("validation") / setup.schedule.batch_size * step_seconds / 3
    return steps * step_seconds + scoring


def by_macs(small: tuple[int, float], large: tuple[int, float]) -> Callable[[float], float]:
    """Seconds for any multiply-adds: linear between two tried pairs of multiply-adds and seconds."""
    slope = (large[1] - small[1]) / max(1, large[0] - small[0])
    return lambda macs: small[1] + slope * (macs - small[0])


def _peak_bytes(device: torch.device) -> int:
    """The most memory that this process has held: on the GPU where it trains there, else in all."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def provenance(setup: Setup, experiment: Experiment | AblationExperiment) -> dict[str, Any]:
    """Everything that is needed to judge a result and to repeat it; a job adds what is its own."""
    data, evaluator = setup.data, setup.evaluator
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "study": experiment.name,
        "command": shlex.join(["mvit-nas", *sys.argv[1:]]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "mvit_nas": __version__,
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES} | _runtimes(),
        "commit": commit_of(Path(__file__)),
        "hardware": {
            "processor": processor(),
            "cores": training_threads(),
            "memory_gib": round(_memory_bytes() / 2**30, 1),
            "gpu": gpu,
            "system": platform.platform(),
        },
        "device": str(evaluator.device),
        "data": {
            "name": data.name,
            "source": data.source,
            "fingerprint": data.fingerprint,
            "classes": list(data.classes),
            "images": {part: data.count(part) for part in ("train", "validation", "test")},
            "skipped": list(evaluator.skipped()),
            "notes": list(data.notes),
        },
        "space": {
            "name": setup.space.name,
            "settings": setup.space.settings(),
            "networks": setup.space.networks(),
            "text": setup.space.text,
        },
        "experiment": experiment.to_dict(),
        "latency": None,
        "presets": list(PRESETS),
        "elapsed_seconds": 0.0,
    }


def _runtimes() -> dict[str, str]:
    """The versions of what exports and executes networks, as far as it is installed."""
    found = {}
    for name in _RUNTIMES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def commit_of(file: Path) -> str | None:
    """The commit of the checkout that tracks ``file``; None where none does."""
    try:
        subprocess.run(
            ["git", "ls-files", "--error-unmatch", file.name], cwd=file.parent, check=True, capture_output=True
        )
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=file.parent, check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def plain_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with plain Python values; what was not measured is None."""
    plain = {}
    for key, value in row.items():
        if hasattr(value, "item"):
            value = value.item()
        plain[str(key)] = None if value is None or value != value else value
    return plain
