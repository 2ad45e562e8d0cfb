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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvit_nas.arch.count import count
from mvit_nas.arch.space import Label, load_space
from mvit_nas.budget import parse_budget
from mvit_nas.maths.pareto import hypervolume
from mvit_nas.optimize.candidates import SpacePool
from mvit_nas.optimize.propose import Candidate, Trained, propose
from mvit_nas.optimize.within_budget import sample_feasible, spread
from mvit_nas.results.table import read_table

NETWORKS, FIRST, MARKS = 80, 10, (10, 12, 15, 20, 25)
# Where a candidate has the logarithm of its activations: the last features are those of search/pool.py.
ACTIVATIONS = -2


@dataclass(frozen=True, slots=True)
class Network:
    """A candidate with what training it gave."""

    candidate: Candidate
    accuracy: float
    params: float
    macs: float


class Replayed:
    """A pool of ``networks`` only."""

    def __init__(self, whole: SpacePool, networks: Sequence[Network]) -> None:
        self.choices = whole.choices
        self.drawn = [one.candidate for one in networks]
        self._whole = whole
        self._known = {one.identity for one in self.drawn}

    def candidate(self, labels: Mapping[str, Label]) -> Candidate | None:
        """The candidate of ``labels`` where it is one of the networks."""
        found = self._whole.candidate(labels)
        return found if found is not None and found.identity in self._known else None

    def savings(self, candidates: Sequence[Candidate]) -> Any:
        """As the whole pool says."""
        return self._whole.savings(candidates)


def read(folder: Path) -> tuple[SpacePool, list[Network]]:
    """The space, and the networks that the searches in ``folder`` trained."""
    space = load_space("mobilevit_small")
    budgets = [parse_budget("6M"), parse_budget("15MMACs")]
    pool = SpacePool(
        space,
        sample_feasible(space, budgets, lambda arch: count(arch, classes=10), seed=0),
        budgets=budgets,
        objectives=("accuracy", "params", "macs"),
        reference={"accuracy": 0.0, "params": 6e6, "macs": 15e6},
        classes=10,
    )
    found: dict[str, list[Network]] = {}
    for path in sorted(folder.glob("*/results.csv")):
        table = read_table(path)
        for row in table[table["state"] == "complete"].to_dict("records"):
            labels = {
                p.name: next(label for label in p.choices if str(label) == str(row[f"param.{p.name}"]))
                for p in space.parameters
            }
            candidate = pool.candidate(labels)
            assert candidate is not None
            one = Network(candidate, row["accuracy"], row["params"], row["macs"])
            found.setdefault(candidate.identity, []).append(one)
    means = [float(np.mean([one.accuracy for one in same])) for same in found.values()]
    return pool, [
        Network(same[0].candidate, mean, same[0].params, same[0].macs)
        for same, mean in zip(found.values(), means, strict=True)
    ]


def volume(networks: Sequence[Network]) -> float:
    """Their hypervolume."""
    values = np.array([[one.accuracy, one.params, one.macs] for one in networks])
    return hypervolume(values, [0.0, 6e6, 15e6], maximise=[True, False, False], ideal=[1.0, 0.0, 0.0])


def first_designs(rule: str, networks: Sequence[Network], generator: random.Random) -> list[Network]:
    """Ten of ``networks``."""
    ordered = sorted(networks, key=lambda one: one.macs)
    if rule == "evenly over the costs":
        return spread(ordered, FIRST)
    slices = [[ordered[i] for i in part] for part in np.array_split(np.arange(1, len(ordered) - 1), FIRST - 2)]
    if rule == "one of each slice":
        chosen = [generator.choice(part) for part in slices]
    else:
        chosen = [max(part, key=lambda one: one.candidate.features[ACTIVATIONS]) for part in slices]
    return [ordered[0], *chosen, ordered[-1]]


def replay(pool: SpacePool, networks: Sequence[Network], rule: str, seed: int) -> list[float]:
    """The share of the hypervolume of all ``networks`` at each mark."""
    generator = random.Random(f"{rule} {seed}")
    known = {one.candidate.identity: one for one in networks}
    found = first_designs(rule, networks, generator)
    whole = volume(networks)
    shares = []
    for mark in MARKS:
        while len(found) < mark:
            proposal = propose(
                Replayed(pool, networks),  # type: ignore[arg-type]
                trained=[Trained(candidate=one.candidate, accuracy=one.accuracy) for one in found],
                pending=[],
                taken={one.candidate.identity for one in found},
                generator=generator,
            )
            assert proposal is not None
            found.append(known[proposal.candidate.identity])
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
