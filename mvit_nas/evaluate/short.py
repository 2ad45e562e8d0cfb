"""The estimator that trains: accuracy after a short schedule. Everything that was trained is kept in the cache."""

import copy
import functools
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.data.contract import InputContract
from mvit_nas.data.parts import ImageData
from mvit_nas.data.store import Images, load_part, load_scored
from mvit_nas.errors import PartialError, TrainingError
from mvit_nas.evaluate.cache import Cache, Document, Key, cache_folder, digest
from mvit_nas.evaluate.estimator import AtRung, Estimate, Question, never
from mvit_nas.evaluate.static import check_static_cost
from mvit_nas.files import sweep, write_whole
from mvit_nas.maths.share import Accuracy
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY
from mvit_nas.nn.backbone import MobileViT, build
from mvit_nas.nn.weights.inherit import Source, initialised
from mvit_nas.reporter import Reporter, TrainingStep
from mvit_nas.study.record import Measured, Rung
from mvit_nas.tasks.classify import Classification
from mvit_nas.training.checkpoint import Checkpoint, CheckpointError, Progress, steps_kept
from mvit_nas.training.loop import OnStep, Score, fit
from mvit_nas.training.schedule import Schedule

# What the numbers of a training run depend on beside its key; a change of the loop that changes them raises it.
TRAINING_VERSION = 6
# The same of trainings that start from other weights alone: a change of what is copied raises it.
_INHERITANCE_VERSION = 2
# Parts of at least so many images take long enough to say that they are decoded.
_MANY_IMAGES = 5000
# The running line moves at most once in so many seconds.
_REPORT_SECONDS = 0.1


