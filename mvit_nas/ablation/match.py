"""Rescale a network's width until it costs what another one costs, so that a comparison is one of equal budgets."""

import math
from collections.abc import Callable, Collection

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.paths import with_values
from mvit_nas.errors import InputError, NothingFeasibleError

TOLERANCE = 0.02
# Widths from a quarter to four times, in steps of 0.5 %.
_SCALES = tuple(1.005**step for step in range(-278, 279))
# From coarse to fine: what widths are multiples of, and whether they are rounded together.
_ROUNDINGS = ((8, True), (4, True), (2, True), (1, True), (1, False))


def rescale(
    arch: ArchConfig, *, target: float, cost: Callable[[ArchConfig], float], keep: Collection[str], what: str
) -> tuple[ArchConfig, float]:
    """``arch`` with its widths scaled by one number until ``cost`` is within 2 % of ``target``; and that number.

    The widths are those of stem, stages and transformers but for the paths in ``keep``, which the factor sets. They
    stay multiples of 8 where that is fine enough, else of 4, 2 or 1. ``cost`` must grow with the width; it is asked
    about 40 times at most. Raises NothingFeasibleError, naming ``what`` and the nearest, where no width will do.
    """
    widths = {path: value for path, value in _widths(arch).items() if path not in keep}
    if not widths:
        raise InputError(f"{what} sets every width, so there is none left to match its cost with: leave out --match")
    best, nearest, cost_of_nearest = arch, 1.0, cost(arch)
    for multiple, together in _ROUNDINGS:
        ladder: dict[str, tuple[ArchConfig, float]] = {}
        for scale in _SCALES:
            scaled = _scaled(arch, widths, scale, multiple=multiple, together=together)
            ladder.setdefault(arch_id(scaled), (scaled, scale))
        rungs = list(ladder.values())
        low, high = 0, len(rungs) - 1
        while low <= high:
            middle = (low + high) // 2
            scaled, scale = rungs[middle]
            value = cost(scaled)
            if abs(value - target) < abs(cost_of_nearest - target):
                best, nearest, cost_of_nearest = scaled, scale, value
            if value < target:
                low = middle + 1
            else:
                high = middle - 1
        if abs(cost_of_nearest / target - 1) <= TOLERANCE:
            return best, nearest
    raise NothingFeasibleError(
        f"no width from a quarter to four times lets {what} cost what the base costs: "
        f"the nearest, {nearest:.2f} times, comes to {cost_of_nearest / target:.3f} of it"
    )


def _widths(arch: ArchConfig) -> dict[str, tuple[int, int]]:
    """Each width by its path, with what it must be a multiple of."""
    widths = {"stem.channels": (arch.stem.channels, 1)}
    for index, stage in enumerate(arch.stages):
        widths[f"stages.{index}.channels"] = stage.channels, 1
        if stage.mobilevit is not None:
            for field, multiple in stage.mobilevit.widths().items():
                widths[f"stages.{index}.mobilevit.{field}"] = getattr(stage.mobilevit, field), multiple
    return widths


def _scaled(
    arch: ArchConfig, widths: dict[str, tuple[int, int]], scale: float, *, multiple: int, together: bool
) -> ArchConfig:
    values = {}
    for index, (path, (width, divisor)) in enumerate(widths.items()):
        step = math.lcm(multiple, divisor)
        # Widths that are alike would all grow at the same scale, and the cost with a jump: rounded each at its own
        # place between two steps, they grow one after the other.
        offset = 0.5 if together else (index + 0.5) / len(widths)
        values[path] = max(step, math.floor(width * scale / step + offset) * step)
    return with_values(arch, values)
