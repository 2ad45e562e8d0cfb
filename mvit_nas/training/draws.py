"""What each step of a training sees, drawn from the seed and the number of the step alone.

So the number of the step is all the state that there is beside the tensors: a run goes on in the middle of an epoch,
also with another number of processes, as if it had never been stopped. Axes: B images of a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mvit_nas.maths.seeds import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The ``side`` and the size of a step's batch."""

    side: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: which images it sees, at which ``side``, and the five uniform numbers of each that decide its crop.

    ``seed`` is that of its dropout.
    """

    side: int
    index_B: np.ndarray
    uniform_B5: Tensor
    seed: int

    def of(self, rank: int, count: int) -> "Step":
        """The part of one of ``count`` processes: every image is in one of them."""
        mine = slice(rank, None, count)
        return Step(
            side=self.side,
            index_B=self.index_B[mine],
            uniform_B5=self.uniform_B5[mine],
            seed=derive_seed(self.seed, rank) if rank else self.seed,
        )

    def sorted(self) -> "Step":
        """The same in ascending order of the images, as files are read."""
        order_B = np.argsort(self.index_B, kind="stable")
        uniform_B5 = self.uniform_B5[torch.from_numpy(order_B)]
        return Step(side=self.side, index_B=self.index_B[order_B], uniform_B5=uniform_B5, seed=self.seed)


class Draws:
    """The steps of a training on ``images``, whose every epoch has the ``batches`` in an order of its own.

    Images come in a random order without end: each once, then all again in another order.
    """

    def __init__(self, seed: int, *, images: int, batches: Sequence[Batch]) -> None:
        self._seed = seed
        self._images = images
        self._batches = list(batches)
        self._mixed = len({batch.side for batch in batches}) > 1
        self._epoch: tuple[int, list[int], np.ndarray] = (-1, [], np.zeros(0))
        self._passes: dict[int, np.ndarray] = {}

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return len(self._batches)

    def step(self, number: int) -> Step:
        """The step of that ``number``, from 0."""
        epoch, place = divmod(number, len(self._batches))
        if self._epoch[0] != epoch:
            self._begin(epoch)
        _, order, firsts = self._epoch
        batch = self._batches[order[place]]
        positions = np.arange(firsts[place], firsts[place] + batch.size)
        numbers, places = np.divmod(positions, self._images)
        index_B = np.array([self._pass(one)[where] for one, where in zip(numbers.tolist(), places, strict=True)])
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "crops", number))
        return Step(
            side=batch.side,
            index_B=index_B,
            uniform_B5=torch.rand(batch.size, 5, generator=generator),
            seed=derive_seed(self._seed, "dropout", number),
        )

    def _begin(self, epoch: int) -> None:
        """The order of an epoch's batches, and the position of each one's first image among all that are seen."""
        order = list(range(len(self._batches)))
        if self._mixed:
            order = self._shuffled(len(order), "sides", epoch).tolist()
        sizes = [self._batches[index].size for index in order]
        self._epoch = (epoch, order, epoch * sum(sizes) + np.cumsum([0, *sizes[:-1]]))

    def _pass(self, number: int) -> np.ndarray:
        """The order of the images when they are seen for the ``number``th time, from 0."""
        if number not in self._passes:
            self._passes = {one: order for one, order in self._passes.items() if one == number - 1}
            self._passes[number] = self._shuffled(self._images, "order", number)
        return self._passes[number]

    def _shuffled(self, size: int, *parts: object) -> np.ndarray:
        generator = torch.Generator().manual_seed(derive_seed(self._seed, *parts))
        return np.asarray(torch.randperm(size, generator=generator).numpy())
