"""What a command prints with ``--json``; the keys are documented in docs/json.md and kept."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from mvit_nas.arch.config import to_dict
from mvit_nas.arch.rules import Plain
from mvit_nas.metrics import COSTS, OBJECTIVES, Metric, score_of
from mvit_nas.settings.flag import plain

if TYPE_CHECKING:
    from mvit_nas.jobs import ablate, confirm, devices, latency, search, train
    from mvit_nas.maths.statistics import Difference
    from mvit_nas.results.ablation.summary import Variant
    from mvit_nas.study.confirmation import ConfirmedNetwork, Ranks
    from mvit_nas.study.record import Further, Measured, Record

Document = dict[str, Plain]
_OF_LATENCY = ("median_ms", "runs", "rounds", "clock", "wall_ms", "p90_ms", "threads")
_FLAGS = ("contended", "drifted", "agreed")
_OF_ARTEFACT = ("size_bytes", "delegated", "quantised", "difference")


def of_search(outcome: "search.Outcome") -> Document:
    """What ``search`` found."""
    score = score_of(outcome.objectives)
    return {
        "study": outcome.name,
        "front": [_network(record, outcome.further) for record in outcome.front],
        "trials": {str(state): number for state, number in outcome.counts.items()},
        "best_within": [
            {"part": one.part, "trial": None if one.best is None else one.best.trial, score.name: one.score(score)}
            for one in outcome.within
        ],
        "hypervolume": outcome.hypervolume,
        "forecast": None if outcome.forecast is None else asdict(outcome.forecast),
        "report": str(outcome.report),
        "error": _words(outcome.error),
    }


def _network(record: "Record", further: tuple[str, ...]) -> Document:
    candidate = record.candidate
    document: Document = {"trial": record.trial, "arch_id": candidate.arch_id, "name": candidate.name}
    for metric in OBJECTIVES:
        document |= _measured(metric, record.measured(metric))
    document["seeds"] = record.seeds
    document["seconds"] = record.spent.seconds
    document["arch"] = None if candidate.arch is None else plain(to_dict(candidate.arch))
    document["further"] = {runtime: _by_further(record.further.get(runtime)) for runtime in further}
    return document


def _measured(metric: Metric, found: "Measured | None") -> Iterator[tuple[str, Plain]]:
    """The number of ``metric`` and its interval, where it has one, by their columns."""
    yield metric.name, None if found is None else found.value
    if metric.low:
        yield metric.low, None if found is None else found.low
        yield metric.high, None if found is None else found.high


def _by_further(further: "Further | None") -> Document:
    note = further.note or None if further else None
    found = further.latency if further else None
    if found is None:
        return {**dict.fromkeys(("ms", "low_ms", "high_ms")), "note": note}
    return {"ms": found.value, "low_ms": found.low, "high_ms": found.high, "note": note}


def of_ablation(outcome: "ablate.Outcome") -> Document:
    """What ``ablate`` found."""
    summary = outcome.summary
    return {
        "ablation": outcome.name,
        "score": summary.metric.name,
        "factors": list(summary.factors),
        "base": {"name": outcome.base, **_variant(summary.base, summary.metric)},
        "variants": [_variant(variant, summary.metric) for variant in summary.others],
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


def _variant(variant: "Variant", score: Metric) -> Document:
    return {
        "value": variant.value,
        "labels": dict(variant.labels),
        "matched": variant.matched or None,
        "arch_id": variant.arch_id,
        "runs": variant.runs,
        "failed": variant.failed,
        score.name: variant.score,
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


def of_training(outcome: "train.Outcome") -> Document:
    """What ``train`` made."""
    return {
        "model": outcome.name,
        "folder": str(outcome.folder),
        "arch_id": outcome.arch_id,
        "schedule": outcome.schedule,
        "epochs": outcome.epochs,
        "validation": _plain_measured(outcome.validation),
        "test": None if outcome.test is None else _plain_measured(outcome.test),
        "temperature": outcome.temperature,
        "seconds": outcome.seconds,
    }


def _plain_measured(found: "Measured") -> Document:
    return {"accuracy": found.value, "low": found.low, "high": found.high}


def of_confirmation(outcome: "confirm.Outcome") -> Document:
    """What ``confirm`` found."""
    found = outcome.confirmation
    return {
        "study": outcome.name,
        "verdict": outcome.verdict,
        "take": found.take,
        "tied": list(found.tied),
        "networks": [_confirmed(one) for one in found.networks],
        "pairs": [
            {
                "trials": [pair.first, pair.second],
                "difference": pair.difference.value,
                "interval": [pair.difference.low, pair.difference.high],
                "p_holm": pair.p_holm,
                "shown": pair.is_shown,
            }
            for pair in found.pairs
        ],
        "ranks": {"networks": found.ranks.networks, "tau": found.ranks.tau, "interval": _interval(found.ranks)},
        "seeds": list(found.seeds),
        "schedule": plain(found.schedule),
        "images": found.images,
        "looks": [plain(one) for one in found.looks],
        "notes": list(found.notes),
        "report": str(outcome.report),
    }


def _confirmed(one: "ConfirmedNetwork") -> Document:
    accuracy, kept = one.accuracy, one.kept
    return {
        "trial": one.trial,
        "arch_id": one.arch_id,
        "name": one.label if one.label != one.arch_id else "",
        "test_accuracy": None if accuracy is None else accuracy.value,
        "interval": None if accuracy is None else [accuracy.low, accuracy.high],
        "by_seed": [plain(each) for each in one.seeds],
        "model": None if kept is None else kept.folder,
        "temperature": None if kept is None else kept.temperature,
        "failure": one.failure or None,
    }


def _interval(ranks: "Ranks") -> Plain:
    return None if ranks.tau is None else [ranks.low, ranks.high]


def of_confirm_plan(plan: "confirm.ConfirmPlan") -> Document:
    """What ``confirm`` would do."""
    return {key: plain(value) for key, value in asdict(plan).items()}


def of_latencies(outcome: "latency.Outcome") -> Document:
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


def _measurement(one: "latency.Measurement") -> Document:
    document: Document = {"model": one.model, "runtime": one.runtime, "int8": one.int8, "target": one.target}
    document |= {"accuracy": one.accuracy, "stages_ms": one.stages, "error": _words(one.error)}
    if one.measured is None or one.conditions is None:
        return document | dict.fromkeys((*_OF_LATENCY, "interval_ms", *_FLAGS, *_OF_ARTEFACT, "conditions"))
    found, artefact = asdict(one.measured.latency), asdict(one.measured.artefact)
    document |= {key: found[key] for key in (*_OF_LATENCY, *_FLAGS)}
    document |= {key: artefact[key] for key in _OF_ARTEFACT}
    interval = [one.measured.latency.low_ms, one.measured.latency.high_ms]
    return document | {"interval_ms": interval, "conditions": dict(one.conditions.document)}


def of_devices(found: "Sequence[devices.Device]", hint: str) -> Document:
    """What ``devices`` saw."""
    return {"devices": [_device(one) for one in found], "hint": hint}


def _device(device: "devices.Device") -> Document:
    machine = {} if device.machine is None else asdict(device.machine)
    machine.pop("runtime_version", None)
    doubts = [device.problem] if device.machine is None else list(device.machine.doubts)
    known = {"runtimes": dict(device.runtimes), "trusted": not doubts, "doubts": doubts}
    return {"target": device.target, **machine, **known}


def _words(error: Exception | None) -> str | None:
    return None if error is None else str(error)
