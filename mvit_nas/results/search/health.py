"""How far a search can be trusted, as a row of lights: a state and one sentence each, from its records alone."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.space import Parameter
from mvit_nas.errors import ArchError
from mvit_nas.maths.exchange import AgainstRandom
from mvit_nas.maths.statistics import ALPHA
from mvit_nas.metrics import LATENCY
from mvit_nas.results.page import title
from mvit_nas.results.settled import SETTLED_GROWTH, SETTLED_LEAST, growth
from mvit_nas.results.view import RANDOM, StudyView, front
from mvit_nas.study.record import State

Colour = Literal["good", "warning", "bad", "unknown"]

# Shares of the neighbours on the front whose latencies are apart. Below a half, the order is a guess for most of them.
_APART_GOOD, _APART_BAD = 0.8, 0.5
# A failed training costs its time and leaves a hole: of 20 one may, and where more than 1 in 5 does, the front is what
# did not break rather than what is best.
_FAILED_WARNING, _FAILED_BAD = 0.05, 0.2
# What is rejected costs seconds, not a training: where most is, the sampler mostly proposes what is known or does not
# fit; where nearly all is, the space holds hardly anything else.
_REJECTED_WARNING, _REJECTED_BAD = 0.5, 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One question about a search: its state, and in one sentence the answer with the numbers that decided."""

    name: str
    state: Colour
    sentence: str


def lights(view: StudyView) -> list[Light]:
    """The lights of a search, in the order in which to read them."""
    return [
        _against_random(view, view.against_random),
        _edges(view),
        _ranks(),
        _latency(view),
        _outcomes(view),
        _settled(view),
    ]


def _against_random(view: StudyView, found: AgainstRandom | None) -> Light:
    name = "Better than random"
    if view.origin.experiment.sampler == RANDOM:
        return Light(name=name, state="unknown", sentence="The search is random sampling itself.")
    if found is None:
        sentence = "Nothing was drawn at random to compare with; a search with --baseline random tells."
        return Light(name=name, state="unknown", sentence=sentence)
    if found.p is None:
        sentence = (
            f"{found.finished} finished trainings of the search and {found.random_finished} drawn at random are too "
            "few to tell."
        )
        return Light(name=name, state="unknown", sentence=sentence)
    volumes = f"hypervolume {found.hypervolume:.3f} against {found.random_hypervolume:.3f}"
    after = f"after {found.trainings:.0f} trainings each ({volumes}, p = {found.p:.2g})"
    if found.p < ALPHA:
        return Light(name=name, state="good", sentence=f"The search found more than random sampling {after}.")
    if found.hypervolume < found.random_hypervolume and found.p > 1 - ALPHA:
        return Light(name=name, state="bad", sentence=f"The search found less than random sampling {after}.")
    return Light(
        name=name, state="warning", sentence=f"The search is not known to find more than random sampling {after}."
    )


def _edges(view: StudyView) -> Light:
    name, space = "Inside the space", view.space
    if space is None:
        sentence = "Which values the search could choose from is not known."
        return Light(name=name, state="unknown", sentence=sentence)
    edges = [
        (parameter, *edge)
        for parameter in space.parameters
        if parameter.name in view.table.factors
        for edge in _open_edges(space.base, parameter)
    ]
    chosen = {
        parameter.name: [
            record.candidate.labels[parameter.name]
            for record in (view.records[index] for index in view.front)
            if parameter.name in record.candidate.labels
        ]
        for parameter, *_ in edges
    }
    judged = {name for name, labels in chosen.items() if labels}
    if not judged:
        return Light(name=name, state="unknown", sentence="No candidate on the front has factors that could go on.")
    crowded = []
    for parameter, which, label in edges:
        labels = chosen[parameter.name]
        # A column of numbers gives 1.0 for the label 1, one of text "1".
        there = sum(value == label or str(value) == str(label) for value in labels)
        # By chance each label comes 1 in so many times; all edges are looked at, so each must be the less likely.
        chance = stats.binom.sf(there - 1, len(labels), 1 / len(parameter.choices))
        if there > len(labels) / 2 and chance * len(edges) < ALPHA:
            share = f"all {there}" if there == len(labels) else f"{there} of {len(labels)}"
            crowded.append(f"{title(parameter.name)} is {label}, its {which}, in {share}")
    if not crowded:
        sentence = (
            f"None of the {len(judged)} factors that could go on has its smallest or largest value in most of the "
            f"{len(view.front)} candidates on the front, beyond chance."
        )
        return Light(name=name, state="good", sentence=sentence)
    sentence = f"On the front {'; '.join(crowded)}: better candidates may lie beyond, outside the space."
    return Light(name=name, state="warning", sentence=sentence)


