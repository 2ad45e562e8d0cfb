"""Limits as people write them: "6M", "1.2GMACs", "10ms", "4M..6M"."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mvit_nas.errors import InputError
from mvit_nas.metrics import METRICS, PARAMS, Form, Metric

_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_QUANTITY = re.compile(r"(?P<number>\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?P<unit>(?:[a-z][a-z\s]*)?)", re.IGNORECASE)
_HINT = "write 6M or 500K (parameters), 1.2GMACs (multiply-adds), 10ms (latency), or a range such as 4M..6M"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit that a candidate must meet: ``low <= metric <= high``, in the unit of the metric's column."""

    metric: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high or math.isinf(self.low) or self.high == 0:
            raise InputError(f"a budget must hold 0 <= low <= high and high > 0, got {self.low=}, {self.high=}")

    def violation(self, value: float) -> float:
        """How far ``value`` lies outside, relative to the limit that it breaks; 0 or below means it is met."""
        over = value / self.high - 1
        under = 1 - value / self.low if self.low else over
        return max(over, under)

    def __str__(self) -> str:
        metric = METRICS[self.metric]
        if self.low:
            return f"{metric.format(self.low)} to {metric.format(self.high)}"
        return f"at most {metric.format(self.high)}"


# The parts of the budgets within which people ask for the best: what can be had for less.
PARTS = (1.0, 1 / 2, 1 / 4, 1 / 8)


def part_words(part: float) -> str:
    """ "the budget", "1/2 of it"."""
    return "the budget" if part == 1.0 else f"1/{1 / part:.0f} of it"


def needed_part(budgets: Sequence[Budget], values: Sequence[float | None]) -> float:
    """The part of ``budgets`` that a candidate needs, at most 1 where it meets them all; 0 without budgets.

    ``values`` are what it has of each one's metric. NaN where one is not known or lies below a range.
    """
    pairs = list(zip(budgets, values, strict=True))
    if any(value is None or value < budget.low for budget, value in pairs):
        return math.nan
    return max((value / budget.high for budget, value in pairs if value is not None), default=0.0)


def parse_budget(text: str) -> Budget:
    """The budget that ``text`` states: "6M", "500K params", "1.2GMACs", "10ms", "4M..6M".

    A bare number with K, M or G means parameters. Raises InputError that shows the text and the forms.
    """
    ends = [_quantity(end, text) for end in text.split("..")]
    if len(ends) == 1:
        metric, high = ends[0]
        return Budget(metric=(metric or PARAMS).name, low=0.0, high=high)
    if len(ends) != 2:
        raise InputError(f"cannot read the budget {text!r}: {_HINT}")
    (low_metric, low), (high_metric, high) = ends
    if low_metric and low_metric != high_metric:
        raise InputError(f"the budget {text!r} mixes two units: {_HINT}")
    if low > high:
        raise InputError(f"the budget {text!r} begins above its end")
    return Budget(metric=(high_metric or PARAMS).name, low=low, high=high)


def _quantity(end: str, text: str) -> tuple[Metric | None, float]:
    match = _QUANTITY.fullmatch(end.strip())
    if match is not None:
        number = float(match["number"].replace("_", ""))
        unit = "".join(match["unit"].lower().split())
        if unit in _PREFIXES:
            return None, number * _PREFIXES[unit]
        for metric in METRICS.values():
            prefixes = _PREFIXES if metric.form is Form.COUNT else {"": 1.0}
            for name, factor in metric.units.items():
                prefix = unit.removesuffix(name)
                if unit.endswith(name) and prefix in prefixes:
                    return metric, number * factor * prefixes[prefix]
    raise InputError(f"cannot read the budget {text!r}: {_HINT}")
