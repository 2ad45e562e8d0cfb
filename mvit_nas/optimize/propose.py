"""Which candidate to train next, where costs are known and only the accuracy must be learned.

The surrogate guesses accuracies; of the candidates within the budget that were not tried, the one with the largest
expected gain of hypervolume is next.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mvit_nas.arch.space import Label
from mvit_nas.optimize.acquisition import expected_gains
from mvit_nas.optimize.designs import Design
from mvit_nas.optimize.surrogate import Surrogate
from mvit_nas.study.record import Guess

# Neighbours of the front that are looked at for each proposal, and how many parameters they differ in.
_MUTATIONS = 150
_STEPS = (1, 1, 2, 3)
# Draws for each of them, most of which may be over the budget.
_PATIENCE = 6

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A design with its ``accuracy``, which is unsure by ``deviation`` where its training was stopped."""

    design: Design
    accuracy: float
    deviation: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The design to train next with the accuracy that is guessed for it; None where nothing was trained yet."""

    design: Design
    guess: Guess | None


class Pool(Protocol):
    """What a proposal needs to know of a space and its budgets."""

    @property
    def choices(self) -> Mapping[str, Sequence[Label]]:
        """The labels of each parameter."""

    @property
    def drawn(self) -> Sequence[Design]:
        """Candidates within the budget, drawn uniformly once."""

    def candidate(self, labels: Mapping[str, Label]) -> Design | None:
        """The candidate of ``labels``; None where they are no network or it is over the budget."""

    def repaired(self, labels: Mapping[str, Label]) -> Design | None:
        """A candidate near ``labels``, which are over the budget; None where none was found."""

    def features(self, designs: Sequence[Design]) -> Floats:
        """[C, F]: what the surrogate sees of each."""

    def savings(self, designs: Sequence[Design]) -> Floats:
        """[C, D]: what each cost leaves of the hypervolume's box, from 0 (its reference) to 1 (free)."""


def propose(
    pool: Pool,
    *,
    trained: Sequence[Trained],
    pending: Sequence[Design],
    taken: Collection[str],
    generator: random.Random,
) -> Proposal | None:
    """The candidate to train next; None where none is left. ``taken`` are identities that are not proposed again.

    Candidates that others are training, ``pending``, count as if they had come out as expected, so that a batch is
    spread out.
    """
    candidates = _candidates(pool, trained, taken, generator)
    if not candidates:
        return None
    if not trained:
        return Proposal(design=generator.choice(candidates), guess=None)
    surrogate = Surrogate(
        pool.features([one.design for one in trained]),
        np.array([one.accuracy for one in trained]),
        np.array([one.deviation for one in trained]),
    )
    accuracy_C, deviation_C = surrogate.predict(pool.features(candidates))
    finished = [one for one in trained if not one.deviation]
    known = [one.design for one in finished] + list(pending)
    known_accuracy_K = np.array([one.accuracy for one in finished])
    if pending:
        known_accuracy_K = np.append(known_accuracy_K, surrogate.predict(pool.features(pending))[0])
    gains_C = expected_gains(
        accuracy_C,
        deviation_C,
        pool.savings(candidates),
        known_accuracy_K=known_accuracy_K,
        known_savings_KD=pool.savings(known),
    )
    best = int(gains_C.argmax())
    guess = Guess(accuracy=float(accuracy_C[best]), deviation=float(deviation_C[best]))
    return Proposal(design=candidates[best], guess=guess)


def _candidates(
    pool: Pool, trained: Sequence[Trained], taken: Collection[str], generator: random.Random
) -> list[Design]:
    """What was drawn uniformly, and neighbours of the front."""
    found = {one.arch_id: one for one in pool.drawn if one.arch_id not in taken}
    front = _front(pool, [one for one in trained if not one.deviation])
    names = list(pool.choices)
    wanted = len(found) + _MUTATIONS
    for _ in range(_MUTATIONS * _PATIENCE if front else 0):
        labels = dict(generator.choice(front).labels)
        for name in generator.sample(names, min(len(names), generator.choice(_STEPS))):
            labels[name] = generator.choice(pool.choices[name])
        candidate = pool.candidate(labels)
        if candidate is not None and candidate.arch_id not in taken:
            found[candidate.arch_id] = candidate
            if len(found) >= wanted:
                break
    return list(found.values())


def _front(pool: Pool, trained: Sequence[Trained]) -> list[Design]:
    """Those that no other beats in accuracy and every cost."""
    candidates = [one.design for one in trained]
    if not candidates:
        return []
    accuracy_K = np.array([one.accuracy for one in trained])
    values_KO = np.column_stack([accuracy_K, pool.savings(candidates)])
    beaten_K = [bool(((values_KO >= one).all(axis=1) & (values_KO > one).any(axis=1)).any()) for one in values_KO]
    return [one for one, beaten in zip(candidates, beaten_K, strict=True) if not beaten]
