"""The module of MobileNetV2's block."""

from typing import cast

from torch import Tensor, nn

from mvit_nas.arch.blocks.inverted_residual import InvertedResidualConfig
from mvit_nas.nn.layers import ConvNormAct


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; a skip connection at stride 1 with equal channels."""

    def __init__(self, config: InvertedResidualConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.expand = ConvNormAct(config.in_channels, hidden, kernel_size=1) if config.expands else nn.Identity()
        self.depthwise = ConvNormAct(
            hidden, hidden, kernel_size=config.kernel_size, stride=config.stride, groups=hidden
        )
        self.project = ConvNormAct(hidden, config.out_channels, kernel_size=1, activation=False)
        self.adds = config.adds

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = self.project(self.depthwise(self.expand(x_BCHW)))
        return x_BCHW + y_BCHW if self.adds else cast(Tensor, y_BCHW)
