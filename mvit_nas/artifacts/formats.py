"""The formats that a trained network is exported to: how each is written, and what runs it here.

Every file takes images and gives probabilities: the temperature is in the classifier's weights, a softmax at the end.
"""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mvit_nas.artifacts import coreml
from mvit_nas.artifacts.checked import Artefact, artefact_of, outputs
from mvit_nas.cost.probe import LOADERS
from mvit_nas.cost.runtimes import executorch, litert, onnx, pytorch
from mvit_nas.cost.runtimes.registry import is_installed
from mvit_nas.cost.runtimes.runtime import Runtime
from mvit_nas.data.contract import InputContract
from mvit_nas.errors import DeviceError, InputError, unknown
from mvit_nas.models.document import KEY, ModelDocument
from mvit_nas.models.embedded import write_document
from mvit_nas.models.folder import Model
from mvit_nas.nn.inference import for_inference

# What inputs and outputs are called in every format that has names.
IMAGE, PROBABILITIES = "image", "probabilities"
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A file to be written: what it says of itself, images in its layout (int8's ranges come from them), its kind."""

    document: ModelDocument
    images: Tensor
    int8: bool
    dynamic_batch: bool

    @property
    def example(self) -> Tensor:
        """One image, black: PyTorch's program keeps it, and a photo of the train part is nobody else's business."""
        return torch.zeros_like(self.images[:1])

    @property
    def texts(self) -> dict[str, str]:
        """The document by its key."""
        return {KEY: self.document.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One kind of file. ``name`` is what people type, ``suffix`` the file's.

    ``write`` makes the file of a module that takes images in ``layout``. ``runtime`` executes it here; None for Core
    ML, which only a Mac does.
    """

    name: str
    title: str
    suffix: str
    layout: str
    write: Callable[[nn.Module, Order, Path], None]
    runtime: Runtime | None

    @property
    def has_int8(self) -> bool:
        """Whether there is an int8 file of it."""
        return self.runtime is not None and bool(self.runtime.quantise)

    @property
    def runs_here(self) -> bool:
        """Whether this machine can execute the file."""
        return self.runtime is not None or coreml.runs_here()

    @property
    def version(self) -> str:
        """That of the package that makes and runs it."""
        return importlib.metadata.version("coremltools" if self.runtime is None else LOADERS[self.runtime.name][0])

    def require(self) -> None:
        """Raise DeviceError that says what to install where what makes the file is not installed."""
        extra = (
            coreml.missing_extra() if self.runtime is None else self.runtime.extra * (not is_installed(self.runtime))
        )
        if extra:
            raise DeviceError(f"--format {self.name} needs what is not installed: pip install 'mvit-nas[{extra}]'")

    def export(
        self, model: Model, path: Path, *, calibration_NHWC: Pixels, int8: bool = False, dynamic_batch: bool = False
    ) -> None:
        """Write ``model`` to ``path`` with its document. Raises MeasurementError where the exporter refuses it."""
        document = model.document
        contract = replace(document.contract, layout=self.layout)  # type: ignore[arg-type]
        fused = self.runtime is not None and self.runtime.fused_attention
        network = model.network(fused_attention=fused)
        with torch.no_grad():
            for parameter in network.classifier.parameters():
                parameter.div_(document.temperature)
        order = Order(
            document=replace(document, contract=contract),
            images=given(calibration_NHWC, contract),
            int8=int8,
            dynamic_batch=dynamic_batch,
        )
        with torch.no_grad():
            self.write(_Answering(for_inference(network), layout=self.layout), order, path)

    def run(self, path: Path, pixels_NHWC: Pixels, document: ModelDocument, *, batch: int = 1) -> Floats:
        """Probabilities [N, classes] that ``path`` gives of images as the contract makes them; ``batch`` at once."""
        if self.runtime is None:
            return coreml.probabilities(path, pixels_NHWC, document.classes)
        return outputs(self.runtime, path, given(pixels_NHWC, document.contract), batch=batch)

    def describe(self, path: Path) -> Artefact:
        """What the file at ``path`` says of itself."""
        if self.runtime is not None:
            return artefact_of(self.runtime, path)
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        return Artefact(digest="", size_bytes=size, delegated=None, quantised=None, difference=None)


def given(pixels_NHWC: Pixels, contract: InputContract) -> Tensor:
    """Images as a file of this contract takes them: float32, 0 to 1."""
    images_NHWC = torch.from_numpy(pixels_NHWC.copy()).float() / 255
    return images_NHWC if contract.layout == "NHWC" else images_NHWC.permute(0, 3, 1, 2).contiguous()


class _Answering(nn.Module):
    """Images in the ``layout`` to probabilities."""

    def __init__(self, logits: nn.Module, *, layout: str) -> None:
        super().__init__()
        self.logits = logits
        self.channels_last = layout == "NHWC"

    def forward(self, image: Tensor) -> Tensor:
        """[B, classes]. The parameter's name is the input's in formats that take it from here."""
        probabilities: Tensor = self.logits(image.permute(0, 3, 1, 2) if self.channels_last else image).softmax(1)
        return probabilities


class _Named(nn.Module):
    """The same as a mapping, from which LiteRT takes the output's name."""

    def __init__(self, answering: nn.Module) -> None:
        super().__init__()
        self.answering = answering

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Probabilities [B, classes] by their name."""
        return {PROBABILITIES: self.answering(image)}


def _write_onnx(module: nn.Module, order: Order, path: Path) -> None:
    names = (IMAGE, PROBABILITIES)
    if order.int8:
        onnx.quantise(module, order.images, path, names=names, dynamic_batch=order.dynamic_batch)
    else:
        onnx.export(module, order.example, path, names=names, dynamic_batch=order.dynamic_batch)
    write_document(path, order.document)


def _write_litert(module: nn.Module, order: Order, path: Path) -> None:
    if order.int8:
        litert.quantise(_Named(module).eval(), order.images, path, name=IMAGE)
    else:
        litert.export(_Named(module).eval(), order.example, path, name=IMAGE)
    write_document(path, order.document)


def _write_executorch(module: nn.Module, order: Order, path: Path) -> None:
    if order.int8:
        executorch.quantise(module, order.images, path, texts=order.texts)
    else:
        executorch.export(module, order.example, path, texts=order.texts)


def _write_torch(module: nn.Module, order: Order, path: Path) -> None:
    pytorch.export(module, order.example, path, texts=order.texts)


def _write_coreml(module: nn.Module, order: Order, path: Path) -> None:
    coreml.convert(module, order.example, path, order.document, name=IMAGE)


def _of(runtime: Runtime, write: Callable[[nn.Module, Order, Path], None], *, layout: str = "NCHW") -> Format:
    name, suffix = runtime.suffix.removeprefix("."), runtime.suffix
    return Format(name=name, title=runtime.title, suffix=suffix, layout=layout, write=write, runtime=runtime)


# By what people type. A folder for transformers (hf) is no file of a runtime, and is not among them.
FORMATS: dict[str, Format] = {
    "onnx": _of(onnx.RUNTIME, _write_onnx),
    "pte": _of(executorch.RUNTIME, _write_executorch),
    "tflite": _of(litert.RUNTIME, _write_litert, layout="NHWC"),
    "coreml": Format(
        name="coreml", title="Core ML", suffix=".mlpackage", layout="NCHW", write=_write_coreml, runtime=None
    ),
    "torch": replace(_of(pytorch.RUNTIME, _write_torch), name="torch"),
}


def find_format(name: str) -> Format:
    """The format of that name; InputError that lists the known ones otherwise."""
    if name not in FORMATS:
        raise InputError(f"--format: {unknown(name, FORMATS)}")
    return FORMATS[name]


def format_of(path: Path) -> Format:
    """The format of the file at ``path``, by its suffix; InputError that lists the known ones otherwise."""
    for one in FORMATS.values():
        if one.suffix == path.suffix:
            return one
    raise InputError(f"{path}: known are {', '.join(one.suffix for one in FORMATS.values())}")
