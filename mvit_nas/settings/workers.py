"""The settings of the commands for several workers: one of them, and what they all do."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.errors import InputError
from mvit_nas.settings import parse
from mvit_nas.settings.shared import Printed, output, question, study, training
from mvit_nas.settings.working import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(Stored):
    """The flags of ``mvit-nas worker``."""

    name: str = question("The search to work on.", option="", text=parse.NAME)
    data: str | None = question("The images, where they lie elsewhere on this machine.", None, metavar="FOLDER|NAME")
    device: str | None = training("Training device: auto, cpu, cuda or cuda:N. Without it: as the search.", None)
    out: Path = study(
        "Where experiments/ lies; with --storage, where this machine keeps its own.", Path(), metavar="FOLDER"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings(Stored, Printed):
    """The flags of ``mvit-nas launch``."""

    name: str = question("The search to work on.", option="", text=parse.NAME)
    number: int = question("How many workers.", option="-n", metavar="N", least=1)
    scheduler: str = question(
        "slurm, ray, or local: as processes of this machine.", "slurm", option="--on", text=parse.SCHEDULER
    )
    data: str | None = question("The images, where they lie elsewhere there.", None, metavar="FOLDER|NAME")
    timeout_seconds: float = question(
        "For how long at most, of each.", 24 * 3600.0, option="--timeout", text=parse.SECONDS
    )
    partition: str = question("Slurm's partition. Without it: the usual one.", "", metavar="NAME")
    gpus: int = question("GPUs of each worker.", 0, metavar="N", least=0)
    out: Path = study("Where experiments/ lies; all workers must see it.", Path(), metavar="FOLDER")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSettings(Printed):
    """The flags of ``mvit-nas status``."""

    name: str = question("The search.", option="", text=parse.NAME)
    watch: bool = output("Show it anew every few seconds.", False)
    storage: str | None = study("The database of its trials, where there is one.", None, text=parse.STORAGE)
    out: Path = study("Where experiments/ lies.", Path(), metavar="FOLDER")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorSettings(Printed):
    """The flags of ``mvit-nas doctor``."""

    storage: str | None = question("Also try this database.", None, text=parse.STORAGE)
    out: Path = study("Where experiments/ and reports/ would be written.", Path(), metavar="FOLDER")


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings(Printed):
    """The flags of ``mvit-nas cache``."""

    older_than_seconds: float | None = question(
        "What was not used for so long: 30d, 12h.", None, option="--older-than", text=parse.SECONDS
    )
    at_most_bytes: int | None = question(
        "What is too much, the longest unused first: 20GB.", None, option="--at-most", text=parse.BYTES
    )
    remove: bool = question("Remove it. Without this it is only counted.", False)

    def __post_init__(self) -> None:
        if self.remove and self.older_than_seconds is None and self.at_most_bytes is None:
            raise InputError("--remove: say what, by --older-than or --at-most")


# By name, in the order of the help.
WORKERS: dict[str, type] = {
    "worker": WorkerSettings,
    "launch": LaunchSettings,
    "status": StatusSettings,
    "doctor": DoctorSettings,
    "cache": CacheSettings,
}
