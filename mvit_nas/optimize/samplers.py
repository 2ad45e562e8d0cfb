"""The samplers of a study: the project's own, which knows what candidates cost, and Optuna's."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from mvit_nas.maths.seeds import derive_seed
from mvit_nas.metrics import score_of
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.designs import Design
from mvit_nas.optimize.propose import Trained, propose
from mvit_nas.study.life import Life
from mvit_nas.study.store import EXPECTED, OUTSIDE, GuessingSampler, Store

# Complete or stopped trials before the sampler proposes; until then candidates within the budget are drawn. Optuna's
# TPE begins after 10.
STARTUP_TRIALS = 5
# What a worker looks at of the candidates after another was first to claim its proposal.
_SHARE_AFTER_LOSS = 0.25


class CostAwareSampler(GuessingSampler):
    """Proposes the candidate that is expected to add most to what is wanted; only its accuracy is a guess.

    It never proposes what ``pool`` says is over the budget, nor a network that a trial of the study has had. The same
    seed and the same trials give the same proposal, so a study that is resumed goes on as if it had not ended.
    """

    def __init__(self, pool: Candidates, *, accuracy: int | None, seed: int, share: float = 1.0) -> None:
        """``accuracy`` is the index of that objective, None where all are costs. ``share`` is of what is looked at."""
        self._share = share
        self._pool = pool
        self._accuracy = accuracy
        self._seed = seed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters of the pool."""
        return {name: CategoricalDistribution(labels) for name, labels in self._pool.choices.items()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The labels of the next candidate; empty where none is left."""
        generator = random.Random(f"{self._seed} {trial.number}")
        trained, pending, taken = [], [], set()
        for other in study.get_trials(deepcopy=False):
            candidate = self._candidate(other)
            if candidate is None:
                continue
            taken.add(candidate.arch_id)
            if other.state == TrialState.RUNNING:
                pending.append(candidate)
            elif other.state == TrialState.COMPLETE:
                trained.append(Trained(design=candidate, accuracy=self._accuracy_of(other)))
            elif EXPECTED in other.user_attrs:
                accuracy, deviation = other.user_attrs[EXPECTED]
                trained.append(Trained(design=candidate, accuracy=accuracy, deviation=deviation))
        left = [one for one in self._pool.drawn if one.arch_id not in taken]
        if len(trained) < STARTUP_TRIALS and left:
            return dict(generator.choice(left).labels)
        found = propose(
            self._pool, trained=trained, pending=pending, taken=taken, generator=generator, share=self._share
        )
        if found is None:
            return {}
        design, self.guessed = found
        return dict(design.labels)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Drawn uniformly: where nothing within the budget is left, and for parameters that the pool does not know."""
        assert isinstance(param_distribution, CategoricalDistribution)
        return random.Random(f"{self._seed} {trial.number} {param_name}").choice(param_distribution.choices)

    def _candidate(self, trial: FrozenTrial) -> Design | None:
        if OUTSIDE in trial.user_attrs or trial.params.keys() != self._pool.choices.keys():
            return None
        return self._pool.candidate(trial.params)

    def _accuracy_of(self, trial: FrozenTrial) -> float:
        return 1.0 if self._accuracy is None else trial.values[self._accuracy]


class RepairingSampler(optuna.samplers.GPSampler):
    """Moves what Optuna's Gaussian process proposes over the budget to a candidate near it.

    It learns from complete trials only: nothing tells it of what was refused, so without this one in five of its
    proposals in the simulation of benchmarks/search_efficiency.py could be trained. NSGA-II learns from complete trials
    only, too, but finds less with it there, and TPE learns from what was refused.
    """

    def __init__(self, pool: Candidates, *, seed: int) -> None:
        super().__init__(n_startup_trials=STARTUP_TRIALS, seed=seed)
        self._pool = pool

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The sampler's labels, or those of a candidate near them."""
        labels = super().sample_relative(study, trial, search_space)
        # A sampler leaves out what has one label only, and at first everything, which is then drawn.
        whole = {name: known[0] for name, known in self._pool.choices.items() if len(known) == 1} | labels
        if whole.keys() != self._pool.choices.keys() or self._pool.candidate(whole) is not None:
            return labels
        near = self._pool.repaired(whole)
        return labels if near is None else {name: near.labels[name] for name in labels}


# By name, what makes the sampler for one trial of a pool, the index of the accuracy and a seed.
SAMPLERS: Mapping[str, Callable[[Candidates, int | None, int], BaseSampler]] = {
    "cost-aware": lambda pool, accuracy, seed: CostAwareSampler(pool, accuracy=accuracy, seed=seed),
    "tpe": lambda pool, accuracy, seed: optuna.samplers.TPESampler(multivariate=True, seed=seed),
    "nsga2": lambda pool, accuracy, seed: optuna.samplers.NSGAIISampler(population_size=20, seed=seed),
    "gp": lambda pool, accuracy, seed: RepairingSampler(pool, seed=seed),
    "random": lambda pool, accuracy, seed: optuna.samplers.RandomSampler(seed=seed),
}


def open_store(
    storage: BaseStorage | None,
    candidates: Candidates,
    *,
    seed: int,
    name: str = "search",
    life: Callable[[optuna.Study], Life] | None = None,
    patience_seconds: float = 0.0,
) -> Store:
    """The store of a search among ``candidates``, in memory without a ``storage``, with its samplers.

    A sampler's seed comes from the study's and the proposal's number: resuming repeats it.
    """
    objectives = candidates.goal.objectives
    score = score_of(objectives)
    accuracy = objectives.index(score) if score in objectives else None

    def sampler(name: str, number: int, lost: int) -> BaseSampler:
        if lost and name == "cost-aware":  # others are asking, too
            # Not from the study's seed: that is the same for all of them.
            return CostAwareSampler(candidates, accuracy=accuracy, seed=random.getrandbits(32), share=_SHARE_AFTER_LOSS)
        return SAMPLERS[name](candidates, accuracy, derive_seed(seed, "sampler", number + lost) % 2**32)

    return Store(
        storage,
        objectives=objectives,
        choices=candidates.choices,
        samplers=sampler,
        name=name,
        life=life,
        patience_seconds=patience_seconds,
    )
