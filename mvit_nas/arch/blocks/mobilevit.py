"""The MobileViT block (arXiv 2110.02178, section 3.1): local convolutions, a transformer, fusion."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from mvit_nas.arch.operators import Operator, activation, conv, linear, padded, resize
from mvit_nas.arch.rules import LARGEST_RATIO, MOST_PARTS, WIDEST, Plain, require, require_within

Fusion = Literal["none", "conv1x1", "conv3x3"]
_FUSIONS = get_args(Fusion)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileViTConfig:
    """What varies in the block.

    ``dim`` is the width of the transformer, ``depth`` its number of layers, ``mlp_ratio`` the feed-forward width
    over ``dim``. ``fusion`` is the convolution over input and global features ("conv3x3" in the paper);
    "none" leaves the skip connection out.
    """

    dim: int
    depth: int
    mlp_ratio: float = 2.0
    heads: int = 4
    patch_size: int = 2
    fusion: Fusion = "conv3x3"

    def __post_init__(self) -> None:
        most = {"dim": WIDEST, "depth": MOST_PARTS, "heads": WIDEST, "patch_size": WIDEST}
        for field, highest in most.items():
            require_within(field, getattr(self, field), 1, highest)
        require(
            self.dim % self.heads == 0,
            f"dim must be divisible by heads, got dim={self.dim}, heads={self.heads}",
        )
        require_within("mlp_ratio", self.mlp_ratio, 0, LARGEST_RATIO)
        require(self.mlp_width >= 1, f"mlp_ratio must leave a width, got mlp_ratio={self.mlp_ratio}")
        require(
            self.fusion in _FUSIONS,
            f"fusion must be one of {', '.join(_FUSIONS)}, got {self.fusion!r}",
        )

    @property
    def mlp_width(self) -> int:
        """Hidden width of the feed-forward layers."""
        return round(self.dim * self.mlp_ratio)

    def tiled_side(self, side: int) -> int:
        """Side of the map that the patches tile: that of the map, or the next multiple, which it is resized to."""
        return math.ceil(side / self.patch_size) * self.patch_size

    def side_after(self, side: int) -> int:
        """``side``: a map that was resized is resized back."""
        return side

    def tokens(self, side: int) -> int:
        """Length of a sequence: the number of patches."""
        return math.ceil(side / self.patch_size) ** 2

    def widths(self) -> Mapping[str, int]:
        """The transformer's width, which the heads divide."""
        return {"dim": self.heads}

    def identity(self, side: int) -> dict[str, Plain]:
        """Its values, with the feed-forward width in place of the ratio, which may round to the same.

        Attention over a single token gives that token's value back, whatever the heads.
        """
        idle = {"mlp_ratio", "heads"} if self.tokens(side) == 1 else {"mlp_ratio"}
        values = {name: getattr(self, name) for name in self.__slots__ if name not in idle}
        return {**values, "mlp_width": self.mlp_width}

    def operators(self, *, channels: int, side: int) -> Iterator[Operator]:
        """What it computes and moves on a map of ``channels`` and ``side``."""
        dim, patch, tiled, area = self.dim, self.patch_size, self.tiled_side(side), side * side
        map_before = 0 if self.fusion == "none" else channels * area  # what the fusion reads again
        yield conv("dense", channels, channels, kernel=3, side=side)
        yield activation(channels * area)
        weights = channels * dim
        yield Operator(
            kind="pointwise",
            params=weights,
            macs=weights * area,
            padded_macs=padded(channels) * padded(dim) * area,
            values=weights + (channels + dim) * area,
            alive=(channels + dim) * area + map_before,
        )
        if tiled != side:
            yield resize(dim, side, tiled, kept=map_before)
        yield from self._transformer(sequences=patch * patch, length=self.tokens(side), kept=map_before)
        if tiled != side:
            yield resize(dim, tiled, side, kept=map_before)
        yield conv("pointwise", dim, channels, kernel=1, side=side, kept=map_before)
        yield activation(channels * area)
        if self.fusion != "none":
            yield Operator(kind="concatenate", values=4 * channels * area, alive=4 * channels * area)
            three = self.fusion == "conv3x3"
            yield conv("dense" if three else "pointwise", 2 * channels, channels, kernel=3 if three else 1, side=side)
            yield activation(channels * area)

    def _transformer(self, *, sequences: int, length: int, kept: int) -> Iterator[Operator]:
        """The layers on ``sequences`` of ``length`` tokens each, with unfolding before and folding after them."""
        dim, depth, tokens = self.dim, self.depth, sequences * length
        stream = dim * tokens
        shortcut = kept + stream  # the layers' shortcuts read the stream again
        if sequences > 1:
            yield Operator(kind="fold", values=2 * stream, alive=2 * stream + kept, times=2)
        yield Operator(
            kind="layer_norm",
            params=2 * dim,
            macs=5 * stream,
            values=2 * stream,
            alive=2 * stream + kept,
            times=2 * depth + 1,
        )
        yield linear("linear", dim, 3 * dim, tokens=tokens, times=depth, kept=shortcut)
        scores = self.heads * length * tokens
        yield Operator(
            kind="attention",
            macs=2 * tokens * length * dim,
            padded_macs=tokens
            * self.heads
            * (padded(length) * (dim // self.heads) + length * padded(dim // self.heads)),
            values=8 * stream + 2 * scores,
            alive=4 * stream + scores + shortcut,
            products=2 * sequences * self.heads,
            times=depth,
        )
        yield Operator(kind="softmax", values=2 * scores, alive=3 * stream + 2 * scores + shortcut, times=depth)
        yield linear("linear", dim, dim, tokens=tokens, times=depth, kept=shortcut)
        yield linear("linear", dim, self.mlp_width, tokens=tokens, times=depth, kept=shortcut)
        yield activation(self.mlp_width * tokens, times=depth)
        yield linear("linear", self.mlp_width, dim, tokens=tokens, times=depth, kept=shortcut)
        yield Operator(kind="add", values=3 * stream, alive=3 * stream + kept, times=2 * depth)
