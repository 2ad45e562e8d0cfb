"""ONNX Runtime: fast on servers and desktops, and to be had on phones."""

import functools
import tempfile
from pathlib import Path

import torch
from torch import nn

from mvit_nas.cost.runtimes.runtime import BITS, NARROW_BITS, Runtime, refusals, silence, unreadable

_TITLE = "ONNX Runtime"
_OPSET = 17
# What takes nearly all of the time, as ONNX calls it; the integer forms stand in int8 files.
_PRODUCTS = {"Conv", "Gemm", "MatMul"}
_INTEGER_PRODUCTS = {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "QGemm"}


def export(
    model: nn.Module,
    images: torch.Tensor,
    path: Path,
    *,
    names: tuple[str, str] = ("images", "logits"),
    dynamic_batch: bool = False,
) -> None:
    """Write ``model`` as ONNX (opset 17) with ``names`` of input and output. Node names carry their module's path.

    With ``dynamic_batch`` it takes any number of images at once.
    """
    with refusals(_TITLE, "export"):
        # The exporter that torch deprecates: 0.7 s against 5.8 s of CPU time for MobileViT-S and equal run times, and
        # only its node names ("/stages/stages.2/...") say which stage a node belongs to. torch < 2.14 is pinned.
        torch.onnx.export(
            model,
            (images,),
            str(path),
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_axes={name: {0: "batch"} for name in names} if dynamic_batch else None,
            opset_version=_OPSET,
            dynamo=False,
        )


def quantise(
    model: nn.Module,
    images: torch.Tensor,
    path: Path,
    *,
    weight_bits: int = BITS,
    names: tuple[str, str] = ("images", "logits"),
    dynamic_batch: bool = False,
) -> None:
    """Write ``model`` with products of int8: static, unsigned activations, signed weights for each channel.

    Where such products saturate, weights of 7 bits keep a correlation with float32's logits of 0.81, not 0.25, at the
    same speed (AVX2 without VNNI, an untrained network). A softmax at the end stays in float32: probabilities in steps
    of 1/255 would have ties.
    """
    # Signed activations would be the usual choice, and take 1.43 of float's time on x86 instead of 0.67.
    with refusals(_TITLE, "quantise"), tempfile.TemporaryDirectory() as folder:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        left = iter([{names[0]: image.numpy()} for image in torch.split(images, 1)])

        class Images(CalibrationDataReader):  # type: ignore[misc]
            def get_next(self) -> object:
                return next(left, None)

        exported, prepared = Path(folder) / "exported.onnx", Path(folder) / "prepared.onnx"
        export(model, images[:1], exported, names=names, dynamic_batch=dynamic_batch)
        quant_pre_process(str(exported), str(prepared))
        last = [node for node in onnx.load(prepared).graph.node if names[1] in node.output]
        quantize_static(
            str(prepared),
            str(path),
            Images(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=weight_bits == NARROW_BITS,
            nodes_to_exclude=[node.name for node in last if node.op_type == "Softmax"],
        )


def quantised(path: Path) -> float:
    """The share of the convolutions and matrix products at ``path`` that run in integers."""
    with silence():
        import onnx

        graph = onnx.load(path).graph
    from_integers = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    products = [node for node in graph.node if node.op_type in _PRODUCTS | _INTEGER_PRODUCTS]
    integer = [
        node for node in products if node.op_type in _INTEGER_PRODUCTS or from_integers.issuperset(node.input[:2])
    ]
    return len(integer) / len(products)


def shape(path: Path) -> tuple[int, ...]:
    """The shape of the images of the file at ``path``; 0 where it takes any size."""
    with unreadable(path, "ONNX"):
        import onnx

        (images,) = onnx.load(path, load_external_data=False).graph.input
        return tuple(size.dim_value for size in images.type.tensor_type.shape.dim)


RUNTIME = Runtime(
    name="onnxruntime",
    title=_TITLE,
    extra="onnx",
    modules=("onnx", "onnxruntime"),
    suffix=".onnx",
    export=export,
    quantise={BITS: quantise, NARROW_BITS: functools.partial(quantise, weight_bits=NARROW_BITS)},
    quantised=quantised,
    shape=shape,
)
