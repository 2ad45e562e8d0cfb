"""What every target is: a machine that measures an artefact beside a reference."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from mvit_nas.cost.probe import Round
from mvit_nas.cost.targets.machine import Machine


class TargetKind(StrEnum):
    """What a target is."""

    HOST = "host"
    SSH = "ssh"
    ADB = "adb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Two artefacts of one runtime to be run in bursts. ``shapes`` are those of their images [1, 3, H, W].

    Rounds go on until the interval of the ratio is within ``precision`` (a share) on both sides or ``seconds`` have
    passed.
    """

    runtime: str
    threads: int
    candidate: Path
    reference: Path
    candidate_shape: tuple[int, ...]
    reference_shape: tuple[int, ...]
    precision: float
    seconds: float


class Target(Protocol):
    """Where artefacts are measured."""

    @property
    def name(self) -> str:
        """What people type."""

    @property
    def kind(self) -> TargetKind:
        """What it is."""

    def machine(self, runtime: str) -> Machine:
        """The machine as it is now. Raises DeviceError where it cannot be reached, or lacks the runtime."""

    def measure(self, job: Job) -> list[Round]:
        """The rounds of one process, both artefacts loaded afresh in each; at least 8.

        Raises DeviceError where the machine is gone or refuses, and MeasurementError where this one artefact could not
        be measured.
        """
