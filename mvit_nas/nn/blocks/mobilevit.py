"""The module of the MobileViT block (arXiv 2110.02178, section 3.1).

Legend of the axes: B images, C channels, H and W the map, P patch size, N patches of a map, D transformer width,
h heads, d width of a head, T sequences (B * P * P: one for each place in a patch).

The maps are channels-last: the transformer reads them as they lie, and unfolding into patches and folding back are one
copy each (none at patch size 1).
"""

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mvit_nas.arch.blocks.mobilevit import MobileViTConfig
from mvit_nas.nn.layers import MLP, ConvNormAct


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
        self.patch_size, self.tiled_side = config.patch_size, config.tiled_side
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
        tiled = (self.tiled_side(H), self.tiled_side(W))
        if tiled != (H, W):
            y_BDHW = F.interpolate(y_BDHW, size=tiled, mode="bilinear", align_corners=False)
        y_TND = self.norm(self.layers(unfold(y_BDHW, self.patch_size)))
        y_BDHW = fold(y_TND, self.patch_size, *tiled)
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
