"""One candidate: cheap things first, then training. Everything that was measured is kept in the cache."""

import copy
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mvit_nas.arch.blocks import peak_memory
from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.count import StaticCost, count
from mvit_nas.cost.latency import Latency
from mvit_nas.cost.static import count_macs, count_params
from mvit_nas.data.images import ImageData, Images, load_part
from mvit_nas.errors import CostError, TrainingError
from mvit_nas.evaluate.cache import Cache, cache_folder, digest
from mvit_nas.evaluate.latency import LatencyMeter
from mvit_nas.nn.backbone import build
from mvit_nas.nn.weights.inherit import inherited
from mvit_nas.training.loop import AtRung, Rung, Score, Stopped, fit_by_rungs
from mvit_nas.training.schedule import Schedule

# What the numbers of a training run depend on beside its key; a change of the loop that changes them raises it.
_TRAINING_VERSION = 3


class Evaluator:
    """Costs and accuracy of candidates on one data set, schedule and machine."""

    def __init__(
        self,
        data: ImageData,
        schedule: Schedule,
        *,
        device: torch.device,
        meter: LatencyMeter,
        folder: Path | None = None,
        on_decode: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        folder = folder or cache_folder()
        self.data = data
        self.schedule = schedule
        self.device = device
        self.meter = meter
        self._images = folder / "images"
        self._cache = Cache(folder / "evaluations")
        self._checkpoints = folder / "checkpoints"
        self._weights = folder / "weights"
        self._on_decode = on_decode
        self._parts: dict[tuple[str, int], Images] = {}

    @property
    def classes(self) -> int:
        """Number of classes of the data."""
        return len(self.data.classes)

    def static_cost(self, arch: ArchConfig) -> StaticCost:
        """Parameters and multiply-adds in closed form."""
        return count(arch, classes=self.classes)

    def check_static_cost(self, arch: ArchConfig) -> None:
        """Raise CostError unless fvcore counts on the built model what the closed form says."""
        model = build(arch, classes=self.classes)
        image = torch.zeros(1, 3, arch.image_size, arch.image_size)
        by_fvcore = StaticCost(params=count_params(model), macs=count_macs(model, image))
        if by_fvcore != self.static_cost(arch):
            raise CostError(f"{arch_id(arch)}: fvcore counts {by_fvcore}, the closed form {self.static_cost(arch)}")

    def latency(self, arch: ArchConfig) -> Latency:
        """Measured latency of the artefact, batch 1; from the cache where it is known."""
        return self.meter.latency(arch, classes=self.classes).latency

    def score(
        self, arch: ArchConfig, *, seed: int, should_stop: Callable[[], bool] = lambda: False
    ) -> tuple[Score, bool]:
        """Accuracy on the search-validation part after the schedule, and whether it was known already.

        Architectures with the same ``seed`` start from the same weights where they have the same layers, and see the
        same images in the same order and crops: what differs between them is then theirs, not the seed's. Raises
        TrainingError where the training diverged, now or when it was first tried.
        """
        score, known = self.score_by_rungs(arch, seed=seed, at_rung=None, should_stop=should_stop)
        assert isinstance(score, Score), "nothing stops it"
        return score, known

    def score_by_rungs(
        self,
        arch: ArchConfig,
        *,
        seed: int,
        at_rung: AtRung | None,
        should_stop: Callable[[], bool],
        parent: str = "",
        keep_weights: bool = False,
    ) -> tuple[Score | Stopped, bool]:
        """``score`` that may be stopped ``at_rung``, and then goes on from there when it is asked for again.

        A score that is known comes back whole: it costs nothing. Training starts from what ``parent``, the name of a
        training whose weights were kept, has in common with the network.
        """
        key = self._score_key(arch, seed, parent)
        known = self._cache.get(key)
        if known is not None:
            if "failure" in known:
                raise TrainingError(known["failure"])
            rungs = tuple(Rung(**rung) for rung in known.get("rungs", ()))
            return Score(**{**known, "losses": tuple(known["losses"]), "rungs": rungs}), True
        side = self.schedule.side(arch.image_size)
        model = build(arch, classes=self.classes, seed=seed)
        if parent:
            model.load_state_dict(inherited(model.state_dict(), load_file(self._weights_of(parent))))
        try:
            score = fit_by_rungs(
                model,
                self.part("train", side),
                self.part("validation", side),
                self.schedule,
                side=side,
                seed=seed,
                device=self.device,
                should_stop=should_stop,
                at_rung=at_rung,
                checkpoint=None if at_rung is None else self._checkpoints / f"{digest(key)}.pt",
            )
        except TrainingError as error:
            self._cache.put(key, {"failure": str(error)})
            raise
        if isinstance(score, Score):
            self._cache.put(key, asdict(score))
            if keep_weights:
                self._keep_weights(model, digest(key))
        return score, False

    def training_name(self, arch: ArchConfig, *, seed: int, parent: str = "") -> str:
        """What the training of ``arch`` is called, whose weights may have been kept."""
        return digest(self._score_key(arch, seed, parent))

    def has_weights(self, training: str) -> bool:
        """Whether the weights of the ``training`` of that name were kept."""
        return self._weights_of(training).is_file()

    def is_known(self, arch: ArchConfig, *, seed: int) -> bool:
        """Whether ``score`` would answer from the cache."""
        return self._cache.get(self._score_key(arch, seed)) is not None

    def with_schedule(self, schedule: Schedule) -> "Evaluator":
        """The same evaluator on another schedule."""
        other = copy.copy(self)
        other.schedule = schedule
        return other

    def part(self, name: Literal["train", "validation"], side: int) -> Images:
        """One part of the data for training at ``side``: decoded once, then mapped into memory. Never the test part."""
        # An eighth more, so that crops have detail to lose.
        stored = (side * 9 + 7) // 8
        if (name, stored) not in self._parts:
            self._parts[name, stored] = load_part(
                self.data,
                name,
                side=stored,
                cache=self._images,
                progress=self._on_decode,
            )
        return self._parts[name, stored]

    def skipped(self) -> tuple[str, ...]:
        """What could not be decoded so far, each with its reason."""
        return tuple(dict.fromkeys(line for part in self._parts.values() for line in part.skipped))

    def _weights_of(self, training: str) -> Path:
        return self._weights / f"{training}.safetensors"

    def _keep_weights(self, model: torch.nn.Module, training: str) -> None:
        path = self._weights_of(training)
        temporary = path.with_name(f".{path.name}-{os.getpid()}")
        with suppress(OSError, SafetensorError):  # where the disk is full nobody inherits from it
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                save_file({name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}, temporary)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

    def _score_key(self, arch: ArchConfig, seed: int, parent: str = "") -> dict[str, Any]:
        schedule = {key: value for key, value in self.schedule.to_dict().items() if key != "name"}
        inheritance = {"parent": parent} if parent else {}
        return inheritance | {
            "kind": "score",
            "arch_id": arch_id(arch),
            "schedule": schedule,
            "data": self.data.fingerprint,
            "seed": seed,
            "device": self.device.type,
            "version": _TRAINING_VERSION,
        }


def static_columns(arch: ArchConfig, cost: StaticCost, *, classes: int) -> dict[str, float]:
    """The columns of a study's table that say what ``arch`` costs without being run."""
    return {
        "params": cost.params,
        "macs": cost.macs,
        "size_mib": 4 * cost.params / 2**20,
        "peak_memory_mib": peak_memory(arch, classes=classes) / 2**20,
    }


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def training_threads() -> int:
    """Threads that training uses: every core that the process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
