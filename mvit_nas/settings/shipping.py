"""The settings of the commands that come after a choice."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.settings.commands import Printed, Start, question, study, training


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceSettings(Start, Printed):
    """The flags of ``mvit-nas reproduce``. ``device`` "" is that of the trial, where it is here."""

    trial: str = question("A trial of a study: NAME:37, NAME:best.", option="", metavar="NAME:TRIAL")
    data: str | None = question("The images of the study, where they lie elsewhere now.", None, metavar="FOLDER|NAME")
    device: str = training("Training device: auto, cpu, cuda or cuda:N. Without it: the trial's, where it is here.", "")
    out: Path = study("Where experiments/ and reports/ lie.", Path(), metavar="FOLDER")


# By name, in the order of the help.
SHIPPING: dict[str, type] = {"reproduce": ReproduceSettings}
