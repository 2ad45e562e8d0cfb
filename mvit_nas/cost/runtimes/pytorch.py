"""PyTorch without a compiler: an exported program, run operator by operator. There without any extra."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from mvit_nas.cost.runtimes.runtime import Runtime, refusals

_TITLE = "PyTorch"
_NONE: Mapping[str, str] = {}


def export(model: nn.Module, images: torch.Tensor, path: Path, *, texts: Mapping[str, str] = _NONE) -> None:
    """Write ``model`` as an exported program (.pt2), which carries ``texts`` as its extra files."""
    with refusals(_TITLE, "export"):
        torch.export.save(torch.export.export(model, (images,)), path, extra_files=dict(texts))


# Without ``shape``: torch unpickles parts of an exported program.
RUNTIME = Runtime(name="torch", title=_TITLE, suffix=".pt2", fused_attention=True, export=export)
