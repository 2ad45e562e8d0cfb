"""A model made fast for inference: batch norm folded, and on the CPU packed with its activations by oneDNN."""

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mvit_nas.nn.mobilevit import ConvNormAct, MobileViT, TransformerLayer


def for_inference(model: MobileViT, *, packed: bool = True) -> nn.Module:
    """A copy of ``model`` in evaluation mode that gives the same logits, faster; ``model`` stays as it is.

    Batch norm is folded into the convolutions. With ``packed``, convolutions and linear layers run through oneDNN
    with their weights laid out once and SiLU fused: only on the CPU, without gradients and not for export.
    """
    fast = copy.deepcopy(model).eval()
    with torch.no_grad():
        for module in list(fast.modules()):
            if isinstance(module, ConvNormAct):
                _fold(module)
        if packed and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            _pack(fast)
    return fast.requires_grad_(False)


def _fold(module: ConvNormAct) -> None:
    module.conv = fuse_conv_bn_eval(module.conv, module.norm)
    del module.norm


def _pack(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, ConvNormAct):
            activated = hasattr(child, "activation")
            setattr(module, name, _PackedConv(child.conv, silu=activated))
        elif isinstance(child, nn.Conv2d):
            setattr(module, name, _PackedConv(child, silu=False))
        elif isinstance(child, nn.Linear):
            setattr(module, name, _PackedLinear(child, silu=False))
        elif isinstance(child, TransformerLayer):
            _pack(child.attention)
            child.mlp = nn.Sequential(
                _PackedLinear(child.mlp.expand, silu=True), _PackedLinear(child.mlp.project, silu=False)
            )
        else:
            _pack(child)


class _PackedConv(nn.Module):
    """A convolution with bias and an optional SiLU as one oneDNN operator."""

    def __init__(self, conv: nn.Conv2d, *, silu: bool) -> None:
        super().__init__()
        self.padding = list(cast(tuple[int, ...], conv.padding))
        self.stride = list(conv.stride)
        self.groups = conv.groups
        self.attribute = "swish" if silu else "none"
        self.bias = conv.bias
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(
            conv.weight, self.padding, self.stride, [1, 1], self.groups
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return cast(
            Tensor,
            torch.ops.mkldnn._convolution_pointwise(
                x_BCHW, self.weight, self.bias, self.padding, self.stride, [1, 1], self.groups, self.attribute, [], ""
            ),
        )


class _PackedLinear(nn.Module):
    """A linear layer with an optional SiLU as one oneDNN operator."""

    def __init__(self, linear: nn.Linear, *, silu: bool) -> None:
        super().__init__()
        self.attribute = "swish" if silu else "none"
        self.bias = linear.bias
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.attribute, [], ""))
