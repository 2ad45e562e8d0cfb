"""What a table says: its front, and the best candidate and the knee in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvit_nas.arch.space import SearchSpace, parse_space
from mvit_nas.budget import Budget
from mvit_nas.errors import MvitNasError
from mvit_nas.maths import pareto
from mvit_nas.maths.exchange import AgainstRandom, against_random
from mvit_nas.metrics import format_metric
from mvit_nas.results.table import complete, missing, trainings

# Every objective: whether more is better, and the best it could be, which bounds the hypervolume's box.
MAXIMISE = {"accuracy": True, "params": False, "macs": False, "latency_ms": False}
IDEAL = {"accuracy": 1.0, "params": 0.0, "macs": 0.0, "latency_ms": 0.0}
COSTS = ("params", "macs", "latency_ms")
RANDOM = "random"  # the sampler that others are compared with, as the column proposed_by has it

STATE_WORDS = {
    "complete": "trained",
    "stopped": "stopped early",
    "over_budget": "over budget",
    "duplicate": "duplicate",
    "failed": "failed",
    "invalid": "invalid",
}
Row = Mapping[Any, Any]  # of a table, by column

_SMALLEST = {"params": "Fewest parameters", "macs": "Fewest MACs", "latency_ms": "Lowest latency"}
_MORE = {"params": ("more", "fewer"), "macs": ("more", "fewer"), "latency_ms": ("higher", "lower")}
_NOUN = {"params": "parameters", "macs": "MACs", "latency_ms": "latency"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the table says, in words: about which candidate, its facts, and how it compares."""

    title: str
    subject: str
    facts: tuple[str, ...]
    comparisons: tuple[str, ...]

    def sentences(self) -> list[str]:
        """The finding as plain sentences."""
        facts = ", ".join(([self.subject] if self.subject else []) + list(self.facts))
        return [f"{self.title}: {facts}.", *(f"{text}." for text in self.comparisons)]


def front_rows(table: pd.DataFrame, objectives: Sequence[str]) -> pd.DataFrame:
    """The trained rows of ``table`` that no other beats in every objective, one row an ``arch_id``.

    Best accuracy first; without accuracies, best in the first objective first. A row that lacks one of the
    objectives is not on the front.
    """
    trained = table[table["state"] == "complete"]
    mask = pareto.front(numbers(trained, objectives), [MAXIMISE[name] for name in objectives])
    first = "accuracy" if trained["accuracy"].notna().any() else objectives[0]
    ordered = trained[mask].sort_values(first, ascending=not MAXIMISE[first], kind="stable")
    return ordered[ordered["arch_id"].isna() | ~ordered["arch_id"].duplicated()]


def numbers(table: pd.DataFrame, columns: Sequence[str]) -> pareto.Floats:
    """The columns as an array of floats, one row each, NaN where nothing was measured."""
    return table[list(columns)].to_numpy(dtype=float, na_value=np.nan)


