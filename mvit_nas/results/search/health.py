"""How far a search can be trusted, as a row of lights: a state and one sentence each, from its records alone."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.space import Parameter
from mvit_nas.errors import ArchError
from mvit_nas.maths.statistics import ALPHA
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY, LATENCY
from mvit_nas.results.page import title
from mvit_nas.results.search.confirmed import Colour, ranks_words
from mvit_nas.results.search.findings import accuracy_words
from mvit_nas.results.search.letters import names
from mvit_nas.results.view import RANDOM, SETTLED_GROWTH, SETTLED_LEAST, StudyView, front, growth
from mvit_nas.study.record import State

Answer = tuple[Colour, str]  # to one question, and the sentence that says why

# Shares of the neighbours on the front whose latencies are apart. Below a half, the order is a guess for most of them.
_APART_GOOD, _APART_BAD = 0.8, 0.5
# How likely the best is the best. Below a half, it is more likely another.
_BEST_GOOD, _BEST_BAD = 0.9, 0.5
# A failed training costs its time and leaves a hole: of 20 one may, and where more than 1 in 5 does, the front is what
# did not break rather than what is best.
_FAILED_WARNING, _FAILED_BAD = 0.05, 0.2
# What is rejected costs seconds, not a training: where most is, the sampler mostly proposes what is known or does not
# fit; where nearly all is, the space holds hardly anything else.
_REJECTED_WARNING, _REJECTED_BAD = 0.5, 0.9
# Classes are uneven where the largest has more than so many times the training images of the smallest.
_UNEVEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One question about a search: its state, and in one sentence the answer with the numbers that decided."""

    name: str
    state: Colour
    sentence: str


def lights(view: StudyView) -> list[Light]:
    """The lights of a search, in the order in which to read them."""
    answers: dict[str, Answer] = {
        "Better than guessing": _against_guessing(view),
        "Classes are even": _classes(view),
        "The best is sure": _best(view),
        "Better than random": _against_random(view),
        "Inside the space": _edges(view),
        "Ranks hold": _ranks(view),
        "Latency is stable": _latency(view),
        "Trials succeed": _outcomes(view),
        "Front is settled": _settled(view),
    }
    return [Light(name=name, state=state, sentence=sentence) for name, (state, sentence) in answers.items()]


def _against_guessing(view: StudyView) -> Answer:
    guessing, one_answer = view.origin.images.guessing, view.origin.images.one_answer
    if not view.scored or guessing is None:
        return "unknown", "No accuracy is known that could be compared with guessing."
    best = max(view.scored, key=lambda record: record.value(ACCURACY) or 0.0)
    if view.is_at_chance:
        return "bad", f"No candidate is known to be: the best has {accuracy_words(best)}, {view.guessing_words}."
    if one_answer is not None and (best.value(ACCURACY) or 0.0) <= guessing:
        best = max(view.scored, key=lambda record: record.value(BALANCED_ACCURACY) or 0.0)
        other = BALANCED_ACCURACY.format(one_answer)
        words = f"The best has {accuracy_words(best, BALANCED_ACCURACY)} balanced accuracy, any one answer {other}"
        return "good", f"{words}; by accuracy {view.guessing_words}, and none more."
    return "good", f"The best has {accuracy_words(best)}, {view.guessing_words}."


def _classes(view: StudyView) -> Answer:
    counts, names = view.class_counts("train"), view.origin.images.classes
    if not counts:
        return "unknown", "How many images each class has is not known."
    few, many = min(counts), max(counts)
    if few == many:
        return "good", f"Each has {few:,} training images."
    words = f"Of the training images {names[counts.index(many)]} has {many:,} and {names[counts.index(few)]} {few:,}"
    if many <= _UNEVEN * few:
        return "good", f"{words}; no class has more or fewer."
    return "warning", (
        f"{words}, so accuracy is mostly that of the large classes; balanced accuracy counts all alike "
        "(--objectives balanced-accuracy,...), and so does the loss with --class-weights."
    )


