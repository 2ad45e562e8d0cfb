"""What every target is asked, and what kinds of targets there are."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


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
