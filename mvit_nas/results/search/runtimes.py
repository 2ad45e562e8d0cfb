"""What the further runtimes, on which the front was measured, say beside the one that the search measured on."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mvit_nas.budget import Budget
from mvit_nas.errors import InputError
from mvit_nas.maths.statistics import MIN_RANKED, RankCorrelation, rank_correlation
from mvit_nas.results.search.findings import budgets_of, front_rows, numbers
from mvit_nas.results.table import FURTHER, further_runtimes

_MEASURED = [name for name, kind in FURTHER.items() if kind == "Float64"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The front by a further runtime against the one that the search found.

    ``front`` and ``own_front`` are indices of the table's rows: the front of the measured candidates by this runtime's
    latency, best accuracy first, and the search's own one, whether measured here or not. ``kept`` are those of
    ``own_front`` that are on ``front``. ``ranks`` compares the two latencies of the candidates that have both.
    ``reasons`` counts the candidates that could not be measured, by why, and ``left_out`` the other trained ones that
    were not. ``over_budget`` counts the measured ones whose latency by this runtime breaks the search's budget on it.
    """

    runtime: str
    measured: int
    front: tuple[int, ...]
    own_front: tuple[int, ...]
    own_measured: tuple[int, ...]
    ranks: RankCorrelation
    reasons: Mapping[str, int]
    left_out: int
    over_budget: int

    @property
    def kept(self) -> tuple[int, ...]:
        """The rows of the search's front that stay on the front by this runtime."""
        return tuple(index for index in self.own_measured if index in self.front)


def measured_runtimes(table: pd.DataFrame) -> list[str]:
    """The further runtimes by which ``table`` holds at least one latency."""
    return [name for name in further_runtimes(table) if table[f"latency_ms.{name}"].notna().any()]


