"""What keeps the trials of a search: a study of Optuna, in SQLite, in a database server or in memory.

A trial is claimed in one transaction: it is there, running, with its parameters, its network and its worker, or not at
all. So whoever has the higher number of two that claim the same network sees the other and gives way. Nothing is
queued: what is to be done is read from what was done. A finished trial carries its record as one attribute.
"""

import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import optuna
import sqlalchemy.exc
from optuna.distributions import CategoricalDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from mvit_nas.arch.space import Label
from mvit_nas.errors import InputError, PartialError
from mvit_nas.metrics import Metric
from mvit_nas.study.life import Alone, Life
from mvit_nas.study.record import Cause, Guess, Record, State
from mvit_nas.study.storage import open_study, reads_database
from mvit_nas.study.table import PARAM, from_document, is_first_format, to_document
from mvit_nas.study.trial import Claimed, Dead, Proposal, Told, Wish

# User attributes of a trial. Those of a wish: the preset that it stands for, that this is outside the space (so that
# its labels tell nothing), that its latency is measured whatever is predicted, that it is trained to the end whatever
# is foreseen, and who proposed it. Those of a claim: its network, its worker, and how far its training was. A finished
# trial has its record; one that was stopped has what it was expected to reach, as (accuracy, deviation). One that came
# to nothing, since its worker died or others were first, says that.
_PRESET = "preset"
OUTSIDE = "outside_space"
_MEASURE = "measure"
_WHOLE = "train_to_the_end"
_PROPOSED_BY = "proposed_by"
_NETWORK = "arch_id"
_WORKER = "worker"
_CLAIM = "claim"
_STEPS = "steps"
_LEFT = "left"
_BEATEN, _RELEASED, _DIED = "others were first", "given back", "its worker died"
_RECORD = "row"
EXPECTED = "expected_accuracy"
# Deaths of workers over one network, without its training getting further, after which it is given up.
DEATHS = 3
# Between two attempts to reach a database.
_AGAIN_SECONDS = 1.0

_T = TypeVar("_T")


class GuessingSampler(BaseSampler):
    """A sampler that needs no trial of its own, and may say what it ``guessed`` of the accuracy of its proposal."""

    guessed: Guess | None = None


