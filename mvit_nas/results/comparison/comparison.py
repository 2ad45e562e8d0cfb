"""Which way of searching finds more for its compute: studies grouped by all that they share but the seed, as data."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from mvit_nas.errors import InputError
from mvit_nas.maths.hypervolume import Box, hypervolume_history
from mvit_nas.maths.pareto import Floats
from mvit_nas.metrics import COSTS, METRICS, Metric, Source
from mvit_nas.results.comparison.fronts import Fronts, compare_fronts, fronts_document
from mvit_nas.results.comparison.gains import Gain, gain_of, gain_values
from mvit_nas.results.comparison.methods import Study, check_comparable, labels_of, latency_apart, method_key
from mvit_nas.results.page import Json
from mvit_nas.results.view import RANDOM, StudyView, box_of, numbers, values_where_complete
from mvit_nas.results.within import best_within
from mvit_nas.study.record import Record, State

# Epochs as shares of trainings add up to whole ones but for rounding.
_DIGITS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Hypervolume after ``x`` of compute: mean, lowest and highest over the seeds; each holds up to the next x."""

    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinPart:
    """The best score within a ``part`` of the budget at equal compute, by seed; no seed that found nothing within it.

    ``gain`` is the difference from the first method, None for that one and where one of the two found nothing.
    """

    part: float
    by_seed: Mapping[int, float]
    gain: Gain | None = None

    @property
    def mean(self) -> float | None:
        """Over the seeds that found something."""
        return float(np.mean(list(self.by_seed.values()))) if self.by_seed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """Studies that differ in their seed alone.

    ``within`` has the best within each part of the budget, where all studies share one. ``hypervolumes`` are those at
    equal compute, ``trainings`` what each study had in all. ``attained_by`` has, for each cost of the comparison, costs
    and the accuracies that at least half of the seeds reached with them at equal compute. ``gain`` is None for the
    first.
    """

    label: str
    studies: tuple[Study, ...]
    hypervolumes: tuple[float, ...]
    trainings: tuple[float, ...]
    by_trainings: Curve
    by_seconds: Curve | None
    attained_by: tuple[tuple[tuple[float, float], ...], ...]
    within: tuple[WithinPart, ...]
    gain: Gain | None = None

    @property
    def attained(self) -> tuple[tuple[float, float], ...]:
        """What was attained for the main cost."""
        return self.attained_by[0]

    @property
    def is_random(self) -> bool:
        """Whether it is random sampling."""
        return self.studies[0].origin.experiment.sampler == RANDOM

    @property
    def by_seed(self) -> dict[int, float]:
        """Hypervolume at equal compute by seed."""
        return {study.seed: volume for study, volume in zip(self.studies, self.hypervolumes, strict=True)}

    @property
    def mean(self) -> float:
        """Mean hypervolume at equal compute."""
        return float(np.mean(self.hypervolumes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Methods after ``trainings`` each, the most that all studies had; ``notes`` say what was left out and why.

    Hypervolume is in the ``box`` of the ``objectives``; what was attained is the best ``score`` for each of the
    ``costs`` that all studies can be compared by, the main one first. ``fronts`` says how the fronts of two studies
    differ; None for more. Two that are the same search with the same seed are that search ``before_and_after``: each
    is then a method of its own, named as the study is.
    """

    objectives: tuple[Metric, ...]
    box: Box
    trainings: float
    score: Metric
    costs: tuple[Metric, ...]
    methods: tuple[Method, ...]
    fronts: Fronts | None
    before_and_after: bool
    notes: tuple[str, ...]

    @property
    def cost(self) -> Metric:
        """The main cost."""
        return self.costs[0]

    @property
    def studies(self) -> list[Study]:
        """All studies, method by method."""
        return [study for method in self.methods for study in method.studies]

    @property
    def reference(self) -> dict[str, float]:
        """The worst corner of the box, by objective."""
        return {metric.name: worst for metric, worst in zip(self.objectives, self.box.reference, strict=True)}


def compare_studies(studies: Sequence[Study]) -> Comparison:
    """The comparison of ``studies``, which share data, schedule and objectives; InputError in one line otherwise.

    The first study's method is what the others are compared with. Hypervolume is measured in one box for all, whose
    worst corner is the worst of all studies' references.
    """
    check_comparable(studies)
    notes = []
    shared = objectives = studies[0].view.objectives
    timed = [metric for metric in objectives if metric.source is Source.TIMED]
    apart = latency_apart(studies)
    if timed and apart:
        objectives = tuple(metric for metric in objectives if metric not in timed)
        if len(objectives) < 2:
            measured = " and ".join(metric.noun for metric in shared)
            raise InputError(f"{apart}, and {measured} are all that they measured: measure both under one")
        notes.append(f"{timed[0].title} is left out of the hypervolume: {apart}.")
    box = _box(studies, objectives)
    runs = [_run(study, objectives, box) for study in studies]
    equal = min(float(run.trainings[-1]) for run in runs)
    no_seconds = _no_seconds(runs)
    if no_seconds:
        notes.append(f"There is no plot over seconds: {no_seconds}.")
    notes.extend(_cached(runs))
    costs = _costs(studies, objectives, with_timed=not apart)
    again = _is_before_and_after(studies)
    groups: dict[object, list[_Run]] = {}
    for run in runs:
        groups.setdefault(run.study.name if again else method_key(run.study), []).append(run)
    labels = [study.name for study in studies] if again else labels_of([own[0].study for own in groups.values()])
    methods: list[Method] = []
    for label, own in zip(labels, groups.values(), strict=True):
        method = _method(
            label, own, costs=costs, equal=equal, by_seconds=not no_seconds, with_parts=_share_a_budget(studies, apart)
        )
        methods.append(_against(method, methods[0]) if methods else method)
    return Comparison(
        objectives=objectives,
        box=box,
        trainings=equal,
        score=studies[0].view.score,
        costs=costs,
        methods=tuple(methods),
        fronts=compare_fronts(studies[0], studies[1], objectives=objectives) if len(studies) == 2 else None,
        before_and_after=again,
        notes=tuple(notes),
    )


def document(comparison: Comparison) -> dict[str, Json]:
    """The comparison as plain values: what ``compare --json`` prints, documented in docs/json.md."""
    return {
        "objectives": [metric.name for metric in comparison.objectives],
        "reference": comparison.reference,
        "trainings": comparison.trainings,
        "methods": [
            {
                "method": method.label,
                "studies": [
                    {"study": study.name, "seed": study.seed, "trainings": spent, "hypervolume": volume}
                    for study, spent, volume in zip(method.studies, method.trainings, method.hypervolumes, strict=True)
                ],
                "best_within": [
                    {"part": one.part, comparison.score.name: one.mean, **gain_values(one.gain)}
                    for one in method.within
                ],
                "hypervolume": method.mean,
                **gain_values(method.gain),
                "like_random": None if (like := like_random(comparison, method)) is None else asdict(like),
                "by_trainings": asdict(method.by_trainings),
                "by_seconds": None if method.by_seconds is None else asdict(method.by_seconds),
                "attained": [
                    {comparison.cost.name: cost, comparison.score.name: score} for cost, score in method.attained
                ],
                "attained_by": {
                    metric.name: points for metric, points in zip(comparison.costs, method.attained_by, strict=True)
                },
            }
            for method in comparison.methods
        ],
        "fronts": None if comparison.fronts is None else fronts_document(comparison.fronts),
        "notes": comparison.notes,
    }


def spent_to_reach(curve: Curve, volume: float) -> float | None:
    """The compute after which the mean of ``curve`` is at least ``volume``; None where it never is."""
    return next((x for x, mean in zip(curve.x, curve.mean, strict=True) if mean >= volume), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LikeRandom:
    """After how many ``trainings`` a method had the ``volume`` that random sampling had after ``random`` ones, its end.

    None where it never had.
    """

    trainings: float | None
    random: float
    volume: float


def like_random(comparison: Comparison, method: Method) -> LikeRandom | None:
    """Of ``method``, by means over the seeds; None for random sampling itself, and where none of the methods is."""
    other = next((one.by_trainings for one in comparison.methods if one.is_random), None)
    if method.is_random or other is None or not other.mean[-1]:
        return None
    volume = other.mean[-1]
    return LikeRandom(trainings=spent_to_reach(method.by_trainings, volume), random=other.x[-1], volume=volume)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A study's compute so far and hypervolume then, after each row that cost a training; seconds NaN where unknown."""

    study: Study
    trainings: Floats
    seconds: Floats
    volumes: Floats


def _run(study: Study, objectives: Sequence[Metric], box: Box) -> _Run:
    records = [record for record in study.view.ordered if record.spent.trainings > 0]
    # A training that failed did not tell how long it took; its trial did.
    seconds = [one.spent.seconds if one.state is State.FAILED else one.spent.training_seconds for one in records]
    return _Run(
        study=study,
        trainings=_spent(records),
        seconds=np.cumsum(np.array(seconds, dtype=float)),  # NaN for None
        volumes=hypervolume_history(values_where_complete(records, objectives), box),
    )


def _method(
    label: str,
    runs: Sequence[_Run],
    *,
    costs: Sequence[Metric],
    equal: float,
    by_seconds: bool,
    with_parts: bool,
) -> Method:
    studies = tuple(run.study for run in runs)
    _check_seeds(studies)
    return Method(
        label=label,
        studies=studies,
        hypervolumes=tuple(float(_at(run.trainings, run.volumes, [equal])[0]) for run in runs),
        trainings=tuple(float(run.trainings[-1]) for run in runs),
        by_trainings=_curve([(run.trainings, run.volumes) for run in runs]),
        by_seconds=_curve([(run.seconds, run.volumes) for run in runs]) if by_seconds else None,
        attained_by=tuple(_attained(studies, cost, equal) for cost in costs),
        within=tuple(_within(studies, equal)) if with_parts else (),
    )


def _within(studies: Sequence[Study], equal: float) -> Iterator[WithinPart]:
    """The best within each part of the budget, which all of them share."""
    score, budgets = studies[0].view.score, studies[0].origin.experiment.budgets
    found = [best_within(_at_equal(study, equal), budgets, score) for study in studies]
    for same in zip(*found, strict=True):
        scores = zip(studies, (one.score(score) for one in same), strict=True)
        yield WithinPart(part=same[0].part, by_seed={study.seed: best for study, best in scores if best is not None})


def _against(method: Method, first: Method) -> Method:
    """The method with its differences from the first one."""
    within = tuple(
        replace(own, gain=gain_of(own.by_seed, other.by_seed) if own.by_seed and other.by_seed else None)
        for own, other in zip(method.within, first.within, strict=True)
    )
    return replace(method, gain=gain_of(method.by_seed, first.by_seed), within=within)


def _at_equal(study: Study, equal: float) -> list[Record]:
    """The study's records up to ``equal`` trainings."""
    records = study.view.ordered
    return [record for record, spent in zip(records, _spent(records), strict=True) if spent <= equal]


def _share_a_budget(studies: Sequence[Study], apart: str) -> bool:
    """Whether all have one budget, which means the same in all: ``apart`` says why latencies do not."""
    first, *others = (study.origin.experiment.budgets for study in studies)
    is_apart = apart and any(METRICS[budget.metric].source is Source.TIMED for budget in first)
    return bool(first) and not is_apart and all(budgets == first for budgets in others)


def _is_before_and_after(studies: Sequence[Study]) -> bool:
    """Whether these are two stages of one search: more of the same seed would be counted twice."""
    return len(studies) == 2 and len({(method_key(study), study.seed) for study in studies}) == 1


def _check_seeds(studies: Sequence[Study]) -> None:
    by_seed: dict[int, Study] = {}
    for study in studies:
        other = by_seed.setdefault(study.seed, study)
        if other is not study:
            same = f"{other.name} and {study.name} are the same search with the same seed, {study.seed}"
            raise InputError(f"{same}: leave one out")


def _box(studies: Sequence[Study], objectives: Sequence[Metric]) -> Box:
    corner = []
    for metric in objectives:
        for study in studies:
            if metric.name not in study.origin.reference:
                raise InputError(f"{study.name}: environment.json lacks 'hypervolume_reference.{metric.name}'")
        corners = [float(study.origin.reference[metric.name]) for study in studies]
        worst = min(corners) if metric.maximise else max(corners)
        if not metric.is_below_ideal(worst):
            raise InputError(f"the hypervolume's reference for {metric.name}, {worst:g}, leaves no box")
        corner.append(worst)
    return box_of(objectives, corner)


def _spent(records: Sequence[Record]) -> Floats:
    """Whole trainings up to each record."""
    spent: Floats = np.cumsum([record.spent.trainings for record in records]).round(_DIGITS)
    return spent


def _no_seconds(runs: Sequence[_Run]) -> str:
    """Why seconds of training cannot be compared; empty where they can."""
    for run in runs:
        if np.isnan(run.seconds).any():
            return f"the table of {run.study.name} does not say how long each training took"
    first = runs[0].study
    for run in runs:
        if run.study.machine != first.machine:
            machines = f"{first.machine}; {run.study.machine}"
            return f"{first.name} and {run.study.name} were trained on different machines ({machines})"
    return ""


def _cached(runs: Sequence[_Run]) -> Iterator[str]:
    """How many trainings came from the cache, where any did: their seconds are those of another time."""
    trained = [record for run in runs for record in run.study.view.records if record.spent.trainings > 0]
    count = sum(record.spent.cached for record in trained)
    if count:
        came = f"{count} of {len(trained)} trainings came from the cache"
        yield f"{came}: their time is what they took when they first ran, and says nothing of a search's speed."


def _costs(studies: Sequence[Study], objectives: tuple[Metric, ...], *, with_timed: bool) -> tuple[Metric, ...]:
    """The costs that every study has and that can be compared, the main one first."""
    main = _cost(studies[0].view, objectives)
    shared = [
        metric
        for metric in COSTS
        if all(any(record.has(metric) for record in study.view.scored) for study in studies)
        and (with_timed or metric.source is not Source.TIMED)
    ]
    return (main, *(metric for metric in shared if metric != main))


def _cost(view: StudyView, objectives: tuple[Metric, ...]) -> Metric:
    """The first study's main cost, but for a latency that cannot be compared."""
    experiment = view.origin.experiment
    limited = [(budget, METRICS[budget.metric]) for budget in experiment.budgets]
    budgets = tuple(one for one, metric in limited if metric in objectives or metric.source is not Source.TIMED)
    changed = replace(view.origin, experiment=replace(experiment, objectives=objectives, budgets=budgets))
    return StudyView(view.table, changed).cost


def _at(x: Floats, y: Floats, where: Sequence[float]) -> Floats:
    """A curve of steps that begins with 0 at 0, at each of ``where``."""
    values: Floats = np.append(0.0, y)[np.searchsorted(x, np.asarray(where), side="right")]
    return values


def _curve(paths: Sequence[tuple[Floats, Floats]]) -> Curve:
    """Mean and extent of some curves of steps, as far as all of them go."""
    steps = np.unique(np.concatenate([[0.0], *(x for x, _ in paths)]))
    steps = steps[steps <= min(x[-1] for x, _ in paths)]
    values = np.stack([_at(x, y, steps.tolist()) for x, y in paths])
    return Curve(
        x=tuple(steps.tolist()),
        mean=tuple(values.mean(axis=0).tolist()),
        low=tuple(values.min(axis=0).tolist()),
        high=tuple(values.max(axis=0).tolist()),
    )


def _attained(studies: Sequence[Study], cost: Metric, equal: float) -> tuple[tuple[float, float], ...]:
    """The median attainment curve: for each cost the accuracy that at least half of the studies reach with no more."""
    reached = []
    for study in studies:
        within = _at_equal(study, equal)
        scored = [record for record in within if record.is_complete and record.has(study.view.score)]
        reached.append(numbers(scored, (cost, study.view.score)))
    costs = np.unique(np.concatenate([rows[:, 0] for rows in reached]))
    costs = costs[~np.isnan(costs)]
    best = np.array([[rows[rows[:, 0] <= limit, 1].max(initial=0.0) for limit in costs] for rows in reached])
    half = math.ceil(len(studies) / 2)
    median = -np.sort(-best, axis=0)[half - 1]
    rises = np.diff(median, prepend=0.0) > 0
    return tuple(zip(costs[rises].tolist(), median[rises].tolist(), strict=True))
