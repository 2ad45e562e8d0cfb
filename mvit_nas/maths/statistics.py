"""Paired differences with their intervals, Holm's correction, and the smallest difference that could have shown.

The statistics are scipy's and statsmodels'. One row of a sample is one seed, which every variant shares, so that a
difference is formed within a seed and what the seed decides for both (initial weights, data order, crops) cancels.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats
from statsmodels.stats.multitest import multipletests

from mvit_nas.maths.pareto import Floats

# With fewer, an interval would be all tail: at 2 pairs its half is 9 standard deviations.
MIN_PAIRS = 3
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
POWER = 0.8
# Standard deviations over which the power is averaged: enough for two digits at 3 pairs, three at 5.
_QUANTILES = 400
# With fewer rows in a rank correlation, its interval would be nearly all that is possible.
MIN_RANKED = 4
# Samples that its interval is simulated from: another seed moves the ends by about 0.01.
_SAMPLES = 20_000
# Fewer of them where there are so many rows that all pairs of all samples would take more numbers than this.
_SAMPLED_PAIRS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A paired difference, in the unit of the samples.

    ``pairs`` is how many seeds have both values, ``mean`` their mean difference (None without a pair), ``low`` and
    ``high`` the ends of its 95 % interval, ``p`` the two-sided p value of "no difference" before any correction.
    ``effect_size`` is Hedges' g of the differences: their mean over their standard deviation, corrected for the bias
    of small samples (Hedges 1981). ``detectable`` is the true difference that an experiment of this size shows with
    80 % power after correction. These five are None with fewer than 3 pairs, or where all pairs differ by the same.
    """

    pairs: int
    mean: float | None
    low: float | None = None
    high: float | None = None
    effect_size: float | None = None
    p: float | None = None
    detectable: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def farthest_apart(deviation: float, *, freedom: int) -> float:
    """How far apart two values lie at most, in 95 % of the cases, whose standard ``deviation`` was estimated.

    ``freedom`` are the degrees of freedom that it was estimated with.
    """
    return float(stats.t.ppf(1 - ALPHA / 2, freedom)) * deviation * math.sqrt(2)


def paired_difference(values: ArrayLike, base: ArrayLike, *, comparisons: int = 1) -> Difference:
    """``values`` minus ``base``, seed by seed; NaN where a run has no value, and the pair does not count.

    ``comparisons`` is the number of differences that are judged together. Student's paired t test.
    """
    differences = np.asarray(values, dtype=float) - np.asarray(base, dtype=float)
    differences = differences[~np.isnan(differences)]
    pairs = len(differences)
    mean = float(differences.mean()) if pairs else None
    # Rounding leaves a spread of about 1e-17 where every pair differs by the same.
    if mean is None or pairs < MIN_PAIRS or float(np.ptp(differences)) < 1e-12:
        return Difference(pairs=pairs, mean=mean)
    test = stats.ttest_1samp(differences, 0.0)
    interval = test.confidence_interval(CONFIDENCE)
    deviation = float(differences.std(ddof=1))
    return Difference(
        pairs=pairs,
        mean=mean,
        low=float(interval.low),
        high=float(interval.high),
        effect_size=_small_sample_correction(pairs - 1) * mean / deviation,
        p=float(test.pvalue),
        detectable=detectable_deviations(pairs, comparisons) * deviation,
    )


def mean_interval(values: ArrayLike) -> tuple[float, float] | None:
    """Student's 95 % interval of the mean of ``values``, NaN left out; None where a paired difference has none."""
    alone = paired_difference(values, 0.0)
    return None if alone.low is None or alone.high is None else (alone.low, alone.high)


