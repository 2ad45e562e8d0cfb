"""Where the numbers of a study come from: everything that is needed to judge a result and to repeat it.

``environment.json`` holds it. One loader reads what any version wrote; what an old file does not say is None or empty.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mvit_nas.budget import Budget
from mvit_nas.errors import InputError
from mvit_nas.metrics import Metric, metrics_of
from mvit_nas.study.origin_schema import problems

# Of environment.json; files of the first format have no number.
FORMAT = 2

Document = Mapping[str, Any]  # of a file, as it was read
THIS_HOST = "this host"
_HARDWARE = ("processor", "cores", "memory_gib", "gpu", "system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What the trainings ran on."""

    processor: str
    gpu: str | None
    cores: int | None = None
    memory_gib: float | None = None
    system: str | None = None

    @property
    def name(self) -> str:
        """The device that trains: the GPU, or else the processor."""
        return self.gpu or self.processor


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The data: ``counts`` are images by part, ``skipped`` what could not be decoded, each with its reason."""

    name: str
    source: str = ""
    fingerprint: str = ""
    classes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The search space: ``settings`` of its factors, ``networks`` that they make; ``text`` is that of its file."""

    name: str
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
class Searched:
    """The settings of a search, ``document`` as its file has them all. ``runtime`` is the option's, "" where unknown.

    ``sampler`` and ``image_size`` are None where an old file does not say them.
    """

    budgets: tuple[Budget, ...]
    objectives: tuple[Metric, ...]
    schedule: Document
    document: Document
    seed: int | None = None
    sampler: str | None = None
    baseline: float = 0.0
    early_stopping: bool = False
    image_size: int | None = None
    trials: int | None = None
    runtime: str = ""


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
    """What every study says of itself. ``document`` is what its file holds, all of which its page shows."""

    study: str
    command: str
    created: str
    version: str
    hardware: Hardware
    images: Images
    space: Space
    latency: Conditions | None
    elapsed_seconds: float
    schedule: str
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    device: str = ""
    presets: tuple[str, ...] = ()
    document: Document = field(default_factory=dict, compare=False)

    def score_words(self, metric: Metric) -> str:
        """What every score is: "validation accuracy, short schedule"."""
        return f"validation {metric.noun}, {self.schedule} schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOrigin(Origin):
    """That of a search. ``reference`` is the worst corner of hypervolume's box; ``further`` by further runtime."""

    experiment: Searched
    reference: Mapping[str, float]
    further: Mapping[str, Conditions] = field(default_factory=dict)
    through: Through | None = None

    @property
    def budget_words(self) -> list[str]:
        """The budgets in words: "at most 6M parameters"."""
        return [str(budget) for budget in self.experiment.budgets]


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationOrigin(Origin):
    """That of an ablation: its settings, of them the ``seeds`` that were asked for, and its plan."""

    experiment: Document
    seeds: tuple[int, ...]
    plan: Ablated


def seen_through(origin: SearchOrigin, runtime: str, *, measured: int, trained: int, names: set[str]) -> SearchOrigin:
    """``origin`` for a page with a further ``runtime``'s latencies of the ``measured`` ones, ``names`` among them.

    It has no reference of the hypervolume, whose latency is the search's.
    """
    conditions = origin.further[runtime]
    through = Through(runtime=conditions.runtime, measured=measured, trained=trained)
    presets = tuple(name for name in origin.presets if name in names)
    changed = {
        "latency": dict(conditions.document),
        "front_latency": {},
        "hypervolume_reference": {},
        "presets": list(presets),
        "view": asdict(through),
    }
    return replace(
        origin,
        latency=conditions,
        further={},
        reference={},
        presets=presets,
        through=through,
        document={**as_document(origin), **changed},
    )


def plan_in_words(
    origin: AblationOrigin, *, variants: Sequence[str], left_out: Sequence[str], precision: str | None
) -> AblationOrigin:
    """``origin`` whose document has of its plan's variants, and of its precision, only these words."""
    document = as_document(origin)
    words = {"variants": list(variants), "left_out": list(left_out), "precision": precision}
    return replace(origin, document={**document, "ablation": {**document["ablation"], **words}})


def as_document(origin: Origin) -> Document:
    """``origin`` as ``environment.json`` has it: what was read, or else what it says itself."""
    if origin.document:
        return origin.document
    images, space = origin.images, origin.space
    document: dict[str, Any] = {
        "format": FORMAT,
        "study": origin.study,
        "command": origin.command,
        "created": origin.created,
        "mvit_nas": origin.version,
        "python": origin.python,
        "packages": dict(origin.packages),
        "commit": origin.commit,
        "hardware": {
            key: getattr(origin.hardware, key) for key in ("processor", "cores", "memory_gib", "gpu", "system")
        },
        "device": origin.device,
        "data": {
            "name": images.name,
            "source": images.source,
            "fingerprint": images.fingerprint,
            "classes": list(images.classes),
            "images": dict(images.counts),
            "skipped": list(images.skipped),
            "notes": list(images.notes),
        },
        "space": asdict(space),
    }
    latency = {
        "latency": None if origin.latency is None else dict(origin.latency.document),
        "presets": list(origin.presets),
        "elapsed_seconds": origin.elapsed_seconds,
    }
    if isinstance(origin, SearchOrigin):
        document |= {"experiment": dict(origin.experiment.document), **latency}
        document["hypervolume_reference"] = dict(origin.reference)
        document["front_latency"] = {name: dict(one.document) for name, one in origin.further.items()}
    elif isinstance(origin, AblationOrigin):
        document |= {"experiment": dict(origin.experiment), **latency, "ablation": _plan_document(origin.plan)}
    return document


