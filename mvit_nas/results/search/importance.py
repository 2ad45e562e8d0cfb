"""What matters: how much each factor of the space explains of an objective, and what each of its values does to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mvit_nas.arch.space import Label
from mvit_nas.maths import pareto
from mvit_nas.maths.statistics import ALPHA
from mvit_nas.metrics import OBJECTIVES, Form, Metric
from mvit_nas.results.view import StudyView, numbers
from mvit_nas.study.record import Measured, Record

# With fewer trained networks, what is left out to judge the rest by would be four or fewer.
LEAST_NETWORKS = 12
# More add little to what is known of a factor, and time.
_MOST_NETWORKS = 1000
# Values of all factors together, each of which is one unknown; a shipped space has about 60.
_MOST_VALUES = 200
_RESAMPLES = 200
# The variance of the noise over that of the effects: from nearly none to so much that nothing is learned.
_RIDGES = np.logspace(-3, 4, 36)
# A share that would be written as 0 % shows nothing.
_LEAST_SHOWN = 0.005
# Columns that say the same as others leave directions of no length but for rounding.
_ROUNDING = 1e-8

NOTE = (
    "Each objective is described as a sum of one effect for each value of each factor (Bayesian linear "
    "regression; costs on a logarithmic scale), learned from the networks that were trained to the end. "
    "Importance is the share of the objective's variance that a factor's effects explain in networks left out of "
    f"the learning: mean and middle 95 % of {_RESAMPLES} resamples. Where its interval holds 0, the factor is not "
    "known to matter. An effect is the mean that the objective would have if every network in which the factor has "
    "an effect had that value and kept its others, with its 95 % interval; few networks with a value draw it towards "
    "the mean of all. What factors do only together is part of neither: it is in the share that all factors leave "
    "unexplained. The search chose these networks, so the numbers hold around what it tried."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a factor's value does: the adjusted mean of the objective, in its unit, and the networks that had it."""

    label: str
    networks: int
    mean: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """What one factor does to an objective. Without a ``share`` there are no effects, and ``reason`` says why.

    ``shown`` says whether the share can be told from nothing: where it cannot, a page and a figure say "none shown".
    """

    name: str
    share: Measured | None = None
    shown: bool = False
    effects: tuple[Effect, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What the factors do to one objective, most important first; ``share`` is what all explain together.

    ``shown`` says whether that can be told from nothing; where it cannot, no factor's can.
    Without a ``share`` nothing is known of any factor, and ``reason`` says why.
    """

    objective: str
    networks: int
    share: Measured | None = None
    shown: bool = False
    factors: tuple[Factor, ...] = ()
    reason: str = ""


def importance(view: StudyView) -> list[Explained]:
    """The importance of each factor for each objective that has values, and the effects of its values.

    An objective (the logarithm of a cost) is a sum of one effect for each value of each factor, by Bayesian linear
    regression: effects are drawn towards zero as far as the data ask for it, so that there may be more values than
    networks. A factor's share is the covariance of its effect with what the other factors leave, over the variance, in
    the networks that each of 200 bootstrap resamples leaves out: half of what permuting the factor costs there in
    squared error, averaged over all permutations. Learned from at most 1,000 networks, evenly chosen; the same table
    says the same.

    In 60 made-up tables each of 12 to 100 networks of 8 factors, three of which did nothing, and 25 each of 300 and
    1,000, 93 to 97 % of the effects' intervals held the truth (88 to 92 % where one or two networks had the value),
    and 83 to 97 % of the shares' what the learned effects explain of all networks. What the true effects would
    explain is more while networks are few, and only 60 to 89 % of the intervals held that.

    Tried and left: a random forest of 100 trees over the same columns. Of the accuracies of NAS-Bench-Macro (CIFAR-10;
    8 factors) it explained 0.35, 0.43, 0.60 and 0.73 of the variance from 25, 50, 100 and 300 networks, where this
    explained 0.55, 0.62, 0.62 and 0.69; from 1,000 it explained 0.86 against 0.69, since it sees what factors do
    together.
    """
    networks: dict[str, Record] = {}
    for index, record in enumerate(view.trained):
        identity = record.candidate.arch_id or str(index)
        networks.pop(identity, None)  # of equal ones the last, in its place
        networks[identity] = record
    # A preset outside the space has no values of its factors. Others lack those that have no effect in them.
    factors = view.table.factors
    trained = [record for record in networks.values() if record.candidate.labels or not factors]
    order = {} if view.space is None else {p.name: [str(label) for label in p.choices] for p in view.space.parameters}
    found = []
    for metric in OBJECTIVES:
        if view.is_measured(metric):
            # No network is free: a cost of 0 would be a mistake, and has no logarithm.
            values = [(record, record.value(metric)) for record in trained]
            known = [record for record, value in values if value is not None and (metric.maximise or value > 0)]
            found.append(_explain(metric, known, factors, order))
    return found


def _explain(
    metric: Metric, trained: Sequence[Record], factors: Sequence[str], order: Mapping[str, Sequence[str]]
) -> Explained:
    networks = len(trained)
    positions = np.linspace(0, networks - 1, min(networks, _MOST_NETWORKS)).round().astype(int)
    chosen = [trained[position] for position in positions]
    values = numbers(chosen, [metric])[:, 0]
    labels = {name: _as_text([record.candidate.labels.get(name) for record in chosen]) for name in factors}
    known = {name: _sorted(column, order.get(name, ())) for name, column in labels.items()}
    varied = {name: found for name, found in known.items() if len(found) > 1}
    reason = _why_none(networks, values, varied)
    if reason:
        return Explained(objective=metric.name, networks=networks, reason=reason)
    x = np.hstack([np.array(labels[name])[:, None] == np.array(found) for name, found in varied.items()]).astype(float)
    ends = np.cumsum([0, *map(len, varied.values())])
    where = {name: slice(start, end) for name, start, end in zip(varied, ends[:-1], ends[1:], strict=True)}
    y = np.log(values) if metric.is_cost else values
    means, ridge = _means(x, y, where)
    means = np.exp(means) if metric.is_cost else means
    means = np.clip(means, 0.0, 1.0) if metric.form is Form.SHARE else means
    share, shares = _shares(x, y, where, ridge)
    learned = _is_above_nothing(share)
    explained = []
    for name in sorted(varied, key=lambda name: -shares[name].value):
        effects = [
            Effect(label=label, networks=labels[name].count(label), mean=_estimate(mean))
            for label, mean in zip(varied[name], means[where[name]], strict=True)
        ]
        shown = learned and _is_above_nothing(shares[name])
        explained.append(Factor(name=name, share=shares[name], shown=shown, effects=tuple(effects)))
    for name, found in known.items():
        if len(found) < 2:
            explained.append(Factor(name=name, reason=_why_constant(labels[name], found)))
    return Explained(objective=metric.name, networks=networks, share=share, shown=learned, factors=tuple(explained))


def _is_above_nothing(share: Measured) -> bool:
    assert share.low is not None, "a share has an interval"
    return share.low >= _LEAST_SHOWN


def _why_none(networks: int, values: pareto.Floats, varied: Mapping[str, Sequence[str]]) -> str:
    if networks < LEAST_NETWORKS:
        return f"{networks} trained networks of the space are too few; {LEAST_NETWORKS} are needed"
    if not varied:
        return "no factor of the space varied"
    if float(np.ptp(values)) == 0:
        return "all networks are alike in it"
    count = sum(map(len, varied.values()))
    if count > _MOST_VALUES:
        return f"{len(varied)} factors with {count} values together are too many; {_MOST_VALUES} values are the most"
    return ""


def _why_constant(labels: Sequence[str | None], found: Sequence[str]) -> str:
    if not found:
        return "it had no effect in any network"
    return f"it never varied: every network {'in which it has an effect ' if None in labels else ''}has {found[0]}"


def _as_text(labels: Sequence[Label | None]) -> list[str | None]:
    """As a column of a table has them: where one is a number with a fraction, all are. None stays None."""
    decimal = any(isinstance(label, float) for label in labels)
    return [
        None if label is None else str(float(label)) if decimal and isinstance(label, int | float) else str(label)
        for label in labels
    ]


def _sorted(labels: Sequence[str | None], order: Sequence[str]) -> list[str]:
    """The different ``labels``: those in ``order`` as there, then the others as they come."""
    present = dict.fromkeys(label for label in labels if label is not None)
    return [label for label in order if label in present] + [label for label in present if label not in order]


def _means(x: pareto.Floats, y: pareto.Floats, where: Mapping[str, slice]) -> tuple[pareto.Floats, float]:
    """The adjusted mean for each column of ``x`` with the ends of its interval, three columns; and the ridge.

    ``x`` has one column of 0 and 1 for each value of each factor, whose columns are in ``where``: all 0 in networks in
    which the factor has no effect. The ridge is the
    variance of the noise over that of the effects. It is not known: the posteriors of all in _RIDGES are mixed by how
    likely each makes ``y``, with a variance of the noise that is not known either.
    """
    count = len(y)
    centre = float(y.mean())
    left, scales, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    real = scales > _ROUNDING * scales[0]
    squares, axes = scales[real] ** 2, axes[real]
    along = left.T[real] @ (y - centre)
    rest = max(0.0, float(np.sum((y - centre) ** 2) - np.sum(along**2)))
    # All networks in which the factor has an effect get the value in place of their own.
    contrasts = np.zeros((x.shape[1], x.shape[1]))
    for columns in where.values():
        contrasts[columns] = x[x[:, columns].any(axis=1)].mean(axis=0)
        contrasts[columns, columns] = np.eye(columns.stop - columns.start)
    contrasts -= x.mean(axis=0)
    onto = contrasts @ axes.T
    lengths = np.sum(contrasts**2, axis=1)
    likelihoods, means, variances = [], [], []
    for ridge in _RIDGES:
        kept = squares / (squares + ridge)
        misfit = np.sum(along**2 * (1 - kept)) + rest
        likelihoods.append(0.5 * np.sum(np.log(1 - kept)) - (count - 1) / 2 * np.log(misfit))
        means.append(onto @ (kept / scales[real] * along))
        variances.append(misfit / (count - 3) * ((lengths - onto**2 @ kept) / ridge + 1 / count))
    weights = np.exp(np.array(likelihoods) - max(likelihoods))
    weights /= weights.sum()
    mean = weights @ means
    variance = weights @ (np.array(variances) + np.array(means) ** 2) - mean**2
    half = stats.t.isf(ALPHA / 2, count - 1) * np.sqrt(variance)
    found = centre + np.column_stack([mean, mean - half, mean + half])
    return found, float(np.exp(weights @ np.log(_RIDGES)))


def _shares(
    x: pareto.Floats, y: pareto.Floats, where: Mapping[str, slice], ridge: float
) -> tuple[Measured, dict[str, Measured]]:
    """What all factors together explain of the networks left out of the learning, and what each of them does."""
    count, variance = x.shape[0], y.var(ddof=1)
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    found = []
    for drawn in draws[(draws == 0).any(axis=1)]:
        inside, outside = drawn > 0, drawn == 0
        weights = drawn[inside] / count
        mean_x, mean_y = weights @ x[inside], weights @ y[inside]
        weighted = (weights[:, None] * x[inside]).T
        squares = weighted @ x[inside] - np.outer(mean_x, mean_x) + ridge / count * np.eye(x.shape[1])
        learned = np.linalg.solve(squares, weighted @ y[inside] - mean_x * mean_y)
        effects = (x[outside] - mean_x) * learned
        by_factor = np.column_stack([effects[:, columns].sum(axis=1) for columns in where.values()])
        left = y[outside] - mean_y - by_factor.sum(axis=1)
        found.append(
            [1 - np.mean(left**2) / variance, *np.mean(by_factor * (by_factor + left[:, None]), axis=0) / variance]
        )
    low, high = np.quantile(found, [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    whole, *shares = (_estimate(row) for row in np.column_stack([np.mean(found, axis=0), low, high]))
    return whole, dict(zip(where, shares, strict=True))


def _estimate(row: pareto.Floats) -> Measured:
    value, low, high = row.tolist()
    return Measured(value=value, low=low, high=high)
