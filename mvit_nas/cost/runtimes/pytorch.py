"""PyTorch without a compiler: an exported program, run operator by operator. There without any extra."""

from pathlib import Path

import torch
from torch import nn

from mvit_nas.cost.runtimes.runtime import Runtime, refusals

_TITLE = "PyTorch"


def export(model: nn.Module, images: torch.Tensor, path: Path) -> None:
    """Write ``model`` as an exported program (.pt2)."""
    with refusals(_TITLE, "export"):
        torch.export.save(torch.export.export(model, (images,)), path)


# Without ``shape``: torch unpickles parts of an exported program.
RUNTIME = Runtime(name="torch", title=_TITLE, suffix=".pt2", fused_attention=True, export=export)
