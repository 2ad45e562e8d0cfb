"""The search: candidates are proposed, priced, admitted, evaluated and recorded until the limits are reached."""

import itertools
import math
import random
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.space import Label
from mvit_nas.cost.latency import Latency
from mvit_nas.errors import (
    InterruptedCleanlyError,
    InvalidArchError,
    MeasurementError,
    NothingFeasibleError,
    PartialError,
)
from mvit_nas.evaluate.estimator import Estimate, Estimator, Question, never
from mvit_nas.maths.seeds import derive_seed
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY, LATENCY, METRICS, PARAMS
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.designs import Design
from mvit_nas.optimize.samplers import SAMPLERS, STARTUP_TRIALS
from mvit_nas.optimize.within_budget import presets_within, spread
from mvit_nas.reporter import Reporter
from mvit_nas.study.record import Candidate, Cause, Measured, Record, Spent, State
from mvit_nas.study.store import Asked, Store, Told, Wish

# First designs over the whole range of costs, at least, however many presets fit.
_FEWEST_SPREAD = 3
# The sampler that others are compared with.
BASELINE = "random"
# Proposals of the sampler that may be rejected one after the other before a feasible design is drawn for it.
_PATIENCE = 20
# Candidates of which the one that is predicted nearest to the latency budget is taken where none is within it.
_COMPARED = 300
# A candidate is rejected for its latency only after it was measured, seconds each; so this many end the search.
_LATENCY_PATIENCE = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How a search proposes and when it ends.

    ``trials`` is a number of whole trainings: one that was stopped counts as the share of its epochs. ``sampler`` is
    one of SAMPLERS; of the proposals, the share ``baseline`` is drawn at random instead, to compare with.
    """

    trials: int
    seed: int
    sampler: str
    baseline: float = 0.0
    timeout_seconds: float | None = None


class Search:
    """Asks the store for candidates and evaluates them until the limits are reached."""

    def __init__(
        self,
        store: Store,
        estimator: Estimator,
        candidates: Candidates,
        limits: Limits,
        *,
        latency_of: Callable[[ArchConfig], Latency],
        reporter: Reporter,
        on_record: Callable[[Record], None] = lambda record: None,
        should_stop: Callable[[], bool] = never,
        is_done: Callable[[Sequence[Record]], bool] = never,
    ) -> None:
        """``latency_of`` measures; it raises MeasurementError for a network that it cannot measure."""
        self._store = store
        self._estimator = estimator
        self._candidates = candidates
        self._goal = candidates.goal
        self._limits = limits
        self._latency_of = latency_of
        self._reporter = reporter
        self._on_record = on_record
        self._should_stop = should_stop
        self._is_done = is_done
        self._records = store.records()
        self._retried = set(store.retry())
        self._seen = {
            record.candidate.arch_id
            for record in self._records
            if record.trial not in self._retried and (record.state.is_training or record.has(LATENCY))
        }
        self._learn()

    @property
    def records(self) -> Sequence[Record]:
        """All records so far."""
        return self._records

    def run(self, finish: Sequence[int] = ()) -> Sequence[Record]:
        """All records of the study when the trials are done, the time is up or the space is exhausted.

        First the stopped trials ``finish`` are trained to the end. Raises InputError, InterruptedCleanlyError,
        NothingFeasibleError or PartialError; the records are saved by then.
        """
        unfinished = {self._store.finish_stopped(number) for number in finish}
        while unfinished:  # what was queued before comes first
            record = self._next()
            if record.state is not State.DUPLICATE:
                unfinished.discard(record.candidate.arch_id)
        if self._store.is_new():
            self._queue_first_designs()
        end = math.inf if self._limits.timeout_seconds is None else time.monotonic() + self._limits.timeout_seconds
        rejected = 0
        while self._evaluated() < self._limits.trials and time.monotonic() < end:
            if not rejected and self._is_done(self._records):
                break
            if rejected and rejected % _PATIENCE == 0 and not self._queue_untried(self._sampler()):
                self._reporter.say("all candidates within the budget that could be found were tried")
                break
            record = self._next()
            rejected = 0 if record.state.is_training else rejected + 1
            self._check_latency_budget()
        return self._records

    def _next(self) -> Record:
        """Evaluate what is queued or proposed next."""
        asked, start = self._propose(), time.monotonic()
        told = self._price(asked)
        for step in (self._admit, self._evaluate):
            if told.record.is_complete:  # as long as nothing ended it
                told = step(asked, told)
        return self._record(asked, told, seconds=time.monotonic() - start)

    def _propose(self) -> Asked:
        """The next trial: what is queued, else what a sampler proposes."""
        if self._should_stop():
            raise InterruptedCleanlyError("stopped between two trials")
        return self._store.ask(self._sampler())

    def _price(self, asked: Asked) -> Told:
        """What network it is and what is counted of it; ended where it is none, or over the budget."""
        wish = asked.wish
        record = Record(
            trial=asked.number,
            state=State.COMPLETE,
            candidate=Candidate(arch=None, arch_id="", name=wish.name, labels={} if wish.is_outside else wish.labels),
            seed=self._limits.seed,
            proposed_by=wish.proposed_by,
        )
        designs = self._candidates.designs
        try:
            design = designs.presets[wish.name] if wish.name else designs.describe(wish.labels)
        except InvalidArchError as error:
            return Told(record=replace(record, state=State.INVALID, reason=str(error)))
        labels = {} if wish.is_outside else designs.effective(wish.labels)
        candidate = replace(record.candidate, arch=design.arch, arch_id=design.arch_id, labels=labels)
        return self._within_budget(Told(record=replace(record, candidate=candidate)), designs.values(design))

    def _admit(self, asked: Asked, told: Told) -> Told:
        """Its latency, where that matters; ended where it was tried before, is too slow or cannot be measured."""
        record, wish = told.record, asked.wish
        identity = record.candidate.arch_id
        if identity in self._seen and not wish.must_finish:
            self._queue_untried(wish.proposed_by, near=wish.labels)
            return _ended(told, State.DUPLICATE, "evaluated before in this study")
        if not self._goal.needs_latency:
            return told
        if not wish.must_measure:
            foreseen = self._surely_over(told)
            if not foreseen.record.is_complete:
                self._queue_untried(wish.proposed_by, near=wish.labels)
                return foreseen
        self._reporter.doing(f"measuring the latency of {record.label}")
        assert record.candidate.arch is not None
        try:
            latency = self._latency_of(record.candidate.arch)
        except MeasurementError as error:  # of this one network; it is tried again when the study is resumed
            self._seen.add(identity)
            told = replace(told, record=replace(record, cause=Cause.NOT_MEASURED))
            return _ended(told, State.FAILED, f"latency not measured: {error}")
        told = replace(told, record=replace(record, latency_runs=latency.runs, latency_threads=latency.threads))
        measured = Measured(value=latency.median_ms, low=latency.low_ms, high=latency.high_ms)
        told = self._within_budget(told, {LATENCY.name: measured})
        if not told.record.is_complete:
            self._seen.add(identity)
        return told

    def _evaluate(self, asked: Asked, told: Told) -> Told:
        """What its training gave; ended where that failed or was stopped."""
        record = told.record
        params = PARAMS.format(record.values[PARAMS.name].value)
        self._reporter.doing(f"training {record.label} ({params})")
        question = Question(record=record, before=self._records, guess=asked.guess, must_finish=asked.wish.must_finish)
        try:
            found = self._estimator.estimate(question, at_rung=never, should_stop=self._should_stop)
        except (InterruptedCleanlyError, PartialError, OSError):
            raise
        except Exception as error:  # A worker records what one candidate broke and goes on with the next.
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            told = replace(_ended(told, State.FAILED, reason), traceback=traceback.format_exc())
        else:
            told = self._answered(told, found)
        self._seen.add(record.candidate.arch_id)
        return told

    def _record(self, asked: Asked, told: Told, *, seconds: float) -> Record:
        """Keep how the trial ended, and learn from it."""
        record = replace(told.record, spent=replace(told.record.spent, seconds=seconds))
        self._store.tell(asked, replace(told, record=record))
        self._records.append(record)
        if record.has(LATENCY):
            self._learn()
        self._on_record(record)
        return record

    def _answered(self, told: Told, found: Estimate) -> Told:
        """The trial with what its estimator ``found``."""
        record = replace(told.record, inherited_from=found.parent)
        if found.failure:
            return _ended(replace(told, record=record), State.FAILED, found.failure)
        assert found.epochs is not None
        # What was stopped before went on from there, and that share has been counted.
        identity = record.candidate.arch_id
        before = sum(
            one.spent.trainings
            for one in self._records
            if one.state is State.STOPPED and one.candidate.arch_id == identity
        )
        spent = Spent(
            training_seconds=found.seconds,
            epochs=found.epochs,
            trainings=found.epochs / self._estimator.epochs - before,
            cached=found.was_known,
        )
        told = replace(told, record=replace(record, rungs=found.rungs, spent=spent), expected=found.expected)
        if found.accuracy is not None:
            values = {**record.values, ACCURACY.name: found.accuracy}
            if found.balanced is not None:
                values[BALANCED_ACCURACY.name] = found.balanced
            return replace(told, record=replace(told.record, values=values))
        assert found.expected is not None, "it was stopped for what is expected"
        return _ended(
            told,
            State.STOPPED,
            f"after epoch {found.epochs} of {self._estimator.epochs} at {100 * found.rungs[-1].accuracy:.1f} %: "
            f"{100 * found.expected.accuracy:.1f} % ± {100 * found.expected.deviation:.1f} % foreseen, "
            "behind what costs no more",
        )

    def _sampler(self) -> str:
        """Who proposes next: at random as soon as that has had less than its share of what was proposed."""
        proposed = [r.proposed_by for r in self._records if r.state.is_training and r.proposed_by in SAMPLERS]
        behind = proposed.count(BASELINE) < self._limits.baseline * (len(proposed) + 1)
        return BASELINE if behind else self._limits.sampler

    def _evaluated(self) -> float:
        """Whole trainings so far."""
        return sum(record.spent.trainings for record in self._records if record.trial not in self._retried)

    def _queue_first_designs(self) -> None:
        """The published presets that fit, then designs over the whole range of costs."""
        presets = presets_within(self._candidates.designs, self._goal.budgets)
        for one in presets:
            self._store.queue(Wish(labels=one.labels, proposed_by="preset", name=one.name, is_outside=one.is_outside))
        # Presets are dear, and those outside the space tell the sampler nothing.
        others = max(_FEWEST_SPREAD, STARTUP_TRIALS - sum(not one.is_outside for one in presets))
        for one in spread(self._candidates.feasible.designs, others):
            self._store.queue(Wish(labels=one.labels, proposed_by="first design"))

    def _queue_untried(self, proposed_by: str, near: Mapping[str, Label] | None = None) -> bool:
        """Queue a candidate that fits and was not tried: one or two steps from ``near``, else drawn.

        The first that is predicted to fit, or the nearest to it of some: that one is measured, so that the prediction
        is put to the test and the search goes on.
        """
        generator = random.Random(derive_seed(self._limits.seed, "unseen", len(self._records)))
        chosen: Design | None = None
        least = math.inf
        for design in itertools.islice(self._candidates.untried(self._seen, near, generator), _COMPARED):
            excess = self._candidates.foreseen_excess(design)
            if excess < least:
                chosen, least = design, excess
            if least <= 0:
                break
        if chosen is not None:
            must_measure = self._candidates.predictor is not None
            self._store.queue(Wish(labels=chosen.labels, proposed_by=proposed_by, must_measure=must_measure))
        return chosen is not None

    def _surely_over(self, told: Told) -> Told:
        """Ended where its latency need not be measured, with the constraints that it is predicted to break."""
        predictor, budgets = self._candidates.predictor, self._goal.latency_budgets
        if predictor is None or not budgets:
            return told
        ms, error = self._candidates.foreseen_ms(told.record.candidate), predictor.error_90
        limits = [str(b) for b in budgets if not b.low / (1 + error) <= ms <= b.high * (1 + error)]
        if not limits:
            return told
        told = replace(told, constraints={**told.constraints, **self._violations({LATENCY.name: Measured(value=ms)})})
        words = f"predicted {LATENCY.format(ms)} (± {100 * error:.0f} %), not measured; {' and '.join(limits)}"
        return _ended(told, State.OVER_BUDGET, words)

    def _within_budget(self, told: Told, values: Mapping[str, Measured]) -> Told:
        """``told`` with further ``values``; ended where they break a budget."""
        violations = self._violations(values)
        record = replace(told.record, values={**told.record.values, **values})
        told = replace(told, record=record, constraints={**told.constraints, **violations})
        broken = [
            f"{METRICS[budget.metric].format(values[budget.metric].value)} is not {budget}"
            for i, budget in enumerate(self._goal.budgets)
            if violations.get(f"{budget.metric}.{i}", 0.0) > 0
        ]
        return _ended(told, State.OVER_BUDGET, "; ".join(broken)) if broken else told

    def _violations(self, values: Mapping[str, Measured]) -> dict[str, float]:
        """How far ``values`` break the budgets that are on them, by constraint."""
        return {
            f"{budget.metric}.{i}": budget.violation(values[budget.metric].value)
            for i, budget in enumerate(self._goal.budgets)
            if budget.metric in values
        }

    def _learn(self) -> None:
        """Learn to predict latencies from the records so far, where they matter."""
        if self._goal.needs_latency:
            self._candidates.learn(self._records)

    def _check_latency_budget(self) -> None:
        """End a search in which everything measured so far was over the latency budget."""
        measured = [
            (ms, record.candidate.arch_id) for record in self._records if (ms := record.value(LATENCY)) is not None
        ]
        if len(measured) < _LATENCY_PATIENCE or self._evaluated():
            return
        fastest_ms, fastest = min(measured)
        limits = " and ".join(map(str, self._goal.latency_budgets))
        raise NothingFeasibleError(
            f"none of {len(measured)} measured candidates meets the budget ({limits}); the fastest seen, {fastest}, "
            f"takes {LATENCY.format(fastest_ms)}: raise the budget or widen the space"
        )


def _ended(told: Told, state: State, reason: str) -> Told:
    """The trial, which ends in ``state``; a failed training counts as a whole one."""
    spent = replace(told.record.spent, trainings=1.0) if state is State.FAILED else told.record.spent
    return replace(told, record=replace(told.record, state=state, reason=reason, spent=spent))
