"""The settings of the commands for several workers: one of them, and what they all do."""

from dataclasses import dataclass
from pathlib import Path

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
class StatusSettings(Printed):
    """The flags of ``mvit-nas status``."""

    name: str = question("The search.", option="", text=parse.NAME)
    watch: bool = output("Show it anew every few seconds.", False)
    storage: str | None = study("The database of its trials, where there is one.", None, text=parse.STORAGE)
    out: Path = study("Where experiments/ lies.", Path(), metavar="FOLDER")


# By name, in the order of the help.
WORKERS: dict[str, type] = {"worker": WorkerSettings, "status": StatusSettings}
