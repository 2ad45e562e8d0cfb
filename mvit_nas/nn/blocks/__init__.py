"""The modules of the kinds of block that ``arch/blocks`` describes."""

from collections.abc import Callable

from torch import nn

from mvit_nas.arch.blocks import Block
from mvit_nas.arch.blocks.mobilevit import MobileViTConfig
from mvit_nas.nn.blocks.mobilevit import MobileViTBlock

# Each takes the block's description and what ``make_block`` takes, and makes a module from a map to a map of as many
# channels.
MODULES: dict[type[Block], Callable[..., nn.Module]] = {MobileViTConfig: MobileViTBlock}


def make_block(config: Block, *, channels: int, dropout: float, fused_attention: bool) -> nn.Module:
    """The module of ``config``: maps [B, channels, H, W] to [B, channels, H, W], H and W by ``side_after``."""
    return MODULES[type(config)](config, channels=channels, dropout=dropout, fused_attention=fused_attention)
