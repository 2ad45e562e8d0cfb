"""Which part of a space meets the budget, from costs in closed form: milliseconds instead of trainings."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from mvit_nas.arch.count import StaticCost
from mvit_nas.budget import Budget
from mvit_nas.errors import InvalidArchError, NothingFeasibleError, SpaceError
from mvit_nas.metrics import LATENCY, MACS, PARAMS
from mvit_nas.optimize.designs import Design, Designs

_SAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasible:
    """A uniform sample of a space: ``drawn`` settings, of which ``fitting`` are networks within the budget.

    ``designs`` are the different ones that meet the budgets on parameters and multiply-adds, by rising multiply-adds;
    never empty.
    """

    drawn: int
    fitting: int
    designs: tuple[Design, ...]

    @property
    def share(self) -> float:
        """Share of the settings that are networks within the budget."""
        return self.fitting / self.drawn


def violation(cost: StaticCost, budgets: Sequence[Budget]) -> float:
    """By how much ``cost`` breaks the budgets on parameters and multiply-adds, relative, at worst; 0 or below: met."""
    values = {PARAMS.name: cost.params, MACS.name: cost.macs}
    return max((b.violation(values[b.metric]) for b in budgets if b.metric in values), default=0.0)


def sample_feasible(designs: Designs, budgets: Sequence[Budget], *, seed: int, samples: int = _SAMPLES) -> Feasible:
    """Draw from ``designs`` and keep what meets ``budgets``; where a draw finds nothing, walk towards the budget.

    Raises SpaceError when no setting is a network, NothingFeasibleError when none that was found fits, naming the
    nearest.
    """
    generator = random.Random(seed)
    found: dict[str, Design] = {}
    nearest: Design | None = None
    fitting, reason = 0, ""
    for _ in range(samples):
        try:
            design = designs.describe(designs.space.draw(generator))
        except InvalidArchError as error:
            reason = str(error)
            continue
        if violation(design.cost, budgets) <= 0:
            fitting += 1
            found[design.arch_id] = design
        elif nearest is None or violation(design.cost, budgets) < violation(nearest.cost, budgets):
            nearest = design
    name = designs.space.name
    if not found:
        if nearest is None:
            raise SpaceError(f"{name}: none of {samples} drawn settings is a network, the last one because {reason}")
        nearest = descend(designs, nearest, budgets, generator=generator)
        if violation(nearest.cost, budgets) > 0:
            raise _nothing_feasible(name, budgets, nearest)
        found[nearest.arch_id] = nearest
    ordered = sorted(found.values(), key=lambda design: (design.cost.macs, design.arch_id))
    return Feasible(drawn=samples, fitting=fitting, designs=tuple(ordered))


def presets_within(designs: Designs, budgets: Sequence[Budget]) -> list[Design]:
    """The published presets that meet ``budgets``."""
    return [design for design in designs.presets.values() if violation(design.cost, budgets) <= 0]


def spread(designs: Sequence[Design], number: int) -> list[Design]:
    """``number`` of ``designs``, evenly over their order, from the cheapest to the dearest."""
    if number >= len(designs):
        return list(designs)
    return [designs[round(i * (len(designs) - 1) / max(1, number - 1))] for i in range(number)]


def descend(designs: Designs, start: Design, budgets: Sequence[Budget], *, generator: random.Random) -> Design:
    """The end of a walk from ``start`` in which each step changes one parameter and comes nearer to the budgets.

    Of the steps that meet the budgets the one that leaves least of them is taken.
    """

    def order(design: Design) -> tuple[float, float]:
        excess = violation(design.cost, budgets)
        return max(excess, 0.0), -excess

    best = start
    while violation(best.cost, budgets) > 0:
        nearer = []
        for labels in designs.space.neighbours(best.labels, generator):
            try:
                nearer.append(designs.describe(labels))
            except InvalidArchError:
                continue
        step = min(nearer, key=order, default=best)
        if violation(step.cost, budgets) >= violation(best.cost, budgets):
            return best
        best = step
    return best


def _nothing_feasible(space: str, budgets: Sequence[Budget], nearest: Design) -> NothingFeasibleError:
    limits = " and ".join(str(b) for b in budgets if b.metric != LATENCY.name)
    size = f"{PARAMS.format(nearest.cost.params)}, {MACS.format(nearest.cost.macs)}"
    return NothingFeasibleError(
        f"nothing in {space} meets the budget ({limits}); the nearest candidate seen, {nearest.arch_id}, "
        f"has {size}: raise the budget or widen the space"
    )
