"""The network that an ``ArchConfig`` describes (MobileViT, arXiv 2110.02178).

Legend of the axes: B images, C channels, H and W the map, P patch size, N patches of a map, D transformer width,
h heads, d width of a head, T sequences (B * P * P: one for each place in a patch).

The maps are kept channels-last: the transformer then reads them as they lie, and unfolding into patches and folding
back are one copy each (none at patch size 1).
"""

import hashlib
import math
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mvit_nas.arch.config import ArchConfig, MobileViTConfig, StageConfig


def build(arch: ArchConfig, *, classes: int = 1000, fused_attention: bool = True, seed: int = 0) -> "MobileViT":
    """The network of ``arch`` with fresh weights, channels-last, on the CPU, in training mode.

    Each weight is drawn from ``seed`` and its own name: networks start alike wherever they have the same layers.
    ``fused_attention=False`` writes attention as matrix products and a softmax, for exporters whose delegates do
    not take the fused operator; the numbers are the same to rounding.
    """
    model = MobileViT(arch, classes=classes, fused_attention=fused_attention)
    _initialise(model, seed)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm and, unless ``activation`` is off, SiLU. Stride 1 keeps the side."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels, eps=1e-5, momentum=0.1)
        if activation:
            self.activation = nn.SiLU(inplace=True)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand, depthwise, project; a skip connection at stride 1 with equal channels."""

    def __init__(self, stage: StageConfig, *, in_channels: int, stride: int) -> None:
        super().__init__()
        hidden = stage.hidden_channels(in_channels)
        self.expand = nn.Identity() if stage.expand_ratio == 1 else ConvNormAct(in_channels, hidden, kernel_size=1)
        self.depthwise = ConvNormAct(hidden, hidden, kernel_size=stage.kernel_size, stride=stride, groups=hidden)
        self.project = ConvNormAct(hidden, stage.channels, kernel_size=1, activation=False)
        self.is_residual = stride == 1 and in_channels == stage.channels

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self.project(self.depthwise(self.expand(x_BCHW)))
        return x_BCHW + y_BCHW if self.is_residual else cast(Tensor, y_BCHW)


class Attention(nn.Module):
    """Multi-head self-attention over N tokens of T sequences, with one product for query, key and value."""

    def __init__(self, dim: int, *, heads: int, fused: bool) -> None:
        super().__init__()
        self.heads = heads
        self.fused = fused
        self.scale = (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x_TND: Tensor) -> Tensor:
        T, N, D = x_TND.shape
        if not self.fused:
            return self._plain(x_TND)
        qkv = self.qkv(x_TND).reshape(T, N, 3, self.heads, D // self.heads)
        q_ThNd, k_ThNd, v_ThNd = (part.transpose(1, 2) for part in qkv.unbind(2))
        y_ThNd = F.scaled_dot_product_attention(q_ThNd, k_ThNd, v_ThNd)
        return cast(Tensor, self.out(y_ThNd.transpose(1, 2).reshape(T, N, D)))

    def _plain(self, x_TND: Tensor) -> Tensor:
        # Slices and batched products of three axes: XNNPACK takes neither unbind nor what a product of four axes
        # becomes (63 more operators outside the delegate for MobileViT-S, and a tenth more time).
        T, N, D = x_TND.shape
        h, d = self.heads, D // self.heads
        qkv = self.qkv(x_TND)
        q_SNd, k_SNd, v_SNd = (  # S = T * h
            qkv[..., i * D : (i + 1) * D].reshape(T, N, h, d).transpose(1, 2).reshape(T * h, N, d) for i in range(3)
        )
        scores_SNN = torch.bmm(q_SNd * self.scale, k_SNd.transpose(1, 2))
        y_SNd = torch.bmm(scores_SNN.softmax(-1), v_SNd)
        return cast(Tensor, self.out(y_SNd.reshape(T, h, N, d).transpose(1, 2).reshape(T, N, D)))


class MLP(nn.Module):
    """Two linear layers with SiLU between them."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, width)
        self.activation = nn.SiLU()
        self.project = nn.Linear(width, dim)

    def forward(self, x_TND: Tensor) -> Tensor:
        return cast(Tensor, self.project(self.activation(self.expand(x_TND))))


