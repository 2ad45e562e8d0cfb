"""Weights from a trained relative."""

import pytest
import torch

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.nn.backbone import build
from mvit_nas.nn.weights.inherit import inherited

SMALL = with_values(PRESETS["mobilevit_xxs"], {"image_size": 32, "stem.stride": 1})


def states(change):
    other = build(with_values(SMALL, change), classes=3, seed=1)
    for parameter in other.parameters():
        torch.nn.init.uniform_(parameter, 1.0, 2.0)  # apart from everything that is drawn at the start
    return build(SMALL, classes=3).state_dict(), other.state_dict()


def test_the_same_network_inherits_everything():
    fresh, trained = states({})
    found = inherited(fresh, trained)
    assert all(torch.equal(found[name], trained[name]) for name in fresh)


def test_layers_that_only_one_has_stay_as_they_were_drawn():
    fresh, trained = states({"stages.3.mobilevit.depth": 2})  # of 4
    found = inherited(fresh, trained)
    for name in fresh:
        assert torch.equal(found[name], trained.get(name, fresh[name]))
    assert any(name not in trained for name in fresh)


@pytest.mark.parametrize("dim", [48, 96])  # of 64
def test_a_wider_or_narrower_transformer_shares_the_channels_of_each_part(dim):
    fresh, trained = states({"stages.2.mobilevit.dim": dim})
    name, common = "stages.2.1.layers.0.attention.qkv.weight", min(dim, 64)
    found = inherited(fresh, trained)[name]
    for part, mine, theirs in zip(found.chunk(3), fresh[name].chunk(3), trained[name].chunk(3), strict=True):
        assert torch.equal(part[:common, :common], theirs[:common, :common])
        assert torch.equal(part[common:], mine[common:])
        assert torch.equal(part[:, common:], mine[:, common:])


def test_a_fusion_convolution_keeps_its_two_maps_apart():
    fresh, trained = states({"stages.2.channels": 32})  # of 48
    name = "stages.2.1.fusion.conv.weight"
    found = inherited(fresh, trained)[name]
    assert torch.equal(found[:32, :32], trained[name][:, :32])
    assert torch.equal(found[:32, 48:80], trained[name][:, 32:])
    assert torch.equal(found[:32, 32:48], fresh[name][:32, 32:48])


@pytest.mark.parametrize("bigger", [True, False])
def test_kernels_share_their_middle(bigger):
    fresh, trained = states({"stages.2.kernel_size": 5})
    if bigger:
        fresh, trained = trained, fresh
    name = "stages.2.0.depthwise.conv.weight"
    found = inherited(fresh, trained)[name]
    inner = slice(1, 4)
    if bigger:
        assert torch.equal(found[:, :, inner, inner], trained[name])
        assert torch.equal(found[:, :, 0], fresh[name][:, :, 0])
    else:
        assert torch.equal(found, trained[name][:, :, inner, inner])


def test_neither_state_is_changed():
    fresh, trained = states({})
    before = {name: tensor.clone() for name, tensor in fresh.items()}
    inherited(fresh, trained)
    assert all(torch.equal(before[name], fresh[name]) for name in fresh)
