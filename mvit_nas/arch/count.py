"""Parameters and multiply-adds of an architecture in closed form, in microseconds and without a model.

The rules are fvcore's, so that both agree to the last digit: a multiply-add is one, batch norm in evaluation costs 2
for each element, layer norm 5, bilinear resizing 4 for each element that comes out; activations, sums, softmax and
pooling by a mean are free. Attention's two products are counted.
"""

import math
from dataclasses import dataclass

from mvit_nas.arch.config import ArchConfig, MobileViTConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticCost:
    """What a network costs wherever it runs: parameters, and multiply-adds for one image."""

    params: int
    macs: int

    def __add__(self, other: "StaticCost") -> "StaticCost":
        return StaticCost(params=self.params + other.params, macs=self.macs + other.macs)


_NOTHING = StaticCost(params=0, macs=0)


def count(arch: ArchConfig, *, classes: int = 1000) -> StaticCost:
    """The cost of ``arch`` with ``classes`` outputs for one image of ``arch.image_size`` squared."""
    side = _strided(arch.image_size, arch.stem.stride)
    channels = arch.stem.channels
    total = _conv_norm(3, channels, kernel=3, side=side)
    for stage in arch.stages:
        for block in range(stage.blocks):
            hidden = stage.hidden_channels(channels)
            if stage.expand_ratio != 1:
                total += _conv_norm(channels, hidden, kernel=1, side=side)
            side = _strided(side, stage.stride if block == 0 else 1)
            total += _conv_norm(1, hidden, kernel=stage.kernel_size, side=side)
            total += _conv_norm(hidden, stage.channels, kernel=1, side=side)
            channels = stage.channels
        if stage.mobilevit is not None:
            total += _mobilevit(stage.mobilevit, channels=channels, side=side)
    total += _conv_norm(channels, arch.head_channels, kernel=1, side=side)
    return total + _linear(arch.head_channels, classes, tokens=1)


def _mobilevit(config: MobileViTConfig, *, channels: int, side: int) -> StaticCost:
    dim, patch = config.dim, config.patch_size
    tiled = math.ceil(side / patch) * patch
    tokens = tiled * tiled  # all of them, over patch * patch sequences
    attention = StaticCost(params=0, macs=2 * tokens * (tokens // (patch * patch)) * dim)
    layer = (
        _layer_norm(dim, tokens=tokens)
        + _linear(dim, 3 * dim, tokens=tokens)
        + attention
        + _linear(dim, dim, tokens=tokens)
        + _layer_norm(dim, tokens=tokens)
        + _linear(dim, config.mlp_width, tokens=tokens)
        + _linear(config.mlp_width, dim, tokens=tokens)
    )
    resized = StaticCost(params=0, macs=4 * dim * (tokens + side * side)) if tiled != side else _NOTHING
    fusion = _NOTHING
    if config.fusion != "none":
        fusion = _conv_norm(2 * channels, channels, kernel=3 if config.fusion == "conv3x3" else 1, side=side)
    return (
        _conv_norm(channels, channels, kernel=3, side=side)
        + StaticCost(params=channels * dim, macs=channels * dim * side * side)
        + resized
        + StaticCost(params=config.depth * layer.params, macs=config.depth * layer.macs)
        + _layer_norm(dim, tokens=tokens)
        + _conv_norm(dim, channels, kernel=1, side=side)
        + fusion
    )


def _strided(side: int, stride: int) -> int:
    return math.ceil(side / stride)


def _conv_norm(in_channels: int, out_channels: int, *, kernel: int, side: int) -> StaticCost:
    """A convolution without bias and its batch norm; a depthwise one has one input channel for each output."""
    weights = in_channels * out_channels * kernel * kernel
    return StaticCost(params=weights + 2 * out_channels, macs=(weights + 2 * out_channels) * side * side)


def _linear(in_features: int, out_features: int, *, tokens: int) -> StaticCost:
    weights = in_features * out_features
    return StaticCost(params=weights + out_features, macs=weights * tokens)


def _layer_norm(dim: int, *, tokens: int) -> StaticCost:
    return StaticCost(params=2 * dim, macs=5 * dim * tokens)
