"""Parameters and multiply-adds of any module, by fvcore, with attention counted."""

import logging
import math
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from mvit_nas.errors import CostError

# Work that fvcore's convention leaves free: one pass over the elements, no products.
_FREE_OPERATORS = {"aten::add", "aten::add_", "aten::mean", "aten::mul", "aten::silu", "aten::silu_", "aten::softmax"}


def count_params(model: nn.Module) -> int:
    """The number of parameters of ``model``."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, images: torch.Tensor) -> int:
    """Multiply-adds of ``model`` for ``images``, in evaluation mode (fvcore calls them FLOPs).

    Raises CostError that names every operator which fvcore has no rule for: a total without them would be too low.
    """
    was_training = model.training
    analysis = FlopCountAnalysis(model.eval(), (images,))
    analysis.set_op_handle("aten::scaled_dot_product_attention", _attention_macs)
    analysis.uncalled_modules_warnings(False)
    # fvcore logs what it does not count; here that is an error below, so the log line would be said twice.
    analysis.unsupported_ops_warnings(False)
    logger = logging.getLogger("fvcore.nn.jit_analysis")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with torch.no_grad():
            total = int(analysis.total())
            uncounted = set(analysis.unsupported_ops()) - _FREE_OPERATORS
    finally:
        logger.setLevel(level)
        model.train(was_training)
    if uncounted:
        raise CostError(f"no rule counts {', '.join(sorted(uncounted))}; the total would be too low")
    return total


def _attention_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """Query times key and weights times value, without projections: 2 x tokens x tokens x width."""
    q, k, v = (part.type().sizes() for part in inputs[:3])
    *batch, queries, width = q
    return int(math.prod(batch) * queries * k[-2] * (width + v[-1]))
