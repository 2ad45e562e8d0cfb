"""``mvit-nas worker``: one more process that works on a search, on this machine or another."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from mvit_nas.jobs.cores import own_core
from mvit_nas.jobs.crew import GPU_SHARE, is_orphan
from mvit_nas.jobs.ending import Ending
from mvit_nas.jobs.folders import Folders, folders_of, known_schedule
from mvit_nas.jobs.joined import check_made_with, joined, published, restore_settings
from mvit_nas.jobs.prepare import candidates_of, limits_of, prepare, search_of
from mvit_nas.reporter import Reporter
from mvit_nas.settings.commands import SearchSettings
from mvit_nas.settings.study_file import check_same, read_config
from mvit_nas.settings.workers import WorkerSettings
from mvit_nas.study.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What a worker did: the records that it saw come in, its own and others'."""

    name: str
    records: int


def work(settings: WorkerSettings, *, reporter: Reporter, should_stop: Callable[[], bool]) -> Worked:
    """Work on the search until it has what it was asked for.

    Raises InputError where there is none, and where this worker would give other numbers than the others.
    """
    folders = folders_of(settings.name, settings.out)
    known = published(folders, settings.storage)
    with own_core() as core:
        shared = "all cores of this machine have a worker: this one shares them"
        reporter.say(shared if core is None else f"this worker trains on core {core}")
        _share_gpu()
        searching = _settings(settings, folders)
        prepared = prepare(searching, reporter=reporter)
        begun_with = known_schedule(folders)
        assert begun_with is not None, "its settings were just written"
        check_same(prepared.settings, prepared.found, folders.settings, begun_with=begun_with.to_dict())
        check_made_with(prepared, known.made_with)
        prepared.load()
        seen: list[Record] = []
        candidates = candidates_of(prepared)
        with joined(prepared, candidates) as store:
            search = search_of(
                prepared,
                store,
                candidates,
                replace(limits_of(prepared.settings), timeout_seconds=known.seconds_left),
                reporter=reporter,
                on_record=seen.append,
                should_stop=lambda: should_stop() or is_orphan(),
                is_done=Ending(prepared.settings, candidates.goal, reporter).is_done,
            )
            search.run()
    return Worked(name=settings.name, records=len(seen))


def _share_gpu() -> None:
    """Take no more of the GPU's memory than the worker's share, where several work on it."""
    share = os.environ.get(GPU_SHARE)
    if share is not None and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(float(share))


def _settings(settings: WorkerSettings, folders: Folders) -> SearchSettings:
    """Those of the search, as they are here; kept where this machine has none of them yet."""
    restore_settings(folders, settings.storage)
    fields = read_config(folders.settings, SearchSettings)
    here = {"data": settings.data, "device": settings.device, "shared": settings.shared}
    fields |= {name: value for name, value in here.items() if value is not None}
    fields |= {"name": settings.name, "out": settings.out, "storage": settings.storage, "resume": True, "jobs": 1}
    fields |= {"jobs_per_gpu": None}
    return SearchSettings(**{**fields, "grace_seconds": settings.grace_seconds})  # type: ignore[arg-type]