def seen_through(
    table: pd.DataFrame, environment: Mapping[str, Any], runtime: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The candidates that a further runtime was measured on with its latencies as theirs, and its conditions.

    The environment's ``view`` says so. It has no reference of the hypervolume, whose latency is the search's.
    """
    rows = table[table[f"latency_ms.{runtime}"].notna()]
    conditions = environment["front_latency"][runtime]
    further = [f"{name}.{other}" for other in further_runtimes(table) for name in FURTHER]
    seen = rows.drop(columns=further)
    for name in _MEASURED:
        seen[name] = rows[f"{name}.{runtime}"]
    # How often each was measured is known of the search's own runtime only.
    seen["latency_runs"] = pd.array([None] * len(seen), dtype="Int64")
    seen["latency_threads"] = pd.array([conditions["threads"]] * len(seen), dtype="Int64")
    names = set(seen["name"].dropna())
    return seen, {
        **environment,
        "latency": conditions,
        "front_latency": {},
        "hypervolume_reference": {},
        "presets": [name for name in environment["presets"] if name in names],
        "view": {
            "runtime": conditions["runtime"],
            "measured": len(seen),
            "trained": int((table["state"] == "complete").sum()),
        },
    }


def compare(table: pd.DataFrame, environment: Mapping[str, Any], runtime: str) -> Comparison:
    """What the latencies by ``runtime`` say of the front, the latency among the objectives replaced by them."""
    objectives = environment["experiment"]["objectives"]
    seen, _ = seen_through(table, environment, runtime)
    own = front_rows(table, objectives).index
    notes = table.loc[table[f"latency_ms.{runtime}"].isna(), f"latency_note.{runtime}"].dropna()
    budgets = _latency_budgets(environment)
    over = [value for value in seen["latency_ms"] if any(budget.violation(value) > 0 for budget in budgets)]
    both = numbers(table, ["latency_ms", f"latency_ms.{runtime}"])
    return Comparison(
        runtime=runtime,
        measured=len(seen),
        front=tuple(front_rows(seen, objectives).index),
        own_front=tuple(own),
        own_measured=tuple(index for index in own if index in seen.index),
        ranks=rank_correlation(both[:, 0], both[:, 1]),
        reasons={str(reason): int(count) for reason, count in notes.value_counts().items()},
        left_out=int((table["state"] == "complete").sum()) - len(seen) - len(notes),
        over_budget=len(over),
    )


def sentences(comparison: Comparison, environment: Mapping[str, Any]) -> list[str]:
    """The comparison in words."""
    return list(_sentences(comparison, environment))


def short_name(latency: Mapping[str, Any]) -> str:
    """The runtime of some conditions without its version: "ExecuTorch" of "ExecuTorch 1.5.2"."""
    return re.sub(r" \d\S*", "", latency["runtime"])


def measured_on(table: pd.DataFrame, environment: Mapping[str, Any]) -> list[str]:
    """All runtimes that there are latencies by, by the names of ``--runtime``: the search's own first."""
    return [*filter(None, [_own_runtime(environment)]), *measured_runtimes(table)]


def choose_runtime(
    table: pd.DataFrame, environment: Mapping[str, Any], runtime: str
) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """Table and environment as ``runtime`` shows them; InputError that lists the measured ones for any other."""
    known = measured_on(table, environment)
    if runtime not in known:
        raise InputError(f"--runtime {runtime!r}: nothing was measured on it; measured were {_list(known)}")
    if runtime == _own_runtime(environment):
        return table, environment
    return seen_through(table, environment, runtime)


def check_target(environment: Mapping[str, Any], target: str) -> None:
    """Raise InputError, which says where it was, when the latencies were not measured on ``target``."""
    latency = environment["latency"]
    if latency is None:
        raise InputError(f"--target {target!r}: no latency was measured")
    if target != {"this host": "host"}.get(latency["target"], latency["target"]):
        raise InputError(f"--target {target!r}: the latencies were measured on {latency['target']}")


def _sentences(comparison: Comparison, environment: Mapping[str, Any]) -> Iterator[str]:
    name = short_name(environment["front_latency"][comparison.runtime])
    if comparison.measured and environment["latency"] is not None:
        yield _ranks(comparison.ranks, short_name(environment["latency"]), name)
    if comparison.measured and "latency_ms" in environment["experiment"]["objectives"]:
        yield _front(comparison, name)
    elif comparison.measured:
        yield "Latency is no objective of this search, so its front is the same by any runtime."
    if comparison.over_budget:
        words = " and ".join(map(str, _latency_budgets(environment)))
        yield (
            f"{comparison.over_budget} of the {comparison.measured} measured "
            f"{'does' if comparison.over_budget == 1 else 'do'} not meet the budget ({words} latency) by {name}: "
            "the search held it by its own runtime."
        )
    if comparison.measured and comparison.left_out:
        yield (
            f"{comparison.left_out} other trained candidate{'s were' if comparison.left_out != 1 else ' was'} "
            f"not measured on {name}."
        )
    for reason, count in comparison.reasons.items():
        yield f"{_networks(count)} could not be measured: {reason}{'' if reason.endswith('.') else '.'}"


def _ranks(ranks: RankCorrelation, own: str, name: str) -> str:
    if ranks.rows < MIN_RANKED:
        return (
            f"{own} and {name} both measured {_networks(ranks.rows)}, too few to say whether they rank them alike: "
            f"that takes at least {MIN_RANKED}."
        )
    if ranks.tau is None or ranks.low is None or ranks.high is None:
        return f"{own} or {name} takes the same time for all {ranks.rows} networks, so there is nothing to rank."
    numbers_words = f"Kendall's tau {_tau(ranks.tau)} (95 % interval {_tau(ranks.low)} to {_tau(ranks.high)})"
    if ranks.tau == 1 and ranks.low > 0:
        return f"{own} and {name} rank these {ranks.rows} networks in the same order: {numbers_words}."
    if ranks.low > 0:
        return f"{own} and {name} rank these {ranks.rows} networks alike in part: {numbers_words}."
    if ranks.high < 0:
        return f"{own} and {name} rank these {ranks.rows} networks in opposite ways: {numbers_words}."
    return f"It is not shown that {own} and {name} rank these {ranks.rows} networks alike: {numbers_words}."


def _front(comparison: Comparison, name: str) -> str:
    kept, known = len(comparison.kept), len(comparison.own_measured)
    if not known:
        return f"No network of the front was measured on {name}."
    which = "on the front" if known == len(comparison.own_front) else f"of the front that were measured on {name}"
    how_many = f"All {known}" if kept == known > 1 else f"{kept or 'None'} of the {known}"
    words = f"{how_many} networks {which} {'stays' if kept == 1 else 'stay'} on it by {name}'s latency"
    joined = len(comparison.front) - kept
    if joined:
        words += f"; {joined} other{' joins' if joined == 1 else 's join'} it"
    return f"{words}."


def _own_runtime(environment: Mapping[str, Any]) -> str:
    """The name of the runtime that the search measured on; "" where it measured none or, an older one, did not say."""
    settings = environment["experiment"].get("latency")
    return settings["runtime"] if environment["latency"] is not None and settings is not None else ""


def _latency_budgets(environment: Mapping[str, Any]) -> list[Budget]:
    return [budget for budget in budgets_of(environment) if budget.metric == "latency_ms"]


def _networks(count: int) -> str:
    return f"{count} network{'s' * (count != 1)}"


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _tau(value: float) -> str:
    return f"{value:z.2f}".replace("-", "\u2212")
