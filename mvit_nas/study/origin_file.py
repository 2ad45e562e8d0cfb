"""``environment.json`` read: one loader for what any version wrote, and what is wrong with a file that it cannot read.

What an old file does not say is None or empty. What a file must hold follows from the fields in ``origin.py``.
"""

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from mvit_nas.budget import Budget
from mvit_nas.documents import read_json
from mvit_nas.errors import InputError, unknown
from mvit_nas.metrics import ACCURACY, COSTS, METRICS, OBJECTIVES, SCORES, Metric
from mvit_nas.study.origin import (
    WHOLE,
    AblationOrigin,
    Document,
    LeftOut,
    Origin,
    PlannedVariant,
    SearchOrigin,
    as_document,
    fields_of,
    from_chance,
    key_of,
)

T = TypeVar("T")
# What a file has, by the type of the field; the others are the same.
_JSON: Mapping[object, object] = {float: (int, float), tuple: list, Mapping: dict}
_PLAIN = {str, int, bool, (int, float), type(None)}
# What must be there beside what the fields say: of an ablation, and where a search is compared with others.
_ABLATION = {"data": {"images": {"validation": int}}}
_COMPARED = {"data": {"fingerprint": str, "images": dict}, "space": {"name": str}, "experiment": {"seed": int}}


def read_origin(path: Path) -> SearchOrigin | AblationOrigin:
    """The origin in the file ``path``. Raises InputError in one line for a file that is missing or broken."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise InputError(f"{path}: must hold one JSON object")
    return parse_origin(document, where=str(path))


def parse_origin(document: Document, *, where: str) -> SearchOrigin | AblationOrigin:
    """The origin that a ``document`` of any version holds. Raises InputError, which names ``where`` it lies."""
    for problem in _problems_of_study(document):
        raise InputError(f"{where}: {problem}")
    if "ablation" in document:
        return from_document(AblationOrigin, document)
    return from_chance(from_document(SearchOrigin, document))


def from_document(kind: type[T], document: Document) -> T:
    """The ``kind`` that a ``document`` holds whose types are right; what it does not say is as its field has it."""
    hints = typing.get_type_hints(kind)
    told = [one for one in fields_of(kind) if _is_told(one, document)]
    values = {one.name: _read(hints[one.name], document[key_of(one)]) for one in told}
    return kind(**values, **{one.name: document for one in fields_of(kind) if one.name == WHOLE})


def _read(hint: object, value: Any) -> Any:
    """``value`` as a field of the type ``hint`` has it."""
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return None if value is None else _read(arguments[0], value)
    if hint is Metric:
        return METRICS[value]
    if isinstance(hint, type) and is_dataclass(hint):
        return from_document(hint, value)
    if typing.get_origin(hint) is tuple:
        return tuple(_read(arguments[0], one) for one in value)
    return {key: _read(arguments[1], one) for key, one in value.items()} if isinstance(value, dict) else value


def _is_told(one: "Field[object]", document: Document) -> bool:
    """Whether ``document`` says, or must say, what the field is; where it need not, null says nothing."""
    must_be_told = one.default is MISSING and one.default_factory is MISSING
    return one.name != WHOLE and (must_be_told or document.get(key_of(one)) is not None)


def problems_to_compare(origin: Origin) -> Iterator[str]:
    """What a search that is compared with others must say beside what every search must."""
    return _problems(as_document(origin), _COMPARED)


def _problems_of_study(document: Document) -> Iterator[str]:
    """What is wrong, the first thing first, each as one clause; nothing where it can be read."""
    if "ablation" in document:
        yield from _problems(document, _expected(AblationOrigin, document))
        yield from _problems_inside(AblationOrigin, document)
        yield from _problems(document, _ABLATION)
        yield from _problems_of_ablation(document)
    else:
        yield from _problems(document, _expected(SearchOrigin, document))
        yield from _problems_of_search(document)
        yield from _problems_inside(SearchOrigin, document)
    yield from _problems_of_class_counts(document)


def _problems_of_class_counts(document: Document) -> Iterator[str]:
    """What is wrong with the images by class, where a document whose types are right says them."""
    data = document["data"]
    for part, counts in data.get("class_counts", {}).items():
        right = isinstance(counts, list) and all(isinstance(one, int) and one >= 0 for one in counts)
        if not right or len(counts) != len(data.get("classes", [])) or not sum(counts):
            yield f"'data.class_counts.{part}' must hold the number of images of each class"


def _problems_of_ablation(document: Document) -> Iterator[str]:
    """What is wrong inside an ablation's values whose types are right."""
    plan = document["ablation"]
    factors = plan["factors"]
    if (
        not all(isinstance(name, str) for name in factors)
        or not 1 <= len(factors) <= 2
        or len(set(factors)) < len(factors)
    ):
        yield "'ablation.factors' must be one or two names"
    scores = [metric.name for metric in SCORES]
    if document["experiment"].get("score", ACCURACY.name) not in scores:
        yield f"'experiment.score' must be one of {', '.join(scores)}"
    for key in ("experiment", "ablation"):
        if not all(isinstance(seed, int) for seed in document[key]["seeds"]):
            yield f"'{key}.seeds' must hold whole numbers"
    for key, kind in (("variants", PlannedVariant), ("left_out", LeftOut)):
        for number, one in enumerate(plan[key]):
            name = f"ablation.{key}.{number}"
            yield from _problems_of(one, kind, name)
            # In this order: the page and the interactions read them so.
            if list(one["labels"]) != factors or not all(isinstance(label, str) for label in one["labels"].values()):
                yield f"'{name}.labels' must hold one text for each of {', '.join(factors)}, in this order"
    costs = [metric.name for metric in COSTS]
    for number, variant in enumerate(plan["variants"]):
        if variant["matched"] not in ("", *costs):
            yield f"'ablation.variants.{number}.matched' must be empty or one of {', '.join(costs)}"
        if not all(isinstance(note, str) for note in variant["notes"]):
            yield f"'ablation.variants.{number}.notes' must hold text"
    if len({(*v["labels"].values(), v["matched"]) for v in plan["variants"]}) < len(plan["variants"]):
        yield "'ablation.variants' holds one twice"
    if sum(variant["is_base"] for variant in plan["variants"]) != 1:
        yield "'ablation.variants' must hold one base"


