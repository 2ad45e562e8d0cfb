"""The blocks of an architecture, one by one, with what each of them computes and moves: no model is built.

The rules of counting are fvcore's, so that both agree to the last digit: a multiply-add is one, batch norm in
evaluation costs 2 for each element, layer norm 5, bilinear resizing 4 for each element that comes out; activations,
sums, softmax and pooling by a mean are free. Attention's two products are counted.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from mvit_nas.arch.config import ArchConfig, MobileViTConfig, StageConfig

Kind = Literal[
    "stem",
    "pointwise",
    "depthwise",
    "dense",  # a 3x3 convolution among all channels
    "activation",
    "add",
    "concatenate",
    "resize",
    "fold",  # a map into patches or back: a copy, and none at patch size 1
    "layer_norm",
    "linear",
    "attention",  # both products, with the copies that bring heads together
    "softmax",
    "classifier",  # with the mean over the map
]

# Processors compute this many numbers at once, and runtimes fill narrower widths up.
_LANES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """``times`` equal blocks one after the other, with what one of them costs for one image.

    ``padded_macs`` are the multiply-adds if the widths that do not divide by 16 were filled up, ``values`` the numbers
    that it reads and writes, and ``products`` the separate matrix products that attention falls into. ``alive`` are
    the activations that must be held while it runs: what comes in, what goes out, and what a later block still needs.
    """

    kind: Kind
    params: int = 0
    macs: int = 0
    padded_macs: int = 0
    values: int = 0
    products: int = 0
    alive: int = 0
    times: int = 1


def blocks(arch: ArchConfig, *, classes: int = 1000) -> Iterator[Block]:
    """The blocks of ``arch`` with ``classes`` outputs, for one image of ``arch.image_size`` squared."""
    return chain.from_iterable(parts(arch, classes=classes))


def parts(arch: ArchConfig, *, classes: int = 1000) -> Iterator[Iterator[Block]]:
    """The same blocks by where they are: those of the stem, of each stage, and of the head."""
    side = _strided(arch.image_size, arch.stem.stride)
    channels = arch.stem.channels
    yield _stem(channels, side=side, side_before=arch.image_size)
    for stage in arch.stages:
        yield _stage(stage, channels=channels, side=side)
        channels, side = stage.channels, _strided(side, stage.stride)
    yield _head(channels, arch.head_channels, classes=classes, side=side)


def features(arch: ArchConfig, *, classes: int = 1000) -> dict[str, float]:
    """What ``arch`` asks of a machine: sums over the blocks of each kind, as "linear.macs" or "dense.calls".

    Multiply-adds are given as they are and filled up to 16 lanes: which of them take time depends on the machine.
    """
    sums: dict[str, float] = {}
    for block in blocks(arch, classes=classes):
        for name, amount in (
            ("macs", block.macs),
            ("padded_macs", block.padded_macs),
            ("values", block.values),
            ("products", block.products),
            ("calls", 1),
        ):
            if amount:
                key = f"{block.kind}.{name}"
                sums[key] = sums.get(key, 0.0) + block.times * amount
    return sums


def peak_memory(arch: ArchConfig, *, classes: int = 1000) -> int:
    """Bytes of the activations of ``arch`` where most are held at once, for one image in float32, block after block.

    Activation functions work in place, every other block writes anew, and attention's scores are written out, as
    runtimes on phones do. Weights are not counted, nor is what a runtime needs for itself.
    """
    return 4 * max(block.alive for block in blocks(arch, classes=classes))


def _stem(channels: int, *, side: int, side_before: int) -> Iterator[Block]:
    yield _conv("stem", 3, channels, kernel=3, side=side, side_before=side_before)
    yield _activation(channels * side * side)


def _stage(stage: StageConfig, *, channels: int, side: int) -> Iterator[Block]:
    """The blocks of ``stage``, which gets a map of ``channels`` and ``side``."""
    for number in range(stage.blocks):
        stride = stage.stride if number == 0 else 1
        hidden = stage.hidden_channels(channels)
        adds = stride == 1 and channels == stage.channels
        kept = channels * side * side if adds else 0
        if stage.expand_ratio != 1:
            yield _conv("pointwise", channels, hidden, kernel=1, side=side)
            yield _activation(hidden * side * side)
        side_before, side = side, _strided(side, stride)
        # Without an expansion, what is kept is what comes in.
        kept_now = kept if stage.expand_ratio != 1 else 0
        yield _conv(
            "depthwise", hidden, hidden, kernel=stage.kernel_size, side=side, side_before=side_before, kept=kept_now
        )
        yield _activation(hidden * side * side)
        yield _conv("pointwise", hidden, stage.channels, kernel=1, side=side, kept=kept)
        if adds:
            yield Block(kind="add", values=3 * kept, alive=3 * kept)
        channels = stage.channels
    if stage.mobilevit is not None:
        yield from _mobilevit(stage.mobilevit, channels=channels, side=side)


def _head(channels: int, head_channels: int, *, classes: int, side: int) -> Iterator[Block]:
    area = side * side
    yield _conv("pointwise", channels, head_channels, kernel=1, side=side)
    yield _activation(head_channels * area)
    yield _linear("classifier", head_channels, classes, tokens=1, more_values=head_channels * area)


def _mobilevit(config: MobileViTConfig, *, channels: int, side: int) -> Iterator[Block]:
    dim, patch, depth = config.dim, config.patch_size, config.depth
    tiled = math.ceil(side / patch) * patch
    tokens = tiled * tiled  # all of them, over patch * patch sequences
    area = side * side
    map_before = 0 if config.fusion == "none" else channels * area  # what the fusion reads again
    stream = dim * tokens  # what the transformer's shortcuts read again
    yield _conv("dense", channels, channels, kernel=3, side=side)
    yield _activation(channels * area)
    weights = channels * dim
    yield Block(
        kind="pointwise",
        params=weights,
        macs=weights * area,
        padded_macs=_padded(channels) * _padded(dim) * area,
        values=weights + (channels + dim) * area,
        alive=(channels + dim) * area + map_before,
    )
    if tiled != side:
        yield _resize(dim, side, tiled, kept=map_before)
    if patch > 1:
        yield Block(kind="fold", values=2 * stream, alive=2 * stream + map_before, times=2)
    yield Block(
        kind="layer_norm",
        params=2 * dim,
        macs=5 * stream,
        values=2 * stream,
        alive=2 * stream + map_before,
        times=2 * depth + 1,
    )
    kept = map_before + stream
    yield _linear("linear", dim, 3 * dim, tokens=tokens, times=depth, kept=kept)
    length = tokens // (patch * patch)
    scores = config.heads * length * tokens
    yield Block(
        kind="attention",
        macs=2 * tokens * length * dim,
        padded_macs=tokens
        * config.heads
        * (_padded(length) * (dim // config.heads) + length * _padded(dim // config.heads)),
        values=8 * stream + 2 * scores,
        alive=4 * stream + scores + kept,
        products=2 * patch * patch * config.heads,
        times=depth,
    )
    yield Block(kind="softmax", values=2 * scores, alive=3 * stream + 2 * scores + kept, times=depth)
    yield _linear("linear", dim, dim, tokens=tokens, times=depth, kept=kept)
    yield _linear("linear", dim, config.mlp_width, tokens=tokens, times=depth, kept=kept)
    yield _activation(config.mlp_width * tokens, times=depth)
    yield _linear("linear", config.mlp_width, dim, tokens=tokens, times=depth, kept=kept)
    yield Block(kind="add", values=3 * stream, alive=3 * stream + map_before, times=2 * depth)
    if tiled != side:
        yield _resize(dim, tiled, side, kept=map_before)
    yield _conv("pointwise", dim, channels, kernel=1, side=side, kept=map_before)
    yield _activation(channels * area)
    if config.fusion != "none":
        yield Block(kind="concatenate", values=4 * channels * area, alive=4 * channels * area)
        three = config.fusion == "conv3x3"
        yield _conv("dense" if three else "pointwise", 2 * channels, channels, kernel=3 if three else 1, side=side)
        yield _activation(channels * area)


def _strided(side: int, stride: int) -> int:
    return math.ceil(side / stride)


def _padded(width: int) -> int:
    return -(-width // _LANES) * _LANES


def _conv(
    kind: Kind,
    in_channels: int,
    out_channels: int,
    *,
    kernel: int,
    side: int,
    side_before: int | None = None,
    kept: int = 0,
) -> Block:
    """A convolution without bias and its batch norm; a depthwise one has one input channel for each output.

    ``kept``, here and below, are the activations that it does not touch and a later block needs.
    """
    fan = 1 if kind == "depthwise" else in_channels
    padded_fan = fan if kind in ("depthwise", "stem") else _padded(fan)
    weights, area = fan * out_channels * kernel * kernel, side * side
    touched = in_channels * (side_before or side) ** 2 + out_channels * area
    return Block(
        kind=kind,
        params=weights + 2 * out_channels,
        macs=(weights + 2 * out_channels) * area,
        padded_macs=padded_fan * _padded(out_channels) * kernel * kernel * area,
        values=weights + touched,
        alive=touched + kept,
    )


def _linear(
    kind: Kind,
    in_features: int,
    out_features: int,
    *,
    tokens: int,
    times: int = 1,
    more_values: int = 0,
    kept: int = 0,
) -> Block:
    weights = in_features * out_features
    touched = (in_features + out_features) * tokens + more_values
    return Block(
        kind=kind,
        params=weights + out_features,
        macs=weights * tokens,
        padded_macs=in_features * _padded(out_features) * tokens,
        values=weights + touched,
        alive=touched + kept,
        times=times,
    )


def _activation(values: int, *, times: int = 1) -> Block:
    """In place: it holds what the block before it wrote."""
    return Block(kind="activation", values=2 * values, alive=values, times=times)


def _resize(dim: int, before: int, after: int, *, kept: int) -> Block:
    touched = dim * (before * before + after * after)
    return Block(kind="resize", macs=4 * dim * after * after, values=touched, alive=touched + kept)
