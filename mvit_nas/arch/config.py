"""What a candidate is: a frozen description of a MobileViT-family network, and the one way to vary it."""

import dataclasses
import difflib
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mvit_nas.errors import ArchError, InvalidArchError

Fusion = Literal["none", "conv1x1", "conv3x3"]


def round_channels(width: float, *, multiple: int = 8) -> int:
    """``width`` rounded to a multiple of 8, never below 90 % of it (MobileNetV2's rule, which MobileViT keeps)."""
    rounded = max(multiple, int(width + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < 0.9 * width else rounded


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InvalidArchError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class StemConfig:
    """The first 3x3 convolution."""

    channels: int = 16
    stride: int = 2

    def __post_init__(self) -> None:
        _require(self.channels >= 1, f"the stem's channels must be at least 1, got {self.channels}")
        _require(self.stride in (1, 2), f"the stem's stride must be 1 or 2, got {self.stride}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileViTConfig:
    """A MobileViT block (arXiv 2110.02178, section 3.1): local convolutions, a transformer, fusion.

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
        for field in ("dim", "depth", "heads", "patch_size"):
            _require(getattr(self, field) >= 1, f"{field} must be at least 1, got {getattr(self, field)}")
        _require(
            self.dim % self.heads == 0,
            f"dim must be divisible by heads, got dim={self.dim}, heads={self.heads}",
        )
        _require(self.mlp_width >= 1, f"mlp_ratio must leave a width, got mlp_ratio={self.mlp_ratio}")
        _require(
            self.fusion in typing.get_args(Fusion),
            f"fusion must be one of {', '.join(typing.get_args(Fusion))}, got {self.fusion!r}",
        )

    @property
    def mlp_width(self) -> int:
        """Hidden width of the feed-forward layers."""
        return round(self.dim * self.mlp_ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """Inverted residuals (the first has the stride), then a MobileViT block where ``mobilevit`` is given."""

    channels: int
    blocks: int = 1
    stride: int = 1
    expand_ratio: float = 4.0
    kernel_size: int = 3
    mobilevit: MobileViTConfig | None = None

    def __post_init__(self) -> None:
        _require(self.channels >= 1, f"channels must be at least 1, got {self.channels}")
        _require(self.blocks >= 1, f"a stage needs at least 1 inverted residual, got blocks={self.blocks}")
        _require(self.stride in (1, 2), f"a stage's stride must be 1 or 2, got {self.stride}")
        _require(self.expand_ratio >= 1, f"expand_ratio must be at least 1, got {self.expand_ratio}")
        _require(self.kernel_size % 2 == 1, f"kernel_size must be odd, got {self.kernel_size}")

    def hidden_channels(self, in_channels: int) -> int:
        """Width inside an inverted residual that takes ``in_channels``."""
        return in_channels if self.expand_ratio == 1 else round_channels(in_channels * self.expand_ratio)


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
        _require(len(self.stages) >= 1, "an architecture needs at least one stage")
        _require(self.image_size >= 1, f"image_size must be at least 1, got {self.image_size}")
        _require(self.head_expansion > 0, f"head_expansion must be positive, got {self.head_expansion}")
        for field in ("dropout", "head_dropout"):
            value = getattr(self, field)
            _require(0 <= value < 1, f"{field} must lie in [0, 1), got {value}")

    @property
    def head_channels(self) -> int:
        """Width of the last 1x1 convolution."""
        return min(round(self.head_expansion * self.stages[-1].channels), 960)

    def map_sides(self, image_size: int) -> tuple[int, ...]:
        """Side of the map that leaves each stage, for images of ``image_size``."""
        side = math.ceil(image_size / self.stem.stride)
        return tuple(side := math.ceil(side / stage.stride) for stage in self.stages)


def to_dict(arch: ArchConfig) -> dict[str, Any]:
    """``arch`` as plain values, for YAML and JSON."""
    return dataclasses.asdict(arch)


def from_dict(values: Mapping[str, Any]) -> ArchConfig:
    """The architecture that ``to_dict`` wrote. Raises ArchError for an unknown or a missing key."""
    return typing.cast(ArchConfig, _from_plain(ArchConfig, values, "architecture"))


def arch_id(arch: ArchConfig) -> str:
    """Ten hexadecimal digits that name the network.

    Configs that describe the same network share it: what has no effect (a ratio that rounds to the same width,
    dropout of transformers that are not there) is left out or resolved first.
    """
    values = to_dict(arch)
    channels = arch.stem.channels
    for stage, plain in zip(arch.stages, values["stages"], strict=True):
        # Every residual after the first takes the stage's own channels; one that is not there has no width.
        plain["hidden"] = [stage.hidden_channels(channels)]
        plain["hidden"] += [stage.hidden_channels(stage.channels)] if stage.blocks > 1 else []
        del plain["expand_ratio"]
        # Without the expansion's 1x1 convolution the block is another network than one whose ratio rounds to 1.
        plain["expands"] = stage.expand_ratio != 1
        if stage.mobilevit is not None:
            plain["mobilevit"]["mlp_width"] = stage.mobilevit.mlp_width
            del plain["mobilevit"]["mlp_ratio"]
        channels = stage.channels
    if all(stage.mobilevit is None for stage in arch.stages):
        del values["dropout"]
    values["head"] = arch.head_channels
    del values["head_expansion"]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]


def with_values(arch: ArchConfig, values: Mapping[str, Any]) -> ArchConfig:
    """``arch`` with the value at each dotted path replaced: ``{"stages.2.mobilevit.dim": 72}``.

    Stages count from 0; ``*`` stands for every stage, or for every stage that has what the path goes on with.
    A mapping builds a whole part (``{"stages.1.mobilevit": {"dim": 64, "depth": 2}}``). A path below a part that
    the same call sets to None has no effect. Raises ArchError, naming the path and the nearest one, when a path
    leads nowhere.
    """
    plain = to_dict(arch)
    expanded = {path: value for key, value in values.items() for path in expand_path(arch, key, also=values)}
    removed = tuple(f"{path}." for path, value in expanded.items() if value is None)
    # Short paths first: a part is set before what lies inside it.
    for path in sorted(expanded, key=lambda path: path.count(".")):
        if not path.startswith(removed):
            value = expanded[path]
            if isinstance(value, Mapping) and path.endswith(".mobilevit"):
                # With its defaults filled in, so that deeper paths find them.
                value = dataclasses.asdict(_from_plain(MobileViTConfig, value, path))
            _set(plain, path, value)
    return from_dict(plain)


def expand_path(arch: ArchConfig, path: str, *, also: Iterable[str] = ()) -> list[str]:
    """``path`` with ``*`` replaced by each stage of ``arch`` that has such a value.

    ``also`` are paths that the caller sets as well: a stage that gets its MobileViT block from them counts.
    """
    before, star, after = path.partition("*")
    if not star:
        return [path]
    if before != "stages." or not after.startswith("."):
        raise ArchError(f"the path {path!r} leads nowhere: '*' stands for a stage, as in 'stages.*.channels'")
    inside = after.removeprefix(".")
    set_elsewhere = set(also)
    stages = [
        i
        for i, stage in enumerate(arch.stages)
        if not inside.startswith("mobilevit.")
        or stage.mobilevit is not None
        or f"stages.{i}.mobilevit" in set_elsewhere
    ]
    if not stages:
        raise ArchError(f"the path {path!r} leads nowhere: no stage has a MobileViT block")
    return [f"stages.{i}.{inside}" for i in stages]


def _set(plain: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    node: Any = plain
    for step, key in enumerate(parents):
        node = node[_key(node, key, path)]
        if node is None:
            absent = ".".join(parents[: step + 1])
            raise ArchError(f"the path {path!r} leads nowhere: there is nothing at {absent!r}")
    node[_key(node, last, path)] = value


def _key(node: Any, key: str, path: str) -> Any:
    """``key`` as an index of ``node``, or an ArchError that names the known keys nearest to it."""
    if isinstance(node, list | tuple):
        if key.isdigit() and int(key) < len(node):
            return int(key)
        raise ArchError(f"the path {path!r} leads nowhere: {key!r} is none of the stages 0 to {len(node) - 1}")
    if not isinstance(node, dict) or key not in node:
        known = list(node) if isinstance(node, dict) else []
        raise ArchError(f"the path {path!r} leads nowhere: {unknown(key, known)}")
    return key


def unknown(key: object, known: Iterable[str]) -> str:
    """Words for an unknown key: the nearest of ``known`` where one is near, else all of them."""
    known = list(known)
    near = difflib.get_close_matches(str(key), known, n=1)
    if near:
        return f"unknown {str(key)!r}, did you mean {near[0]!r}?"
    return f"unknown {str(key)!r}, known are {', '.join(known)}"


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    # Resolving annotations takes most of the time of building a config, and sampling builds thousands.
    return typing.get_type_hints(kind)


def _from_plain(kind: Any, value: Any, where: str) -> Any:
    """``value`` (dicts, lists, numbers) as ``kind``, strictly."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ArchError(f"{where} must be a mapping, got {value!r}")
        fields = {field.name: field for field in dataclasses.fields(kind)}
        for key in value:
            if key not in fields:
                raise ArchError(f"{where}: {unknown(key, fields)}")
        hints = _hints(kind)
        for name, field in fields.items():
            if name not in value and field.default is dataclasses.MISSING:
                raise ArchError(f"{where} lacks {name!r}")
        return kind(**{key: _from_plain(hints[key], part, f"{where}.{key}") for key, part in value.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _from_plain(arguments[0], value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ArchError(f"{where} must be a list, got {value!r}")
        return tuple(_from_plain(arguments[0], part, f"{where}.{i}") for i, part in enumerate(value))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if origin is Literal:
        if value in arguments:
            return value
        raise ArchError(f"{where} must be one of {', '.join(map(str, arguments))}, got {value!r}")
    raise ArchError(f"{where} must be {'a whole number' if kind is int else 'a number'}, got {value!r}")
