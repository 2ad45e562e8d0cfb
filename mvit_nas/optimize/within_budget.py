"""Which part of a space meets the budget, from costs in closed form: milliseconds instead of trainings."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.count import StaticCost
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import Label, SearchSpace, adapt_preset
from mvit_nas.budget import Budget
from mvit_nas.errors import InvalidArchError, NothingFeasibleError, SpaceError
from mvit_nas.metrics import format_metric

_SAMPLES = 2000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A setting of the space with the network that it means and what that costs."""

    labels: dict[str, Label]
    arch: ArchConfig
    arch_id: str
    cost: StaticCost


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasible:
    """A uniform sample of the space: ``drawn`` settings, of which ``invalid`` are no network.

    ``designs`` are the different ones among them that meet the budgets on parameters and multiply-adds, by rising
    multiply-adds; never empty.
    """

    drawn: int
    invalid: int
    fitting: int
    designs: tuple[Design, ...]

    @property
    def share(self) -> float:
        """Share of the settings that are networks within the budget."""
        return self.fitting / self.drawn


def violation(cost: StaticCost, budgets: Sequence[Budget]) -> float:
    """By how much ``cost`` breaks the budgets on parameters and multiply-adds, relative, at worst; 0 or below: met."""
    values = {"params": cost.params, "macs": cost.macs}
    return max((b.violation(values[b.metric]) for b in budgets if b.metric in values), default=0.0)


def sample_feasible(
    space: SearchSpace,
    budgets: Sequence[Budget],
    cost_of: Callable[[ArchConfig], StaticCost],
    *,
    seed: int,
    samples: int = _SAMPLES,
) -> Feasible:
    """Draw from ``space`` and keep what meets ``budgets``; where a draw finds nothing, walk towards the budget.

    Raises SpaceError when no setting is a network, NothingFeasibleError when none that was found fits, naming the
    nearest.
    """
    generator = random.Random(seed)
    found: dict[str, Design] = {}
    nearest: Design | None = None
    invalid = fitting = 0
    reason = ""
    for _ in range(samples):
        try:
            design = describe(space, space.draw(generator), cost_of)
        except InvalidArchError as error:
            invalid += 1
            reason = str(error)
            continue
        if violation(design.cost, budgets) <= 0:
            fitting += 1
            found[design.arch_id] = design
        elif nearest is None or violation(design.cost, budgets) < violation(nearest.cost, budgets):
            nearest = design
    if invalid == samples:
        raise SpaceError(f"{space.name}: none of {samples} drawn settings is a network, the last one because {reason}")
    if not found:
        assert nearest is not None
        nearest = descend(space, nearest, budgets, cost_of, generator)
        if violation(nearest.cost, budgets) > 0:
            raise nothing_feasible(space, budgets, nearest)
        found[nearest.arch_id] = nearest
    designs = sorted(found.values(), key=lambda design: (design.cost.macs, design.arch_id))
    return Feasible(drawn=samples, invalid=invalid, fitting=fitting, designs=tuple(designs))


def presets_within(
    space: SearchSpace, budgets: Sequence[Budget], cost_of: Callable[[ArchConfig], StaticCost]
) -> dict[str, ArchConfig]:
    """The published presets, at the image size and strides of ``space``, that meet ``budgets``."""
    adapted = {name: adapt_preset(preset, space) for name, preset in PRESETS.items()}
    return {n: arch for n, arch in adapted.items() if arch is not None and violation(cost_of(arch), budgets) <= 0}


def describe(space: SearchSpace, labels: dict[str, Label], cost_of: Callable[[ArchConfig], StaticCost]) -> Design:
    """The network of ``labels`` with its cost. Raises InvalidArchError where the values do not fit together."""
    arch = space.arch(labels)
    return Design(labels=labels, arch=arch, arch_id=arch_id(arch), cost=cost_of(arch))


def spread(designs: Sequence[Item], number: int) -> list[Item]:
    """``number`` of ``designs``, evenly over their order, from the cheapest to the dearest."""
    if number >= len(designs):
        return list(designs)
    return [designs[round(i * (len(designs) - 1) / max(1, number - 1))] for i in range(number)]


def nothing_feasible(space: SearchSpace, budgets: Sequence[Budget], nearest: Design) -> NothingFeasibleError:
    """The error for a budget that nothing meets."""
    limits = " and ".join(str(b) for b in budgets if b.metric != "latency_ms")
    size = f"{format_metric('params', nearest.cost.params)}, {format_metric('macs', nearest.cost.macs)}"
    return NothingFeasibleError(
        f"nothing in {space.name} meets the budget ({limits}); the nearest candidate seen, {nearest.arch_id}, "
        f"has {size}: raise the budget or widen the space"
    )


def descend(
    space: SearchSpace,
    start: Design,
    budgets: Sequence[Budget],
    cost_of: Callable[[ArchConfig], StaticCost],
    generator: random.Random,
) -> Design:
    """The end of a walk from ``start`` in which each step changes one parameter and comes nearer to the budgets.

    Of the steps that meet the budgets the one that leaves least of them is taken.
    """

    def order(design: Design) -> tuple[float, float]:
        excess = violation(design.cost, budgets)
        return max(excess, 0.0), -excess

    best = start
    while violation(best.cost, budgets) > 0:
        nearer = []
        for labels in space.neighbours(best.labels, generator):
            try:
                nearer.append(describe(space, labels, cost_of))
            except InvalidArchError:
                continue
        step = min(nearer, key=order, default=best)
        if violation(step.cost, budgets) >= violation(best.cost, budgets):
            return best
        best = step
    return best
