"""What is read of a machine from the files of real Android phones, Raspberry Pis and PCs."""

import pytest

from mvit_nas.cost.probe import Facts
from mvit_nas.cost.targets.machine import read_machine, this_processor
from mvit_nas.cost.targets.python import this_host

# The first core of each kind, as a Pixel 6 has them: four, two and two, and no name at all.
PIXEL = """\
processor	: 0
BogoMIPS	: 49.15
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x2
CPU part	: 0xd05
CPU revision	: 0

processor	: 4
CPU implementer	: 0x41
CPU part	: 0xd0b

processor	: 6
CPU implementer	: 0x41
CPU part	: 0xd44
"""
QUALCOMM = """\
Processor	: AArch64 Processor rev 13 (aarch64)
processor	: 0
CPU implementer	: 0x51
CPU part	: 0x805
processor	: 4
CPU implementer	: 0x51
CPU part	: 0x804

Hardware	: Qualcomm Technologies, Inc SM8150
"""
RASPBERRY_64 = """\
processor	: 0
BogoMIPS	: 108.00
CPU implementer	: 0x41
CPU part	: 0xd08
CPU revision	: 3

Revision	: c03114
Serial		: 10000000abcdef01
Model		: Raspberry Pi 4 Model B Rev 1.4
"""
RASPBERRY_32 = """\
processor	: 0
model name	: ARMv7 Processor rev 3 (v7l)
CPU implementer	: 0x41
CPU part	: 0xd08

Hardware	: BCM2835
Revision	: c03114
Model		: Raspberry Pi 4 Model B Rev 1.4
"""
PC = """\
processor	: 0
vendor_id	: GenuineIntel
cpu family	: 6
model		: 85
model name	: Intel(R) Xeon(R) Platinum 8168 CPU @ 2.70GHz
stepping	: 4
"""
PROCESSORS = {
    "pixel": (PIXEL, "Google GS101 (Cortex-A55 + Cortex-A76 + Cortex-X1)"),
    "qualcomm": (QUALCOMM, "Qualcomm Technologies, Inc SM8150 (0x51/0x804 + 0x51/0x805)"),
    "raspberry, 64 bits": (RASPBERRY_64, "Raspberry Pi 4 Model B Rev 1.4 (Cortex-A72)"),
    "raspberry, 32 bits": (RASPBERRY_32, "Raspberry Pi 4 Model B Rev 1.4 (Cortex-A72)"),
    "pc": (PC, "Intel(R) Xeon(R) Platinum 8168 CPU @ 2.70GHz"),
    "nothing": ("", "Google GS101"),
}


def read(files, system="b"):
    return read_machine(Facts(files=files, name="a", system=system, processor="Google GS101", cores=8))


def zones(**temperatures):
    """The files of thermal zones, by their kind."""
    files = {}
    for number, (kind, text) in enumerate(temperatures.items()):
        files[f"/sys/class/thermal/thermal_zone{number}/type"] = f"{kind}\n"
        files[f"/sys/class/thermal/thermal_zone{number}/temp"] = f"{text}\n"
    return files


@pytest.mark.parametrize(("cpuinfo", "name"), PROCESSORS.values(), ids=list(PROCESSORS))
def test_a_processor_has_the_most_telling_name(cpuinfo, name):
    assert read({"/proc/cpuinfo": cpuinfo}).processor == name


def test_a_core_that_sleeps_leaves_the_fingerprint():
    # A phone lists only the cores that are on; here one more of a kind that is already there.
    more = PIXEL + PIXEL[PIXEL.index("processor	: 6") :].replace(": 6", ": 7")
    assert read({"/proc/cpuinfo": PIXEL}).fingerprint == read({"/proc/cpuinfo": more}).fingerprint


TEMPERATURES = [
    # Qualcomm's "soc" is the battery's charge; the others hold milliamperes, millivolts and sensors that are off.
    (
        zones(soc="87", **{"cpu-0-0-usr": "41300", "cpu-1-7-usr": "44800", "gpuss-0-usr": "52000", "battery": "90000"}),
        44.8,
    ),
    (zones(**{"pm8150b-ibat-lvl0": "1500", "pm8150b-vbat-lvl0": "3900", "modem0": "-273000", "skin": "36500"}), 36.5),
    # Older ones of Qualcomm, in whole degrees or tenths.
    (zones(tsens_tz_sensor0="47", tsens_tz_sensor1="512", pm8994_tz="61000"), 51.2),
    # Google's and MediaTek's.
    (zones(BIG="58000", LITTLE="49000", G3D="66000", battery="28000"), 58.0),
    (zones(mtktscpu="55100", mtktsbattery="99000", mtktspmic="70000"), 55.1),
    # A Raspberry Pi's, a Rockchip's and a PC's.
    (zones(**{"cpu-thermal": "48200"}), 48.2),
    (zones(**{"soc-thermal": "39444", "gpu-thermal": "80000"}), 39.444),
    (zones(acpitz="27800", x86_pkg_temp="54000", pch_skylake="60000"), 54.0),
    (zones(acpitz="27800"), 27.8),
    (zones(battery="30000"), None),
    (zones(soc="87", skin="36500"), 36.5),
    (zones(**{"cpu-0-0-usr": "-40000", "cpu-0-1-usr": "0"}), None),
    (zones(**{"cpu-0-0-usr": ""}), None),
    ({}, None),
]


@pytest.mark.parametrize(("files", "celsius"), TEMPERATURES, ids=range(len(TEMPERATURES)))
def test_the_hottest_sensor_of_the_processor_counts(files, celsius):
    assert read(files).temperature_celsius == celsius


def test_governors_memory_and_load_are_read_as_android_writes_them():
    machine = read(
        {
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "sched_pixel\n",
            "/sys/devices/system/cpu/cpu4/cpufreq/scaling_governor": "sched_pixel\n",
            "/sys/devices/system/cpu/cpu6/cpufreq/scaling_governor": "performance\n",
            "/proc/meminfo": "MemTotal:        7776544 kB\nMemFree:          221184 kB\nMemAvailable:    3145728 kB\n",
            "/proc/loadavg": "2.31 2.50 2.44 1/3872 20431\n",
        }
    )
    assert machine.governor == "performance, sched_pixel"
    assert machine.free_memory_gib == 3.0
    assert machine.load == 2.31
    assert machine.doubts == ("the governor 'performance, sched_pixel' changes the clock speed",)


def test_what_cannot_be_read_is_none_and_no_doubt():
    machine = read({})
    assert (machine.governor, machine.temperature_celsius, machine.free_memory_gib, machine.load) == (None,) * 4
    assert machine.doubts == ()


@pytest.mark.parametrize(
    ("flags", "system", "saturates"),
    [
        ("flags\t\t: fpu sse4_2 avx avx2 fma\n", "Linux 6.1, x86_64", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", "Linux 6.1, x86_64", False),
        ("flags\t\t: fpu avx2 avx_vnni\n", "Linux 6.1, x86_64", False),
        ("flags\t\t: fpu avx2 avx512_vnni_of_none\n", "Linux 6.1, x86_64", True),
        (PIXEL, "google/oriole/oriole:14", False),
        ("", "Darwin 20.6, x86_64", True),
        ("", "Darwin 23.1, arm64", False),
    ],
)
def test_products_of_bytes_overflow_on_x86_without_vnni(flags, system, saturates):
    machine = read({"/proc/cpuinfo": PC + flags if flags.startswith("flags") else flags}, system)
    assert machine.saturates_int8 == saturates


def test_the_processor_here_has_the_name_that_a_measurement_tells():
    assert this_processor() == this_host().survey()[0].processor
