"""What keeps the trials of a search: a study of Optuna, ask-and-tell on SQLite in write-ahead mode.

What is to be tried next, and how each trial ended. A finished trial carries its record as one attribute.
"""

import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy.exc
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from mvit_nas.arch.space import Label
from mvit_nas.errors import InputError, PartialError
from mvit_nas.metrics import Metric
from mvit_nas.study.database import check_database, reads_database
from mvit_nas.study.record import Cause, Guess, Record, State
from mvit_nas.study.table import PARAM, from_document, is_first_format, to_document

# User attributes of a trial. Those of a wish: the preset that it stands for, that this is outside the space (so that
# its labels tell nothing), that its latency is measured whatever is predicted, that it is trained to the end whatever
# is foreseen, and who proposed it. A finished trial has its record; one that was stopped has what it was expected to
# reach, as (accuracy, deviation).
_PRESET = "preset"
OUTSIDE = "outside_space"
_MEASURE = "measure"
_WHOLE = "train_to_the_end"
_PROPOSED_BY = "proposed_by"
_RECORD = "row"
EXPECTED = "expected_accuracy"


class GuessingSampler(BaseSampler):
    """A sampler that may say what it ``guessed`` of the accuracy of its last proposal."""

    guessed: Guess | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be tried: the ``labels`` of the space that ``proposed_by`` names, or the preset ``name``.

    Where ``is_outside``, the preset is no network of the space, and the labels are only the nearest to it.
    ``must_measure``: its latency is measured whatever is predicted. ``must_finish``: it is trained to the end whatever
    is foreseen, also where it was tried before.
    """

    labels: Mapping[str, Label]
    proposed_by: str
    name: str = ""
    is_outside: bool = False
    must_measure: bool = False
    must_finish: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The trial ``number``, which is running now, with what its sampler guessed of its accuracy, if it did."""

    number: int
    wish: Wish
    guess: Guess | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a trial ended, with what samplers learn from it beside its record.

    ``constraints`` say by how much each budget is broken, relative; met where 0 or below. ``expected`` is what a
    training that was stopped would have reached. ``traceback`` is that of an error in this program.
    """

    record: Record
    constraints: Mapping[str, float] = field(default_factory=dict)
    expected: Guess | None = None
    traceback: str = ""


class Store:
    """The trials of one search, kept in ``folder/study.db``; without a folder, in memory.

    A process that dies loses the running one at most. All that write raise PartialError where nothing can be written;
    what was told before is kept.
    """

    @reads_database
    def __init__(
        self,
        folder: Path | None,
        *,
        objectives: Sequence[Metric],
        choices: Mapping[str, Sequence[Label]],
        samplers: Callable[[str, int], BaseSampler],
    ) -> None:
        """``samplers`` makes the sampler of a name for the trial of a number."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._objectives = objectives
        self._choices = choices
        self._samplers = samplers
        self._running: dict[int, Trial] = {}
        self._parsed: dict[int, Record] = {}
        self.study = optuna.create_study(
            study_name="search",
            storage=None if folder is None else _storage(folder / "study.db"),
            directions=["maximize" if metric.maximise else "minimize" for metric in objectives],
            load_if_exists=True,
        )

    @reads_database
    def records(self) -> list[Record]:
        """Every finished trial, in order."""
        for trial in self._trials():
            if trial.number not in self._parsed and _RECORD in trial.user_attrs:
                self._parsed[trial.number] = _record(trial)
        return [self._parsed[number] for number in sorted(self._parsed)]

    def is_new(self) -> bool:
        """Whether nothing was asked or queued yet."""
        return not self._trials()

    def queue(self, wish: Wish) -> None:
        """Try ``wish`` before any sampler proposes another."""
        flags = {OUTSIDE: wish.is_outside, _MEASURE: wish.must_measure, _WHOLE: wish.must_finish}
        attributes: dict[str, object] = {name: True for name, is_set in flags.items() if is_set}
        attributes |= {_PRESET: wish.name} if wish.name else {}
        with _writing():
            self.study.enqueue_trial(dict(wish.labels), user_attrs={**attributes, _PROPOSED_BY: wish.proposed_by})

    def ask(self, sampler: str) -> Asked:
        """Begin the next trial: what is queued, else what ``sampler`` proposes."""
        made = self._samplers(sampler, len(self._trials()))
        self.study.sampler = made
        with _writing():
            trial = self.study.ask()
            labels = {name: trial.suggest_categorical(name, known) for name, known in self._choices.items()}
            if _PROPOSED_BY not in trial.user_attrs:
                trial.set_user_attr(_PROPOSED_BY, sampler)
        self._running[trial.number] = trial
        guess = made.guessed if isinstance(made, GuessingSampler) else None
        return Asked(number=trial.number, wish=_wish(labels, trial.user_attrs), guess=guess)

    def tell(self, asked: Asked, told: Told) -> None:
        """End a trial that was asked for.

        Over the budget ends as PRUNED, from which TPE learns through the constraints, and so does a training that was
        stopped; what tells nothing about the space (a repetition, a failed training, no network at all, a preset
        outside it) ends as FAIL, which samplers ignore.
        """
        trial, record = self._running.pop(asked.number), told.record
        with _writing():
            for name, excess in told.constraints.items():
                trial.set_constraint(name, excess)
            if told.traceback:
                trial.set_user_attr("traceback", told.traceback)
            if told.expected is not None:
                trial.set_user_attr(EXPECTED, (told.expected.accuracy, told.expected.deviation))
            trial.set_user_attr(_RECORD, to_document(record))
            if record.is_complete and not asked.wish.is_outside:
                self.study.tell(trial, [_objective(record, metric) for metric in self._objectives])
            elif record.state in (State.OVER_BUDGET, State.STOPPED):
                self.study.tell(trial, state=TrialState.PRUNED)
            else:
                self.study.tell(trial, state=TrialState.FAIL)

    def recover(self) -> int:
        """Queue again what ran when the last process died; how many there were."""
        stale = [trial for trial in self._trials() if trial.state == TrialState.RUNNING]
        for trial in stale:
            with _writing():
                self.study.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                self.queue(_wish(trial.params, trial.user_attrs))
        return len(stale)

    def retry(self) -> list[int]:
        """Queue again what could not be measured, each network once; the numbers of those trials."""
        trials, records = self._trials(), self.records()
        done = {record.candidate.arch_id for record in records if record.is_complete}
        failed = [record for record in records if record.cause is Cause.NOT_MEASURED]
        newest = {one.candidate.arch_id: _number(one) for one in failed if one.candidate.arch_id not in done}
        for number in newest.values():
            self.queue(_wish(trials[number].params, trials[number].user_attrs))
        return [_number(record) for record in failed]

    def finish_stopped(self, number: int) -> str:
        """Queue the stopped trial ``number`` again, to be trained to the end; its arch_id.

        Raises InputError for any other trial.
        """
        records = self.records()
        finished = {record.candidate.arch_id for record in records if record.is_complete}
        stopped = {
            _number(record): record.candidate.arch_id
            for record in records
            if record.state is State.STOPPED and record.candidate.arch_id not in finished
        }
        if number not in stopped:
            known = f"the stopped ones are {', '.join(map(str, stopped))}" if stopped else "none was stopped"
            raise InputError(f"--finish {number}: there is no stopped trial {number}; {known}")
        trial = self._trials()[number]
        self.queue(replace(_wish(trial.params, trial.user_attrs), must_finish=True))
        return stopped[number]

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)


