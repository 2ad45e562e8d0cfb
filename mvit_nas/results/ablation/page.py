"""The page of an ablation as plain data: the answer in words, the verdicts with their price, the plots and the runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from mvit_nas.maths.statistics import Difference
from mvit_nas.results.ablation.plots import accuracy_plot, forest_plot, interval_points, signed
from mvit_nas.results.ablation.summary import MATCHED, Interaction, Summary, Variant, summarise, value_words
from mvit_nas.results.page import MISSING, Card, axis_label, cell, finite, number, provenance, to_float
from mvit_nas.results.search.findings import STATE_WORDS, Row, change_words, interval_words
from mvit_nas.results.table import PARAM, missing
from mvit_nas.units import format_count, format_seconds

# More variants than this are counted in the headline, not named: the table below names them.
_NAMED = 3


def page_data(table: pd.DataFrame, environment: Mapping[str, Any]) -> dict[str, Any]:
    """All that the page shows, as plain data."""
    summary = summarise(table, environment)
    return {
        "study": environment["study"],
        "question": _question(summary, environment),
        "summary": _chips(table, summary, environment),
        "cards": cards(table, summary, environment),
        "comparisons": len(summary.others),
        "columns": columns(summary, environment),
        "variants": [_variant_row(variant, summary) for variant in (summary.base, *summary.others)],
        "interaction_columns": [{"label": "Pair", "numeric": False}, *columns(summary, environment)[2:7]],
        "interactions": [_interaction_row(interaction) for interaction in summary.interactions],
        "run_columns": _run_columns(table, summary),
        "runs": [_run_row(row, table, summary) for row in table.to_dict("records")],
        "total": format_seconds(float(table["seconds"].sum())),
        "elapsed": format_seconds(environment["elapsed_seconds"]),
        "provenance": provenance({**environment, "ablation": _plan(summary, environment)}),
        "document": finite(
            {
                "page": "ablation",
                "forest": forest_plot(summary, environment),
                "accuracy": accuracy_plot(summary, environment),
            }
        ),
    }


def cards(table: pd.DataFrame, summary: Summary, environment: Mapping[str, Any]) -> list[Card]:
    """The answer, what its numbers are about and, where something did not go as planned, what."""
    images = environment["data"]["images"]["validation"]
    schedule = environment["experiment"]["schedule"]["name"]
    reach = Card(
        title="How far this reaches",
        subject="Other seeds, not other images",
        sentences=(
            "Intervals are over seeds: the initial weights, the order of the images and the crops.",
            f"Every run is scored on the same {images} validation images after the schedule {schedule!r}.",
            "So the intervals say nothing about other images or another schedule.",
        ),
    )
    deviations = tuple(_deviations(table, summary, environment))
    if not deviations:
        return [_headline(table, summary, environment), reach]
    odd = Card(title="Before you rely on it", subject="Not all went as planned", sentences=(), points=deviations)
    return [_headline(table, summary, environment), reach, odd]


def columns(summary: Summary, environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns of the verdicts' table: label, and whether it holds numbers."""
    numbers = ["Accuracy (%)", "Difference (points)", "p (Holm)", "Effect size (g)", "Detectable (points)"]
    costs = ["Parameters", "MACs (fvcore FLOPs)"]
    if any(variant.latency_ms is not None for variant in summary.variants):
        costs.append(axis_label("latency_ms", environment))
    return [
        {"label": ", ".join(summary.factors), "numeric": False},
        *({"label": name, "numeric": True} for name in numbers),
        {"label": "Verdict", "numeric": False},
        *({"label": name, "numeric": True} for name in costs),
    ]


def _question(summary: Summary, environment: Mapping[str, Any]) -> str:
    do = "does" if len(summary.factors) == 1 else "do"
    return f"What {do} {' and '.join(summary.factors)} do to {environment['ablation']['base']}?"


def _chips(table: pd.DataFrame, summary: Summary, environment: Mapping[str, Any]) -> list[str]:
    seeds, hardware = _planned_seeds(environment), environment["hardware"]
    trained = int((table["state"] == "complete").sum())
    return [
        f"{trained} of {len(summary.variants) * seeds} runs trained",
        f"data: {environment['data']['name']}",
        _count(seeds, "seed"),
        hardware["gpu"] or hardware["processor"],
        environment["created"][:16].replace("T", " "),
    ]


def _planned_seeds(environment: Mapping[str, Any]) -> int:
    """How many seeds were asked for, with those that were added for the precision's sake."""
    return len({*environment["experiment"]["seeds"], *environment["ablation"]["seeds"]})


