"""``mvit-nas devices``: what a latency could be measured on, and whether it could be trusted now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mvit_nas.cost.targets.adb import phones
from mvit_nas.cost.targets.machine import Machine
from mvit_nas.cost.targets.python import PythonTarget
from mvit_nas.cost.targets.registry import find_target
from mvit_nas.errors import DeviceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A target as it is now. ``runtimes`` are those that it has, by name, with their versions.

    ``machine`` is None where ``problem`` says why it cannot be reached.
    """

    target: str
    machine: Machine | None
    runtimes: Mapping[str, str]
    problem: str

    def lines(self) -> Iterator[str]:
        """What there is to say of it, line by line."""
        if self.machine is None:
            yield f"cannot be used: {self.problem}"
            return
        machine = self.machine
        yield f"{machine.processor}, {machine.cores} cores, {machine.system}"
        parts = {
            "governor": machine.governor,
            "temperature": None if machine.temperature_celsius is None else f"{machine.temperature_celsius:.0f} °C",
            "free memory": None if machine.free_memory_gib is None else f"{machine.free_memory_gib:.1f} GiB",
            "load": None if machine.load is None else f"{machine.load:.2f}",
        }
        yield ", ".join(f"{name} {value or 'unknown'}" for name, value in parts.items())
        if not self.target.startswith("adb"):
            yield f"runtimes: {', '.join(f'{name} {version}' for name, version in self.runtimes.items()) or 'none'}"
        doubts = machine.doubts
        yield "a measurement here can be trusted now" if not doubts else f"not to be trusted now: {'; '.join(doubts)}"


def devices(targets: tuple[str, ...]) -> tuple[list[Device], str]:
    """This host, the phones that adb lists, then ``targets``; and a hint where adb is not installed, else ""."""
    listed, hint = phones()
    found = [
        Device(target=f"adb:{phone.serial}", machine=phone.machine, runtimes={}, problem=phone.advice)
        for phone in listed
    ]
    named = [_device(name) for name in dict.fromkeys(targets) if name not in {device.target for device in found}]
    return [_device("host"), *found, *named], hint


def _device(name: str) -> Device:
    target = find_target(name)
    try:
        if not isinstance(target, PythonTarget):
            raise DeviceError("adb lists no such phone")
        machine, runtimes = target.survey()
    except DeviceError as error:
        return Device(target=name, machine=None, runtimes={}, problem=str(error))
    return Device(target=name, machine=machine, runtimes=runtimes, problem="")
