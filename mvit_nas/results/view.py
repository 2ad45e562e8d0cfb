"""A search as its page looks at it: the records with what follows from all of them, each computed once.

Records are named by their position.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import stats

from mvit_nas.arch.space import SearchSpace, parse_space
from mvit_nas.errors import MvitNasError
from mvit_nas.maths import pareto
from mvit_nas.maths.exchange import AgainstRandom, against_random
from mvit_nas.maths.forecast import Forecast
from mvit_nas.maths.hypervolume import Box, hypervolume
from mvit_nas.maths.pareto import Floats
from mvit_nas.maths.statistics import ALPHA
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY, COSTS, LATENCY, PARAMS, Metric, score_of
from mvit_nas.results.sure import Sureness, sureness
from mvit_nas.results.table import Table, make_table
from mvit_nas.results.within import foreseen
from mvit_nas.study.confirmation import Confirmation
from mvit_nas.study.origin import SearchOrigin, seen_through
from mvit_nas.study.record import Record

POINT = 0.01  # of a share
# Of its reference, what a cost goes down to in hypervolume's box: six halvings.
LEAST_COST = 1 / 64
RANDOM = "random"  # the sampler that others are compared with
# A search is settled when over the last third of at least 15 trainings the hypervolume grew by less than 1 %.
SETTLED_SHARE, SETTLED_GROWTH, SETTLED_LEAST = 1 / 3, 0.01, 15


class StudyView:
    """A search: its ``records`` with their ``table``, where they come ``origin`` from, and what they say together.

    ``confirmation`` is what was confirmed of them; None where nothing was.
    """

    def __init__(self, table: Table, origin: SearchOrigin, confirmation: Confirmation | None = None) -> None:
        self.table = table
        self.confirmation = confirmation
        self.records = table.records
        self.origin = origin
        self.objectives = origin.experiment.objectives
        self.score = score_of(self.objectives)

    @cached_property
    def trained(self) -> tuple[Record, ...]:
        """Those that were trained to the end."""
        return tuple(record for record in self.records if record.is_complete)

    @cached_property
    def scored(self) -> tuple[Record, ...]:
        """Those of them that have a score."""
        return tuple(record for record in self.trained if record.has(self.score))

    @cached_property
    def front(self) -> tuple[int, ...]:
        """The front by the search's objectives."""
        return front(self.records, self.objectives, first=self.score)

    @cached_property
    def by_trial(self) -> tuple[int, ...]:
        """All, in the order of their trials; those without a number last."""
        numbers = [math.inf if record.trial is None else record.trial for record in self.records]
        return tuple(sorted(range(len(numbers)), key=numbers.__getitem__))

    @property
    def guessing_words(self) -> str:
        """What guessing has: "always saying t-shirt has 26.0 %"; empty where that is not known."""
        guessing = self.origin.images.guessing
        if guessing is None:
            return ""
        classes, counts = self.origin.images.classes, self.class_counts("validation")
        how = f"guessing among {len(classes)} classes"
        if counts:
            how = f"always saying {classes[counts.index(max(counts))]}"
        return f"{how} has {ACCURACY.format(guessing)}"

    def class_counts(self, part: str) -> tuple[int, ...]:
        """How many images of each class ``part`` has, in the order of the classes; empty where that is not known."""
        return self.origin.images.class_counts.get(part, ())

    @cached_property
    def is_at_chance(self) -> bool:
        """Whether no candidate is known to do better than guessing.

        By a binomial test of each at 5 %, divided by their number, since the best of many is looked at. Where the
        images of each class are known, a balanced accuracy above that of any one answer for all counts, too: what tells
        rare classes apart may be right less often than who always says the largest.
        """
        accuracies = [accuracy for record in self.trained if (accuracy := record.value(ACCURACY)) is not None]
        guessing, one_answer = self.origin.images.guessing, self.origin.images.one_answer
        if guessing is None or not accuracies:
            return False
        images = self.origin.images.counts["validation"]
        by_chance = stats.binom.sf(np.round(np.array(accuracies) * images) - 1, images, guessing)
        if one_answer is not None:
            by_chance = np.append(by_chance, self._balanced_by_chance(one_answer))
        return bool((by_chance > ALPHA / len(by_chance)).all())

    def _balanced_by_chance(self, guessing: float) -> Floats:
        """How likely each balanced accuracy, or a higher one, is by ``guessing``: by its interval, as normal."""
        found = [one for record in self.trained if (one := record.measured(BALANCED_ACCURACY)) is not None]
        known = [(one.value, one.low, one.high) for one in found if one.low is not None and one.high is not None]
        value, low, high = np.array(known, dtype=float).reshape(-1, 3).T
        likely: Floats = stats.norm.sf((value - guessing) / (high - low) * 2 * stats.norm.isf(ALPHA / 2))
        return likely

    def row(self, record: Record) -> int:
        """The position of one of its records."""
        return self._rows[id(record)]

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {id(record): row for row, record in enumerate(self.records)}

    @cached_property
    def sure(self) -> Sureness:
        """How sure the scores of the trained ones are, and who may be the best."""
        return sureness(self.records, self.origin, score=self.score, objectives=self.objectives)

    @cached_property
    def ordered(self) -> tuple[Record, ...]:
        """The records in the order of their trials."""
        return tuple(self.records[index] for index in self.by_trial)

    @cached_property
    def box(self) -> Box | None:
        """Where hypervolume is measured; None where the reference lacks an objective or is not worse than the ideal."""
        reference = self.origin.reference
        if not all(m.name in reference and m.is_below_ideal(reference[m.name]) for m in self.objectives):
            return None
        return box_of(self.objectives, [reference[metric.name] for metric in self.objectives])

    @cached_property
    def cost(self) -> Metric:
        """The cost that matters first: a budget's, then an objective's, of those that were measured.

        Who looks at the page through another runtime asks for its latency.
        """
        budgeted = [budget.metric for budget in self.origin.experiment.budgets]
        wanted = [*budgeted, *(metric.name for metric in self.objectives)]
        if self.origin.through is not None:
            wanted.insert(0, LATENCY.name)
        costs = {metric.name: metric for metric in COSTS if any(record.has(metric) for record in self.trained)}
        return next((costs[name] for name in wanted if name in costs), PARAMS)

    @cached_property
    def against_random(self) -> AgainstRandom | None:
        """What the search found against the random sampling beside it; None where it had none."""
        experiment, by = self.origin.experiment, [record.proposed_by for record in self.ordered]
        if not experiment.baseline or experiment.sampler in (None, RANDOM) or not any(by) or self.box is None:
            return None
        return against_random(
            values_where_complete(self.ordered, self.objectives),
            np.array([record.spent.trainings for record in self.ordered]),
            by_sampler=np.array([name == experiment.sampler for name in by]),
            by_random=np.array([name == RANDOM for name in by]),
            box=self.box,
        )

    @cached_property
    def space(self) -> SearchSpace | None:
        """The search space; None where the origin does not hold its file."""
        text = self.origin.space.text
        try:
            return None if text is None else parse_space(text, name="space", where="environment.json")
        except MvitNasError:
            return None

    @cached_property
    def forecast(self) -> Forecast | None:
        """What more trainings are expected to bring; None where the simulated searches do not tell.

        In all of them something was learned.
        """
        if self.origin.through is not None or self.is_at_chance:
            return None
        experiment = self.origin.experiment
        return foreseen(self.records, experiment.budgets, self.score, experiment.sampler)

    @cached_property
    def factors(self) -> tuple[str, ...]:
        """The factors of which any record has a value, by name."""
        known = {name for record in self.records for name in record.candidate.labels}
        return tuple(name for name in self.table.factors if name in known)

    @cached_property
    def measured_runtimes(self) -> tuple[str, ...]:
        """The further runtimes by which at least one latency is known."""
        return tuple(name for name in self.table.further_runtimes if self.is_measured(LATENCY.by(name)))

    def where(self, holds: Callable[[Record], bool]) -> tuple[int, ...]:
        """Those of which ``holds`` is true."""
        return tuple(index for index, record in enumerate(self.records) if holds(record))

    def is_measured(self, metric: Metric) -> bool:
        """Whether ``metric`` is known of any record."""
        return any(record.has(metric) for record in self.records)

    def best(self, among: Sequence[Record]) -> Record:
        """The one of the highest score, of equal ones that of least cost; what has no cost comes last."""
        return min(among, key=lambda record: (rank(record, self.score), rank(record, self.cost)))

    def within_a_point(self, among: Sequence[Record]) -> Record:
        """The cheapest whose score is at most a point below the best: it is the same whatever else was tried."""
        best = self.best(among).value(self.score) or 0.0
        # Shares of some thousand images: what is a point away but for rounding counts as within.
        near = [one for one in among if (one.value(self.score) or 0.0) >= best - POINT - 1e-9 and one.has(self.cost)]
        return min(
            near, key=lambda record: (rank(record, self.cost), rank(record, self.score)), default=self.best(among)
        )

    def preset(self, name: str) -> Record | None:
        """The first that was trained to the end of the preset ``name``."""
        return next((record for record in self.trained if record.candidate.name == name), None)


