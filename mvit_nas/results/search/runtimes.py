"""What the further runtimes, on which the front was measured, say beside the one that the search measured on."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mvit_nas.budget import Budget
from mvit_nas.errors import InputError
from mvit_nas.maths.statistics import MIN_RANKED, RankCorrelation, rank_correlation
from mvit_nas.metrics import LATENCY
from mvit_nas.results.page import counted
from mvit_nas.results.view import StudyView, numbers, through


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The front by a further runtime against the one that the search found.

    ``front`` and ``own_front`` are positions of the records: the front of the measured candidates by this runtime's
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
        """Those of the search's front that stay on the front by this runtime."""
        return tuple(index for index in self.own_measured if index in self.front)


def compare(view: StudyView, runtime: str) -> Comparison:
    """What the latencies by ``runtime`` say of the front, the latency among the objectives replaced by them."""
    metric = LATENCY.by(runtime)
    measured = view.where(lambda record: record.has(metric))
    seen = through(view, runtime)
    latencies = [record.value(LATENCY) or 0.0 for record in seen.records]
    budgets = _latency_budgets(view)
    further = [record.further[runtime] for record in view.records if runtime in record.further]
    reasons = Counter(one.note for one in further if one.latency is None and one.note)
    both = numbers(view.records, (LATENCY, metric))
    return Comparison(
        runtime=runtime,
        measured=len(measured),
        front=tuple(measured[index] for index in seen.front),
        own_front=view.front,
        own_measured=tuple(index for index in view.front if index in measured),
        ranks=rank_correlation(both[:, 0], both[:, 1]),
        reasons=dict(reasons.most_common()),
        left_out=len(view.trained) - len(measured) - reasons.total(),
        over_budget=sum(any(budget.violation(ms) > 0 for budget in budgets) for ms in latencies),
    )


def choose_runtime(view: StudyView, runtime: str) -> StudyView:
    """The search as ``runtime`` shows it; InputError that lists the measured ones for any other."""
    # Of the search's own: "" where it measured none or, an older one, did not say.
    own = "" if view.origin.latency is None else view.origin.experiment.runtime
    known = [*filter(None, [own]), *view.measured_runtimes]
    if runtime not in known:
        measured = ", ".join(known) or "none"
        raise InputError(f"--runtime {runtime!r}: nothing was measured on it; measured were {measured}")
    return view if runtime == own else through(view, runtime)


def check_target(view: StudyView, target: str) -> None:
    """Raise InputError, which says where it was, when the latencies were not measured on ``target``."""
    latency = view.origin.latency
    if latency is None:
        raise InputError(f"--target {target!r}: no latency was measured")
    if target != latency.target_name:
        raise InputError(f"--target {target!r}: the latencies were measured on {latency.target}")


def sentences(comparison: Comparison, view: StudyView) -> Iterator[str]:
    """The comparison in words."""
    name, own = view.origin.further[comparison.runtime].title, view.origin.latency
    if comparison.measured and own is not None:
        yield _ranks(comparison.ranks, own.title, name)
    if comparison.measured and LATENCY in view.objectives:
        yield _front(comparison, name)
    elif comparison.measured:
        yield "Latency is no objective of this search, so its front is the same by any runtime."
    if comparison.over_budget:
        words = " and ".join(map(str, _latency_budgets(view)))
        yield (
            f"{comparison.over_budget} of the {comparison.measured} measured "
            f"{'does' if comparison.over_budget == 1 else 'do'} not meet the budget ({words} latency) by {name}: "
            "the search held it by its own runtime."
        )
    if comparison.measured and comparison.left_out:
        were = "was" if comparison.left_out == 1 else "were"
        yield f"{counted(comparison.left_out, 'other trained candidate')} {were} not measured on {name}."
    for reason, count in comparison.reasons.items():
        yield f"{counted(count, 'network')} could not be measured: {reason}{'' if reason.endswith('.') else '.'}"


def _ranks(ranks: RankCorrelation, own: str, name: str) -> str:
    if ranks.rows < MIN_RANKED:
        few = f"{own} and {name} both measured {counted(ranks.rows, 'network')}, too few to say whether they rank them"
        return f"{few} alike: that takes at least {MIN_RANKED}."
    if ranks.tau is None or ranks.low is None or ranks.high is None:
        return f"{own} or {name} takes the same time for all {ranks.rows} networks, so there is nothing to rank."
    words, how = f"{own} and {name} rank these {ranks.rows} networks", "in opposite ways"
    if ranks.low > 0:
        how = "in the same order" if ranks.tau == 1 else "alike in part"
    elif ranks.high >= 0:
        words, how = f"It is not shown that {words}", "alike"
    interval = f"95 % interval {_tau(ranks.low)} to {_tau(ranks.high)}"
    return f"{words} {how}: Kendall's tau {_tau(ranks.tau)} ({interval})."


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


def _latency_budgets(view: StudyView) -> list[Budget]:
    return [budget for budget in view.origin.experiment.budgets if budget.metric == LATENCY.name]


def _tau(value: float) -> str:
    return f"{value:z.2f}".replace("-", "\u2212")
