"""Starting weights from a trained relative: what both networks have is copied, the rest stays as it was drawn."""

from collections.abc import Mapping

from torch import Tensor


def inherited(fresh: Mapping[str, Tensor], trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a fresh network with the weights of a trained one wherever both have a layer of the same name.

    Where one is wider, the channels that both have are copied. Query, key and value lie one after the other in one
    tensor, and so do the two maps that a fusion convolution reads: these parts are copied each by itself.
    """
    state = {}
    for name, mine in fresh.items():
        state[name] = mine.clone()
        theirs = trained.get(name)
        if theirs is None or not mine.dim():
            continue
        axis, parts = (0, 3) if ".qkv." in name else (1, 2) if ".fusion.conv." in name else (0, 1)
        for target, source in zip(state[name].chunk(parts, axis), theirs.chunk(parts, axis), strict=True):
            here, there = zip(*map(_shared, range(mine.dim()), target.shape, source.shape), strict=True)
            target[here] = source[there]
    return state


def _shared(axis: int, mine: int, theirs: int) -> tuple[slice, slice]:
    """What an axis of length ``mine`` and one of ``theirs`` have in common, in each: the first channels.

    Axes 2 and 3 are a kernel's, and a small kernel lies in the middle of a large one.
    """
    common = min(mine, theirs)
    here, there = ((mine - common) // 2, (theirs - common) // 2) if axis >= 2 else (0, 0)
    return slice(here, here + common), slice(there, there + common)
