"""Who is compared with the default of `mvit-nas search`: its other samplers, and ways of searching as others run them.

All propose in the search's own loop and begin with the same first designs. Evolution and local search know the budget
and never leave it; BoTorch's sampler knows the costs besides. Optuna's learn the budget from what is refused.
"""

import importlib
import importlib.util
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from mvit_nas.evaluate.estimator import AtRung, Estimate, Estimator, Question
from mvit_nas.evaluate.rungs import EarlyStopping
from mvit_nas.maths.pareto import front
from mvit_nas.metrics import MACS, PARAMS
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.designs import Design
from mvit_nas.optimize.samplers import SAMPLERS, CostAwareSampler
from mvit_nas.study.record import Guess, Record, Rung

DEFAULT = "cost-aware"
# Draws for a mutant that is within the budget and was not tried; then it is drawn.
_PATIENCE = 200


class _PoolSampler(CostAwareSampler):
    """Asks as the cost-aware sampler does, and proposes by another rule from what was trained, oldest first."""

    def __init__(self, pool: Candidates, seed: int) -> None:
        super().__init__(pool, accuracy=0, seed=seed)
        self.pool = pool
        self.seed = seed

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The labels of the next candidate; empty where none is left."""
        generator = random.Random(self.seed)
        trained = []
        for other in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
            design = self.pool.candidate(other.params) if other.params.keys() == self.pool.choices.keys() else None
            if design is not None:
                trained.append((design, float(other.values[0])))
        tried = {design.arch_id for design, _ in trained}
        found = self.propose(trained, tried, generator) if trained else None
        if found is None:
            left = [one for one in self.pool.drawn if one.arch_id not in tried]
            found = generator.choice(left) if left else None
        return {} if found is None else dict(found.labels)

    def propose(
        self, trained: Sequence[tuple[Design, float]], tried: set[str], generator: random.Random
    ) -> Design | None:
        """The next one, None to draw it."""
        raise NotImplementedError

    def mutant(self, parent: Design, tried: set[str], generator: random.Random) -> Design | None:
        """Of ``parent``, one choice changed, within the budget and not tried."""
        names = [name for name, choices in self.pool.choices.items() if len(choices) > 1]
        for _ in range(_PATIENCE):
            labels = dict(parent.labels)
            name = generator.choice(names)
            labels[name] = generator.choice(self.pool.choices[name])
            candidate = self.pool.candidate(labels)
            if candidate is not None and candidate.arch_id not in tried:
                return candidate
        return None


class AgingEvolution(_PoolSampler):
    """Regularised evolution (Real et al., AAAI 2019) for accuracy: of the last 10, the best of 5 drawn ones mutates."""

    def propose(
        self, trained: Sequence[tuple[Design, float]], tried: set[str], generator: random.Random
    ) -> Design | None:
        """A mutant of the tournament's winner, once there are ten."""
        if len(trained) < 10:
            return None
        parent, _ = max(generator.sample(trained[-10:], 5), key=lambda one: one[1])
        return self.mutant(parent, tried, generator)


class LocalSearch(_PoolSampler):
    """A step of one choice from a member of the front of accuracy and costs, drawn uniformly."""

    def propose(
        self, trained: Sequence[tuple[Design, float]], tried: set[str], generator: random.Random
    ) -> Design | None:
        """A neighbour of the front."""
        rows = np.column_stack([[accuracy for _, accuracy in trained], self.pool.savings([one for one, _ in trained])])
        on_front = np.flatnonzero(front(rows, [True] * rows.shape[1]))
        return self.mutant(trained[generator.choice(on_front.tolist())][0], tried, generator)


class NoisyHypervolume(_PoolSampler):
    """BoTorch's qLogNEHVI (Ament et al., NeurIPS 2023) over the pool and neighbours of the best, costs known."""

    def propose(
        self, trained: Sequence[tuple[Design, float]], tried: set[str], generator: random.Random
    ) -> Design | None:
        """The member of the largest value."""
        import torch

        # Not installed with the project, and without types.
        models, transforms, acquisition, mlls, fit = map(
            importlib.import_module,
            (
                "botorch.models",
                "botorch.models.transforms.input",
                "botorch.acquisition.multi_objective.logei",
                "gpytorch.mlls",
                "botorch.fit",
            ),
        )
        torch.manual_seed(self.seed)
        candidates = self._candidates(trained, tried, generator)
        if not candidates:
            return None
        every = [*(design for design, _ in trained), *candidates]
        features, savings = self.pool.features(every), self.pool.savings(every)
        span = np.ptp(features, axis=0)
        scaled = (features - features.min(axis=0)) / np.where(span == 0, 1.0, span)
        rows = torch.tensor(np.hstack([scaled, savings]))
        seen, columns = rows[: len(trained)], features.shape[1]
        accuracy = models.SingleTaskGP(
            seen,
            torch.tensor([[value] for _, value in trained], dtype=torch.float64),
            input_transform=transforms.FilterFeatures(feature_indices=torch.arange(columns)),
        )
        fit.fit_gpytorch_mll(mlls.ExactMarginalLogLikelihood(accuracy.likelihood, accuracy))
        costs = models.deterministic.GenericDeterministicModel(lambda x: x[..., columns:], num_outputs=savings.shape[1])
        value = acquisition.qLogNoisyExpectedHypervolumeImprovement(
            model=models.model.ModelList(accuracy, costs), ref_point=[0.0] * (1 + savings.shape[1]), X_baseline=seen
        )
        with torch.no_grad():
            parts = torch.split(rows[len(trained) :], 256)
            values = torch.cat([value(part[:, None]) for part in parts])
        return candidates[int(values.argmax())]

    def _candidates(
        self, trained: Sequence[tuple[Design, float]], tried: set[str], generator: random.Random
    ) -> list[Design]:
        found = {one.arch_id: one for one in self.pool.drawn if one.arch_id not in tried}
        best = sorted(trained, key=lambda one: -one[1])[:5]
        for _ in range(150):
            one = self.mutant(generator.choice(best)[0], tried, generator)
            if one is not None:
                found[one.arch_id] = one
        return list(found.values())


