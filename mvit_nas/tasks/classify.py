"""Classification: which one of some classes an image shows. What a training has of the task, and no more, is here.

Axes: B images of a batch, N of a part, H and W pixels down and across, C colours, K classes.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.stats import binomtest
from torch import Tensor

from mvit_nas.tasks.crops import Augmentation, as_stored, centre_crops, random_crops


class LabelledImages(Protocol):
    """What a task needs of a part of the data (``data/store.py`` has it)."""

    @property
    def pixels_NHWC(self) -> np.ndarray: ...  # noqa: D102
    @property
    def aspects_N(self) -> np.ndarray: ...  # noqa: D102
    @property
    def labels_N(self) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Images as they are stored, with the aspect ratios of their originals, and what is to be said of each."""

    images_BHWC: Tensor
    aspects_B: Tensor
    targets_B: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """``correct`` answers among those of ``images``."""

    correct: int
    images: int

    @property
    def accuracy(self) -> float:
        """Share of correct answers."""
        return self.correct / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval, from the number of images alone (Wilson 1927)."""
        interval = binomtest(self.correct, self.images).proportion_ci(method="wilson")
        # At 0 and 1 rounding may leave the share itself just outside.
        return min(float(interval.low), self.accuracy), max(float(interval.high), self.accuracy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """The task for images of ``classes``: as many logits as there are classes."""

    classes: int

    def take(self, part: LabelledImages, index_B: np.ndarray, *, device: torch.device) -> Batch:
        """The images of ``part`` at ``index_B``."""
        pixels = torch.from_numpy(np.ascontiguousarray(part.pixels_NHWC[index_B]))
        return Batch(
            images_BHWC=pixels.to(device, non_blocking=True),
            aspects_B=torch.from_numpy(part.aspects_N[index_B].astype(np.float32)).to(device),
            targets_B=torch.from_numpy(part.labels_N[index_B].astype(np.int64)).to(device),
        )

    def seen(self, batch: Batch) -> Tensor:
        """Inputs [B, 3, H, W] for scoring, of images that are stored as a network shall see them."""
        return as_stored(batch.images_BHWC)

    def augmented(
        self, batch: Batch, *, side: int, augmentation: Augmentation, min_crop: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Inputs [B, 3, side, side] for training, and their targets [B]."""
        if augmentation == "none":
            return centre_crops(batch.images_BHWC, batch.aspects_B, side=side), batch.targets_B
        flips = augmentation == "crop+flip"
        inputs = random_crops(
            batch.images_BHWC, batch.aspects_B, side=side, min_crop=min_crop, flips=flips, generator=generator
        )
        return inputs, batch.targets_B

    def loss(self, logits_BK: Tensor, targets_B: Tensor, *, label_smoothing: float) -> Tensor:
        """Mean cross-entropy."""
        return F.cross_entropy(logits_BK.float(), targets_B, label_smoothing=label_smoothing)

    def counts(self, logits_BK: Tensor, targets_B: Tensor) -> Tensor:
        """What ``score`` needs of a batch; it adds up over batches."""
        return torch.stack(((logits_BK.argmax(1) == targets_B).sum(), torch.full_like(targets_B[0], len(targets_B))))

    def score(self, counts: Tensor) -> Accuracy:
        """Of the ``counts`` of all batches, added up."""
        correct, images = counts.tolist()
        return Accuracy(correct=correct, images=images)
