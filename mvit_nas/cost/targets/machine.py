"""What a machine says of itself, read from the files of Linux and Android, and whether it can be trusted now."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Read where measured, by the measuring program or by adb's shell; a pattern may match several files.
FILES = (
    "/proc/cpuinfo",
    "/proc/loadavg",
    "/proc/meminfo",
    "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    "/sys/class/thermal/thermal_zone*/temp",
    "/sys/class/thermal/thermal_zone*/type",
)
# Where phones and boards begin to slow down.
_HOT_CELSIUS = 75.0
_LEAST_FREE_GIB = 0.5
# Runnable tasks beyond this share of the cores leave none free to measure on.
_BUSY_SHARE = 0.75
_FIXED_GOVERNORS = {"performance", "userspace"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine as it is now; None is what could not be read. ``runtime_version`` is "" where it has no such runtime.

    ``cores`` are those that the measurement may use, ``load`` the runnable tasks over the last minute.
    """

    name: str
    system: str
    processor: str
    cores: int
    governor: str | None
    temperature_celsius: float | None
    free_memory_gib: float | None
    load: float | None
    runtime_version: str = ""

    @property
    def fingerprint(self) -> str:
        """What must be the same for two measurements to be one machine's."""
        return f"{self.name}; {self.processor}; {self.cores} cores; {self.system}"

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why a measurement here and now would not be worth much; empty where nothing speaks against it."""
        found = []
        if self.load is not None and self.load > _BUSY_SHARE * self.cores:
            found.append(f"busy: load {self.load:.1f} on {self.cores} cores")
        if self.temperature_celsius is not None and self.temperature_celsius >= _HOT_CELSIUS:
            found.append(f"hot: {self.temperature_celsius:.0f} °C")
        if self.free_memory_gib is not None and self.free_memory_gib < _LEAST_FREE_GIB:
            found.append(f"little memory: {self.free_memory_gib:.2f} GiB free")
        if self.governor is not None and self.governor not in _FIXED_GOVERNORS:
            found.append(f"the governor {self.governor!r} changes the clock speed")
        return tuple(found)


def read_machine(
    files: Mapping[str, str], *, name: str, system: str, processor: str, cores: int, runtime_version: str = ""
) -> Machine:
    """The machine that the texts of FILES describe, by path. ``processor`` is taken where /proc names none."""
    meminfo = dict(re.findall(r"^(\w+):\s+(\d+) kB", files.get("/proc/meminfo", ""), re.MULTILINE))
    load = files.get("/proc/loadavg", "").split()
    governors = {text.strip() for path, text in files.items() if path.endswith("/scaling_governor")}
    named = re.search(r"^(?:model name|Hardware|Model)\s*:\s*(.+)$", files.get("/proc/cpuinfo", ""), re.MULTILINE)
    return Machine(
        name=name,
        system=system,
        processor=named[1].strip() if named else processor,
        cores=cores,
        governor=", ".join(sorted(governors)) or None,
        temperature_celsius=_temperature(files),
        free_memory_gib=int(meminfo["MemAvailable"]) / 2**20 if "MemAvailable" in meminfo else None,
        load=float(load[0]) if load else None,
        runtime_version=runtime_version,
    )


def _temperature(files: Mapping[str, str]) -> float | None:
    """The hottest of the processor's sensors, or of all where none is named after it."""
    degrees: dict[str, float] = {}
    for path, text in files.items():
        if path.endswith("/temp") and re.fullmatch(r"-?\d+", text.strip()):
            kind = files.get(path.removesuffix("temp") + "type", "").strip().lower()
            value = int(text)
            # Thousandths of a degree by the kernel's interface; some vendors' drivers give whole degrees.
            degrees[f"{path} {kind}"] = value / 1000 if abs(value) > 1000 else float(value)
    processor = [value for name, value in degrees.items() if re.search(r"cpu|pkg|soc|core", name.partition(" ")[2])]
    found = processor or list(degrees.values())
    return max(found, default=None)
