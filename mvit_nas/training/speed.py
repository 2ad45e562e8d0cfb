"""What makes training steps faster and changes its numbers at most in their rounding."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """``bf16``: products in bfloat16. ``compiled``: by ``torch.compile``, once for each side."""

    bf16: bool = False
    compiled: bool = False

    @classmethod
    def usual(cls, device: torch.device) -> "Speed":
        """bf16 where it pays in any case: on CUDA devices that have it."""
        return cls(bf16=device.type == "cuda" and torch.cuda.is_bf16_supported())

    def autocast(self, device: torch.device) -> torch.autocast:
        """In which the network is run."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.bf16)

    def prepared(self, network: nn.Module) -> nn.Module:
        """The network as it is run in training."""
        return torch.compile(network) if self.compiled else network  # type: ignore[return-value]
