"""Evaluations on disk, one small JSON file each, so that nothing is computed twice and nothing is lost."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from mvit_nas.errors import InputError, PartialError
from mvit_nas.files import write_text

# Plain values, of which a short name is made; and what is kept under it, whose keys are those of its maker.
Key = Mapping[str, object]
Document = dict[str, Any]

# Room for the last result when the disk is full.
_RESERVE_BYTES = 65536


def cache_folder() -> Path:
    """Where images and evaluations are kept: ``MVIT_NAS_CACHE``, else ``~/.cache/mvit-nas``."""
    return Path(os.environ.get("MVIT_NAS_CACHE") or Path.home() / ".cache" / "mvit-nas")


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
        except OSError as error:
            raise InputError(
                f"cannot write to the cache {folder} ({error.strerror}): make it writable or set MVIT_NAS_CACHE"
            ) from None

    def get(self, key: Key) -> Document | None:
        """The document of ``key``, or None where there is none that can be read."""
        try:
            document = json.loads(self._path(key).read_text())
        except (OSError, ValueError):
            return None
        return cast(Document, document["value"]) if document.get("key") == json.loads(json.dumps(key)) else None

    def put(self, key: Key, value: Document) -> None:
        """Keep ``value`` under ``key``. Raises PartialError, after it was saved, when the disk is full."""
        text = json.dumps({"key": key, "value": value}, sort_keys=True, allow_nan=False)
        try:
            write_text(self._path(key), text)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._reserve.unlink(missing_ok=True)
            write_text(self._path(key), text)
            raise PartialError(
                f"the disk of {self.folder} is full; the last result is saved: make room, then go on with --resume"
            ) from None

    def all(self) -> Iterator[tuple[Document, Document]]:
        """Every key with its document; what cannot be read is left out."""
        for path in sorted(self.folder.glob("*.json")):
            try:
                document = json.loads(path.read_text())
                yield document["key"], document["value"]
            except (OSError, ValueError, KeyError, TypeError):
                continue

    def _path(self, key: Key) -> Path:
        return self.folder / f"{digest(key)}.json"


def digest(key: Key) -> str:
    """A short name for ``key``, the same everywhere."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