def _problems_of_search(document: Document) -> Iterator[str]:
    """What is wrong inside a search's values whose types are right."""
    known, experiment = [metric.name for metric in OBJECTIVES], document["experiment"]
    if not experiment["objectives"] or any(name not in known for name in experiment["objectives"]):
        yield f"'experiment.objectives' must be some of {', '.join(known)}"
    for budget in experiment["budgets"]:
        if list(_problems_of(budget, Budget, "")) or set(budget) != {one.name for one in fields(Budget)}:
            yield "'experiment.budgets' must hold metric, low and high"
        elif budget["metric"] not in METRICS:
            yield f"'experiment.budgets': {unknown(budget['metric'], METRICS)}"
    reference = document["hypervolume_reference"]
    if not all(name in known and isinstance(value, int | float) for name, value in reference.items()):
        yield "'hypervolume_reference' must hold numbers by objective"


def _problems_inside(kind: type, document: Document, prefix: str = "") -> Iterator[str]:
    """What is wrong with the elements of the lists and mappings of a ``kind``, whose own types are right."""
    hints = typing.get_type_hints(kind)
    for one in fields_of(kind):
        name, hint, value = f"{prefix}{key_of(one)}", hints[one.name], document.get(key_of(one))
        if isinstance(hint, types.UnionType):
            hint = typing.get_args(hint)[0]
        arguments = typing.get_args(hint)
        if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, dict):
            yield from _problems_inside(hint, value, f"{name}.")
        elif typing.get_origin(hint) is tuple and isinstance(value, list):
            for number, each in enumerate(value):
                yield from _problems_of_element(arguments[0], each, f"{name}.{number}")
        elif typing.get_origin(hint) is Mapping and isinstance(value, dict):
            for key, each in value.items():
                yield from _problems_of_element(arguments[1], each, f"{name}.{key}")


def _problems_of_element(hint: object, value: object, name: str) -> Iterator[str]:
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    wanted: tuple[Any, ...] = tuple(_JSON.get(each, each) for each in allowed)
    if set(wanted) <= _PLAIN and not isinstance(value, wanted):
        yield f"{name!r} has the wrong type, {type(value).__name__}"


def _problems_of(value: object, kind: type, name: str) -> Iterator[str]:
    """What is wrong with ``value``, called ``name``, as the document of a ``kind``."""
    if isinstance(value, dict):
        yield from _problems(value, _expected(kind, value), f"{name}.")
    else:
        yield f"{name!r} must be an object"


def _expected(kind: type, document: Document) -> Document:
    """The types that the keys of a ``document`` of a ``kind`` must have: all that must be there, and all that is."""
    hints = typing.get_type_hints(kind)
    expected: dict[str, object] = {}
    for one in fields_of(kind):
        if not _is_told(one, document):
            continue
        hint, value = hints[one.name], document.get(key_of(one))
        allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        part: type = str if allowed[0] is Metric else allowed[0]
        last: type = (typing.get_args(hint) or allowed)[-1]
        if is_dataclass(part) and (isinstance(value, dict) or len(allowed) == 1):
            expected[key_of(one)] = _expected(part, _object(value))
        elif typing.get_origin(hint) is Mapping and is_dataclass(last):
            expected[key_of(one)] = {name: _expected(last, _object(each)) for name, each in _object(value).items()}
        else:
            allowed = (part, *allowed[1:])
            expected[key_of(one)] = tuple(_JSON.get(typing.get_origin(each) or each, each) for each in allowed)
    return expected


def _object(value: object) -> Document:
    return value if isinstance(value, dict) else {}


def _problems(values: Document, expected: Document, prefix: str = "") -> Iterator[str]:
    for key, kind in expected.items():
        name = prefix + key
        if key not in values:
            yield f"{name!r} is missing"
        elif isinstance(kind, dict):
            if isinstance(values[key], dict):
                yield from _problems(values[key], kind, f"{name}.")
            else:
                yield f"{name!r} must be an object"
        elif not isinstance(values[key], kind):
            yield f"{name!r} has the wrong type, {type(values[key]).__name__}"
