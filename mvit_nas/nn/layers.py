"""Layers that several blocks share. Axes: B images, C channels, H and W the map, T sequences, N tokens, D width."""

from typing import cast

from torch import Tensor, nn


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm and, unless ``activation`` is off, SiLU. Stride 1 keeps the side."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels, eps=1e-5, momentum=0.1)
        if activation:
            self.activation = nn.SiLU(inplace=True)


class MLP(nn.Module):
    """Two linear layers with SiLU between them."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, width)
        self.activation = nn.SiLU()
        self.project = nn.Linear(width, dim)

    def forward(self, x_TND: Tensor) -> Tensor:
        return cast(Tensor, self.project(self.activation(self.expand(x_TND))))
