"""Where a study's numbers come from: everything that is needed to judge a result and to repeat it."""

import math
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TypeVar, get_args

import torch

from mvit_nas import __version__
from mvit_nas.arch.presets import PRESETS
from mvit_nas.cost.targets.machine import this_processor
from mvit_nas.data.parts import Part
from mvit_nas.evaluate.latency import LatencyMeter
from mvit_nas.evaluate.short import ShortTraining, training_threads
from mvit_nas.jobs.setup import Setup
from mvit_nas.settings.commands import AblateSettings, SearchSettings
from mvit_nas.settings.study_file import Found, described
from mvit_nas.study.origin import (
    Ablated,
    AblationExperiment,
    AblationOrigin,
    Conditions,
    Hardware,
    Images,
    SearchExperiment,
    SearchOrigin,
    SeedSpread,
    Space,
)
from mvit_nas.study.origin_file import from_document

O = TypeVar("O", SearchOrigin, AblationOrigin)  # noqa: E741

_RUNTIMES = ("onnx", "onnxruntime", "litert-torch", "ai-edge-litert", "executorch", "torchao")
# With fewer degrees of freedom a standard deviation is hardly known.
_LEAST_FREEDOM = 3
# Those that the numbers of a training hang on.
_DECIDING = ("torch", "numpy", "pillow")
_PACKAGES = ("torch", "optuna", "fvcore", "numpy", "pandas", "pillow", "scikit-learn", "scipy", "statsmodels")


def search_origin(
    setup: Setup, settings: SearchSettings, found: Found, *, reference: Mapping[str, float]
) -> SearchOrigin:
    """That of a search as it begins. ``reference`` is the worst corner of hypervolume's box."""
    experiment = from_document(SearchExperiment, described(settings, found))
    spread = seed_spread(setup.training)
    return _begun(SearchOrigin, setup, settings, experiment=experiment, reference=reference, seed_spread=spread)


def ablation_origin(setup: Setup, settings: AblateSettings, found: Found, *, plan: Ablated) -> AblationOrigin:
    """That of an ablation as it begins, with its ``plan``."""
    experiment = from_document(AblationExperiment, described(settings, found))
    return _begun(AblationOrigin, setup, settings, experiment=experiment, plan=plan)


def updated(origin: O, setup: Setup, *, seconds: float, latency: bool) -> O:
    """``origin`` after so many ``seconds``, with what is known by then; ``latency``: it was measured."""
    images = replace(origin.images, skipped=setup.training.skipped())
    return replace(origin, elapsed_seconds=seconds, images=images, latency=conditions(setup.meter) if latency else None)


def seed_spread(training: ShortTraining) -> SeedSpread | None:
    """How far accuracies differ from seed to seed, by all that was trained on these images and this schedule.

    None where that is fewer than three trainings more than networks.
    """
    networks = training.by_seed()
    freedom = sum(len(accuracies) - 1 for accuracies in networks)
    if freedom < _LEAST_FREEDOM:
        return None
    squares = sum(len(accuracies) * statistics.pvariance(accuracies) for accuracies in networks)
    trained = sum(map(len, networks))
    source = f"{len(networks)} network{'s' * (len(networks) > 1)} trained {trained} times in all on these images"
    return SeedSpread(deviation=math.sqrt(squares / freedom), freedom=freedom, source=source)


def images_of(setup: Setup) -> Images:
    """The images, none of which was looked at yet."""
    data = setup.training.data
    return Images(
        name=data.name,
        source=data.source,
        fingerprint=data.fingerprint,
        classes=tuple(data.classes),
        counts={part: data.count(part) for part in get_args(Part)},
        class_counts={"train": data.count_by_class("train"), "validation": data.count_by_class("validation")},
        notes=(*setup.notes, setup.scored_on),
    )


def conditions(meter: LatencyMeter) -> Conditions:
    """What the latencies of ``meter`` hang on."""
    return from_document(Conditions, meter.conditions().to_dict())


def here(device: torch.device) -> dict[str, str | None]:
    """What decides the numbers of a training on ``device`` beside its settings, by its name in words."""
    return {
        "mvit-nas": __version__,
        "commit": commit_of(Path(__file__)),
        **{name: metadata.version(name) for name in _DECIDING},
        "processor": this_processor(),
        "threads": str(training_threads()),
        "device": device.type,
        "GPU": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    }


def _begun(kind: Callable[..., O], setup: Setup, settings: SearchSettings | AblateSettings, **own: object) -> O:
    """The origin of a ``kind`` with its ``own`` fields, and what all have."""
    space = setup.space
    return kind(
        study=settings.name,
        command=shlex.join(["mvit-nas", *sys.argv[1:]]),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        python=platform.python_version(),
        packages={name: metadata.version(name) for name in _PACKAGES} | _runtimes(),
        commit=commit_of(Path(__file__)),
        hardware=Hardware(
            processor=this_processor(),
            cores=training_threads(),
            memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            system=platform.platform(),
        ),
        device=str(setup.training.device),
        images=images_of(setup),
        space=Space(name=space.name, settings=space.settings(), networks=space.networks(), text=space.text),
        latency=None,
        elapsed_seconds=0.0,
        presets=tuple(PRESETS),
        **own,
    )


def _runtimes() -> dict[str, str]:
    """The versions of what exports and executes networks, as far as it is installed."""
    found = {}
    for name in _RUNTIMES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def commit_of(file: Path) -> str | None:
    """The commit of the checkout that tracks ``file``; None where none does."""
    git = partial(subprocess.run, cwd=file.parent, check=True, capture_output=True, text=True)
    try:
        git(["git", "ls-files", "--error-unmatch", file.name])
        return str(git(["git", "rev-parse", "HEAD"]).stdout).strip()
    except (OSError, subprocess.CalledProcessError):
        return None
