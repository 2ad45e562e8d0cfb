"""What the plots of an ablation's page show, as plain data; the page draws it."""

import html
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mvit_nas.maths.statistics import Difference, mean_interval
from mvit_nas.metrics import COSTS, LATENCY, MACS, METRICS, PARAMS, Form, Metric
from mvit_nas.results.ablation.summary import Summary, Variant, value_words
from mvit_nas.results.page import axis_label
from mvit_nas.study.origin import AblationOrigin
from mvit_nas.study.record import Measured

Numbers = Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """A variant's mean difference in points with the ends of its interval, and a dot for each seed."""

    label: str
    kind: str
    mean: float | None
    low: float | None
    high: float | None
    hover: str
    dots: list[float]
    dots_hover: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """The differences from ``base``: a row for each other variant, the words of the ``kinds`` of them, the range."""

    rows: list[ForestRow]
    kinds: Mapping[str, str]
    range: list[float]
    factors: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The numbers along an axis, with the ends of their intervals, and its title; ``counts`` where they are whole."""

    title: str
    counts: bool
    values: Numbers
    low: Numbers
    high: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracies:
    """Mean scores in percent, by variant, and the cost ``axes`` to show them against, ``x`` first."""

    axes: Mapping[str, Axis]
    x: str
    y: str
    label: list[str]
    kind: list[str]
    hover: list[str]
    accuracy: Axis
    kinds: Mapping[str, str]


def forest_plot(summary: Summary, origin: AblationOrigin) -> dict[str, object] | None:
    """``forest`` for the page."""
    found = forest(summary, origin)
    return None if found is None else asdict(found)


def accuracy_plot(summary: Summary, origin: AblationOrigin) -> dict[str, object] | None:
    """``accuracies`` for the page."""
    found = accuracies(summary, origin)
    return None if found is None else asdict(found)


def forest(summary: Summary, origin: AblationOrigin) -> Forest | None:
    """The plot of differences from the base, in points of the score; None before there is one.

    One row for each variant but the base, as planned. The range holds all of them and zero.
    """
    rows: list[ForestRow] = []
    shown: list[float] = []
    for variant in summary.others:
        difference = variant.difference
        assert difference is not None  # only the base has none
        ends = (difference.mean, difference.low, difference.high)
        mean, low, high = (None if value is None else 100 * value for value in ends)
        dots = {
            seed: 100 * (value - base)
            for seed, value, base in zip(summary.seeds, variant.scores, summary.base.scores, strict=True)
            if value is not None and base is not None
        }
        shown += [value for value in (low, high, *dots.values()) if value is not None]
        rows.append(
            ForestRow(
                label=_lines(_short(variant)),
                kind=_kind(variant),
                mean=mean,
                low=low,
                high=high,
                hover=_difference_hover(variant),
                dots=list(dots.values()),
                dots_hover=[f"seed {seed}: {signed(dot / 100)} points" for seed, dot in dots.items()],
            )
        )
    if not shown:
        return None
    left, right = min(0.0, *shown), max(0.0, *shown)
    pad = 0.06 * (right - left) or 1.0
    base_words = summary.base.words if len(summary.factors) == 1 else _short(summary.base)
    return Forest(
        rows=rows,
        kinds=_kinds(summary, origin),
        range=[left - pad, right + pad],
        factors=_shortened(" / ".join(summary.factors)),
        base=f"{_lines(origin.plan.base)}<br>{_lines(base_words)}",
    )


def accuracies(summary: Summary, origin: AblationOrigin) -> Accuracies | None:
    """Mean scores, in percent, with the 95 % interval over seeds, against each cost; None before one is known.

    ``x``, the cost to show first, is one that differs.
    """
    known = [variant for variant in summary.variants if variant.score is not None]
    costs = [metric for metric in COSTS if any(variant.cost(metric) is not None for variant in known)]
    if not costs:
        return None
    preferred = [metric for metric in (MACS, LATENCY, PARAMS, *costs) if metric in costs]
    differing = [metric for metric in preferred if len({variant.cost(metric) for variant in known}) > 1]
    means = [_mean(variant) for variant in known]
    words = html.escape(f"Mean {origin.score_words(summary.metric)} ({summary.metric.unit})")
    axes = {
        metric.name: _axis(
            [variant.costs.get(metric.name) for variant in known],
            title=html.escape(axis_label(metric, origin)),
            counts=metric.form is Form.COUNT,
        )
        for metric in costs
    }
    return Accuracies(
        axes=axes,
        x=(differing or preferred)[0].name,
        y=words,
        label=[_shortened(_short(variant)) for variant in known],
        kind=[_kind(variant) for variant in known],
        hover=[_score_hover(variant, mean, summary.metric) for variant, mean in zip(known, means, strict=True)],
        accuracy=_axis(means, title=words, counts=False),
        kinds=_kinds(summary, origin),
    )


def _mean(variant: Variant) -> Measured:
    """The mean score over seeds with its interval, in percent."""
    shares = np.array(variant.scores, dtype=float)  # NaN for None
    low, high = mean_interval(shares) or (None, None)
    return Measured(
        value=100 * (variant.score or 0.0),
        low=None if low is None else 100 * low,
        high=None if high is None else 100 * high,
    )


def _axis(values: Sequence[Measured | None], *, title: str, counts: bool) -> Axis:
    return Axis(
        title=title,
        counts=counts,
        values=[None if one is None else one.value for one in values],
        low=[None if one is None else one.low for one in values],
        high=[None if one is None else one.high for one in values],
    )


def signed(share: float) -> str:
    """A difference of shares in points, with its sign: "+1.25"."""
    return f"{100 * share:+z.2f}".replace("-", "\u2212")


def interval_points(difference: Difference) -> str:
    """The 95 % interval in points, "\u22120.40 to +1.25"; empty where there is none."""
    if difference.low is None or difference.high is None:
        return ""
    return f"{signed(difference.low)} to {signed(difference.high)}"


def _short(variant: Variant) -> str:
    """The variant where the factors are named beside it: "4 at equal macs", "4 / 2 4 3"."""
    return value_words({"": " / ".join(variant.labels.values())}, variant.matched)


def _kind(variant: Variant) -> str:
    return "base" if variant.is_base else "matched" if variant.matched else "free"


def _kinds(summary: Summary, origin: AblationOrigin) -> dict[str, str]:
    """The kinds of variant that there are, each with its words in the legend."""
    kinds = {_kind(variant): variant.matched for variant in summary.variants}
    matched = METRICS.get(kinds.get("matched", ""))
    words = {
        "base": f"base: {origin.plan.base}",
        "free": f"only {' and '.join(summary.factors)} changed",
        "matched": f"width rescaled to equal {'' if matched is None else matched.noun}",
    }
    return {kind: html.escape(words[kind]) for kind in words if kind in kinds}


def _difference_hover(variant: Variant) -> str:
    lines = [f"<b>{html.escape(variant.words)}</b>"]
    difference = variant.difference
    if difference is not None and difference.mean is not None:
        lines.append(f"{signed(difference.mean)} points over {difference.pairs} seeds")
        if interval := interval_points(difference):
            lines.append(f"95 % interval {interval}")
    return "<br>".join([*lines, html.escape(variant.verdict_words)])


def _score_hover(variant: Variant, mean: Measured, metric: Metric) -> str:
    lines = [f"<b>{html.escape(variant.words)}</b>", f"{mean.value:.2f} % mean {metric.noun}"]
    if mean.low is not None:
        lines.append(f"95 % interval {mean.low:.2f} to {mean.high:.2f} %")
    for name, one in variant.costs.items():
        lines.append(f"{METRICS[name].format(one.value)} {METRICS[name].after}".rstrip())
    return "<br>".join(lines)


def _shortened(text: str) -> str:
    return html.escape(textwrap.shorten(text, 30, placeholder=" …"))


def _lines(text: str) -> str:
    """``text`` for Plotly, which reads it as HTML: in lines of 24 characters, at most three."""
    lines = textwrap.wrap(text, 24, max_lines=3, placeholder=" …") or [""]
    return "<br>".join(html.escape(line) for line in lines)
