"""What a candidate is: a frozen description of a MobileViT-family network, its plain values and its name."""

import dataclasses
import functools
import hashlib
import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mvit_nas.arch.blocks import BLOCKS, Block
from mvit_nas.arch.blocks.inverted_residual import InvertedResidualConfig, hidden_channels
from mvit_nas.arch.rules import LARGEST_RATIO, MOST_PARTS, WIDEST, require, require_within, strided
from mvit_nas.errors import ArchError, unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class StemConfig:
    """The first 3x3 convolution."""

    channels: int = 16
    stride: int = 2

    def __post_init__(self) -> None:
        require_within("the stem's channels", self.channels, 1, WIDEST)
        require(self.stride in (1, 2), f"the stem's stride must be 1 or 2, got {self.stride}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """Inverted residuals (the first has the stride), then a MobileViT block where ``mobilevit`` is given."""

    channels: int
    blocks: int = 1
    stride: int = 1
    expand_ratio: float = 4.0
    kernel_size: int = 3
    mobilevit: Block | None = None

    def __post_init__(self) -> None:
        require_within("channels", self.channels, 1, WIDEST)
        require_within("blocks", self.blocks, 1, MOST_PARTS)
        require(self.stride in (1, 2), f"a stage's stride must be 1 or 2, got {self.stride}")
        require_within("expand_ratio", self.expand_ratio, 1, LARGEST_RATIO)
        require_within("kernel_size", self.kernel_size, 1, WIDEST)
        require(self.kernel_size % 2 == 1, f"kernel_size must be odd, got {self.kernel_size}")

    def residuals(self, in_channels: int) -> tuple[InvertedResidualConfig, ...]:
        """Its inverted residuals, where the map that comes in has ``in_channels``."""
        return tuple(
            InvertedResidualConfig(
                in_channels=channels,
                hidden=hidden_channels(channels, self.expand_ratio),
                out_channels=self.channels,
                kernel_size=self.kernel_size,
                stride=stride,
                expands=self.expand_ratio != 1,
            )
            for channels, stride in ((in_channels, self.stride), *((self.channels, 1),) * (self.blocks - 1))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchConfig:
    """A network: a stem, stages, a last 1x1 convolution, a classifier.

    ``image_size`` is the side in pixels at which it is meant to run and at which its costs are counted.
    ``head_expansion`` widens the last stage's channels for the last 1x1 convolution, up to 960.
    ``dropout`` acts in the transformers, ``head_dropout`` before the classifier. The number of classes belongs to
    the data, not to the architecture.
    """

    image_size: int = 256
    stem: StemConfig = StemConfig()
    stages: tuple[StageConfig, ...]
    head_expansion: float = 4.0
    dropout: float = 0.1
    head_dropout: float = 0.1

    def __post_init__(self) -> None:
        require_within("the number of stages", len(self.stages), 1, MOST_PARTS)
        require_within("image_size", self.image_size, 1, WIDEST)
        require_within("head_expansion", self.head_expansion, 0, LARGEST_RATIO)
        require(self.head_channels >= 1, f"head_expansion must leave a width, got {self.head_expansion}")
        for field in ("dropout", "head_dropout"):
            value = getattr(self, field)
            require(0 <= value < 1, f"{field} must lie in [0, 1), got {value}")

    @property
    def head_channels(self) -> int:
        """Width of the last 1x1 convolution."""
        return min(round(self.head_expansion * self.stages[-1].channels), 960)

    def map_sides(self, image_size: int) -> tuple[int, ...]:
        """Side of the map that leaves each stage, for images of ``image_size``."""
        return tuple(
            side if stage.mobilevit is None else stage.mobilevit.side_after(side)
            for stage, side in self.sides_before_blocks(image_size)
        )

    def tokens(self, image_size: int) -> tuple[int, ...]:
        """How many tokens the attention of each block sees, stage after stage, for images of ``image_size``.

        Where it is one, attention is the identity: heads have no effect.
        """
        sides = self.sides_before_blocks(image_size)
        return tuple(stage.mobilevit.tokens(side) for stage, side in sides if stage.mobilevit is not None)

    def sides_before_blocks(self, image_size: int) -> Iterator[tuple[StageConfig, int]]:
        """Each stage with the side of the map that leaves its inverted residuals."""
        side = strided(image_size, self.stem.stride)
        for stage in self.stages:
            side = strided(side, stage.stride)
            yield stage, side
            side = side if stage.mobilevit is None else stage.mobilevit.side_after(side)


def to_dict(arch: ArchConfig) -> dict[str, Any]:
    """``arch`` as plain values, for YAML and JSON."""
    return typing.cast(dict[str, Any], _plain(arch))


def from_dict(values: Mapping[str, Any]) -> ArchConfig:
    """The architecture that ``to_dict`` wrote. Raises ArchError for an unknown or a missing key."""
    return typing.cast(ArchConfig, _from_plain(ArchConfig, values, "architecture"))


def whole_block(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """All values of the block that ``values`` describe, defaults filled in; errors call them ``where``."""
    return typing.cast(dict[str, Any], _plain(_from_plain(Block, values, where)))


def arch_id(arch: ArchConfig) -> str:
    """Ten hexadecimal digits that name the network.

    Configs that describe the same network share it: what has no effect at its image size (a ratio that rounds to the
    same width, dropout of transformers that are not there, heads over a single token) is left out or resolved first.
    """
    values = to_dict(arch)
    channels = arch.stem.channels
    sides = arch.sides_before_blocks(arch.image_size)
    for (stage, side), plain in zip(sides, values["stages"], strict=True):
        # Every residual after the first takes the stage's own channels; one that is not there has no width.
        takes = (channels, stage.channels)[: stage.blocks]
        plain["hidden"] = [hidden_channels(width, stage.expand_ratio) for width in takes]
        # Without the 1x1 convolution of the expansion it is another network than one whose ratio rounds to 1.
        plain["expands"] = stage.expand_ratio != 1
        del plain["expand_ratio"]
        if stage.mobilevit is not None:
            plain["mobilevit"] = stage.mobilevit.identity(side)
        channels = stage.channels
    if all(stage.mobilevit is None for stage in arch.stages):
        del values["dropout"]
    values["head"] = arch.head_channels
    del values["head_expansion"]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]


def _plain(value: Any) -> Any:
    """As ``dataclasses.asdict``, which copies every number and takes three times as long: searches make thousands."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if not dataclasses.is_dataclass(value):
        return value
    kind: Any = type(value)
    return {name: _plain(getattr(value, name)) for name in _fields(kind)}


# Where a value stands: the path's parts from the last to the first. It is joined only where an error needs it.
_Where = str | tuple["_Where", str | int]


def _words(where: _Where) -> str:
    return where if isinstance(where, str) else f"{_words(where[0])}.{where[1]}"


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    """Type of each field. Resolving annotations takes most of the time of parsing, and tables hold thousands."""
    return typing.get_type_hints(kind)


@functools.cache
def _required(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING)


@functools.cache
def _origin(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    return typing.get_origin(kind), typing.get_args(kind)


def _from_plain(kind: Any, value: Any, where: _Where) -> Any:
    """``value`` (dicts, lists, numbers) as ``kind``, strictly."""
    if kind is int or kind is float:
        if isinstance(value, int if kind is int else int | float) and not isinstance(value, bool):
            return kind(value)
        raise ArchError(f"{_words(where)} must be {'a whole number' if kind is int else 'a number'}, got {value!r}")
    origin, arguments = _origin(kind)
    if origin is None:
        return _from_mapping(kind, value, where)
    if origin is types.UnionType:
        return None if value is None else _from_plain(arguments[0], value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ArchError(f"{_words(where)} must be a list, got {value!r}")
        return tuple(_from_plain(arguments[0], part, (where, i)) for i, part in enumerate(value))
    assert origin is Literal, f"{kind} has no plain form"
    if value in arguments:
        return value
    raise ArchError(f"{_words(where)} must be one of {', '.join(map(str, arguments))}, got {value!r}")


def _from_mapping(kind: Any, value: Any, where: _Where) -> Any:
    if not isinstance(value, Mapping):
        raise ArchError(f"{_words(where)} must be a mapping, got {value!r}")
    if kind is Block:
        variant = value.get("variant", "v1")
        if variant not in BLOCKS:
            raise ArchError(f"{_words(where)}.variant: {unknown(variant, BLOCKS)}")
        kind = BLOCKS[variant]
    fields = _fields(kind)
    for key in value:
        if key not in fields:
            raise ArchError(f"{_words(where)}: {unknown(key, fields)}")
    for name in _required(kind):
        if name not in value:
            raise ArchError(f"{_words(where)} lacks {name!r}")
    return kind(**{key: _from_plain(fields[key], part, (where, key)) for key, part in value.items()})
