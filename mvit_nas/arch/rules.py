"""What all parts of an architecture share: how widths and maps are rounded, what is refused, plain values."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from mvit_nas.errors import InvalidArchError

# What YAML and JSON hold.
Plain: TypeAlias = "Mapping[str, Plain] | Sequence[Plain] | str | float | None"


def round_channels(width: float, *, multiple: int = 8) -> int:
    """``width`` rounded to a multiple of 8, never below 90 % of it (MobileNetV2's rule, which MobileViT keeps)."""
    rounded = max(multiple, int(width + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < 0.9 * width else rounded


def strided(side: int, stride: int) -> int:
    """Side of the map that a convolution of ``stride`` makes of one of ``side``."""
    return math.ceil(side / stride)


# What a part may have at most: far beyond what anybody trains, and small enough that counting it takes no time.
MOST_PARTS = 256
WIDEST = 1 << 16
LARGEST_RATIO = 256.0


def require(holds: bool, message: str) -> None:
    """Raise InvalidArchError with ``message`` unless it ``holds``."""
    if not holds:
        raise InvalidArchError(message)


def require_within(name: str, value: float, least: float, most: float) -> None:
    """Raise InvalidArchError unless ``value``, called ``name``, lies between ``least`` and ``most``."""
    require(least <= value <= most, f"{name} must be {least:g} to {most:g}, got {value}")
