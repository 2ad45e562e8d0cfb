"""Train a model on a schedule and score it on the search-validation part."""

import os
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.stats import binomtest
from torch import Tensor, nn

from mvit_nas.errors import InterruptedCleanlyError, TrainingError
from mvit_nas.study.record import Rung
from mvit_nas.training.augment import centre_crops, random_crops
from mvit_nas.training.schedule import Schedule

_SCORING_BATCH = 64
# Images of the search-validation part that a rung is scored on, at most: about the work of 170 training
# images, where `short` trains on 8,000.
_RUNG_IMAGES = 500


class LabelledImages(Protocol):
    """What the loop needs of a part of the data (``train/data.py`` has it)."""

    @property
    def pixels_NHWC(self) -> np.ndarray: ...  # noqa: D102
    @property
    def aspects_N(self) -> np.ndarray: ...  # noqa: D102
    @property
    def labels_N(self) -> np.ndarray: ...  # noqa: D102


# Asked after each rung with those so far, whether to stop there.
AtRung = Callable[[tuple[Rung, ...]], bool]
# Told after each step how many there were, and its loss, which is on the training device.
OnStep = Callable[[int, Tensor], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well a model did: ``correct`` of ``images`` of the search-validation part.

    ``losses`` is the mean training loss of each epoch, ``seconds`` the wall time of training and scoring. ``rungs`` are
    there if they were asked for.
    """

    correct: int
    images: int
    losses: tuple[float, ...]
    seconds: float
    rungs: tuple[Rung, ...] = ()

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
class Stopped:
    """A training run that was stopped at the last of ``rungs``, after ``seconds`` of training and scoring."""

    rungs: tuple[Rung, ...]
    seconds: float


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
    found = fit_by_rungs(
        model,
        train,
        validation,
        schedule,
        side=side,
        seed=seed,
        device=device,
        should_stop=should_stop,
        at_rung=None,
        checkpoint=None,
    )
    assert isinstance(found, Score), "nothing stops it"
    return found


def fit_by_rungs(
    model: nn.Module,
    train: LabelledImages,
    validation: LabelledImages,
    schedule: Schedule,
    *,
    side: int,
    seed: int,
    device: torch.device,
    should_stop: Callable[[], bool],
    at_rung: AtRung | None,
    checkpoint: Path | None,
    on_step: OnStep = lambda step, loss: None,
) -> Score | Stopped:
    """``fit`` that may be stopped ``at_rung`` and goes on from ``checkpoint``, a file that it keeps at each rung.

    The numbers of a run that went on are those of one that was never stopped. The checkpoint of a finished run is
    removed, that of a stopped one kept. Without ``at_rung`` nothing is scored or kept on the way.
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
    steps, steps_per_epoch = schedule.steps(len(train.labels_N)), schedule.steps_per_epoch(len(train.labels_N))
    batches = _Batches(train, schedule.batch_size, order, device)
    losses: list[float] = []
    rungs: tuple[Rung, ...] = ()
    spent = 0.0
    state = _State(model=model, optimizer=optimizer, average=average, batches=batches, crops=crops, device=device)
    kept = state.load(checkpoint) if checkpoint is not None else None
    if kept is not None:
        losses, rungs, spent = kept
        if at_rung is not None and at_rung(rungs):
            return Stopped(rungs=rungs, seconds=spent)
    for epoch in range(len(losses), schedule.epochs):
        total = torch.zeros((), device=device)
        for step in range(epoch * steps_per_epoch, (epoch + 1) * steps_per_epoch):
            if should_stop():
                raise InterruptedCleanlyError("stopped in the middle of a training run")
            images, aspects, labels = batches.next()
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
            if schedule.clip_norm:
                torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip_norm)
            optimizer.step()
            average.update(step)
            total += loss.detach()
            on_step(step + 1, loss.detach())
        losses.append(float(total) / steps_per_epoch)
        if not np.isfinite(losses[-1]):
            raise TrainingError(f"the training loss became {losses[-1]} in epoch {epoch + 1} of {schedule.epochs}")
        if at_rung is not None and epoch + 1 in schedule.rungs():
            average.swap()
            correct = _count_correct(model, validation, _some(validation), side=side, device=device, stop=should_stop)
            average.swap()
            model.train()
            images_scored = len(_some(validation))
            rungs = (*rungs, Rung(epoch=epoch + 1, loss=losses[-1], correct=correct, images=images_scored))
            seconds = spent + time.perf_counter() - start
            if checkpoint is not None:
                state.save(checkpoint, losses, rungs, seconds)
            if at_rung(rungs):
                return Stopped(rungs=rungs, seconds=seconds)
    average.swap()
    everything = np.arange(len(validation.labels_N))
    correct = _count_correct(model, validation, everything, side=side, device=device, stop=should_stop)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return Score(
        correct=correct,
        images=len(everything),
        losses=tuple(losses),
        seconds=spent + time.perf_counter() - start,
        rungs=rungs,
    )


