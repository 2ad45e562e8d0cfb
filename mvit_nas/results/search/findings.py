"""What a search says first, in words: which network to take, what is as good, what was not compared."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mvit_nas.maths.exchange import AgainstRandom
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY, COSTS, METRICS, SCORES, Metric
from mvit_nas.results.search.confirmed import confirmed_words
from mvit_nas.results.search.letters import names
from mvit_nas.results.search.presets import has_other_strides, why_not_compared
from mvit_nas.results.view import StudyView
from mvit_nas.study.record import Measured, Record, State

STATE_WORDS = {
    State.COMPLETE: "trained",
    State.STOPPED: "stopped early",
    State.OVER_BUDGET: "over budget",
    State.DUPLICATE: "duplicate",
    State.FAILED: "failed",
    State.INVALID: "invalid",
}


_EACH_FIRST = ((ACCURACY, BALANCED_ACCURACY), (BALANCED_ACCURACY, ACCURACY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a search says, in words: about which candidate, its facts, and how it compares.

    ``is_choice``: it is the one to take. ``detail`` is small print that names the candidate for good, ``command`` what
    would make the answer surer.
    """

    title: str
    subject: str = ""
    is_choice: bool = False
    detail: str = ""
    facts: tuple[str, ...]
    comparisons: tuple[str, ...] = ()
    command: str = ""


def findings(view: StudyView) -> list[Finding]:
    """What to know first: which network to take within the budget and the cheapest as good; never empty."""
    if not view.trained:
        return [_nothing(view)]
    unlearned = nothing_learned(view)
    return [*([unlearned] if unlearned else _best(view)), *lasting_findings(view)]


def nothing_learned(view: StudyView) -> Finding | None:
    """What to say in place of the best where no candidate is known to do better than guessing."""
    if not view.is_at_chance:
        return None
    best = view.best(view.scored)
    return Finding(
        title="Nothing was learned yet",
        facts=(
            f"{_count(len(view.scored))} trained; the best has {accuracy_words(best)}",
            view.guessing_words,
            "which of them is better is chance: train longer (--epochs), or look whether the labels are right",
        ),
    )


def accuracy_words(record: Record, metric: Metric = ACCURACY) -> str:
    """The accuracy of ``record``, or another score, with its interval: "10.2 % (9.4 to 11.1 %)"."""
    value = record.value(metric)
    interval = interval_words(metric, record.measured(metric))
    return "" if value is None else metric.format(value) + (f" ({interval})" if interval else "")


def _count(candidates: int) -> str:
    return f"{candidates} candidate{'' if candidates == 1 else 's'}"


def lasting_findings(view: StudyView) -> list[Finding]:
    """Those that hold whatever a reader limits the candidates to."""
    if not view.trained:
        return []
    found: list[Finding] = []
    tried = {record.candidate.name: STATE_WORDS[record.state] for record in view.records}  # how the last of each ended
    missing = [name for name in view.origin.presets if view.preset(name) is None]
    facts = [f"{name} ({why_not_compared(view, name, tried.get(name, 'not tried'))})" for name in missing]
    if has_other_strides(view):
        facts.append("in this space the presets have other strides than the paper's: they are not its networks")
    if facts:
        found.append(Finding(title="Presets not compared" if missing else "Presets", facts=tuple(facts)))
    if disagreement := _scores_disagree(view):
        found.append(disagreement)
    if view.against_random is not None:
        found.append(_against_random(view, view.against_random))
    return found


def _scores_disagree(view: StudyView) -> Finding | None:
    """Which network is best by accuracy and which by balanced accuracy; None where one is best by both."""
    known = [record for record in view.trained if all(record.has(score) for score in SCORES)]
    if not known or view.is_at_chance:
        return None
    # Of equal ones by the one score, the best by the other.
    ranked = [max(known, key=lambda record: (record.value(one), record.value(other))) for one, other in _EACH_FIRST]
    if len({record.candidate.arch_id for record in ranked}) == 1:
        return None
    facts = tuple(
        f"by {one.noun} {record.label} is best: {accuracy_words(record, one)}, and {accuracy_words(record, other)} "
        f"{other.noun}"
        for record, (one, other) in zip(ranked, _EACH_FIRST, strict=True)
    )
    return Finding(title=f"{ACCURACY.title} and {BALANCED_ACCURACY.noun} disagree", facts=facts)


