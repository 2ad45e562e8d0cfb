"""What a picture of a network needs, part by part, and what differs between two networks; as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mvit_nas.arch.blocks import Block, parts
from mvit_nas.arch.config import ArchConfig, Fusion, StageConfig, to_dict
from mvit_nas.arch.space import flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """The MobileViT block of a stage. ``tiles`` is whether its patches tile the map; where not, the map is resized."""

    patch_size: int
    dim: int
    depth: int
    heads: int
    mlp_width: int
    fusion: Fusion
    tiles: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The stem, a stage or the head: what it is made of, the map that leaves it, and what it costs.

    ``channels`` and ``side`` are of that map; the head's is the one that is averaged for the classifier. ``stride`` is
    that of its first convolution. ``residuals`` counts inverted residuals: 0 in stem and head, whose ``kernel_size`` is
    that of their one convolution and which have no ``expand_ratio``.
    """

    name: str
    channels: int
    side: int
    stride: int
    kernel_size: int
    residuals: int
    expand_ratio: float | None
    transformer: Transformer | None
    params: int
    macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A network as a row of parts, from the image to the classifier."""

    image_size: int
    classes: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A path at which two configurations differ, and its value in each; None where one has nothing there."""

    path: str
    one: Any
    other: Any


def drawing(arch: ArchConfig, classes: int) -> Drawing:
    """``arch`` with ``classes`` outputs, part by part; the costs add up to those of the whole network."""
    costs = [_cost(list(blocks)) for blocks in parts(arch, classes=classes)]
    (stem_params, stem_macs), *stage_costs, (head_params, head_macs) = costs
    sides = arch.map_sides(arch.image_size)
    stem = Part(
        name="stem",
        channels=arch.stem.channels,
        side=-(-arch.image_size // arch.stem.stride),
        stride=arch.stem.stride,
        kernel_size=3,
        residuals=0,
        expand_ratio=None,
        transformer=None,
        params=stem_params,
        macs=stem_macs,
    )
    stages = [
        Part(
            name=f"stage {number}",
            channels=stage.channels,
            side=side,
            stride=stage.stride,
            kernel_size=stage.kernel_size,
            residuals=stage.blocks,
            expand_ratio=stage.expand_ratio,
            transformer=_transformer(stage, side),
            params=params,
            macs=macs,
        )
        for number, (stage, side, (params, macs)) in enumerate(
            zip(arch.stages, sides, stage_costs, strict=True), start=1
        )
    ]
    head = Part(
        name="head",
        channels=arch.head_channels,
        side=sides[-1],
        stride=1,
        kernel_size=1,
        residuals=0,
        expand_ratio=None,
        transformer=None,
        params=head_params,
        macs=head_macs,
    )
    return Drawing(image_size=arch.image_size, classes=classes, parts=(stem, *stages, head))


def differences(one: ArchConfig, other: ArchConfig) -> list[Change]:
    """Every path at which ``one`` and ``other`` differ: "stages.2.mobilevit.dim", with both values.

    Where only one has a part (a stage, a MobileViT block), the part is one difference, and nothing below it.
    """
    mine, theirs = flat(to_dict(one)), flat(to_dict(other))
    found: list[Change] = []
    for path in dict.fromkeys([*mine, *theirs]):
        a, b = mine.get(path), theirs.get(path)
        below = any(path.startswith(f"{change.path}.") for change in found)
        if a != b and not below and not (_is_part(a) and _is_part(b)):
            found.append(Change(path=path, one=a, other=b))
    return found


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping | tuple)


def _cost(blocks: list[Block]) -> tuple[int, int]:
    params = sum(block.times * block.params for block in blocks)
    return params, sum(block.times * block.macs for block in blocks)


def _transformer(stage: StageConfig, side: int) -> Transformer | None:
    block = stage.mobilevit
    if block is None:
        return None
    return Transformer(
        patch_size=block.patch_size,
        dim=block.dim,
        depth=block.depth,
        heads=block.heads,
        mlp_width=block.mlp_width,
        fusion=block.fusion,
        tiles=side % block.patch_size == 0,
    )
