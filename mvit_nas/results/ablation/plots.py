"""What the plots of an ablation's page show, as plain data; the page draws it."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from mvit_nas.maths.statistics import Difference, mean_interval
from mvit_nas.metrics import ACCURACY, COSTS, LATENCY, MACS, METRICS, PARAMS, Form
from mvit_nas.results.ablation.summary import Summary, Variant, value_words
from mvit_nas.results.page import axis_label
from mvit_nas.study.origin import AblationOrigin
from mvit_nas.study.record import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """A variant in the plot of differences: ``label`` in lines, ``mean`` with the ends of its interval, and seeds."""

    label: str
    kind: str
    mean: float | None
    low: float | None
    high: float | None
    hover: str
    dots: tuple[float, ...]
    dots_hover: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """The differences from the base, in accuracy points; ``range`` holds all of them and zero."""

    rows: tuple[ForestRow, ...]
    kinds: dict[str, str]
    range: tuple[float, float]
    factors: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A cost to draw accuracies against: its title, whether its numbers are counts, and a value for each point."""

    title: str
    counts: bool
    values: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracies:
    """Mean accuracies, in percent, with the 95 % interval over seeds, against each cost; ``x`` is shown first."""

    axes: dict[str, Axis]
    x: str
    y: str
    label: tuple[str, ...]
    kind: tuple[str, ...]
    hover: tuple[str, ...]
    accuracy: Axis
    kinds: dict[str, str]


def forest_plot(summary: Summary, origin: AblationOrigin) -> Forest | None:
    """The plot of differences; None before there is one. One row for each variant but the base, as planned."""
    rows = [_forest_row(variant, summary) for variant in summary.others]
    shown = [value for row in rows for value in (row.low, row.high, *row.dots) if value is not None]
    if not shown:
        return None
    left, right = min(0.0, *shown), max(0.0, *shown)
    base_words = summary.base.words if len(summary.factors) == 1 else _short(summary.base)
    pad = 0.06 * (right - left) or 1.0
    return Forest(
        rows=tuple(rows),
        kinds=_kinds(summary, origin),
        range=(left - pad, right + pad),
        factors=html.escape(textwrap.shorten(" / ".join(summary.factors), 30, placeholder=" …")),
        base=f"{_lines(origin.plan.base)}<br>{_lines(base_words)}",
    )


def _forest_row(variant: Variant, summary: Summary) -> ForestRow:
    dots = {
        seed: 100 * (value - base)
        for seed, value, base in zip(summary.seeds, variant.accuracies, summary.base.accuracies, strict=True)
        if value is not None and base is not None
    }
    difference = variant.difference
    assert difference is not None  # only the base has none
    ends = (difference.mean, difference.low, difference.high)
    mean, low, high = (None if value is None else 100 * value for value in ends)
    return ForestRow(
        label=_lines(_short(variant)),
        kind=_kind(variant),
        mean=mean,
        low=low,
        high=high,
        hover=_difference_hover(variant),
        dots=tuple(dots.values()),
        dots_hover=tuple(f"seed {seed}: {signed(dot / 100)} points" for seed, dot in dots.items()),
    )


def accuracy_plot(summary: Summary, origin: AblationOrigin) -> Accuracies | None:
    """Mean accuracy against each cost; None before one is known. First comes a cost that differs."""
    known = [variant for variant in summary.variants if variant.accuracy is not None]
    costs = [metric for metric in COSTS if any(variant.cost(metric) is not None for variant in known)]
    if not costs:
        return None
    ends = [mean_interval([float("nan") if a is None else a for a in variant.accuracies]) for variant in known]
    axes = {
        metric.name: _axis(
            html.escape(axis_label(metric, origin)),
            [variant.costs.get(metric.name) for variant in known],
            counts=metric.form is Form.COUNT,
        )
        for metric in costs
    }
    means = [
        Measured(
            value=100 * (variant.accuracy or 0.0),
            low=None if pair is None else 100 * pair[0],
            high=None if pair is None else 100 * pair[1],
        )
        for variant, pair in zip(known, ends, strict=True)
    ]
    words = html.escape(f"Mean {origin.score_words(ACCURACY)} ({ACCURACY.unit})")
    preferred = [metric.name for metric in (MACS, LATENCY, PARAMS, *costs) if metric in costs]
    return Accuracies(
        axes=axes,
        x=next((name for name in preferred if len(set(axes[name].values)) > 1), preferred[0]),
        y=words,
        label=tuple(html.escape(textwrap.shorten(_short(variant), 30, placeholder=" …")) for variant in known),
        kind=tuple(_kind(variant) for variant in known),
        hover=tuple(_accuracy_hover(variant, pair) for variant, pair in zip(known, ends, strict=True)),
        accuracy=_axis(words, means, counts=False),
        kinds=_kinds(summary, origin),
    )


def _axis(title: str, values: Sequence[Measured | None], *, counts: bool) -> Axis:
    return Axis(
        title=title,
        counts=counts,
        values=tuple(None if one is None else one.value for one in values),
        low=tuple(None if one is None else one.low for one in values),
        high=tuple(None if one is None else one.high for one in values),
    )


def signed(share: float) -> str:
    """A difference of shares in accuracy points, with its sign: "+1.25"."""
    return f"{100 * share:+z.2f}".replace("-", "\u2212")


def interval_points(difference: Difference) -> str:
    """The 95 % interval in accuracy points, "\u22120.40 to +1.25"; empty where there is none."""
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


def _accuracy_hover(variant: Variant, ends: tuple[float, float] | None) -> str:
    lines = [f"<b>{html.escape(variant.words)}</b>"]
    if variant.accuracy is not None:
        lines.append(f"{100 * variant.accuracy:.2f} % mean accuracy")
    if ends is not None:
        lines.append(f"95 % interval {100 * ends[0]:.2f} to {100 * ends[1]:.2f} %")
    for name, one in variant.costs.items():
        lines.append(f"{METRICS[name].format(one.value)} {METRICS[name].after}".rstrip())
    return "<br>".join(lines)


def _lines(text: str) -> str:
    """``text`` for Plotly, which reads it as HTML: in lines of 24 characters, at most three."""
    lines = textwrap.wrap(text, 24, max_lines=3, placeholder=" …") or [""]
    return "<br>".join(html.escape(line) for line in lines)