def interval_words(metric: Metric, found: Measured | None) -> str:
    """The 95 % interval of a value of ``metric``, "68.9 to 73.6 %"; empty where there is none."""
    return "" if found is None or found.low is None or found.high is None else metric.interval(found.low, found.high)


def single_token_words(record: Record) -> str:
    """What is to be said of blocks whose attention sees a single token; empty where there is none."""
    tokens = record.candidate.tokens
    single = tokens.count(1)
    blocks = f"{single} of {len(tokens)} MobileViT blocks"
    return f"attention sees a single token in {blocks}, and does nothing there" if single else ""


def said(metric: Metric, value: float) -> str:
    """``value`` with its unit and what it is: "12 ms latency", "6M parameters"."""
    return f"{metric.format(value)} {metric.after}".rstrip()


def _best(view: StudyView) -> Iterator[Finding]:
    words = ", ".join(view.origin.budget_words)
    if not view.scored:
        for metric in view.objectives:
            measured = [record for record in view.trained if record.has(metric)]
            if measured:
                best = min(measured, key=lambda record: record.value(metric) or 0.0)
                yield _finding(view, best, title=metric.extreme, facts=[_numbers(view, best)])
        return
    # All that was trained is within the budget as the search measured it, not by another runtime's latency.
    within = [record for record in view.scored if _is_within(view, record)]
    if not within:
        none = f"none of the {len(view.scored)} trained ones does"
        yield Finding(title=f"No candidate meets the budget ({words})", facts=(none,))
        return
    title = f"Best within the budget ({words})" if words else "Best (no budget was set)"
    confirmed = view.confirmation and next((one for one in within if one.trial == view.confirmation.take), None)
    best = confirmed or view.best(within)
    if confirmed:
        facts = [_numbers(view, best), *_tied_when_confirmed(view)]
    else:
        facts = [_numbers(view, best), *_chance(view, best, within), *_tied(view, best, within)]
    facts += filter(None, [single_token_words(best)])
    command = "" if confirmed else f"mvit-nas confirm {shlex.quote(view.origin.study)}"
    yield _finding(view, best, title=title, facts=facts, is_choice=True, command=command)
    cheap = view.within_a_point(within)
    if cheap is not best:
        facts = [_numbers(view, cheap), *filter(None, [single_token_words(cheap)])]
        yield _finding(view, cheap, title=f"Within one point of the best, {view.cost.extreme.lower()}", facts=facts)


def _is_within(view: StudyView, record: Record) -> bool:
    values = [(budget, record.value(METRICS[budget.metric])) for budget in view.origin.experiment.budgets]
    return all(value is None or budget.violation(value) <= 0 for budget, value in values)


def _finding(
    view: StudyView, record: Record, *, title: str, facts: Sequence[str], is_choice: bool = False, command: str = ""
) -> Finding:
    comparisons = [
        f"Against {name}: {_difference(record, preset, view.score)}"
        for name in view.origin.presets
        if (preset := view.preset(name)) is not None and name != record.candidate.name
    ]
    trial = "" if record.trial is None else f"trial {record.trial}"
    return Finding(
        title=title,
        subject=_name(view, record),
        is_choice=is_choice,
        detail=", ".join(filter(None, [trial, record.candidate.arch_id])),
        facts=tuple(facts),
        comparisons=tuple(comparisons),
        command=command,
    )


def _name(view: StudyView, record: Record) -> str:
    return names(view)[view.row(record)]


def _numbers(view: StudyView, record: Record) -> str:
    """All that is known of ``record`` by number: "44.1 % (42 to 45 %) after the short schedule, 6M parameters"."""
    found = []
    for metric in METRICS.values():
        value = record.value(metric)
        if value is None or metric.aside or (metric in SCORES and metric is not view.score):
            continue
        if metric is view.score and (confirmed := confirmed_words(view, record)):
            found.append(confirmed)
        elif metric is view.score:
            mean = f", mean of {record.seeds} seeds" if record.by_seed else ""
            after = f" after the {view.origin.schedule} schedule{mean}"
            known = view.sure.intervals.get(view.row(record))
            interval = "" if known is None else f" ({metric.interval(*known)})"
            found.append(f"{metric.format(value)} validation {metric.noun}{interval}{after}")
        else:
            found.append(said(metric, value))
    return ", ".join(found)


