"""Counts and durations as people write them, and back."""

import re

from mvit_nas.errors import InputError


def format_count(value: float) -> str:
    """A count with K, M or G and three significant digits: 5578632 becomes "5.58M"."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= factor * 0.9995:
            digits = f"{value / factor:#.3g}"
            return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + suffix
    return f"{value:.3g}"


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