def welch_interval(values: ArrayLike, others: ArrayLike) -> tuple[float, float] | None:
    """Welch's 95 % interval of the difference of two means, first minus second, of samples that are not paired.

    None where either has fewer than 3 values, or neither has a spread.
    """
    samples = [np.asarray(sample, dtype=float) for sample in (values, others)]
    if min(map(len, samples)) < MIN_PAIRS or max(map(np.ptp, samples)) < 1e-12:
        return None
    interval = stats.ttest_ind(*samples, equal_var=False).confidence_interval(CONFIDENCE)
    return float(interval.low), float(interval.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCorrelation:
    """Kendall's tau of ``rows`` pairs of values with its 95 % interval; None for fewer than 4 rows, or all alike."""

    rows: int
    tau: float | None
    low: float | None
    high: float | None


def rank_correlation(first: ArrayLike, second: ArrayLike) -> RankCorrelation:
    """Kendall's tau-b of ``first`` and ``second``, row by row; rows with NaN do not count.

    The interval holds every true tau under which one as far off as this, or farther, comes in at least 2.5 % of the
    samples of as many rows. The samples are drawn, from one seed, from the bivariate normal distribution; tau does not
    change with the scale of either value. Over true taus of 0 to 0.97 and 5 to 40 rows it covers 95 to 99 %. Tried and
    left: the bootstrap of the rows, which covers 84 % with 9 rows and a true tau of 0.9, 38 % with 5 rows, and has no
    width where all rows agree; and Fisher's z (Fieller, Hartley and Pearson 1957), which covers 82 % and 38 %.
    """
    pairs = np.column_stack([np.asarray(first, dtype=float), np.asarray(second, dtype=float)])
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    rows = len(pairs)
    # Rounding leaves a tau of 1 off by about 1e-15, and a whole number of pairs as well.
    tau = round(float(stats.kendalltau(*pairs.T).statistic), 12) if rows >= MIN_RANKED else math.nan
    if math.isnan(tau):
        return RankCorrelation(rows=rows, tau=None, low=None, high=None)
    turns = _turning_points(rows)
    # Ties leave a part of a pair, which widens the interval.
    concordant = round((1 + tau) / 2 * turns.shape[1], 6)
    fewest, most = math.floor(concordant), math.ceil(concordant)
    low = -1.0 if fewest == 0 else float(np.quantile(turns[:, fewest - 1], ALPHA / 2))
    high = 1.0 if most == turns.shape[1] else float(np.quantile(turns[:, most], 1 - ALPHA / 2))
    return RankCorrelation(rows=rows, tau=tau, low=low, high=high)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values corrected for all of them together (Holm 1979).

    None, a comparison without a p value as yet, stays None and counts like one that shows nothing: what the others
    show does not change by when it is run.
    """
    if not p_values:
        return []
    corrected = multipletests([1.0 if p is None else p for p in p_values], alpha=ALPHA, method="holm")[1].tolist()
    return [None if p is None else value for p, value in zip(p_values, corrected, strict=True)]


@functools.cache
def detectable_deviations(pairs: int, comparisons: int) -> float:
    """The smallest difference that shows with 80 % power, in standard deviations as estimated from ``pairs`` pairs.

    The usual formula takes the standard deviation as known. Estimated from few pairs it is too small as often as too
    large, and too small costs more power than too large gains; so the power is averaged over the estimates that the
    same number of pairs can give. The level is 5 % over ``comparisons``, the strictest step of Holm's correction.
    """
    freedom = pairs - 1
    critical = stats.t.isf(ALPHA / comparisons / 2, freedom)
    # Quantiles of an estimated standard deviation whose true value is 1.
    deviations = np.sqrt(stats.chi2.ppf((np.arange(_QUANTILES) + 0.5) / _QUANTILES, freedom) / freedom)
    reported, tested = deviations[:, None], deviations[None, :]

    def lacking(k: float) -> float:
        # A test with the deviation ``tested`` shows the difference ``k * reported`` in this share of the samples.
        # statsmodels' TTestPower says the same by the noncentral t, but gives NaN for effects as large as here.
        return float(stats.norm.cdf(math.sqrt(pairs) * k * reported - critical * tested).mean()) - POWER

    return float(optimize.brentq(lacking, 0.01, 1e4))


@functools.cache
def _turning_points(rows: int) -> Floats:
    """For each sample of ``rows`` rows, in order, the true taus at which one more of its pairs becomes concordant.

    With y = r x + sqrt(1 - r^2) e, a pair of rows is concordant from r / sqrt(1 - r^2) = -de / dx on, so that one set
    of draws serves every true tau, 2 / pi asin r.
    """
    i, j = np.triu_indices(rows, k=1)
    x, e = np.random.default_rng(0).standard_normal((2, min(_SAMPLES, _SAMPLED_PAIRS // len(i)) // 2, rows))
    slopes = (e[:, i] - e[:, j]) / (x[:, i] - x[:, j])
    # Each draw of e serves with both signs: the opposite order then has the opposite interval.
    return np.sort(2 / np.pi * np.arctan(np.vstack([slopes, -slopes])), axis=1)


def _small_sample_correction(freedom: int) -> float:
    """Hedges' J, exactly: by the gamma function."""
    logarithm = special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)
    return math.exp(logarithm) / math.sqrt(freedom / 2)
