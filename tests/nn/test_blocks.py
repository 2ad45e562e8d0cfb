"""A kind of block is a class in ``arch/blocks`` and a module in ``nn/blocks``: nothing else has to know of it."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import pytest
import torch
from sure import sure
from torch import Tensor, nn

from mvit_nas.ablation.match import rescale
from mvit_nas.arch.blocks import BLOCKS
from mvit_nas.arch.config import ArchConfig, arch_id, from_dict, to_dict
from mvit_nas.arch.count import StaticCost, count, peak_memory
from mvit_nas.arch.operators import Operator, conv, resize
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.rules import Plain
from mvit_nas.arch.space import parse_space
from mvit_nas.cost.static import count_macs, count_params
from mvit_nas.errors import ArchError
from mvit_nas.nn.backbone import build
from mvit_nas.nn.blocks import MODULES
from mvit_nas.nn.layers import ConvNormAct
from mvit_nas.results.search.architecture import drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerConfig:
    """As MobileViTv2 it resizes the map before anything else and leaves it so."""

    variant: Literal["mixer"] = "mixer"
    dim: int
    depth: int = 1
    patch_size: int = 2

    heads = 1
    fusion = "none"

    @property
    def mlp_width(self) -> int:
        return self.dim

    def tiled_side(self, side: int) -> int:
        return math.ceil(side / self.patch_size) * self.patch_size

    def side_after(self, side: int) -> int:
        return self.tiled_side(side)

    def tokens(self, side: int) -> int:
        return (self.tiled_side(side) // self.patch_size) ** 2

    def widths(self) -> Mapping[str, int]:
        return {"dim": 1}

    def identity(self, side: int) -> dict[str, Plain]:
        return {"variant": self.variant, "dim": self.dim, "depth": self.depth, "patch_size": self.patch_size}

    def operators(self, *, channels: int, side: int) -> Iterator[Operator]:
        tiled = self.tiled_side(side)
        if tiled != side:
            yield resize(channels, side, tiled, kept=0)
        for width, out in ((channels, self.dim), *((self.dim, self.dim),) * self.depth, (self.dim, channels)):
            yield conv("pointwise", width, out, kernel=1, side=tiled)


class Mixer(nn.Module):
    def __init__(self, config: MixerConfig, *, channels: int, dropout: float, fused_attention: bool) -> None:
        super().__init__()
        widths = [channels, *[config.dim] * (config.depth + 1), channels]
        self.config = config
        self.convs = nn.Sequential(*(ConvNormAct(a, b, kernel_size=1) for a, b in pairwise(widths)))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        tiled = [self.config.tiled_side(side) for side in x_BCHW.shape[-2:]]
        if tiled != list(x_BCHW.shape[-2:]):
            x_BCHW = nn.functional.interpolate(x_BCHW, size=tiled, mode="bilinear", align_corners=False)
        mixed_BCHW: Tensor = self.convs(x_BCHW)
        return mixed_BCHW


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> ArchConfig:
    monkeypatch.setitem(BLOCKS, "mixer", MixerConfig)
    monkeypatch.setitem(MODULES, MixerConfig, Mixer)
    # Maps of 25, 13 and 7 px before the blocks, the second of which gets 26 / 2.
    mixer = {"variant": "mixer", "dim": 24}
    return with_values(
        PRESETS["mobilevit_xxs"], {"image_size": 200, "stages.2.mobilevit": mixer, "stages.4.mobilevit": mixer}
    )


def test_a_network_with_a_new_kind_of_block_is_varied_named_and_read_again(mixed):
    assert from_dict(json.loads(json.dumps(to_dict(mixed)))) == mixed
    deeper = with_values(mixed, {"stages.4.mobilevit.depth": 2})
    assert deeper.stages[4].mobilevit == MixerConfig(dim=24, depth=2)
    assert len({arch_id(mixed), arch_id(deeper), arch_id(PRESETS["mobilevit_xxs"])}) == 3
    with pytest.raises(ArchError, match="unknown 'heads'"):
        with_values(mixed, {"stages.4.mobilevit.heads": 2})
    with pytest.raises(
        ArchError, match=r"architecture.stages.4.mobilevit.variant: unknown 'mixr', did you mean 'mixer'"
    ):
        from_dict({"stages": [{"channels": 8}] * 4 + [{"channels": 8, "mobilevit": {"variant": "mixr"}}]})


def test_its_price_is_that_of_its_module_and_of_what_its_map_costs_later_blocks(mixed):
    model = build(mixed, classes=7)
    image = torch.zeros(1, 3, 200, 200)
    assert count(mixed, classes=7) == StaticCost(params=count_params(model), macs=count_macs(model, image))
    sides = []
    for stage in model.stages:
        stage.register_forward_hook(lambda *args: sides.append(args[2].shape[-1]))
    assert model.eval()(image).shape == (1, 7)
    assert tuple(sides) == mixed.map_sides(200) == (100, 50, 26, 13, 8)
    assert peak_memory(mixed) > 0


def test_a_space_a_picture_and_equal_costs_take_it_as_any_other(mixed):
    text = """
base: mobilevit_xxs
factors:
  block:
    paths: [stages.4.mobilevit]
    values:
      plain: {}
      mixer: {stages.4.mobilevit: {variant: mixer, dim: 24}}
"""
    space = parse_space(text, name="mine", where="mine.yaml")
    assert space.arch({"block": "mixer"}).stages[4].mobilevit == MixerConfig(dim=24)
    assert sure(drawing(mixed, 7)[3].transformer).tiles is False
    target = count(PRESETS["mobilevit_xxs"]).params
    wide, scale = rescale(mixed, target=target, cost=lambda arch: count(arch).params, keep=(), what="the mixer")
    assert scale > 1
    assert sure(wide.stages[4].mobilevit).dim > 24