def numbers(records: Sequence[Record], metrics: Sequence[Metric]) -> Floats:
    """[records, metrics], NaN where nothing was measured."""
    rows = [[record.value(metric) for metric in metrics] for record in records]
    return np.array(rows, dtype=float).reshape(len(records), len(metrics))


def values_where_complete(records: Sequence[Record], metrics: Sequence[Metric]) -> Floats:
    """``numbers`` with NaN for what was not trained to the end."""
    values = numbers(records, metrics)
    values[[not record.is_complete for record in records]] = np.nan
    return values


def front(records: Sequence[Record], metrics: Sequence[Metric], *, first: Metric | None = None) -> tuple[int, ...]:
    """The trained of ``records`` that no other beats in every one of ``metrics``, each network once.

    The best by ``first`` come first, by the score where it is not given; where no record has that, the best by the
    first metric. What lacks a metric is not on the front.
    """
    trained = [index for index, record in enumerate(records) if record.is_complete]
    first = first or score_of(metrics)
    if not any(records[index].has(first) for index in trained):
        first = metrics[0]
    mask = pareto.front(numbers([records[index] for index in trained], metrics), [one.maximise for one in metrics])
    on_front = [index for index, on in zip(trained, mask, strict=True) if on]
    networks: dict[object, int] = {}
    for index in sorted(on_front, key=lambda index: rank(records[index], first)):
        networks.setdefault(records[index].candidate.arch_id or index, index)
    return tuple(networks.values())