def headline(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[str]:
    """What to know first, in sentences: the best within the budget, the knee, each against the presets."""
    return [sentence for finding in findings(table, environment) for sentence in finding.sentences()]


def findings(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[Finding]:
    """The headline as data; never empty."""
    beside = random_comparison(table, environment)
    return [*leading_findings(table, environment), *lasting_findings(table, environment, beside)]


def leading_findings(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[Finding]:
    """The best within the budget and the knee, or that there are none."""
    return list(_best(table, environment)) if (table["state"] == "complete").any() else [_nothing(table)]


def lasting_findings(
    table: pd.DataFrame, environment: Mapping[str, Any], beside: AgainstRandom | None
) -> list[Finding]:
    """Those of the headline that hold whatever a reader limits the candidates to; ``beside`` is random_comparison's."""
    if not (table["state"] == "complete").any():
        return []
    found = []
    skipped = [
        f"{name} ({_why_not(table, name)})"
        for name in environment["presets"]
        if not ((table["name"] == name) & (table["state"] == "complete")).any()
    ]
    if skipped:
        found.append(Finding(title="Presets not compared", subject="", facts=tuple(skipped), comparisons=()))
    return [*found, *_against_random(environment, beside)]


def random_comparison(table: pd.DataFrame, environment: Mapping[str, Any]) -> AgainstRandom | None:
    """What the search found against the random sampling beside it; None where it had none."""
    experiment = environment["experiment"]
    # Earlier searches had no baseline, and do not say so.
    share, sampler = (experiment.get(name) for name in ("baseline", "sampler"))
    if not share or sampler in (None, RANDOM) or table["proposed_by"].isna().all() or not spans_box(environment):
        return None
    objectives, reference = experiment["objectives"], environment["hypervolume_reference"]
    ordered = table.sort_values("trial", kind="stable")
    values = numbers(ordered, objectives)
    values[(ordered["state"] != "complete").to_numpy(dtype=bool)] = np.nan
    return against_random(
        values,
        trainings(ordered),
        by_sampler=(ordered["proposed_by"] == sampler).to_numpy(dtype=bool, na_value=False),
        by_random=(ordered["proposed_by"] == RANDOM).to_numpy(dtype=bool, na_value=False),
        reference=[reference[name] for name in objectives],
        maximise=[MAXIMISE[name] for name in objectives],
        ideal=[IDEAL[name] for name in objectives],
    )


def space_of(environment: Mapping[str, Any]) -> SearchSpace | None:
    """The search space that was searched; None where the environment does not hold its file."""
    text = environment["space"].get("text")
    try:
        return parse_space(text, name="space", where="environment.json") if isinstance(text, str) else None
    except MvitNasError:
        return None


def spans_box(environment: Mapping[str, Any]) -> bool:
    """Whether hypervolume can be measured: the reference has all objectives, each worse than the ideal."""
    reference = environment["hypervolume_reference"]
    objectives = environment["experiment"]["objectives"]
    return all(name in reference and is_below_ideal(name, reference[name]) for name in objectives)


def is_below_ideal(objective: str, value: float) -> bool:
    """Whether ``value`` is worse than the best that the objective could be."""
    return value < IDEAL[objective] if MAXIMISE[objective] else value > IDEAL[objective]


def label(row: Row) -> str:
    """What people call a candidate: the name of the preset or else its arch_id."""
    return next((str(row[key]) for key in ("name", "arch_id") if not missing(row[key]) and row[key]), "unnamed")


def accuracy_words(environment: Mapping[str, Any]) -> str:
    """What every accuracy is: "validation accuracy, short schedule"."""
    return f"validation accuracy, {environment['experiment']['schedule']['name']} schedule"


def budgets_of(environment: Mapping[str, Any]) -> list[Budget]:
    """The budgets of the search."""
    return [Budget(**budget) for budget in environment["experiment"]["budgets"]]


def budget_words(environment: Mapping[str, Any]) -> list[str]:
    """The budgets in words: "at most 6M parameters"."""
    return [str(budget) for budget in budgets_of(environment)]


def interval_words(row: Row, metric: str) -> str:
    """The 95 % interval of accuracy or latency, "68.9 to 73.6 %"; empty where there is none.

    A further runtime's latency is "latency_ms.R".
    """
    metric, dot, runtime = metric.partition(".")
    low, high, scale, unit = {
        "accuracy": ("accuracy_low", "accuracy_high", 100, "%"),
        "latency_ms": (f"latency_low_ms{dot}{runtime}", f"latency_high_ms{dot}{runtime}", 1, "ms"),
    }[metric]
    if missing(row[low]) or missing(row[high]):
        return ""
    digits = ".1f" if metric == "accuracy" else "#.3g"
    # "#" keeps zeros, and a point after whole numbers.
    ends = (f"{scale * row[end]:{digits}}".rstrip(".") for end in (low, high))
    return f"{' to '.join(ends)} {unit}"


def change_words(cost: str, ratio: float) -> str:
    """How a cost differs from another, ``ratio`` times as high: "50 % more MACs", "the same latency"."""
    percent = 100 * (ratio - 1)
    more, fewer = _MORE[cost]
    if abs(percent) < 0.5:
        return f"the same {_NOUN[cost]}"
    return f"{abs(percent):.0f} % {more if percent > 0 else fewer} {_NOUN[cost]}"


def main_cost(table: pd.DataFrame, environment: Mapping[str, Any]) -> str:
    """The cost that matters first: a budget's, then an objective's, of those that were measured.

    Who looks at the page through another runtime asks for its latency.
    """
    experiment = environment["experiment"]
    wanted = [budget["metric"] for budget in experiment["budgets"]] + experiment["objectives"]
    if "view" in environment:
        wanted = ["latency_ms", *wanted]
    trained = table[table["state"] == "complete"]
    return next((name for name in wanted if name in COSTS and trained[name].notna().any()), "params")


def knee_row(table: pd.DataFrame, environment: Mapping[str, Any]) -> Row | None:
    """The trained row at the knee of accuracy against the main cost; None where that front has no knee."""
    scored = complete(table)
    cost = main_cost(table, environment)
    index = pareto.knee(numbers(scored, [cost])[:, 0], numbers(scored, ["accuracy"])[:, 0])
    return None if index is None else scored.iloc[index].to_dict()


def _best(table: pd.DataFrame, environment: Mapping[str, Any]) -> Iterator[Finding]:
    scored = complete(table)
    words = ", ".join(budget_words(environment))
    if scored.empty:
        for objective in environment["experiment"]["objectives"]:
            trained = table[(table["state"] == "complete") & table[objective].notna()]
            if not trained.empty:
                row = trained.sort_values(objective, kind="stable").iloc[0].to_dict()
                yield _finding(_SMALLEST[objective], row, table, environment)
        return
    # All that was trained is within the budget as the search measured it, not by another runtime's latency.
    within = [all(_meets(budget, row) for budget in budgets_of(environment)) for row in scored.to_dict("records")]
    if not any(within):
        facts = (f"none of the {len(scored)} trained ones does",)
        yield Finding(title=f"No candidate meets the budget ({words})", subject="", facts=facts, comparisons=())
        return
    scored = scored[within]
    cost = main_cost(table, environment)
    best = scored.sort_values(["accuracy", cost], ascending=[False, True], kind="stable").iloc[0].to_dict()
    title = f"Best within the budget ({words})" if words else "Best (no budget was set)"
    yield _finding(title, best, table, environment)
    knee = knee_row(scored, environment)
    if knee is not None:
        yield _finding(f"Knee of the front (accuracy against {_NOUN[cost]})", knee, table, environment)


def _meets(budget: Budget, row: Row) -> bool:
    value = row[budget.metric]
    return missing(value) or budget.violation(value) <= 0


def _finding(title: str, row: Row, table: pd.DataFrame, environment: Mapping[str, Any]) -> Finding:
    facts = []
    if not missing(row["accuracy"]):
        interval = interval_words(row, "accuracy")
        facts.append(
            f"{format_metric('accuracy', row['accuracy'])} {accuracy_words(environment)}"
            + (f" (95 % interval {interval})" if interval else "")
        )
    for cost in COSTS:
        if not missing(row[cost]):
            facts.append(format_metric(cost, row[cost]) + (" latency" if cost == "latency_ms" else ""))
    comparisons = []
    for name in environment["presets"]:
        presets = table[(table["name"] == name) & (table["state"] == "complete")]
        if not presets.empty and name != label(row):
            comparisons.append(f"Against {name}: {_difference(row, presets.iloc[0].to_dict())}")
    return Finding(title=title, subject=label(row), facts=tuple(facts), comparisons=tuple(comparisons))


def _difference(row: Row, preset: Row) -> str:
    parts = []
    if not missing(row["accuracy"]) and not missing(preset["accuracy"]):
        points = 100 * (row["accuracy"] - preset["accuracy"])
        sign = "the same accuracy" if abs(points) < 0.05 else f"{points:+.1f} accuracy points"
        parts.append(sign + (" (the intervals overlap)" if _overlap(row, preset) else ""))
    for cost in COSTS:
        if not missing(row[cost]) and not missing(preset[cost]):
            parts.append(change_words(cost, row[cost] / preset[cost]))
    return ", ".join(parts)


def _overlap(row: Row, other: Row) -> bool:
    ends = [row["accuracy_low"], row["accuracy_high"], other["accuracy_low"], other["accuracy_high"]]
    return not any(missing(end) for end in ends) and bool(ends[0] <= ends[3] and ends[2] <= ends[1])


def _against_random(environment: Mapping[str, Any], found: AgainstRandom | None) -> Iterator[Finding]:
    if found is None:
        return
    if found.p is None:
        fact = (
            f"{found.finished} trained candidates by {environment['experiment']['sampler']} and "
            f"{found.random_finished} drawn at random are too few to tell"
        )
    else:
        fact = (
            f"after {found.trainings:.1f} trainings each, hypervolume {found.hypervolume:.3f} against "
            f"{found.random_hypervolume:.3f} (p = {found.p:.2g}, by exchanging who proposed what)"
        )
    yield Finding(title="Against random sampling", subject="", facts=(fact,), comparisons=())


def _why_not(table: pd.DataFrame, name: str) -> str:
    rows = table[table["name"] == name]
    return "not tried" if rows.empty else STATE_WORDS[rows.iloc[-1]["state"]]


def _nothing(table: pd.DataFrame) -> Finding:
    counts = table["state"].value_counts()
    words = [f"{count} {STATE_WORDS[str(state)]}" for state, count in counts.items()]
    tried = f"{len(table)} tried: {', '.join(words)}" if words else "no trial has ended yet"
    return Finding(title="No candidate was trained to the end", subject="", facts=(tried,), comparisons=())