class Moasha:
    """Syne Tune's MOASHA (Schmucker et al., 2021), which halves at the same rungs; it knows nothing of the costs."""

    def __init__(self, estimator: Estimator) -> None:
        moasha = importlib.import_module("syne_tune.optimizer.schedulers.multiobjective.moasha")
        self._estimator = estimator
        self.epochs = estimator.epochs
        metrics = ["error", "params", "macs"]
        self._scheduler = moasha.MOASHA(
            {}, metrics=metrics, time_attr="epoch", max_t=self.epochs, grace_period=1, reduction_factor=2
        )

    def estimate(self, question: Question, *, at_rung: AtRung, should_stop: Callable[[], bool]) -> Estimate:
        """The other's answer until the scheduler stops it; random draws do not look at what is expected."""
        record = question.record
        trial = SimpleNamespace(trial_id=record.trial)
        self._scheduler.on_trial_add(trial)

        def is_behind(rungs: tuple[Rung, ...]) -> bool:
            result = _result(record, rungs[-1].epoch, rungs[-1].accuracy)
            return bool(self._scheduler.on_trial_result(trial, result) == "STOP")

        found = self._estimator.estimate(question, at_rung=is_behind, should_stop=should_stop)
        if found.accuracy is None:
            return replace(found, expected=Guess(accuracy=found.rungs[-1].accuracy, deviation=1.0))
        self._scheduler.on_trial_complete(trial, _result(record, self.epochs, found.accuracy.value))
        return found


def _result(record: Record, epoch: int, accuracy: float) -> dict[str, float]:
    costs = {name: record.values[name].value for name in (PARAMS.name, MACS.name)}
    return {"epoch": epoch, "error": 1 - accuracy, **costs}


def _stopping(estimator: Estimator) -> Estimator:
    return EarlyStopping(estimator, costs=(PARAMS, MACS))


def _plain(estimator: Estimator) -> Estimator:
    return estimator


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Who proposes, one of SAMPLERS or of OTHERS, what wraps the estimator, and what must be installed.

    A slow one runs with fewer seeds and to fewer trainings.
    """

    sampler: str
    wrap: Callable[[Estimator], Estimator] = _plain
    needs: str = ""
    slow: bool = False


CONTESTANTS: Mapping[str, Contestant] = {
    DEFAULT: Contestant(sampler="cost-aware"),
    "cost-aware, stopping": Contestant(sampler="cost-aware", wrap=_stopping),
    "TPE, multivariate": Contestant(sampler="tpe"),
    "TPE, independent": Contestant(sampler="TPE, independent"),
    "NSGA-II, population 10": Contestant(sampler="NSGA-II, population 10"),
    "NSGA-II, population 20": Contestant(sampler="nsga2"),
    "aging evolution": Contestant(sampler="aging evolution"),
    "local search": Contestant(sampler="local search"),
    "random": Contestant(sampler="random"),
    "random, stopping": Contestant(sampler="random", wrap=_stopping),
    "MOASHA": Contestant(sampler="random", wrap=Moasha, needs="syne_tune"),
    "GPSampler": Contestant(sampler="gp", slow=True),
    "qLogNEHVI": Contestant(sampler="qLogNEHVI", needs="botorch", slow=True),
}
# Beside SAMPLERS, what makes the sampler for one trial of a pool with a seed.
OTHERS: Mapping[str, Callable[[Candidates, int], BaseSampler]] = {
    "TPE, independent": lambda pool, seed: optuna.samplers.TPESampler(seed=seed),
    "NSGA-II, population 10": lambda pool, seed: optuna.samplers.NSGAIISampler(population_size=10, seed=seed),
    "aging evolution": AgingEvolution,
    "local search": LocalSearch,
    "qLogNEHVI": NoisyHypervolume,
}


def make_sampler(name: str, pool: Candidates, seed: int) -> BaseSampler:
    """The sampler ``name``, of SAMPLERS or OTHERS; accuracy is the first objective."""
    return OTHERS[name](pool, seed) if name in OTHERS else SAMPLERS[name](pool, 0, seed)


def missing(names: Sequence[str]) -> Iterator[str]:
    """Those that cannot run, since what they need is not installed."""
    for name in names:
        needs = CONTESTANTS[name].needs
        if needs and importlib.util.find_spec(needs) is None:
            yield name