class Store:
    """The trials of one search: a study of Optuna.

    A process that dies loses the running one at most, and that one is ``dead`` to the others. All that write raise
    PartialError where nothing can be written; what was told before is kept.
    """

    @reads_database
    def __init__(
        self,
        storage: BaseStorage | None,
        *,
        objectives: Sequence[Metric],
        choices: Mapping[str, Sequence[Label]],
        samplers: Callable[[str, int, int], BaseSampler],
        name: str = "search",
        life: Callable[[optuna.Study], Life] | None = None,
        patience_seconds: float = 0.0,
    ) -> None:
        """In memory without a ``storage``, which is waited for so long where it cannot be reached.

        ``samplers`` makes the sampler of a name for the proposal of a number, after so many that others were first to
        claim. ``life`` makes of the study what knows which workers are there; without it there is no other.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._objectives = objectives
        self._distributions: dict[str, Any] = {
            name: CategoricalDistribution(tuple(known)) for name, known in choices.items()
        }
        self._samplers = samplers
        self._patience_seconds = patience_seconds
        self._parsed: dict[int, Record] = {}
        self._snapshot: list[FrozenTrial] | None = None
        self.study = open_study(storage, objectives, name=name)
        self._life = Alone() if life is None else life(self.study)
        self._storage = self.study._storage
        self._directions = self.study.directions

    @contextmanager
    def seen_once(self) -> Iterator[None]:
        """All that is asked meanwhile is answered from one look at the trials: each look is a query."""
        before, self._snapshot = self._snapshot, None
        self._snapshot = self._trials()
        try:
            yield
        finally:
            self._snapshot = before

    def say(self, name: str, value: Any) -> None:
        """Write what the study says of itself."""
        self._patiently(lambda: self.study.set_user_attr(name, value))

    @reads_database
    def records(self) -> list[Record]:
        """Every finished trial, in order."""
        for trial in self._trials():
            if trial.number not in self._parsed and _RECORD in trial.user_attrs and trial.state.is_finished():
                self._parsed[trial.number] = _record(trial)
        return [self._parsed[number] for number in sorted(self._parsed)]

    def running(self) -> list[Claimed]:
        """The trials that living workers are at."""
        return [_claimed(one) for one in self._trials() if one.state == TrialState.RUNNING]

    def tried(self) -> set[str]:
        """Names of the networks that were ever claimed or recorded."""
        known = (one.user_attrs for one in self._trials())
        found = {str(attributes[_NETWORK]) for attributes in known if _NETWORK in attributes}
        return found | {record.candidate.arch_id for record in self.records()}

    def last_wish(self) -> Wish | None:
        """What the last of ``records`` was to be."""
        numbers = [record.trial for record in self.records()]
        if not numbers:
            return None
        trial = self._trials()[-1 if numbers[-1] is None else numbers[-1]]
        return _wish(trial.params, trial.user_attrs)

    def propose(self, sampler: str, *, lost: int = 0) -> Proposal:
        """What ``sampler`` proposes, after it ``lost`` so many proposals in a row to others.

        What came to nothing is not seen: a search that was killed goes on with the proposals that it would have made.
        """
        trials = [one for one in self._trials() if _LEFT not in one.user_attrs and one.state != TrialState.WAITING]
        made = self._samplers(sampler, len(trials), lost)
        if isinstance(made, GuessingSampler):
            trial = create_trial(state=TrialState.RUNNING)
            trial.number = len(trials)
            labels = made.sample_relative(self.study, trial, self._distributions)
            for name, known in self._distributions.items() if not labels else ():
                labels[name] = made.sample_independent(self.study, trial, name, known)
            return Proposal(wish=Wish(labels=labels, proposed_by=sampler), guess=made.guessed)
        # Optuna's want a trial of their own, and here one is claimed only when it is known what it trains.
        beside = optuna.create_study(directions=self._directions, sampler=made)
        beside.add_trials(trials)
        asked = beside.ask()
        labels = {name: asked.suggest_categorical(name, one.choices) for name, one in self._distributions.items()}
        return Proposal(wish=Wish(labels=labels, proposed_by=sampler), notes=beside.trials[-1].system_attrs)

    def claim(
        self, proposal: Proposal, arch_id: str, *, constraints: Mapping[str, float], steps: int
    ) -> Claimed | None:
        """Begin a trial of the network ``arch_id``, whose training is after ``steps``; None where others were first."""
        mine = {_NETWORK: arch_id, _WORKER: self._life.worker, _STEPS: steps}
        trial = self._add(proposal, TrialState.RUNNING, mine, constraints=constraints)
        before = (one for one in self._trials()[: trial.number] if one.user_attrs.get(_NETWORK) == arch_id)
        if any(one.state == TrialState.RUNNING for one in before):
            self._leave(trial, _BEATEN)
            return None
        return _claimed(trial)

    def note(self, proposal: Proposal, told: Told) -> Record:
        """Keep a trial that ended before anything was done for it, as it is now numbered."""
        attributes = {_NETWORK: told.record.candidate.arch_id, **_outcome(told)}
        state = TrialState.PRUNED if told.record.state is State.OVER_BUDGET else TrialState.FAIL
        trial = self._add(proposal, state, attributes, constraints=told.constraints)
        return replace(told.record, trial=trial.number)

    def tell(self, claimed: Claimed, told: Told) -> bool:
        """End a trial that was claimed; False where it was taken for dead meanwhile, so that it ended without this.

        Over the budget ends as PRUNED, from which TPE learns through the constraints, and so does a training that was
        stopped; what tells nothing about the space (a repetition, a failed training, no network at all, a preset
        outside it) ends as FAIL, which samplers ignore.
        """
        trial = self._trials()[claimed.number]
        further = {name: excess for name, excess in told.constraints.items() if name not in trial.constraints}

        def write() -> None:
            if further:
                running = optuna.Trial(self.study, trial._trial_id)
                for name, excess in further.items():
                    running.set_constraint(name, excess)
            # The record last: whoever finds it in a trial that runs may end that.
            for name, value in _outcome(told).items():
                self._storage.set_trial_user_attr(trial._trial_id, name, value)
            self._end(trial._trial_id, told.record, is_outside=claimed.wish.is_outside)

        try:
            self._patiently(write)
        except UpdateFinishedTrialError:
            return _RECORD in self._trials()[claimed.number].user_attrs
        return True

    def withdraw(self, claimed: Claimed) -> None:
        """End a trial that was claimed and is not wanted, for nobody to try again."""
        self._leave(self._trials()[claimed.number], _BEATEN)

    def release(self, claimed: Claimed) -> None:
        """Give a trial back that was claimed and not finished, for anyone to try again."""
        with suppress(PartialError):
            self._leave(self._trials()[claimed.number], _RELEASED)

    def bury(self) -> int:
        """End the trials of workers that are not there any more; how many there were.

        A trial that has its record is finished: its worker died before it could say so.
        """
        running = [one for one in self._trials() if one.state == TrialState.RUNNING]
        dead = self._life.dead({str(one.user_attrs.get(_WORKER, "")) for one in running}) if running else set()
        buried = 0
        for trial in running:
            if str(trial.user_attrs.get(_WORKER, "")) not in dead:
                continue
            if _RECORD in trial.user_attrs:
                is_outside = OUTSIDE in trial.user_attrs
                self._patiently(partial(self._end, trial._trial_id, _record(trial), is_outside=is_outside))
            else:
                self._leave(trial, _DIED)
                buried += 1
        return buried

    def dead(self) -> list[Dead]:
        """What is to be tried again: networks whose trials all came to nothing, the oldest first."""
        trials = [one for one in self._trials() if _NETWORK in one.user_attrs]
        alive = Counter(one.user_attrs[_NETWORK] for one in trials if _LEFT not in one.user_attrs)
        found: dict[str, Dead] = {}
        furthest: dict[str, int] = {}
        for one in trials:
            identity, left = str(one.user_attrs[_NETWORK]), one.user_attrs.get(_LEFT)
            if left is None or alive[identity] or left == _BEATEN:
                continue
            before = found.get(identity)
            steps = int(one.user_attrs.get(_STEPS, 0))
            deaths = before.deaths if before and steps <= furthest[identity] else 0
            furthest[identity] = max(steps, furthest.get(identity, 0))
            wish = _wish(one.params, one.user_attrs) if before is None else before.wish
            found[identity] = Dead(wish=wish, arch_id=identity, deaths=deaths + (left == _DIED))
        return list(found.values())

    def worked(self) -> tuple[int, int]:
        """How many processes claimed trials so far, and how many trials came to nothing since one ended."""
        trials = self._trials()
        workers = {one.user_attrs[_WORKER] for one in trials if _WORKER in one.user_attrs}
        return len(workers), sum(one.user_attrs.get(_LEFT) in (_DIED, _RELEASED) for one in trials)

    def unmeasured(self) -> dict[str, Wish]:
        """What could not be measured and was not done since, by the network."""
        trials, records = self._trials(), self.records()
        done = {record.candidate.arch_id for record in records if record.is_complete}
        failed = [one for one in records if one.cause is Cause.NOT_MEASURED and one.candidate.arch_id not in done]
        newest = {one.candidate.arch_id: trials[_number(one)] for one in failed}
        return {identity: _wish(trial.params, trial.user_attrs) for identity, trial in newest.items()}

    def stopped(self, number: int) -> Wish:
        """The stopped trial ``number``, to be trained to the end. Raises InputError for any other trial."""
        records = self.records()
        finished = {record.candidate.arch_id for record in records if record.is_complete}
        stopped = [
            _number(record)
            for record in records
            if record.state is State.STOPPED and record.candidate.arch_id not in finished
        ]
        if number not in stopped:
            known = f"the stopped ones are {', '.join(map(str, stopped))}" if stopped else "none was stopped"
            raise InputError(f"--finish {number}: there is no stopped trial {number}; {known}")
        trial = self._trials()[number]
        return replace(_wish(trial.params, trial.user_attrs), must_finish=True)

    def _add(
        self, proposal: Proposal, state: TrialState, attributes: Mapping[str, Any], *, constraints: Mapping[str, float]
    ) -> FrozenTrial:
        """A trial, written at once; not a second time where a connection broke after the first."""
        mark = uuid.uuid4().hex
        made = create_trial(
            state=state,
            params=dict(proposal.wish.labels),
            distributions={name: self._distributions[name] for name in proposal.wish.labels},
            user_attrs={**_attributes(proposal.wish), **attributes, _CLAIM: mark},
            system_attrs=dict(proposal.notes),
            constraints=dict(constraints),
        )

        def write() -> FrozenTrial:
            if (found := self._marked(mark)) is None:
                self.study.add_trial(made)
                found = self._marked(mark)
            assert found is not None, "it was just written"
            return found

        return self._patiently(write)

    def _marked(self, mark: str) -> FrozenTrial | None:
        trials = self.study.get_trials(deepcopy=False)
        return next((one for one in reversed(trials) if one.user_attrs.get(_CLAIM) == mark), None)

    def _leave(self, trial: FrozenTrial, why: str) -> None:
        """End ``trial``, which came to nothing, unless another process did: one that was asleep is taken for dead."""

        def write() -> None:
            with suppress(UpdateFinishedTrialError):
                self._storage.set_trial_user_attr(trial._trial_id, _LEFT, why)
                self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

        self._patiently(write)

    def _end(self, trial_id: int, record: Record, *, is_outside: bool) -> None:
        """End a trial that has its ``record``, unless another process did."""
        state, values = TrialState.FAIL, None
        if record.is_complete and not is_outside:
            state, values = TrialState.COMPLETE, [_objective(record, metric) for metric in self._objectives]
        elif record.state in (State.OVER_BUDGET, State.STOPPED):
            state = TrialState.PRUNED
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(trial_id, state, values)

    def _trials(self) -> list[FrozenTrial]:
        if self._snapshot is not None:
            return self._snapshot
        return self._patiently(lambda: self.study.get_trials(deepcopy=False))

    def _patiently(self, action: Callable[[], _T]) -> _T:
        """What ``action`` gives, tried again while a database server cannot be reached. Raises PartialError."""
        end = time.monotonic() + self._patience_seconds
        while True:
            try:
                return action()
            except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
                if time.monotonic() >= end:
                    reason = str(error.__cause__ or error).splitlines()[0]
                    raise PartialError(
                        f"cannot reach the study ({reason}); finished evaluations are kept: "
                        "make room or start its server, then go on with --resume"
                    ) from error
                time.sleep(_AGAIN_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """A study as whoever looks at it sees it: what it says of itself, and its trials with Unix times in seconds.

    ``finished`` are records and when they ended, ``running`` what is claimed and since when, ``left`` counts what came
    to nothing.
    """

    attributes: Mapping[str, Any]
    finished: tuple[tuple[Record, float], ...]
    running: tuple[tuple[Claimed, float], ...]
    left: int


@reads_database
def glance(storage: BaseStorage, name: str) -> Glance | None:
    """The study ``name`` as it is now; None where there is no such study."""
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return None
    trials = study.get_trials(deepcopy=False)
    return Glance(
        attributes=study.user_attrs,
        finished=tuple(
            (_record(one), one.datetime_complete.timestamp() if one.datetime_complete else 0.0)
            for one in trials
            if one.state.is_finished() and _RECORD in one.user_attrs
        ),
        running=tuple(
            (_claimed(one), one.datetime_start.timestamp() if one.datetime_start else 0.0)
            for one in trials
            if one.state == TrialState.RUNNING
        ),
        left=sum(one.user_attrs.get(_LEFT) in (_DIED, _RELEASED) for one in trials),
    )


def _wish(labels: Mapping[str, Any], attributes: Mapping[str, object]) -> Wish:
    return Wish(
        labels=dict(labels),
        proposed_by=str(attributes.get(_PROPOSED_BY, "")),
        name=str(attributes.get(_PRESET, "")),
        is_outside=OUTSIDE in attributes,
        must_measure=_MEASURE in attributes,
        must_finish=_WHOLE in attributes,
    )


def _attributes(wish: Wish) -> dict[str, object]:
    flags = {OUTSIDE: wish.is_outside, _MEASURE: wish.must_measure, _WHOLE: wish.must_finish}
    named: dict[str, object] = {_PRESET: wish.name} if wish.name else {}
    return named | {name: True for name, is_set in flags.items() if is_set} | {_PROPOSED_BY: wish.proposed_by}


def _outcome(told: Told) -> dict[str, object]:
    """What a finished trial carries, its record last; state and reason by themselves for whoever looks at the study."""
    record = told.record
    found: dict[str, object] = {"state": str(record.state)}
    found |= {"reason": record.reason} if record.reason else {}
    found |= {"traceback": told.traceback} if told.traceback else {}
    found |= {EXPECTED: (told.expected.accuracy, told.expected.deviation)} if told.expected is not None else {}
    return found | {_RECORD: to_document(record)}


def _claimed(trial: FrozenTrial) -> Claimed:
    return Claimed(
        number=trial.number,
        wish=_wish(trial.params, trial.user_attrs),
        arch_id=str(trial.user_attrs.get(_NETWORK, "")),
        worker=str(trial.user_attrs.get(_WORKER, "")),
    )


def _record(trial: FrozenTrial) -> Record:
    """What ``trial`` carries; in the first format its labels are the trial's own."""
    document = trial.user_attrs[_RECORD]
    if is_first_format(document):
        labels = {} if OUTSIDE in trial.user_attrs else {PARAM + name: label for name, label in trial.params.items()}
        document = {**labels, **document}
    return replace(from_document({**document, "trial": trial.number}), trial=trial.number)


def _number(record: Record) -> int:
    assert record.trial is not None, "the store numbers its trials"
    return record.trial


def _objective(record: Record, metric: Metric) -> float:
    value = record.value(metric)
    assert value is not None, f"{metric.name} of a complete trial is known"
    return float(value)
