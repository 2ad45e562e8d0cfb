"""What an ablation's table says: for each variant its score, its paired difference from the base and its price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mvit_nas.maths.pareto import Floats
from mvit_nas.maths.statistics import ALPHA, MIN_PAIRS, Difference, holm, paired_difference
from mvit_nas.metrics import COSTS, METRICS, Metric
from mvit_nas.study.origin import Ablated, PlannedVariant
from mvit_nas.study.record import Measured, Record, State


class Verdict(StrEnum):
    """What the difference of a variant from the base, or an interaction, shows, in words."""

    BASE = "base"
    BETTER = "better"
    WORSE = "worse"
    NOT_SHOWN = "no difference shown"
    NO_SPREAD = "no spread between seeds"
    TOO_FEW = "too few seeds"
    FAILED = "failed"
    NOT_RUN = "not run yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One value of the factor, or one pair of values of two, with what its runs say.

    ``scores`` holds one share for each of the summary's seeds, None where the run failed or is not there yet;
    ``score`` is their mean and ``spread`` their standard deviation. ``difference`` is the one from the base, None
    for the base itself. ``runs`` counts the failed ones too. ``costs`` are those that were measured, by metric.
    """

    labels: Mapping[str, str]
    matched: str
    is_base: bool
    arch_id: str
    runs: int
    failed: int
    scores: tuple[float | None, ...]
    score: float | None
    spread: float | None
    difference: Difference | None
    p_holm: float | None
    verdict: Verdict
    costs: Mapping[str, Measured]
    notes: tuple[str, ...]

    @property
    def value(self) -> str:
        """The variant in words: "4", "4 at equal macs", "patch_size 4, depth 1"."""
        return value_words(self.labels, self.matched)

    @property
    def words(self) -> str:
        """The variant in words that stand alone: "patch_size 4 at equal macs", "patch_size 4, depth 1"."""
        return full_words(self.labels, self.matched)

    @property
    def verdict_words(self) -> str:
        """The verdict in words, with the numbers that it hangs on."""
        if self.verdict is Verdict.FAILED:
            return f"failed in {self.failed} of {self.runs} runs"
        return _words(self.verdict, self.difference)

    def cost(self, metric: Metric) -> float | None:
        """What it costs by ``metric``; None where that was not measured."""
        found = self.costs.get(metric.name)
        return None if found is None else found.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """How far two values together differ from the sum of what each does alone."""

    labels: Mapping[str, str]
    difference: Difference
    p_holm: float | None
    verdict: Verdict

    @property
    def value(self) -> str:
        """The pair of values in words."""
        return value_words(self.labels, "")

    @property
    def verdict_words(self) -> str:
        """The verdict in words."""
        sums = {Verdict.BETTER: "more than the sum", Verdict.WORSE: "less than the sum"}
        return sums.get(self.verdict) or _words(self.verdict, self.difference)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """An ablation: its variants in the order of the plan, the base among them, and the interactions of two factors.

    ``metric`` is the score that they are judged by.
    """

    metric: Metric
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


def summarise(records: Sequence[Record], plan: Ablated, metric: Metric) -> Summary:
    """The summary of the runs in ``records``, which are those of ``plan``, by the score ``metric``.

    Holm's correction is over all variants but the base, matched ones included, whether they were run yet or not;
    over the interactions it is taken apart.
    """
    planned = plan.variants
    runs = [[record for record in records if _is_run_of(record, variant)] for variant in planned]
    seeds = tuple(sorted({record.seed for record in records if record.seed is not None}))
    scores = [_by_seed(part, seeds, metric) for part in runs]
    base = next(index for index, variant in enumerate(planned) if variant.is_base)
    comparisons = max(1, len(planned) - 1)
    differences = [
        None if index == base else paired_difference(found, scores[base], comparisons=comparisons)
        for index, found in enumerate(scores)
    ]
    others = iter(holm([difference.p for difference in differences if difference is not None]))
    corrected = [None if difference is None else next(others) for difference in differences]
    variants = tuple(_variant(*parts) for parts in zip(planned, runs, scores, differences, corrected, strict=True))
    return Summary(
        metric=metric,
        factors=plan.factors,
        variants=variants,
        interactions=_interactions(variants, scores) if len(plan.factors) == 2 else (),
        seeds=seeds,
    )