class _Batches:
    """Batches without end: every image once in a random order, then again in another."""

    def __init__(self, part: LabelledImages, size: int, generator: torch.Generator, device: torch.device) -> None:
        self._part = part
        self._size = size
        self._device = device
        self.generator = generator
        self.order: list[int] = []

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        """Images [B, H, W, 3], their aspects [B] and labels [B]."""
        while len(self.order) < self._size:
            self.order += torch.randperm(len(self._part.labels_N), generator=self.generator).tolist()
        chosen, self.order = self.order[: self._size], self.order[self._size :]
        return _take(self._part, np.sort(np.array(chosen)), self._device)


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """All that decides how a training run goes on."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: "_Average"
    batches: _Batches
    crops: torch.Generator
    device: torch.device

    def save(self, path: Path, losses: list[float], rungs: tuple[Rung, ...], seconds: float) -> None:
        """Write it to ``path`` at once: readers see the old file or the new one, never a part.

        A run goes on where it cannot be written; should it be stopped, it starts again from the beginning.
        """
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.average,
            "order": torch.tensor(self.batches.order),
            "order_generator": self.batches.generator.get_state(),
            "crops_generator": self.crops.get_state(),
            "generator": torch.get_rng_state(),
            "cuda_generator": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "losses": losses,
            "rungs": [asdict(rung) for rung in rungs],
            "seconds": seconds,
        }
        temporary = path.with_name(f".{path.name}-{os.getpid()}")
        with suppress(OSError, RuntimeError):  # torch raises the second where the disk is full
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.save(state, temporary)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

    def load(self, path: Path) -> tuple[list[float], tuple[Rung, ...], float] | None:
        """Take the state from ``path`` and return losses, rungs and seconds so far; None where there is none."""
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):
            return None  # none, or one that a full disk cut off: the run starts again
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.average = state["average"]
        self.batches.order = state["order"].tolist()
        self.batches.generator.set_state(state["order_generator"].cpu())
        self.crops.set_state(state["crops_generator"].cpu())
        torch.set_rng_state(state["generator"].cpu())
        if state["cuda_generator"] is not None:
            torch.cuda.set_rng_state(state["cuda_generator"].cpu(), self.device)
        return state["losses"], tuple(Rung(**rung) for rung in state["rungs"]), state["seconds"]


def _take(part: LabelledImages, index_B: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    images = torch.from_numpy(np.ascontiguousarray(part.pixels_NHWC[index_B])).to(device, non_blocking=True)
    aspects = torch.from_numpy(part.aspects_N[index_B].astype(np.float32)).to(device)
    return images, aspects, torch.from_numpy(part.labels_N[index_B].astype(np.int64)).to(device)


def _some(validation: LabelledImages) -> np.ndarray:
    """Evenly over the part, which may be sorted by class."""
    images = len(validation.labels_N)
    return np.unique(np.linspace(0, images - 1, min(images, _RUNG_IMAGES)).astype(int))


@torch.inference_mode()
def _count_correct(
    model: nn.Module,
    part: LabelledImages,
    index_N: np.ndarray,
    *,
    side: int,
    device: torch.device,
    stop: Callable[[], bool],
) -> int:
    model.eval()
    correct = torch.zeros((), dtype=torch.int64, device=device)
    finite = torch.ones((), dtype=torch.bool, device=device)
    for first in range(0, len(index_N), _SCORING_BATCH):
        if stop():
            raise InterruptedCleanlyError("stopped while a model was scored")
        images, aspects, labels = _take(part, index_N[first : first + _SCORING_BATCH], device)
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
    """Exponential moving average of parameters and batch norm statistics; does nothing at weight 0.

    In the first steps the newest weigh more, 9 / (10 + step): else a short training would be scored with what is left
    of its beginning, whose batch norm statistics are of another size.
    """

    def __init__(self, model: nn.Module, weight: float) -> None:
        self.weight = weight
        state = list(model.state_dict().values()) if weight else []
        self.current = [tensor for tensor in state if tensor.is_floating_point()]
        self.average = [tensor.detach().clone() for tensor in self.current]

    @torch.no_grad()
    def update(self, step: int) -> None:
        if self.average:
            torch._foreach_lerp_(self.average, self.current, max(self.weight, 9 / (10 + step)))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's parameters and statistics with their average."""
        if self.average:
            current = [tensor.clone() for tensor in self.current]
            torch._foreach_copy_(self.current, self.average)
            torch._foreach_copy_(self.average, current)
