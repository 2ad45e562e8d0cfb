"""Which searches can be compared, and which of them search in the same way: methods, and what tells them apart."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mvit_nas.errors import InputError
from mvit_nas.metrics import LATENCY
from mvit_nas.results.view import StudyView

# Settings that make no other method, or are looked at apart from the rest. Any other, also a later one, does.
_NO_METHOD = {"name", "seed", "trials", "timeout_seconds", "measure_front", "data", "objectives", "schedule"}
_APART = {"sampler", "early_stopping", "baseline", "space", "image_size", "budgets", "latency"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One search, by the name that the user gave it."""

    name: str
    view: StudyView

    @property
    def seed(self) -> int:
        """The seed of its proposals, weights and order of images."""
        return self.view.origin.experiment.seed or 0


def check_comparable(studies: Sequence[Study]) -> None:
    """Raise InputError, which says why, where ``studies`` cannot be compared."""
    if len(studies) < 2:
        raise InputError("compare takes at least two studies; the page of one is made by mvit-nas report")
    names = [study.name for study in studies]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name} is named twice: name each study once")
    for study in studies:
        if not study.view.scored:
            raise InputError(f"{study.name} has no trained candidate yet: leave it out, or let it run on")
    first = studies[0]
    for other in studies[1:]:
        one, two = (_must_share(study) for study in (first, other))
        differ = [
            f"{key} ({_short(one.get(key))} and {_short(two.get(key))})"
            for key in {**one, **two}
            if one.get(key) != two.get(key)
        ]
        if differ:
            raise InputError(f"{first.name} and {other.name} cannot be compared, they differ in {', '.join(differ)}")


def _must_share(study: Study) -> dict[str, object]:
    origin = study.view.origin
    return {
        "data": origin.images.fingerprint,
        "images": origin.images.counts,
        "objectives": [metric.name for metric in study.view.objectives],
        **{f"schedule.{key}": value for key, value in origin.experiment.schedule.items()},
    }


def latency_apart(studies: Sequence[Study]) -> str:
    """Which two studies' milliseconds are not on one scale, and why; empty where all are."""
    first = _latency_conditions(studies[0])
    for other in studies[1:]:
        for key, value in _latency_conditions(other).items():
            if value != first[key]:
                where = f"{key}: {first[key]} and {value}"
                return f"{studies[0].name} and {other.name} measured it under different conditions ({where})"
    return ""


def _latency_conditions(study: Study) -> dict[str, object]:
    """What milliseconds must share to be on one scale, by its words."""
    latency = study.view.origin.latency
    # A search from before the machine was kept measured on its own host, or names its target.
    machine = (None if latency is None else latency.machine) or study.view.origin.hardware.processor
    return {
        "runtime": None if latency is None else latency.runtime,
        "target": None if latency is None else latency.target,
        "machine": machine,
        "threads": None if latency is None else latency.threads,
        "reference": None if latency is None else latency.reference,
        "reference ms": None if latency is None else latency.reference_ms,
    }


def machine_words(study: Study) -> str:
    """What the trainings of a study ran on."""
    hardware = study.view.origin.hardware
    cores = [] if hardware.cores is None else [f"{hardware.cores} cores"]
    return hardware.gpu or ", ".join([hardware.processor, *cores])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trait:
    """One choice of how to search: in words, and whether the words are of something that is not done."""

    value: object
    words: str
    absent: bool = False


def _traits(study: Study) -> dict[str, _Trait]:
    """All that a method is: the settings of a study but for the seed and when it ends."""
    origin = study.view.origin
    experiment, latency = origin.experiment, origin.latency
    sampler = experiment.sampler or "sampler not recorded"
    stopping, share, size = experiment.early_stopping, experiment.baseline, experiment.image_size
    budgets = " and ".join(origin.budget_words)
    found = {
        "sampler": _Trait(value=sampler, words=sampler),
        "stopping": _Trait(value=stopping, words="stopping" if stopping else "no stopping", absent=not stopping),
        "baseline": _Trait(
            value=share, words=f"{100 * share:g} % at random" if share else "no baseline", absent=not share
        ),
        "space": _Trait(value=origin.space.text, words=origin.space.name),
        "image_size": _Trait(value=size, words=f"{size} px"),
        "budgets": _Trait(value=budgets, words=budgets or "no budget", absent=not budgets),
    }
    if LATENCY in study.view.objectives and latency is not None:
        words = f"{latency.runtime} on {latency.target}, {latency.threads} threads"
        found["latency"] = _Trait(value=[latency.runtime, latency.target, latency.threads], words=words)
    for name, value in experiment.document.items():
        if value and name not in _NO_METHOD | _APART:
            found[name] = _Trait(value=value, words=name if value is True else f"{name} {_short(value)}")
    return found


def method_key(study: Study) -> str:
    """What studies of one method share."""
    return json.dumps({name: trait.value for name, trait in _traits(study).items()}, sort_keys=True)


def labels_of(studies: Sequence[Study]) -> list[str]:
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


def _short(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else json.dumps(value)[:60].strip('"')
