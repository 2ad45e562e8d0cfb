"""Targets by what people type."""

from pathlib import Path

from mvit_nas.cost.targets.python import over_ssh, this_host
from mvit_nas.cost.targets.target import Target
from mvit_nas.errors import InputError


def find_target(text: str, *, adb_benchmark: Path | None = None) -> Target:
    """The target "host", "ssh://user@host" or "adb:SERIAL"; InputError for anything else."""
    if text == "host":
        return this_host()
    if text.startswith("ssh://"):
        return over_ssh(text)
    raise InputError(f"--target {text}: write host, ssh://user@host or adb:SERIAL")
