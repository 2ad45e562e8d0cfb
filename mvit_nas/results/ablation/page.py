"""The page of an ablation as plain data: the answer in words, the verdicts with their price, the plots and the runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mvit_nas.maths.statistics import Difference
from mvit_nas.metrics import COSTS, METRICS, Metric, Source
from mvit_nas.results.ablation.plots import accuracy_plot, forest_plot, interval_points, signed
from mvit_nas.results.ablation.summary import Interaction, Summary, Variant, Verdict, full_words, summarise, value_words
from mvit_nas.results.page import (
    MISSING,
    Card,
    Cell,
    Column,
    Row,
    Section,
    axis_label,
    cell,
    columns_of,
    counted,
    finite,
    number,
    provenance,
)
from mvit_nas.results.search.findings import STATE_WORDS, interval_words
from mvit_nas.study.origin import AblationOrigin, plan_in_words
from mvit_nas.study.record import Record, State
from mvit_nas.units import format_seconds

# More variants than this are counted in the headline, not named: the table below names them.
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the page of an ablation shows, as plain data; ``document`` is what its script draws."""

    question: str
    score: str
    summary: tuple[str, ...]
    cards: tuple[Card, ...]
    columns: tuple[Column, ...]
    variants: tuple[Row, ...]
    interaction_columns: tuple[Column, ...]
    interactions: tuple[Row, ...]
    run_columns: tuple[Column, ...]
    runs: tuple[Row, ...]
    spent: str
    provenance: tuple[Section, ...]
    document: object


def page_data(records: Sequence[Record], origin: AblationOrigin) -> Page:
    """All that the page shows."""
    summary = summarise(records, origin.plan, origin.experiment.score)
    do = "does" if len(summary.factors) == 1 else "do"
    heads = columns(summary, origin)
    with_matched = any(record.candidate.matched for record in records)
    return Page(
        question=f"What {do} {' and '.join(summary.factors)} do to {origin.plan.base}?",
        score=summary.metric.title,
        summary=tuple(_chips(records, summary, origin)),
        cards=tuple(cards(records, summary, origin)),
        columns=tuple(heads),
        variants=tuple(_variant_row(variant, summary) for variant in (summary.base, *summary.others)),
        interaction_columns=(*columns_of("Pair"), *heads[2:7]),
        interactions=tuple(_interaction_row(one) for one in summary.interactions),
        run_columns=(
            *columns_of("Seed", *summary.factors, *(["Rescaled to equal"] if with_matched else [])),
            *columns_of(_score_heading(summary), numeric=True),
            *columns_of("State"),
            *columns_of("Time (s)", numeric=True),
            *columns_of("Cached", "Network"),
        ),
        runs=tuple(_run_row(record, summary, with_matched=with_matched) for record in records),
        spent=_spent(records, origin),
        provenance=provenance(_with_plan_in_words(summary, origin)),
        document=finite(
            {"page": "ablation", "forest": forest_plot(summary, origin), "accuracy": accuracy_plot(summary, origin)}
        ),
    )


def cards(records: Sequence[Record], summary: Summary, origin: AblationOrigin) -> list[Card]:
    """The answer, what its numbers are about and, where something did not go as planned, what."""
    images = origin.images.counts["validation"]
    reach = Card(
        title="How far this reaches",
        subject="Other seeds, not other images",
        sentences=(
            "Intervals are over seeds: the initial weights, the order of the images and the crops.",
            f"Every run is scored on the same {images} validation images after the schedule {origin.schedule!r}.",
            "So the intervals say nothing about other images or another schedule.",
        ),
    )
    found = [_headline(records, summary, origin), reach]
    deviations = tuple(_deviations(records, summary, origin))
    if deviations:
        odd = "Not all went as planned"
        found.append(Card(title="Before you rely on it", subject=odd, sentences=(), points=deviations))
    return found


def columns(summary: Summary, origin: AblationOrigin) -> list[Column]:
    """The columns of the verdicts' table."""
    numbers = [
        _score_heading(summary),
        "Difference (points)",
        "p (Holm)",
        "Effect size (g)",
        "Could have shown (points)",
    ]
    return [
        *columns_of(", ".join(summary.factors)),
        *columns_of(*numbers, numeric=True),
        *columns_of("Verdict"),
        *columns_of(*(axis_label(metric, origin) for metric in _costs(summary)), numeric=True),
    ]


