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

# Points at which integrals are taken, and how many deviations to either side: an error of 1e-6 at most.
_POINTS, _REACH = 201, 6.0
# Who is the best is asked of all at once: a step in the smallest deviation, and the most points.
_STEP, _MOST_POINTS = 0.25, 2001
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
    points = min(_MOST_POINTS, 1 + math.ceil((ceiling - floor) / (deviation_R.min() * _STEP)))
    z_PR = (np.linspace(floor, ceiling, points)[:, None] - mean_R) / deviation_R
    logs_PR = special.log_ndtr(z_PR)
    others_PR = logs_PR.sum(1, keepdims=True) - logs_PR
    found_N[can] = (np.exp(others_PR - z_PR**2 / 2) / deviation_R).sum(0)
    return np.asarray(found_N / found_N.sum())


def p_front(believed: Believed, costs_NC: Floats) -> Floats:
    """The probability of each that none which costs no more, in all of its C costs, has a higher true accuracy.

    Costs are taken as known; of two networks with equal costs one beats the other.
    """
    mean_N, deviation_N = believed.mean_N, believed.deviation_N
    found_N = np.zeros(len(mean_N))
    for row in range(len(mean_N)):
        others = np.flatnonzero((costs_NC <= costs_NC[row]).all(1))
        others = others[others != row]
        lead = (mean_N[others] - mean_N[row]) / np.hypot(deviation_N[others], deviation_N[row])
        if not (lead > _REACH).any():
            found_N[row] = _p_above_all(believed, row, others[lead > -_REACH])
    return found_N


def _p_above_all(believed: Believed, row: int, others: NDArray[np.intp]) -> float:
    """The probability that the true accuracy of ``row`` is above those of all ``others``."""
    z_P = np.linspace(-_REACH, _REACH, _POINTS)
    x_P = believed.mean_N[row] + believed.deviation_N[row] * z_P
    logs_P = special.log_ndtr((x_P[:, None] - believed.mean_N[others]) / believed.deviation_N[others]).sum(1)
    density_P = np.exp(logs_P - z_P**2 / 2) / math.sqrt(2 * math.pi)
    return float(np.trapezoid(density_P, z_P))


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
