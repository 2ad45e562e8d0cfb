"""The kinds of block: each has its description, price and widths in a file here, and its module in ``nn/blocks``."""

from mvit_nas.arch.blocks.block import Block as Block
from mvit_nas.arch.blocks.mobilevit import MobileViTConfig as MobileViTConfig

# By what stands at "variant" in a description. v1 has no such field: descriptions are older than other variants.
BLOCKS: dict[str, type[Block]] = {"v1": MobileViTConfig}
