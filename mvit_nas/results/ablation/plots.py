"""What the plots of an ablation's page show, as plain data; the page draws it."""

import html
import textwrap
from collections.abc import Mapping
from typing import Any

from mvit_nas.maths.statistics import Difference, mean_interval
from mvit_nas.metrics import format_metric
from mvit_nas.results.ablation.summary import Summary, Variant, value_words
from mvit_nas.results.page import axis_label
from mvit_nas.results.search.findings import COSTS, accuracy_words

_EQUAL = {"params": "equal parameters", "macs": "equal MACs", "latency_ms": "equal latency"}


def forest_plot(summary: Summary, environment: Mapping[str, Any]) -> dict[str, Any] | None:
    """The differences from the base, in accuracy points; None before there is one.

    ``rows`` has one for each variant but the base, in the order of the plan: ``label`` in lines, ``kind``, ``mean``
    with ``low`` and ``high`` (None without interval), the ``dots`` of the single seeds, and ``hover``. ``range`` holds
    all of it and zero.
    """
    rows = []
    shown: list[float] = []
    for variant in summary.others:
        dots = {
            seed: 100 * (value - base)
            for seed, value, base in zip(summary.seeds, variant.accuracies, summary.base.accuracies, strict=True)
            if value is not None and base is not None
        }
        difference = variant.difference
        assert difference is not None  # only the base has none
        ends = (difference.mean, difference.low, difference.high)
        mean, low, high = (None if value is None else 100 * value for value in ends)
        rows.append(
            {
                "label": _lines(_short(variant)),
                "kind": _kind(variant),
                "mean": mean,
                "low": low,
                "high": high,
                "hover": _difference_hover(variant),
                "dots": list(dots.values()),
                "dots_hover": [f"seed {seed}: {signed(dot / 100)} points" for seed, dot in dots.items()],
            }
        )
        shown += [value for value in (low, high, *dots.values()) if value is not None]
    if not shown:
        return None
    left, right = min(0.0, *shown), max(0.0, *shown)
    base_words = summary.base.words if len(summary.factors) == 1 else _short(summary.base)
    pad = 0.06 * (right - left) or 1.0
    return {
        "rows": rows,
        "kinds": _kinds(summary, environment),
        "range": [left - pad, right + pad],
        "factors": html.escape(textwrap.shorten(" / ".join(summary.factors), 30, placeholder=" …")),
        "base": f"{_lines(environment['ablation']['base'])}<br>{_lines(base_words)}",
    }


def accuracy_plot(summary: Summary, environment: Mapping[str, Any]) -> dict[str, Any] | None:
    """Mean accuracy against each cost; None before one is known.

    ``points`` has a list for each column, None for missing: accuracies in percent with the 95 % interval of the mean
    over seeds, and costs. ``x`` is the first cost that differs between the variants.
    """
    known = [variant for variant in summary.variants if variant.accuracy is not None]
    axes = [name for name in COSTS if any(variant.costs[name] is not None for variant in known)]
    if not axes:
        return None
    ends = [mean_interval([float("nan") if a is None else a for a in variant.accuracies]) for variant in known]
    points: dict[str, list[Any]] = {
        "label": [html.escape(textwrap.shorten(_short(variant), 30, placeholder=" …")) for variant in known],
        "kind": [_kind(variant) for variant in known],
        "accuracy": [100 * variant.accuracy for variant in known if variant.accuracy is not None],
        "accuracy_low": [None if pair is None else 100 * pair[0] for pair in ends],
        "accuracy_high": [None if pair is None else 100 * pair[1] for pair in ends],
        "latency_low_ms": [variant.latency_low_ms for variant in known],
        "latency_high_ms": [variant.latency_high_ms for variant in known],
    }
    points |= {name: [variant.costs[name] for variant in known] for name in COSTS}
    points["hover"] = [_accuracy_hover(variant, pair) for variant, pair in zip(known, ends, strict=True)]
    preferred = [name for name in ("macs", "latency_ms", "params") if name in axes]
    return {
        "axes": {name: html.escape(axis_label(name, environment)) for name in axes},
        "x": next((name for name in preferred if len(set(points[name])) > 1), preferred[0]),
        "y": html.escape(f"Mean {accuracy_words(environment)} (%)"),
        "points": points,
        "kinds": _kinds(summary, environment),
    }


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


def _kinds(summary: Summary, environment: Mapping[str, Any]) -> dict[str, str]:
    """The kinds of variant that there are, each with its words in the legend."""
    kinds = {_kind(variant): variant.matched for variant in summary.variants}
    words = {
        "base": f"base: {environment['ablation']['base']}",
        "free": f"only {' and '.join(summary.factors)} changed",
        "matched": f"width rescaled to {_EQUAL.get(kinds.get('matched', ''), '')}",
    }
    return {kind: html.escape(words[kind]) for kind in words if kind in kinds}


def _difference_hover(variant: Variant) -> str:
    lines = [f"<b>{html.escape(variant.words)}</b>"]
    difference = variant.difference
    if difference is not None and difference.mean is not None:
        lines.append(f"{signed(difference.mean)} points over {difference.pairs} seeds")
        if interval := interval_points(difference):
            lines.append(f"95 % interval {interval}")
    return "<br>".join([*lines, html.escape(variant.verdict)])


def _accuracy_hover(variant: Variant, ends: tuple[float, float] | None) -> str:
    lines = [f"<b>{html.escape(variant.words)}</b>"]
    if variant.accuracy is not None:
        lines.append(f"{100 * variant.accuracy:.2f} % mean accuracy")
    if ends is not None:
        lines.append(f"95 % interval {100 * ends[0]:.2f} to {100 * ends[1]:.2f} %")
    for name, value in variant.costs.items():
        if value is not None:
            lines.append(format_metric(name, value) + (" latency" if name == "latency_ms" else ""))
    return "<br>".join(lines)


def _lines(text: str) -> str:
    """``text`` for Plotly, which reads it as HTML: in lines of 24 characters, at most three."""
    lines = textwrap.wrap(text, 24, max_lines=3, placeholder=" …") or [""]
    return "<br>".join(html.escape(line) for line in lines)
