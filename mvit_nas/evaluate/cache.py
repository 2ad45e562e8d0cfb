"""Evaluations on disk, one small JSON file each, so that nothing is computed twice and nothing is lost."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mvit_nas.documents import read_json
from mvit_nas.errors import InputError, PartialError
from mvit_nas.files import sweep, write_text

T = TypeVar("T")
# Plain values, of which a short name is made; and what is kept under it, whose keys are those of its maker.
Key = Mapping[str, object]
Document = dict[str, Any]

# What a document can be other than one: a bit that flipped may have changed any of it.
_UNREADABLE = (InputError, ValueError, KeyError, TypeError, AttributeError)

# Room for the last result when the disk is full.
_RESERVE_BYTES = 65536


def cache_folder() -> Path:
    """Where images and evaluations are kept: ``MVIT_NAS_CACHE``, else ``~/.cache/mvit-nas``."""
    return Path(os.environ.get("MVIT_NAS_CACHE") or Path.home() / ".cache" / "mvit-nas")


def share(folder: Path) -> None:
    """Keep them in ``folder`` from now on, for this process and those that it starts."""
    os.environ["MVIT_NAS_CACHE"] = str(folder.resolve())


class Cache:
    """Documents by key, in a folder.

    A document is written under another name and renamed, so that a kill leaves no half of one. A small reserve of
    disk space is given up to save a result when the disk is full; then PartialError says so.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reserve = folder / "reserve"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not self._reserve.exists():
                self._reserve.write_bytes(os.urandom(_RESERVE_BYTES))  # random: a file system cannot compress it away
            if not os.access(folder, os.W_OK):  # another user's: told now, not when the first training is to be kept
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise self._refusal(error) from None
        sweep(folder)

    def get(self, key: Key, read: Callable[[Document], T]) -> T | None:
        """What ``read`` makes of the document of ``key``, or None where there is none that can be read."""
        try:
            kept_key, value = _checked(self._path(key))
            return read(value) if kept_key == json.loads(json.dumps(key)) else None
        except _UNREADABLE:
            return None

    def has(self, key: Key) -> bool:
        """Whether there is a document of ``key`` that can be read."""
        return self.get(key, lambda value: value) is not None

    def put(self, key: Key, value: Document) -> None:
        """Keep ``value`` under ``key``. Raises PartialError, after it was saved, when the disk is full."""
        text = json.dumps({"checksum": _checksum(key, value), "key": key, "value": value}, sort_keys=True)
        try:
            write_text(self._path(key), text)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise self._refusal(error) from None
            self._reserve.unlink(missing_ok=True)
            write_text(self._path(key), text)
            raise PartialError(
                f"the disk of {self.folder} is full; the last result is saved: make room, then go on with --resume"
            ) from None

    def all(self) -> Iterator[tuple[Document, Document]]:
        """Every key with its document; what cannot be read is left out."""
        for path in sorted(self.folder.glob("*.json")):
            try:
                yield _checked(path)
            except _UNREADABLE:
                continue

    def _refusal(self, error: OSError) -> InputError:
        return InputError(
            f"cannot write to the cache {self.folder} ({error.strerror}): make it writable or set MVIT_NAS_CACHE"
        )

    def _path(self, key: Key) -> Path:
        return self.folder / f"{digest(key)}.json"


def _checked(path: Path) -> tuple[Document, Document]:
    """The key and the value that the file ``path`` keeps. Raises one of _UNREADABLE.

    The files of earlier versions have no checksum, and are believed where they are nothing but a key and its value.
    """
    document = read_json(path)
    key, value, checksum = document.pop("key"), document.pop("value"), document.pop("checksum", None)
    if document or not isinstance(key, dict) or not isinstance(value, dict):
        raise ValueError(f"{path} is no document of the cache")
    if checksum is not None and checksum != _checksum(key, value):
        raise ValueError(f"{path} is not as it was written")
    return key, value


def _checksum(key: Key, value: Document) -> str:
    text = json.dumps({"key": key, "value": value}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest(key: Key) -> str:
    """A short name for ``key``, the same everywhere."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
