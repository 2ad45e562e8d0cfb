"""The moving average of a model, which may be scored in its place."""

import torch
from torch import nn


class Average:
    """Exponential moving average of parameters and batch norm statistics; does nothing at weight 0.

    In the first steps the newest weigh more, 9 / (10 + step): else a short training would be scored with what is left
    of its beginning, whose batch norm statistics are of another size.
    """

    def __init__(self, model: nn.Module, weight: float) -> None:
        self.weight = weight
        state = list(model.state_dict().values()) if weight else []
        self.current = [tensor for tensor in state if tensor.is_floating_point()]
        self.average = [tensor.detach().clone() for tensor in self.current]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in what the model is after ``step``."""
        if self.average:
            torch._foreach_lerp_(self.average, self.current, max(self.weight, 9 / (10 + step)))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's parameters and statistics with their average."""
        if self.average:
            current = [tensor.clone() for tensor in self.current]
            torch._foreach_copy_(self.current, self.average)
            torch._foreach_copy_(self.average, current)
