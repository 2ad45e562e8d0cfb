"""Whether a candidate is worth a training: what is counted of it, and what its budgets say to that."""

from collections.abc import Mapping
from dataclasses import replace

from mvit_nas.errors import InvalidArchError
from mvit_nas.metrics import LATENCY, METRICS
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.study.record import Candidate, Cause, Measured, Record, State
from mvit_nas.study.trial import Proposal, Told


class Admission:
    """Prices what is proposed, and ends what the budgets of ``candidates`` do not admit."""

    def __init__(self, candidates: Candidates, *, seed: int) -> None:
        """``seed`` will decide the trainings."""
        self._candidates = candidates
        self._seed = seed

    def price(self, proposal: Proposal) -> Told:
        """What network it is and what is counted of it; ended where it is none, or over the budget."""
        wish = proposal.wish
        record = Record(
            trial=None,
            state=State.COMPLETE,
            candidate=Candidate(arch=None, arch_id="", name=wish.name, labels={} if wish.is_outside else wish.labels),
            seed=self._seed,
            proposed_by=wish.proposed_by,
        )
        designs = self._candidates.designs
        try:
            design = designs.presets[wish.name] if wish.name else designs.describe(wish.labels)
        except InvalidArchError as error:
            return Told(record=replace(record, state=State.INVALID, reason=str(error)))
        labels = {} if wish.is_outside else designs.effective(wish.labels)
        candidate = replace(record.candidate, arch=design.arch, arch_id=design.arch_id, labels=labels)
        return self.within_budget(Told(record=replace(record, candidate=candidate)), designs.values(design))

    def unless_foreseen(self, told: Told) -> Told:
        """Ended where its latency need not be measured, with the constraints that it is predicted to break."""
        predictor, budgets = self._candidates.predictor, self._candidates.goal.latency_budgets
        if predictor is None or not budgets:
            return told
        ms, error = self._candidates.foreseen_ms(told.record.candidate), predictor.error_90
        limits = [str(b) for b in budgets if not b.low / (1 + error) <= ms <= b.high * (1 + error)]
        if not limits:
            return told
        told = replace(told, constraints={**told.constraints, **self._violations({LATENCY.name: Measured(value=ms)})})
        words = f"predicted {LATENCY.format(ms)} (± {100 * error:.0f} %), not measured; {' and '.join(limits)}"
        told = replace(told, record=replace(told.record, cause=Cause.FORESEEN))
        return ended(told, State.OVER_BUDGET, words)

    def within_budget(self, told: Told, values: Mapping[str, Measured]) -> Told:
        """``told`` with further ``values``; ended where they break a budget."""
        violations = self._violations(values)
        record = replace(told.record, values={**told.record.values, **values})
        told = replace(told, record=record, constraints={**told.constraints, **violations})
        broken = [
            f"{METRICS[budget.metric].format(values[budget.metric].value)} is not {budget}"
            for i, budget in enumerate(self._candidates.goal.budgets)
            if violations.get(f"{budget.metric}.{i}", 0.0) > 0
        ]
        return ended(told, State.OVER_BUDGET, "; ".join(broken)) if broken else told

    def _violations(self, values: Mapping[str, Measured]) -> dict[str, float]:
        """How far ``values`` break the budgets that are on them, by constraint."""
        return {
            f"{budget.metric}.{i}": budget.violation(values[budget.metric].value)
            for i, budget in enumerate(self._candidates.goal.budgets)
            if budget.metric in values
        }


def ended(told: Told, state: State, reason: str) -> Told:
    """The trial, which ends in ``state``; a failed training counts as a whole one."""
    spent = replace(told.record.spent, trainings=1.0) if state is State.FAILED else told.record.spent
    return replace(told, record=replace(told.record, state=state, reason=reason, spent=spent))
