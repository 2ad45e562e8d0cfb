"""What every runtime is: how a module becomes its artefact, and what that artefact says of itself.

Exporters print, log and warn; none of it is for whoever searches.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from mvit_nas.errors import InputError, MeasurementError, MvitNasError
from mvit_nas.silence import silence as silence

# Of the weights of an int8 artefact.
BITS, NARROW_BITS = 8, 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One way to execute a network.

    ``name`` is what people type; ``extra`` the optional dependencies that it needs ("" for none) and ``modules`` what
    must be importable then. ``export`` writes the artefact of a module in evaluation mode with batch norm folded, for
    images [1, 3, H, W] as the example. ``quantise`` writes an int8 artefact, calibrated on images [N, 3, H, W], by the
    bits of its weights: ``BITS``, and ``NARROW_BITS`` where a processor that ``saturates_int8`` needs them; empty where
    the runtime has none. ``delegated`` is the share of an artefact's operators that the runtime hands to its
    delegate, None where it has none. ``quantised`` is the share of an artefact's convolutions and matrix products that
    run in integers: 0 for float32, 1 for an int8 artefact that fell back nowhere; None where there is no int8.
    ``shape`` is that of the images of an artefact from elsewhere, and raises InputError for a file that is none; None
    where such a file could do harm. Exporting and quantising raise MeasurementError where the runtime refuses
    the model.
    Loading is ``probe.LOADERS[name]``, which needs nothing but the runtime.
    """

    name: str
    title: str
    extra: str = ""
    modules: tuple[str, ...] = ()
    suffix: str
    fused_attention: bool = False
    export: Callable[[nn.Module, torch.Tensor, Path], None]
    quantise: Mapping[int, Callable[[nn.Module, torch.Tensor, Path], None]] = field(default_factory=dict)
    delegated: Callable[[Path], float | None] = lambda path: None
    quantised: Callable[[Path], float | None] = lambda path: None
    shape: Callable[[Path], tuple[int, ...]] | None = None


@contextlib.contextmanager
def refusals(title: str, doing: str) -> Iterator[None]:
    """Silence, and a MeasurementError that names the runtime and the cause for whatever fails inside."""
    try:
        with silence():
            yield
    except MvitNasError:
        raise
    except Exception as error:  # exporters raise anything, RuntimeError and their own exceptions alike
        raise MeasurementError(f"{title} cannot {doing} this network: {_cause(error)}") from error


@contextlib.contextmanager
def unreadable(path: Path, title: str) -> Iterator[None]:
    """Silence, and an InputError that names the file for whatever fails inside."""
    try:
        with silence():
            yield
    except Exception as error:  # each library raises its own for a file that it cannot read
        raise InputError(f"{path}: is no {title} file for one batch of images ({_cause(error)})") from error


def _cause(error: BaseException) -> str:
    """One line of the innermost error: what wraps it only says which step failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "without a message")
    return f"{type(error).__name__}: {line}"