class ShortTraining:
    """Accuracy of candidates on one data set and schedule, on one device.

    Each starts from what fits of ``source``, where there is one, and else from weights of its own.
    """

    def __init__(
        self,
        data: ImageData,
        schedule: Schedule,
        *,
        device: torch.device,
        source: Source | None = None,
        folder: Path | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        folder = folder or cache_folder()
        self.folder = folder
        self.data = data
        self.classes = len(data.classes)
        self.task = Classification(classes=self.classes)
        self.schedule = schedule
        self.device = device
        self.source = source
        self._images = folder / "images"
        self._cache = Cache(folder / "evaluations")
        self._checkpoints = folder / "checkpoints"
        self._weights = folder / "weights"
        for kept in (self._checkpoints, self._weights):
            sweep(kept)
        self._reporter = reporter or Reporter()
        self._parts: dict[tuple[str, int | InputContract], Images] = {}

    @property
    def start(self) -> str | None:
        """Names the weights that networks start from, None where those are their own."""
        return None if self.source is None else self.source.digest

    @property
    def epochs(self) -> int:
        """Of a whole training."""
        return self.schedule.epochs

    def estimate(
        self,
        question: Question,
        *,
        at_rung: AtRung = never,
        should_stop: Callable[[], bool] = never,
        parent: str = "",
        keep_weights: bool = False,
    ) -> Estimate:
        """The accuracy on the search-validation part, after its static cost was checked.

        Where a GPU's memory is too small it is trained once more with half the batch at a time, and the note says so:
        batch norm then sees other batches. Training is scored at its rungs, goes on from the last one where it was
        interrupted or stopped, and starts from what ``parent``, the name of a training whose weights were kept, has in
        common with the network. Raises CostError where the closed form of the cost is wrong.
        """
        ask = functools.partial(
            ShortTraining._estimate,
            question=question,
            at_rung=at_rung,
            should_stop=should_stop,
            parent=parent,
            keep_weights=keep_weights,
        )
        try:
            return ask(self)
        except torch.OutOfMemoryError:
            halved = self.with_schedule(replace(self.schedule, accumulate=2 * self.schedule.accumulate))
        torch.cuda.empty_cache()  # here, since the error held on to the memory
        note = f"in {halved.schedule.accumulate} parts of each batch: the whole did not fit the GPU's memory"
        return replace(ask(halved), note=note)

    def _estimate(
        self, *, question: Question, at_rung: AtRung, should_stop: Callable[[], bool], parent: str, keep_weights: bool
    ) -> Estimate:
        arch, seed = question.record.candidate.arch, question.record.seed
        assert arch is not None, "only networks are trained"
        assert seed is not None, "a training has a seed"
        check_static_cost(arch, classes=self.classes)
        try:
            score, was_known = self._score(
                arch, seed=seed, at_rung=at_rung, should_stop=should_stop, parent=parent, keep_weights=keep_weights
            )
        except TrainingError as error:
            return Estimate(failure=str(error))
        if not isinstance(score, Score):
            return Estimate(rungs=score.rungs, epochs=score.rungs[-1].epoch, seconds=score.seconds)
        values = values_of(score)
        return Estimate(
            accuracy=values[ACCURACY.name],
            balanced=values[BALANCED_ACCURACY.name],
            rungs=score.rungs,
            epochs=self.epochs,
            seconds=score.seconds,
            was_known=was_known,
        )

    def score(self, arch: ArchConfig, *, seed: int, should_stop: Callable[[], bool] = never) -> tuple[Score, bool]:
        """Accuracy on the search-validation part after the schedule, and whether it was known already.

        Architectures with the same ``seed`` start from the same weights where they have the same layers, and see the
        same images in the same order and crops: what differs between them is then theirs, not the seed's. Raises
        TrainingError where the training diverged, now or when it was first tried.
        """
        score, was_known = self._score(arch, seed=seed, should_stop=should_stop)
        assert isinstance(score, Score), "nothing stops it"
        return score, was_known

    def kept(self, arch: ArchConfig, *, seed: int, should_stop: Callable[[], bool] = never) -> tuple[Score, bool]:
        """As ``score``, with the weights kept: a training whose weights were not is done again.

        It goes on from its last rung where it was interrupted. Raises PartialError where they cannot be written.
        """
        name = self.training_name(arch, seed=seed)
        again = not self.has_weights(name)
        score, was_known = self._score(
            arch, seed=seed, should_stop=should_stop, at_rung=never, keep_weights=True, again=again
        )
        assert isinstance(score, Score), "nothing stops it"
        if not self.has_weights(name):
            raise PartialError(
                f"the weights cannot be written to {self._weights}: make room, then run the command again"
            )
        return score, was_known

    def _score(
        self,
        arch: ArchConfig,
        *,
        seed: int,
        should_stop: Callable[[], bool],
        at_rung: AtRung | None = None,
        parent: str = "",
        keep_weights: bool = False,
        again: bool = False,
    ) -> tuple[Score | Progress, bool]:
        """The score, and whether it was known already; a score that is known comes back whole, as it costs nothing.

        ``again``: it is trained although it is known, unless it failed.
        """
        key = self._score_key(arch, seed, parent)
        name = digest(key)
        known = self._cache.get(key, _kept)
        if isinstance(known, TrainingError):
            raise known
        if known is not None and not again:
            return known, True
        checkpoint = self._checkpoints / f"{name}.pt"
        train = functools.partial(
            self._trained, arch, seed=seed, should_stop=should_stop, at_rung=at_rung, parent=parent, path=checkpoint
        )
        try:
            try:
                model, score = train()
            except CheckpointError:  # cut off by a full disk, or another version's: the run starts again
                checkpoint.unlink()
                model, score = train()
        except TrainingError as error:
            self._cache.put(key, {"failure": str(error)})
            raise
        if isinstance(score, Score):
            self._cache.put(key, asdict(score))
            if keep_weights:
                self._keep_weights(model, name)
        return score, False

    def _trained(
        self,
        arch: ArchConfig,
        *,
        seed: int,
        should_stop: Callable[[], bool],
        at_rung: AtRung | None,
        parent: str,
        path: Path,
    ) -> tuple[MobileViT, Score | Progress]:
        """The network with its score; its state is kept in ``path`` where there are rungs."""
        side = self.schedule.side(arch.image_size)
        train, validation = self.train_part(side), self.scored_part("validation", side)
        model = build(arch, classes=self.classes, seed=seed)
        source = self._of(parent) if parent else self.source
        if source is not None:
            state, _ = initialised(model.state_dict(), source, self.data.classes, partial=True)
            model.load_state_dict(state)
        score = fit(
            model,
            train,
            validation,
            self.schedule,
            task=self.task,
            side=side,
            seed=seed,
            device=self.device,
            should_stop=should_stop,
            at_rung=at_rung,
            checkpoint=None if at_rung is None else Checkpoint(path),
            on_step=self.reporting(len(train.labels_N), side),
        )
        return model, score

    def reporting(self, images: int, side: int) -> OnStep:
        """What tells the reporter of each step of a training on so many ``images`` at ``side``."""
        batches = self.schedule.batches(images, side)
        steps_per_epoch, steps = len(batches), len(batches) * self.schedule.epochs
        batch_size = sum(batch.size for batch in batches) / len(batches)
        start = last = time.monotonic()
        first: int | None = None

        def on_step(step: int, loss: Tensor) -> None:
            nonlocal first, last
            first = step - 1 if first is None else first  # a run that goes on begins in the middle
            now = time.monotonic()
            if now - last < _REPORT_SECONDS and step < steps:
                return
            last = now
            rate = (step - first) / max(now - start, 1e-9)
            self._reporter.training(
                TrainingStep(
                    epoch=(step - 1) // steps_per_epoch + 1,
                    epochs=self.schedule.epochs,
                    step=step,
                    steps=steps,
                    loss=float(loss),
                    images_per_second=rate * batch_size,
                    seconds_left=(steps - step) / rate,
                )
            )

        return on_step

    def training_name(self, arch: ArchConfig, *, seed: int, parent: str = "") -> str:
        """What the training of ``arch`` is called, whose weights may have been kept."""
        return digest(self._score_key(arch, seed, parent))

    def _of(self, training: str) -> Source:
        """What a network takes that inherits from the ``training`` of that name."""
        return Source(name=training, weights=self.weights(training), classes=self.data.classes)

    def has_weights(self, training: str) -> bool:
        """Whether the weights of the ``training`` of that name were kept."""
        return self._weights_of(training).is_file()

    def weights(self, training: str) -> dict[str, Tensor]:
        """The weights of the ``training`` of that name, which were kept."""
        return load_file(self._weights_of(training))

    def progress(self, arch: ArchConfig, *, seed: int) -> int:
        """The steps of a training that is not finished, as far as its state was kept."""
        return steps_kept(self._checkpoints / f"{self.training_name(arch, seed=seed)}.pt")

    def is_known(self, arch: ArchConfig, *, seed: int) -> bool:
        """Whether ``score`` would answer from the cache."""
        return self._cache.has(self._score_key(arch, seed))

    def is_kept(self, arch: ArchConfig, *, seed: int) -> bool:
        """Whether ``kept`` would train nothing: it has the weights, or knows that the training fails."""
        key = self._score_key(arch, seed)
        known = self._cache.get(key, _kept)
        return known is not None and (isinstance(known, TrainingError) or self.has_weights(digest(key)))

    def by_seed(self) -> list[list[float]]:
        """The accuracies of each network that was trained from its own weights here with several seeds."""
        found: dict[str, dict[int, float]] = {}
        for key, value in self._cache.all():
            identity, seed = key.get("arch_id"), key.get("seed")
            same = {**key, "arch_id": "", "seed": 0} == self._conditions("", 0)
            if same and isinstance(identity, str) and isinstance(seed, int) and "correct_K" in value:
                found.setdefault(identity, {})[seed] = sum(value["correct_K"]) / sum(value["images_K"])
        return [[*seeds.values()] for seeds in found.values() if len(seeds) > 1]

    def with_schedule(self, schedule: Schedule) -> "ShortTraining":
        """The same on another schedule."""
        other = copy.copy(self)
        other.schedule = schedule
        return other

    def outside(self, folder: Path) -> "ShortTraining":
        """The same on the same images, which knows nothing of what was trained, and keeps its own in ``folder``."""
        other = copy.copy(self)
        other.folder, other._cache = folder, Cache(folder / "evaluations")
        other._checkpoints, other._weights = folder / "checkpoints", folder / "weights"
        return other

    def part(self, name: Literal["train"], side: int) -> Images:
        """A part of the data for training at ``side``: decoded once, then mapped into memory.

        Its images are squashed whole, for crops to be taken of them.
        """
        # An eighth more, so that crops have detail to lose.
        stored = (side * 9 + 7) // 8
        if (name, stored) not in self._parts:
            self._parts[name, stored] = load_part(
                self.data, name, side=stored, cache=self._images, progress=self._decoding()
            )
        return self._parts[name, stored]

    def train_part(self, side: int) -> Images:
        """The training part for networks that are trained at ``side``, or at several sides around it."""
        return self.part("train", max(batch.side for batch in self.schedule.batches(self.data.count("train"), side)))

    def contract(self, side: int) -> InputContract:
        """What is done to images before networks of ``side`` pixels are scored on them."""
        return InputContract(side=side)

    def scored_part(self, name: Literal["validation", "test"], side: int) -> Images:
        """One part of the data as networks of ``side`` pixels are scored on it: decoded once, then mapped into memory.

        Only ``mvit-nas confirm`` asks for the test part.
        """
        contract = self.contract(side)
        if (name, contract) not in self._parts:
            self._parts[name, contract] = load_scored(
                self.data, name, contract, cache=self._images, progress=self._decoding()
            )
        return self._parts[name, contract]

    def skipped(self) -> tuple[str, ...]:
        """What could not be decoded so far, each with its reason."""
        return tuple(dict.fromkeys(line for part in self._parts.values() for line in part.skipped))

    def _weights_of(self, training: str) -> Path:
        return self._weights / f"{training}.safetensors"

    def _keep_weights(self, model: torch.nn.Module, training: str) -> None:
        state = {name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
        with suppress(OSError, SafetensorError):  # where the disk is full nobody inherits from it
            write_whole(self._weights_of(training), lambda temporary: save_file(state, temporary))

    def _decoding(self) -> Callable[[int, int], None]:
        """What says that images are decoded, once every tenth of them."""
        said = 0

        def progress(done: int, total: int) -> None:
            nonlocal said
            tenth = done * 10 // max(1, total) + 1
            if total >= _MANY_IMAGES and tenth > said:
                said = tenth
                self._reporter.doing(f"decoding images: {done:,} of {total:,}")

        return progress

    def _score_key(self, arch: ArchConfig, seed: int, parent: str = "") -> Key:
        inheritance = {"parent": parent, "inheritance": _INHERITANCE_VERSION} if parent else {}
        return inheritance | self._conditions(arch_id(arch), seed)

    def _conditions(self, identity: str, seed: int) -> dict[str, object]:
        schedule = {key: value for key, value in self.schedule.to_dict().items() if key != "name"}
        start = {} if self.start is None else {"init": self.start, "inheritance": _INHERITANCE_VERSION}
        return start | {
            "kind": "score",
            "arch_id": identity,
            "schedule": schedule,
            "data": self.data.fingerprint,
            "seed": seed,
            "device": self.device.type,
            "version": TRAINING_VERSION,
        }


def values_of(score: Accuracy) -> dict[str, Measured]:
    """What a training measures, by the name of the metric."""
    (low, high), (balanced_low, balanced_high) = score.interval, score.balanced_interval
    return {
        ACCURACY.name: Measured(value=score.accuracy, low=low, high=high),
        BALANCED_ACCURACY.name: Measured(value=score.balanced, low=balanced_low, high=balanced_high),
    }


def training_threads() -> int:
    """Threads that training uses: every core that the process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _kept(document: Document) -> Score | TrainingError:
    """What the cache keeps of a training: its score, or how it failed."""
    if "failure" in document:
        return TrainingError(document["failure"])
    rungs = tuple(Rung(**rung) for rung in document.get("rungs", ()))
    lists = {name: tuple(document[name]) for name in ("correct_K", "images_K", "losses")}
    return Score(**{**document, **lists, "rungs": rungs})
