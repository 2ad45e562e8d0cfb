"""The processes that train one network together, as torchrun starts them; one alone needs none of it."""

import os
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mvit_nas.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Which of how many processes this one is."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def check(self, batch_sizes: Iterable[int]) -> None:
        """Raise InputError where a batch cannot be shared out evenly."""
        for size in set(batch_sizes):
            if size % self.count:
                raise InputError(f"batches of {size} images cannot be shared by {self.count} processes evenly")

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether ``flag`` holds in any process, so that all stop at the same step."""
        if self.count == 1:
            return flag
        told = torch.tensor(float(flag), device=device)
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return bool(told)

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Give each of ``tensors`` its mean over the processes."""
        if self.count > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)
                tensor /= self.count

    def together(self, model: nn.Module, device: torch.device) -> nn.Module:
        """``model`` whose gradients are the mean over the processes.

        Batch norm statistics stay each process's own: they are averaged before a model is scored or kept.
        """
        if self.count == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        devices = [device] if device.type == "cuda" else None
        with warnings.catch_warnings():
            # torch calls the flag deprecated and says that what shall replace it is not there yet.
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)

    def alone_until(self, network: nn.Module, *, is_last: bool) -> AbstractContextManager[None]:
        """Gradients stay each process's own until the last part of a batch."""
        return nullcontext() if self.count == 1 or is_last else network.no_sync()  # type: ignore[operator]


ALONE = Workers()


def joined(device: torch.device) -> tuple[Workers, torch.device]:
    """The processes that torchrun started, of which this is one, and the device of this one."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ALONE, device
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    return Workers(rank=dist.get_rank(), count=dist.get_world_size()), device
