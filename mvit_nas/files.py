"""Files that are there whole or not at all, and folders that one process works in at a time."""

import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import filelock

from mvit_nas.errors import InputError


def open_regular(path: Path) -> BinaryIO:
    """The file ``path``, to be read. Raises OSError.

    A pipe or a device with the name of a file is refused before it is opened: it may block, or never end.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else "it is no regular file")
    return path.open("rb")


def read_regular(path: Path, *, most: int) -> bytes:
    """The content of the file ``path``, of at most so many bytes. Raises OSError as ``open_regular`` does."""
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes")
        return file.read(most)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then put it in its place; missing folders are made.

    Readers see the old file or the new one, never a part, also after the power failed. Raises what ``write`` raises,
    and OSError; ``path`` is then what it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    # Drawn, since two hosts that share a disk give the same numbers to their processes.
    return path.with_name(f".{path.name}-{secrets.token_hex(8)}.part")


# Also as earlier versions named them: by the number of a process, or by eight letters.
_TEMPORARY = re.compile(
    r"\..+(-[0-9a-f]{16}\.part|\.(json|csv|parquet|html|yaml|md|pt|safetensors|npz)([.-]\d+|-[a-z0-9_]{8}))"
)
_OLD_SECONDS = 24 * 3600


def sweep(folder: Path) -> None:
    """Remove what killed processes left of files that they were writing in ``folder``.

    A day after it was last written to: no process writes a file for so long, whatever host it runs on.
    """
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        remains = [Path(one) for one in entries if _TEMPORARY.fullmatch(one.name)]
    for one in remains:
        with suppress(OSError):  # another process sweeps, too, or it is another user's
            if time.time() - one.lstat().st_mtime > _OLD_SECONDS:
                shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()


def write_text(path: Path, text: str) -> None:
    """``write_whole`` of a text."""
    write_whole(path, lambda temporary: temporary.write_text(text, "utf-8", newline=""))


def replace_folder(path: Path, made: Path) -> None:
    """Put the folder ``made``, of the same disk, in the place of ``path``. Raises OSError.

    A kill in between leaves no folder there, but never a part of one.
    """
    before = _beside(path)
    if path.exists():
        path.rename(before)
    made.rename(path)
    shutil.rmtree(before, ignore_errors=True)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """``folder``, made where it is missing, kept from other processes meanwhile.

    Raises InputError where one works on it, and where it cannot be written to.
    """
    with ExitStack() as kept:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            is_ours = kept.enter_context(locked(folder / "lock", wait=False))
        except OSError as error:
            raise InputError(f"cannot write to {folder} ({error.strerror}): choose another --out") from None
        if not is_ours:
            raise InputError(f"another process is working on {folder}; wait for it or use another --name")
        sweep(folder)
        yield


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Whether the file ``path`` is locked for this process meanwhile, which the system undoes when it dies.

    Where another process has it, that is waited for, or it is not ours. Raises OSError.
    """
    lock = filelock.FileLock(path, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
