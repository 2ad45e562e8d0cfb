"""Latencies and what they hang on, for tests that measure none."""

from mvit_nas.cost.latency import LatencyConditions
from mvit_nas.cost.targets.target import TargetKind


def make_conditions(**changes: object) -> LatencyConditions:
    """Conditions on this host; ``changes`` are fields."""
    fields: dict[str, object] = {
        "machine": "m",
        "threads": 1,
        "precision": 0.01,
        "reference": "r",
        "reference_ms": 7.0,
        "reference_low_ms": 6.0,
        "reference_high_ms": 8.0,
        "reference_measurements": 3,
        "reliability": "",
        "runtime_name": "torch",
        "runtime_title": "PyTorch",
        "runtime_version": "2",
        "weight_bits": None,
        "target_name": "host",
        "target_kind": TargetKind.HOST,
    }
    return LatencyConditions(**(fields | changes))  # type: ignore[arg-type]
