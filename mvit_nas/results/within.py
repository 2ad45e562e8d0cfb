"""The best within the budget and within parts of it: what a search found, as a person asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from mvit_nas.budget import PARTS, Budget, needed_part, part_words
from mvit_nas.maths.forecast import Forecast, forecast
from mvit_nas.metrics import METRICS, Metric
from mvit_nas.study.record import Record

# The sampler whose searches were simulated.
SIMULATED = "cost-aware"


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """The best that was trained within ``part`` of the budgets; None where nothing was."""

    part: float
    best: Record | None

    def score(self, score: Metric) -> float | None:
        """Of the best."""
        return None if self.best is None else self.best.value(score)


def best_within(records: Sequence[Record], budgets: Sequence[Budget], score: Metric) -> tuple[Within, ...]:
    """One for each of PARTS that ``budgets`` can have, by ``score``; of equal ones the first. Empty without budgets."""
    trained = [(one, _needed(one, budgets)) for one in records if one.is_complete and one.has(score)]
    parts = [part for part in PARTS if budgets and all(budget.low <= part * budget.high for budget in budgets)]
    within = {part: [one for one, needed in trained if needed <= part] for part in parts}  # NaN is in none
    return tuple(
        Within(part=part, best=max(found, key=lambda one: one.value(score) or 0.0, default=None))
        for part, found in within.items()
    )


def within_words(found: Sequence[Within], score: Metric) -> str:
    """ "43.9 % within the budget, 42.8 % within 1/2, nothing within 1/4 of it"; empty without budgets."""
    parts = [f"{_words(one, score)} within {part_words(one.part)}" for one in found]
    return ", ".join([*(part.removesuffix(" of it") for part in parts[:-1]), *parts[-1:]])


def foreseen(
    records: Sequence[Record], budgets: Sequence[Budget], score: Metric, sampler: str | None
) -> Forecast | None:
    """What more trainings are expected to bring; None without budgets, and for a sampler that was not simulated."""
    scores = [value for one in records if one.is_complete and (value := one.value(score)) is not None]
    return forecast(len(scores), scores) if budgets and sampler == SIMULATED else None


def forecast_words(found: Forecast) -> str:
    """ "12 more trainings are expected to bring about 2.1 points (nine in ten simulated searches: at most 5.2)"."""
    return (
        f"{found.more} more trainings are expected to bring about {100 * found.gain:.1f} points "
        f"(nine in ten simulated searches: at most {100 * found.at_most:.1f})"
    )


def more_words(found: Forecast) -> str:
    """ "12 more trainings: about +2.1 points"."""
    return f"{found.more} more trainings: about {100 * found.gain:+.1f} points"


def _words(one: Within, score: Metric) -> str:
    value = one.score(score)
    return "nothing" if value is None else score.format(value)


def _needed(record: Record, budgets: Sequence[Budget]) -> float:
    return needed_part(budgets, [record.value(METRICS[budget.metric]) for budget in budgets])
