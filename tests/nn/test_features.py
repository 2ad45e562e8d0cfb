"""The backbone as heads for detection and segmentation take it."""

import pytest
import torch

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.errors import ArchError
from mvit_nas.nn.backbone import build, features

XXS = PRESETS["mobilevit_xxs"]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(("height", "width"), [(256, 256), (97, 201)])
def test_maps_have_the_channels_and_strides_that_are_said(name, height, width):
    backbone = features(PRESETS[name]).eval()
    assert backbone.strides == (2, 4, 8, 16, 32)
    assert backbone.channels == tuple(stage.channels for stage in PRESETS[name].stages)
    with torch.no_grad():
        maps = backbone(torch.rand(1, 3, height, width))
    sizes = [(1, c, -(-height // s), -(-width // s)) for c, s in zip(backbone.channels, backbone.strides, strict=True)]
    assert [tuple(one.shape) for one in maps] == sizes


def test_strides_are_those_of_the_network():
    arch = with_values(XXS, {"stem.stride": 1, "stages.4.stride": 1})
    backbone = features(arch).eval()
    assert backbone.strides == (1, 2, 4, 8, 8)
    with torch.no_grad():
        assert [one.shape[-1] for one in backbone(torch.rand(1, 3, 32, 32))] == [32, 16, 8, 4, 4]


def test_a_trained_network_gives_the_maps_that_its_head_sees():
    network = build(XXS, classes=3).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        (last,) = features(network, out_indices=[4])(images)
        torch.testing.assert_close(network.classifier(network.head(last).mean((2, 3))), network(images))


def test_stages_are_chosen_and_those_after_the_last_are_left_out():
    network = build(XXS, classes=3).eval()
    some, every = features(network, out_indices=(3, 1)), features(network)
    assert (some.out_indices, some.channels, some.strides) == ((3, 1), (64, 24), (16, 4))
    assert len([*some.stages.children()]) == 4
    assert some.state_dict().keys() < network.state_dict().keys()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        maps = every(images)
        for one, index in zip(some(images), (3, 1), strict=True):
            assert torch.equal(one, maps[index])


@pytest.mark.parametrize(
    ("indices", "words"), [((5,), "0 to 4, got 5"), ((-1,), "0 to 4, got -1"), ((), "at least one stage")]
)
def test_a_stage_that_is_not_there_is_refused(indices, words):
    with pytest.raises(ArchError, match=words):
        features(XXS, out_indices=indices)
