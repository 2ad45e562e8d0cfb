"""The page of an ablation as plain data: the answer in words, the verdicts with their price, the plots and the runs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from mvit_nas.maths.statistics import Difference
from mvit_nas.metrics import ACCURACY, COSTS, Metric, Source
from mvit_nas.results.ablation.plots import accuracy_plot, forest_plot, interval_points, signed
from mvit_nas.results.ablation.summary import Interaction, Summary, Variant, Verdict, summarise, value_words
from mvit_nas.results.page import MISSING, Card, Cell, Column, Section, axis_label, cell, finite, number, provenance
from mvit_nas.results.search.findings import STATE_WORDS
from mvit_nas.study.origin import AblationOrigin, plan_in_words
from mvit_nas.study.record import Record, State
from mvit_nas.units import format_seconds

# More variants than this are counted in the headline, not named: the table below names them.
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of one of the tables; ``reason`` is small print that stands apart, ``front`` tints it."""

    cells: tuple[Cell, ...]
    reason: str = ""
    front: bool = False
    measured: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the page of an ablation shows, as plain data; ``document`` is what its script draws."""

    study: str
    question: str
    summary: tuple[str, ...]
    cards: tuple[Card, ...]
    comparisons: int
    columns: tuple[Column, ...]
    variants: tuple[Row, ...]
    interaction_columns: tuple[Column, ...]
    interactions: tuple[Row, ...]
    run_columns: tuple[Column, ...]
    runs: tuple[Row, ...]
    total: str
    elapsed: str
    provenance: tuple[Section, ...]
    document: object


def page_data(records: Sequence[Record], origin: AblationOrigin) -> Page:
    """All that the page shows."""
    summary = summarise(records, origin.plan)
    heads = columns(summary, origin)
    forest, accuracy = forest_plot(summary, origin), accuracy_plot(summary, origin)
    return Page(
        study=origin.study,
        question=_question(summary, origin),
        summary=tuple(_chips(records, summary, origin)),
        cards=tuple(cards(records, summary, origin)),
        comparisons=len(summary.others),
        columns=tuple(heads),
        variants=tuple(_variant_row(variant, summary) for variant in (summary.base, *summary.others)),
        interaction_columns=(Column(label="Pair", numeric=False), *heads[2:7]),
        interactions=tuple(_interaction_row(interaction) for interaction in summary.interactions),
        run_columns=tuple(_run_columns(records, summary)),
        runs=tuple(_run_row(record, records, summary) for record in records),
        total=format_seconds(sum(record.spent.seconds for record in records)),
        elapsed=format_seconds(origin.elapsed_seconds),
        provenance=tuple(provenance(_with_plan_in_words(summary, origin))),
        document=finite(
            {
                "page": "ablation",
                "forest": None if forest is None else asdict(forest),
                "accuracy": None if accuracy is None else asdict(accuracy),
            }
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
    deviations = tuple(_deviations(records, summary, origin))
    if not deviations:
        return [_headline(records, summary, origin), reach]
    odd = Card(title="Before you rely on it", subject="Not all went as planned", sentences=(), points=deviations)
    return [_headline(records, summary, origin), reach, odd]


def columns(summary: Summary, origin: AblationOrigin) -> list[Column]:
    """The columns of the verdicts' table."""
    numbers = ["Accuracy (%)", "Difference (points)", "p (Holm)", "Effect size (g)", "Detectable (points)"]
    return [
        Column(label=", ".join(summary.factors), numeric=False),
        *(Column(label=name, numeric=True) for name in numbers),
        Column(label="Verdict", numeric=False),
        *(Column(label=axis_label(metric, origin), numeric=True) for metric in _costs(summary)),
    ]


def _costs(summary: Summary) -> list[Metric]:
    """The costs that have columns: what is counted always, what is timed where it was."""
    return [
        metric
        for metric in COSTS
        if metric.source is Source.COUNTED or any(variant.cost(metric) is not None for variant in summary.variants)
    ]


def _question(summary: Summary, origin: AblationOrigin) -> str:
    do = "does" if len(summary.factors) == 1 else "do"
    return f"What {do} {' and '.join(summary.factors)} do to {origin.plan.base}?"


def _chips(records: Sequence[Record], summary: Summary, origin: AblationOrigin) -> Iterator[str]:
    seeds = _planned_seeds(origin)
    trained = sum(record.is_complete for record in records)
    yield f"{trained} of {len(summary.variants) * seeds} runs trained"
    yield f"data: {origin.images.name}"
    yield _count(seeds, "seed")
    yield origin.hardware.name
    yield origin.created[:16].replace("T", " ")


def _planned_seeds(origin: AblationOrigin) -> int:
    """How many seeds were asked for, with those that were added for the precision's sake."""
    return len({*origin.experiment.seeds, *origin.plan.seeds})


def _headline(records: Sequence[Record], summary: Summary, origin: AblationOrigin) -> Card:
    base = summary.base
    title = f"Against {origin.plan.base} with {base.words}"
    if base.accuracy is not None:
        title += f", {100 * base.accuracy:.2f} % accurate"
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
    sentences = [_sentence(variant, base) for variant in shown]
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


