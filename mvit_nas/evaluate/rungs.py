"""Whether a training is worth going on with, from the learning curves of those that were finished.

A network's final accuracy is foreseen from what it is at a rung, by ridge regression over the finished trainings. It is
stopped when even an optimistic guess lies behind a finished network that costs no more in anything. So a cheap network
is not stopped for being less accurate than a dear one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mvit_nas.evaluate.estimator import AtRung, Estimate, Estimator, Question
from mvit_nas.metrics import ACCURACY, Metric
from mvit_nas.study.record import Guess, Record, Rung

# Finished trainings with a rung at the same epoch that are needed to foresee another one.
LEAST_CURVES = 8
# How many deviations above the guess still have to be behind the front. At 0 the simulation of
# benchmarks/search_efficiency.py lost; which value is best is not settled.
OPTIMISM = 1.0
# How firmly the slopes are held at 0, in trainings: the features have unit variance.
_RIDGE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A finished training: its rungs, its costs (the same ones in the same order for all) and its ``accuracy``."""

    rungs: tuple[Rung, ...]
    costs: tuple[float, ...]
    accuracy: float


class EarlyStopping:
    """Stops what another estimator trains as soon as it is hopeless by ``costs``."""

    def __init__(self, estimator: Estimator, *, costs: Sequence[Metric]) -> None:
        self._estimator = estimator
        self._costs = costs

    @property
    def epochs(self) -> int:
        """Of a whole training."""
        return self._estimator.epochs

    def estimate(self, question: Question, *, at_rung: AtRung, should_stop: Callable[[], bool]) -> Estimate:
        """The other's answer, or a stopped training with what it is expected to reach."""
        if question.must_finish:
            return self._estimator.estimate(question, at_rung=at_rung, should_stop=should_stop)
        costs = self._costs_of(question.record)
        curves = [
            Curve(rungs=one.rungs, costs=self._costs_of(one), accuracy=accuracy)
            for one in question.before
            if one.is_complete and (accuracy := one.value(ACCURACY)) is not None
        ]

        def is_behind(rungs: tuple[Rung, ...]) -> bool:
            foreseen = foresee(rungs, costs, curves, question.guess)
            return at_rung(rungs) or (foreseen is not None and is_hopeless(foreseen, costs, curves))

        found = self._estimator.estimate(question, at_rung=is_behind, should_stop=should_stop)
        if found.accuracy is not None or found.failure:
            return found
        return replace(found, expected=foresee(found.rungs, costs, curves, question.guess))

    def _costs_of(self, record: Record) -> tuple[float, ...]:
        return tuple(float(record.values[metric.name].value) for metric in self._costs)


def foresee(
    rungs: Sequence[Rung], costs: Sequence[float], curves: Sequence[Curve], before: Guess | None
) -> Guess | None:
    """What a network of ``costs`` that stands at the last of ``rungs`` can be expected to reach.

    None where fewer than LEAST_CURVES were finished that had a rung there. The deviation is that of trainings which
    were left out of the fit one by one. What was guessed ``before`` the training, from other networks, is a second
    opinion: the two are weighted by their precision.
    """
    epoch = rungs[-1].epoch
    pairs = [(rung, curve) for curve in curves for rung in curve.rungs if rung.epoch == epoch]
    if len(pairs) < LEAST_CURVES:
        return None
    known_NF = np.array([_features(rung, curve.costs) for rung, curve in pairs])
    accuracy_N = np.array([curve.accuracy for _, curve in pairs])
    middle_F, scale_F = known_NF.mean(axis=0), known_NF.std(axis=0)
    scale_F[scale_F == 0] = 1.0
    known_NF = (known_NF - middle_F) / scale_F
    here_F = (np.array(_features(rungs[-1], costs)) - middle_F) / scale_F
    gram_FF = known_NF.T @ known_NF + _RIDGE * np.eye(len(here_F))
    mean = accuracy_N.mean()
    slopes_F = np.linalg.solve(gram_FF, known_NF.T @ (accuracy_N - mean))
    leverage_N = np.einsum("nf,nf->n", known_NF, np.linalg.solve(gram_FF, known_NF.T).T) + 1 / len(pairs)
    left_out_N = (accuracy_N - mean - known_NF @ slopes_F) / (1 - leverage_N)
    by_curve = Guess(accuracy=float(mean + here_F @ slopes_F), deviation=float(np.sqrt(np.mean(left_out_N**2))))
    if before is None or not by_curve.deviation:
        return by_curve
    weight = before.deviation**2 / (before.deviation**2 + by_curve.deviation**2)
    return Guess(
        accuracy=weight * by_curve.accuracy + (1 - weight) * before.accuracy,
        deviation=float(np.sqrt(weight)) * by_curve.deviation,
    )


def is_hopeless(foreseen: Guess, costs: Sequence[float], curves: Sequence[Curve]) -> bool:
    """Whether what is ``foreseen`` for a network of ``costs`` lies behind a finished one that costs no more."""
    rivals = [
        curve.accuracy
        for curve in curves
        if all(theirs <= ours for theirs, ours in zip(curve.costs, costs, strict=True))
    ]
    return bool(rivals) and foreseen.accuracy + OPTIMISM * foreseen.deviation <= max(rivals)


def _features(rung: Rung, costs: Sequence[float]) -> list[float]:
    return [rung.accuracy, rung.loss, *(float(np.log(cost)) for cost in costs)]