def _storage(path: Path) -> optuna.storages.RDBStorage:
    check_database(path)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # kept in the file
    return storage


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise PartialError(
            f"cannot write the study ({reason}); finished evaluations are kept: make room, then go on with --resume"
        ) from error


def _wish(labels: Mapping[str, Any], attributes: Mapping[str, object]) -> Wish:
    return Wish(
        labels=dict(labels),
        proposed_by=str(attributes.get(_PROPOSED_BY, "")),
        name=str(attributes.get(_PRESET, "")),
        is_outside=OUTSIDE in attributes,
        must_measure=_MEASURE in attributes,
        must_finish=_WHOLE in attributes,
    )


def _record(trial: FrozenTrial) -> Record:
    """What ``trial`` carries; in the first format its number and labels are the trial's own."""
    document = trial.user_attrs[_RECORD]
    if is_first_format(document):
        labels = {} if OUTSIDE in trial.user_attrs else {PARAM + name: label for name, label in trial.params.items()}
        document = {"trial": trial.number, **labels, **document}
    return from_document(document)


def _number(record: Record) -> int:
    assert record.trial is not None, "the store numbers its trials"
    return record.trial


def _objective(record: Record, metric: Metric) -> float:
    value = record.value(metric)
    assert value is not None, f"{metric.name} of a complete trial is known"
    return float(value)