def _tied_when_confirmed(view: StudyView) -> Iterator[str]:
    """Which others no difference was shown to, when they were trained for longer."""
    trials = () if view.confirmation is None else view.confirmation.tied
    called = [name for record, name in zip(view.records, names(view).values(), strict=True) if record.trial in trials]
    if called:
        yield f"tied with {', '.join(called)} (no difference shown)"


def _chance(view: StudyView, best: Record, within: Sequence[Record]) -> Iterator[str]:
    """How likely ``best`` is the best of those ``within`` the budget."""
    chances = view.sure.chances({view.row(record) for record in within})
    if len(chances) > 1 and view.row(best) in chances:
        chance = f"{100 * chances[view.row(best)]:.0f} %"
        yield f"the best of these {len(chances)} with a probability of {chance} ({view.sure.covers})"


def _tied(view: StudyView, best: Record, within: Sequence[Record]) -> Iterator[str]:
    """The cheapest of those on the front that are not shown to be worse than ``best``, where it is cheaper."""
    sure, row, price = view.sure, view.row(best), best.value(view.cost)
    if row not in sure.rows or not price:
        return
    fitting = {id(record) for record in within}
    tied = [
        (cost, record)
        for record in (view.records[index] for index in view.front if index in sure.rows and index != row)
        if id(record) in fitting and sure.is_tied(row, view.row(record))
        if (cost := record.value(view.cost)) is not None and cost < price and view.cost.changes(cost / price)
    ]
    if tied:
        cost, record = min(tied, key=lambda pair: pair[0])
        change = view.cost.change(cost / price) + _dearer(view, record, best)
        yield f"{_name(view, record)} is tied with it (no difference shown) and has {change}"


def _dearer(view: StudyView, record: Record, best: Record) -> str:
    """What ``record`` needs more of than ``best``, of the costs that are goals: ", but 20 % more MACs"."""
    pairs = [(cost, record.value(cost), best.value(cost)) for cost in view.objectives if cost.is_cost]
    more = [cost.change(one / other) for cost, one, other in pairs if one and other and _is_more(cost, one / other)]
    return f", but {' and '.join(more)}" if more else ""


def _is_more(cost: Metric, ratio: float) -> bool:
    return ratio > 1 and cost.changes(ratio)


def _difference(record: Record, preset: Record, score: Metric) -> str:
    parts = []
    one, other = record.measured(score), preset.measured(score)
    if one is not None and other is not None:
        points = 100 * (one.value - other.value)
        words = f"the same {score.noun}" if abs(points) < 0.05 else f"{points:+.1f} {score.noun} points"
        parts.append(words + (" (the intervals overlap)" if _overlap(one, other) else ""))
    for cost in COSTS:
        mine, theirs = record.value(cost), preset.value(cost)
        if mine is not None and theirs is not None:
            parts.append(cost.change(mine / theirs))
    return ", ".join(parts)


def _overlap(one: Measured, other: Measured) -> bool:
    if None in (one.low, one.high, other.low, other.high):
        return False
    return one.low <= other.high and other.low <= one.high  # type: ignore[operator]


def _against_random(view: StudyView, found: AgainstRandom) -> Finding:
    if found.p is None:
        finished = f"{found.finished} trained candidates by {view.origin.experiment.sampler}"
        fact = f"{finished} and {found.random_finished} drawn at random are too few to tell"
    else:
        volumes = f"hypervolume {found.hypervolume:.3f} against {found.random_hypervolume:.3f}"
        test = f"p = {found.p:.2g}, by exchanging who proposed what"
        fact = f"after {found.trainings:.1f} trainings each, {volumes} ({test})"
    return Finding(title="Against random sampling", facts=(fact,))


def _nothing(view: StudyView) -> Finding:
    # The most frequent first, of equal ones the one that came first.
    counts = Counter(record.state for record in view.records)
    words = [f"{count} {STATE_WORDS[state]}" for state, count in counts.most_common()]
    tried = f"{len(view.records)} tried: {', '.join(words)}" if words else "no trial has ended yet"
    return Finding(title="No candidate was trained to the end", facts=(tried,))
