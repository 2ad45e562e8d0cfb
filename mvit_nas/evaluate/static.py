"""What an architecture costs without being run."""

import torch

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.count import StaticCost, count, peak_memory
from mvit_nas.cost.static import count_macs, count_params
from mvit_nas.errors import CostError
from mvit_nas.metrics import MACS, PARAMS, PEAK_MEMORY, SIZE
from mvit_nas.nn.backbone import build
from mvit_nas.study.record import Measured

_BYTES = 4  # of a number in float32
_MIB = 2**20


def static_values(arch: ArchConfig, *, classes: int) -> dict[str, Measured]:
    """What is counted of ``arch``, by metric."""
    cost = count(arch, classes=classes)
    return {
        PARAMS.name: Measured(value=cost.params),
        MACS.name: Measured(value=cost.macs),
        SIZE.name: Measured(value=_BYTES * cost.params / _MIB),
        PEAK_MEMORY.name: Measured(value=peak_memory(arch, classes=classes) / _MIB),
    }


def check_static_cost(arch: ArchConfig, *, classes: int) -> None:
    """Raise CostError unless fvcore counts on the built model what the closed form says."""
    model = build(arch, classes=classes)
    image = torch.zeros(1, 3, arch.image_size, arch.image_size)
    counted = StaticCost(params=count_params(model), macs=count_macs(model, image))
    closed = count(arch, classes=classes)
    if counted != closed:
        raise CostError(f"{arch_id(arch)}: fvcore counts {counted}, the closed form {closed}")