def _best(view: StudyView) -> Answer:
    sure, row = view.sure, view.sure.most_likely
    if row is None or len(sure.rows) < 2:
        return "unknown", "Fewer than two candidates have a score with an interval."
    chance = sure.best[row]
    by = "" if view.origin.seed_spread else " by the choice of images alone, and the spread of seeds makes it less sure"
    others = len(sure.tied(row))
    tied = f"; {others} other{'s' * (others > 1)} cannot be told apart from it" if others else ""
    colour: Colour = "good" if chance >= _BEST_GOOD else "warning" if chance >= _BEST_BAD else "bad"
    if colour == "good" and by:
        colour = "warning"
    return colour, f"{names(view)[row]} is the best with a probability of {100 * chance:.0f} %{by}{tied}."


def _against_random(view: StudyView) -> Answer:
    found = view.against_random
    if view.origin.experiment.sampler == RANDOM:
        return "unknown", "The search is random sampling itself."
    if found is None:
        return "unknown", "Nothing was drawn at random to compare with; a search with --baseline random tells."
    if found.p is None:
        few = f"{found.finished} finished trainings of the search and {found.random_finished} drawn at random"
        return "unknown", f"{few} are too few to tell."
    volumes = f"hypervolume {found.hypervolume:.3f} against {found.random_hypervolume:.3f}"
    after = f"after {found.trainings:.0f} trainings each ({volumes}, p = {found.p:.2g})"
    if found.p < ALPHA:
        return "good", f"The search found more than random sampling {after}."
    if found.hypervolume < found.random_hypervolume and found.p > 1 - ALPHA:
        return "bad", f"The search found less than random sampling {after}."
    return "warning", f"The search is not known to find more than random sampling {after}."


def _edges(view: StudyView) -> Answer:
    space = view.space
    if space is None:
        return "unknown", "Which values the search could choose from is not known."
    edges = [
        (parameter, *edge)
        for parameter in space.parameters
        if parameter.name in view.table.factors
        for edge in _open_edges(space.base, parameter)
    ]
    on_front = [view.records[index].candidate.labels for index in view.front]
    judged = {parameter.name for parameter, *_ in edges if any(parameter.name in labels for labels in on_front)}
    if not judged:
        return "unknown", "No candidate on the front has factors that could go on."
    crowded, too_few = [], set()
    for parameter, which, edge in edges:
        chosen = [labels[parameter.name] for labels in on_front if parameter.name in labels]
        # A column of numbers gives 1.0 for the label 1, one of text "1".
        there = sum(label == edge or str(label) == str(edge) for label in chosen)
        # By chance each label comes 1 in so many times; all edges are looked at, so each must be the less likely.
        share = 1 / len(parameter.choices)
        if share ** len(chosen) * len(edges) >= ALPHA:  # not even all of them at the edge would tell
            too_few.add(parameter.name)
        if there > len(chosen) / 2 and stats.binom.sf(there - 1, len(chosen), share) * len(edges) < ALPHA:
            times = f"all {there}" if there == len(chosen) else f"{there} of {len(chosen)}"
            crowded.append(f"{title(parameter.name)} is {edge}, its {which}, in {times}")
    if crowded:
        return "warning", f"On the front {'; '.join(crowded)}: better candidates may lie beyond, outside the space."
    if too_few & judged:
        of = f"{len(too_few & judged)} of the {len(judged)} factors that could go on"
        return "unknown", f"The candidates on the front, {len(view.front)} in all, are too few to tell for {of}."
    return "good", (
        f"None of the {len(judged)} factors that could go on has its smallest or largest value in most of the "
        f"{len(view.front)} candidates on the front, beyond chance."
    )


def _open_edges(base: ArchConfig, parameter: Parameter) -> Iterator[tuple[str, object]]:
    """("smallest" or "largest", label) of an ordered factor, where a network with a still smaller or larger value is.

    Ordered is a factor whose choices are numbers for the same paths; the size of a choice is their sum.
    """
    choices = parameter.choices
    numbers = [set(map(type, values.values())) <= {int, float} for values in choices.values()]
    if len(choices) < 2 or not all(numbers) or any(set(values) != parameter.paths for values in choices.values()):
        return
    sizes = {label: sum(values.values()) for label, values in choices.items()}
    for which, label, factor, step in (
        ("smallest", min(sizes, key=sizes.__getitem__), 0.5, -2),
        ("largest", max(sizes, key=sizes.__getitem__), 2, 2),
    ):
        values = choices[label]
        # Halving 1 head or doubling a stride of 2 gives no network; a kernel of 5 goes on to 7.
        beyond = [
            {path: _plain(value * factor) for path, value in values.items()},
            {path: value + step for path, value in values.items()},
        ]
        if any(_builds(base, further) for further in beyond):
            yield which, label


