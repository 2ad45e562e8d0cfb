"""What a machine says of itself, read from the files of Linux and Android, and whether it can be trusted now."""

import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mvit_nas.cost.probe import Facts

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
# Processors of x86 without them add two products of an unsigned and a signed byte in 16 bits, where the sum saturates.
_WIDE_SUMS = {"avx512_vnni", "avx_vnni"}
_FIXED_GOVERNORS = {"performance", "userspace"}
# Most specific first: on a Raspberry Pi, Hardware is BCM2835 whatever it has, and "model name" is "ARMv7 Processor".
_PROCESSOR_KEYS = ("Model", "Hardware", "model name")
# Arm's cores by "CPU part" (implementer 0x41), all that 64-bit Arm says of its processor; as lscpu has them.
_ARM_CORES = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2",
    "0xd49": "Neoverse-N2",
    "0xd4d": "Cortex-A715",
    "0xd4e": "Cortex-X3",
    "0xd4f": "Neoverse-V2",
    "0xd80": "Cortex-A520",
    "0xd81": "Cortex-A720",
    "0xd82": "Cortex-X4",
    "0xd85": "Cortex-X925",
    "0xd87": "Cortex-A725",
}
# Thermal zones of processors: coretemp, x86_pkg_temp, cpu-thermal, soc-thermal, cpuss-0-usr, tsens_tz_sensor1, BIG,
# mtktscpu. "soc" alone is the battery's state of charge on Qualcomm's phones, in percent.
_PROCESSOR_ZONE = re.compile(r"cpu|pkg|core|soc.?thermal|tsens|\b(?:big|mid|little)\b")
# Zones that hold volts, amperes, a charge or the battery's temperature, which says nothing of the processor's.
_OTHER_ZONE = re.compile(r"bat|bcl|vph|^soc$|charge|chg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine as it is now; None is what could not be read. ``runtime_version`` is "" where it has no such runtime.

    ``cores`` are those that the measurement may use, ``load`` the runnable tasks over the last minute.
    ``saturates_int8``: sums of products of unsigned by signed bytes overflow there, unless the weights have 7 bits.
    """

    name: str
    system: str
    processor: str
    cores: int
    governor: str | None
    temperature_celsius: float | None
    free_memory_gib: float | None
    load: float | None
    saturates_int8: bool = False
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


def read_machine(facts: Facts, *, runtime_version: str = "") -> Machine:
    """The machine that the texts of FILES describe.

    Its processor is that of ``facts`` where /proc names none, as on 64-bit Arm; the kinds of cores there are added.
    """
    files = facts.files
    cpuinfo = files.get("/proc/cpuinfo", "")
    meminfo = dict(re.findall(r"^(\w+):\s+(\d+) kB", files.get("/proc/meminfo", ""), re.MULTILINE))
    load = files.get("/proc/loadavg", "").split()
    governors = {text.strip() for path, text in files.items() if path.endswith("/scaling_governor")}
    return Machine(
        name=facts.name,
        system=facts.system,
        processor=_processor(cpuinfo, facts.processor),
        cores=facts.cores,
        governor=", ".join(sorted(governors)) or None,
        temperature_celsius=_temperature(files),
        free_memory_gib=int(meminfo["MemAvailable"]) / 2**20 if "MemAvailable" in meminfo else None,
        load=float(load[0]) if load else None,
        saturates_int8=_saturates_int8(cpuinfo, facts.system),
        runtime_version=runtime_version,
    )


def _saturates_int8(cpuinfo: str, system: str) -> bool:
    flags = re.search(r"^flags\s*:(.*)", cpuinfo, re.MULTILINE)  # of x86 alone; Arm has "Features"
    if flags is None:
        return "x86_64" in system  # such as a Mac's, which has no /proc
    return _WIDE_SUMS.isdisjoint(flags[1].split())


def this_processor() -> str:
    """The name of the processor that this process runs on."""
    cpuinfo = ""
    with suppress(OSError):
        cpuinfo = Path("/proc/cpuinfo").read_text(errors="replace")
    return _processor(cpuinfo, platform.processor() or platform.machine())


def _processor(cpuinfo: str, otherwise: str) -> str:
    values = {key: re.findall(rf"^{key}\s*:\s*(.*\S)", cpuinfo, re.MULTILINE) for key in _PROCESSOR_KEYS}
    name = next((found[0] for key in _PROCESSOR_KEYS if (found := values[key])), otherwise)
    makers, parts = (re.findall(rf"^CPU {key}\s*:\s*(\w+)", cpuinfo, re.MULTILINE) for key in ("implementer", "part"))
    # Without their numbers: cores that are switched off for now are not listed.
    cores = sorted({_core(maker, part) for maker, part in zip(makers, parts, strict=False)})
    return f"{name} ({' + '.join(cores)})" if cores else name


def _core(maker: str, part: str) -> str:
    return _ARM_CORES.get(part, part) if maker == "0x41" else f"{maker}/{part}"


def _temperature(files: Mapping[str, str]) -> float | None:
    """The hottest of the processor's sensors, or of all where none is named after it."""
    processor: list[float] = []
    others: list[float] = []
    for path, text in files.items():
        if not path.endswith("/temp") or not re.fullmatch(r"-?\d+", text.strip()):
            continue
        kind = files.get(path.removesuffix("temp") + "type", "").strip().lower()
        value = int(text)
        # Thousandths of a degree by the kernel's interface; some vendors' drivers give tenths or whole degrees.
        degrees = value / 1000 if abs(value) >= 1000 else value / 10 if abs(value) >= 200 else float(value)
        # A sensor that is switched off says 0, -40 or -273.
        if 0 < degrees < 150 and not _OTHER_ZONE.search(kind):
            (processor if _PROCESSOR_ZONE.search(kind) else others).append(degrees)
    return max(processor or others, default=None)
