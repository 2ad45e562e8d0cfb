"""The settings of the commands that look: at machines, at studies, at several of them."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.settings.shared import Printed, name_flag, question, reports_flag


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesSettings(Printed):
    """The flags of ``mvit-nas devices``."""

    targets: tuple[str, ...] = question(
        "Machines to ask as well: ssh://user@host.", (), option="", metavar="[TARGET...]", many=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """The flags of ``mvit-nas report``."""

    name: str = question("Name of the study, or the folder of its report.", option="")
    runtime: str | None = question(
        "Show the latencies by this runtime, in a page of its own. Without it: the search's.", None
    )
    target: str | None = question("Refuse the report unless its latencies were measured on this target.", None)
    devices: Path | None = question(
        "A YAML file of devices and their limits (Pixel 8: 10 ms, 4 MiB), which the page of a search offers.", None
    )
    out: Path = reports_flag()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings(Printed):
    """The flags of ``mvit-nas compare``."""

    studies: tuple[str, ...] = question(
        "Names of searches, or folders of their reports; two or more.", option="", metavar="STUDY...", many=True
    )
    name: str | None = name_flag("Folder of the page in reports/. Without it: the names, joined.")
    out: Path = reports_flag()


# By name, in the order of the help.
LOOKING: dict[str, type] = {"devices": DevicesSettings, "report": ReportSettings, "compare": CompareSettings}
