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
    DeviceError,
    InputError,
    InterruptedCleanlyError,
    MeasurementError,
    NothingFeasibleError,
    PartialError,
)
from mvit_nas.evaluate.estimator import Estimate, Estimator, Question, never
from mvit_nas.maths.seeds import derive_seed
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY, LATENCY, PARAMS
from mvit_nas.optimize.admission import Admission, ended
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.designs import Design
from mvit_nas.optimize.samplers import SAMPLERS, STARTUP_TRIALS
from mvit_nas.optimize.within_budget import presets_within, spread
from mvit_nas.reporter import Reporter
from mvit_nas.study.record import Cause, Measured, Record, Spent, State
from mvit_nas.study.store import DEATHS, Store
from mvit_nas.study.trial import Claimed, Proposal, Told, Wish

# First designs over the whole range of costs, at least, however many presets fit.
_FEWEST_SPREAD = 3
# The sampler that others are compared with.
BASELINE = "random"
# Proposals of the sampler that may be rejected one after the other before a feasible design is drawn for it.
_PATIENCE = 20
# Who proposed the first designs.
_PRESET, _FIRST_DESIGN = "preset", "first design"
# Between two looks at what other workers do.
_POLL_SECONDS = 1.0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A trial that is ``claimed``, and what is known of it so far."""

    claimed: Claimed
    told: Told


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
        progress_of: Callable[[Record], int] = lambda record: 0,
    ) -> None:
        """``latency_of`` measures; it raises MeasurementError for a network that it cannot measure.

        ``progress_of`` grows with what is kept of a training that has not ended.
        """
        self._store = store
        self._estimator = estimator
        self._candidates = candidates
        self._goal = candidates.goal
        self._admission = Admission(candidates, seed=limits.seed)
        self._limits = limits
        self._latency_of = latency_of
        self._reporter = reporter
        self._on_record = on_record
        self._should_stop = should_stop
        self._is_done = is_done
        self._progress_of = progress_of
        self._records: list[Record] = []
        self._seen: set[str] = set()
        self._lost = 0  # races for a network, since the last one that was won
        # What could not be measured before counts as not tried.
        self._unmeasured = store.unmeasured()
        self._retried = {record.trial for record in store.records() if record.cause is Cause.NOT_MEASURED}
        self._first_designs = self._chosen_first()
        self._is_begun = False
        self._refresh()
        self._is_begun = True

    @property
    def records(self) -> Sequence[Record]:
        """All records so far."""
        return self._records

    def finish(self, numbers: Sequence[int]) -> None:
        """Train the stopped trials ``numbers`` to the end. Raises InputError for others, and what ``run`` raises."""
        for wish in [self._store.stopped(number) for number in numbers]:
            self._try(Proposal(wish=wish))

    def look(self) -> None:
        """See what others found since."""
        self._refresh()

    def run(self, finish: Sequence[int] = ()) -> Sequence[Record]:
        """All records of the study when the trials are done, the time is up or the space is exhausted.

        First the stopped trials ``finish`` are trained to the end. Raises InputError, InterruptedCleanlyError,
        NothingFeasibleError or PartialError; the records are saved by then.
        """
        self.finish(finish)
        end = math.inf if self._limits.timeout_seconds is None else time.monotonic() + self._limits.timeout_seconds
        while time.monotonic() < end:
            self._refresh()
            left = self._limits.trials - self._evaluated()
            if left <= 0 or (self._has_just_trained() and self._is_done(self._records)):
                break
            if left <= len(running := self._store.running()):
                self._wait(running)
                continue
            proposal = self.next()
            if proposal is None:
                if not running:
                    self._reporter.say("all candidates within the budget that could be found were tried")
                    break
                self._wait(running)
                continue
            record = self._try(proposal)
            self._lost = self._lost + 1 if record is None else 0
            self._check_latency_budget()
        return self._records

    def _refresh(self) -> None:
        """Know what was found since, here or elsewhere, and tell of it; give back the trials of workers that died."""
        with self._store.seen_once():
            buried, records = self._store.bury(), self._store.records()
        if buried:
            self._reporter.say(f"{buried} trial{'s' if buried > 1 else ''} whose process ended starts again")
        known, self._records = {record.trial for record in self._records}, records
        self._seen = {
            record.candidate.arch_id
            for record in self._records
            if record.trial not in self._retried and (record.state.is_training or record.has(LATENCY))
        }
        new = [record for record in self._records if record.trial not in known]
        if any(record.has(LATENCY) for record in new):
            self._learn()
        for record in new if self._is_begun else ():
            self._on_record(record)

    def _has_just_trained(self) -> bool:
        return not self._records or self._records[-1].state.is_training

    def _wait(self, running: Sequence[Claimed]) -> None:
        self._check_stop()
        self._reporter.doing(f"waiting for {len(running)} trial{'s' if len(running) > 1 else ''} of other workers")
        time.sleep(_POLL_SECONDS)

    def _check_stop(self) -> None:
        if self._should_stop():
            raise InterruptedCleanlyError("stopped between two trials")

    def next(self) -> Proposal | None:
        """What is to be tried next; None where nothing is left.

        It follows from the records, and from nothing that a kill could take away.
        """
        self._check_stop()
        with self._store.seen_once():
            hopeless = [one for one in self._store.dead() if one.deaths >= DEATHS]
            if not hopeless:
                return self._next()
        for one in hopeless:
            told = self._admission.price(Proposal(wish=one.wish))
            told = ended(told, State.FAILED, f"its process died {one.deaths} times without getting further")
            self._take(self._store.note(Proposal(wish=one.wish), told))
        return self.next()

    def _next(self) -> Proposal | None:
        wishes = self._again() or self._instead() or self._open_first_designs()
        if not wishes:
            rejected = len(self._records) - max(
                (place for place, record in enumerate(self._records, start=1) if record.state.is_training), default=0
            )
            if not rejected or rejected % _PATIENCE:
                return self._store.propose(self._sampler(), lost=self._lost)
            wishes = self._untried(self._sampler())
        # After a lost race any of them, so that those who ask at once do not meet again.
        return Proposal(wish=random.choice(wishes) if self._lost else wishes[0]) if wishes else None

    def _again(self) -> list[Wish]:
        """What came to nothing, since its process died or it could not be measured."""
        running = {one.arch_id for one in self._store.running()}
        since = {record.candidate.arch_id for record in self._records if record.trial not in self._retried}
        unmeasured = [wish for identity, wish in self._unmeasured.items() if identity not in since | running]
        return [*(one.wish for one in self._store.dead()), *unmeasured]

    def _instead(self) -> list[Wish]:
        """What is tried in the place of a repetition, and of what was foreseen to be over the budget."""
        last, wish = self._records[-1] if self._records else None, self._store.last_wish()
        if last is None or wish is None:
            return []
        if last.state is not State.DUPLICATE and last.cause is not Cause.FORESEEN:
            return []
        return self._untried(last.proposed_by, near=wish.labels)

    def _open_first_designs(self) -> list[Wish]:
        """The first designs that nobody tried yet."""
        begun = {one.candidate.arch_id for one in self._records if one.proposed_by in (_PRESET, _FIRST_DESIGN)}
        if len(begun) >= len(self._first_designs):  # an earlier version may have had others
            return []
        tried = self._store.tried()
        return [wish for identity, wish in self._first_designs.items() if identity not in tried]

    def _try(self, proposal: Proposal) -> Record | None:
        """How the trial of ``proposal`` ended; None where others were first."""
        start = time.monotonic()
        begun = self.begin(proposal)
        if not isinstance(begun, Begun):
            return begun
        try:
            told = begun.told
            for step in (self._measure, self.evaluate):
                if told.record.is_complete:  # as long as nothing ended it
                    told = step(proposal, told)
            return self.complete(begun, _timed(told, start))
        except BaseException:
            self._store.release(begun.claimed)
            raise

    def begin(self, proposal: Proposal) -> Begun | Record | None:
        """Claim the trial of ``proposal``; its record where it ended before that, None where others were first."""
        start, wish = time.monotonic(), proposal.wish
        told = self._admission.price(proposal)
        if told.record.is_complete:
            told = self._unless_known(wish, told)
        if told.record.is_complete and not wish.must_measure:
            told = self._admission.unless_foreseen(told)
        if not told.record.is_complete:
            return self._take(self._store.note(proposal, _timed(told, start)))
        identity, steps = told.record.candidate.arch_id, self._progress_of(told.record)
        claimed = self._store.claim(proposal, identity, constraints=told.constraints, steps=steps)
        if claimed is None:
            return None
        told = replace(told, record=replace(told.record, trial=claimed.number))
        try:
            self._refresh()
            before = sum(one.number < claimed.number for one in self._store.running())
            if before >= self._limits.trials - self._evaluated() and not wish.must_finish:
                self._store.withdraw(claimed)  # others claimed the last that is wanted
                return None
        except BaseException:
            self._store.release(claimed)
            raise
        # Somebody may have finished it before it was claimed.
        return Begun(claimed=claimed, told=self._unless_known(wish, told))

    def complete(self, begun: Begun, told: Told) -> Record | None:
        """End what was begun; None where it was taken for dead meanwhile."""
        return self._take(told.record) if self._store.tell(begun.claimed, told) else None

    def _take(self, record: Record) -> Record:
        self._refresh()
        return record

    def _unless_known(self, wish: Wish, told: Told) -> Told:
        """Ended where it was tried before and need not be finished."""
        is_known = told.record.candidate.arch_id in self._seen and not wish.must_finish
        return ended(told, State.DUPLICATE, "evaluated before in this study") if is_known else told

    def _measure(self, proposal: Proposal, told: Told) -> Told:
        """Its latency, where that matters; ended where it is too slow or cannot be measured."""
        if not self._goal.needs_latency:
            return told
        record = told.record
        self._reporter.doing(f"measuring the latency of {record.label}")
        assert record.candidate.arch is not None
        try:
            latency = self._latency_of(record.candidate.arch)
        except MeasurementError as error:  # of this one network; it is tried again when the study is resumed
            told = replace(told, record=replace(record, cause=Cause.NOT_MEASURED))
            return ended(told, State.FAILED, f"latency not measured: {error}")
        told = replace(told, record=replace(record, latency_runs=latency.runs, latency_threads=latency.threads))
        measured = Measured(value=latency.median_ms, low=latency.low_ms, high=latency.high_ms)
        return self._admission.within_budget(told, {LATENCY.name: measured})

    def evaluate(self, proposal: Proposal, told: Told) -> Told:
        """What its training gave; ended where that failed or was stopped."""
        record = told.record
        params = PARAMS.format(record.values[PARAMS.name].value)
        self._reporter.doing(f"training {record.label} ({params})")
        must_finish = proposal.wish.must_finish
        question = Question(record=record, before=self._records, guess=proposal.guess, must_finish=must_finish)
        try:
            found = self._estimator.estimate(question, at_rung=never, should_stop=self._should_stop)
        except (InterruptedCleanlyError, PartialError, InputError, DeviceError, OSError):
            raise  # no candidate is to blame for these
        except Exception as error:  # A worker records what one candidate broke and goes on with the next.
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            told = replace(ended(told, State.FAILED, reason), traceback=traceback.format_exc())
        else:
            told = self._answered(told, found)
        return told

    def _answered(self, told: Told, found: Estimate) -> Told:
        """The trial with what its estimator ``found``."""
        record = replace(told.record, inherited_from=found.parent, reason=found.note)
        if found.failure:
            return ended(replace(told, record=record), State.FAILED, found.failure)
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
        return ended(
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

    def _chosen_first(self) -> dict[str, Wish]:
        """The published presets that fit, then designs over the whole range of costs; by the network."""
        presets = presets_within(self._candidates.designs, self._goal.budgets)
        # Presets are dear, and those outside the space tell the sampler nothing.
        others = max(_FEWEST_SPREAD, STARTUP_TRIALS - sum(not one.is_outside for one in presets))
        chosen = {
            one.arch_id: Wish(labels=one.labels, proposed_by=_PRESET, name=one.name, is_outside=one.is_outside)
            for one in presets
        }
        for one in spread(self._candidates.feasible.designs, others):
            chosen.setdefault(one.arch_id, Wish(labels=one.labels, proposed_by=_FIRST_DESIGN))
        return chosen

    def _untried(self, proposed_by: str, near: Mapping[str, Label] | None = None) -> list[Wish]:
        """A candidate that fits and was not tried, if there is one: one or two steps from ``near``, else drawn.

        The first that is predicted to fit, or the nearest to it of some: that one is measured, so that the prediction
        is put to the test and the search goes on.
        """
        generator = random.Random(derive_seed(self._limits.seed, "unseen", len(self._records) + self._lost))
        taken = self._seen | {one.arch_id for one in self._store.running()}
        chosen: Design | None = None
        least = math.inf
        for design in itertools.islice(self._candidates.untried(taken, near, generator), _COMPARED):
            excess = self._candidates.foreseen_excess(design)
            if excess < least:
                chosen, least = design, excess
            if least <= 0:
                break
        if chosen is None:
            return []
        must_measure = self._candidates.predictor is not None
        return [Wish(labels=chosen.labels, proposed_by=proposed_by, must_measure=must_measure)]

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


def _timed(told: Told, start: float) -> Told:
    """The trial, which took the time since ``start``."""
    spent = replace(told.record.spent, seconds=time.monotonic() - start)
    return replace(told, record=replace(told.record, spent=spent))
