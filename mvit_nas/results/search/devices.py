"""The limits of a team's devices, from a file that it keeps: ``Pixel 8: 10 ms, 4 MiB``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mvit_nas.budget import parse_budget
from mvit_nas.documents import read_yaml
from mvit_nas.errors import InputError
from mvit_nas.metrics import METRICS, SIZE

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*MiB", re.IGNORECASE)
_HINT = "write a device a line, as in Pixel 8: 10 ms, 4 MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device by its ``name``, with the most that each metric may be there."""

    name: str
    limits: Mapping[str, float]

    @property
    def words(self) -> str:
        """Its limits in words: "at most 10 ms, at most 4 MiB"."""
        return ", ".join(f"at most {METRICS[name].format(limit)}" for name, limit in self.limits.items())


def read_devices(path: Path) -> tuple[Device, ...]:
    """The devices of a YAML file, in its order; InputError in one line that names the file and the device."""
    plain = read_yaml(path)
    if not isinstance(plain, dict) or not plain:
        raise InputError(f"{path}: must hold devices: {_HINT}")
    return tuple(Device(name=str(name), limits=_limits(text, where=f"{path}: {name}")) for name, text in plain.items())


def _limits(text: object, *, where: str) -> dict[str, float]:
    if not isinstance(text, str):
        raise InputError(f"{where}: must be limits as text, got {text!r}: {_HINT}")
    found: dict[str, float] = {}
    for part in text.split(","):
        name, limit = _limit(part.strip(), where)
        if name in found:
            raise InputError(f"{where}: limits {METRICS[name].noun} twice")
        found[name] = limit
    return found


def _limit(text: str, where: str) -> tuple[str, float]:
    size = _SIZE.fullmatch(text)
    if size is not None:
        return SIZE.name, float(size[1])
    try:
        budget = parse_budget(text)
    except InputError as error:
        raise InputError(f"{where}: {error}, or 4MiB (size)") from None
    if budget.low:
        raise InputError(f"{where}: a device has an upper limit only, got {text!r}")
    return budget.metric, budget.high
