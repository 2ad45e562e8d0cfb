"""Train a model on a schedule and score it on the search-validation part. What it learns is its task's affair."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mvit_nas.errors import InterruptedCleanlyError, TrainingError
from mvit_nas.study.record import Rung
from mvit_nas.tasks.classify import Accuracy, Classification, LabelledImages
from mvit_nas.training.checkpoint import Average, Order, Progress, State
from mvit_nas.training.schedule import Schedule

# Told after each step how many there were, and its loss, which is on the training device.
OnStep = Callable[[int, Tensor], None]

_SCORING_BATCH = 64
# Images of the search-validation part that a rung is scored on, at most: about the work of 170 training
# images, where `short` trains on 8,000.
_RUNG_IMAGES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Accuracy):
    """How well a model did on the search-validation part.

    ``losses`` is the mean training loss of each epoch, ``seconds`` the wall time of training and scoring. ``rungs`` are
    there if they were asked for.
    """

    losses: tuple[float, ...]
    seconds: float
    rungs: tuple[Rung, ...] = ()


def fit(
    model: nn.Module,
    train: LabelledImages,
    validation: LabelledImages,
    schedule: Schedule,
    *,
    task: Classification,
    side: int,
    seed: int,
    device: torch.device,
    should_stop: Callable[[], bool] = lambda: False,
    at_rung: Callable[[tuple[Rung, ...]], bool] | None = None,
    checkpoint: Path | None = None,
    on_step: OnStep = lambda step, loss: None,
) -> Score | Progress:
    """``model`` trained in place on crops of ``train`` at ``side``, then scored on ``validation`` as that is stored.

    ``at_rung`` is asked after each rung, with those so far, whether to stop there; what comes back is then how far it
    is. Without it nothing is scored or kept on the way.

    The same seed gives the same numbers on the same device and number of threads: it decides data order, crops and
    dropout; the caller decides the starting weights. It goes on from ``checkpoint``, a file that is kept at each rung
    and removed at the end, with the numbers of a run that was never stopped. Raises TrainingError when the loss or an
    output is not finite, InterruptedCleanlyError when ``should_stop`` says so.
    """
    start = time.perf_counter()
    task = task.weighing_classes(train.labels_N) if schedule.class_weights else task
    state = _beginning(model, train, schedule, seed=seed, device=device)
    kept = state.load(checkpoint) if checkpoint is not None else None
    if kept is not None and at_rung is not None and at_rung(kept.rungs):
        return kept
    before = kept or Progress()
    losses, rungs, everything = list(before.losses), before.rungs, np.arange(len(validation.aspects_N))
    for epoch in range(len(losses), schedule.epochs):
        losses.append(
            _train_epoch(state, train, schedule, epoch, task=task, side=side, should_stop=should_stop, on_step=on_step)
        )
        if at_rung is not None and epoch + 1 in schedule.rungs():
            state.average.swap()
            some = _evenly(everything)
            result = score(model, validation, some, task=task, device=device, should_stop=should_stop)
            state.average.swap()
            rungs = (
                *rungs,
                Rung(epoch=epoch + 1, loss=losses[-1], correct=result.correct, images=result.images),
            )
            seconds = before.seconds + time.perf_counter() - start
            progress = Progress(losses=tuple(losses), rungs=rungs, seconds=seconds)
            if checkpoint is not None:
                state.save(checkpoint, progress)
            if at_rung(rungs):
                return progress
    state.average.swap()
    result = score(model, validation, everything, task=task, device=device, should_stop=should_stop)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    seconds = before.seconds + time.perf_counter() - start
    return Score(
        correct_K=result.correct_K, images_K=result.images_K, losses=tuple(losses), seconds=seconds, rungs=rungs
    )


@torch.inference_mode()
def score(
    model: nn.Module,
    part: LabelledImages,
    index_N: np.ndarray,
    *,
    task: Classification,
    device: torch.device,
    should_stop: Callable[[], bool],
) -> Accuracy:
    """The score of ``model`` on the images of ``part`` at ``index_N``, as they are stored.

    ``model`` is in evaluation mode afterwards. Raises TrainingError when an output is not finite,
    InterruptedCleanlyError when ``should_stop`` says so.
    """
    model.eval()
    counts = []
    finite = torch.ones((), dtype=torch.bool, device=device)
    for first in range(0, len(index_N), _SCORING_BATCH):
        if should_stop():
            raise InterruptedCleanlyError("stopped while a model was scored")
        batch = task.take(part, index_N[first : first + _SCORING_BATCH], device=device)
        with _autocast(device):
            outputs = model(task.seen(batch))
        counts.append(task.counts(outputs, batch.targets_B))
        finite &= outputs.isfinite().all()
    if not finite:
        raise TrainingError("the trained model gives outputs that are not finite")
    return task.score(torch.stack(counts).sum(0))


def _beginning(
    model: nn.Module, train: LabelledImages, schedule: Schedule, *, seed: int, device: torch.device
) -> State:
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    # Apart from the order, so that schedules which crop differently see the same images at the same steps.
    crops = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=order)))
    model.to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
    )
    return State(
        model=model,
        optimizer=optimizer,
        average=Average(model, schedule.ema),
        order=Order(len(train.aspects_N), order),
        crops=crops,
        device=device,
    )


def _train_epoch(
    state: State,
    train: LabelledImages,
    schedule: Schedule,
    epoch: int,
    *,
    task: Classification,
    side: int,
    should_stop: Callable[[], bool],
    on_step: OnStep,
) -> float:
    """The mean training loss of one epoch (from 0)."""
    model, optimizer, device, images = state.model, state.optimizer, state.device, len(train.aspects_N)
    steps, per_epoch = schedule.steps(images), schedule.steps_per_epoch(images)
    model.train()
    total = torch.zeros((), device=device)
    for step in range(epoch * per_epoch, (epoch + 1) * per_epoch):
        if should_stop():
            raise InterruptedCleanlyError("stopped in the middle of a training run")
        inputs, targets = task.augmented(
            task.take(train, state.order.next(schedule.batch_size), device=device),
            side=side,
            augmentation=schedule.augmentation,
            min_crop=schedule.min_crop,
            generator=state.crops,
        )
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate_at(step, steps)
        with _autocast(device):
            outputs = model(inputs)
        loss = task.loss(outputs, targets, label_smoothing=schedule.label_smoothing)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if schedule.clip_norm:
            torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip_norm)
        optimizer.step()
        state.average.update(step)
        total += loss.detach()
        on_step(step + 1, loss.detach())
    mean = float(total) / per_epoch
    if not np.isfinite(mean):
        raise TrainingError(f"the training loss became {mean} in epoch {epoch + 1} of {schedule.epochs}")
    return mean


def _evenly(index_N: np.ndarray) -> np.ndarray:
    """Some of ``index_N``, evenly over the part, which may be sorted by class."""
    chosen = np.linspace(0, len(index_N) - 1, min(len(index_N), _RUNG_IMAGES)).astype(int)
    return np.asarray(index_N[np.unique(chosen)])


def _autocast(device: torch.device) -> torch.autocast:
    """bf16 where it pays: on CUDA devices that have it."""
    enabled = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
