"""What the rest of the package asks of a block that may end a stage, whatever kind it is."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from mvit_nas.arch.operators import Operator
from mvit_nas.arch.rules import Plain


class Block(Protocol):
    """A frozen dataclass that describes a block of transformer layers among convolutions, and knows its price.

    ``dim`` is the width of the layers, ``depth`` their number, ``mlp_width`` their feed-forward width. What a kind has
    no choice of (one head, no fusion) it still says, for pictures and tables.
    """

    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def depth(self) -> int: ...  # noqa: D102
    @property
    def mlp_width(self) -> int: ...  # noqa: D102
    @property
    def heads(self) -> int: ...  # noqa: D102
    @property
    def patch_size(self) -> int: ...  # noqa: D102
    @property
    def fusion(self) -> str: ...  # noqa: D102

    def operators(self, *, channels: int, side: int) -> Iterator[Operator]:
        """What it computes and moves on a map of ``channels`` and ``side``."""
        ...

    def tiled_side(self, side: int) -> int:
        """Side of the map that its patches tile: that of the map, or what it is resized to."""
        ...

    def side_after(self, side: int) -> int:
        """Side of the map that leaves it; a kind that resizes need not undo it."""
        ...

    def tokens(self, side: int) -> int:
        """Length of the sequences that its attention sees on a map of ``side``."""
        ...

    def widths(self) -> Mapping[str, int]:
        """The fields that are widths, each with what it must be a multiple of."""
        ...

    def identity(self, side: int) -> dict[str, Plain]:
        """What tells its networks apart on a map of ``side``: its values but those without effect there."""
        ...
