"""``mvit-nas cache``: what the cache holds, and what of it is not wanted any more."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mvit_nas.evaluate.cache import cache_folder
from mvit_nas.settings.workers import CacheSettings

# What each part of it is; what is lost of it is computed again.
KINDS = {
    "evaluations": "scores and latencies",
    "checkpoints": "trainings that are not finished",
    "weights": "of networks that were trained",
    "images": "decoded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One part of the cache: ``entries`` of so many bytes, of which ``chosen`` are old or too many."""

    name: str
    meaning: str
    entries: int
    size_bytes: int
    chosen: int
    chosen_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    kind: str
    path: Path
    used_at: float
    size_bytes: int


def look(settings: CacheSettings) -> tuple[Path, list[Kind]]:
    """The cache's folder and its parts; what was chosen is removed where that is asked for.

    Chosen is what was not used for so long, and, the longest unused first, what the rest is larger than it may be by.
    """
    folder = cache_folder()
    entries = sorted((one for kind in KINDS for one in _entries(folder, kind)), key=lambda one: one.used_at)
    chosen = _chosen(entries, settings)
    if settings.remove:
        for one in chosen:
            shutil.rmtree(one.path, ignore_errors=True) if one.path.is_dir() else one.path.unlink(missing_ok=True)
    return folder, [
        Kind(
            name=kind,
            meaning=meaning,
            entries=sum(one.kind == kind for one in entries),
            size_bytes=sum(one.size_bytes for one in entries if one.kind == kind),
            chosen=sum(one.kind == kind for one in chosen),
            chosen_bytes=sum(one.size_bytes for one in chosen if one.kind == kind),
        )
        for kind, meaning in KINDS.items()
    ]


def _chosen(entries: list[_Entry], settings: CacheSettings) -> list[_Entry]:
    now, left = time.time(), sum(one.size_bytes for one in entries)
    chosen = []
    for one in entries:
        is_old = settings.older_than_seconds is not None and now - one.used_at > settings.older_than_seconds
        is_too_many = settings.at_most_bytes is not None and left > settings.at_most_bytes
        if is_old or is_too_many:
            chosen.append(one)
            left -= one.size_bytes
    return chosen


def _entries(folder: Path, kind: str) -> Iterator[_Entry]:
    if not (folder / kind).is_dir():
        return
    for path in (folder / kind).iterdir():
        if path.name == "reserve" or path.suffix == ".lock":
            continue
        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        stats = [one.stat() for one in files]
        if stats:
            used = max(max(one.st_mtime, one.st_atime) for one in stats)
            yield _Entry(kind=kind, path=path, used_at=used, size_bytes=sum(one.st_size for one in stats))
