"""Targets by what people type."""

from pathlib import Path

from mvit_nas.cost.targets.adb import AdbTarget
from mvit_nas.cost.targets.python import PythonTarget, over_ssh, this_host
from mvit_nas.errors import InputError

# A machine that measures an artefact beside a reference.
Target = PythonTarget | AdbTarget


def find_target(text: str, *, adb_benchmark: Path | None = None) -> Target:
    """The target "host", "ssh://user@host", "adb:SERIAL" or "adb" for the only phone; InputError otherwise."""
    if text == "host":
        return this_host()
    if text.startswith("ssh://"):
        return over_ssh(text)
    kind, _, serial = text.partition(":")
    if kind == "adb":
        return AdbTarget(serial=serial, benchmark=adb_benchmark)
    raise InputError(f"--target {text}: write host, ssh://user@host or adb:SERIAL")
