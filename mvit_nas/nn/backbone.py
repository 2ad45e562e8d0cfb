"""The network that an ``ArchConfig`` describes (MobileViT, arXiv 2110.02178).

Legend of the axes: B images, C channels, H and W the map. The maps are kept channels-last: transformers then read them
as they lie.
"""

import hashlib
import itertools
import operator
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mvit_nas.arch.config import ArchConfig, StageConfig
from mvit_nas.errors import ArchError
from mvit_nas.nn.blocks import make_block
from mvit_nas.nn.blocks.inverted_residual import InvertedResidual
from mvit_nas.nn.layers import ConvNormAct


def build(arch: ArchConfig, *, classes: int = 1000, fused_attention: bool = True, seed: int = 0) -> "MobileViT":
    """The network of ``arch`` with fresh weights, channels-last, on the CPU, in training mode.

    Each weight is drawn from ``seed`` and its own name: networks start alike wherever they have the same layers.
    ``fused_attention=False`` writes attention as matrix products and a softmax, for exporters whose delegates do
    not take the fused operator; the numbers are the same to rounding.
    """
    model = MobileViT(arch, classes=classes, fused_attention=fused_attention)
    _initialise(model, seed)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class Stage(nn.Sequential):
    """Inverted residuals, then the MobileViT block where the stage has one."""

    def __init__(self, config: StageConfig, *, in_channels: int, dropout: float, fused_attention: bool) -> None:
        super().__init__()
        for residual in config.residuals(in_channels):
            self.append(InvertedResidual(residual))
        if config.mobilevit is not None:
            block = make_block(
                config.mobilevit, channels=config.channels, dropout=dropout, fused_attention=fused_attention
            )
            self.append(block)


class MobileViT(nn.Module):
    """Stem, stages, last 1x1 convolution, mean over the map, classifier. Images [B, 3, H, W] to logits [B, classes]."""

    def __init__(self, arch: ArchConfig, *, classes: int, fused_attention: bool) -> None:
        super().__init__()
        self.arch = arch
        self.stem = ConvNormAct(3, arch.stem.channels, kernel_size=3, stride=arch.stem.stride)
        self.stages = nn.Sequential()
        channels = arch.stem.channels
        for config in arch.stages:
            self.stages.append(
                Stage(config, in_channels=channels, dropout=arch.dropout, fused_attention=fused_attention)
            )
            channels = config.channels
        self.head = ConvNormAct(channels, arch.head_channels, kernel_size=1)
        self.head_dropout = nn.Dropout(arch.head_dropout)
        self.classifier = nn.Linear(arch.head_channels, classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = x_BCHW.contiguous(memory_format=torch.channels_last)
        y_BCHW = self.head(self.stages(self.stem(x_BCHW)))
        y_BC = y_BCHW.mean((2, 3), keepdim=True).flatten(1)  # XNNPACK takes the mean only if it keeps its axes
        return cast(Tensor, self.classifier(self.head_dropout(y_BC)))


class Features(nn.Module):
    """The maps that heads for detection and segmentation take: images [B, 3, H, W] to a list of [B, C, h, w].

    Each is what leaves the stage of that index in ``out_indices``. ``channels`` and ``strides`` are theirs: h is
    H / stride, rounded up. Weights have the names that they have in the whole network.
    """

    def __init__(self, network: MobileViT, out_indices: Sequence[int]) -> None:
        super().__init__()
        stages = network.arch.stages
        for index in out_indices:
            if not 0 <= index < len(stages):
                raise ArchError(f"out_indices must be stages, 0 to {len(stages) - 1}, got {index}")
        if not out_indices:
            raise ArchError("out_indices must name at least one stage")
        first, own = network.arch.stem.stride, [stage.stride for stage in stages]
        strides = list(itertools.accumulate(own, operator.mul, initial=first))[1:]
        self.out_indices = tuple(out_indices)
        self.channels = tuple(stages[index].channels for index in out_indices)
        self.strides = tuple(strides[index] for index in out_indices)
        self.stem = network.stem
        self.stages = nn.Sequential(*list(network.stages)[: max(out_indices) + 1])

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        x_BCHW = self.stem(x_BCHW.contiguous(memory_format=torch.channels_last))
        maps = []
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            maps.append(x_BCHW)
        return [maps[index] for index in self.out_indices]


def features(network: ArchConfig | MobileViT, *, out_indices: Sequence[int] | None = None) -> Features:
    """The stages of ``network`` as a backbone, all of them or those of ``out_indices``; with fresh weights of an arch.

    It shares its modules with a network that is given. Raises ArchError for a stage that is not there.
    """
    if isinstance(network, ArchConfig):
        network = build(network, classes=1)
    return Features(network, range(len(network.arch.stages)) if out_indices is None else out_indices)


def _initialise(model: nn.Module, seed: int) -> None:
    """The reference's initialisation: Kaiming normal (fan out) convolutions, truncated normal 0.02 linear layers."""
    for name, module in model.named_modules():
        digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
            nn.init.zeros_(module.bias)
