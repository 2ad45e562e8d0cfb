"""A search space as the sampler sees it: candidates within the budget, their features and what they cost."""

import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.count import StaticCost, count, features
from mvit_nas.arch.space import Label, Parameter, SearchSpace
from mvit_nas.cost.predict import Predictor
from mvit_nas.errors import InvalidArchError
from mvit_nas.optimize.propose import Candidate
from mvit_nas.optimize.within_budget import Design, Feasible, descend, describe, violation
from mvit_nas.units import Budget

Floats = NDArray[np.float64]

# Sums over the blocks that tell more of the accuracy than parameters and multiply-adds do. The number of activations is
# what NWOT (Mellor et al., arXiv 2006.04647) tells of an untrained network: experiments/schedule_fidelity.
_TELLING = ("activation.values", "pointwise.macs")


class SpacePool:
    """The candidates of ``space`` that meet ``budgets``.

    Parameters and multiply-adds are counted. Latency is foreseen by ``predictor``, which whoever measures keeps up to
    date; while there is none, latency goes with the multiply-adds and breaks no budget.
    """

    def __init__(
        self,
        space: SearchSpace,
        feasible: Feasible,
        *,
        budgets: Sequence[Budget],
        objectives: Sequence[str],
        reference: Mapping[str, float],
        classes: int,
    ) -> None:
        self.predictor: Predictor | None = None
        self.choices = {parameter.name: tuple(parameter.choices) for parameter in space.parameters}
        self._space = space
        self._budgets = budgets
        self._latency_budgets = [budget for budget in budgets if budget.metric == "latency_ms"]
        self._costs = [name for name in objectives if name != "accuracy"]
        self._reference = reference
        self._classes = classes
        self._designs: dict[str, Design] = {}
        self._by_labels: dict[tuple[Label, ...], Candidate | None] = {}
        self._foreseen_ms: tuple[Predictor | None, dict[str, float]] = (None, {})
        self._drawn = [self._keep(design) for design in feasible.designs]

    @property
    def drawn(self) -> list[Candidate]:
        """Candidates within the budget, drawn uniformly once."""
        return [one for one in self._drawn if self._fast_enough(one)]

    def candidate(self, labels: Mapping[str, Label]) -> Candidate | None:
        """The candidate of ``labels``; None where they are no network or it is over the budget."""
        key = tuple(labels[name] for name in self.choices)
        if key not in self._by_labels:
            try:
                design = describe(self._space, dict(labels), self._static_cost)
            except InvalidArchError:
                self._by_labels[key] = None
            else:
                within = violation(design.cost, self._budgets) <= 0
                self._by_labels[key] = self._keep(design) if within else None
        found = self._by_labels[key]
        return found if found is not None and self._fast_enough(found) else None

    def repaired(self, labels: Mapping[str, Label]) -> Candidate | None:
        """What steps of one parameter each that come nearer to the budget lead to; None where they do not reach it."""
        try:
            start = describe(self._space, dict(labels), self._static_cost)
        except InvalidArchError:
            return None
        end = descend(self._space, start, self._budgets, self._static_cost, random.Random(start.arch_id))
        return self.candidate(end.labels)

    def savings(self, candidates: Sequence[Candidate]) -> Floats:
        """[C, D]: what each cost leaves of the hypervolume's box, from 0 (its reference) to 1 (free)."""
        rows = [[1.0 - self._cost(one, name) / self._reference[name] for name in self._costs] for one in candidates]
        return np.array(rows, dtype=float).reshape(len(candidates), len(self._costs))

    def _keep(self, design: Design) -> Candidate:
        self._designs[design.arch_id] = design
        encoded = [value for p in self._space.parameters for value in _encoded(p, design.labels[p.name])]
        sums = features(design.arch, classes=self._classes)
        sizes = (design.cost.params, design.cost.macs, *(sums[name] for name in _TELLING))
        return Candidate(labels=design.labels, identity=design.arch_id, features=(*encoded, *map(math.log, sizes)))

    def _static_cost(self, arch: ArchConfig) -> StaticCost:
        return count(arch, classes=self._classes)

    def _cost(self, candidate: Candidate, name: str) -> float:
        cost = self._designs[candidate.identity].cost
        if name == "params":
            return cost.params
        if name == "macs":
            return cost.macs
        if self.predictor is None:  # of the budget's size for the dearest, so that the order is that of multiply-adds
            dearest = max(self._designs[one.identity].cost.macs for one in self._drawn)
            return self._reference[name] * cost.macs / dearest
        return self._latency_ms(candidate)

    def _fast_enough(self, candidate: Candidate) -> bool:
        if self.predictor is None or not self._latency_budgets:
            return True
        return all(budget.violation(self._latency_ms(candidate)) <= 0 for budget in self._latency_budgets)

    def _latency_ms(self, candidate: Candidate) -> float:
        assert self.predictor is not None
        if self._foreseen_ms[0] is not self.predictor:
            self._foreseen_ms = (self.predictor, {})
        known = self._foreseen_ms[1]
        if candidate.identity not in known:
            arch = self._designs[candidate.identity].arch
            known[candidate.identity] = float(self.predictor.predict([features(arch, classes=self._classes)])[0])
        return known[candidate.identity]


def _encoded(parameter: Parameter, label: Label) -> list[float]:
    """Numbers by their rank, names each by itself."""
    labels = list(parameter.choices)
    if all(isinstance(known, int | float) for known in labels):
        return [sorted(labels).index(label) / max(1, len(labels) - 1)]
    return [float(label == known) for known in labels]
