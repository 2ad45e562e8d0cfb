"""Which workers of a study are there, so that the trial of one that died is given to others."""

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from mvit_nas.files import locked

# A worker's user attribute of the study, which counts its beats.
BEAT = "beat "
# Between two beats, and without one for how long a worker is taken for dead.
BEAT_SECONDS = 10.0
GRACE_SECONDS = 90.0


class Attributes(Protocol):
    """What all workers of a study read and write."""

    @property
    def user_attrs(self) -> Mapping[str, Any]:
        """All by name."""

    def set_user_attr(self, key: str, value: int) -> None:
        """Write one."""


class Life(Protocol):
    """Who this ``worker`` is, and which others died."""

    worker: str

    def dead(self, workers: Collection[str]) -> set[str]:
        """Those of ``workers`` that died."""


def worker_name() -> str:
    """A name that no other process has, on this host or another."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


class Alone:
    """For a study that one process works on: all others died."""

    def __init__(self) -> None:
        self.worker = worker_name()

    def dead(self, workers: Collection[str]) -> set[str]:
        """All but this one."""
        return {*workers} - {self.worker}


class Locks:
    """Workers on one host: each holds the lock of a file in ``folder``, which the system takes back when it dies."""

    def __init__(self, folder: Path) -> None:
        self.worker = worker_name()
        self._folder = folder

    @contextlib.contextmanager
    def living(self) -> Iterator[None]:
        """Be there for the others meanwhile."""
        self._folder.mkdir(exist_ok=True)
        with locked(self._of(self.worker), wait=False):
            yield
        self._of(self.worker).unlink(missing_ok=True)

    def dead(self, workers: Collection[str]) -> set[str]:
        """Those whose lock nobody holds."""
        return {one for one in workers if one != self.worker and not self._is_held(one)}

    def _is_held(self, worker: str) -> bool:
        path = self._of(worker)
        if not worker or not path.exists():
            return False
        with locked(path, wait=False) as is_ours:
            if is_ours:
                path.unlink(missing_ok=True)
            return not is_ours

    def _of(self, worker: str) -> Path:
        return self._folder / f"{Path(worker).name}.lock"


class Beats:
    """Workers on several hosts: each counts up a number of its own in the ``study``, and sees whether the others' move.

    No clock of another machine is asked. Who could not beat itself judges nobody: after the database was away, all
    have the whole grace again.
    """

    def __init__(
        self,
        study: Attributes,
        *,
        beat_seconds: float = BEAT_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.worker = worker_name()
        self._study = study
        self._beat_seconds, self._grace_seconds = beat_seconds, grace_seconds
        self._clock = clock
        self._lock = threading.Lock()
        # The last beat that was seen of each, and when it was first seen.
        self._seen: dict[str, tuple[int, float]] = {}
        self._beat_at: float | None = None
        self._count = 0
        self._ended = threading.Event()

    @contextlib.contextmanager
    def living(self) -> Iterator[None]:
        """Beat meanwhile, in a thread beside the work."""
        self.beat()
        thread = threading.Thread(target=self._go_on, daemon=True, name="beats")
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join(timeout=self._beat_seconds)

    def beat(self) -> None:
        """Be heard, and hear the others; all have their whole grace again where that does not succeed."""
        now = self._clock()
        try:
            self._count += 1
            self._study.set_user_attr(BEAT + self.worker, self._count)
            beats = self._study.user_attrs
        except Exception:  # whatever a broken connection comes as: the next beat may succeed
            with self._lock:
                self._beat_at = None
            return
        with self._lock:
            # After a sleep of this process itself, nothing was heard meanwhile either.
            late = self._beat_at is None or now - self._beat_at > self._grace_seconds / 2
            for name, count in beats.items():
                worker = name.removeprefix(BEAT)
                if worker != name and (late or self._seen.get(worker, (None,))[0] != count):
                    self._seen[worker] = int(count), now
            for worker in self._seen.keys() if late else ():
                self._seen[worker] = self._seen[worker][0], now
            self._beat_at = now

    def dead(self, workers: Collection[str]) -> set[str]:
        """Those that were not heard for the whole grace, while this one was there."""
        with self._lock:
            now = self._clock()
            if self._beat_at is None or now - self._beat_at > self._grace_seconds / 2:
                return set()
            for worker in workers:
                self._seen.setdefault(worker, (0, now))
            return {one for one in workers if one != self.worker and now - self._seen[one][1] > self._grace_seconds}

    def _go_on(self) -> None:
        while not self._ended.wait(self._beat_seconds):
            self.beat()
