"""The paper's networks, as data (arXiv 2110.02178, table 4 of the appendix and the released configurations)."""

from mvit_nas.arch.blocks.mobilevit import MobileViTConfig
from mvit_nas.arch.config import ArchConfig, StageConfig, StemConfig


def _mobilevit(
    channels: tuple[int, int, int, int, int],
    dims: tuple[int, int, int],
    *,
    expand_ratio: float,
    dropout: float,
) -> ArchConfig:
    depths = (2, 4, 3)
    blocks = (1, 3, 1, 1, 1)
    strides = (1, 2, 2, 2, 2)
    transformers = (None, None, *(MobileViTConfig(dim=d, depth=n) for d, n in zip(dims, depths, strict=True)))
    stages = tuple(
        StageConfig(channels=c, blocks=b, stride=s, expand_ratio=expand_ratio, mobilevit=t)
        for c, b, s, t in zip(channels, blocks, strides, transformers, strict=True)
    )
    return ArchConfig(image_size=256, stem=StemConfig(channels=16, stride=2), stages=stages, dropout=dropout)


PRESETS: dict[str, ArchConfig] = {
    "mobilevit_xxs": _mobilevit((16, 24, 48, 64, 80), (64, 80, 96), expand_ratio=2.0, dropout=0.05),
    "mobilevit_xs": _mobilevit((32, 48, 64, 80, 96), (96, 120, 144), expand_ratio=4.0, dropout=0.1),
    "mobilevit_s": _mobilevit((32, 64, 96, 128, 160), (144, 192, 240), expand_ratio=4.0, dropout=0.1),
}
