"""How long and how a candidate is trained: a frozen schedule, and the named ones."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from mvit_nas.errors import InputError
from mvit_nas.tasks.crops import Augmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """AdamW with warm-up and cosine decay on random crops and flips.

    ``images_per_epoch`` is the share of the data: the images that one epoch sees at most, other ones each time until
    all were seen. ``resolution`` is the side to train and score at, as a share of the architecture's ``image_size``
    (images of up to 64 px are never shrunk). ``learning_rate`` is the peak, reached after ``warmup`` (a share of the
    steps) from ``warmup_learning_rate``; the cosine ends at ``final_learning_rate``. ``augmentation`` is what an image
    goes through before it is seen, ``min_crop`` the smallest crop as a share of the image's area. ``ema`` is the
    weight of the newest parameters and batch norm statistics in their exponential moving average, which is then what
    is scored; 0 turns it off. ``clip_norm`` is the largest norm that all gradients together may have; 0 is no limit.
    """

    name: str
    epochs: int
    images_per_epoch: int
    batch_size: int
    resolution: float
    learning_rate: float
    warmup: float
    warmup_learning_rate: float = 0.0002
    final_learning_rate: float = 0.0002
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    augmentation: Augmentation = "crop+flip"
    min_crop: float
    ema: float
    clip_norm: float = 0.0

    def steps_per_epoch(self, images: int) -> int:
        """Optimiser steps of one epoch over a training part of ``images``, full batches only."""
        return max(1, min(images, self.images_per_epoch) // self.batch_size)

    def steps(self, images: int) -> int:
        """Optimiser steps in all."""
        return self.epochs * self.steps_per_epoch(images)

    def rungs(self) -> tuple[int, ...]:
        """The epochs after which a training run may be judged and stopped: 1, 2, 4, ... before the last."""
        return tuple(2**i for i in range((self.epochs - 1).bit_length()))

    def side(self, image_size: int) -> int:
        """The side in pixels at which an architecture for ``image_size`` is trained and scored."""
        if image_size <= 64:
            return image_size
        return max(64, round(image_size * self.resolution / 32) * 32)

    def learning_rate_at(self, step: int, steps: int) -> float:
        """The learning rate of ``step`` (from 0) of ``steps``."""
        warmup_steps = round(self.warmup * steps)
        if step < warmup_steps:
            share = (step + 1) / warmup_steps
            return self.warmup_learning_rate + share * (self.learning_rate - self.warmup_learning_rate)
        share = (step - warmup_steps) / max(1, steps - warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        return self.final_learning_rate + cosine * (self.learning_rate - self.final_learning_rate)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


SCHEDULES: dict[str, Schedule] = {
    # Seconds for a candidate: does everything run?
    "smoke": Schedule(
        name="smoke",
        epochs=1,
        images_per_epoch=512,
        batch_size=32,
        resolution=0.25,
        learning_rate=0.002,
        warmup=0.1,
        min_crop=0.35,
        ema=0.0,
    ),
    # Half a minute for a small network and small images on two CPU cores: which candidates learn fast?
    "short": Schedule(
        name="short",
        epochs=4,
        images_per_epoch=2000,
        batch_size=16,
        resolution=0.5,
        learning_rate=0.001,
        warmup=0.1,
        min_crop=0.35,
        ema=0.0,
        clip_norm=1.0,
    ),
    # The paper's recipe (arXiv 2110.02178, section 4.1), for one process: 3,000 of 375,000 iterations of warm-up.
    "paper": Schedule(
        name="paper",
        epochs=300,
        images_per_epoch=10_000_000,
        batch_size=1024,
        resolution=1.0,
        learning_rate=0.002,
        warmup=0.008,
        min_crop=0.08,
        ema=0.0005,
    ),
}


def find_schedule(name: str) -> Schedule:
    """The schedule called ``name``; InputError lists the known ones."""
    if name not in SCHEDULES:
        raise InputError(f"no schedule {name!r}: known are {', '.join(SCHEDULES)}")
    return SCHEDULES[name]
