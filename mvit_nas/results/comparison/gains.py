"""By how much one way of searching is better than another over their seeds, and what that shows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum

import numpy as np

from mvit_nas.maths.statistics import MIN_PAIRS, paired_difference, welch_interval
from mvit_nas.results.page import Json


class Verdict(StrEnum):
    """What a difference from the first method shows, in words."""

    MORE = "finds more"
    LESS = "finds less"
    NOT_SHOWN = "no difference shown"
    TIE = "tie"
    NOTHING = "nothing inside the box"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """How much more a method found than the first one, at equal compute, with its 95 % interval.

    ``pairs`` of seeds are what it is the mean over, where they are ``paired``. Where there is no interval, the ``note``
    says why. A tie is the same with every shared seed; where neither has any, there is nothing to compare.
    """

    verdict: Verdict
    difference: float
    interval: tuple[float, float] | None
    paired: bool
    pairs: int | None
    note: str | None


def gain_values(gain: Gain | None) -> dict[str, Json]:
    """As plain values, None where there is none."""
    return dict.fromkeys(field.name for field in fields(Gain)) if gain is None else asdict(gain)


def gain_of(values: Mapping[int, float], base: Mapping[int, float]) -> Gain:
    """The difference of what was found by seed: paired where the seeds are shared, otherwise Welch's."""
    shared = [seed for seed in values if seed in base]
    paired = len(shared) >= MIN_PAIRS or set(values) == set(base)
    interval: tuple[float, float] | None
    if paired:
        found = paired_difference([values[seed] for seed in shared], [base[seed] for seed in shared])
        assert found.mean is not None, "methods have seeds"
        difference, seeds = found.mean, len(shared)
        interval = None if found.low is None or found.high is None else (found.low, found.high)
    else:
        one, two = (np.array(list(known.values())) for known in (values, base))
        difference, seeds = float(one.mean() - two.mean()), min(len(one), len(two))
        interval = welch_interval(one, two)
    note = None
    tie = paired and all(values[seed] == base[seed] for seed in shared)
    if interval is None:
        few = "one seed: no spread is known" if seeds == 1 else f"{seeds} seeds: too few for an interval"
        note = few if seeds < MIN_PAIRS else "all seeds differ by the same"
        note = f"the same with {'the one seed' if seeds == 1 else f'all {seeds} seeds'}" if tie else note
    pairs = seeds if paired else None
    verdict = Verdict.TIE if tie else _verdict(interval)
    if not any([*values.values(), *base.values()]):
        verdict, note = Verdict.NOTHING, "no network is inside the box"
    return Gain(verdict=verdict, difference=difference, interval=interval, paired=paired, pairs=pairs, note=note)


def _verdict(interval: tuple[float, float] | None) -> Verdict:
    if interval is None:
        return Verdict.UNKNOWN
    low, high = interval
    return Verdict.MORE if low > 0 else Verdict.LESS if high < 0 else Verdict.NOT_SHOWN
