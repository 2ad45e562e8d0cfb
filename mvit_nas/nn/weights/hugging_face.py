"""Weights to and from the layout of Hugging Face's ``MobileViTForImageClassification``.

Released MobileViT checkpoints come in that layout. They expect images as BGR in [0, 1], without mean and standard
deviation; ``bgr_to_rgb`` turns the first convolution around for RGB input.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from mvit_nas.arch.config import ArchConfig
from mvit_nas.errors import ArchError

_QKV = ("query", "key", "value")


def from_huggingface(arch: ArchConfig, state: Mapping[str, Tensor], *, bgr_to_rgb: bool = False) -> dict[str, Tensor]:
    """The state dict for ``build(arch)`` from a Hugging Face one.

    ``bgr_to_rgb`` swaps the input channels of the first convolution. Raises ArchError that names a tensor which is
    missing or left over: then ``arch`` is not the network of the checkpoint.
    """
    left = dict(state)

    def take(name: str) -> Tensor:
        if name not in left:
            raise ArchError(f"the weights are not of this architecture: no tensor {name!r}")
        return left.pop(name)

    ours = {}
    for name, theirs in _pairs(arch):
        if isinstance(theirs, str):
            ours[name] = take(theirs)
        else:
            ours[name] = torch.cat([take(part) for part in theirs])
    if left:
        raise ArchError(f"the weights are not of this architecture: {min(left)!r} has no place in it")
    if bgr_to_rgb:
        ours["stem.conv.weight"] = ours["stem.conv.weight"].flip(1)
    return ours


def to_huggingface(arch: ArchConfig, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The Hugging Face state dict from the one of ``build(arch)``; undoes ``from_huggingface``."""
    theirs = {}
    for ours, name in _pairs(arch):
        if isinstance(name, str):
            theirs[name] = state[ours]
        else:
            theirs.update(zip(name, state[ours].chunk(3), strict=True))
    return theirs


def _pairs(arch: ArchConfig) -> Iterator[tuple[str, str | list[str]]]:
    """(our name, their name) of every tensor; a list where ours is theirs one after the other."""
    yield from _conv_norm("stem", "mobilevit.conv_stem")
    for i, stage in enumerate(arch.stages):
        layer = f"mobilevit.encoder.layer.{i}"
        # A stage with a MobileViT block holds its one inverted residual as downsampling_layer.
        if stage.mobilevit is None:
            residuals = [f"{layer}.layer.{block}" for block in range(stage.blocks)]
        else:
            if stage.blocks != 1:
                raise ArchError("Hugging Face's layout has one inverted residual before a MobileViT block")
            residuals = [f"{layer}.downsampling_layer"]
        for block, residual in enumerate(residuals):
            if stage.expand_ratio != 1:
                yield from _conv_norm(f"stages.{i}.{block}.expand", f"{residual}.expand_1x1")
            yield from _conv_norm(f"stages.{i}.{block}.depthwise", f"{residual}.conv_3x3")
            yield from _conv_norm(f"stages.{i}.{block}.project", f"{residual}.reduce_1x1")
        if stage.mobilevit is None:
            continue
        ours = f"stages.{i}.{stage.blocks}"
        yield from _conv_norm(f"{ours}.local_conv", f"{layer}.conv_kxk")
        yield f"{ours}.to_tokens.weight", f"{layer}.conv_1x1.convolution.weight"
        for depth in range(stage.mobilevit.depth):
            mine, other = f"{ours}.layers.{depth}", f"{layer}.transformer.layer.{depth}"
            for kind in ("weight", "bias"):
                yield f"{mine}.attention_norm.{kind}", f"{other}.layernorm_before.{kind}"
                yield (
                    f"{mine}.attention.qkv.{kind}",
                    [f"{other}.attention.attention.{x}.{kind}" for x in _QKV],
                )
                yield f"{mine}.attention.out.{kind}", f"{other}.attention.output.dense.{kind}"
                yield f"{mine}.mlp_norm.{kind}", f"{other}.layernorm_after.{kind}"
                yield f"{mine}.mlp.expand.{kind}", f"{other}.intermediate.dense.{kind}"
                yield f"{mine}.mlp.project.{kind}", f"{other}.output.dense.{kind}"
        for kind in ("weight", "bias"):
            yield f"{ours}.norm.{kind}", f"{layer}.layernorm.{kind}"
        yield from _conv_norm(f"{ours}.from_tokens", f"{layer}.conv_projection")
        if stage.mobilevit.fusion != "none":
            yield from _conv_norm(f"{ours}.fusion", f"{layer}.fusion")
    yield from _conv_norm("head", "mobilevit.conv_1x1_exp")
    for kind in ("weight", "bias"):
        yield f"classifier.{kind}", f"classifier.{kind}"


def _conv_norm(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.conv.weight", f"{theirs}.convolution.weight"
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        yield f"{ours}.norm.{name}", f"{theirs}.normalization.{name}"
