"""Numbers as people write them ("6M", "1.2GMACs", "10ms", "4M..6M") and back; knows what each one limits."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from mvit_nas.errors import InputError

Metric = Literal["params", "macs", "latency_ms"]

_SCALE = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_NUMBER = r"(?P<number>\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)"
_QUANTITY = re.compile(rf"{_NUMBER}\s*(?P<unit>us|ms|s|[kmg]?(?:\s*(?:params|macs))?)", re.IGNORECASE)
_HINT = "write 6M or 500K (parameters), 1.2GMACs (multiply-adds), 10ms (latency), or a range such as 4M..6M"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit that a candidate must meet: ``low <= metric <= high``, in units of the metric (1, 1, ms)."""

    metric: Metric
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
        if self.low:
            return f"{format_metric(self.metric, self.low)} to {format_metric(self.metric, self.high)}"
        return f"at most {format_metric(self.metric, self.high)}"


def parse_budget(text: str) -> Budget:
    """The budget that ``text`` states: "6M", "500K params", "1.2GMACs", "10ms", "4M..6M".

    A bare number with K, M or G means parameters. Raises InputError that shows the text and the forms.
    """
    ends = [_quantity(end, text) for end in text.split("..")]
    if len(ends) == 1:
        metric, high = ends[0]
        return Budget(metric=metric or "params", low=0.0, high=high)
    if len(ends) != 2:
        raise InputError(f"cannot read the budget {text!r}: {_HINT}")
    (low_metric, low), (high_metric, high) = ends
    if low_metric and low_metric != high_metric:
        raise InputError(f"the budget {text!r} mixes two units: {_HINT}")
    if low > high:
        raise InputError(f"the budget {text!r} begins above its end")
    return Budget(metric=high_metric or "params", low=low, high=high)


def _quantity(end: str, text: str) -> tuple[Metric | None, float]:
    match = _QUANTITY.fullmatch(end.strip())
    if match is None:
        raise InputError(f"cannot read the budget {text!r}: {_HINT}")
    number = float(match["number"].replace("_", ""))
    unit = re.sub(r"\s", "", match["unit"].lower())
    if unit in _MILLISECONDS:
        return "latency_ms", number * _MILLISECONDS[unit]
    metric: Metric | None = None
    if unit.endswith("macs"):
        unit, metric = unit.removesuffix("macs"), "macs"
    elif unit.endswith("params"):
        unit, metric = unit.removesuffix("params"), "params"
    return metric, number * _SCALE[unit]


def format_count(value: float) -> str:
    """A count with K, M or G and three significant digits: 5578632 becomes "5.58M"."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= factor * 0.9995:
            digits = f"{value / factor:#.3g}"
            return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + suffix
    return f"{value:.3g}"


def format_metric(metric: str, value: float) -> str:
    """``value`` in the unit that its column stands for: "5.58M parameters", "1.05G MACs", "12.3 ms"."""
    if metric == "latency_ms":
        return f"{value:.3g} ms"
    if metric == "accuracy":
        return f"{100 * value:.1f} %"
    return f"{format_count(value)} {'parameters' if metric == 'params' else 'MACs'}"


def format_seconds(seconds: float) -> str:
    """A duration for people: "42 s", "3 min 10 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def parse_seconds(text: str) -> float:
    """Seconds of "90", "90s", "15min", "8h", "2d"; InputError otherwise."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?", text.strip().lower())
    if match is None or float(match[1]) <= 0:
        raise InputError(f"cannot read the duration {text!r}: write 90s, 15min, 8h or 2d")
    return float(match[1]) * {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}[match[2]]
