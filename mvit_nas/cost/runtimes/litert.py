"""LiteRT, once TensorFlow Lite: what Android phones carry."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mvit_nas.cost.runtimes.runtime import BITS, Runtime, refusals, silence, unreadable

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

_TITLE = "LiteRT"
# Of MobileViT-S's time in float32 the products alone leave 0.57, with these beside them 0.45. Everything in integers
# takes 1.37 of it, as much then falls out of the delegate.
_QUANTISED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "LOGISTIC", "MUL", "ADD", "CONCATENATION", "PAD")
# What takes nearly all of the time, as LiteRT calls it.
_PRODUCTS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL"}


def export(model: nn.Module, images: torch.Tensor, path: Path, *, name: str = "") -> None:
    """Write ``model`` as a flatbuffer (.tflite) of float32.

    With a ``name``, that of the one parameter of its ``forward``, the input is called so, and outputs as the keys of
    the mapping that ``forward`` gives; without one they are numbered.
    """
    with refusals(_TITLE, "export"):
        import litert_torch

        converted = (
            litert_torch.convert(model, sample_kwargs={name: images})
            if name
            else litert_torch.convert(model, (images,))
        )
        converted.export(str(path))


def quantise(model: nn.Module, images: torch.Tensor, path: Path, *, name: str = "") -> None:
    """Write ``model`` with operators of int8: static, weights by channel, float32 in and out.

    Layer norm's means, softmax and the products of attention stay in float32.
    """
    with refusals(_TITLE, "quantise"), tempfile.TemporaryDirectory() as folder:
        from ai_edge_quantizer.qtyping import TFLOperationName
        from ai_edge_quantizer.quantizer import Quantizer

        exported = Path(folder) / "exported.tflite"
        export(model, images[:1], exported, name=name)
        quantiser = Quantizer(str(exported))
        for operation in _QUANTISED:
            quantiser.add_static_config(
                regex=".*", operation_name=TFLOperationName[operation], activation_num_bits=8, weight_num_bits=8
            )
        ((signature, tensors),) = _interpreter(exported).get_signature_list().items()
        (called,) = tensors["inputs"]
        calibration = {signature: [{called: image.numpy()} for image in torch.split(images, 1)]}
        result = quantiser.quantize(quantiser.calibrate(calibration))
        path.write_bytes(result.quantized_model)


def delegated(path: Path) -> float:
    """The share of the operators at ``path`` that XNNPACK runs on this processor."""
    interpreter = _interpreter(path)
    operators = interpreter._get_ops_details()
    delegates = [operator for operator in operators if operator["op_name"] == "DELEGATE"]
    replaced = [operator for operator in operators if operator["op_name"] != "DELEGATE"]
    # Both are listed, a delegate and what it stands for; which those are is found backwards from the logits.
    makers = {tensor: operator for operator in (*replaced, *delegates) for tensor in operator["outputs"]}
    todo = [detail["index"] for detail in interpreter.get_output_details()]
    used = {}
    while todo:
        operator = makers.get(todo.pop())
        if operator is not None and operator["index"] not in used:
            used[operator["index"]] = operator
            todo += list(operator["inputs"])
    outside: int = sum(operator["op_name"] != "DELEGATE" for operator in used.values())
    return 1.0 - outside / len(replaced)


def quantised(path: Path) -> float:
    """The share of the convolutions and matrix products at ``path`` that run in integers."""
    import numpy as np

    interpreter = _interpreter(path)
    kinds = {detail["index"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    products = [operator for operator in interpreter._get_ops_details() if operator["op_name"] in _PRODUCTS]
    integer = [operator for operator in products if kinds[operator["outputs"][0]] == np.int8]
    return len(integer) / len(products)


def shape(path: Path) -> tuple[int, ...]:
    """The shape of the images of the file at ``path``."""
    with unreadable(path, _TITLE):
        (images,) = _interpreter(path).get_input_details()
        return tuple(int(size) for size in images["shape"])


def _interpreter(path: Path) -> "Interpreter":
    with silence():
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
        return interpreter


RUNTIME = Runtime(
    name="litert",
    title=_TITLE,
    extra="litert",
    modules=("litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
    suffix=".tflite",
    export=export,
    quantise={BITS: quantise},
    delegated=delegated,
    quantised=quantised,
    shape=shape,
)
