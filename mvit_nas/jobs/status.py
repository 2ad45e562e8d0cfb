"""``mvit-nas status``: what the workers of a search do, how far it is, what it has found. It changes nothing."""

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mvit_nas.jobs.folders import folders_of
from mvit_nas.jobs.joined import published
from mvit_nas.metrics import Metric, metrics_of, score_of
from mvit_nas.results.view import front
from mvit_nas.settings.commands import SearchSettings
from mvit_nas.settings.study_file import parse_config
from mvit_nas.settings.workers import StatusSettings
from mvit_nas.study.record import Record, State

# Trainings over which the throughput is taken.
_RECENT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """A worker that is at the ``trial`` of the network ``arch_id`` since so many ``seconds``."""

    worker: str
    trial: int
    arch_id: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where a search stands. ``given_back`` are trials whose worker died or stopped; they are tried again.

    ``trainings_per_hour`` is over the last twenty, ``seconds_left`` follows from it; None where nothing is known.
    """

    name: str
    where: str
    done: float
    trials: int
    states: Mapping[State, int]
    given_back: int
    workers: tuple[AtWork, ...]
    trainings_per_hour: float | None
    seconds_left: float | None
    objectives: tuple[Metric, ...]
    score: Metric
    front: tuple[Record, ...]


def status(settings: StatusSettings) -> Status:
    """Where the search stands now. Raises InputError where there is none."""
    folders = folders_of(settings.name, settings.out)
    known = published(folders, settings.storage)
    fields = parse_config(known.experiment, folders.settings, SearchSettings)
    asked = SearchSettings(**{**fields, "name": settings.name, "out": settings.out})  # type: ignore[arg-type]
    records = [record for record, _ in known.trials.finished]
    objectives = metrics_of(asked.objectives)
    done = sum(record.spent.trainings for record in records)
    per_hour = _per_hour([ended for record, ended in known.trials.finished if record.state.is_training])
    left = max(0.0, asked.most_trials - asked.repeats - done)
    now = time.time()
    return Status(
        name=settings.name,
        where=settings.storage or str(folders.state),
        done=done,
        trials=asked.most_trials - asked.repeats,
        states=Counter(record.state for record in records),
        given_back=known.trials.left,
        workers=tuple(
            AtWork(worker=one.worker, trial=one.number, arch_id=one.arch_id, seconds=max(0.0, now - began))
            for one, began in known.trials.running
        ),
        trainings_per_hour=per_hour,
        seconds_left=None if not per_hour else 3600 * left / per_hour,
        objectives=objectives,
        score=score_of(objectives),
        front=tuple(records[index] for index in front(records, objectives)),
    )


def _per_hour(ended: Sequence[float]) -> float | None:
    recent = sorted(ended)[-_RECENT:]
    if len(recent) < 2 or recent[-1] <= recent[0]:
        return None
    return 3600 / statistics.mean(later - earlier for earlier, later in itertools.pairwise(recent))
