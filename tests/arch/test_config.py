"""Architectures: invariants, identity and the one way to vary them."""

import pytest

from mvit_nas.arch.config import (
    ArchConfig,
    MobileViTConfig,
    StageConfig,
    StemConfig,
    arch_id,
    from_dict,
    round_channels,
    to_dict,
    with_values,
)
from mvit_nas.arch.presets import PRESETS
from mvit_nas.errors import ArchError, InvalidArchError

XS = PRESETS["mobilevit_xs"]


def test_a_path_sets_one_value_and_leaves_the_rest():
    thin = with_values(XS, {"stages.2.mobilevit.dim": 72})
    assert thin.stages[2].mobilevit.dim == 72
    assert with_values(thin, {"stages.2.mobilevit.dim": 96}) == XS


def test_a_star_means_every_stage_that_has_such_a_part():
    arch = with_values(XS, {"stages.*.mobilevit.patch_size": 4, "stages.*.kernel_size": 5})
    assert [stage.mobilevit.patch_size for stage in arch.stages[2:]] == [4, 4, 4]
    assert [stage.mobilevit for stage in arch.stages[:2]] == [None, None]
    assert [stage.kernel_size for stage in arch.stages] == [5] * 5


def test_a_mapping_builds_a_part_that_deeper_paths_then_change():
    arch = with_values(XS, {"stages.1.mobilevit": {"dim": 48, "depth": 1}, "stages.*.mobilevit.heads": 2})
    assert arch.stages[1].mobilevit == MobileViTConfig(dim=48, depth=1, heads=2)


def test_a_value_below_a_removed_part_has_no_effect():
    values = {"stages.3.mobilevit": None, "stages.3.mobilevit.patch_size": 8}
    assert with_values(XS, values) == with_values(XS, {"stages.3.mobilevit": None})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stages.2.mobilevit.dimm": 72}, "unknown 'dimm', did you mean 'dim'"),
        ({"stagess.2.channels": 72}, "unknown 'stagess', did you mean 'stages'"),
        ({"stages.9.channels": 72}, "'9' is none of the stages 0 to 4"),
        ({"stages.0.mobilevit.dim": 72}, "there is nothing at 'stages.0.mobilevit'"),
        ({"image_size.x": 1}, "leads nowhere"),
        ({"*.channels": 1}, "'*' stands for a stage"),
        ({"image_size": 25.5}, "architecture.image_size must be a whole number, got 25.5"),
        ({"image_size": True}, "must be a whole number"),
        ({"stages.2.mobilevit": {"dim": 72}}, "lacks 'depth'"),
        ({"stages.2.mobilevit": 3}, "must be a mapping"),
        ({"stages": 3}, "must be a list"),
        ({"stages.2.mobilevit.mlp_ratio": "2"}, "must be a number"),
        ({"stages.2.mobilevit.fusion": "conv5x5"}, "must be one of none, conv1x1, conv3x3"),
        ({"stages.2.mobilevit.heads": 5}, "dim must be divisible by heads, got dim=96, heads=5"),
        ({"stages.2.mobilevit.depth": 0}, "depth must be at least 1, got 0"),
        ({"stages.2.mobilevit.mlp_ratio": 0.0}, "mlp_ratio must leave a width"),
        ({"stages.2.kernel_size": 4}, "kernel_size must be odd, got 4"),
        ({"stages.2.stride": 3}, "stride must be 1 or 2, got 3"),
        ({"stages.2.blocks": 0}, "at least 1 inverted residual"),
        ({"stages.2.channels": 0}, "channels must be at least 1"),
        ({"stages.2.expand_ratio": 0.5}, "expand_ratio must be at least 1"),
        ({"stem.stride": 4}, "the stem's stride must be 1 or 2"),
        ({"stem.channels": 0}, "the stem's channels"),
        ({"image_size": 0}, "image_size must be at least 1"),
        ({"head_expansion": 0}, "head_expansion must be positive"),
        ({"dropout": 1.0}, "dropout must lie in"),
        ({"stages": []}, "at least one stage"),
    ],
)
def test_what_is_no_architecture_is_named(values, message):
    with pytest.raises(ArchError) as raised:
        with_values(XS, values)
    assert message in str(raised.value)


def test_a_star_over_stages_without_attention_leads_nowhere():
    bare = with_values(XS, {f"stages.{i}.mobilevit": None for i in (2, 3, 4)})
    with pytest.raises(ArchError, match="no stage has a MobileViT block"):
        with_values(bare, {"stages.*.mobilevit.depth": 1})


def test_the_fusion_is_checked_without_a_file_too():
    with pytest.raises(InvalidArchError, match="fusion must be one of"):
        MobileViTConfig(dim=8, depth=1, fusion="conv7x7")


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
    assert plain.stages[0].hidden_channels(8) == expanding.stages[0].hidden_channels(8)
    assert arch_id(plain) != arch_id(expanding)


@pytest.mark.parametrize(("width", "rounded"), [(3, 8), (11, 8), (12, 16), (20, 24), (17, 16), (18, 24), (32, 32)])
def test_widths_round_to_eights_and_never_below_nine_tenths(width, rounded):
    # 11 rounds to 8, which is below 9.9, so it goes up again.
    assert round_channels(width) == (16 if width == 11 else rounded)
