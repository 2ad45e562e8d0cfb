"""When a search has found enough, for whoever works on it."""

from collections.abc import Sequence

from mvit_nas.maths.forecast import trainings_until_little
from mvit_nas.metrics import score_of
from mvit_nas.optimize.candidates import Goal
from mvit_nas.reporter import Reporter
from mvit_nas.results.view import SETTLED_GROWTH, SETTLED_SHARE, box_of, growth
from mvit_nas.results.within import foreseen
from mvit_nas.settings.commands import SearchSettings
from mvit_nas.study.record import Record
from mvit_nas.units import format_seconds


class Ending:
    """Says whether a search for ``goal`` ends before its number of trials, as its ``settings`` ask for."""

    def __init__(self, settings: SearchSettings, goal: Goal, reporter: Reporter) -> None:
        self._settings, self._objectives, self._reporter = settings, goal.objectives, reporter
        self._box = box_of(goal.objectives, [goal.reference[metric.name] for metric in goal.objectives])

    def is_done(self, records: Sequence[Record]) -> bool:
        """Whether it ends here."""
        return self.is_enough(records) or self._is_settled(records)

    def is_enough(self, records: Sequence[Record]) -> bool:
        """Whether ``--trials auto`` ends here."""
        if self._settings.trials != "auto":
            return False
        found = foreseen(records, self._settings.budgets, score_of(self._objectives), self._settings.sampler)
        return found is not None and found.is_little

    def _is_settled(self, records: Sequence[Record]) -> bool:
        settings = self._settings
        found = growth(records, self._objectives, self._box) if settings.stop_when_settled else None
        if found is None or not found.is_settled:
            return False
        done = sum(record.spent.trainings for record in records)
        left = settings.most_trials - done
        mean_seconds = sum(record.spent.seconds for record in records) / done
        self._reporter.say(
            f"settled: the hypervolume grew by less than {100 * SETTLED_GROWTH:g} % over the last "
            f"{100 * SETTLED_SHARE:.0f} % of the trainings; {left:.3g} of {settings.most_trials} trainings are saved, "
            f"about {format_seconds(left * mean_seconds)}"
        )
        return True


def trials_of(settings: SearchSettings, scores: Sequence[float] = ()) -> int:
    """How many trials there will be, with these ``scores`` so far, as far as that can be foreseen."""
    return trainings_until_little(scores) if settings.trials == "auto" else settings.trials
