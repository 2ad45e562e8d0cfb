"""Which way of searching finds more for its compute: studies grouped by all that they share but the seed, as data."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvit_nas.errors import InputError
from mvit_nas.maths import pareto
from mvit_nas.maths.statistics import MIN_PAIRS, paired_difference, welch_interval
from mvit_nas.metrics import format_metric
from mvit_nas.results.search.findings import IDEAL, MAXIMISE, budget_words, is_below_ideal, main_cost, numbers
from mvit_nas.results.table import complete, trainings

# Epochs as shares of trainings add up to whole ones but for rounding.
_DIGITS = 9
# Settings that make no other method, or are looked at apart from the rest. Any other, also a later one, does.
_NO_METHOD = {"name", "seed", "trials", "timeout_seconds", "measure_front", "data", "objectives", "schedule"}
_APART = {"sampler", "early_stopping", "baseline", "space", "image_size", "budgets", "latency"}
# What milliseconds must share to be on one scale.
_LATENCY = ("runtime", "target", "machine", "threads", "reference", "reference_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One search: its name as the user gave it, its table and its environment."""

    name: str
    table: pd.DataFrame
    environment: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """The seed of its proposals, weights and order of images."""
        return int(self.environment["experiment"]["seed"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Hypervolume after ``x`` of compute: mean, lowest and highest over the seeds; each holds up to the next x."""

    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """How much more hypervolume a method found than the first one, at equal compute, with its 95 % interval.

    ``seeds`` are those that the mean is over: pairs, or where ``paired`` is False the fewer of the two. Where there is
    no interval, ``why`` says why.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int
    paired: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """Studies that differ in their seed alone.

    ``hypervolumes`` are those at equal compute, ``trainings`` what each study had in all. ``attained`` are costs and
    the accuracies that at least half of the seeds reached with them at equal compute. ``gain`` is None for the first.
    """

    label: str
    studies: tuple[Study, ...]
    hypervolumes: tuple[float, ...]
    trainings: tuple[float, ...]
    by_trainings: Curve
    by_seconds: Curve | None
    attained: tuple[tuple[float, float], ...]
    gain: Gain | None

    @property
    def mean(self) -> float:
        """Mean hypervolume at equal compute."""
        return float(np.mean(self.hypervolumes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Methods after ``trainings`` each, the most that all studies had; ``notes`` say what was left out and why."""

    objectives: tuple[str, ...]
    reference: Mapping[str, float]
    trainings: float
    cost: str
    methods: tuple[Method, ...]
    notes: tuple[str, ...]

    @property
    def studies(self) -> list[Study]:
        """All studies, method by method."""
        return [study for method in self.methods for study in method.studies]


def compare_studies(studies: Sequence[Study]) -> Comparison:
    """The comparison of ``studies``, which share data, schedule and objectives; InputError in one line otherwise.

    The first study's method is what the others are compared with. Hypervolume is measured in one box for all, whose
    worst corner is the worst of all studies' references.
    """
    _check(studies)
    notes = []
    objectives = tuple(studies[0].environment["experiment"]["objectives"])
    apart = _latency_apart(studies) if "latency_ms" in objectives else ""
    if apart:
        objectives = tuple(name for name in objectives if name != "latency_ms")
        if len(objectives) < 2:
            raise InputError(f"{apart}, and accuracy and latency are all that they measured: measure both under one")
        notes.append(f"Latency is left out of the hypervolume: {apart}.")
    reference = _reference(studies, objectives)
    paths = [_path(study, objectives, reference) for study in studies]
    equal = min(float(path.trainings[-1]) for path in paths)
    no_seconds = _no_seconds(studies, paths)
    if no_seconds:
        notes.append(f"There is no plot over seconds: {no_seconds}.")
    cost = _cost(studies[0], objectives)
    groups: dict[str, list[int]] = {}
    for index, study in enumerate(studies):
        groups.setdefault(_method_key(study), []).append(index)
    labels = _labels([studies[indices[0]] for indices in groups.values()])
    methods: list[Method] = []
    for label, indices in zip(labels, groups.values(), strict=True):
        _check_seeds([studies[i] for i in indices])
        own = [paths[i] for i in indices]
        volumes = tuple(float(_at(path.trainings, path.volumes, [equal])[0]) for path in own)
        seeds = {studies[i].seed: volume for i, volume in zip(indices, volumes, strict=True)}
        first = {s.seed: v for s, v in zip(methods[0].studies, methods[0].hypervolumes, strict=True)} if methods else {}
        methods.append(
            Method(
                label=label,
                studies=tuple(studies[i] for i in indices),
                hypervolumes=volumes,
                trainings=tuple(float(path.trainings[-1]) for path in own),
                by_trainings=_curve([(path.trainings, path.volumes) for path in own]),
                by_seconds=None if no_seconds else _curve([(path.seconds, path.volumes) for path in own]),
                attained=_attained([studies[i] for i in indices], cost, equal),
                gain=_gain(seeds, first) if methods else None,
            )
        )
    return Comparison(
        objectives=objectives,
        reference=reference,
        trainings=equal,
        cost=cost,
        methods=tuple(methods),
        notes=tuple(notes),
    )


def document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain values: what ``compare --json`` prints, documented in docs/json.md."""

    def curve(one: Curve | None) -> dict[str, Any] | None:
        return None if one is None else {key: list(getattr(one, key)) for key in ("x", "mean", "low", "high")}

    def gain(one: Gain | None) -> dict[str, Any]:
        if one is None:
            return dict.fromkeys(("difference", "interval", "paired", "pairs", "note"))
        interval = None if one.low is None else [one.low, one.high]
        return {"difference": one.mean, "interval": interval, "paired": one.paired} | {
            "pairs": one.seeds if one.paired else None,
            "note": one.why or None,
        }

    return {
        "objectives": list(comparison.objectives),
        "reference": dict(comparison.reference),
        "trainings": comparison.trainings,
        "methods": [
            {
                "method": method.label,
                "studies": [
                    {"study": study.name, "seed": study.seed, "trainings": spent, "hypervolume": volume}
                    for study, spent, volume in zip(method.studies, method.trainings, method.hypervolumes, strict=True)
                ],
                "hypervolume": method.mean,
                **gain(method.gain),
                "by_trainings": curve(method.by_trainings),
                "by_seconds": curve(method.by_seconds),
                "attained": [{comparison.cost: cost, "accuracy": accuracy} for cost, accuracy in method.attained],
            }
            for method in comparison.methods
        ],
        "notes": list(comparison.notes),
    }


def spent_to_reach(curve: Curve, volume: float) -> float | None:
    """The compute after which the mean of ``curve`` is at least ``volume``; None where it never is."""
    return next((x for x, mean in zip(curve.x, curve.mean, strict=True) if mean >= volume), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    """Compute so far and the hypervolume then, after each row that cost a training; seconds NaN where unknown."""

    trainings: pareto.Floats
    seconds: pareto.Floats
    volumes: pareto.Floats


def _check(studies: Sequence[Study]) -> None:
    if len(studies) < 2:
        raise InputError("compare takes at least two studies; the page of one is made by mvit-nas report")
    names = [study.name for study in studies]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name} is named twice: name each study once")
    for study in studies:
        if complete(study.table).empty:
            raise InputError(f"{study.name} has no trained candidate yet: leave it out, or let it run on")
    first = studies[0]
    for other in studies[1:]:
        one, two = (_must_share(study.environment) for study in (first, other))
        differ = [
            f"{key} ({_short(one.get(key))} and {_short(two.get(key))})"
            for key in {**one, **two}
            if one.get(key) != two.get(key)
        ]
        if differ:
            raise InputError(f"{first.name} and {other.name} cannot be compared, they differ in {', '.join(differ)}")


def _must_share(environment: Mapping[str, Any]) -> dict[str, Any]:
    experiment = environment["experiment"]
    schedule = {f"schedule.{key}": value for key, value in experiment["schedule"].items()}
    return {
        "data": environment["data"]["fingerprint"],
        "images": environment["data"]["images"],
        "objectives": experiment["objectives"],
        **schedule,
    }


def _short(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else json.dumps(value)[:60].strip('"')


def _check_seeds(studies: Sequence[Study]) -> None:
    by_seed: dict[int, Study] = {}
    for study in studies:
        if study.seed in by_seed:
            raise InputError(
                f"{by_seed[study.seed].name} and {study.name} are the same search with the same seed, {study.seed}: "
                "leave one out"
            )
        by_seed[study.seed] = study


def _latency_apart(studies: Sequence[Study]) -> str:
    """Which two studies' milliseconds are not on one scale, and why; empty where all are."""
    first = _latency_conditions(studies[0])
    for other in studies[1:]:
        for key, value in _latency_conditions(other).items():
            if value != first[key]:
                where = f"{key.replace('_', ' ')}: {first[key]} and {value}"
                return f"{studies[0].name} and {other.name} measured it under different conditions ({where})"
    return ""


def _latency_conditions(study: Study) -> dict[str, Any]:
    conditions = study.environment["latency"] or {}
    found = {key: conditions.get(key) for key in _LATENCY}
    # A search from before the machine was kept measured on its own host, or names its target.
    return found | {"machine": found["machine"] or study.environment["hardware"]["processor"]}


def _reference(studies: Sequence[Study], objectives: Sequence[str]) -> dict[str, float]:
    reference = {}
    for name in objectives:
        corners = []
        for study in studies:
            known = study.environment["hypervolume_reference"]
            if name not in known:
                raise InputError(f"{study.name}: environment.json lacks 'hypervolume_reference.{name}'")
            corners.append(float(known[name]))
        reference[name] = min(corners) if MAXIMISE[name] else max(corners)
        if not is_below_ideal(name, reference[name]):
            raise InputError(f"the hypervolume's reference for {name}, {reference[name]:g}, leaves no box")
    return reference


def _path(study: Study, objectives: Sequence[str], reference: Mapping[str, float]) -> _Path:
    table = study.table.sort_values("trial", kind="stable")
    table = table[trainings(table) > 0]
    values = numbers(table, objectives)
    values[(table["state"] != "complete").to_numpy(dtype=bool)] = np.nan
    # A training that failed did not tell how long it took; its trial did.
    failed = (table["state"] == "failed").to_numpy(dtype=bool)
    seconds = np.where(failed, *numbers(table, ["seconds", "training_seconds"]).T)
    return _Path(
        trainings=_spent(table),
        seconds=np.cumsum(seconds),
        volumes=pareto.hypervolume_history(
            values,
            [reference[name] for name in objectives],
            maximise=[MAXIMISE[name] for name in objectives],
            ideal=[IDEAL[name] for name in objectives],
        ),
    )


def _spent(table: pd.DataFrame) -> pareto.Floats:
    """Whole trainings up to each row."""
    spent: pareto.Floats = np.cumsum(trainings(table)).round(_DIGITS)
    return spent


def _no_seconds(studies: Sequence[Study], paths: Sequence[_Path]) -> str:
    """Why seconds of training cannot be compared; empty where they can."""
    unknown = [study.name for study, path in zip(studies, paths, strict=True) if np.isnan(path.seconds).any()]
    if unknown:
        return f"the table of {unknown[0]} does not say how long each training took"
    machines = {study.name: machine_words(study.environment) for study in studies}
    first = studies[0].name
    for name, machine in machines.items():
        if machine != machines[first]:
            return f"{first} and {name} were trained on different machines ({machines[first]}; {machine})"
    return ""


def machine_words(environment: Mapping[str, Any]) -> str:
    """What the trainings of a study ran on."""
    hardware = environment["hardware"]
    return str(hardware["gpu"] or ", ".join([hardware["processor"], *_cores(hardware)]))


def _cores(hardware: Mapping[str, Any]) -> Iterator[str]:
    if "cores" in hardware:
        yield f"{hardware['cores']} cores"


def _cost(study: Study, objectives: Sequence[str]) -> str:
    """The cost of the plot: the first study's main one, but for a latency that cannot be compared."""
    experiment = study.environment["experiment"]
    latency = "latency_ms" in objectives
    budgets = [one for one in experiment["budgets"] if latency or one["metric"] != "latency_ms"]
    changed = {**experiment, "objectives": list(objectives), "budgets": budgets}
    return main_cost(study.table, {**study.environment, "experiment": changed})


def _at(x: pareto.Floats, y: pareto.Floats, where: Sequence[float]) -> pareto.Floats:
    """A curve of steps that begins with 0 at 0, at each of ``where``."""
    values: pareto.Floats = np.append(0.0, y)[np.searchsorted(x, np.asarray(where), side="right")]
    return values


def _curve(paths: Sequence[tuple[pareto.Floats, pareto.Floats]]) -> Curve:
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


def _attained(studies: Sequence[Study], cost: str, equal: float) -> tuple[tuple[float, float], ...]:
    """The median attainment curve: for each cost the accuracy that at least half of the studies reach with no more."""
    reached = []
    for study in studies:
        table = study.table.sort_values("trial", kind="stable")
        within = complete(table[_spent(table) <= equal])
        reached.append(numbers(within.sort_values(cost, kind="stable"), [cost, "accuracy"]))
    costs = np.unique(np.concatenate([rows[:, 0] for rows in reached]))
    costs = costs[~np.isnan(costs)]
    best = np.zeros((len(studies), len(costs)))
    for row, rows in zip(best, reached, strict=True):
        for index, limit in enumerate(costs):
            row[index] = rows[rows[:, 0] <= limit, 1].max(initial=0.0)
    half = math.ceil(len(studies) / 2)
    median = -np.sort(-best, axis=0)[half - 1]
    rises = np.diff(median, prepend=0.0) > 0
    return tuple(zip(costs[rises].tolist(), median[rises].tolist(), strict=True))


def _gain(values: Mapping[int, float], base: Mapping[int, float]) -> Gain:
    """The difference of hypervolumes by seed: paired where the seeds are shared, otherwise Welch's."""
    shared = [seed for seed in values if seed in base]
    paired = len(shared) >= MIN_PAIRS or set(values) == set(base)
    if paired:
        difference = paired_difference([values[seed] for seed in shared], [base[seed] for seed in shared])
        assert difference.mean is not None, "methods have seeds"
        mean, interval = difference.mean, (difference.low, difference.high)
        seeds = len(shared)
    else:
        one, two = (np.array(list(numbers.values())) for numbers in (values, base))
        mean, interval = float(one.mean() - two.mean()), welch_interval(one, two) or (None, None)
        seeds = min(len(one), len(two))
    why = ""
    if interval[0] is None:
        few = "one seed: no spread is known" if seeds == 1 else f"{seeds} seeds: too few for an interval"
        why = few if seeds < MIN_PAIRS else "all seeds differ by the same"
    return Gain(mean=mean, low=interval[0], high=interval[1], seeds=seeds, paired=paired, why=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trait:
    """One choice of how to search: in words, and whether the words are of something that is not done."""

    value: Any
    words: str
    absent: bool = False


def _traits(study: Study) -> dict[str, _Trait]:
    """All that a method is: the settings of a study but for the seed and when it ends."""
    environment = study.environment
    experiment = environment["experiment"]
    # Earlier searches had neither stopping nor a baseline, and did not keep their sampler or image size.
    sampler = experiment.get("sampler", "sampler not recorded")
    stopping, share = experiment.get("early_stopping", False), experiment.get("baseline", 0.0)
    size = experiment.get("image_size")
    budgets = " and ".join(budget_words(environment))
    found = {
        "sampler": _Trait(value=sampler, words=sampler),
        "stopping": _Trait(value=stopping, words="stopping" if stopping else "no stopping", absent=not stopping),
        "baseline": _Trait(
            value=share, words=f"{100 * share:g} % at random" if share else "no baseline", absent=not share
        ),
        "space": _Trait(value=environment["space"].get("text"), words=environment["space"]["name"]),
        "image_size": _Trait(value=size, words=f"{size} px"),
        "budgets": _Trait(value=budgets, words=budgets or "no budget", absent=not budgets),
    }
    if "latency_ms" in experiment["objectives"] and environment["latency"] is not None:
        named = [environment["latency"][key] for key in ("runtime", "target", "threads")]
        found["latency"] = _Trait(value=named, words=f"{named[0]} on {named[1]}, {named[2]} threads")
    for name, value in experiment.items():
        if value and name not in _NO_METHOD | _APART:
            found[name] = _Trait(value=value, words=name if value is True else f"{name} {_short(value)}")
    return found


def _method_key(study: Study) -> str:
    return json.dumps({name: trait.value for name, trait in _traits(study).items()}, sort_keys=True)


def _labels(studies: Sequence[Study]) -> list[str]:
    """A label for the method of each study: what tells the methods apart, of that what is done."""
    traits = [_traits(study) for study in studies]
    names = dict.fromkeys(name for one in traits for name in one)
    differ = [name for name in names if len({json.dumps(one[name].value) if name in one else "" for one in traits}) > 1]
    labels: list[str] = []
    for one in traits:
        shown = [
            one.get(name, _Trait(value=None, words=f"no {name}", absent=True))
            for name in differ or ["sampler", "stopping"]
        ]
        words = [trait.words for trait in shown if not trait.absent] or [trait.words for trait in shown]
        label = " + ".join(words)
        taken = sum(other == label or other.startswith(f"{label} (") for other in labels)
        labels.append(f"{label} ({taken + 1})" if taken else label)
    return labels


def reference_words(reference: Mapping[str, float]) -> str:
    """The worst corner of the box in words."""
    nouns = {"accuracy": " accuracy", "latency_ms": " latency"}
    return ", ".join(format_metric(name, value) + nouns.get(name, "") for name, value in reference.items())
