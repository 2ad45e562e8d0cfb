"""In whose layout weights are, by the names of the tensors, and the same weights in ours."""

import itertools
import re
from collections.abc import Collection, Mapping

from torch import Tensor

from mvit_nas.arch.blocks.mobilevit import MobileViTConfig
from mvit_nas.arch.config import ArchConfig, StageConfig
from mvit_nas.errors import ArchError
from mvit_nas.nn.weights.hugging_face import from_huggingface

# What the first layer is called in each layout, by which it is known.
_STEM, _OURS, _TIMM = "stem.conv.weight", "stem.norm.weight", "stem.bn.weight"
_HUGGING_FACE = "mobilevit.conv_stem.convolution.weight"
# What timm calls the parts of a name; the others, and the order within each tensor, are as they are here. Compared with
# timm 1.0.31: the logits of its three networks agree to 3e-6.
_TIMM_PARTS = {
    "bn": "norm",
    "conv1_1x1": "expand",
    "conv2_kxk": "depthwise",
    "conv3_1x1": "project",
    "conv_kxk": "local_conv",
    "conv_1x1": "to_tokens",
    "transformer": "layers",
    "norm1": "attention_norm",
    "norm2": "mlp_norm",
    "attn": "attention",
    "proj": "out",
    "fc1": "expand",
    "fc2": "project",
    "conv_proj": "from_tokens",
    "conv_fusion": "fusion",
    "final_conv": "head",
}


def in_our_layout(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state``, which is in our layout, in timm's or in Hugging Face's, in ours. Raises ArchError for any other."""
    if _HUGGING_FACE in state:
        return from_huggingface(_outline(state), state)
    if _STEM in state and _OURS in state:
        return dict(state)
    if _STEM in state and _TIMM in state:
        return {_from_timm(name): tensor for name, tensor in state.items()}
    raise ArchError("the tensors have names of no MobileViT that is known here (Hugging Face's, timm's or our own)")


def _from_timm(name: str) -> str:
    if name.startswith("head.fc."):
        return name.replace("head.fc.", "classifier.")
    return ".".join(_TIMM_PARTS.get(part, part) for part in name.split("."))


def _outline(names: Collection[str]) -> ArchConfig:
    """An architecture with the layers that ``names`` in Hugging Face's layout are of, whatever their widths."""
    stages = []
    for number in itertools.count():
        prefix = f"mobilevit.encoder.layer.{number}."
        own = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        if not own:
            break
        has_block = any(name.startswith("downsampling_layer.") for name in own)
        stages.append(
            StageConfig(
                channels=1,
                blocks=1 if has_block else _count(r"layer\.(\d+)\.", own),
                expand_ratio=2 if any("expand_1x1" in name for name in own) else 1,
                mobilevit=MobileViTConfig(
                    dim=1,
                    heads=1,
                    depth=_count(r"transformer\.layer\.(\d+)\.", own),
                    fusion="conv3x3" if any(name.startswith("fusion.") for name in own) else "none",
                )
                if has_block
                else None,
            )
        )
    return ArchConfig(stages=tuple(stages))


def _count(pattern: str, names: Collection[str]) -> int:
    """How many numbers ``pattern`` finds at the beginning of ``names``, which count from 0."""
    return len({found[1] for name in names if (found := re.match(pattern, name))})
