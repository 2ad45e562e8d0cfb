"""How sure a choice among noisy accuracies is, on plain arrays: what to believe of each, and who may be the best.

Two things blur the accuracy of a network: which seed it was trained with, and which images it was scored on. The images
are the same for all, so that a part of their noise is common and cancels where networks are compared. The page says the
same for any limits (``page/src/sure.js``): no numbers are drawn, so that both agree.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from mvit_nas.maths.pareto import Floats

# Integrals are taken over so many deviations to either side, on points that serve all networks at once: a step in the
# smallest deviation, and the most points. An error of 1e-6 at most.
_REACH, _STEP, _MOST_POINTS = 6.0, 0.25, 2001
# So many networks are looked at against all others in one product, which bounds the memory.
_AT_ONCE = 256
# From so many deviations on, a difference is shown.
_SHOWN = float(stats.norm.isf(0.025))
# The chance to be on the front is computed for so many at most, unless the front has more: each is an integral over a
# grid, for all that may beat it. Of 10,000 networks that are nearly equal most are near the front.
MOST_NEAR = 300
# With fewer networks the spread of their true accuracies cannot be told from the noise, and nothing is shrunk.
_LEAST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """The true accuracies of N networks as they are believed: normal, with these means and standard deviations."""

    mean_N: Floats
    deviation_N: Floats


def believe(accuracy_N: Floats, variance_N: Floats, features_NF: Floats) -> Believed:
    """What to believe of N networks whose accuracies have these variances, beside the features F of their sizes.

    Empirical Bayes (Efron and Morris 1973, with the moments of DerSimonian and Laird 1986): true accuracies scatter
    around a line over the features, with a variance that is estimated from the accuracies. The highest of many is
    lucky as a rule, and is drawn back towards the line.
    """
    count = len(accuracy_N)
    features_NF = features_NF[:, np.ptp(features_NF, axis=0) > 0] if count else features_NF
    design_NF = np.column_stack([np.ones(count), features_NF])
    freedom = count - design_NF.shape[1]
    if count < _LEAST or freedom < 3:
        return Believed(mean_N=accuracy_N.copy(), deviation_N=np.sqrt(variance_N))
    between = 0.0
    for _ in range(50):  # the weights hang on the variance that they give
        line_N, leverage_N = _line(design_NF, accuracy_N, 1 / (variance_N + between))
        squares = float(((accuracy_N - line_N) ** 2 / (variance_N + between)).sum())
        step = (squares - freedom) / float(((1 - leverage_N) / (variance_N + between)).sum())
        between, before = max(0.0, between + step), between
        if abs(between - before) < 1e-12:
            break
    # That the variance between them is an estimate, too: drawn back a little less and known a little less (Morris
    # 1983).
    drawn_N = (freedom - 2) / freedom * variance_N / (between + variance_N)
    line_variance_N = leverage_N * (variance_N + between)
    away_N = accuracy_N - line_N
    after_N = (1 - drawn_N) * variance_N + drawn_N**2 * (line_variance_N + 2 / (freedom - 2) * away_N**2)
    return Believed(mean_N=accuracy_N - drawn_N * away_N, deviation_N=np.sqrt(after_N))


def _line(design_NF: Floats, values_N: Floats, weights_N: Floats) -> tuple[Floats, Floats]:
    """The weighted least squares line at each row, and each row's leverage."""
    root_N = np.sqrt(weights_N)
    q_NF, _ = np.linalg.qr(design_NF * root_N[:, None])
    fitted_N = q_NF @ (q_NF.T @ (values_N * root_N)) / root_N
    return fitted_N, (q_NF**2).sum(1)


def p_best(believed: Believed) -> Floats:
    """The probability of each that its true accuracy is the highest.

    One grid serves all, so that the work grows with the number of networks and not with its square.
    """
    mean_N, deviation_N = believed.mean_N, believed.deviation_N
    found_N = np.zeros(len(mean_N))
    if not len(mean_N):
        return found_N
    # Who is below the surest lower end by its whole reach cannot be the best, and the best is not below that end.
    floor = float((mean_N - _REACH * deviation_N).max())
    can = np.flatnonzero(mean_N + _REACH * deviation_N >= floor)
    mean_R, deviation_R = mean_N[can], deviation_N[can]
    ceiling = float((mean_R + _REACH * deviation_R).max())
    points = _points(floor, ceiling, float(deviation_R.min()))
    z_PR = (np.linspace(floor, ceiling, points)[:, None] - mean_R) / deviation_R
    logs_PR = special.log_ndtr(z_PR)
    others_PR = logs_PR.sum(1, keepdims=True) - logs_PR
    found_N[can] = (np.exp(others_PR - z_PR**2 / 2) / deviation_R).sum(0)
    return np.asarray(found_N / found_N.sum())


