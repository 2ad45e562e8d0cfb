"""MobileNetV2's block: expand, depthwise, project; a skip connection at stride 1 with equal channels."""

from collections.abc import Iterator
from dataclasses import dataclass

from mvit_nas.arch.operators import Operator, activation, conv
from mvit_nas.arch.rules import round_channels, strided


@dataclass(frozen=True, slots=True, kw_only=True)
class InvertedResidualConfig:
    """One inverted residual, all widths resolved. Without ``expands`` ``hidden`` are the ``in_channels``."""

    in_channels: int
    hidden: int
    out_channels: int
    kernel_size: int
    stride: int
    expands: bool

    @property
    def adds(self) -> bool:
        """Whether it has the skip connection."""
        return self.stride == 1 and self.in_channels == self.out_channels

    def operators(self, *, side: int) -> Iterator[Operator]:
        """What it computes and moves on a map of ``side``."""
        kept = self.in_channels * side * side if self.adds else 0
        hidden = self.hidden
        if self.expands:
            yield conv("pointwise", self.in_channels, hidden, kernel=1, side=side)
            yield activation(hidden * side * side)
        side_before, side = side, strided(side, self.stride)
        # Without an expansion, what is kept is what comes in.
        kept_now = kept if self.expands else 0
        yield conv(
            "depthwise", hidden, hidden, kernel=self.kernel_size, side=side, side_before=side_before, kept=kept_now
        )
        yield activation(hidden * side * side)
        yield conv("pointwise", hidden, self.out_channels, kernel=1, side=side, kept=kept)
        if self.adds:
            yield Operator(kind="add", values=3 * kept, alive=3 * kept)


def hidden_channels(in_channels: int, expand_ratio: float) -> int:
    """Width inside an inverted residual that takes ``in_channels``."""
    return in_channels if expand_ratio == 1 else round_channels(in_channels * expand_ratio)
