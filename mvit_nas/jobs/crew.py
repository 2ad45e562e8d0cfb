"""Workers on this machine, started and watched by the search that they work on."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mvit_nas.errors import MvitNasError, PartialError
from mvit_nas.reporter import Reporter

# The process that a worker was started by: without it, it ends.
PARENT = "MVIT_NAS_PARENT"
# The share of its GPU's memory that a worker may take.
GPU_SHARE = "MVIT_NAS_GPU_SHARE"
# For a worker to keep the state of its training.
_PATIENCE_SECONDS = 60.0
# A worker that was killed so often while nothing was done is not started again: it may be short of memory.
_DEATHS = 5


class Crew:
    """A process of ``command`` in each of ``places``, each of which writes what it says into a file of ``logs``.

    A place is what the environment of its process has beside that of this one.
    """

    def __init__(
        self, command: Sequence[str], places: Sequence[Mapping[str, str]], logs: Path, reporter: Reporter
    ) -> None:
        self._command, self._places, self._logs, self._reporter = command, places, logs, reporter
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._failed: list[MvitNasError] = []
        # How often each was killed since so much was done.
        self._deaths: dict[int, tuple[int, int]] = {}

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """All of them at work meanwhile; stopped at the end, those that still are."""
        self._logs.mkdir(exist_ok=True)
        for number in range(len(self._places)):
            self._start(number)
        try:
            yield
        finally:
            self._stop()

    def is_done(self, trials: int) -> bool:
        """Whether all have ended; ``trials`` are done so far. One that was killed is started again.

        Raises the error of one if all had one.
        """
        for number, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            del self._running[number]
            if code < 0 and self._died(number, trials) < _DEATHS:
                name = signal.Signals(-code).name
                words = f"worker {number} was killed ({name}) and is started again"
                self._reporter.say(f"{words}; its trial is tried again")
                self._start(number)
            elif code != 0:
                self._failed.append(self._error(number, code))
                self._reporter.say(f"worker {number} ended: {self._failed[-1]}")
        if not self._running and len(self._failed) == len(self._places):
            raise self._failed[0]
        return not self._running

    def _died(self, number: int, trials: int) -> int:
        """How often it was killed while no trial was done, this time with them."""
        times, before = self._deaths.get(number, (0, trials))
        self._deaths[number] = (times + 1 if before == trials else 1), trials
        return self._deaths[number][0]

    def _start(self, number: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", PARENT: str(os.getpid()), **self._places[number]}
        with self._log(number).open("ab") as log:
            self._running[number] = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def _stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def _error(self, number: int, code: int) -> MvitNasError:
        """What a worker that ended with ``code`` said last, or what killed it again and again."""
        if code < 0:
            killed = f"was killed {_DEATHS} times ({signal.Signals(-code).name}) before any trial was done"
            return PartialError(
                f"{killed}: is there memory for so many --jobs? All that it said is in {self._log(number)}"
            )
        lines = self._log(number).read_text(errors="replace").splitlines() or ["it said nothing"]
        error = PartialError(f"{lines[-1].removeprefix('mvit-nas: ')}; all that it said is in {self._log(number)}")
        error.exit_code = code
        return error

    def _log(self, number: int) -> Path:
        return self._logs / f"worker-{number}.log"


def places(jobs: int, gpus: Sequence[str]) -> list[dict[str, str]]:
    """One for each of ``jobs`` workers: evenly over the GPUs, where there are any, with a share of the memory there."""
    if not gpus:
        return [{} for _ in range(jobs)]
    share = 1 / -(-jobs // len(gpus))
    return [{"CUDA_VISIBLE_DEVICES": gpus[job % len(gpus)], GPU_SHARE: f"{share:.4f}"} for job in range(jobs)]


def worker_command(name: str, out: Path, flags: Sequence[str]) -> list[str]:
    """What starts a worker of the search ``name``."""
    return [sys.executable, "-m", "mvit_nas", "worker", name, "--out", str(out), *flags]


def is_orphan() -> bool:
    """Whether this process was started by one that has ended."""
    parent = os.environ.get(PARENT)
    return parent is not None and str(os.getppid()) != parent
