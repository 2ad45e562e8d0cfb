"""Parameters and multiply-adds: published numbers, fvcore, the closed form, and what may not be left out."""

import random

import pytest
import torch
from sure import sure
from torch import nn

from mvit_nas.arch.count import StaticCost, count, peak_memory
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import load_space
from mvit_nas.cost.static import count_macs, count_params
from mvit_nas.errors import CostError, InvalidArchError
from mvit_nas.nn.backbone import build

PARAMS = {"mobilevit_xxs": 1_272_024, "mobilevit_xs": 2_317_848, "mobilevit_s": 5_578_632}
GIGA_MACS = {"mobilevit_xxs": 0.4182, "mobilevit_xs": 1.0522, "mobilevit_s": 2.0334}


def by_fvcore(arch, classes=1000):
    model = build(arch, classes=classes)
    images = torch.zeros(1, 3, arch.image_size, arch.image_size)
    return StaticCost(params=count_params(model), macs=count_macs(model, images))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_cost_what_was_published(name):
    cost = by_fvcore(PRESETS[name])
    assert cost.params == PARAMS[name]
    assert round(cost.macs / 1e9, 4) == GIGA_MACS[name]


def test_memory_peaks_where_attention_writes_its_scores_or_a_block_expands():
    # XXS, stage 3 at 256 px: 32 x 32 tokens of 64 numbers, 4 heads, patches of 2 x 2.
    stream, scores, map_before = 64 * 32**2, 4 * 32**2 * 32**2 // 4, 48 * 32**2
    softmax = 2 * scores + 3 * stream + stream + map_before
    assert peak_memory(PRESETS["mobilevit_xxs"]) == 4 * softmax
    # XS, the first block of stage 2: 32 channels become 128 at 128 x 128.
    assert peak_memory(PRESETS["mobilevit_xs"]) == 4 * (32 + 128) * 128**2
    # At 64 px attention is small. The block of stage 1 keeps its 16 channels for the sum while 32 are convolved.
    small = with_values(PRESETS["mobilevit_xxs"], {"image_size": 64})
    assert peak_memory(small) == 4 * (16 + 32 + 32) * 32**2


@pytest.mark.parametrize(("patch_size", "mega_macs"), [(1, 1404.0), (2, 1052.2), (4, 964.2), (8, 942.2)])
def test_patch_size_costs_multiply_adds_and_no_parameters(patch_size, mega_macs):
    cost = count(with_values(PRESETS["mobilevit_xs"], {"stages.*.mobilevit.patch_size": patch_size}))
    assert cost.params == PARAMS["mobilevit_xs"]
    assert round(cost.macs / 1e6, 1) == mega_macs


def assert_both_counts_agree(space_name, samples):
    space = load_space(space_name)
    generator = random.Random(space_name)
    checked = 0
    while checked < samples:
        try:
            arch = space.arch(space.draw(generator))
        except InvalidArchError:
            continue
        assert count(arch, classes=13) == by_fvcore(arch, classes=13), arch
        checked += 1


@pytest.mark.parametrize("space_name", ["mobilevit", "mobilevit_small"])
def test_the_closed_form_equals_fvcore_on_every_value_of_a_shipped_space(space_name):
    space = load_space(space_name)
    generator = random.Random(space_name)
    unseen = {(parameter.name, label) for parameter in space.parameters for label in parameter.choices}
    while unseen:
        labels = space.draw(generator)
        if unseen.isdisjoint(labels.items()):
            continue
        try:
            arch = space.arch(labels)
        except InvalidArchError:
            continue
        assert count(arch, classes=13) == by_fvcore(arch, classes=13), arch
        unseen.difference_update(labels.items())


@pytest.mark.slow
@pytest.mark.parametrize("space_name", ["mobilevit", "mobilevit_small"])
def test_the_closed_form_equals_fvcore_on_500(space_name):
    assert_both_counts_agree(space_name, 500)


@pytest.mark.parametrize(
    "values",
    [
        {"image_size": 200},  # a map of 25 that patches of 2 do not tile
        {"stages.*.mobilevit.patch_size": 3},
        {"stages.*.expand_ratio": 1, "stages.*.kernel_size": 5},
        {"stages.*.mobilevit.fusion": "none", "stages.0.blocks": 2},
        {"stages.*.mobilevit": None},
        {"stem.channels": 12, "stages.0.expand_ratio": 2.5, "stages.*.mobilevit.mlp_ratio": 1.3},
    ],
)
def test_the_closed_form_equals_fvcore_at_the_corners(values):
    if values == {"stages.*.mobilevit": None}:
        values = {f"stages.{i}.mobilevit": None for i in range(5)}
    arch = with_values(PRESETS["mobilevit_xxs"], values)
    assert count(arch, classes=3) == by_fvcore(arch, classes=3)


def test_plain_attention_counts_what_the_fused_one_counts():
    images = torch.zeros(1, 3, 128, 128)
    fused, plain = (build(PRESETS["mobilevit_xxs"], fused_attention=fused) for fused in (True, False))
    assert count_macs(fused, images) == count_macs(plain, images)


def test_attention_with_other_keys_than_queries_counts_both_products():
    class Cross(nn.Module):
        def forward(self, q, k, v):
            return nn.functional.scaled_dot_product_attention(q, k, v)

    class Wrapped(nn.Module):
        def forward(self, x):
            q, k, v = x[:, :, :5], x[:, :, 5:12], x[:, :, 5:12, :3]
            return Cross()(q, k, v)

    # 2 images x 3 heads, 5 queries, 7 keys, width 4, values of width 3.
    assert count_macs(Wrapped(), torch.zeros(2, 3, 12, 4)) == 2 * 3 * 5 * 7 * (4 + 3)


def test_an_operator_without_a_rule_is_an_error_not_a_zero():
    class Cumulative(nn.Module):
        def forward(self, x):
            return x.cumsum(1).erf()

    with pytest.raises(CostError, match="aten::cumsum, aten::erf"):
        count_macs(Cumulative(), torch.zeros(1, 4))


def test_counting_leaves_the_model_in_its_mode_and_its_batch_norms_alone():
    model = build(with_values(PRESETS["mobilevit_xxs"], {"image_size": 64}))
    before = sure(model.stem.norm.running_mean).clone()
    count_macs(model, torch.rand(1, 3, 64, 64))
    assert model.training
    assert torch.equal(sure(model.stem.norm.running_mean), before)
