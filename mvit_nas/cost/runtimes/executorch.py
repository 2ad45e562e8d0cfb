"""ExecuTorch with its XNNPACK delegate: PyTorch's own runtime for phones."""

import copy
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mvit_nas.cost.runtimes.runtime import BITS, Runtime, refusals, silence, unreadable

if TYPE_CHECKING:
    from executorch.exir.schema import Program

_TITLE = "ExecuTorch"
_NONE: Mapping[str, str] = {}
# XNNPACK's names of what takes nearly all of the time.
_PRODUCTS = {"XNNConv2d", "XNNDepthwiseConv2d", "XNNConvTranspose2d", "XNNFullyConnected", "XNNBatchMatrixMultiply"}

# As its schema says, which is ExecuTorch's.
Graph = dict[str, Any]


class _LayerNorm(nn.Module):
    """nn.LayerNorm of operators that XNNPACK takes: it knows no mean over the last axis, so means are products.

    MobileViT-S then is one piece for the delegate instead of 22, and takes 0.97 of the time.
    """

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        (width,) = norm.normalized_shape
        self.register_buffer("mean_weight", torch.full((1, width), 1 / width))

    def forward(self, x: Tensor) -> Tensor:
        mean_weight = cast(Tensor, self.mean_weight)
        centred = x - F.linear(x, mean_weight)
        variance = F.linear(centred * centred, mean_weight)
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias


def export(model: nn.Module, images: Tensor, path: Path, *, texts: Mapping[str, str] = _NONE) -> None:
    """Write ``model`` as a program (.pte) of float32 whose operators go to XNNPACK.

    Each of ``texts`` becomes a method that gives it, by its name.
    """
    with refusals(_TITLE, "export"):
        plain = _plain(model)
        for module in list(plain.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.LayerNorm):
                    setattr(module, name, _LayerNorm(child))
        _write(torch.export.export(plain, (images,)), path, texts)


def quantise(model: nn.Module, images: Tensor, path: Path, *, texts: Mapping[str, str] = _NONE) -> None:
    """Write ``model`` with convolutions and linear layers of int8: static, one scale for each channel of weights.

    Layer norm, softmax and the products of attention stay in float32.
    """
    with refusals(_TITLE, "quantise"):
        from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
            XNNPACKQuantizer,
            get_symmetric_quantization_config,
        )
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        quantiser = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
        example = (images[:1],)
        prepared = prepare_pt2e(torch.export.export(_plain(model), example).module(), quantiser)
        with torch.no_grad():
            for image in torch.split(images, 1):
                prepared(image)
        _write(torch.export.export(convert_pt2e(prepared), example), path, texts)


def delegated(path: Path) -> float:
    """The share of the operators at ``path`` that XNNPACK runs."""
    program = _program(path)
    inside: int = sum(len(graph["xnodes"]) for graph in _graphs(program))
    steps = program.execution_plan[0].chains[0].instructions
    outside = sum(type(step.instr_args).__name__ == "KernelCall" for step in steps)
    return inside / (inside + outside)


def quantised(path: Path) -> float:
    """The share of the convolutions and matrix products at ``path`` that XNNPACK runs in integers."""
    integer: list[bool] = []
    for graph in _graphs(_program(path)):
        kinds = {}
        for value in graph["xvalues"]:
            tensor = value["xvalue_union"].get("tensor_value", value["xvalue_union"])
            kinds[tensor["id_out"]] = value["xvalue_union_type"]
        integer += [
            kinds[node["xnode_union"]["output_id"]] == "XNNQuantizedTensorValue"
            for node in graph["xnodes"]
            if node["xnode_union_type"] in _PRODUCTS
        ]
    return sum(integer) / len(integer)


def shape(path: Path) -> tuple[int, ...]:
    """The shape of the images of the file at ``path``."""
    with unreadable(path, _TITLE):
        plan = _program(path).execution_plan[0]
        (images,) = plan.inputs
        return tuple(plan.values[images].val.sizes)


def _program(path: Path) -> "Program":
    with silence():
        from executorch.exir._serialize._program import deserialize_pte_binary

        return deserialize_pte_binary(path.read_bytes()).program


def _graphs(program: "Program") -> list[Graph]:
    """What XNNPACK runs in each piece of ``program``, after its schema: ExecuTorch has a writer and no reader."""
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import XNNHeader, _get_schema_bytes
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    graphs = []
    with tempfile.TemporaryDirectory() as folder:
        schema, binary = Path(folder) / "schema.fbs", Path(folder) / "graph.bin"
        schema.write_bytes(_get_schema_bytes())
        for delegate in program.execution_plan[0].delegates:
            blob = bytes(program.backend_delegate_data[delegate.processed.index].data)
            header = XNNHeader.from_bytes(blob[: XNNHeader.EXPECTED_LENGTH])
            binary.write_bytes(blob[header.flatbuffer_offset :][: header.flatbuffer_size])
            _flatc_decompile(folder, str(schema), str(binary), ["--raw-binary"])
            graphs.append(json.loads((Path(folder) / "graph.json").read_text()))
    return graphs


def _plain(model: nn.Module) -> nn.Module:
    # XNNPACK's partitioner refuses weights that lie channels-last.
    return copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, no-any-return]


def _write(program: torch.export.ExportedProgram, path: Path, texts: Mapping[str, str]) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()], constant_methods=dict(texts))
    path.write_bytes(edge.to_executorch().buffer)


RUNTIME = Runtime(
    name="executorch",
    title=_TITLE,
    extra="executorch",
    modules=("executorch", "torchao"),
    suffix=".pte",
    export=export,
    quantise={BITS: quantise},
    delegated=delegated,
    quantised=quantised,
    shape=shape,
)