def p_front(believed: Believed, costs_NC: Floats, asked_R: NDArray[np.intp] | None = None) -> Floats:
    """The probability that none which costs no more, in all of its C costs, has a higher true accuracy.

    Of each, or of those at the places ``asked_R`` alone. Costs are taken as known; of two networks with equal costs one
    beats the other. One grid serves many, so that the work is a product of matrices.
    """
    asked_R = np.arange(len(believed.mean_N)) if asked_R is None else asked_R
    found_N = np.zeros(len(believed.mean_N))
    order_R = asked_R[np.argsort(believed.mean_N[asked_R])]  # those on one grid have nearly the same mean
    for start in range(0, len(order_R), _AT_ONCE):
        rows = order_R[start : start + _AT_ONCE]
        found_N[rows] = _p_front(believed, costs_NC, rows)
    return found_N[asked_R]


def _p_front(believed: Believed, costs_NC: Floats, rows_R: NDArray[np.intp]) -> Floats:
    mean_N, deviation_N = believed.mean_N, believed.deviation_N
    mean_R, deviation_R = mean_N[rows_R], deviation_N[rows_R]
    floor, ceiling = float((mean_R - _REACH * deviation_R).min()), float((mean_R + _REACH * deviation_R).max())
    # Who is below all of them by its whole reach is above none.
    can = np.union1d(rows_R, np.flatnonzero(mean_N + _REACH * deviation_N >= floor))
    x_P = np.linspace(floor, ceiling, _points(floor, ceiling, float(deviation_N[can].min())))
    logs_PN = special.log_ndtr((x_P[:, None] - mean_N[can]) / deviation_N[can])
    rivals_NR = np.asarray((costs_NC[can][:, None] <= costs_NC[rows_R]).all(2))
    rivals_NR[can[:, None] == rows_R] = False
    z_PR = (x_P[:, None] - mean_R) / deviation_R
    density_PR = np.exp(logs_PN @ rivals_NR.astype(float) - z_PR**2 / 2) / deviation_R
    return np.asarray(np.trapezoid(density_PR, x_P, axis=0) / math.sqrt(2 * math.pi))


def _points(floor: float, ceiling: float, deviation: float) -> int:
    """How many points a grid has, on which ``deviation`` is the smallest."""
    return min(_MOST_POINTS, 1 + math.ceil((ceiling - floor) / (deviation * _STEP)))


def reaching_front(believed: Believed, costs_NC: Floats, front_F: NDArray[np.intp]) -> NDArray[np.intp]:
    """The places of those that no member of the front, ``front_F``, which costs no more is shown to be better than.

    Who is left out has a chance of less than 2.5 % to be on the front, or is not among the nearest: beside the members,
    who are all in, as many are looked at as make 300. Who has an unknown cost is left out.
    """
    mean_N, deviation_N = believed.mean_N, believed.deviation_N
    behind_N = np.where(np.isnan(costs_NC).any(1), np.inf, -np.inf)  # the member that is furthest ahead, in deviations
    for member in front_F:
        lead_N = (mean_N[member] - mean_N) / np.hypot(deviation_N[member], deviation_N)
        behind_N = np.where((costs_NC[member] <= costs_NC).all(1), np.maximum(behind_N, lead_N), behind_N)
    behind_N[front_F] = np.inf
    nearest = np.argsort(behind_N, kind="stable")[: max(0, MOST_NEAR - len(front_F))]
    return np.union1d(front_F, nearest[behind_N[nearest] <= _SHOWN])


def p_above(believed: Believed, one: int, other: int) -> float:
    """The probability that the true accuracy of ``one`` is above the ``other``'s."""
    apart = math.hypot(believed.deviation_N[one], believed.deviation_N[other])
    return float(special.ndtr((believed.mean_N[one] - believed.mean_N[other]) / apart))


def half_width(variance: float, *, seeds_variance: float, freedom: float, confidence: float = 0.95) -> float:
    """Half of an accuracy's interval, whose ``variance`` has a part over seeds that was estimated with ``freedom``.

    Student's t with Satterthwaite's degrees of freedom (1946): the part of the images is known.
    """
    share = seeds_variance / variance
    return float(stats.t.isf((1 - confidence) / 2, freedom / share**2 if share > 0 else np.inf)) * math.sqrt(variance)
