"""A small model as files of runtimes, written here by the libraries alone: what reads them does not test itself."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mvit_nas.models.folder import Model


class Answering(nn.Module):
    """Probabilities of images, which are [B, 3, side, side], or with the colours last."""

    def __init__(self, model: Model, *, nhwc: bool = False) -> None:
        super().__init__()
        self.network = model.network(fused_attention=False)
        self.temperature = model.document.temperature
        self.nhwc = nhwc

    def forward(self, image: Tensor) -> Tensor:
        image = image.permute(0, 3, 1, 2) if self.nhwc else image
        logits: Tensor = self.network(image)
        return (logits / self.temperature).softmax(1)


def write_onnx(path: Path, model: Model, *, document: bool = True, free: bool = False) -> Path:
    """An ONNX file with the model's document, or one of logits without it; ``free``: for any number of images."""
    import onnx

    side = model.document.contract.side
    options: dict[str, Any] = {"dynamic_axes": {"image": {0: "batch"}}} if free else {}
    torch.onnx.export(
        Answering(model) if document else model.network(fused_attention=False),
        (torch.zeros(1, 3, side, side),),
        str(path),
        input_names=["image"],
        opset_version=17,
        dynamo=False,
        **options,
    )
    if document:
        graph = onnx.load(str(path))
        onnx.helper.set_model_props(graph, {"mvit_nas": model.document.to_json()})
        onnx.save(graph, str(path))
    return path


def write_litert(path: Path, model: Model) -> Path:
    """A .tflite file with the model's document, of images with the colours last."""
    import litert_torch

    from mvit_nas.models.embedded import write_document

    side = model.document.contract.side
    network = Answering(model, nhwc=True).eval()
    litert_torch.convert(network, sample_kwargs={"image": torch.zeros(1, side, side, 3)}).export(str(path))
    write_document(path, model.document)
    return path


def write_executorch(path: Path, model: Model) -> Path:
    """A .pte file with the model's document."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    side = model.document.contract.side
    # XNNPACK's partitioner refuses weights that lie channels-last.
    network: nn.Module = Answering(model).eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    edge = to_edge_transform_and_lower(
        torch.export.export(network, (torch.zeros(1, 3, side, side),)),
        partitioner=[XnnpackPartitioner()],
        constant_methods={"mvit_nas": model.document.to_json()},
    )
    path.write_bytes(edge.to_executorch().buffer)
    return path
