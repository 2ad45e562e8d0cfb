"""Workers on a Ray cluster that runs already: actors that outlive the command, and that Ray moves when a node dies."""

import logging
import os
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import ray

from mvit_nas.errors import DeviceError
from mvit_nas.settings.workers import LaunchSettings

_PATIENCE_SECONDS = 10.0


class Worker:
    """The process of one worker, for at most so many seconds. With it the actor ends, and is not made again."""

    def __init__(self, command: Sequence[str], log: Path, seconds: float) -> None:
        with log.open("ab") as file:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        threading.Thread(target=self._wait, args=(seconds,), daemon=True).start()

    def _wait(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()
        ray.kill(ray.get_runtime_context().current_actor, no_restart=True)


def begin(command: Sequence[str], settings: LaunchSettings, logs: Path) -> tuple[str, ...]:
    """Ask the cluster for the workers, and return their names there. Raises DeviceError where there is no cluster."""
    address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        if address != "auto":  # where nobody answers, Ray asks again for minutes
            host, _, port = address.rpartition("//")[2].rpartition(":")
            socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS).close()
        ray.init(address=address, namespace="mvit-nas", log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError):
        raise DeviceError("--on ray: there is no cluster: ray start --head begins one, RAY_ADDRESS names one") from None
    actor = ray.remote(num_cpus=1, num_gpus=settings.gpus, max_restarts=-1, lifetime="detached")(Worker)
    jobs = []
    for _ in range(settings.number):
        name = f"{settings.name}-{os.urandom(3).hex()}"
        actor.options(name=name).remote(list(command), logs / f"{name}.log", settings.timeout_seconds)
        jobs.append(name)
    ray.shutdown()
    return tuple(jobs)
