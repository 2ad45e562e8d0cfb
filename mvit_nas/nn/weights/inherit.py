"""Starting weights from another network: what both have is copied, the rest stays as it was drawn."""

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from mvit_nas.arch.config import ArchConfig
from mvit_nas.errors import InputError

# Of a network's numbers: with less, a start from other weights is hardly one.
_LEAST = 0.1


@dataclass(frozen=True, kw_only=True)
class Source:
    """Weights to start from, in our layout, for images in red, green, blue.

    ``classes`` are the names of its outputs in their order, None where nobody says them. ``heads`` are
    as ``heads_of`` has them, and empty where nobody says them: tensors do not tell.
    """

    name: str
    weights: Mapping[str, Tensor]
    classes: tuple[str, ...] | None
    heads: Mapping[str, int] = field(default_factory=dict)

    @functools.cached_property
    def digest(self) -> str:
        """Names its weights and classes: the same wherever they lie."""
        found = hashlib.sha256(repr(self.classes).encode())
        for name, tensor in sorted(self.weights.items()):
            found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            found.update(tensor.contiguous().reshape(-1).float().numpy().tobytes())
        return found.hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a network took from a source: of each of its tensors how many numbers, and of how many."""

    numbers: Mapping[str, tuple[int, int]]

    @property
    def whole(self) -> tuple[str, ...]:
        """The tensors that were taken whole."""
        return tuple(name for name, (taken, of) in self.numbers.items() if taken == of)

    @property
    def part(self) -> tuple[str, ...]:
        """Those that were taken in part."""
        return tuple(name for name, (taken, of) in self.numbers.items() if 0 < taken < of)

    @property
    def anew(self) -> tuple[str, ...]:
        """Those that were drawn anew."""
        return tuple(name for name, (taken, _) in self.numbers.items() if not taken)

    @property
    def share(self) -> float:
        """How much of the network's numbers was taken."""
        return sum(taken for taken, _ in self.numbers.values()) / sum(of for _, of in self.numbers.values())

    def share_of(self, name: str) -> float:
        """How much of the tensor of that ``name`` was taken."""
        taken, of = self.numbers[name]
        return taken / of

    def __str__(self) -> str:
        """In words: "299 tensors taken whole, 4 in part, 8 drawn anew, 93 % of the numbers taken"."""
        whole, part, anew = len(self.whole), len(self.part), len(self.anew)
        return f"{whole} tensors taken whole, {part} in part, {anew} drawn anew, {self.share:.0%} of the numbers taken"


def initialised(
    fresh: Mapping[str, Tensor], source: Source, classes: Sequence[str], *, partial: bool = False
) -> tuple[dict[str, Tensor], Taken]:
    """The state of a fresh network for ``classes`` with what fits of ``source``, and what that was.

    What both have under the same name is copied. Where one is wider, the channels that both have are. Query, key and
    value lie one after the other in one tensor, and so do the two maps that a fusion convolution reads: these parts are
    copied each by itself. A small kernel comes into the middle of a large one, whose rim is then zero: the network
    computes what it did. The classifier's rows are copied by the names of the classes.

    Raises InputError where less than a tenth of the numbers is taken, unless ``partial``.
    """
    state, numbers = {}, {}
    for name, mine in fresh.items():
        state[name] = mine.clone()
        if mine.dim():
            pairs = _pairs(name, state[name], source, classes)
            numbers[name] = sum(_copied(target, given) for target, given in pairs), mine.numel()
    taken = Taken(numbers=numbers)
    if taken.share < _LEAST and not partial:
        raise InputError(
            f"--init {source.name} has {taken.share:.1%} of the network's numbers ({taken}): it is of another kind of "
            "network; --partial starts from it all the same"
        )
    return state, taken


def heads_of(arch: ArchConfig) -> dict[str, int]:
    """How many heads share the width of each attention layer of ``arch``, by the tensor of its query, key and value."""
    return {
        f"stages.{number}.{stage.blocks}.layers.{layer}.attention.qkv.weight": stage.mobilevit.heads
        for number, stage in enumerate(arch.stages)
        if stage.mobilevit is not None
        for layer in range(stage.mobilevit.depth)
    }


def from_other_heads(arch: ArchConfig, source: Source) -> int:
    """How many attention layers of ``arch`` take what another number of heads shares in ``source``, as far as it says.

    The shapes are the same and fit, but each head has other channels than the one that was trained.
    """
    mine = heads_of(arch)
    return sum(heads != mine[name] for name, heads in source.heads.items() if name in mine)


def _pairs(name: str, mine: Tensor, source: Source, classes: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
    """What is copied of the tensor ``name`` to ``mine``, part by part; none where it does not fit."""
    theirs = source.weights.get(name)
    if theirs is None or theirs.dim() != mine.dim():
        return
    if name.startswith("classifier."):
        for here, there in _same_classes(classes, source.classes or ()):
            yield mine[here : here + 1], theirs[there : there + 1]
        return
    axis, parts = (0, 3) if ".qkv." in name else (1, 2) if ".fusion.conv." in name else (0, 1)
    if theirs.shape[axis] % parts == 0:
        yield from zip(mine.chunk(parts, axis), theirs.chunk(parts, axis), strict=True)


def _same_classes(mine: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where each name stands that both have; two classes of one name (ImageNet's cranes) cannot be told apart."""
    here, there = Counter(mine), Counter(theirs)
    for index, name in enumerate(mine):
        if here[name] == there[name] == 1:
            yield index, theirs.index(name)


def _copied(target: Tensor, given: Tensor) -> int:
    """Copy into ``target`` what fits of ``given``; how many numbers that was.

    Of axes 0 and 1 these are the first channels. Axes 2 and 3 are a kernel's, and a small kernel lies in the middle.
    """
    common = [min(pair) for pair in zip(target.shape, given.shape, strict=True)]
    target[tuple(slice(length) for length in common[:2])] = 0
    here, there = (
        tuple(
            slice(first, first + length)
            for axis, length in enumerate(common)
            for first in [(tensor.shape[axis] - length) // 2 if axis >= 2 else 0]
        )
        for tensor in (target, given)
    )
    target[here] = given[there].to(target.dtype)
    return target[here].numel()
