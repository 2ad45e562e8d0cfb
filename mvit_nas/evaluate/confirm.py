"""What trained networks say of whole parts of the data, the test part among them: each computed once and kept.

Axes: N images of a part, K classes.
"""

import errno
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mvit_nas.arch.config import ArchConfig
from mvit_nas.errors import InterruptedCleanlyError, PartialError, TrainingError
from mvit_nas.evaluate.estimator import never
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.files import write_whole
from mvit_nas.nn.backbone import build

_BATCH = 64

ScoredPart = Literal["validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The outputs of a trained network for each image of a part, and the classes that the images are of."""

    logits_NK: npt.NDArray[np.float32]
    labels_N: npt.NDArray[np.int64]

    @property
    def correct_N(self) -> npt.NDArray[np.bool_]:
        """Whether it is right on each image."""
        return np.asarray(self.logits_NK.argmax(1) == self.labels_N)

    @property
    def accuracy(self) -> float:
        """Share of correct answers."""
        return float(self.correct_N.mean())


def outputs(
    training: ShortTraining,
    arch: ArchConfig,
    *,
    seed: int,
    part: ScoredPart,
    should_stop: Callable[[], bool] = never,
) -> Outputs:
    """What the network says of ``part``, whose training was kept: from the cache where it is known.

    Raises TrainingError where an output is not finite, InterruptedCleanlyError when ``should_stop`` says so, and
    PartialError when the disk is full.
    """
    path = _file(training, arch, seed=seed, part=part)
    known = _read(path)
    if known is not None:
        return known
    model = build(arch, classes=training.classes)
    model.load_state_dict(training.weights(training.training_name(arch, seed=seed)))
    side = training.schedule.side(arch.image_size)
    found = outputs_of(model.to(training.device), training, part=part, side=side, should_stop=should_stop)
    try:
        write_whole(path, lambda temporary: _write(temporary, found))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise PartialError(f"the disk of {path.parent} is full: make room, then run the command again") from None
    return found


def has_outputs(training: ShortTraining, arch: ArchConfig, *, seed: int, part: ScoredPart) -> bool:
    """Whether ``outputs`` would answer from the cache."""
    return _read(_file(training, arch, seed=seed, part=part)) is not None


def _file(training: ShortTraining, arch: ArchConfig, *, seed: int, part: ScoredPart) -> Path:
    return training.folder / "outputs" / f"{training.training_name(arch, seed=seed)}-{part}.npz"


def _read(path: Path) -> Outputs | None:
    try:
        with path.open("rb") as opened, np.load(opened) as file:  # by a path, NumPy leaves a broken file open
            return Outputs(logits_NK=file["logits"], labels_N=file["labels"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, found: Outputs) -> None:
    with path.open("wb") as file:  # by its name alone, NumPy would write to another
        np.savez(file, logits=found.logits_NK, labels=found.labels_N)


@torch.inference_mode()
def outputs_of(
    model: nn.Module, training: ShortTraining, *, part: ScoredPart, side: int, should_stop: Callable[[], bool] = never
) -> Outputs:
    """What a trained ``model`` says of ``part`` at ``side``. Raises as ``outputs`` does."""
    task = training.task
    model.eval()
    images = training.scored_part(part, side)
    found = []
    for first in range(0, len(images.labels_N), _BATCH):
        if should_stop():
            raise InterruptedCleanlyError("stopped while a model was scored")
        index_N = np.arange(first, min(first + _BATCH, len(images.labels_N)))
        batch = task.take(images, index_N, device=training.device)
        found.append(model(task.seen(batch)).float().cpu().numpy())
    logits_NK = np.concatenate(found)
    if not np.isfinite(logits_NK).all():
        raise TrainingError("the trained model gives outputs that are not finite")
    return Outputs(logits_NK=logits_NK, labels_N=np.asarray(images.labels_N))
