"""What may be proposed: the designs within the budget, what they cost, and what they can be foreseen to cost."""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mvit_nas.arch.space import Label
from mvit_nas.budget import Budget, needed_part
from mvit_nas.cost.predict import Predictor, fit
from mvit_nas.errors import InvalidArchError
from mvit_nas.maths.pareto import Floats
from mvit_nas.metrics import LATENCY, MACS, METRICS, PARAMS, Metric
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.optimize.earlier import Earlier
from mvit_nas.optimize.within_budget import Feasible, descend, violation
from mvit_nas.study.record import Candidate, Record

# Settings that are drawn to find one that was not tried; a space of fewer is gone through instead.
_DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a search is for: the front of ``objectives`` among the networks within ``budgets``.

    ``reference`` is the worst corner of the box in which hypervolume is measured, by objective.
    """

    budgets: tuple[Budget, ...]
    objectives: tuple[Metric, ...]
    reference: Mapping[str, float]

    @property
    def costs(self) -> tuple[Metric, ...]:
        """Those of the objectives that are costs."""
        return tuple(metric for metric in self.objectives if metric.is_cost)

    @property
    def latency_budgets(self) -> tuple[Budget, ...]:
        """Those of the budgets that are on latency."""
        return tuple(budget for budget in self.budgets if budget.metric == LATENCY.name)

    @property
    def needs_latency(self) -> bool:
        """Whether candidates must be measured."""
        return LATENCY in self.objectives or bool(self.latency_budgets)


class Candidates:
    """The designs that meet the budgets of ``goal``.

    Parameters and multiply-adds are counted. Latency is foreseen from what was measured (``learn``); before that it
    goes with the multiply-adds and breaks no budget.
    """

    def __init__(self, designs: Designs, feasible: Feasible, goal: Goal, *, earlier: Earlier | None = None) -> None:
        self.earlier = earlier
        self.designs = designs
        self.goal = goal
        self.feasible = feasible
        self.predictor: Predictor | None = None
        self.choices = {parameter.name: tuple(parameter.choices) for parameter in designs.space.parameters}
        self._by_labels: dict[tuple[Label, ...], Design | None] = {}
        self._features: dict[tuple[Label, ...], tuple[float, ...]] = {}
        self._foreseen_ms: dict[str, float] = {}
        self._dearest_macs = max(design.cost.macs for design in feasible.designs)

    @property
    def drawn(self) -> list[Design]:
        """Candidates within the budget, drawn uniformly once."""
        return [one for one in self.feasible.designs if self.foreseen_excess(one) <= 0]

    def candidate(self, labels: Mapping[str, Label]) -> Design | None:
        """The candidate of ``labels``; None where they are no network or it is over the budget."""
        key = self._key(labels)
        if key not in self._by_labels:
            design = self._described(labels)
            within = design is not None and violation(design.cost, self.goal.budgets) <= 0
            self._by_labels[key] = design if within else None
        found = self._by_labels[key]
        return found if found is not None and self.foreseen_excess(found) <= 0 else None

    def repaired(self, labels: Mapping[str, Label]) -> Design | None:
        """What steps of one parameter each that come nearer to the budget lead to; None where they do not reach it."""
        start = self._described(labels)
        if start is None:
            return None
        end = descend(self.designs, start, self.goal.budgets, generator=random.Random(start.arch_id))
        return self.candidate(end.labels)

    def features(self, designs: Sequence[Design]) -> Floats:
        """[C, F]: what a surrogate sees of each."""
        return np.array([self._features_of(one) for one in designs], dtype=float)

    @property
    def groups(self) -> tuple[int, ...]:
        """To which group each of the F features belongs."""
        return self.designs.groups

    def savings(self, designs: Sequence[Design]) -> Floats:
        """[C, D]: what each cost leaves of the hypervolume's box, from 0 (its reference) to 1 (free)."""
        costs, reference = self.goal.costs, self.goal.reference
        worst = {metric: reference[metric.name] for metric in costs}
        rows = [
            [1.0 - self._cost(one, metric, dearest=cost) / cost for metric, cost in worst.items()] for one in designs
        ]
        return np.array(rows, dtype=float).reshape(len(designs), len(costs))

    def needed(self, designs: Sequence[Design]) -> Floats:
        """[C]: which part of the budgets each needs."""
        budgets = self.goal.budgets
        rows = [[self._cost(one, METRICS[budget.metric], dearest=budget.high) for budget in budgets] for one in designs]
        return np.array([needed_part(budgets, row) for row in rows], dtype=float)

    def learn(self, records: Sequence[Record]) -> None:
        """Foresee latencies from those that were measured."""
        asked, milliseconds = [], []
        for record in records:
            ms, arch = record.value(LATENCY), record.candidate.arch
            if ms is not None and arch is not None:
                asked.append(self.designs.asked(arch, record.candidate.arch_id))
                milliseconds.append(ms)
        self.predictor = fit(asked, milliseconds)
        self._foreseen_ms = {}

    def foreseen_ms(self, design: Design | Candidate) -> float:
        """The latency that is foreseen, once enough was learned."""
        assert self.predictor is not None
        assert design.arch is not None
        if design.arch_id not in self._foreseen_ms:
            asked = self.designs.asked(design.arch, design.arch_id)
            self._foreseen_ms[design.arch_id] = float(self.predictor.predict([asked])[0])
        return self._foreseen_ms[design.arch_id]

    def foreseen_excess(self, design: Design) -> float:
        """By how much ``design`` is foreseen to break the latency budgets, relative; 0 where it meets them."""
        if self.predictor is None or not self.goal.latency_budgets:
            return 0.0
        return max(0.0, *(budget.violation(self.foreseen_ms(design)) for budget in self.goal.latency_budgets))

    def untried(self, tried: set[str], near: Mapping[str, Label] | None, generator: random.Random) -> Iterator[Design]:
        """Designs that are not ``tried`` and meet the budgets on parameters and multiply-adds.

        First those one or two steps from the labels ``near``, then drawn ones.
        """
        for labels in self._order(near, generator):
            design = self._described(labels)
            if design and design.arch_id not in tried and violation(design.cost, self.goal.budgets) <= 0:
                yield design
        left = [one for one in self.feasible.designs if one.arch_id not in tried]
        yield from generator.sample(left, len(left))

    def _order(self, near: Mapping[str, Label] | None, generator: random.Random) -> Iterator[Mapping[str, Label]]:
        space = self.designs.space
        if near is not None:
            first = list(space.neighbours(near, generator))
            yield from first
            for labels in first[:5]:
                yield from space.neighbours(labels, generator)
        if space.settings() <= _DRAWS:
            for chosen in itertools.product(*self.choices.values()):
                yield dict(zip(self.choices, chosen, strict=True))
        else:
            for _ in range(_DRAWS):
                yield space.draw(generator)

    def _key(self, labels: Mapping[str, Label]) -> tuple[Label, ...]:
        return tuple(labels[name] for name in self.choices)

    def _features_of(self, design: Design) -> tuple[float, ...]:
        key = self._key(design.labels)  # labels without effect are seen, too
        if key not in self._features:
            self._features[key] = self.designs.features(design)
        return self._features[key]

    def _described(self, labels: Mapping[str, Label]) -> Design | None:
        try:
            return self.designs.describe(dict(labels))
        except InvalidArchError:
            return None

    def _cost(self, design: Design, metric: Metric, *, dearest: float) -> float:
        counted = {PARAMS.name: design.cost.params, MACS.name: design.cost.macs}.get(metric.name)
        if counted is not None:
            return counted
        if self.predictor is None:  # ``dearest`` for the dearest, so that the order is that of multiply-adds
            return dearest * design.cost.macs / self._dearest_macs
        return self.foreseen_ms(design)
