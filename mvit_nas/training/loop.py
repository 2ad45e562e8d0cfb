"""Train a model on a schedule and score it on the search-validation part. What it learns is its task's affair."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from mvit_nas.errors import InterruptedCleanlyError, TrainingError
from mvit_nas.maths.share import Accuracy
from mvit_nas.study.record import Rung
from mvit_nas.tasks.classify import Classification, LabelledImages
from mvit_nas.training.checkpoint import Average, Checkpoint, Progress, State, is_statistic
from mvit_nas.training.draws import Draws
from mvit_nas.training.schedule import Schedule
from mvit_nas.training.speed import Speed
from mvit_nas.training.workers import ALONE, Workers

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
    rungs: Collection[int] | None = None,
    checkpoint: Checkpoint | None = None,
    on_step: OnStep = lambda step, loss: None,
    workers: Workers = ALONE,
    speed: Speed | None = None,
) -> Score | Progress:
    """``model`` trained in place on crops of ``train`` at ``side``, then scored on ``validation`` as that is stored.

    ``at_rung`` is asked after each of the epochs ``rungs`` (the schedule's, where not given), with those so far,
    whether to stop there; what comes back is then how far it is. Without it nothing is scored on the way.

    The same seed gives the same numbers on the same device and number of threads: it decides data order, crops and
    dropout; the caller decides the starting weights. It goes on from the file of the ``checkpoint``, which is removed
    at the end, with the numbers of a run that was never stopped. Of several ``workers`` each sees its share of every
    batch. Raises TrainingError when the loss or an output is not finite, InterruptedCleanlyError when ``should_stop``
    says so, CheckpointError where the file is of another training.
    """
    start = time.perf_counter()
    task = task.weighing_classes(train.labels_N) if schedule.class_weights else task
    run = _Run(model, train, schedule, task=task, side=side, seed=seed, device=device, workers=workers, speed=speed)
    progress = run.state.load(checkpoint.path) if checkpoint is not None else Progress()
    if progress.rungs and at_rung is not None and at_rung(progress.rungs):
        return progress
    before = progress.seconds
    for step in range(progress.steps, run.steps):
        if workers.any(should_stop(), device):
            run.keep(checkpoint, progress)
            raise InterruptedCleanlyError("stopped in the middle of a training run")
        run.train(step, on_step)
        progress = replace(progress, steps=step + 1, seconds=before + time.perf_counter() - start)
        if (step + 1) % run.steps_per_epoch == 0:
            progress = replace(progress, losses=(*progress.losses, run.epoch_loss(len(progress.losses))))
            if at_rung is not None and len(progress.losses) in (rungs or schedule.rungs()):
                progress = _with_rung(run, validation, progress)
                run.keep(checkpoint, progress)
                if at_rung(progress.rungs):
                    return progress
        if checkpoint is not None and workers.any(checkpoint.is_due(), device):
            run.keep(checkpoint, progress)
    run.keep(checkpoint, progress)
    run.end()
    result = score(
        model, validation, np.arange(len(validation.aspects_N)), task=task, device=device, should_stop=should_stop
    )
    if checkpoint is not None and workers.is_first:
        checkpoint.path.unlink(missing_ok=True)
    seconds = before + time.perf_counter() - start
    return Score(**asdict(result), losses=progress.losses, seconds=seconds, rungs=progress.rungs)


def _with_rung(run: "_Run", validation: LabelledImages, progress: Progress) -> Progress:
    """``progress`` with the score of some validation images after the epoch that just ended."""
    with run.averaged() as model:
        index_N = _evenly(np.arange(len(validation.aspects_N)))
        some = score(model, validation, index_N, task=run.task, device=run.state.device)
    losses = progress.losses
    rung = Rung(epoch=len(losses), loss=losses[-1], correct=some.correct, images=some.images)
    return replace(progress, rungs=(*progress.rungs, rung))


@torch.inference_mode()
def score(
    model: nn.Module,
    part: LabelledImages,
    index_N: np.ndarray,
    *,
    task: Classification,
    device: torch.device,
    should_stop: Callable[[], bool] = lambda: False,
) -> Accuracy:
    """The score of ``model`` on the images of ``part`` at ``index_N``, as they are stored.

    ``model`` is in evaluation mode afterwards. Raises TrainingError when an output is not finite,
    InterruptedCleanlyError when ``should_stop`` says so.
    """
    model.eval()
    usual = Speed.usual(device)
    counts = []
    finite = torch.ones((), dtype=torch.bool, device=device)
    for first in range(0, len(index_N), _SCORING_BATCH):
        if should_stop():
            raise InterruptedCleanlyError("stopped while a model was scored")
        batch = task.take(part, index_N[first : first + _SCORING_BATCH], device=device)
        with usual.autocast(device):
            outputs = model(task.seen(batch))
        counts.append(task.counts(outputs, batch.targets_B))
        finite &= outputs.isfinite().all()
    if not finite:
        raise TrainingError("the trained model gives outputs that are not finite")
    return task.score(torch.stack(counts).sum(0))


class _Run:
    """A training run: its tensors, and what a step does to them."""

    def __init__(
        self,
        model: nn.Module,
        train: LabelledImages,
        schedule: Schedule,
        *,
        task: Classification,
        side: int,
        seed: int,
        device: torch.device,
        workers: Workers,
        speed: Speed | None,
    ) -> None:
        batches = schedule.batches(len(train.aspects_N), side)
        workers.check(batch.size for batch in batches)
        self.task = task
        self._train, self._schedule, self._workers = train, schedule, workers
        self._draws = Draws(seed, images=len(train.aspects_N), batches=batches)
        self.steps_per_epoch = len(batches)
        self.steps = schedule.epochs * len(batches)
        model.to(device)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
        )
        self.state = State(
            model=model,
            optimizer=optimizer,
            average=Average(model, schedule.ema),
            loss=torch.zeros((), device=device),
            device=device,
        )
        self._speed = speed or Speed.usual(device)
        self._network = self._speed.prepared(workers.together(model, device))

    def train(self, number: int, on_step: OnStep) -> None:
        """One step of the optimiser."""
        state, schedule = self.state, self._schedule
        state.model.train()
        drawn = self._draws.step(number).of(self._workers.rank, self._workers.count).sorted()
        torch.manual_seed(drawn.seed)
        inputs, targets = self.task.augmented(
            self.task.take(self._train, drawn.index_B, device=state.device),
            side=drawn.side,
            augmentation=schedule.augmentation,
            min_crop=schedule.min_crop,
            uniform_B5=drawn.uniform_B5,
        )
        for group in state.optimizer.param_groups:
            group["lr"] = schedule.learning_rate_at(number, self.steps)
        state.optimizer.zero_grad()
        loss = self._gradients(inputs, targets)
        if schedule.clip_norm:
            torch.nn.utils.clip_grad_norm_(state.model.parameters(), schedule.clip_norm)
        state.optimizer.step()
        state.average.update(number)
        state.loss.add_(loss)
        on_step(number + 1, loss)

    def _gradients(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, part by part, whose gradients are added up."""
        total = torch.zeros((), device=self.state.device)
        parts = list(
            zip(inputs.chunk(self._schedule.accumulate), targets.chunk(self._schedule.accumulate), strict=True)
        )
        for place, (part, answers) in enumerate(parts, start=1):
            with self._workers.alone_until(self._network, is_last=place == len(parts)):
                with self._speed.autocast(self.state.device):
                    outputs = self._network(part)
                loss = self.task.loss(outputs, answers, label_smoothing=self._schedule.label_smoothing)
                loss = loss * (len(part) / len(inputs)) if len(parts) > 1 else loss
                loss.backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach()
        return total

    def epoch_loss(self, epoch: int) -> float:
        """The mean training loss of the ``epoch`` (from 0) that just ended. Raises TrainingError where it is none."""
        self._workers.average([self.state.loss])
        mean = float(self.state.loss) / self.steps_per_epoch
        self.state.loss.zero_()
        if not np.isfinite(mean):
            raise TrainingError(f"the training loss became {mean} in epoch {epoch + 1} of {self._schedule.epochs}")
        return mean

    def keep(self, checkpoint: Checkpoint | None, progress: Progress) -> None:
        """Write the state where it is to be kept. Of several processes the first one does."""
        if checkpoint is not None:
            self._average_statistics()
            checkpoint.keep(self.state, progress, by_this=self._workers.is_first)

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The model meanwhile as it is scored: with the moving average of its parameters, where there is one."""
        self._average_statistics()
        self.state.average.swap()
        yield self.state.model
        self.state.average.swap()

    def end(self) -> None:
        """Leave the model as it is scored."""
        self._average_statistics()
        self.state.average.swap()

    def _average_statistics(self) -> None:
        named = self.state.model.named_buffers()
        self._workers.average(
            [*(tensor for name, tensor in named if is_statistic(name)), *self.state.average.statistics()]
        )


def _evenly(index_N: np.ndarray) -> np.ndarray:
    """Some of ``index_N``, evenly over the part, which may be sorted by class."""
    chosen = np.linspace(0, len(index_N) - 1, min(len(index_N), _RUNG_IMAGES)).astype(int)
    return np.asarray(index_N[np.unique(chosen)])
