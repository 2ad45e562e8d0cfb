"""Where the numbers of a study come from: everything that is needed to judge a result and to repeat it.

``environment.json`` holds it. How ``origin_file.py`` reads it and what it must hold follow from the fields here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from typing import Any

from mvit_nas.budget import Budget
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY, METRICS, Metric

# Of environment.json; files of the first format have no number.
FORMAT = 2

Document = Mapping[str, Any]  # of a file, as it was read
THIS_HOST = "this host"
WHOLE = "document"  # of a dataclass here: the field that has all that the file has of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What the trainings ran on."""

    processor: str
    cores: int | None = None
    memory_gib: float | None = None
    gpu: str | None
    system: str | None = None

    @property
    def name(self) -> str:
        """The device that trains: the GPU, or else the processor."""
        return self.gpu or self.processor


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The data: ``counts`` are images by part, ``skipped`` what could not be decoded, each with its reason.

    ``class_counts`` are images by part, in the order of the classes; the test part, and old files, have none.
    """

    name: str
    source: str = ""
    fingerprint: str = ""
    classes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict, metadata={"key": "images"})
    class_counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def guessing(self) -> float | None:
        """The accuracy of guessing: of always saying the class that validation has most images of.

        Where it is not known how many each has, of guessing among the classes; None where these, or the number of
        images, are not known.
        """
        counts = self.class_counts.get("validation", ())
        if counts:
            return max(counts) / sum(counts)
        return 1 / len(self.classes) if self.classes and self.counts.get("validation") else None

    @property
    def one_answer(self) -> float | None:
        """The balanced accuracy of any one answer for all; None where the images of each class are not known."""
        counts = self.class_counts.get("validation", ())
        return 1 / sum(count > 0 for count in counts) if counts else None

    def chance(self, metric: Metric) -> float | None:
        """What can be had of ``metric`` without learning anything; None where that is not known, or for a cost."""
        return {ACCURACY.name: self.guessing, BALANCED_ACCURACY.name: self.one_answer}.get(metric.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The search space: ``settings`` of its factors, ``networks`` that they make; ``text`` is that of its file."""

    name: str = ""
    settings: int | None = None
    networks: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What latencies hang on. ``runtime`` is its title with its version, ``runtime_name`` the option.

    ``target`` is in words, ``target_name`` the option; ``weight_bits`` are those of int8's weights. All latencies are
    ratios to ``reference`` times its ``reference_ms``; in ``reference_measurements`` that network took
    ``reference_low_ms`` to ``reference_high_ms``.
    """

    runtime: str
    target: str
    threads: int
    runtime_name: str = ""
    weight_bits: int | None = None
    machine: str | None = None
    precision: float | None = None
    reference: str | None = None
    reference_ms: float | None = None
    reference_low_ms: float | None = None
    reference_high_ms: float | None = None
    reference_measurements: int | None = None
    document: Document = field(default_factory=dict, compare=False)

    @property
    def title(self) -> str:
        """The runtime without its version: "ExecuTorch" of "ExecuTorch 1.5.2"."""
        return re.sub(r" \d\S*", "", self.runtime)

    @property
    def target_name(self) -> str:
        """The target as ``--target`` names it."""
        return "host" if self.target == THIS_HOST else self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSpread:
    """How far the accuracy of one network differs from seed to seed: the standard ``deviation``, as a share.

    It was estimated with so many degrees of ``freedom`` from what ``source`` says in words. It is kept with the study,
    since its page may be written elsewhere.
    """

    deviation: float
    freedom: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSchedule:
    """The schedule of a study's trainings, ``document`` as its file has it."""

    name: str
    document: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """The settings of a study, ``document`` as its file has them all."""

    schedule: NamedSchedule
    document: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchExperiment(Experiment):
    """Those of a search. ``sampler`` and ``image_size`` are None where an old file does not say them."""

    budgets: tuple[Budget, ...]
    objectives: tuple[Metric, ...]
    seed: int | None = None
    sampler: str | None = None
    baseline: float = 0.0
    early_stopping: bool = False
    image_size: int | None = None
    trials: int | str | None = None  # "auto"

    @property
    def runtime(self) -> str:
        """What ``--runtime`` was, "" where unknown."""
        return str((self.document.get("latency") or {}).get("runtime", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationExperiment(Experiment):
    """Those of an ablation: the ``seeds`` that were asked for, and the ``score`` that variants are judged by."""

    seeds: tuple[int, ...]
    score: Metric = ACCURACY


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVariant:
    """A variant of an ablation: its value by factor, what it is matched to ("" for nothing), and what to know of it."""

    labels: Mapping[str, str]
    matched: str
    is_base: bool
    arch_id: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A variant that cannot be run, and why."""

    labels: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablated:
    """The plan of an ablation and how far it came: the ``seeds`` so far, and how its ``precision`` came out."""

    factors: tuple[str, ...]
    base: str
    variants: tuple[PlannedVariant, ...]
    left_out: tuple[LeftOut, ...]
    seeds: tuple[int, ...]
    precision: float | None
    stopped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Through:
    """A search as seen through a further runtime: what it is called, and how many of the trained it measured."""

    runtime: str
    measured: int
    trained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What every study says of itself, in the order of its file.

    ``document`` is what its file holds, all of which its page shows.
    """

    study: str
    command: str
    created: str
    version: str = field(metadata={"key": "mvit_nas"})
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    hardware: Hardware
    device: str = ""
    images: Images = field(metadata={"key": "data"})
    space: Space = Space()
    experiment: Experiment
    latency: Conditions | None
    presets: tuple[str, ...] = ()
    elapsed_seconds: float
    document: Document = field(default_factory=dict, compare=False)

    @property
    def schedule(self) -> str:
        """The name of the schedule."""
        return self.experiment.schedule.name

    def score_words(self, metric: Metric) -> str:
        """What every score is: "validation accuracy, short schedule"."""
        return f"validation {metric.noun}, {self.schedule} schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOrigin(Origin):
    """That of a search. ``reference`` is the worst corner of hypervolume's box; ``further`` by further runtime.

    ``seed_spread`` is None where no network was trained with several seeds on these images and this schedule.
    ``ended`` says why the search ended before it had trained what was asked for, "" where it did not, or was killed.
    ``workers`` are the processes that claimed trials, those that were killed among them, and ``given_back`` the trials
    that were tried again since such a process ended.
    """

    space: Space = field()  # every file of a search has told it, and the presets
    experiment: SearchExperiment
    presets: tuple[str, ...] = field()
    reference: Mapping[str, float] = field(metadata={"key": "hypervolume_reference"})
    further: Mapping[str, Conditions] = field(default_factory=dict, metadata={"key": "front_latency"})
    seed_spread: SeedSpread | None = None
    ended: str = ""
    workers: int = 1
    given_back: int = 0
    through: Through | None = field(default=None, metadata={"key": "view"})

    @property
    def budget_words(self) -> list[str]:
        """The budgets in words: "at most 6M parameters"."""
        return [str(budget) for budget in self.experiment.budgets]


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationOrigin(Origin):
    """That of an ablation, with its plan."""

    experiment: AblationExperiment
    plan: Ablated = field(metadata={"key": "ablation"})


def seen_through(origin: SearchOrigin, runtime: str, *, measured: int, trained: int, names: set[str]) -> SearchOrigin:
    """``origin`` for a page with a further ``runtime``'s latencies of the ``measured`` ones, ``names`` among them.

    It has no reference of the hypervolume, whose latency is the search's.
    """
    conditions = origin.further[runtime]
    through = Through(runtime=conditions.runtime, measured=measured, trained=trained)
    presets = tuple(name for name in origin.presets if name in names)
    seen = replace(origin, latency=conditions, further={}, reference={}, presets=presets, through=through)
    changed = ("latency", "front_latency", "hypervolume_reference", "presets", "view")
    told = _written(seen)
    return replace(seen, document={**as_document(origin), **{key: told[key] for key in changed}})


def from_chance(origin: SearchOrigin) -> SearchOrigin:
    """``origin`` whose hypervolume begins at chance, where that is known: files of before have it begin at 0."""
    floors = {name: origin.images.chance(METRICS[name]) for name in origin.reference}
    reference = {**origin.reference, **{name: floor for name, floor in floors.items() if floor is not None}}
    return replace(origin, reference=reference, document={**origin.document, "hypervolume_reference": reference})


def plan_in_words(
    origin: AblationOrigin, *, variants: Sequence[str], left_out: Sequence[str], precision: str | None
) -> AblationOrigin:
    """``origin`` whose document has of its plan's variants, and of its precision, only these words."""
    document = as_document(origin)
    words = {"variants": list(variants), "left_out": list(left_out), "precision": precision}
    return replace(origin, document={**document, "ablation": {**document["ablation"], **words}})


def comparison_document(first: Origin, conditions: Mapping[str, str], reference: Mapping[str, float]) -> Document:
    """What the searches of a comparison share, ``first`` being one of them, and the ``conditions`` of making it."""
    document = as_document(first)
    return {
        **conditions,
        "data": {key: document["data"][key] for key in ("name", "fingerprint", "images")},
        "schedule": first.experiment.schedule.document,
        "hypervolume_reference": dict(reference),
    }


def study_document(origin: Origin, *, machine: str, seed: int) -> Document:
    """What tells one search of a comparison from another."""
    document = as_document(origin)
    known = ("command", "created", "mvit_nas", "commit", "python")
    packages = [f"{name} {version}" for name, version in origin.packages.items()]
    own = {key: document[key] for key in known if key in document}
    return {**own, "packages": packages, "machine": machine, "seed": seed}


def as_document(origin: Origin) -> Document:
    """``origin`` as ``environment.json`` has it: what was read, or else what it says itself."""
    if origin.document:
        return origin.document
    return {key: value for key, value in {"format": FORMAT, **_written(origin)}.items() if key != "view"}


def _written(part: object) -> Document:
    """The document of a dataclass: of each part of it what was read, or else its fields."""
    known = {key_of(one): getattr(part, one.name) for one in fields_of(type(part)) if one.name != WHOLE}
    return {key: _plain(value) for key, value in known.items()}


def _plain(value: object) -> object:
    if is_dataclass(value):
        return dict(getattr(value, WHOLE, {})) or _written(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def fields_of(kind: type) -> "tuple[Field[object], ...]":
    """The fields of a dataclass here."""
    return fields(kind)


def key_of(one: "Field[object]") -> str:
    """What the file calls a field."""
    return str(one.metadata.get("key", one.name))
