"""The state of a training run and how it lies on disk, from where it goes on as if it had never been stopped."""

import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import StateDict

from mvit_nas.files import write_whole
from mvit_nas.study.record import Rung


class Average:
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
        """Take in what the model is after ``step``."""
        if self.average:
            torch._foreach_lerp_(self.average, self.current, max(self.weight, 9 / (10 + step)))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's parameters and statistics with their average."""
        if self.average:
            current = [tensor.clone() for tensor in self.current]
            torch._foreach_copy_(self.current, self.average)
            torch._foreach_copy_(self.average, current)


class Order:
    """The order of ``images`` without end: each once in a random order, then again in another."""

    def __init__(self, images: int, generator: torch.Generator) -> None:
        self._images = images
        self.generator = generator
        self.ahead: list[int] = []

    def next(self, size: int) -> np.ndarray:
        """The positions of the next ``size`` images, ascending."""
        while len(self.ahead) < size:
            self.ahead += torch.randperm(self._images, generator=self.generator).tolist()
        chosen, self.ahead = self.ahead[:size], self.ahead[size:]
        return np.sort(np.array(chosen))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training run is: the ``losses`` of its epochs, its ``rungs``, and the ``seconds`` that they took."""

    losses: tuple[float, ...] = ()
    rungs: tuple[Rung, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What the file holds: tensors, and plain values that can be loaded without running code."""

    model: Mapping[str, Tensor]
    optimizer: StateDict
    average: list[Tensor]
    order: Tensor
    order_generator: Tensor
    crops_generator: Tensor
    generator: Tensor
    cuda_generator: Tensor | None
    losses: list[float]
    rungs: list[dict[str, Any]]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that decides how a training run goes on."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average
    order: Order
    crops: torch.Generator
    device: torch.device

    def save(self, path: Path, progress: Progress) -> None:
        """Write it to ``path`` at once: readers see the old file or the new one, never a part.

        A run goes on where it cannot be written; should it be stopped, it starts again from the beginning.
        """
        kept = _Kept(
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            average=self.average.average,
            order=torch.tensor(self.order.ahead),
            order_generator=self.order.generator.get_state(),
            crops_generator=self.crops.get_state(),
            generator=torch.get_rng_state(),
            cuda_generator=torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            losses=list(progress.losses),
            rungs=[asdict(rung) for rung in progress.rungs],
            seconds=progress.seconds,
        )
        state = {one.name: getattr(kept, one.name) for one in fields(kept)}
        with suppress(OSError, RuntimeError):  # torch raises the second where the disk is full
            write_whole(path, lambda temporary: torch.save(state, temporary))

    def load(self, path: Path) -> Progress | None:
        """Take the state from ``path`` and return how far it is; None where there is none."""
        try:
            kept = _Kept(**torch.load(path, map_location=self.device, weights_only=True))
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, TypeError):
            return None  # none, one that a full disk cut off, or another version's: the run starts again
        self.model.load_state_dict(kept.model)
        self.optimizer.load_state_dict(kept.optimizer)
        self.average.average = kept.average
        self.order.ahead = kept.order.tolist()
        self.order.generator.set_state(kept.order_generator.cpu())
        self.crops.set_state(kept.crops_generator.cpu())
        torch.set_rng_state(kept.generator.cpu())
        if kept.cuda_generator is not None:
            torch.cuda.set_rng_state(kept.cuda_generator.cpu(), self.device)
        rungs = tuple(Rung(**rung) for rung in kept.rungs)
        return Progress(losses=tuple(kept.losses), rungs=rungs, seconds=kept.seconds)
