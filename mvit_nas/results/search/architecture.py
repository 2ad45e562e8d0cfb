"""What a picture of a network needs, part by part, as plain data."""

from dataclasses import asdict, dataclass

from mvit_nas.arch.config import ArchConfig, StageConfig
from mvit_nas.arch.count import parts, total


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
    residuals: int = 0
    expand_ratio: float | None = None
    transformer: Transformer | None = None
    params: int
    macs: int


def drawing(arch: ArchConfig, classes: int) -> tuple[Part, ...]:
    """``arch`` with ``classes`` outputs, from the image to the classifier; the costs add up to the whole network's."""
    of_stem, *of_stages, of_head = (total(operators) for operators in parts(arch, classes=classes))
    sides = arch.map_sides(arch.image_size)
    first, side = arch.stem, -(-arch.image_size // arch.stem.stride)
    stem = Part(name="stem", channels=first.channels, side=side, stride=first.stride, kernel_size=3, **asdict(of_stem))
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
            **asdict(cost),
        )
        for number, ((stage, side_before), side, cost) in enumerate(
            zip(arch.sides_before_blocks(arch.image_size), sides, of_stages, strict=True), start=1
        )
    ]
    head = Part(name="head", channels=arch.head_channels, side=sides[-1], stride=1, kernel_size=1, **asdict(of_head))
    return (stem, *stages, head)


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
