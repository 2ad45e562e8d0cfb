"""What an architecture costs in closed form, without a model and in a fifth of a millisecond: sums over operators."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from mvit_nas.arch.config import ArchConfig, StageConfig
from mvit_nas.arch.operators import Operator, activation, conv, linear
from mvit_nas.arch.rules import strided


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticCost:
    """What a network costs wherever it runs: parameters, and multiply-adds for one image."""

    params: int
    macs: int


def count(arch: ArchConfig, *, classes: int = 1000) -> StaticCost:
    """The cost of ``arch`` with ``classes`` outputs for one image of ``arch.image_size`` squared."""
    return total(operators(arch, classes=classes))


def total(operators: Iterable[Operator]) -> StaticCost:
    """The parameters and multiply-adds of ``operators`` together."""
    params = macs = 0
    for operator in operators:
        params += operator.times * operator.params
        macs += operator.times * operator.macs
    return StaticCost(params=params, macs=macs)


def operators(arch: ArchConfig, *, classes: int = 1000) -> Iterator[Operator]:
    """The operators of ``arch`` with ``classes`` outputs, for one image of ``arch.image_size`` squared."""
    return chain.from_iterable(parts(arch, classes=classes))


def parts(arch: ArchConfig, *, classes: int = 1000) -> Iterator[Iterable[Operator]]:
    """The same operators by where they are: those of the stem, of each stage, and of the head."""
    channels, side = arch.stem.channels, strided(arch.image_size, arch.stem.stride)
    yield _stem(channels, side=side, side_before=arch.image_size)
    for stage, side_after in zip(arch.stages, arch.map_sides(arch.image_size), strict=True):
        yield _stage(stage, channels=channels, side=side)
        channels, side = stage.channels, side_after
    yield _head(channels, arch.head_channels, classes=classes, side=side)


def features(arch: ArchConfig, *, classes: int = 1000) -> dict[str, float]:
    """What ``arch`` asks of a machine: sums over the operators of each kind, as "linear.macs" or "dense.calls".

    Multiply-adds are given as they are and filled up to 16 lanes: which of them take time depends on the machine.
    """
    sums: dict[str, float] = {}
    for operator in operators(arch, classes=classes):
        for name, amount in (
            ("macs", operator.macs),
            ("padded_macs", operator.padded_macs),
            ("values", operator.values),
            ("products", operator.products),
            ("calls", 1),
        ):
            if amount:
                key = f"{operator.kind}.{name}"
                sums[key] = sums.get(key, 0.0) + operator.times * amount
    return sums


def peak_memory(arch: ArchConfig, *, classes: int = 1000) -> int:
    """Bytes of the activations of ``arch`` where most are held at once, for one image in float32, one after another.

    Activation functions work in place, every other operator writes anew, and attention's scores are written out, as
    runtimes on phones do. Weights are not counted, nor is what a runtime needs for itself.
    """
    return 4 * max(operator.alive for operator in operators(arch, classes=classes))


def _stem(channels: int, *, side: int, side_before: int) -> Iterator[Operator]:
    yield conv("stem", 3, channels, kernel=3, side=side, side_before=side_before)
    yield activation(channels * side * side)


@functools.lru_cache(maxsize=4096)  # the neighbours of a network have most stages in common with it
def _stage(stage: StageConfig, *, channels: int, side: int) -> tuple[Operator, ...]:
    """The operators of ``stage``, which gets a map of ``channels`` and ``side``."""
    found: list[Operator] = []
    for residual in stage.residuals(channels):
        found += residual.operators(side=side)
        side = strided(side, residual.stride)
    if stage.mobilevit is not None:
        found += stage.mobilevit.operators(channels=stage.channels, side=side)
    return tuple(found)


def _head(channels: int, head_channels: int, *, classes: int, side: int) -> Iterator[Operator]:
    area = side * side
    yield conv("pointwise", channels, head_channels, kernel=1, side=side)
    yield activation(head_channels * area)
    yield linear("classifier", head_channels, classes, tokens=1, more_values=head_channels * area)
