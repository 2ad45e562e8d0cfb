"""The runtimes by name, and whether they are installed."""

import importlib.util

from mvit_nas.cost.runtimes import executorch, litert, onnx, pytorch
from mvit_nas.cost.runtimes.runtime import Runtime
from mvit_nas.errors import DeviceError, InputError

RUNTIMES: dict[str, Runtime] = {
    one.name: one for one in (pytorch.RUNTIME, onnx.RUNTIME, litert.RUNTIME, executorch.RUNTIME)
}


def find_runtime(name: str) -> Runtime:
    """The runtime of that name; InputError that lists the known ones otherwise."""
    if name not in RUNTIMES:
        raise InputError(f"unknown runtime {name!r}, known are {', '.join(RUNTIMES)}")
    return RUNTIMES[name]


def is_installed(runtime: Runtime) -> bool:
    """Whether everything that ``runtime`` needs can be imported."""
    return all(importlib.util.find_spec(module) is not None for module in runtime.modules)


def require(runtime: Runtime) -> None:
    """Raise DeviceError that says what to install where ``runtime`` is not installed."""
    if not is_installed(runtime):
        raise DeviceError(f"the runtime {runtime.title} is not installed: pip install 'mvit-nas[{runtime.extra}]'")


def default_runtime() -> Runtime:
    """ONNX Runtime where it is installed, else PyTorch."""
    return onnx.RUNTIME if is_installed(onnx.RUNTIME) else pytorch.RUNTIME
