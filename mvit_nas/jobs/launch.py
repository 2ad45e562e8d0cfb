"""``mvit-nas launch``: workers as jobs of a scheduler: a Ray cluster, Slurm, or submitit's stand-in for Slurm here."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvit_nas.errors import DeviceError
from mvit_nas.jobs.folders import folders_of
from mvit_nas.jobs.joined import published
from mvit_nas.settings.workers import LaunchSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """The jobs of a scheduler that were begun, and the folder with what they say."""

    jobs: tuple[str, ...]
    logs: Path


class Worker:
    """One worker as a job. Preempted, it keeps the state of its training, gives its trial back, and is queued again."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)

    def __call__(self) -> int:
        """Work until the search has what it was asked for; what it returns is the worker's exit code."""
        return subprocess.run(self._command, check=False).returncode

    def checkpoint(self) -> Any:
        """What submitit does when the job is to be moved."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def launch(settings: LaunchSettings) -> Launched:
    """Begin the jobs. Raises InputError where there is no such search, DeviceError where the scheduler is not here."""
    folders = folders_of(settings.name, settings.out)
    published(folders, settings.storage)
    logs = folders.state / "workers"
    logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mvit_nas", "worker", settings.name, "--out", str(settings.out.resolve())]
    command.append(f"--grace={settings.grace_seconds}s")
    given = {"storage": settings.storage, "shared": settings.shared, "data": settings.data}
    command += [f"--{name}={value}" for name, value in given.items() if value is not None]
    begin = _on_ray if settings.scheduler == "ray" else _submit
    return Launched(jobs=begin(command, settings, logs.resolve()), logs=logs)


def _on_ray(command: Sequence[str], settings: LaunchSettings, logs: Path) -> tuple[str, ...]:
    try:
        from mvit_nas.jobs.ray_cluster import begin
    except ImportError:
        raise DeviceError("--on ray needs ray: pip install 'mvit-nas[ray]'") from None
    return begin(command, settings, logs)


def _submit(command: Sequence[str], settings: LaunchSettings, logs: Path) -> tuple[str, ...]:
    try:
        import submitit
    except ImportError:
        raise DeviceError(f"--on {settings.scheduler} needs submitit: pip install 'mvit-nas[slurm]'") from None
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=settings.scheduler)
    except RuntimeError as error:
        raise DeviceError(
            f"--on {settings.scheduler}: {error}: run it where its commands are, or use --on local"
        ) from None
    executor.update_parameters(
        name=f"mvit-nas-{settings.name}",
        timeout_min=max(1, round(settings.timeout_seconds / 60)),
        cpus_per_task=1,
        gpus_per_node=settings.gpus,
        **({"slurm_partition": settings.partition} if settings.partition and settings.scheduler == "slurm" else {}),
    )
    with executor.batch():
        jobs = [executor.submit(Worker(command)) for _ in range(settings.number)]
    return tuple(str(one.job_id) for one in jobs)