def comparison_document(first: Origin, conditions: Mapping[str, str], reference: Mapping[str, float]) -> Document:
    """What the searches of a comparison share, ``first`` being one of them, and the ``conditions`` of making it."""
    document = as_document(first)
    return {
        **conditions,
        "data": {key: document["data"][key] for key in ("name", "fingerprint", "images")},
        "schedule": document["experiment"]["schedule"],
        "hypervolume_reference": dict(reference),
    }


def study_document(origin: Origin, *, machine: str, seed: int) -> Document:
    """What tells one search of a comparison from another."""
    document = as_document(origin)
    known = ("command", "created", "mvit_nas", "commit", "python")
    packages = [f"{name} {version}" for name, version in origin.packages.items()]
    own = {key: document[key] for key in known if key in document}
    return {**own, "packages": packages, "machine": machine, "seed": seed}


def _plan_document(plan: Ablated) -> Document:
    document = asdict(plan)
    document["factors"], document["seeds"] = list(plan.factors), list(plan.seeds)
    document["variants"] = [asdict(one) | {"notes": list(one.notes)} for one in plan.variants]
    document["left_out"] = [asdict(one) for one in plan.left_out]
    return document


def read_origin(path: Path) -> SearchOrigin | AblationOrigin:
    """The origin in the file ``path``. Raises InputError in one line for a file that is missing or broken."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise InputError(f"{path}: is no JSON document ({error})") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: must hold one JSON object")
    return parse_origin(document, where=str(path))


def parse_origin(document: Document, *, where: str) -> SearchOrigin | AblationOrigin:
    """The origin that a ``document`` of any version holds. Raises InputError, which names ``where`` it lies."""
    for problem in problems(document):
        raise InputError(f"{where}: {problem}")
    latency = document["latency"]
    common: dict[str, Any] = {
        "study": document["study"],
        "command": document["command"],
        "created": document["created"],
        "version": document["mvit_nas"],
        "hardware": Hardware(**_some(document["hardware"], Hardware)),
        "images": _images(document["data"]),
        "space": Space(**{"name": "", **_some(document.get("space", {}), Space)}),
        "latency": None if latency is None else conditions_of(latency, document["experiment"]),
        "elapsed_seconds": float(document["elapsed_seconds"]),
        "schedule": document["experiment"]["schedule"]["name"],
        **_some(document, Origin, "python", "packages", "commit", "device"),
        "presets": tuple(document.get("presets", ())),
        "document": document,
    }
    if "ablation" in document:
        seeds = tuple(document["experiment"]["seeds"])
        return AblationOrigin(
            experiment=document["experiment"], seeds=seeds, plan=_plan(document["ablation"]), **common
        )
    through = document.get("view")
    return SearchOrigin(
        experiment=searched(document["experiment"]),
        reference=document["hypervolume_reference"],
        further={name: conditions_of(one) for name, one in document.get("front_latency", {}).items()},
        through=None if through is None else Through(**through),
        **common,
    )


def searched(document: Document) -> Searched:
    """The settings of a search as ``environment.json`` and ``experiment.yaml`` have them."""
    known = _some(document, Searched, "seed", "sampler", "baseline", "early_stopping", "image_size", "trials")
    return Searched(
        budgets=tuple(Budget(**budget) for budget in document["budgets"]),
        objectives=metrics_of(document["objectives"]),
        schedule=document["schedule"],
        document=document,
        runtime=(document.get("latency") or {}).get("runtime", ""),
        **known,
    )


def conditions_of(document: Document, experiment: Document | None = None) -> Conditions:
    """The conditions in ``document``; the runtime's option, where it does not say it, is that of the ``experiment``."""
    settings = (experiment or {}).get("latency")
    option = settings.get("runtime", "") if isinstance(settings, dict) else ""
    return Conditions(**{"runtime_name": option, **_some(document, Conditions)}, document=document)


def _images(document: Document) -> Images:
    known = _some(document, Images, "name", "source", "fingerprint")
    known |= {key: tuple(document.get(key) or ()) for key in ("classes", "skipped", "notes")}
    return Images(counts=document.get("images", {}), **known)


def _plan(document: Document) -> Ablated:
    variants = [PlannedVariant(**{**one, "notes": tuple(one["notes"])}) for one in document["variants"]]
    return Ablated(
        factors=tuple(document["factors"]),
        base=document["base"],
        variants=tuple(variants),
        left_out=tuple(LeftOut(**one) for one in document["left_out"]),
        seeds=tuple(document["seeds"]),
        precision=document["precision"],
        stopped=document["stopped"],
    )


def _some(document: Document, kind: type, *names: str) -> dict[str, Any]:
    """What ``document`` has of the fields of ``kind``, or of those of them that are named."""
    wanted = names or tuple(one.name for one in fields(kind) if one.name != "document")
    return {name: document[name] for name in wanted if name in document}
