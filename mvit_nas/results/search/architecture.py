"""What a picture of a network needs, part by part, and what differs between two networks; as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mvit_nas.arch.config import ArchConfig, StageConfig, to_dict
from mvit_nas.arch.count import parts, total
from mvit_nas.arch.paths import flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """The MobileViT block of a stage. ``tokens`` are what its attention sees at once.

    ``tiles`` is whether its patches tile the map; where not, the map is resized.
    """

    patch_size: int
    dim: int
    depth: int
    heads: int
    mlp_width: int
    fusion: str
    tokens: int
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
    of_stem, *of_stages, of_head = (total(operators) for operators in parts(arch, classes=classes))
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
        params=of_stem.params,
        macs=of_stem.macs,
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
            transformer=_transformer(stage, side_before),
            params=cost.params,
            macs=cost.macs,
        )
        for number, ((stage, side_before), side, cost) in enumerate(
            zip(arch.sides_before_blocks(arch.image_size), sides, of_stages, strict=True), start=1
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
        params=of_head.params,
        macs=of_head.macs,
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
        tokens=block.tokens(side),
        tiles=block.tiled_side(side) == side,
    )
