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
