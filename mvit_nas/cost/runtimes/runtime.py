"""What every runtime is: how a module becomes its artefact, and what that artefact says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

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
    extra: str
    modules: tuple[str, ...]
    suffix: str
    fused_attention: bool
    export: Callable[[nn.Module, torch.Tensor, Path], None]
    quantise: Mapping[int, Callable[[nn.Module, torch.Tensor, Path], None]]
    delegated: Callable[[Path], float | None]
    quantised: Callable[[Path], float | None]
    shape: Callable[[Path], tuple[int, ...]] | None