def _headline(table: pd.DataFrame, summary: Summary, environment: Mapping[str, Any]) -> Card:
    base = summary.base
    title = f"Against {environment['ablation']['base']} with {base.words}"
    if base.accuracy is not None:
        title += f", {100 * base.accuracy:.2f} % accurate"
    if table.empty:
        return Card(title=title, subject="No run has ended yet", sentences=())
    groups = {
        word: [variant for variant in summary.others if variant.verdict == word]
        for word in ("better", "worse", "no difference shown")
    }
    alike = groups["no difference shown"]
    unjudged = [v for v in summary.others if not any(v in group for group in groups.values())]
    found = [
        f"{_some(groups[word], summary)} {'is' if len(groups[word]) == 1 else 'are'} {word}"
        for word in ("better", "worse")
        if groups[word]
    ]
    shown = [variant for word in ("better", "worse") for variant in _largest(groups[word])]
    sentences = [_sentence(variant, base) for variant in shown]
    if len(shown) < len(groups["better"]) + len(groups["worse"]):
        sentences.insert(0, "The largest differences; the table has the others:")
    if alike:
        sentences.append(
            f"No difference is shown for {_some(alike, summary)}. That is no proof that there is none: "
            "the intervals say how large it can be."
        )
    if unjudged:
        whys = "; ".join(f"{variant.words} ({variant.verdict})" for variant in unjudged[:_NAMED])
        more = f"; and {len(unjudged) - _NAMED} more" if len(unjudged) > _NAMED else ""
        sentences.append(f"No verdict on {whys}{more}.")
    return Card(
        title=title,
        subject=", ".join(found) or ("No difference shown" if alike else "No verdict"),
        sentences=(*sentences, *_detectable(summary)),
    )


def _some(group: Sequence[Variant], summary: Summary) -> str:
    """The variants by name, or how many where that would be long."""
    if len(group) > _NAMED or (len(group) > 1 and len(summary.factors) > 1):
        return f"{len(group)} of {len(summary.others)} variants"
    names = [group[0].words, *(variant.value for variant in group[1:])]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _largest(group: Sequence[Variant]) -> list[Variant]:
    """All of a few, the two with the largest differences of many."""
    if len(group) <= _NAMED:
        return list(group)
    return sorted(group, key=lambda v: -abs(v.difference.mean))[:2]  # type: ignore[union-attr, arg-type]


def _sentence(variant: Variant, base: Variant) -> str:
    difference = variant.difference
    assert difference is not None  # a verdict of better or worse has one
    assert difference.mean is not None
    changes = [
        change_words(name, value / reference)
        for name, value in variant.costs.items()
        if value is not None and (reference := base.costs[name])
    ]
    price = ", ".join(words for words in changes if not words.startswith("the same")) or "the same cost"
    return (
        f"{variant.words}: {signed(difference.mean)} points (95 % interval {interval_points(difference)})"
        f"{f', at {price}' if changes else ''}."
    )


def _detectable(summary: Summary) -> Iterator[str]:
    known = [
        variant.difference
        for variant in summary.others
        if variant.difference is not None and variant.difference.detectable is not None
    ]
    if known:
        sizes = sorted(100 * difference.detectable for difference in known if difference.detectable is not None)
        pairs = sorted({difference.pairs for difference in known})
        low, high = f"{sizes[0]:.2f}", f"{sizes[-1]:.2f}"
        size = f"{high} points" if low == high else f"{low} to {high} points, depending on the variant"
        seeds = _count(pairs[-1], "seed") if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]} seeds"
        yield (
            f"With {seeds}, the smallest difference that could have shown in 8 of 10 such experiments is {size}. "
            "Smaller ones can go unseen."
        )


def _deviations(table: pd.DataFrame, summary: Summary, environment: Mapping[str, Any]) -> Iterator[str]:
    plan = environment["ablation"]
    if plan["stopped"]:
        yield (
            f"{plan['stopped'][0].upper()}{plan['stopped'][1:]}. Stopping when an interval is narrow makes it a little "
            "too sure: in simulations it covers 92 to 94 % instead of 95 %."
        )
    absent = len(summary.variants) * _planned_seeds(environment) - len(table)
    if absent > 0:
        yield f"{_count(absent, 'run')} not there yet"
    failures: dict[tuple[str, str], list[str]] = {}
    for row in table[table["state"] == "failed"].to_dict("records"):
        failures.setdefault((_words(row, summary), _text(row["reason"])), []).append(_text(row["seed"]))
    for (words, reason), seeds in failures.items():
        yield f"Failed: {words}, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}" + (f": {reason}" if reason else "")
    for one in plan["left_out"]:
        labels = ", ".join(f"{name} {label}" for name, label in one["labels"].items())
        yield f"Left out: {labels}: {one['reason']}"


def _variant_row(variant: Variant, summary: Summary) -> dict[str, Any]:
    reason = "; ".join(variant.notes)
    return {
        "front": variant.is_base,
        "measured": variant.accuracy is not None,
        "reason": reason,
        "cells": list(_variant_cells(variant, summary, reason)),
    }


