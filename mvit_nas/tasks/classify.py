"""Classification: which one of some classes an image shows. What a training has of the task, and no more, is here.

Axes: B images of a batch, N of a part, H and W pixels down and across, C colours, K classes.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mvit_nas.maths.share import Accuracy
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
class Classification:
    """The task for images of ``classes``: as many logits as there are classes.

    ``weights_K`` are what an image of each class counts in the loss; without them all count alike.
    """

    classes: int
    weights_K: tuple[float, ...] = ()

    def weighing_classes(self, labels_N: np.ndarray) -> "Classification":
        """The same with a loss in which all classes among ``labels_N``, those that are trained on, count alike.

        An image weighs images / (classes x images of its class), which is 1 in the mean.
        """
        images_K = np.bincount(labels_N, minlength=self.classes)
        share = len(labels_N) / np.count_nonzero(images_K)
        return replace(self, weights_K=tuple(share / n if n else 0.0 for n in images_K.tolist()))

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
        self, batch: Batch, *, side: int, augmentation: Augmentation, min_crop: float, uniform_B5: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Inputs [B, 3, side, side] for training, and their targets [B]."""
        if augmentation == "none":
            return centre_crops(batch.images_BHWC, batch.aspects_B, side=side), batch.targets_B
        flips = augmentation == "crop+flip"
        inputs = random_crops(
            batch.images_BHWC, batch.aspects_B, side=side, min_crop=min_crop, flips=flips, uniform_B5=uniform_B5
        )
        return inputs, batch.targets_B

    def loss(self, logits_BK: Tensor, targets_B: Tensor, *, label_smoothing: float) -> Tensor:
        """Mean cross-entropy, each image times the weight of its class."""
        if not self.weights_K:
            return F.cross_entropy(logits_BK.float(), targets_B, label_smoothing=label_smoothing)
        loss_B = F.cross_entropy(logits_BK.float(), targets_B, label_smoothing=label_smoothing, reduction="none")
        # Not over the batch's sum of weights, by which a batch of rare images alone would count no more than others.
        return (loss_B * loss_B.new_tensor(self.weights_K)[targets_B]).mean()

    def counts(self, logits_BK: Tensor, targets_B: Tensor) -> Tensor:
        """What ``score`` needs of a batch, [2, K]; it adds up over batches."""
        right_B = targets_B[logits_BK.argmax(1) == targets_B]
        return torch.stack([right_B.bincount(minlength=self.classes), targets_B.bincount(minlength=self.classes)])

    def score(self, counts: Tensor) -> Accuracy:
        """Of the ``counts`` of all batches, added up."""
        correct_K, images_K = counts.tolist()
        return Accuracy(correct_K=tuple(correct_K), images_K=tuple(images_K))
