"""What an ablation's table says: for each variant its accuracy, its paired difference from the base and its price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvit_nas.maths.pareto import Floats
from mvit_nas.maths.statistics import ALPHA, MIN_PAIRS, Difference, holm, paired_difference
from mvit_nas.results.table import PARAM, missing

# The column that says which cost a variant's width was rescaled to match; empty for the free ones.
MATCHED = f"{PARAM}matched"
_COSTS = ("params", "macs", "latency_ms", "latency_low_ms", "latency_high_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One value of the factor, or one pair of values of two, with what its runs say.

    ``accuracies`` holds one share for each of the summary's seeds, None where the run failed or is not there yet;
    ``accuracy`` is their mean and ``spread`` their standard deviation. ``difference`` is the one from the base, None
    for the base itself. ``runs`` counts the failed ones too. Costs are None where they were not measured.
    """

    labels: Mapping[str, str]
    matched: str
    is_base: bool
    arch_id: str
    runs: int
    failed: int
    accuracies: tuple[float | None, ...]
    accuracy: float | None
    spread: float | None
    difference: Difference | None
    p_holm: float | None
    verdict: str
    params: int | None
    macs: int | None
    latency_ms: float | None
    latency_low_ms: float | None
    latency_high_ms: float | None
    notes: tuple[str, ...]

    @property
    def value(self) -> str:
        """The variant in words: "4", "4 at equal macs", "patch_size 4, depth 1"."""
        return value_words(self.labels, self.matched)

    @property
    def words(self) -> str:
        """The variant in words that stand alone: "patch_size 4 at equal macs", "patch_size 4, depth 1"."""
        return self.value if len(self.labels) > 1 else f"{next(iter(self.labels))} {self.value}"

    @property
    def costs(self) -> dict[str, int | float | None]:
        """Parameters, MACs and latency by the names of their columns."""
        return {"params": self.params, "macs": self.macs, "latency_ms": self.latency_ms}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """How far two values together differ from the sum of what each does alone."""

    labels: Mapping[str, str]
    difference: Difference
    p_holm: float | None
    verdict: str

    @property
    def value(self) -> str:
        """The pair of values in words."""
        return value_words(self.labels, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """An ablation: its variants in the order of the plan, the base among them, and the interactions of two factors."""

    factors: tuple[str, ...]
    variants: tuple[Variant, ...]
    interactions: tuple[Interaction, ...]
    seeds: tuple[int, ...]

    @property
    def base(self) -> Variant:
        """The variant that all others are compared with."""
        return next(variant for variant in self.variants if variant.is_base)

    @property
    def others(self) -> tuple[Variant, ...]:
        """All variants but the base."""
        return tuple(variant for variant in self.variants if not variant.is_base)

    @property
    def largest(self) -> Variant | None:
        """The variant whose mean difference from the base is the largest either way; None before there is one."""
        known = [v for v in self.others if v.difference is not None and v.difference.mean is not None]
        return max(known, key=lambda v: abs(v.difference.mean), default=None)  # type: ignore[union-attr, arg-type]


def summarise(table: pd.DataFrame, environment: Mapping[str, Any]) -> Summary:
    """The summary of the runs in ``table``; ``environment["ablation"]`` holds the plan.

    Holm's correction is over all variants but the base, matched ones included, whether they were run yet or not;
    over the interactions it is taken apart.
    """
    plan = environment["ablation"]
    factors = tuple(plan["factors"])
    planned = plan["variants"]
    # Before the first run a table has no columns of factors.
    table = table.reindex(columns=list(dict.fromkeys([*table.columns, MATCHED, *(PARAM + name for name in factors)])))
    rows = [_rows(table, factors, variant) for variant in planned]
    seeds = tuple(sorted({int(seed) for seed in table["seed"].dropna()}))
    accuracies = [_by_seed(part, seeds) for part in rows]
    base = next(index for index, variant in enumerate(planned) if variant["is_base"])
    differences = [
        None
        if index == base
        else paired_difference(accuracies[index], accuracies[base], comparisons=max(1, len(planned) - 1))
        for index in range(len(planned))
    ]
    others = iter(holm([difference.p for difference in differences if difference is not None]))
    corrected = [None if difference is None else next(others) for difference in differences]
    variants = tuple(_variant(*parts) for parts in zip(planned, rows, accuracies, differences, corrected, strict=True))
    return Summary(
        factors=factors,
        variants=variants,
        interactions=_interactions(variants, accuracies) if len(factors) == 2 else (),
        seeds=seeds,
    )


def value_words(labels: Mapping[str, str], matched: str) -> str:
    """A variant in words: its value, or the names and values of two factors, and what it was matched to."""
    values = [f"{name} {label}" for name, label in labels.items()] if len(labels) > 1 else list(labels.values())
    return ", ".join(values) + (f" at equal {matched.removesuffix('_ms')}" if matched else "")


def verdict(difference: Difference, p_holm: float | None) -> str:
    """What a difference shows, in words."""
    if difference.pairs < MIN_PAIRS:
        return f"too few seeds ({difference.pairs} of at least {MIN_PAIRS})"
    if p_holm is None or difference.mean is None:
        return "no spread between seeds"
    if p_holm > ALPHA:
        return "no difference shown"
    return "better" if difference.mean > 0 else "worse"


def _rows(table: pd.DataFrame, factors: Sequence[str], variant: Mapping[str, Any]) -> pd.DataFrame:
    chosen: pd.Series[bool] = table[MATCHED] == variant["matched"]
    for factor in factors:
        chosen &= table[PARAM + factor] == variant["labels"][factor]
    found: pd.DataFrame = table[chosen]
    return found


def _by_seed(rows: pd.DataFrame, seeds: Sequence[int]) -> Floats:
    """One accuracy for each seed, NaN where the run failed or is not there yet."""
    known = dict(zip(rows["seed"].tolist(), rows["accuracy"].tolist(), strict=True))
    values = [known.get(seed) for seed in seeds]
    return np.array([np.nan if missing(value) else value for value in values], dtype=float)


def _variant(
    planned: Mapping[str, Any],
    rows: pd.DataFrame,
    accuracies: Floats,
    difference: Difference | None,
    p_holm: float | None,
) -> Variant:
    known = accuracies[~np.isnan(accuracies)]
    failed = int((rows["state"] == "failed").sum())
    if failed:
        words = f"failed in {failed} of {len(rows)} runs"
    elif not len(rows):
        words = "not run yet"
    else:
        words = "base" if difference is None else verdict(difference, p_holm)
    # All runs of a variant are one network; one that failed may have come to no measurement.
    costs = {name: next(iter(rows[name].dropna().tolist()), None) for name in _COSTS}
    return Variant(
        labels=dict(planned["labels"]),
        matched=planned["matched"],
        is_base=planned["is_base"],
        arch_id=planned["arch_id"],
        runs=len(rows),
        failed=failed,
        accuracies=tuple(None if np.isnan(value) else float(value) for value in accuracies),
        accuracy=float(known.mean()) if len(known) else None,
        spread=float(known.std(ddof=1)) if len(known) > 1 else None,
        difference=difference,
        p_holm=p_holm,
        verdict=words,
        notes=tuple(planned["notes"]),
        **costs,
    )


def _interactions(variants: Sequence[Variant], accuracies: Sequence[Floats]) -> tuple[Interaction, ...]:
    """For each pair of values that differ from the base's: together, less the one alone, less the other alone."""
    free = {tuple(v.labels.values()): values for v, values in zip(variants, accuracies, strict=True) if not v.matched}
    base = next(variant for variant in variants if variant.is_base)
    first, second = base.labels.values()
    pairs = [
        (variant.labels, a, b)
        for variant in variants
        if not variant.matched
        for a, b in [tuple(variant.labels.values())]
        if a != first and b != second and (a, second) in free and (first, b) in free
    ]
    differences = [
        paired_difference(
            free[a, b] - free[a, second], free[first, b] - free[first, second], comparisons=max(1, len(pairs))
        )
        for _, a, b in pairs
    ]
    corrected = holm([difference.p for difference in differences])
    return tuple(
        Interaction(
            labels=labels,
            difference=difference,
            p_holm=p,
            verdict={"better": "more than the sum", "worse": "less than the sum"}.get(
                words := verdict(difference, p), words
            ),
        )
        for (labels, _, _), difference, p in zip(pairs, differences, corrected, strict=True)
    )
