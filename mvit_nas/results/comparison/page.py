"""The page of a comparison of searches, as plain data: who finds more, its plots and where the numbers come from."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mvit_nas.budget import part_words
from mvit_nas.metrics import Form, Metric
from mvit_nas.results.comparison.comparison import Comparison, Curve, Method, like_random, spent_to_reach
from mvit_nas.results.comparison.fronts_page import FrontsSection, count_words, fronts_card, fronts_section
from mvit_nas.results.comparison.gains import Gain, Verdict
from mvit_nas.results.comparison.methods import Study
from mvit_nas.results.page import (
    Card,
    Column,
    Json,
    Row,
    Section,
    axis_label,
    cell,
    columns_of,
    counted,
    finite,
    number,
    sections_of,
)
from mvit_nas.results.search.findings import said
from mvit_nas.study.origin import comparison_document, study_document
from mvit_nas.units import format_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the page of a comparison shows, as plain data; ``document`` is what its script draws."""

    study: str
    summary: tuple[str, ...]
    cards: tuple[Card, ...]
    fronts: FrontsSection | None
    notes: tuple[str, ...]
    equal: str
    schedule: str
    reference: str
    several: bool
    budget: str
    within_columns: tuple[Column, ...]
    within: tuple[Row, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    provenance: tuple[Section, ...]
    document: object


def page_data(comparison: Comparison, conditions: Mapping[str, str]) -> Page:
    """All that the page shows. ``conditions`` are of making it: command, created, versions."""
    first = comparison.studies[0].origin
    worst = zip(comparison.objectives, comparison.box.reference, strict=True)
    return Page(
        study=title(comparison),
        summary=tuple(_summary(comparison)),
        cards=tuple(cards(comparison)),
        fronts=None if comparison.fronts is None else fronts_section(comparison.fronts, first),
        notes=comparison.notes,
        equal=trainings_words(comparison.trainings),
        schedule=first.schedule,
        reference=", ".join(said(metric, value) for metric, value in worst),
        several=any(len(method.studies) > 1 for method in comparison.methods),
        budget=" and ".join(first.budget_words),
        within_columns=(
            *columns_of("Within", "Method"),
            *columns_of(comparison.score.title, "Points more than the first", "Seeds that found any", numeric=True),
        ),
        within=tuple(_within_rows(comparison)),
        columns=(
            *columns_of("Method", "Study"),
            *columns_of("Seed", "Hypervolume at equal compute (%)", "Trainings in all", "Trials", "Time", numeric=True),
        ),
        rows=tuple(_row(method, index) for method in comparison.methods for index in range(len(method.studies))),
        provenance=(
            *sections_of(comparison_document(first, conditions, comparison.reference)),
            *(_study_section(study) for study in comparison.studies),
        ),
        document=finite(
            {
                "page": "comparison",
                "equal": comparison.trainings,
                "history": _history(comparison),
                "attained": _attained(comparison),
            }
        ),
    )


def _study_section(study: Study) -> Section:
    document = study_document(study.origin, machine=study.machine, seed=study.seed)
    return Section(f"study {study.name}", sections_of(document)[0].entries)


def title(comparison: Comparison) -> str:
    """What is compared: "Which finds more: cost-aware or tpe?"."""
    labels = [method.label for method in comparison.methods]
    if comparison.before_and_after:
        return f"What changed from {labels[0]} to {labels[1]}?"
    if len(labels) == 1:
        return f"{labels[0]} over {_seeds(comparison.methods[0])}"
    return f"Which finds more: {_joined(labels, 'or')}?"


def cards(comparison: Comparison) -> Iterator[Card]:
    """The findings: the verdict, then each method against the first, in sentences, and how two fronts differ."""
    spent = trainings_words(comparison.trainings)
    first = comparison.methods[0]
    yield Card(
        title="The verdict",
        subject=headline(comparison),
        sentences=(
            *(f"{method.label}: {_volume_words(method)} of the box." for method in comparison.methods),
            *like_random_sentences(comparison),
            (
                "The box holds every trade-off between a reference and the ideal, and is the same for all; the more of "
                "it is dominated by what a search found, the better that is."
            ),
        ),
    )
    for method in comparison.methods[1:]:
        assert method.gain is not None, "only the first has none"
        yield Card(
            title=f"{method.label} against {first.label}",
            subject=verdict(method.gain),
            sentences=(_difference_sentence(method, first, spent), *_saving(method, first, comparison.trainings)),
        )
    if comparison.fronts is not None and not comparison.before_and_after:
        yield fronts_card(comparison.fronts)


def headline(comparison: Comparison) -> str:
    """What is shown, in a sentence: "No difference shown between tpe and gp after 25 trainings (3 seeds each)"."""
    if comparison.before_and_after and comparison.fronts is not None:
        return f"One search before and after, its front: {count_words(comparison.fronts)}"
    first, *others = comparison.methods
    counts = {len(method.studies) for method in comparison.methods}
    low, high = min(counts), max(counts)
    seeds = f"{counted(low, 'seed')} each" if low == high else f"{low} to {counted(high, 'seed')}"
    groups: dict[Verdict, list[str]] = {}
    for method in others:
        assert method.gain is not None, "only the first has none"
        groups.setdefault(method.gain.verdict, []).append(method.label)
    found = [_group_words(one, first.label, groups[one]) for one in Verdict if one in groups]
    if not found:
        return f"{first.label} alone: there is no other way of searching to compare it with"
    return f"{'; '.join(found)}, after {trainings_words(comparison.trainings)} ({seeds})"


def _group_words(found: Verdict, first: str, others: Sequence[str]) -> str:
    names = _joined(others, "or" if found in (Verdict.NOT_SHOWN, Verdict.UNKNOWN) else "and")
    verb = "finds" if len(others) == 1 else "find"
    match found:
        case Verdict.MORE:
            return f"{names} {verb} more than {first}"
        case Verdict.LESS:
            return f"{first} finds more than {names}"
        case Verdict.NOT_SHOWN:
            return f"No difference shown between {first} and {names}"
        case Verdict.TIE:
            return f"A tie between {first} and {names}"
        case Verdict.NOTHING:
            return f"Nothing that {_joined([first, *others], 'or')} found is inside the box"
        case Verdict.UNKNOWN:
            return f"Too little is known to tell {first} from {names}"


def _joined(names: Sequence[str], last: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def verdict(gain: Gain) -> str:
    """What a difference shows, in a few words."""
    if gain.verdict is Verdict.UNKNOWN:
        return f"{_points(gain.difference)}; {gain.note}"
    return f"{gain.verdict[0].upper()}{gain.verdict[1:]}"


def gain_words(gain: Gain) -> str:
    """The difference in points of the box with its interval, "+3.1 (+1.0 to +5.2)", or why it has none."""
    return f"{_signed(gain.difference)} ({_interval_words(gain) or gain.note})"


def percent_words(share: float) -> str:
    """A hypervolume, as on all pages: "43.2 %"."""
    return f"{100 * share:.1f} %"


def _signed(share: float) -> str:
    return f"{100 * share:+z.1f}"


def _points(share: float) -> str:
    return f"{_signed(share)} points"


def _interval_words(gain: Gain) -> str:
    return "" if gain.interval is None else "{} to {}".format(*map(_signed, gain.interval))


def trainings_words(trainings: float) -> str:
    """ "12 trainings", "12.5 trainings"."""
    return f"{trainings:.1f}".removesuffix(".0") + f" training{'s' * (trainings != 1)}"


def _seeds(method: Method) -> str:
    return counted(len(method.studies), "seed")


def _volume_words(method: Method) -> str:
    if len(method.studies) == 1:
        return percent_words(method.mean)
    low, high = 100 * min(method.hypervolumes), 100 * max(method.hypervolumes)
    return f"{percent_words(method.mean)} ({_seeds(method)} from {low:.1f} to {high:.1f} %)"


def _difference_sentence(method: Method, first: Method, spent: str) -> str:
    gain = method.gain
    assert gain is not None, "only the first has none"
    head = (
        f"After {spent} each, {method.label} dominates {percent_words(method.mean)} of the box and {first.label} "
        f"{percent_words(first.mean)}"
    )
    if gain.verdict is Verdict.TIE:
        return f"{head}: {gain.note}."
    if gain.verdict is Verdict.NOTHING:
        return (
            f"After {spent} each, no network that {first.label} or {method.label} found is better than the reference "
            "in every goal, so there is nothing to compare."
        )
    head += f": a difference of {_points(gain.difference)}"
    if gain.interval is None:
        return f"{head}; {gain.note}."
    over = f"over {gain.pairs} paired seeds" if gain.paired else "by Welch, as the seeds are not shared"
    return f"{head} (95 % interval {_interval_words(gain)}, {over})."


def _saving(method: Method, first: Method, equal: float) -> Iterator[str]:
    """How much sooner the better one was where the other ended."""
    if method.is_random or first.is_random:  # it is said in comparison with random sampling's end
        return
    ahead, behind = (method, first) if method.mean > first.mean else (first, method)
    reached = spent_to_reach(ahead.by_trainings, behind.mean) if behind.mean else None
    if reached is not None and reached < equal:
        spent = trainings_words(reached)
        mean = ", in the mean of its seeds" if len(ahead.studies) > 1 else ""
        yield f"{ahead.label} had reached {percent_words(behind.mean)} after {spent}{mean}."


def like_random_sentences(comparison: Comparison) -> Iterator[str]:
    """How many trainings each needed for what random sampling had in the end, where one of them is random sampling."""
    for method in comparison.methods:
        like = like_random(comparison, method)
        if like is None:
            continue
        random = f"what random sampling had after {trainings_words(like.random)} ({percent_words(like.volume)})"
        if like.trainings is None:
            yield f"In {trainings_words(method.by_trainings.x[-1])} {method.label} did not reach {random}."
        else:
            yield f"After {trainings_words(like.trainings)} {method.label} had {random}."


def _summary(comparison: Comparison) -> Iterator[str]:
    origin, count = comparison.studies[0].origin, len(comparison.methods)
    machines = {study.machine for study in comparison.studies}
    if comparison.before_and_after:
        yield "one search, before and after"
    else:
        yield f"{len(comparison.studies)} searches, {counted(count, 'way')} of searching"
    yield f"data: {origin.images.name}"
    yield f"{origin.schedule} schedule"
    yield comparison.studies[0].machine if len(machines) == 1 else f"{len(machines)} machines"


def _row(method: Method, index: int) -> Row:
    study, volume, spent = method.studies[index], method.hypervolumes[index], method.trainings[index]
    records = study.view.records
    trained = [record for record in records if record.spent.trainings > 0]
    cached = sum(record.spent.cached for record in trained)
    from_cache = f"{cached} of {counted(len(trained), 'training')} from the cache: no speed" if cached else ""
    cells = (
        cell(method.label),
        cell(study.name),
        number(study.seed, str),
        number(volume, lambda share: f"{100 * share:.1f}"),
        number(spent, "{:.1f}".format),
        number(len(records), str),
        number(sum(record.spent.seconds for record in records), format_seconds, from_cache),
    )
    return Row(cells=cells)


def within_lines(comparison: Comparison) -> Iterator[tuple[str, str, str, str, str]]:
    """The best within the budget and its parts: part, method, score, difference from the first method, and seeds."""
    first = comparison.methods[0]
    for place, one in enumerate(first.within):
        for method in comparison.methods:
            found = method.within[place]
            score = "nothing" if found.mean is None else comparison.score.format(found.mean)
            gain = "-" if found.gain is None else gain_words(found.gain)
            seeds = f"{len(found.by_seed)} of {len(method.studies)}"
            yield part_words(one.part), method.label, score, gain, seeds


def _within_rows(comparison: Comparison) -> Iterator[Row]:
    for part, label, score, gain, seeds in within_lines(comparison):
        yield Row(cells=(cell(part), cell(label), cell(score), cell(gain), cell(seeds)))


def _history(comparison: Comparison) -> Json:
    """The plot of hypervolume against compute: a line for each method."""
    by_seconds = all(method.by_seconds is not None for method in comparison.methods)
    lines = [
        {
            "label": html.escape(method.label),
            "seeds": len(method.studies),
            "trainings": _steps(method, method.by_trainings, trainings_words),
            "seconds": None if method.by_seconds is None else _steps(method, method.by_seconds, format_seconds),
        }
        for method in comparison.methods
    ]
    axes = {"trainings": "Whole trainings"} | ({"seconds": "Seconds of training"} if by_seconds else {})
    return {"axes": axes, "lines": lines}


def _steps(method: Method, curve: Curve, words: Callable[[float], str]) -> Json:
    """A curve with what it says under the pointer."""
    label, several = html.escape(method.label), len(method.studies) > 1
    # Before the first training has ended there is nothing to see, and it would stretch the axis down to 0.
    begin = next((index for index, high in enumerate(curve.high) if high > 0), 0)
    x_all, means, lows, highs = (values[begin:] for values in (curve.x, curve.mean, curve.low, curve.high))
    hover = [
        f"<b>{label}</b><br>after {words(x)}: {percent_words(mean)}"
        + (f"<br>  {100 * low:.1f} to {100 * high:.1f} % over {_seeds(method)}" if several else "")
        for x, mean, low, high in zip(x_all, means, lows, highs, strict=True)
    ]
    mean, low, high = ([100 * one for one in values] for values in (means, lows, highs))
    return {"x": x_all, "mean": mean, "low": low, "high": high, "hover": hover}


def _attained(comparison: Comparison) -> Json:
    """The plots of accuracy, one for each cost."""
    return [_attained_for(comparison, place, cost) for place, cost in enumerate(comparison.costs)]


def _attained_for(comparison: Comparison, place: int, cost: Metric) -> Json:
    """A line for each method, for the cost at ``place``; ``counts`` where the cost's numbers are counts."""
    origin, score = comparison.studies[0].origin, comparison.score
    end = max((x for method in comparison.methods for x, _ in method.attained_by[place]), default=0.0)
    lines: list[Json] = []
    for method in comparison.methods:
        attained = method.attained_by[place]
        # To the right of its last step a line goes on: who may spend more has no less.
        points = [*attained, (end, attained[-1][1])] if attained else []
        label = html.escape(method.label)
        hover = [f"<b>{label}</b><br>{score.format(y)} at {cost.format(x)}" for x, y in points]
        lines.append({"label": label, "x": [x for x, _ in points], "y": [100 * y for _, y in points], "hover": hover})
    return {
        "cost": cost.title,
        "x": html.escape(axis_label(cost, origin)),
        "y": html.escape(axis_label(score, origin)),
        "counts": cost.form is Form.COUNT,
        "lines": lines,
    }
