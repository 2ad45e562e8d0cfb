"""What a command prints with ``--json``; the keys are documented in docs/json.md and kept."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from mvit_nas.arch.config import to_dict
from mvit_nas.metrics import COSTS, LATENCY, OBJECTIVES, Metric
from mvit_nas.settings.flag import Plain, plain

if TYPE_CHECKING:
    from mvit_nas.jobs.ablate import AblationPlan
    from mvit_nas.jobs.ablate import Outcome as AblationOutcome
    from mvit_nas.jobs.latency import Measurement
    from mvit_nas.jobs.latency import Outcome as LatencyOutcome
    from mvit_nas.jobs.search import Outcome, Plan, TriedDesign
    from mvit_nas.maths.statistics import Difference
    from mvit_nas.results.ablation.summary import Variant
    from mvit_nas.study.record import Measured, Record

Document = dict[str, Plain]
_OF_LATENCY = ("median_ms", "runs", "rounds", "clock", "wall_ms", "p90_ms", "threads")
_FLAGS = ("contended", "drifted", "agreed")
_OF_ARTEFACT = ("size_bytes", "delegated", "quantised", "difference")


def of_search(outcome: "Outcome") -> Document:
    """What ``search`` found."""
    return {
        "study": outcome.name,
        "front": [_network(record, outcome.further) for record in outcome.front],
        "trials": {str(state): number for state, number in outcome.counts.items()},
        "hypervolume": outcome.hypervolume,
        "report": str(outcome.report),
        "error": _words(outcome.error),
    }


def _network(record: "Record", further: tuple[str, ...]) -> Document:
    candidate = record.candidate
    document: Document = {"trial": record.trial, "arch_id": candidate.arch_id, "name": candidate.name}
    for metric in OBJECTIVES:
        document |= _measured(metric, record.measured(metric))
    document["seconds"] = record.spent.seconds
    document["arch"] = None if candidate.arch is None else plain(to_dict(candidate.arch))
    document["further"] = {runtime: _by_further(record, runtime) for runtime in further}
    return document


def _measured(metric: Metric, found: "Measured | None") -> Iterator[tuple[str, Plain]]:
    """The number of ``metric`` and its interval, where it has one, by their columns."""
    yield metric.name, None if found is None else found.value
    if metric.low:
        yield metric.low, None if found is None else found.low
        yield metric.high, None if found is None else found.high


def _by_further(record: "Record", runtime: str) -> Document:
    found = record.measured(LATENCY.by(runtime))
    note = record.further[runtime].note if runtime in record.further else ""
    numbers = (None, None, None) if found is None else (found.value, found.low, found.high)
    return {**dict(zip(("ms", "low_ms", "high_ms"), numbers, strict=True)), "note": note or None}


def of_plan(plan: "Plan") -> Document:
    """What ``search --dry-run`` says."""

    def tried(one: "TriedDesign") -> Document:
        return {
            "arch_id": one.design.arch_id,
            "params": one.design.cost.params,
            "macs": one.design.cost.macs,
            "latency_ms": one.latency_ms,
            "step_seconds": one.step.step_seconds,
        }

    return {
        "settings": plan.settings,
        "networks": plan.networks,
        "share_within_budget": plan.share_within_budget,
        "smallest": tried(plan.smallest),
        "largest": tried(plan.largest),
        "steps": plan.steps,
        "hours": plan.hours,
        "memory_gib": plan.memory_gib,
    }


def of_ablation(outcome: "AblationOutcome") -> Document:
    """What ``ablate`` found."""
    summary = outcome.summary
    return {
        "ablation": outcome.name,
        "factors": list(summary.factors),
        "base": {"name": outcome.base, **_variant(summary.base)},
        "variants": [_variant(variant) for variant in summary.others],
        "interactions": [
            {"value": one.value, "labels": dict(one.labels), **_compared(one.difference)}
            | {"p_holm": one.p_holm, "verdict": one.verdict_words}
            for one in summary.interactions
        ],
        "left_out": [{"labels": dict(one.labels), "reason": one.reason} for one in outcome.left_out],
        "seeds": list(summary.seeds),
        "precision": outcome.stopped or None,
        "report": str(outcome.report),
        "error": _words(outcome.error),
    }


def _variant(variant: "Variant") -> Document:
    return {
        "value": variant.value,
        "labels": dict(variant.labels),
        "matched": variant.matched or None,
        "arch_id": variant.arch_id,
        "runs": variant.runs,
        "failed": variant.failed,
        "accuracy": variant.accuracy,
        "spread": variant.spread,
        **_compared(variant.difference),
        "p_holm": variant.p_holm,
        "verdict": variant.verdict_words,
        **{name: value for metric in COSTS for name, value in _measured(metric, variant.costs.get(metric.name))},
        "notes": list(variant.notes),
    }


def _compared(difference: "Difference | None") -> Document:
    if difference is None:
        return dict.fromkeys(("difference", "interval", "effect_size", "p", "detectable", "pairs"))
    return {
        "difference": difference.mean,
        "interval": None if difference.low is None else [difference.low, difference.high],
        "effect_size": difference.effect_size,
        "p": difference.p,
        "detectable": difference.detectable,
        "pairs": difference.pairs,
    }


def of_ablation_plan(plan: "AblationPlan") -> Document:
    """What ``ablate --dry-run`` says."""
    return {
        "variants": [
            {
                "value": one.words,
                "labels": dict(one.variant.labels),
                "matched": one.variant.matched or None,
                "base": one.variant.is_base,
                "params": one.params,
                "macs": one.macs,
                "notes": list(one.variant.notes),
            }
            for one in plan.variants
        ],
        "left_out": [{"labels": dict(one.labels), "reason": one.reason} for one in plan.left_out],
        "seeds": list(plan.seeds),
        "runs": plan.runs,
        "known": plan.known,
        "hours": plan.hours,
        "memory_gib": plan.memory_gib,
    }


def of_latencies(outcome: "LatencyOutcome") -> Document:
    """What ``latency`` measured."""
    return {
        "measurements": [_measurement(one) for one in outcome.measurements],
        "verdicts": [
            {
                "runtime": one.runtime,
                "one": one.one,
                "other": one.other,
                "ratio": one.ratio,
                "interval": [one.low, one.high],
                "verdict": one.words,
            }
            for one in outcome.verdicts
        ],
        "error": _words(outcome.error),
    }


def _measurement(one: "Measurement") -> Document:
    document: Document = {"model": one.model, "runtime": one.runtime, "int8": one.int8, "target": one.target}
    document |= {"accuracy": one.accuracy, "stages_ms": one.stages, "error": _words(one.error)}
    if one.measured is None or one.conditions is None:
        return document | dict.fromkeys((*_OF_LATENCY, "interval_ms", *_FLAGS, *_OF_ARTEFACT, "conditions"))
    latency, artefact = asdict(one.measured.latency), asdict(one.measured.artefact)
    document |= {key: latency[key] for key in (*_OF_LATENCY, *_FLAGS)}
    document |= {key: artefact[key] for key in _OF_ARTEFACT}
    interval = [one.measured.latency.low_ms, one.measured.latency.high_ms]
    return document | {"interval_ms": interval, "conditions": dict(one.conditions.document)}


def _words(error: Exception | None) -> str | None:
    return None if error is None else str(error)
