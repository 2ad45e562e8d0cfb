"""An architecture as the file that a runtime executes, checked against PyTorch on photographs."""

import copy
import functools
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from mvit_nas.arch.config import ArchConfig
from mvit_nas.cost.probe import LOADERS
from mvit_nas.cost.runtimes.runtime import Runtime, refusals
from mvit_nas.errors import MeasurementError
from mvit_nas.nn.backbone import MobileViT, build
from mvit_nas.nn.inference import for_inference

# Rounding of float32, relative to the largest logit where that is above 1.
_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """What is known of an exported file. ``delegated`` is the share of its operators that the runtime's delegate takes,
    ``quantised`` that of its convolutions and matrix products in integers; None where there is no such thing.

    ``difference`` is the largest difference of a logit from PyTorch's, relative to the largest logit where that is
    above 1; None for a file of unknown origin.
    """

    digest: str
    size_bytes: int
    delegated: float | None
    quantised: float | None
    difference: float | None


def export(runtime: Runtime, arch: ArchConfig, path: Path, *, classes: int, weight_bits: int | None = None) -> Artefact:
    """Write ``arch`` for ``runtime`` to ``path``, with weights that are drawn and not trained.

    Raises MeasurementError where the runtime refuses it, or where it computes something else than PyTorch.
    """
    images = photographs(arch.image_size)
    model = build(arch, classes=classes, fused_attention=runtime.fused_attention)
    _settle(model, images)
    return export_model(runtime, for_inference(model), images, path, weight_bits=weight_bits)


def export_model(
    runtime: Runtime, model: nn.Module, images: Tensor, path: Path, *, weight_bits: int | None = None
) -> Artefact:
    """Write ``model``, in its inference form, for ``runtime`` to ``path``, checked on ``images``.

    With ``weight_bits`` it is an int8 artefact with such weights, calibrated on ``images``; float32 without.
    """
    if weight_bits is not None and weight_bits not in runtime.quantise:
        raise MeasurementError(f"{runtime.title} has no int8 here: choose another --runtime")
    with torch.no_grad():
        expected = model(images).numpy()
        if weight_bits is None:
            runtime.export(copy.deepcopy(model), images[:1].clone(), path)
        else:
            runtime.quantise[weight_bits](copy.deepcopy(model), images, path)
    difference = float(np.abs(outputs(runtime, path, images) - expected).max() / max(1.0, np.abs(expected).max()))
    if weight_bits is None and not difference <= _TOLERANCE:
        raise MeasurementError(
            f"{runtime.title} computes something else than PyTorch: a logit differs by {difference:.2g} of the largest"
        )
    return replace(artefact_of(runtime, path), difference=difference)


def artefact_of(runtime: Runtime, path: Path) -> Artefact:
    """What the file at ``path`` says of itself. Raises MeasurementError where it cannot be read."""
    blob = path.read_bytes()
    with refusals(runtime.title, "read"):
        return Artefact(
            digest=hashlib.sha256(blob).hexdigest()[:32],
            size_bytes=len(blob),
            delegated=runtime.delegated(path),
            quantised=runtime.quantised(path),
            difference=None,
        )


def outputs(runtime: Runtime, path: Path, images: Tensor, *, batch: int = 1) -> np.ndarray:
    """What the artefact at ``path`` gives on this host, [N, classes], for ``images`` [N, ...], ``batch`` at once."""
    with refusals(runtime.title, "run"):
        network = LOADERS[runtime.name][1](path.read_bytes(), 1)()
        return np.concatenate(
            [np.asarray(network(some.contiguous().numpy())).copy() for some in torch.split(images, batch)]
        )


@functools.cache
def photographs(side: int) -> Tensor:
    """Parts [8, 3, side, side] of two real photographs, which come with scikit-learn, in [0, 1]."""
    parts = []
    for photograph in load_sample_images().images:
        image = torch.from_numpy(photograph.copy()).permute(2, 0, 1)[None].float() / 255
        for left in (0, 71, 142, 213):
            part = image[..., left : left + 427]
            parts.append(F.interpolate(part, size=(side, side), mode="bilinear", antialias=True, align_corners=False))
    return torch.cat(parts)


def _settle(model: MobileViT, images: Tensor) -> None:
    """Give the batch norms the statistics of ``images``: with fresh ones logits vanish, and any error with them."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches
    model.train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model(images)
    model.eval()
