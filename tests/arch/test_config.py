"""Architectures: invariants, identity and the one way to vary them."""

import pytest

from mvit_nas.arch.blocks.mobilevit import MobileViTConfig
from mvit_nas.arch.config import ArchConfig, StageConfig, StemConfig, arch_id, from_dict, to_dict
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.rules import round_channels
from mvit_nas.errors import InvalidArchError

XS = PRESETS["mobilevit_xs"]


def test_the_fusion_is_checked_without_a_file_too():
    with pytest.raises(InvalidArchError, match="fusion must be one of"):
        MobileViTConfig(dim=8, depth=1, fusion="conv7x7")  # type: ignore[arg-type]  # which is what is refused


@pytest.mark.parametrize("name", PRESETS)
def test_plain_values_give_the_same_architecture_again(name):
    assert from_dict(to_dict(PRESETS[name])) == PRESETS[name]


def test_ids_of_the_presets_stay_what_they_are():
    # Files and caches are named by them: a change here loses everything that users have computed.
    assert {name: arch_id(arch) for name, arch in PRESETS.items()} == {
        "mobilevit_xxs": "14f5456e95",
        "mobilevit_xs": "4fda2cbdd7",
        "mobilevit_s": "4ef156c5cf",
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Rounds to the same hidden width everywhere.
        ({"stages.*.expand_ratio": 4.0}, {"stages.*.expand_ratio": 4.01}),
        ({"stages.*.mobilevit.mlp_ratio": 2}, {"stages.*.mobilevit.mlp_ratio": 2.001}),
        ({"head_expansion": 4.0}, {"head_expansion": 4.001}),
    ],
)
def test_the_same_network_has_the_same_id(one, other):
    assert arch_id(with_values(XS, one)) == arch_id(with_values(XS, other))


def test_dropout_of_transformers_that_are_not_there_makes_no_other_network():
    bare = {f"stages.{i}.mobilevit": None for i in (2, 3, 4)}
    assert arch_id(with_values(XS, {**bare, "dropout": 0.3})) == arch_id(with_values(XS, bare))
    assert arch_id(with_values(XS, {"dropout": 0.3})) != arch_id(XS)


def _stages(**first):
    return (StageConfig(channels=8, **first), StageConfig(channels=16, stride=2))


@pytest.mark.parametrize(
    "change",
    [
        {"stages.2.mobilevit.patch_size": 4},
        {"stages.2.mobilevit.heads": 2},
        {"stages.2.mobilevit.fusion": "conv1x1"},
        {"stages.2.mobilevit.depth": 3},
        {"stages.4.mobilevit": None},
        {"stages.1.blocks": 4},
        {"stages.1.kernel_size": 5},
        {"stages.1.expand_ratio": 3},
        {"stages.1.expand_ratio": 1},
        {"stem.stride": 1},
        {"image_size": 192},
        {"head_dropout": 0.2},
    ],
)
def test_another_network_has_another_id(change):
    assert arch_id(with_values(XS, change)) != arch_id(XS)


def test_a_block_that_does_not_expand_is_not_one_that_expands_by_nothing():
    plain, expanding = (
        ArchConfig(stem=StemConfig(channels=8), stages=_stages(expand_ratio=ratio)) for ratio in (1, 1.01)
    )
    assert plain.stages[0].residuals(8)[0].hidden == expanding.stages[0].residuals(8)[0].hidden
    assert arch_id(plain) != arch_id(expanding)


@pytest.mark.parametrize(("width", "rounded"), [(3, 8), (11, 8), (12, 16), (20, 24), (17, 16), (18, 24), (32, 32)])
def test_widths_round_to_eights_and_never_below_nine_tenths(width, rounded):
    # 11 rounds to 8, which is below 9.9, so it goes up again.
    assert round_channels(width) == (16 if width == 11 else rounded)


@pytest.mark.parametrize(
    ("patch_size", "image_size", "tokens"),
    [
        (2, 256, (256, 64, 16)),  # maps of 32, 16 and 8 px
        (1, 256, (1024, 256, 64)),
        (4, 256, (64, 16, 4)),
        (8, 256, (16, 4, 1)),
        (2, 200, (169, 49, 16)),  # 25, 13 and 7 px, which patches of 2 do not tile: 13, 7 and 4 patches a side
        (3, 64, (9, 4, 1)),  # 8, 4 and 2 px
    ],
)
def test_tokens_are_the_patches_of_the_map_that_a_block_sees(patch_size, image_size, tokens):
    arch = with_values(XS, {"stages.*.mobilevit.patch_size": patch_size})
    assert arch.tokens(image_size) == tokens
    without = with_values(arch, {"stages.3.mobilevit": None})
    assert without.tokens(image_size) == (tokens[0], tokens[2])


def test_heads_over_a_single_token_make_no_other_network():
    # At 64 px the maps are 8, 4 and 2 px: patches of 4 leave the last two blocks a single token.
    coarse = with_values(XS, {"image_size": 64, "stages.*.mobilevit.patch_size": 4})
    assert coarse.tokens(64) == (4, 1, 1)
    heads = [with_values(coarse, {f"stages.{stage}.mobilevit.heads": 2}) for stage in (2, 3, 4)]
    assert [arch_id(one) == arch_id(coarse) for one in heads] == [False, True, True]
    # At another image size they see more.
    assert arch_id(with_values(heads[1], {"image_size": 256})) != arch_id(with_values(coarse, {"image_size": 256}))
