"""Paths: the one way to vary an architecture."""

import pytest
from sure import sure

from mvit_nas.arch.blocks.mobilevit import MobileViTConfig
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.errors import ArchError

XS = PRESETS["mobilevit_xs"]


def test_a_path_sets_one_value_and_leaves_the_rest():
    thin = with_values(XS, {"stages.2.mobilevit.dim": 72})
    assert sure(thin.stages[2].mobilevit).dim == 72
    assert with_values(thin, {"stages.2.mobilevit.dim": 96}) == XS


def test_a_star_means_every_stage_that_has_such_a_part():
    arch = with_values(XS, {"stages.*.mobilevit.patch_size": 4, "stages.*.kernel_size": 5})
    assert [sure(stage.mobilevit).patch_size for stage in arch.stages[2:]] == [4, 4, 4]
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
        ({"stages.2.mobilevit.depth": 0}, "depth must be 1 to 256, got 0"),
        ({"stages.2.mobilevit.mlp_ratio": 0.0}, "mlp_ratio must leave a width"),
        ({"stages.2.kernel_size": 4}, "kernel_size must be odd, got 4"),
        ({"stages.2.stride": 3}, "stride must be 1 or 2, got 3"),
        ({"stages.2.blocks": 0}, "blocks must be 1 to 256, got 0"),
        ({"stages.2.channels": 0}, "channels must be 1 to 65536"),
        ({"stages.2.expand_ratio": 0.5}, "expand_ratio must be 1 to 256"),
        ({"stem.stride": 4}, "the stem's stride must be 1 or 2"),
        ({"stem.channels": 0}, "the stem's channels"),
        ({"image_size": 0}, "image_size must be 1 to 65536"),
        ({"head_expansion": 0}, "head_expansion must leave a width, got 0"),
        ({"dropout": 1.0}, "dropout must lie in"),
        ({"stages": []}, "the number of stages must be 1 to 256, got 0"),
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
