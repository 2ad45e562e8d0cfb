"""The state of a training run and how it lies on disk, from where it goes on as if it had never been stopped."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mvit_nas.errors import InputError
from mvit_nas.files import write_whole
from mvit_nas.study.record import Rung


class CheckpointError(InputError):
    """A file that is no state of this training."""


class Average:
    """Exponential moving average of parameters and batch norm statistics; does nothing at weight 0.

    In the first steps the newest weigh more, 9 / (10 + step): else a short training would be scored with what is left
    of its beginning, whose batch norm statistics are of another size.
    """

    def __init__(self, model: nn.Module, weight: float) -> None:
        self.weight = weight
        state = {name: tensor for name, tensor in model.state_dict().items() if weight and tensor.is_floating_point()}
        self.current = list(state.values())
        self._statistics = [place for place, name in enumerate(state) if is_statistic(name)]
        self.average = [tensor.detach().clone() for tensor in self.current]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in what the model is after ``step``."""
        if self.average:
            torch._foreach_lerp_(self.average, self.current, max(self.weight, 9 / (10 + step)))

    def statistics(self) -> Iterator[Tensor]:
        """The averages of batch norm's statistics, which each of several processes has its own of."""
        return (self.average[place] for place in self._statistics)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's parameters and statistics with their average."""
        if self.average:
            current = [tensor.clone() for tensor in self.current]
            torch._foreach_copy_(self.current, self.average)
            torch._foreach_copy_(self.average, current)


def is_statistic(name: str) -> bool:
    """Whether the tensor of that ``name`` is of batch norm's running statistics."""
    return name.endswith((".running_mean", ".running_var"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training run is after ``steps``: the ``losses`` of its epochs, its ``rungs``, and its ``seconds``."""

    steps: int = 0
    losses: tuple[float, ...] = ()
    rungs: tuple[Rung, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The tensors of a training run: with its number of steps, all that decides how it goes on.

    ``loss`` is the sum over the steps of the epoch that is not done.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average
    loss: Tensor
    device: torch.device

    def save(self, path: Path, progress: Progress) -> bool:
        """Write it to ``path`` at once: readers see the old file or the new one, never a part.

        Says whether it could be written. A run goes on where it could not; should it be stopped, it goes on from an
        older state or starts again.
        """
        kept = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.average,
            "loss": self.loss,
            **asdict(progress),
        }
        try:
            write_whole(path, lambda temporary: torch.save(kept, temporary))
        except (OSError, RuntimeError):  # torch raises the second where the disk is full
            return False
        return True

    def load(self, path: Path) -> Progress:
        """Take the state from ``path`` and return how far it is; the beginning where there is no file.

        Raises CheckpointError, and leaves everything as it was, for a file that was cut off, of another network, or of
        another version.
        """
        if not path.exists():
            return Progress()
        try:
            kept = torch.load(path, map_location=self.device, weights_only=True)
            progress = Progress(
                steps=kept["steps"],
                losses=tuple(kept["losses"]),
                rungs=tuple(Rung(**rung) for rung in kept["rungs"]),
                seconds=kept["seconds"],
            )
            average, loss = list(kept["average"]), torch.as_tensor(kept["loss"]).reshape(())
            if [one.shape for one in average] != [one.shape for one in self.average.average]:
                raise ValueError("its moving average is of another network")
            self.model.load_state_dict(kept["model"])
            self.optimizer.load_state_dict(kept["optimizer"])
        except Exception as error:  # a pickle that was tampered with raises anything
            reason = " ".join(str(error).split())[:160]
            raise CheckpointError(
                f"cannot go on from {path}: it is damaged or of another training ({reason})"
            ) from None
        self.average.average = average
        self.loss.copy_(loss)
        return progress


def steps_kept(path: Path) -> int:
    """After how many steps the state in ``path`` was kept; 0 where there is none that can be read."""
    try:
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["steps"])
    except Exception:  # none yet, cut off, or a pickle that was tampered with: the training starts again
        return 0


class Checkpoint:
    """Where the state of a run is kept: at its rungs, when it is stopped, and every so many seconds."""

    def __init__(self, path: Path, *, every_seconds: float = math.inf, on_failure: Callable[[], None] = lambda: None):
        """``on_failure`` is told of each time that the file could not be written."""
        self.path = path
        self._every_seconds = every_seconds
        self._on_failure = on_failure
        self._kept_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() - self._kept_at >= self._every_seconds

    def keep(self, state: State, progress: Progress, *, by_this: bool = True) -> None:
        """Write ``state``; ``by_this`` process, or by another one."""
        self._kept_at = time.monotonic()
        if by_this and not state.save(self.path, progress):
            self._on_failure()
