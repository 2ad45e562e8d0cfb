"""What a command prints with ``--json``; the keys are documented in docs/json.md and kept."""

def _latency_document(outcome: "LatencyOutcome") -> dict[str, Any]:
    """What ``latency --json`` prints; the keys are documented in docs/json.md and kept."""

    def plain(one: "Measurement") -> dict[str, Any]:
        document: dict[str, Any] = {"model": one.model, "runtime": one.runtime, "int8": one.int8, "target": one.target}
        document |= {"accuracy": one.accuracy, "stages_ms": one.stages, "error": str(one.error) if one.error else None}
        keys = ("median_ms", "interval_ms", "runs", "rounds", "clock", "wall_ms", "p90_ms", "threads")
        flags = ("contended", "drifted", "agreed")
        sizes = ("size_bytes", "delegated", "quantised", "difference")
        if one.measured is None:
            return document | dict.fromkeys((*keys, *flags, *sizes, "conditions"))
        latency, artefact = one.measured.latency, one.measured.artefact
        document |= {key: getattr(latency, key) for key in (*keys, *flags) if key != "interval_ms"}
        document |= {key: getattr(artefact, key) for key in sizes}
        return document | {"interval_ms": [latency.low_ms, latency.high_ms], "conditions": one.conditions}

    return {
        "measurements": [plain(one) for one in outcome.measurements],
        "verdicts": [
            {"runtime": one.runtime, "one": one.one, "other": one.other, "ratio": one.ratio}
            | {"interval": [one.low, one.high], "verdict": one.words}
            for one in outcome.verdicts
        ],
        "error": None if outcome.error is None else str(outcome.error),
    }


def _ablation_document(outcome: "AblationOutcome") -> dict[str, Any]:
    """What ``ablate --json`` prints; the keys are documented in docs/json.md and kept."""

    def compared(difference: "Difference | None") -> dict[str, Any]:
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

    def plain(variant: "Variant") -> dict[str, Any]:
        return {
            "value": variant.value,
            "labels": dict(variant.labels),
            "matched": variant.matched or None,
            "arch_id": variant.arch_id,
            "runs": variant.runs,
            "failed": variant.failed,
            "accuracy": variant.accuracy,
            "spread": variant.spread,
            **compared(variant.difference),
            "p_holm": variant.p_holm,
            "verdict": variant.verdict,
            "params": variant.params,
            "macs": variant.macs,
            "latency_ms": variant.latency_ms,
            "latency_low_ms": variant.latency_low_ms,
            "latency_high_ms": variant.latency_high_ms,
            "notes": list(variant.notes),
        }

    summary = outcome.summary
    return {
        "ablation": outcome.name,
        "factors": list(summary.factors),
        "base": {"name": outcome.base, **plain(summary.base)},
        "variants": [plain(variant) for variant in summary.others],
        "interactions": [
            {"value": one.value, "labels": dict(one.labels), **compared(one.difference)}
            | {"p_holm": one.p_holm, "verdict": one.verdict}
            for one in summary.interactions
        ],
        "left_out": [{"labels": dict(one.labels), "reason": one.reason} for one in outcome.left_out],
        "seeds": list(summary.seeds),
        "precision": outcome.stopped or None,
        "report": str(outcome.report),
        "error": None if outcome.error is None else str(outcome.error),
    }


def _ablation_plan_document(plan: "AblationPlan") -> dict[str, Any]:
    """What ``ablate --dry-run --json`` prints."""
    from mvit_nas.results.ablation.summary import value_words

    evaluator = plan.prepared.setup.evaluator
    return {
        "variants": [
            {
                "value": value_words(variant.labels, variant.matched),
                "labels": dict(variant.labels),
                "matched": variant.matched or None,
                "base": variant.is_base,
                **{key: getattr(evaluator.static_cost(variant.arch), key) for key in ("params", "macs")},
                "notes": list(variant.notes),
            }
            for variant in plan.prepared.plan.variants
        ],
        "left_out": [{"labels": dict(one.labels), "reason": one.reason} for one in plan.prepared.plan.left_out],
        "seeds": list(plan.prepared.experiment.seeds),
        "runs": plan.runs,
        "known": plan.known,
        "hours": plan.hours,
        "memory_gib": plan.memory_gib,
    }


def _search_document(outcome: "Outcome") -> dict[str, Any]:
    """What ``search --json`` prints; the keys are documented in docs/json.md and kept."""
    keys = [
        "trial",
        "arch_id",
        "name",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "params",
        "macs",
        "latency_ms",
        "latency_low_ms",
        "latency_high_ms",
        "seconds",
        "arch",
    ]
    front = [{key: row[key] for key in keys} for row in outcome.front]
    for row, known in zip(front, outcome.front, strict=True):
        row["arch"] = json.loads(row["arch"])
        row["further"] = {
            runtime: {name: known[f"latency_{name}.{runtime}"] for name in ("ms", "low_ms", "high_ms", "note")}
            for runtime in _further(outcome.front)
        }
    return {
        "study": outcome.name,
        "front": front,
        "trials": outcome.counts,
        "hypervolume": outcome.hypervolume,
        "report": str(outcome.report),
        "error": None if outcome.error is None else str(outcome.error),
    }


def _plan_document(plan: "Plan") -> dict[str, Any]:
    """What ``search --dry-run --json`` prints."""

    def plain(tried: "TriedDesign") -> dict[str, Any]:
        return {
            "arch_id": tried.design.arch_id,
            "params": tried.design.cost.params,
            "macs": tried.design.cost.macs,
            "latency_ms": tried.latency_ms,
            "step_seconds": tried.step.step_seconds,
        }

    return {
        "settings": plan.settings,
        "networks": plan.networks,
        "share_within_budget": plan.share_within_budget,
        "smallest": plain(plan.smallest),
        "largest": plain(plan.largest),
        "steps": plan.steps,
        "hours": plan.hours,
        "memory_gib": plan.memory_gib,
    }