class TransformerLayer(nn.Module):
    """Pre-norm attention and feed-forward (SiLU), each with a skip connection."""

    def __init__(self, config: MobileViTConfig, *, dropout: float, fused_attention: bool) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.dim, eps=1e-5)
        self.attention = Attention(config.dim, heads=config.heads, fused=fused_attention)
        self.mlp_norm = nn.LayerNorm(config.dim, eps=1e-5)
        self.mlp = MLP(config.dim, config.mlp_width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_TND: Tensor) -> Tensor:
        x_TND = x_TND + self.dropout(self.attention(self.attention_norm(x_TND)))
        return x_TND + cast(Tensor, self.dropout(self.mlp(self.mlp_norm(x_TND))))


class MobileViTBlock(nn.Module):
    """Local convolutions, attention among the pixels that share a place in their patches, fusion with the input.

    A map that the patches do not tile is resized bilinearly to the next multiple and back, as in the reference.
    """

    def __init__(self, config: MobileViTConfig, *, channels: int, dropout: float, fused_attention: bool) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.local_conv = ConvNormAct(channels, channels, kernel_size=3)
        self.to_tokens = nn.Conv2d(channels, config.dim, 1, bias=False)
        self.layers = nn.Sequential(
            *(TransformerLayer(config, dropout=dropout, fused_attention=fused_attention) for _ in range(config.depth))
        )
        self.norm = nn.LayerNorm(config.dim, eps=1e-5)
        self.from_tokens = ConvNormAct(config.dim, channels, kernel_size=1)
        self.fusion = (
            None
            if config.fusion == "none"
            else ConvNormAct(2 * channels, channels, kernel_size=3 if config.fusion == "conv3x3" else 1)
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BDHW = self.to_tokens(self.local_conv(x_BCHW))
        H, W = y_BDHW.shape[-2:]
        P = self.patch_size
        tiled = (math.ceil(H / P) * P, math.ceil(W / P) * P)
        if tiled != (H, W):
            y_BDHW = F.interpolate(y_BDHW, size=tiled, mode="bilinear", align_corners=False)
        y_TND = self.norm(self.layers(unfold(y_BDHW, P)))
        y_BDHW = fold(y_TND, P, *tiled)
        if tiled != (H, W):
            y_BDHW = F.interpolate(y_BDHW, size=(H, W), mode="bilinear", align_corners=False)
        y_BCHW = self.from_tokens(y_BDHW)
        if self.fusion is None:
            return cast(Tensor, y_BCHW)
        return cast(Tensor, self.fusion(torch.cat((x_BCHW, y_BCHW), 1)))


def unfold(x_BDHW: Tensor, patch_size: int) -> Tensor:
    """Tokens [B*P*P, N, D]: one sequence for each place in a patch, N patches row by row. P divides H and W."""
    B, D, H, W = x_BDHW.shape
    P = patch_size
    x_BHWD = x_BDHW.permute(0, 2, 3, 1)
    if P == 1:
        return x_BHWD.reshape(B, H * W, D)
    x = x_BHWD.reshape(B, H // P, P, W // P, P, D).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(B * P * P, (H // P) * (W // P), D)


def fold(x_TND: Tensor, patch_size: int, height: int, width: int) -> Tensor:
    """The map [B, D, H, W] (channels-last) that ``unfold`` took apart."""
    T, _, D = x_TND.shape
    P = patch_size
    B = T // (P * P)
    if P > 1:
        x = x_TND.reshape(B, P, P, height // P, width // P, D).permute(0, 3, 1, 4, 2, 5)
        x_TND = x.reshape(B, height, width, D)
    return x_TND.reshape(B, height, width, D).permute(0, 3, 1, 2)


class Stage(nn.Sequential):
    """Inverted residuals, then the MobileViT block where the stage has one."""

    def __init__(self, config: StageConfig, *, in_channels: int, dropout: float, fused_attention: bool) -> None:
        super().__init__()
        for block in range(config.blocks):
            first = block == 0
            self.append(
                InvertedResidual(
                    config,
                    in_channels=in_channels if first else config.channels,
                    stride=config.stride if first else 1,
                )
            )
        if config.mobilevit is not None:
            self.append(
                MobileViTBlock(
                    config.mobilevit,
                    channels=config.channels,
                    dropout=dropout,
                    fused_attention=fused_attention,
                )
            )


class MobileViT(nn.Module):
    """Stem, stages, last 1x1 convolution, mean over the map, classifier. Images [B, 3, H, W] to logits [B, classes]."""

    def __init__(self, arch: ArchConfig, *, classes: int, fused_attention: bool) -> None:
        super().__init__()
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