def box_of(metrics: Sequence[Metric], reference: Sequence[float]) -> Box:
    """Hypervolume's box for ``metrics``, whose worst corner is ``reference``; a cost goes down to a 64th of it."""
    corners = zip(metrics, reference, strict=True)
    return Box(
        reference=tuple(reference),
        ideal=tuple(metric.ideal if metric.maximise else LEAST_COST * worst for metric, worst in corners),
        maximise=tuple(metric.maximise for metric in metrics),
    )


def volume(records: Sequence[Record], metrics: Sequence[Metric], box: Box) -> float:
    """The hypervolume of those of ``records`` that were trained to the end."""
    return hypervolume(numbers([record for record in records if record.is_complete], metrics), box)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The hypervolume ``now``, after so many ``trainings``, and ``before`` the last third of them."""

    trainings: float
    now: float
    before: float

    @property
    def share(self) -> float:
        """By how much it grew, relative; infinite where it was nothing."""
        return self.now / self.before - 1 if self.before else math.inf

    @property
    def is_settled(self) -> bool:
        """Whether that is little, after trainings enough to tell."""
        return self.trainings >= SETTLED_LEAST and self.share <= SETTLED_GROWTH


def growth(records: Sequence[Record], metrics: Sequence[Metric], box: Box) -> Growth:
    """The growth over the last third of the trainings of ``records``, which are in the order of their trials."""
    spent = np.cumsum([record.spent.trainings for record in records])
    total = float(spent[-1]) if len(spent) else 0.0
    earlier = [record for record, so_far in zip(records, spent, strict=True) if so_far <= (1 - SETTLED_SHARE) * total]
    return Growth(trainings=total, now=volume(records, metrics, box), before=volume(earlier, metrics, box))


def through(view: StudyView, runtime: str) -> StudyView:
    """The candidates that a further ``runtime`` was measured on, with its latencies as theirs.

    How often each was measured is known of the search's own runtime only.
    """
    metric, threads = LATENCY.by(runtime), view.origin.further[runtime].threads
    seen = [
        replace(one, values={**one.values, LATENCY.name: found}, further={}, latency_runs=None, latency_threads=threads)
        for one in view.records
        if (found := one.measured(metric)) is not None
    ]
    names = {record.candidate.name for record in seen}
    origin = seen_through(view.origin, runtime, measured=len(seen), trained=len(view.trained), names=names)
    return StudyView(make_table(seen), origin, view.confirmation)


def rank(record: Record, metric: Metric) -> tuple[bool, float]:
    """What sorts the best first and the unknown last."""
    value = record.value(metric)
    return value is None, 0.0 if value is None else -value if metric.maximise else value
