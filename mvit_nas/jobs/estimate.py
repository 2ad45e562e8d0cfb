"""What a job would take, from a few real training steps on noise."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from mvit_nas.arch.config import ArchConfig
from mvit_nas.data.parts import Part
from mvit_nas.data.store import Images
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.nn.backbone import build
from mvit_nas.training.loop import fit
from mvit_nas.training.speed import Speed

# Training steps that are timed for an estimate.
_TRIED_STEPS = 3
# Of a forward pass, beside a whole training step.
_FORWARD_SHARE = 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """One training step of a candidate as it was tried: seconds, and the peak memory of the process after it."""

    step_seconds: float
    peak_gib: float


def try_step(training: ShortTraining, arch: ArchConfig, *, speed: Speed | None = None) -> StepCost:
    """Real training steps of ``arch`` on noise, which needs no decoding."""
    schedule = replace(training.schedule, images_per_epoch=training.schedule.batch_size, multi_scale=False)
    side = schedule.side(arch.image_size)
    batch = Images(
        pixels_NHWC=np.random.default_rng(0).integers(0, 256, (schedule.batch_size, side, side, 3), np.uint8),
        aspects_N=np.ones(schedule.batch_size, np.float32),
        labels_N=np.zeros(schedule.batch_size, np.int64),
        skipped=(),
    )

    def seconds(epochs: int) -> float:
        return fit(
            build(arch, classes=training.classes),
            batch,
            replace(
                batch, pixels_NHWC=batch.pixels_NHWC[:1], aspects_N=batch.aspects_N[:1], labels_N=batch.labels_N[:1]
            ),
            replace(schedule, epochs=epochs),
            task=training.task,
            side=side,
            seed=0,
            device=training.device,
            speed=speed,
        ).seconds

    seconds(1)  # what a process does once, and prepares for each shape, is no part of a step
    return StepCost(step_seconds=seconds(_TRIED_STEPS) / _TRIED_STEPS, peak_gib=_peak_bytes(training.device) / 2**30)


def training_seconds(training: ShortTraining, step_seconds: float) -> float:
    """Seconds of a whole training run, all of its epochs, and its scoring, from those of one step."""
    steps = training.schedule.steps(training.data.count("train"))
    return steps * step_seconds + scoring_seconds(training, step_seconds, "validation")


def scoring_seconds(training: ShortTraining, step_seconds: float, part: Part) -> float:
    """Seconds of scoring a network on ``part``, from those of one training step."""
    return training.data.count(part) / training.schedule.batch_size * step_seconds * _FORWARD_SHARE


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
