"""The cores of this machine among the workers on it: one each, so that their trainings do not wait for one another."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from mvit_nas.files import locked


@contextmanager
def own_core() -> Iterator[int | None]:
    """This process on a core that no other worker of this user has; None where all are taken, or none can be chosen.

    Call it before torch makes its threads: it makes as many as there are cores to run on.
    """
    with ExitStack() as kept:
        core = _taken(kept) if hasattr(os, "sched_setaffinity") else None
        if core is not None:
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {core})
            kept.callback(os.sched_setaffinity, 0, before)
        yield core


def measuring() -> AbstractContextManager[bool]:
    """For the one process of this user that measures a latency on this machine: others wait for it."""
    return locked(_folder() / "measuring.lock", wait=True)


def _taken(kept: ExitStack) -> int | None:
    for core in sorted(os.sched_getaffinity(0)):
        if kept.enter_context(locked(_folder() / f"core-{core}.lock", wait=False)):
            return core
    return None


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"mvit-nas-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    folder.mkdir(exist_ok=True)
    return folder
