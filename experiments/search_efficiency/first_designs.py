"""Should the first designs of a search be those with the most activations at their cost?

Replays searches over the networks that those of this folder trained (the accuracy is the mean of a network's
trainings): 80 of them are drawn as the whole space, ten are the first designs by a rule, and the cost-aware sampler
goes on from there. The rules cut the space by multiply-adds into slices and keep its cheapest and its dearest network.
The number of activations stands for NWOT (experiments/schedule_fidelity).

    python experiments/search_efficiency/first_designs.py [--repetitions 40]
"""

import argparse
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mvit_nas.arch.space import Label, load_space
from mvit_nas.budget import parse_budget
from mvit_nas.maths.hypervolume import Box, hypervolume
from mvit_nas.maths.pareto import Floats
from mvit_nas.metrics import ACCURACY, MACS, PARAMS
from mvit_nas.optimize.candidates import Candidates, Goal
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.optimize.propose import Trained, propose
from mvit_nas.optimize.within_budget import sample_feasible, spread
from mvit_nas.results.table import read_table

# `mobilevit_small` as it was when the searches ran.
OLD_SPACE = Path(__file__).parents[2] / "benchmarks" / "spaces" / "with_stem_stride.yaml"

NETWORKS, FIRST, MARKS = 80, 10, (10, 12, 15, 20, 25)
# Where a design has the logarithm of its activations: the last features are sizes.
ACTIVATIONS = -2


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A design with what training it gave."""

    design: Design
    accuracy: float
    params: float
    macs: float


class Replayed:
    """A pool of ``networks`` only."""

    def __init__(self, whole: Candidates, networks: Sequence[Network]) -> None:
        self.choices = whole.choices
        self.drawn = [one.design for one in networks]
        self._whole = whole
        self._known = {one.arch_id for one in self.drawn}

    def candidate(self, labels: Mapping[str, Label]) -> Design | None:
        """The candidate of ``labels`` where it is one of the networks."""
        found = self._whole.candidate(labels)
        return found if found is not None and found.arch_id in self._known else None

    def repaired(self, labels: Mapping[str, Label]) -> Design | None:
        """Nothing: no proposal is over the budget."""
        return None

    def features(self, designs: Sequence[Design]) -> Floats:
        """As the whole pool says."""
        return self._whole.features(designs)

    def savings(self, designs: Sequence[Design]) -> Floats:
        """As the whole pool says."""
        return self._whole.savings(designs)


def read(folder: Path) -> tuple[Candidates, list[Network]]:
    """The space, and the networks that the searches in ``folder`` trained."""
    designs = Designs(load_space(OLD_SPACE), classes=10)
    goal = Goal(
        budgets=(parse_budget("6M"), parse_budget("15MMACs")),
        objectives=(ACCURACY, PARAMS, MACS),
        reference={"accuracy": 0.0, "params": 6e6, "macs": 15e6},
    )
    candidates = Candidates(designs, sample_feasible(designs, goal.budgets, seed=0), goal)
    found: dict[str, list[Network]] = {}
    for path in sorted(folder.glob("*/results.csv")):
        for record in read_table(path).records:
            accuracy = record.value(ACCURACY)
            if not record.is_complete or accuracy is None:
                continue
            told = record.candidate.labels
            labels = {
                name: next(label for label in known if str(label) == str(told[name]))
                for name, known in candidates.choices.items()
            }
            design = candidates.candidate(labels)
            assert design is not None
            found.setdefault(design.arch_id, []).append(
                Network(design=design, accuracy=accuracy, params=design.cost.params, macs=design.cost.macs)
            )
    means = [float(np.mean([one.accuracy for one in same])) for same in found.values()]
    return candidates, [replace(same[0], accuracy=mean) for same, mean in zip(found.values(), means, strict=True)]


def volume(networks: Sequence[Network]) -> float:
    """Their hypervolume."""
    values = np.array([[one.accuracy, one.params, one.macs] for one in networks])
    box = Box(reference=(0.0, 6e6, 15e6), ideal=(1.0, 0.0, 0.0), maximise=(True, False, False))
    return hypervolume(values, box)


def first_designs(rule: str, pool: Candidates, networks: Sequence[Network], generator: random.Random) -> list[Network]:
    """Ten of ``networks``."""
    ordered = sorted(networks, key=lambda one: one.macs)
    if rule == "evenly over the costs":
        return spread(ordered, FIRST)
    slices = [[ordered[i] for i in part] for part in np.array_split(np.arange(1, len(ordered) - 1), FIRST - 2)]
    if rule == "one of each slice":
        chosen = [generator.choice(part) for part in slices]
    else:
        activations = pool.features([one.design for one in ordered])[:, ACTIVATIONS]
        rank = {id(one): value for one, value in zip(ordered, activations, strict=True)}
        chosen = [max(part, key=lambda one: rank[id(one)]) for part in slices]
    return [ordered[0], *chosen, ordered[-1]]


def replay(pool: Candidates, networks: Sequence[Network], rule: str, seed: int) -> list[float]:
    """The share of the hypervolume of all ``networks`` at each mark."""
    generator = random.Random(f"{rule} {seed}")
    known = {one.design.arch_id: one for one in networks}
    found = first_designs(rule, pool, networks, generator)
    whole = volume(networks)
    shares = []
    for mark in MARKS:
        while len(found) < mark:
            proposal = propose(
                Replayed(pool, networks),
                trained=[Trained(design=one.design, accuracy=one.accuracy) for one in found],
                pending=[],
                taken={one.design.arch_id for one in found},
                generator=generator,
            )
            assert proposal is not None
            found.append(known[proposal[0].arch_id])
        shares.append(volume(found) / whole)
    return shares


def main() -> None:
    """Print a line for each rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=40)
    repetitions = parser.parse_args().repetitions
    pool, networks = read(Path(__file__).parent)
    rules = ("evenly over the costs", "one of each slice", "most activations of each slice")
    shares = {rule: np.zeros((repetitions, len(MARKS))) for rule in rules}
    for seed in range(repetitions):
        drawn = random.Random(seed).sample(networks, NETWORKS)
        for rule in rules:
            shares[rule][seed] = replay(pool, drawn, rule, seed)
    print(
        f"{len(networks)} networks; share of the hypervolume, and its difference from the first rule ± standard error"
    )
    print(f"{'after trainings':<32}{''.join(f'{mark:>26}' for mark in MARKS)}")
    for rule, values in shares.items():
        apart = values - shares[rules[0]]
        errors = apart.std(axis=0, ddof=1) / math.sqrt(repetitions)
        cells = zip(values.mean(axis=0), apart.mean(axis=0), errors, strict=True)
        print(f"{rule:<32}{''.join(f'{value:>10.4f} {mean:+.4f} ± {error:.4f}' for value, mean, error in cells)}")


if __name__ == "__main__":
    main()