def _score_heading(summary: Summary) -> str:
    return f"{summary.metric.title} ({summary.metric.unit})"


def _costs(summary: Summary) -> list[Metric]:
    """The costs that have columns: what is counted always, what is timed where it was."""
    return [
        metric
        for metric in COSTS
        if metric.source is Source.COUNTED or any(variant.cost(metric) is not None for variant in summary.variants)
    ]


def _chips(records: Sequence[Record], summary: Summary, origin: AblationOrigin) -> Iterator[str]:
    seeds = _planned_seeds(origin)
    trained = sum(record.is_complete for record in records)
    yield f"{trained} of {len(summary.variants) * seeds} runs trained"
    yield f"data: {origin.images.name}"
    yield counted(seeds, "seed")
    yield origin.hardware.name
    yield origin.created[:16].replace("T", " ")


def _planned_seeds(origin: AblationOrigin) -> int:
    """How many seeds were asked for, with those that were added for the precision's sake."""
    return len({*origin.experiment.seeds, *origin.plan.seeds})


def _headline(records: Sequence[Record], summary: Summary, origin: AblationOrigin) -> Card:
    base = summary.base
    title = f"Against {origin.plan.base} with {base.words}"
    if base.score is not None:
        title += f", {100 * base.score:.2f} % mean validation {summary.metric.noun}"
    if not records:
        return Card(title=title, subject="No run has ended yet", sentences=())
    better, worse, alike = (
        [variant for variant in summary.others if variant.verdict is which]
        for which in (Verdict.BETTER, Verdict.WORSE, Verdict.NOT_SHOWN)
    )
    unjudged = [variant for variant in summary.others if variant not in (*better, *worse, *alike)]
    found = [
        f"{_some(group, summary)} {'is' if len(group) == 1 else 'are'} {group[0].verdict_words}"
        for group in (better, worse)
        if group
    ]
    shown = [*_largest(better), *_largest(worse)]
    sentences = [_sentence(variant, base, summary.metric) for variant in shown]
    if len(shown) < len(better) + len(worse):
        sentences.insert(0, "The largest differences; the table has the others:")
    if alike:
        sentences.append(
            f"No difference is shown for {_some(alike, summary)}. That is no proof that there is none: "
            "the intervals say how large it can be."
        )
    if unjudged:
        whys = "; ".join(f"{variant.words} ({variant.verdict_words})" for variant in unjudged[:_NAMED])
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


def _sentence(variant: Variant, base: Variant, score: Metric) -> str:
    difference = variant.difference
    assert difference is not None  # a verdict of better or worse has one
    assert difference.mean is not None
    ratios = [
        (metric, value / reference)
        for metric in COSTS
        if (value := variant.cost(metric)) is not None and (reference := base.cost(metric))
    ]
    changes = [metric.change(ratio) for metric, ratio in ratios if metric.changes(ratio)]
    price = ", ".join(changes) or "the same cost"
    return (
        f"{variant.words}: {signed(difference.mean)} points of {score.noun} "
        f"(95 % interval {interval_points(difference)}){f', at {price}' if ratios else ''}."
    )


def _spent(records: Sequence[Record], origin: AblationOrigin) -> str:
    """What the runs cost, and how long that took: "44 min of training, taken from the cache in 14 s"."""
    training, elapsed = (
        format_seconds(sum(one.spent.seconds for one in records)),
        format_seconds(origin.elapsed_seconds),
    )
    cached = sum(one.spent.cached for one in records)
    if cached and cached == len(records):
        return f"{training} of training, taken from the cache in {elapsed}"
    some = f", {cached} of {len(records)} runs taken from the cache" if cached else ""
    return f"{training} of training in {elapsed}{some}"


def _detectable(summary: Summary) -> Iterator[str]:
    differences = [variant.difference for variant in summary.others if variant.difference is not None]
    known = [(one.pairs, 100 * one.detectable) for one in differences if one.detectable is not None]
    if known:
        pairs, sizes = sorted({pairs for pairs, _ in known}), sorted(size for _, size in known)
        low, high = f"{sizes[0]:.2f}", f"{sizes[-1]:.2f}"
        size = f"{high} points or more" if low == high else f"{low} to {high} points or more, depending on the variant"
        seeds = counted(pairs[-1], "seed") if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]} seeds"
        yield (f"With {seeds} this could only have shown about {size} (80 % power). Smaller differences can go unseen.")


