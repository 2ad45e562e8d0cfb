"""``mvit-nas doctor``: what of this machine a search needs, and what to type where something is wrong."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from mvit_nas.cost.runtimes.registry import RUNTIMES, is_installed
from mvit_nas.cost.targets.python import this_host
from mvit_nas.errors import MvitNasError
from mvit_nas.evaluate.cache import Cache, cache_folder
from mvit_nas.evaluate.short import training_threads
from mvit_nas.settings.workers import DoctorSettings
from mvit_nas.study.storage import closing, open_server

# A search of images keeps about so much: decoded images, checkpoints.
_ROOM_GIB = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of a ``part`` of the machine; ``remedy`` is what to do where something is wrong, else ""."""

    part: str
    found: str
    remedy: str = ""


def examine(settings: DoctorSettings) -> list[Finding]:
    """All findings, one for each part."""
    return [*_torch(), *_runtimes(), _latency(), _cache(), _disk(settings.out), *_storage(settings.storage)]


def _torch() -> Iterator[Finding]:
    yield Finding(part="torch", found=torch.__version__)
    for index in range(torch.cuda.device_count()):
        free, total = (one / 2**30 for one in torch.cuda.mem_get_info(index))
        yield Finding(
            part=f"cuda:{index}",
            found=f"{torch.cuda.get_device_name(index)}, {free:.1f} of {total:.1f} GiB free",
            remedy="end what else runs on it" if free < total / 2 else "",
        )
    threads, cores = training_threads(), os.cpu_count() or 1
    here = f"{threads} of {cores}" if threads < cores else str(cores)
    yield Finding(part="cores", found=f"{here}: mvit-nas search --jobs {threads} trains as many networks at once")


def _runtimes() -> Iterator[Finding]:
    for runtime in RUNTIMES.values():
        is_there = is_installed(runtime)
        found = f"{runtime.title}: {'installed' if is_there else 'not installed'}"
        remedy = "" if is_there else f"pip install 'mvit-nas[{runtime.extra}]', if latency shall be measured by it"
        yield Finding(part="runtime", found=found, remedy=remedy)


def _latency() -> Finding:
    doubts = this_host().machine("torch").doubts
    if not doubts:
        return Finding(part="latency", found="a measurement here can be trusted now")
    return Finding(part="latency", found="; ".join(doubts), remedy="measure when the machine is idle")


def _cache() -> Finding:
    folder = cache_folder()
    try:
        Cache(folder / "evaluations")
    except MvitNasError as error:
        return Finding(part="cache", found=str(error), remedy="set MVIT_NAS_CACHE to a folder of yours")
    return Finding(part="cache", found=f"{folder}: can be written; mvit-nas cache says what it holds")


def _disk(out: Path) -> Finding:
    free_gib = min(shutil.disk_usage(folder).free for folder in (cache_folder(), out)) / 2**30
    remedy = "make room: mvit-nas cache --older-than 30d --remove" if free_gib < _ROOM_GIB else ""
    return Finding(part="disk", found=f"{free_gib:.1f} GiB free where the cache and {out.resolve()} lie", remedy=remedy)


def _storage(url: str | None) -> Iterator[Finding]:
    if url is None:
        return
    try:
        with closing(open_server(url)) as storage:
            studies = len(storage.get_all_studies())
    except MvitNasError as error:
        yield Finding(part="storage", found=str(error), remedy="start the server, or ask for its address and user")
        return
    yield Finding(part="storage", found=f"can be used; it holds {studies} searches")
