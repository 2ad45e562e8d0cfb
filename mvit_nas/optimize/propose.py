"""Which candidate to train next, where costs are known and only the accuracy must be learned.

The surrogate guesses accuracies; of the candidates within the budget that were not tried, the one that is expected to
add most is next.
"""

import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from mvit_nas.maths.pareto import Floats, front
from mvit_nas.optimize.acquisition import expected_growth
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.designs import Design
from mvit_nas.optimize.earlier import Earlier
from mvit_nas.optimize.surrogate import Surrogate
from mvit_nas.study.record import Guess

# Neighbours of the front that are looked at for each proposal, and how many parameters they differ in.
_MUTATIONS = 150
_STEPS = (1, 1, 2, 3)
# Draws for each of them, most of which may be over the budget.
_PATIENCE = 6
# Trainings that the surrogate learns from, at most: with all of 10,000 a proposal would take minutes.
_MOST_LEARNED = 1000
# Who gives a budget wants the best within it, and what can be had for less. The share was chosen on the simulations for
# tuning of benchmarks/known_spaces.py.
_WITHIN_BUDGET = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A design with its ``accuracy``, which is unsure by ``deviation`` where its training was stopped."""

    design: Design
    accuracy: float
    deviation: float = 0.0


def propose(
    pool: Candidates,
    *,
    trained: Sequence[Trained],
    pending: Sequence[Design],
    taken: Collection[str],
    generator: random.Random,
    share: float = 1.0,
) -> tuple[Design, Guess | None] | None:
    """The candidate to train next and the accuracy that is guessed for it; None where no candidate is left.

    Only a ``share`` of them is looked at, so that workers who ask at once do not all want the same one.

    There is no guess where nothing was trained yet. ``taken`` are identities that are not proposed again.
    Candidates that others are training, ``pending``, count as if they had come out as expected, in what is reached and
    in what is known, so that a batch is spread out.
    """
    candidates = _candidates(pool, trained, taken, generator)
    if not candidates:
        return None
    if share < 1:
        candidates = generator.sample(candidates, math.ceil(share * len(candidates)))
    if not trained:
        return generator.choice(candidates), None
    learned = _learned(pool, trained)
    designs, accuracies = [one.design for one in learned], [one.accuracy for one in learned]
    earlier = pool.earlier
    if earlier is not None and not earlier.believes(earlier.agreement(designs, accuracies)):
        earlier = None
    seen = _Seen(pool=pool, earlier=earlier)
    surrogate = Surrogate(
        seen.features(designs),
        np.array(accuracies),
        np.array([one.deviation for one in learned]),
        groups_F=seen.groups,
    )
    if pending:
        surrogate = surrogate.believing(seen.features(pending))
    accuracy_C, deviation_C = surrogate.predict(seen.features(candidates))
    finished = [one for one in trained if not one.deviation]
    known = [one.design for one in finished] + list(pending)
    known_accuracy_K = np.array([one.accuracy for one in finished])
    if pending:
        known_accuracy_K = np.append(known_accuracy_K, surrogate.predict(seen.features(pending))[0])
    growth_C = expected_growth(
        accuracy_C,
        deviation_C,
        pool.savings(candidates),
        pool.needed(candidates),
        known_accuracy_K=known_accuracy_K,
        known_savings_KD=pool.savings(known),
        known_needed_K=pool.needed(known),
        within_budget=_WITHIN_BUDGET if pool.goal.budgets else 0.0,
    )
    best = int(growth_C.argmax())
    return candidates[best], Guess(accuracy=float(accuracy_C[best]), deviation=float(deviation_C[best]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the surrogate sees of designs: their features, and what earlier searches guess where they are believed."""

    pool: Candidates
    earlier: Earlier | None

    @property
    def groups(self) -> tuple[int, ...]:
        """To which group each feature belongs."""
        groups = self.pool.groups
        return groups if self.earlier is None else (*groups, max(groups) + 1)

    def features(self, designs: Sequence[Design]) -> Floats:
        """[C, F] of C designs."""
        features = self.pool.features(designs)
        return features if self.earlier is None else np.column_stack([features, self.earlier.guesses(designs)])


def _candidates(
    pool: Candidates, trained: Sequence[Trained], taken: Collection[str], generator: random.Random
) -> list[Design]:
    """What was drawn uniformly, and neighbours of the front."""
    found = {one.arch_id: one for one in pool.drawn if one.arch_id not in taken}
    best = _front(pool, [one for one in trained if not one.deviation])
    names = list(pool.choices)
    wanted = len(found) + _MUTATIONS
    for _ in range(_MUTATIONS * _PATIENCE if best else 0):
        labels = dict(generator.choice(best).labels)
        for name in generator.sample(names, min(len(names), generator.choice(_STEPS))):
            labels[name] = generator.choice(pool.choices[name])
        candidate = pool.candidate(labels)
        if candidate is not None and candidate.arch_id not in taken:
            found[candidate.arch_id] = candidate
            if len(found) >= wanted:
                break
    return list(found.values())


def _learned(pool: Candidates, trained: Sequence[Trained]) -> Sequence[Trained]:
    """What the surrogate learns from: all, or the front and what else there is room for, evenly from first to last."""
    if len(trained) <= _MOST_LEARNED:
        return trained
    best = {one.arch_id for one in _front(pool, [one for one in trained if not one.deviation])}
    others = [one for one in trained if one.design.arch_id not in best]
    room = max(0, _MOST_LEARNED - len(best))
    chosen = {int(place) for place in np.linspace(0, len(others) - 1, room)} if others else set()
    kept = {others[place].design.arch_id for place in chosen}
    return [one for one in trained if one.design.arch_id in best | kept]


def _front(pool: Candidates, trained: Sequence[Trained]) -> list[Design]:
    """Those that no other beats in accuracy and every cost."""
    designs = [one.design for one in trained]
    values_KO = np.column_stack([[one.accuracy for one in trained], pool.savings(designs)])
    return [designs[k] for k in np.flatnonzero(front(values_KO, [True] * values_KO.shape[1]))]