def _sentence(variant: Variant, base: Variant) -> str:
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
        f"{variant.words}: {signed(difference.mean)} points (95 % interval {interval_points(difference)})"
        f"{f', at {price}' if ratios else ''}."
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


def _deviations(records: Sequence[Record], summary: Summary, origin: AblationOrigin) -> Iterator[str]:
    plan = origin.plan
    if plan.stopped:
        yield (
            f"{plan.stopped[0].upper()}{plan.stopped[1:]}. Stopping when an interval is narrow makes it a little "
            "too sure: in simulations it covers 92 to 94 % instead of 95 %."
        )
    absent = len(summary.variants) * _planned_seeds(origin) - len(records)
    if absent > 0:
        yield f"{_count(absent, 'run')} not there yet"
    failures: dict[tuple[str, str], list[str]] = {}
    for record in records:
        if record.state is State.FAILED:
            failures.setdefault((_words(record, summary), record.reason), []).append(_seed(record))
    for (words, reason), seeds in failures.items():
        yield f"Failed: {words}, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}" + (f": {reason}" if reason else "")
    for one in plan.left_out:
        labels = ", ".join(f"{name} {label}" for name, label in one.labels.items())
        yield f"Left out: {labels}: {one.reason}"


def _variant_row(variant: Variant, summary: Summary) -> Row:
    notes = "; ".join(variant.notes)
    return Row(
        front=variant.is_base,
        measured=variant.accuracy is not None,
        reason=notes,
        cells=tuple(_variant_cells(variant, summary, notes)),
    )


def _variant_cells(variant: Variant, summary: Summary, notes: str) -> Iterator[Cell]:
    yield cell(variant.value, detail=notes)
    spread = "" if variant.spread is None else f" ± {100 * variant.spread:.2f}"
    yield number(variant.accuracy, f"{_percent(variant.accuracy)}{spread}")
    yield from _difference_cells(variant.difference, variant.p_holm)
    yield cell(variant.verdict_words)
    for metric in _costs(summary):
        found = variant.costs.get(metric.name)
        interval = ""
        if found is not None and found.low is not None and found.high is not None:
            interval = metric.interval(found.low, found.high)
        details = [_change(variant, summary.base, metric), interval]
        text = "" if found is None else metric.cell(found.value)
        yield number(None if found is None else found.value, text, "\n".join(filter(None, details)))


def _difference_cells(difference: Difference | None, p_holm: float | None) -> Iterator[Cell]:
    """Difference with its interval, p, effect size and what could have shown: dashes where there is none."""
    if difference is None or difference.mean is None:
        yield from [number(None, "")] * 4
        return
    yield number(difference.mean, signed(difference.mean), interval_points(difference))
    yield number(p_holm, "" if p_holm is None else "< 0.001" if p_holm < 0.001 else f"{p_holm:.3f}")
    size = difference.effect_size
    yield number(size, "" if size is None else f"{size:+z.1f}".replace("-", "\u2212"))
    yield number(difference.detectable, _percent(difference.detectable))


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


def _run_columns(records: Sequence[Record], summary: Summary) -> list[Column]:
    matched = ["Matched"] if _any_matched(records) else []
    return [
        Column(label="Seed", numeric=False),
        *(Column(label=name, numeric=False) for name in (*summary.factors, *matched)),
        Column(label="Accuracy (%)", numeric=True),
        Column(label="State", numeric=False),
        Column(label="Cost (s)", numeric=True),
        Column(label="Cached", numeric=False),
        Column(label="Candidate", numeric=False),
    ]


def _run_row(record: Record, records: Sequence[Record], summary: Summary) -> Row:
    candidate, accuracy = record.candidate, record.value(ACCURACY)
    cells = (
        _text_cell(_seed(record)),
        *(_text_cell(str(candidate.labels.get(name, ""))) for name in summary.factors),
        *([_text_cell(candidate.matched or "")] if _any_matched(records) else []),
        number(accuracy, _percent(accuracy)),
        cell(STATE_WORDS[record.state], detail=record.reason),
        number(record.spent.seconds, f"{record.spent.seconds:.1f}"),
        cell("yes" if record.spent.cached else "no"),
        _text_cell(candidate.arch_id),
    )
    return Row(measured=record.is_complete, reason=record.reason, cells=cells)


def _any_matched(records: Sequence[Record]) -> bool:
    return any(record.candidate.matched for record in records)


def _words(record: Record, summary: Summary) -> str:
    """The variant of a run in words that stand alone."""
    labels = {name: str(record.candidate.labels.get(name, "")) for name in summary.factors}
    words = value_words(labels, record.candidate.matched or "")
    return words if len(labels) > 1 else f"{summary.factors[0]} {words}"


def _seed(record: Record) -> str:
    return "" if record.seed is None else str(record.seed)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"


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


def _count(number_of: int, noun: str) -> str:
    return f"{number_of} {noun}{'s' * (number_of != 1)}"
