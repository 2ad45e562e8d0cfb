"""A model as a folder of transformers' own MobileViT, which loads without this package, where that can be expressed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from mvit_nas.arch.blocks.mobilevit import MobileViTConfig
from mvit_nas.arch.config import ArchConfig, StageConfig
from mvit_nas.arch.rules import Plain
from mvit_nas.errors import InputError, PartialError
from mvit_nas.files import write_text, write_whole
from mvit_nas.models.document import KEY
from mvit_nas.models.folder import CONFIG, PREPROCESSOR, WEIGHTS, Model, save_weights
from mvit_nas.nn.weights.hugging_face import to_huggingface

# What transformers' network has, whatever its configuration says.
_STRIDES, _BLOCKS, _DEPTHS = (1, 2, 2, 2, 2), (1, 3, 1, 1, 1), (2, 4, 3)
_FIRST = 2  # the first stage with a MobileViT block, from 0


def write_transformers(folder: Path, model: Model) -> None:
    """Write ``model`` into ``folder`` as a ``MobileViTForImageClassification`` with its image processor.

    Its logits are divided by the model's temperature. Raises InputError that names everything that stands in the way,
    PartialError where the folder cannot be written.
    """
    arch = model.document.arch
    if reasons := list(obstacles(arch)):
        raise InputError(
            f"transformers' MobileViT cannot be this network: {'; '.join(reasons)}. Its model folder loads in "
            "transformers as it is, after `import mvit_nas.hf`"
        )
    weights = to_huggingface(arch, scaled(model.weights, model.document.temperature))
    try:
        write_whole(folder / WEIGHTS, lambda path: save_weights(weights, path))
        _write_json(folder / PREPROCESSOR, model.document.contract.transformers_config())
        _write_json(folder / CONFIG, configuration(model))
    except OSError as error:
        raise PartialError(f"cannot write to {folder} ({error.strerror or error})") from None


def configuration(model: Model) -> Mapping[str, Plain]:
    """The fields of its ``config.json``, the model's own document among them."""
    document = model.document
    arch = document.arch
    first, *_ = blocks = _blocks(arch)
    return {
        "model_type": "mobilevit",
        "architectures": ["MobileViTForImageClassification"],
        "num_channels": 3,
        "image_size": arch.image_size,
        "patch_size": first.patch_size,
        "hidden_sizes": [block.dim for block in blocks],
        "neck_hidden_sizes": [arch.stem.channels, *(stage.channels for stage in arch.stages), arch.head_channels],
        "num_attention_heads": first.heads,
        "mlp_ratio": first.mlp_ratio,
        "expand_ratio": arch.stages[0].expand_ratio,
        "hidden_act": "silu",
        "conv_kernel_size": 3,
        "output_stride": 32,
        "hidden_dropout_prob": arch.dropout,
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout_prob": arch.head_dropout,
        "layer_norm_eps": 1e-5,
        "qkv_bias": True,
        "id2label": {str(index): name for index, name in enumerate(document.classes)},
        "label2id": {name: index for index, name in enumerate(document.classes)},
        KEY: document.to_dict(),
    }


def scaled(weights: Mapping[str, Tensor], temperature: float) -> dict[str, Tensor]:
    """``weights`` of which the logits come divided by ``temperature``."""
    return {
        name: tensor / temperature if name.startswith("classifier.") else tensor for name, tensor in weights.items()
    }


def obstacles(arch: ArchConfig) -> Iterator[str]:
    """Each field of ``arch`` that transformers' configuration has no place for, with its values."""
    if len(arch.stages) != len(_STRIDES):
        yield f"{len(arch.stages)} stages, where it has {len(_STRIDES)}"
        return
    yield from _unlike("stem.stride", [arch.stem.stride], [2])
    yield from _unlike("stages.*.stride", [stage.stride for stage in arch.stages], _STRIDES)
    yield from _unlike("stages.*.blocks", [stage.blocks for stage in arch.stages], _BLOCKS)
    yield from _unlike("stages.*.kernel_size", [stage.kernel_size for stage in arch.stages], [3] * len(_STRIDES))
    yield from _expansions(arch)
    yield from _placed(arch)


def _unlike(field: str, values: Sequence[object], only: Sequence[object]) -> Iterator[str]:
    if list(values) != list(only):
        yield f"{field} is {_words(values)}, where it has {_words(only)}"


def _words(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _expansions(arch: ArchConfig) -> Iterator[str]:
    ratios = [stage.expand_ratio for stage in arch.stages]
    if len(set(ratios)) > 1:
        yield f"stages.*.expand_ratio is {_words(ratios)}, where it has one"
    if 1 in ratios:
        yield "stages.*.expand_ratio is 1, where it expands always"
        return
    channels = arch.stem.channels
    for number, stage in enumerate(arch.stages):
        yield from _widths(number, stage, channels)
        channels = stage.channels


def _widths(number: int, stage: StageConfig, channels: int) -> Iterator[str]:
    """Where it rounds to another width than ours for the same ratio."""
    for residual in stage.residuals(channels):
        theirs = _divisible(round(residual.in_channels * stage.expand_ratio))
        if residual.hidden != theirs:
            yield f"stages.{number}.expand_ratio makes {residual.hidden} channels, where it has {theirs}"
            return


def _divisible(value: int) -> int:
    """transformers' ``make_divisible``: a multiple of 8, at least 0.9 of ``value``."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def _placed(arch: ArchConfig) -> Iterator[str]:
    placed = [number for number, stage in enumerate(arch.stages) if stage.mobilevit is not None]
    kinds = {type(stage.mobilevit) for stage in arch.stages if stage.mobilevit is not None}
    if kinds - {MobileViTConfig}:
        yield "stages.*.mobilevit.variant is another than v1"
        return
    yield from _unlike("the MobileViT blocks' stages", placed, list(range(_FIRST, len(_STRIDES))))
    blocks = _blocks(arch)
    if len(blocks) == len(_DEPTHS):
        yield from _unlike("stages.*.mobilevit.depth", [block.depth for block in blocks], _DEPTHS)
    yield from _unlike("stages.*.mobilevit.fusion", [block.fusion for block in blocks], ["conv3x3"] * len(blocks))
    for field in ("patch_size", "heads", "mlp_ratio"):
        values = [getattr(block, field) for block in blocks]
        if len(set(values)) > 1:
            yield f"stages.*.mobilevit.{field} is {_words(values)}, where it has one"
    for block in blocks:
        if block.mlp_width != int(block.dim * block.mlp_ratio):
            theirs = int(block.dim * block.mlp_ratio)
            yield f"stages.*.mobilevit.mlp_ratio makes a width of {block.mlp_width}, where it has {theirs}"


def _blocks(arch: ArchConfig) -> list[MobileViTConfig]:
    return [stage.mobilevit for stage in arch.stages if isinstance(stage.mobilevit, MobileViTConfig)]


def _write_json(path: Path, plain: Mapping[str, object]) -> None:
    write_text(path, json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