def value_words(labels: Mapping[str, str], matched: str) -> str:
    """A variant in words: its value, or the names and values of two factors, and what it was matched to."""
    values = [f"{name} {label}" for name, label in labels.items()] if len(labels) > 1 else list(labels.values())
    return ", ".join(values) + (f" at equal {METRICS[matched].option}" if matched else "")


def full_words(labels: Mapping[str, str], matched: str) -> str:
    """The same in words that stand alone, with the name of a single factor too."""
    words = value_words(labels, matched)
    return words if len(labels) > 1 else f"{next(iter(labels))} {words}"


def verdict(difference: Difference, p_holm: float | None) -> Verdict:
    """What a difference shows."""
    if difference.pairs < MIN_PAIRS:
        return Verdict.TOO_FEW
    if p_holm is None or difference.mean is None:
        return Verdict.NO_SPREAD
    if p_holm > ALPHA:
        return Verdict.NOT_SHOWN
    return Verdict.BETTER if difference.mean > 0 else Verdict.WORSE


def _words(one: Verdict, difference: Difference | None) -> str:
    if one is Verdict.TOO_FEW:
        return f"{one} ({0 if difference is None else difference.pairs} of at least {MIN_PAIRS})"
    return str(one)


def _is_run_of(record: Record, variant: PlannedVariant) -> bool:
    candidate = record.candidate
    return candidate.matched == variant.matched and all(
        candidate.labels.get(factor) == label for factor, label in variant.labels.items()
    )


def _by_seed(runs: Sequence[Record], seeds: Sequence[int], metric: Metric) -> Floats:
    """One score for each seed, NaN where the run failed or is not there yet."""
    known = {record.seed: record.value(metric) for record in runs}
    return np.array([known.get(seed) for seed in seeds], dtype=float)


def _variant(
    planned: PlannedVariant, runs: Sequence[Record], scores: Floats, difference: Difference | None, p: float | None
) -> Variant:
    known = scores[~np.isnan(scores)]
    failed = sum(record.state is State.FAILED for record in runs)
    if failed:
        found = Verdict.FAILED
    elif not runs:
        found = Verdict.NOT_RUN
    else:
        found = Verdict.BASE if difference is None else verdict(difference, p)
    # All runs of a variant are one network; one that failed may have come to no measurement.
    measured = {cost.name: [one for record in runs if (one := record.measured(cost)) is not None] for cost in COSTS}
    return Variant(
        labels=planned.labels,
        matched=planned.matched,
        is_base=planned.is_base,
        arch_id=planned.arch_id,
        runs=len(runs),
        failed=failed,
        scores=tuple(None if np.isnan(value) else float(value) for value in scores),
        score=float(known.mean()) if len(known) else None,
        spread=float(known.std(ddof=1)) if len(known) > 1 else None,
        difference=difference,
        p_holm=p,
        verdict=found,
        costs={name: values[0] for name, values in measured.items() if values},
        notes=planned.notes,
    )


def _interactions(variants: Sequence[Variant], scores: Sequence[Floats]) -> tuple[Interaction, ...]:
    """For each pair of values that differ from the base's: together, less the one alone, less the other alone."""
    free = {tuple(v.labels.values()): values for v, values in zip(variants, scores, strict=True) if not v.matched}
    base = next(variant for variant in variants if variant.is_base)
    first, second = base.labels.values()
    pairs = [
        (variant.labels, a, b)
        for variant in variants
        if not variant.matched
        for a, b in [tuple(variant.labels.values())]
        if a != first and b != second and (a, second) in free and (first, b) in free
    ]
    comparisons = max(1, len(pairs))
    differences = [
        paired_difference(free[a, b] - free[a, second], free[first, b] - free[first, second], comparisons=comparisons)
        for _, a, b in pairs
    ]
    corrected = holm([difference.p for difference in differences])
    return tuple(
        Interaction(labels=labels, difference=difference, p_holm=p, verdict=verdict(difference, p))
        for (labels, *_), difference, p in zip(pairs, differences, corrected, strict=True)
    )