def _variant_cells(variant: Variant, summary: Summary, notes: str) -> Iterator[dict[str, Any]]:
    yield cell(variant.value, detail=notes)
    accuracy = 100 * to_float(variant.accuracy)
    spread = "" if variant.spread is None else f" ± {100 * variant.spread:.2f}"
    yield number(variant.accuracy, f"{accuracy:.2f}{spread}")
    yield from _difference_cells(variant.difference, variant.p_holm)
    yield cell(variant.verdict)
    base = summary.base
    yield number(variant.params, format_count(to_float(variant.params)), _change(variant, base, "params"))
    yield number(variant.macs, format_count(to_float(variant.macs)), _change(variant, base, "macs"))
    if any(other.latency_ms is not None for other in summary.variants):
        ends = {"latency_low_ms": variant.latency_low_ms, "latency_high_ms": variant.latency_high_ms}
        details = [_change(variant, base, "latency_ms"), interval_words(ends, "latency_ms")]
        yield number(
            variant.latency_ms, f"{to_float(variant.latency_ms):#.3g}".rstrip("."), "\n".join(filter(None, details))
        )


def _difference_cells(difference: Difference | None, p_holm: float | None) -> Iterator[dict[str, Any]]:
    """Difference with its interval, p, effect size and what could have shown: dashes where there is none."""
    if difference is None or difference.mean is None:
        yield from [number(None, "")] * 4
        return
    yield number(difference.mean, signed(difference.mean), interval_points(difference))
    yield number(p_holm, "< 0.001" if p_holm is not None and p_holm < 0.001 else f"{to_float(p_holm):.3f}")
    yield number(difference.effect_size, f"{to_float(difference.effect_size):+z.1f}".replace("-", "\u2212"))
    yield number(difference.detectable, f"{100 * to_float(difference.detectable):.2f}")


def _change(variant: Variant, base: Variant, name: str) -> str:
    """A cost against the base's: "+8 %", "the same"; empty for the base and where either is unknown."""
    value, reference = variant.costs[name], base.costs[name]
    if variant.is_base or not value or not reference:
        return ""
    percent = 100 * (value / reference - 1)
    if abs(percent) < 0.05:
        return "the same"
    return f"{percent:+.{1 if abs(percent) < 1 else 0}f} %".replace("-", "\u2212")


def _interaction_row(interaction: Interaction) -> dict[str, Any]:
    cells = [cell(interaction.value), *_difference_cells(interaction.difference, interaction.p_holm)]
    return {"reason": "", "cells": [*cells, cell(interaction.verdict)]}


def _run_columns(table: pd.DataFrame, summary: Summary) -> list[dict[str, Any]]:
    matched = ["Matched"] if _any_matched(table) else []
    return [
        {"label": "Seed", "numeric": False},
        *({"label": name, "numeric": False} for name in (*summary.factors, *matched)),
        {"label": "Accuracy (%)", "numeric": True},
        {"label": "State", "numeric": False},
        {"label": "Cost (s)", "numeric": True},
        {"label": "Cached", "numeric": False},
        {"label": "Candidate", "numeric": False},
    ]


def _run_row(row: Row, table: pd.DataFrame, summary: Summary) -> dict[str, Any]:
    reason = _text(row["reason"])
    cells = [
        cell(_text(row["seed"]) or MISSING, sort=_text(row["seed"])),
        *(_text_cell(row[PARAM + name]) for name in summary.factors),
        *([_text_cell(row[MATCHED])] if _any_matched(table) else []),
        number(row["accuracy"], f"{100 * to_float(row['accuracy']):.2f}"),
        cell(STATE_WORDS[row["state"]], detail=reason),
        number(row["seconds"], f"{to_float(row['seconds']):.1f}"),
        cell("" if missing(row["cached"]) else "yes" if row["cached"] else "no"),
        _text_cell(row["arch_id"]),
    ]
    return {"trained": row["state"] == "complete", "reason": reason, "cells": cells}


def _any_matched(table: pd.DataFrame) -> bool:
    return MATCHED in table and bool((table[MATCHED].fillna("") != "").any())


def _words(row: Row, summary: Summary) -> str:
    """The variant of a run in words that stand alone."""
    labels = {name: _text(row[PARAM + name]) for name in summary.factors}
    words = value_words(labels, _text(row[MATCHED]))
    return words if len(labels) > 1 else f"{summary.factors[0]} {words}"


def _text(value: Any) -> str:
    return "" if missing(value) else str(value)


def _text_cell(value: Any) -> dict[str, Any]:
    return cell(_text(value) or MISSING, sort=_text(value))


def _plan(summary: Summary, environment: Mapping[str, Any]) -> dict[str, Any]:
    """The plan for the provenance, its variants as words: all else about them is in the tables."""
    plan = environment["ablation"]
    left_out = [f"{value_words(one['labels'], '')} ({one['reason']})" for one in plan["left_out"]]
    precision = None if plan["precision"] is None else f"± {100 * plan['precision']:g} points"
    variants = [variant.value for variant in summary.variants]
    return {**plan, "variants": variants, "left_out": left_out, "precision": precision}


def _count(number_of: int, noun: str) -> str:
    return f"{number_of} {noun}{'s' * (number_of != 1)}"
