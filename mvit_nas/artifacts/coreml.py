"""Core ML: what iPhones and Macs run. Converted anywhere, run on a Mac alone."""

import importlib.util
import platform
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from mvit_nas.cost.runtimes.runtime import refusals
from mvit_nas.models.document import KEY, ModelDocument

_TITLE = "Core ML"
_EXTRA = "coreml"


def missing_extra() -> str:
    """The extra that must be installed for converting; "" where it is."""
    return "" if importlib.util.find_spec("coremltools") is not None else _EXTRA


def runs_here() -> bool:
    """Whether this is a Mac."""
    return platform.system() == "Darwin"


def convert(module: nn.Module, images: Tensor, path: Path, document: ModelDocument, *, name: str) -> None:
    """Write ``module``, images [1, 3, H, W] to probabilities, as a package (.mlpackage) of float32.

    It takes a picture of 8 bits a colour, which it scales itself, and names the classes: Vision needs nothing else.
    """
    with refusals(_TITLE, "export"):
        import coremltools as ct

        # torch.jit.trace, the older way in, fails under numpy 2.4 (coremltools#2633).
        program = torch.export.export(module, (images,)).run_decompositions({})
        scale = document.contract.scale
        converted = ct.convert(
            program,
            inputs=[ct.ImageType(name=name, shape=tuple(images.shape), scale=scale, color_layout=ct.colorlayout.RGB)],
            classifier_config=ct.ClassifierConfig(list(document.classes)),
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=ct.precision.FLOAT32,  # else float16
        )
        converted.short_description = f"MobileViT, {len(document.classes)} classes. Input: {document.contract}."
        converted.version = document.version
        converted.user_defined_metadata[KEY] = document.to_json()
        converted.save(str(path))


def probabilities(path: Path, pixels_NHWC: npt.NDArray[np.uint8], classes: tuple[str, ...]) -> npt.NDArray[np.floating]:
    """Probabilities [N, classes] by the package at ``path``."""
    with refusals(_TITLE, "run"):
        import coremltools as ct

        model = ct.models.MLModel(str(path), compute_units=ct.ComputeUnit.CPU_ONLY)
        found = []
        for pixels_HWC in pixels_NHWC:
            answers = model.predict({"image": Image.fromarray(pixels_HWC)})
            (by_class,) = [answer for answer in answers.values() if isinstance(answer, dict)]
            found.append([by_class[name] for name in classes])
        return np.array(found, dtype=np.float32)