def _deviations(records: Sequence[Record], summary: Summary, origin: AblationOrigin) -> Iterator[str]:
    plan = origin.plan
    if plan.stopped:
        yield (
            f"{plan.stopped[0].upper()}{plan.stopped[1:]}. Stopping when an interval is narrow makes it a little "
            "too sure: in simulations it covers 92 to 94 % instead of 95 %."
        )
    absent = len(summary.variants) * _planned_seeds(origin) - len(records)
    if absent > 0:
        yield f"{counted(absent, 'run')} not there yet"
    failures: dict[tuple[str, str], list[str]] = {}
    for record in records:
        if record.state is State.FAILED:
            labels = {name: str(record.candidate.labels.get(name, "")) for name in summary.factors}
            words = full_words(labels, record.candidate.matched or "")
            failures.setdefault((words, record.reason), []).append(_seed(record))
    for (words, reason), seeds in failures.items():
        yield f"Failed: {words}, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}" + (f": {reason}" if reason else "")
    for one in plan.left_out:
        yield f"Left out: {full_words(one.labels, '')}: {one.reason}"


def _variant_row(variant: Variant, summary: Summary) -> Row:
    notes = "; ".join(variant.notes)
    spread = "" if variant.spread is None else f"standard deviation {_percent(variant.spread)}"
    cells = [
        cell(variant.value, detail=notes),
        number(variant.score, _percent, spread),
        *_difference_cells(variant.difference, variant.p_holm),
        cell(variant.verdict_words),
    ]
    for metric in _costs(summary):
        details = [_change(variant, summary.base, metric), interval_words(metric, variant.costs.get(metric.name))]
        cells.append(number(variant.cost(metric), metric.cell, "\n".join(filter(None, details))))
    return Row(cells=tuple(cells), reason=notes, front=variant.is_base, measured=variant.score is not None)


def _difference_cells(difference: Difference | None, p_holm: float | None) -> Iterator[Cell]:
    """Difference with its interval, p, effect size and what could have shown: dashes where there is none."""
    if difference is None or difference.mean is None:
        yield from [Cell()] * 4
        return
    yield number(difference.mean, signed, interval_points(difference))
    yield number(p_holm, lambda p: "< 0.001" if p < 0.001 else f"{p:.3f}")
    yield number(difference.effect_size, lambda size: f"{size:+z.1f}".replace("-", "\u2212"))
    yield number(difference.detectable, _percent)


def _change(variant: Variant, base: Variant, metric: Metric) -> str:
    """A cost against the base's: "+8 %", "the same"; empty for the base and where either is unknown."""
    value, reference = variant.cost(metric), base.cost(metric)
    if variant.is_base or not value or not reference:
        return ""
    percent = 100 * (value / reference - 1)
    if abs(percent) < 0.05:
        return "the same"
    return f"{percent:+.{1 if abs(percent) < 1 else 0}f} %".replace("-", "\u2212")


def _interaction_row(interaction: Interaction) -> Row:
    cells = [cell(interaction.value), *_difference_cells(interaction.difference, interaction.p_holm)]
    return Row(cells=(*cells, cell(interaction.verdict_words)))


def _run_row(record: Record, summary: Summary, *, with_matched: bool) -> Row:
    candidate = record.candidate
    cells = (
        _text_cell(_seed(record)),
        *(_text_cell(str(candidate.labels.get(name, ""))) for name in summary.factors),
        *([_text_cell(METRICS[candidate.matched].noun if candidate.matched else "")] if with_matched else []),
        number(record.value(summary.metric), _percent),
        cell(STATE_WORDS[record.state], detail=record.reason),
        number(record.spent.seconds, "{:.1f}".format),
        cell("yes" if record.spent.cached else "no"),
        _text_cell(candidate.arch_id),
    )
    return Row(measured=record.is_complete, reason=record.reason, cells=cells)


def _seed(record: Record) -> str:
    return "" if record.seed is None else str(record.seed)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _text_cell(text: str) -> Cell:
    return cell(text or MISSING, sort=text)


def _with_plan_in_words(summary: Summary, origin: AblationOrigin) -> AblationOrigin:
    """``origin`` for the provenance, the plan's variants as words: all else about them is in the tables."""
    plan = origin.plan
    return plan_in_words(
        origin,
        variants=[variant.value for variant in summary.variants],
        left_out=[f"{value_words(one.labels, '')} ({one.reason})" for one in plan.left_out],
        precision=None if plan.precision is None else f"± {100 * plan.precision:g} points",
    )
