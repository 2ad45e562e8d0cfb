"""Parameters and multiply-adds of an architecture in closed form, in a tenth of a millisecond and without a model."""

from dataclasses import dataclass

from mvit_nas.arch.blocks import blocks
from mvit_nas.arch.config import ArchConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticCost:
    """What a network costs wherever it runs: parameters, and multiply-adds for one image."""

    params: int
    macs: int


def count(arch: ArchConfig, *, classes: int = 1000) -> StaticCost:
    """The cost of ``arch`` with ``classes`` outputs for one image of ``arch.image_size`` squared."""
    params = macs = 0
    for block in blocks(arch, classes=classes):
        params += block.times * block.params
        macs += block.times * block.macs
    return StaticCost(params=params, macs=macs)
