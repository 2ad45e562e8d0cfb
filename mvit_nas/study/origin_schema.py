"""What is wrong with an ``environment.json``: the types that its keys must have, in files of every version."""

from collections.abc import Iterator, Mapping
from typing import Any

from mvit_nas.metrics import COSTS, OBJECTIVES

Document = Mapping[str, Any]
_OBJECTIVES = [metric.name for metric in OBJECTIVES]
_COSTS = [metric.name for metric in COSTS]
# What an environment must hold, with the types of its values; it may hold more, which the page shows too.
_COMMON: dict[str, Any] = {
    "study": str,
    "command": str,
    "created": str,
    "mvit_nas": str,
    "hardware": {"processor": str, "gpu": (str, type(None))},
    "latency": (dict, type(None)),  # checked further where there is one
    "elapsed_seconds": (int, float),
}
_SEARCH = _COMMON | {
    "data": {"name": str},
    "space": dict,
    "experiment": {"budgets": list, "objectives": list, "schedule": {"name": str}},
    "hypervolume_reference": dict,
    "presets": list,
}
# How a search proposes, which older environments do not tell and newer ones must tell rightly.
_EXPERIMENT_SINCE = {"sampler": str, "baseline": (int, float), "early_stopping": bool, "image_size": int}
# And where it is compared with other searches.
_COMPARED = {
    "data": {"fingerprint": str, "images": dict},
    "space": {"name": str},
    "experiment": {"seed": int},
}
_ABLATION = _COMMON | {
    "data": {"name": str, "images": {"validation": int}},
    "experiment": {"seeds": list, "schedule": {"name": str}},
    "ablation": {
        "factors": list,
        "base": str,
        "variants": list,
        "left_out": list,
        "seeds": list,
        "precision": (int, float, type(None)),
        "stopped": str,
    },
}
_VARIANT = {"labels": dict, "matched": str, "is_base": bool, "arch_id": str, "notes": list}
_LEFT_OUT = {"labels": dict, "reason": str}
_BUDGET = {"metric": str, "low": (int, float), "high": (int, float)}
_LATENCY = {"runtime": str, "target": str, "threads": int}
_NUMBER = (int, float, type(None))
# What older environments do not tell of a latency, and newer ones must tell rightly.
_LATENCY_SINCE = {
    "precision": _NUMBER,
    "reference": str,
    "reference_ms": _NUMBER,
    "reference_low_ms": _NUMBER,
    "reference_high_ms": _NUMBER,
    "reference_measurements": (int, type(None)),
}


def problems(environment: Document) -> Iterator[str]:
    """What is wrong, the first thing first, each as one clause; nothing where it can be read."""
    ablates = "ablation" in environment
    yield from _problems(environment, _ABLATION if ablates else _SEARCH, "")
    yield from _ablation_problems(environment) if ablates else _search_problems(environment)
    yield from _latency_problems(environment)


def problems_to_compare(environment: Document) -> Iterator[str]:
    """What a search that is compared with others must say beside that."""
    yield from _problems(environment, _COMPARED, "")


def _latency_problems(environment: Document) -> Iterator[str]:
    further = environment.get("front_latency", {})
    if not isinstance(further, dict):
        yield "'front_latency' must be an object"
        return
    named = {"latency": environment["latency"]} if environment["latency"] is not None else {}
    for name, latency in (named | {f"front_latency.{name}": latency for name, latency in further.items()}).items():
        if isinstance(latency, dict):
            later = {key: kind for key, kind in _LATENCY_SINCE.items() if key in latency}
            yield from _problems(latency, _LATENCY | later, f"{name}.")
        else:
            yield f"{name!r} must be an object"


def _ablation_problems(environment: Document) -> Iterator[str]:
    """What is wrong inside an ablation's values whose types are right."""
    plan = environment["ablation"]
    factors = plan["factors"]
    if (
        not all(isinstance(name, str) for name in factors)
        or len(factors) not in (1, 2)
        or len(set(factors)) < len(factors)
    ):
        yield "'ablation.factors' must be one or two names"
        return
    for key in ("experiment", "ablation"):
        if not all(isinstance(seed, int) for seed in environment[key]["seeds"]):
            yield f"'{key}.seeds' must hold whole numbers"
    for key, expected in (("variants", _VARIANT), ("left_out", _LEFT_OUT)):
        for number, one in enumerate(plan[key]):
            name = f"ablation.{key}.{number}"
            if not isinstance(one, dict):
                yield f"{name!r} must be an object"
                return
            yield from _problems(one, expected, f"{name}.")
            # In this order: the page and the interactions read them so.
            if list(one["labels"]) != factors or not all(isinstance(label, str) for label in one["labels"].values()):
                yield f"'{name}.labels' must hold one text for each of {', '.join(factors)}, in this order"
    for number, variant in enumerate(plan["variants"]):
        if variant["matched"] not in ("", *_COSTS):
            yield f"'ablation.variants.{number}.matched' must be empty or one of {', '.join(_COSTS)}"
        if not all(isinstance(note, str) for note in variant["notes"]):
            yield f"'ablation.variants.{number}.notes' must hold text"
    if len({(*v["labels"].values(), v["matched"]) for v in plan["variants"]}) < len(plan["variants"]):
        yield "'ablation.variants' holds one twice"
    if sum(variant["is_base"] for variant in plan["variants"]) != 1:
        yield "'ablation.variants' must hold one base"


def _search_problems(environment: Document) -> Iterator[str]:
    """What is wrong inside a search's values whose types are right."""
    experiment = environment["experiment"]
    yield from _problems(
        experiment, {key: kind for key, kind in _EXPERIMENT_SINCE.items() if key in experiment}, "experiment."
    )
    objectives = experiment["objectives"]
    if not objectives or any(name not in _OBJECTIVES for name in objectives):
        yield f"'experiment.objectives' must be some of {', '.join(_OBJECTIVES)}"
    for budget in environment["experiment"]["budgets"]:
        if not isinstance(budget, dict) or list(_problems(budget, _BUDGET, "")) or set(budget) != set(_BUDGET):
            yield "'experiment.budgets' must hold metric, low and high"
    reference = environment["hypervolume_reference"]
    if not all(name in _OBJECTIVES and isinstance(value, int | float) for name, value in reference.items()):
        yield "'hypervolume_reference' must hold numbers by objective"


def _problems(values: Document, expected: Document, prefix: str) -> Iterator[str]:
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