def _builds(base: ArchConfig, values: Mapping[str, float]) -> bool:
    try:
        with_values(base, values)
    except ArchError:
        return False
    return True


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _ranks(view: StudyView) -> Answer:
    if view.confirmation is None:
        unranked = "so whether the short schedule ranks candidates as a long one would (Kendall's tau) is not known"
        return "unknown", f"No candidate was trained again for longer, {unranked}; mvit-nas confirm tells."
    return ranks_words(view.confirmation)


def _latency(view: StudyView) -> Answer:
    """Whether latency tells neighbours apart, on the front of score and latency where both were measured."""
    if not view.is_measured(LATENCY):
        return "unknown", "Latency was not measured."
    scored = any(record.has(view.score) and record.has(LATENCY) for record in view.records)
    on_front = front(view.records, (view.score, LATENCY), first=view.score) if scored else view.front
    known = (view.records[index].measured(LATENCY) for index in on_front)
    triples = [(one.value, one.low, one.high) for one in known if one is not None]
    ends = sorted(triple for triple in triples if None not in triple)
    if len(ends) < 2:
        return "unknown", "Fewer than two latencies on the front have an interval."
    median, low, high = np.array(ends, dtype=float).T
    apart, pairs = int((high[:-1] < low[1:]).sum()), len(ends) - 1
    half_width = float(np.median((high - low) / 2 / median))
    step = float(np.median(median[1:] / median[:-1] - 1))
    share = apart / pairs
    return "good" if share >= _APART_GOOD else "warning" if share >= _APART_BAD else "bad", (
        f"Latency tells {apart} of {pairs} pairs of neighbours on the front apart: they differ by {100 * step:.2g} %, "
        f"and each is known to ±{100 * half_width:.2g} % (medians)."
    )


def _outcomes(view: StudyView) -> Answer:
    trials = len(view.records)
    if not trials:
        return "unknown", "No trial has ended yet."
    counts = Counter(record.state for record in view.records)
    failed, repeated, over = counts[State.FAILED], counts[State.DUPLICATE], counts[State.OVER_BUDGET]
    invalid, begun = counts[State.INVALID], failed + counts[State.COMPLETE] + counts[State.STOPPED]
    colours = (
        _by_share(failed, begun, _FAILED_WARNING, _FAILED_BAD),
        _by_share(repeated + over + invalid, trials, _REJECTED_WARNING, _REJECTED_BAD),
    )
    return "bad" if "bad" in colours else "warning" if "warning" in colours else "good", (
        f"{trials:,} {'trial' if trials == 1 else 'trials'}: {over:,} over budget, {repeated:,} repeated, "
        f"{invalid:,} invalid; of {begun:,} trainings {failed:,} failed."
    )


def _by_share(part: int, whole: int, warning: float, bad: float) -> Colour:
    return "bad" if part > bad * whole else "warning" if part > warning * whole else "good"


def _settled(view: StudyView) -> Answer:
    if view.box is None:
        return "unknown", "The reference spans no box in which the front's hypervolume could be measured."
    found = growth(view.ordered, view.objectives, view.box)
    if found.trainings < SETTLED_LEAST:
        return "unknown", f"{found.trainings:.3g} trainings are too few to tell; {SETTLED_LEAST} are needed."
    if not found.now:
        return "unknown", "No trained candidate lies within the box in which hypervolume is measured."
    grew = "from nothing" if math.isinf(found.share) else f"by {100 * found.share:.2g} %"
    return "good" if found.is_settled else "warning", (
        f"Over the last third of {found.trainings:.0f} trainings the hypervolume grew {grew}; below "
        f"{100 * SETTLED_GROWTH:g} % counts as settled."
    )
