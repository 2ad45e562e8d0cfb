"""Train a model on a schedule and score it on the search-validation part."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.stats import binomtest
from torch import Tensor, nn

from mvit_nas.errors import InterruptedCleanlyError, TrainingError
from mvit_nas.train.augment import centre_crops, random_crops
from mvit_nas.train.schedule import Schedule

_SCORING_BATCH = 64


class LabelledImages(Protocol):
    """What the loop needs of a part of the data (``train/data.py`` has it)."""

    @property
    def pixels_NHWC(self) -> np.ndarray: ...  # noqa: D102
    @property
    def aspects_N(self) -> np.ndarray: ...  # noqa: D102
    @property
    def labels_N(self) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well a model did: ``correct`` of ``images`` of the search-validation part.

    ``losses`` is the mean training loss of each epoch, ``seconds`` the wall time of training and scoring.
    """

    correct: int
    images: int
    losses: tuple[float, ...]
    seconds: float

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


def fit(
    model: nn.Module,
    train: LabelledImages,
    validation: LabelledImages,
    schedule: Schedule,
    *,
    side: int,
    seed: int,
    device: torch.device,
    should_stop: Callable[[], bool] = lambda: False,
) -> Score:
    """``model`` trained in place on ``train``, then scored on ``validation``.

    The same seed gives the same numbers on the same device and number of threads: it decides data order, crops and
    dropout; the caller decides the starting weights. Raises TrainingError when the loss or an output is not finite,
    InterruptedCleanlyError when ``should_stop`` says so.
    """
    start = time.perf_counter()
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    # Apart from the order, so that schedules which crop differently see the same images at the same steps.
    crops = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=order)))
    model.to(device)
    model.train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
    )
    average = _Average(model, schedule.ema)
    steps = schedule.steps(len(train.labels_N))
    batches = _batches(train, schedule.batch_size, order, device)
    losses = []
    for epoch in range(schedule.epochs):
        total = torch.zeros((), device=device)
        steps_per_epoch = schedule.steps_per_epoch(len(train.labels_N))
        for step in range(epoch * steps_per_epoch, (epoch + 1) * steps_per_epoch):
            if should_stop():
                raise InterruptedCleanlyError("stopped in the middle of a training run")
            images, aspects, labels = next(batches)
            if schedule.augmentation == "none":
                images = centre_crops(images, aspects, side=side)
            else:
                flips = schedule.augmentation == "crop+flip"
                images = random_crops(
                    images, aspects, side=side, min_crop=schedule.min_crop, flips=flips, generator=crops
                )
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate_at(step, steps)
            with _autocast(device):
                logits = model(images)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=schedule.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            average.update()
            total += loss.detach()
        losses.append(float(total) / steps_per_epoch)
        if not np.isfinite(losses[-1]):
            raise TrainingError(f"the training loss became {losses[-1]} in epoch {epoch + 1} of {schedule.epochs}")
    average.apply()
    correct = _count_correct(model, validation, side=side, device=device, should_stop=should_stop)
    return Score(
        correct=correct,
        images=len(validation.labels_N),
        losses=tuple(losses),
        seconds=time.perf_counter() - start,
    )


def _batches(
    part: LabelledImages, batch_size: int, generator: torch.Generator, device: torch.device
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches without end: every image once in a random order, then again in another."""
    images = len(part.labels_N)
    order: list[int] = []
    while True:
        while len(order) < batch_size:
            order += torch.randperm(images, generator=generator).tolist()
        chosen, order = order[:batch_size], order[batch_size:]
        yield _take(part, np.sort(np.array(chosen)), device)


def _take(part: LabelledImages, index_B: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    images = torch.from_numpy(np.ascontiguousarray(part.pixels_NHWC[index_B])).to(device, non_blocking=True)
    aspects = torch.from_numpy(part.aspects_N[index_B].astype(np.float32)).to(device)
    return images, aspects, torch.from_numpy(part.labels_N[index_B].astype(np.int64)).to(device)


@torch.inference_mode()
def _count_correct(
    model: nn.Module,
    part: LabelledImages,
    *,
    side: int,
    device: torch.device,
    should_stop: Callable[[], bool],
) -> int:
    model.eval()
    correct = torch.zeros((), dtype=torch.int64, device=device)
    finite = torch.ones((), dtype=torch.bool, device=device)
    for first in range(0, len(part.labels_N), _SCORING_BATCH):
        if should_stop():
            raise InterruptedCleanlyError("stopped while a model was scored")
        index_B = np.arange(first, min(first + _SCORING_BATCH, len(part.labels_N)))
        images, aspects, labels = _take(part, index_B, device)
        with _autocast(device):
            logits = model(centre_crops(images, aspects, side=side))
        correct += (logits.argmax(1) == labels).sum()
        finite &= logits.isfinite().all()
    if not finite:
        raise TrainingError("the trained model gives outputs that are not finite")
    return int(correct)


def _autocast(device: torch.device) -> torch.autocast:
    """bf16 where it pays: on CUDA devices that have it."""
    enabled = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


class _Average:
    """Exponential moving average of parameters and batch norm statistics; does nothing at weight 0."""

    def __init__(self, model: nn.Module, weight: float) -> None:
        self.weight = weight
        state = list(model.state_dict().values()) if weight else []
        self.current = [tensor for tensor in state if tensor.is_floating_point()]
        self.average = [tensor.detach().clone() for tensor in self.current]

    @torch.no_grad()
    def update(self) -> None:
        if self.average:
            torch._foreach_lerp_(self.average, self.current, self.weight)

    @torch.no_grad()
    def apply(self) -> None:
        if self.average:
            torch._foreach_copy_(self.current, self.average)
