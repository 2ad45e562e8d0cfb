"""Which searches can be compared, and which of them search in the same way: methods, and what tells them apart."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mvit_nas.errors import InputError
from mvit_nas.metrics import Source
from mvit_nas.results.page import counted
from mvit_nas.results.view import StudyView
from mvit_nas.study.origin import Document, SearchOrigin
from mvit_nas.study.table import Cell

# Settings that make no other method, or are looked at apart from the rest. Any other, also a later one, does.
_NO_METHOD = {"name", "seed", "trials", "timeout_seconds", "measure_front", "data", "objectives", "schedule"}
_APART = {"sampler", "early_stopping", "baseline", "space", "image_size", "budgets", "latency"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One search, by the name that the user gave it. Its origin holds its seed."""

    name: str
    view: StudyView

    @property
    def origin(self) -> SearchOrigin:
        """Where its numbers come from."""
        return self.view.origin

    @property
    def seed(self) -> int:
        """The seed of its proposals, weights and order of images."""
        seed = self.origin.experiment.seed
        assert seed is not None, "a search that does not tell it is not read to be compared"
        return seed

    @property
    def machine(self) -> str:
        """What its trainings ran on, in words."""
        hardware = self.origin.hardware
        cores = [] if hardware.cores is None else [counted(hardware.cores, "core")]
        return hardware.gpu or ", ".join([hardware.processor, *cores])


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
        differ = [f"{key} ({_short(one.get(key))} and {_short(two.get(key))})" for key in _differing(one, two)]
        if differ:
            raise InputError(f"{first.name} and {other.name} cannot be compared, they differ in {', '.join(differ)}")


def _differing(one: Document, two: Document) -> list[str]:
    return [key for key in {**one, **two} if one.get(key) != two.get(key)]


def _must_share(study: Study) -> Document:
    images, experiment = study.origin.images, study.origin.experiment
    return {
        "data": images.fingerprint,
        "images": images.counts,
        "objectives": [metric.name for metric in experiment.objectives],
        **{f"schedule.{key}": value for key, value in experiment.schedule.document.items()},
    }


def latency_apart(studies: Sequence[Study]) -> str:
    """Which two studies' milliseconds are not on one scale, and why; empty where all are."""
    first = _latency_conditions(studies[0].origin)
    for other in studies[1:]:
        second = _latency_conditions(other.origin)
        for key in _differing(first, second):
            where = f"{key}: {first.get(key)} and {second.get(key)}"
            return f"{studies[0].name} and {other.name} measured it under different conditions ({where})"
    return ""


def _latency_conditions(origin: SearchOrigin) -> dict[str, Cell]:
    """What milliseconds must share to be on one scale, by its words."""
    processor, latency = origin.hardware.processor, origin.latency
    if latency is None:
        return {"machine": processor}
    return {
        "runtime": latency.runtime,
        "target": latency.target,
        # A search from before the machine was kept measured on its own host, or names its target.
        "machine": latency.machine or processor,
        "threads": latency.threads,
        "reference": latency.reference,
        "reference ms": latency.reference_ms,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trait:
    """One choice of how to search: as JSON, in words, and whether the words are of something that is not done."""

    value: str
    words: str
    absent: bool = False


def _traits(study: Study) -> dict[str, _Trait]:
    """All that a method is: the settings of a study but for the seed and when it ends."""
    origin, experiment, latency = study.origin, study.origin.experiment, study.origin.latency
    sampler = experiment.sampler or "sampler not recorded"
    stopping, share, size = experiment.early_stopping, experiment.baseline, experiment.image_size
    budgets = " and ".join(origin.budget_words)
    found = {
        "sampler": _trait(sampler, sampler),
        "stopping": _trait(stopping, "stopping" if stopping else "no stopping", absent=not stopping),
        "baseline": _trait(share, f"{100 * share:g} % at random" if share else "no baseline", absent=not share),
        "space": _trait(origin.space.text, origin.space.name),
        "image_size": _trait(size, f"{size} px"),
        "budgets": _trait(budgets, budgets or "no budget", absent=not budgets),
    }
    if latency is not None and any(metric.source is Source.TIMED for metric in experiment.objectives):
        words = f"{latency.runtime} on {latency.target}, {latency.threads} threads"
        found["latency"] = _trait([latency.runtime, latency.target, latency.threads], words)
    for name, value in experiment.document.items():
        if value and name not in _NO_METHOD | _APART:
            found[name] = _trait(value, name if value is True else f"{name} {_short(value)}")
    return found


def _trait(value: object, words: str, *, absent: bool = False) -> _Trait:
    return _Trait(value=json.dumps(value, sort_keys=True), words=words, absent=absent)


def method_key(study: Study) -> tuple[tuple[str, str], ...]:
    """What studies of one method share."""
    return tuple(sorted((name, trait.value) for name, trait in _traits(study).items()))


def labels_of(studies: Sequence[Study]) -> list[str]:
    """A label for the method of each study: what tells the methods apart, of that what is done."""
    traits = [_traits(study) for study in studies]
    names = dict.fromkeys(name for one in traits for name in one)
    differ = [name for name in names if len({one[name].value if name in one else "" for one in traits}) > 1]
    labels: list[str] = []
    for one in traits:
        shown = [one.get(name) or _trait(None, f"no {name}", absent=True) for name in differ or ["sampler", "stopping"]]
        words = [trait.words for trait in shown if not trait.absent] or [trait.words for trait in shown]
        label = " + ".join(words)
        taken = sum(other == label or other.startswith(f"{label} (") for other in labels)
        labels.append(f"{label} ({taken + 1})" if taken else label)
    return labels


def _short(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else json.dumps(value)[:60].strip('"')