def _open_edges(base: ArchConfig, parameter: Parameter) -> Iterator[tuple[str, object]]:
    """("smallest" or "largest", label) of an ordered factor, where a network with a still smaller or larger value is.

    Ordered is a factor whose choices are numbers for the same paths; the size of a choice is their sum.
    """
    choices = parameter.choices
    ordered = all(set(values) == parameter.paths and _are_numbers(values) for values in choices.values())
    if not ordered or len(choices) < 2:
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


def _are_numbers(values: Mapping[str, object]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values.values())


def _builds(base: ArchConfig, values: Mapping[str, object]) -> bool:
    try:
        with_values(base, values)
    except ArchError:
        return False
    return True


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _ranks() -> Light:
    sentence = (
        "No candidate was trained again for longer, so whether the short schedule ranks candidates as a long one would "
        "(Kendall's tau) is not known."
    )
    return Light(name="Ranks hold", state="unknown", sentence=sentence)


def _latency(view: StudyView) -> Light:
    """Whether latency tells neighbours apart, on the front of score and latency where both were measured."""
    name = "Latency is stable"
    if not view.is_measured(LATENCY):
        return Light(name=name, state="unknown", sentence="Latency was not measured.")
    scored = any(record.has(view.score) and record.has(LATENCY) for record in view.records)
    on_front = front(view.records, (view.score, LATENCY), first=view.score) if scored else view.front
    known = (view.records[index].measured(LATENCY) for index in on_front)
    triples = [(one.value, one.low, one.high) for one in known if one is not None]
    ends = sorted(triple for triple in triples if None not in triple)
    if len(ends) < 2:
        return Light(name=name, state="unknown", sentence="Fewer than two latencies on the front have an interval.")
    median, low, high = np.array(ends, dtype=float).T
    apart = int((high[:-1] < low[1:]).sum())
    pairs = len(ends) - 1
    half_width = float(np.median((high - low) / 2 / median))
    step = float(np.median(median[1:] / median[:-1] - 1))
    sentence = (
        f"Latency tells {apart} of {pairs} pairs of neighbours on the front apart: they differ by {100 * step:.2g} %, "
        f"and each is known to ±{100 * half_width:.2g} % (medians)."
    )
    share = apart / pairs
    state: Colour = "good" if share >= _APART_GOOD else "warning" if share >= _APART_BAD else "bad"
    return Light(name=name, state=state, sentence=sentence)


def _outcomes(view: StudyView) -> Light:
    name, trials = "Trials succeed", len(view.records)
    if not trials:
        return Light(name=name, state="unknown", sentence="No trial has ended yet.")
    counts = Counter(record.state for record in view.records)
    states = (State.FAILED, State.DUPLICATE, State.OVER_BUDGET, State.INVALID, State.COMPLETE, State.STOPPED)
    failed, repeated, over, invalid, trained, stopped = (counts[state] for state in states)
    begun = failed + trained + stopped
    sentence = (
        f"Of {trials} trials {over} {'was' if over == 1 else 'were'} over budget, {repeated} repeated an earlier "
        f"one and {invalid} {'was' if invalid == 1 else 'were'} no network; of the {begun} left {failed} failed."
    )
    colours = (
        _by_share(failed, begun, _FAILED_WARNING, _FAILED_BAD),
        _by_share(repeated + over + invalid, trials, _REJECTED_WARNING, _REJECTED_BAD),
    )
    state: Colour = "bad" if "bad" in colours else "warning" if "warning" in colours else "good"
    return Light(name=name, state=state, sentence=sentence)


def _by_share(part: int, whole: int, warning: float, bad: float) -> Colour:
    if part > bad * whole:
        return "bad"
    return "warning" if part > warning * whole else "good"


def _settled(view: StudyView) -> Light:
    name = "Front is settled"
    if view.box is None:
        sentence = "The reference spans no box in which the front's hypervolume could be measured."
        return Light(name=name, state="unknown", sentence=sentence)
    found = growth([view.records[index] for index in view.by_trial], view.objectives, view.box)
    if found.trainings < SETTLED_LEAST:
        sentence = f"{found.trainings:.3g} trainings are too few to tell; {SETTLED_LEAST} are needed."
        return Light(name=name, state="unknown", sentence=sentence)
    if not found.now:
        sentence = "No trained candidate lies within the box in which hypervolume is measured."
        return Light(name=name, state="unknown", sentence=sentence)
    grew = "from nothing" if math.isinf(found.share) else f"by {100 * found.share:.2g} %"
    sentence = (
        f"Over the last third of {found.trainings:.0f} trainings the hypervolume grew {grew}; below "
        f"{100 * SETTLED_GROWTH:g} % counts as settled."
    )
    return Light(name=name, state="good" if found.is_settled else "warning", sentence=sentence)
