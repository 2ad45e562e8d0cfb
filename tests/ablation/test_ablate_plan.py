"""From factors and values to variants, and to widths that cost what the base costs."""

from dataclasses import replace

import pytest
from sure import sure

from mvit_nas.ablation.match import rescale
from mvit_nas.ablation.plan import known_factors, make_plan
from mvit_nas.arch.config import arch_id
from mvit_nas.arch.count import count
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import adapt_preset, load_space, parse_space
from mvit_nas.errors import InputError, NothingFeasibleError
from mvit_nas.training.schedule import find_schedule

LARGE, SMALL = load_space("mobilevit"), load_space("mobilevit_small")
XXS = sure(adapt_preset(PRESETS["mobilevit_xxs"], SMALL))
SHORT = find_schedule("short")


def plan(*factors, values=(), space=SMALL, base=XXS, schedule=SHORT, **options):
    return make_plan(space, base, schedule, factors, values, **options)


def labels(made):
    return [",".join(variant.labels.values()) for variant in made.variants]


@pytest.mark.parametrize("space", [LARGE, SMALL], ids=lambda space: space.name)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_factor_of_a_shipped_space_varies_every_preset(space, preset):
    base = adapt_preset(PRESETS[preset], space)
    for factor in known_factors(space):
        made = plan(factor, space=space, base=base)
        first, *others = made.variants
        assert first.is_base
        assert first.arch == base
        assert first.schedule == SHORT
        assert others
        assert not any(variant.is_base for variant in others)
        keys = {(arch_id(variant.arch), variant.schedule) for variant in made.variants}
        assert len(keys) == len(made.variants)
        assert made.left_out == ()


def test_a_variant_changes_its_factor_and_nothing_else():
    made = plan("patch_size", values=[["4", "4,2,1"]])
    assert labels(made) == ["2", "4", "4,2,1"]
    assert made.variants[1].arch == with_values(XXS, {"stages.*.mobilevit.patch_size": 4})
    patches = [stage.mobilevit.patch_size for stage in made.variants[2].arch.stages if stage.mobilevit]
    assert patches == [4, 2, 1]
    assert with_values(made.variants[2].arch, {"stages.*.mobilevit.patch_size": 2}) == XXS


def test_a_factor_chosen_for_each_stage_is_ablated_in_all_at_once():
    made = plan("depth", values=[["1", "3,3,1"]])
    assert labels(made) == ["2,4,3", "1", "3,3,1"]
    assert [[s.mobilevit.depth for s in v.arch.stages if s.mobilevit] for v in made.variants] == [
        [2, 4, 3], [1, 1, 1], [3, 3, 1]
    ]  # fmt: skip


def test_named_values_and_values_by_place_mean_the_same_kind_of_thing():
    made = plan("width", values=[["xs", "16,16,24,48,64,88"]])
    assert labels(made) == ["xxs", "xs", "16,16,24,48,64,88"]
    assert made.variants[1].arch.stages[4].channels == 96
    assert made.variants[2].arch.stages[4].channels == 88


def test_the_base_keeps_its_label_where_the_values_have_one_for_it():
    assert labels(plan("width"))[0] == "xxs"
    assert labels(plan("patch_size", values=[["4", "2,2,2"]])) == ["2,2,2", "4"]


def test_a_stage_without_a_block_takes_no_value():
    base = with_values(XXS, {"stages.2.mobilevit": None})
    made = plan("patch_size", base=base, values=[["4", "4,1", "8,2,1"]])
    assert labels(made) == ["2", "4", "4,1", "8,2,1"]
    patches = [[s.mobilevit.patch_size for s in v.arch.stages if s.mobilevit] for v in made.variants]
    assert patches == [[2, 2], [4, 4], [4, 1], [2, 1]]


def test_placement_restores_a_block_that_the_base_lacks():
    base = with_values(XXS, {"stages.2.mobilevit": None})
    made = plan("placement", base=base)
    assert labels(made)[0] == "4,5"
    restored = next(v.arch for v in made.variants if v.labels["placement"] == "3,4,5")
    block = restored.stages[2].mobilevit
    assert block.dim == 64  # as its width in the space goes with those of the other blocks
    assert restored.stages[3:] == base.stages[3:]
    only = next(v.arch for v in made.variants if v.labels["placement"] == "3")
    assert [stage.mobilevit is not None for stage in only.stages] == [False, False, True, False, False]


def test_two_factors_give_the_grid_with_the_base_once():
    made = plan("patch_size", "depth", values=[["2", "1"], ["1", "2"]])
    assert labels(made) == ["2,2,4,3", "2,1", "2,2", "1,2,4,3", "1,1", "1,2"]
    both = made.variants[4].arch
    assert both == with_values(XXS, {"stages.*.mobilevit.patch_size": 1, "stages.*.mobilevit.depth": 1})
    assert [variant.is_base for variant in made.variants] == [True] + [False] * 5


def test_choices_of_the_training_leave_the_network_alone():
    made = plan("label_smoothing", "ema", values=[["0"], ["0.02"]])
    assert all(variant.arch == XXS for variant in made.variants)
    assert [(v.schedule.label_smoothing, v.schedule.ema) for v in made.variants] == [
        (0.1, 0.0), (0.1, 0.02), (0.0, 0.0), (0.0, 0.02)
    ]  # fmt: skip
    cropped = plan("augmentation", schedule=replace(SHORT, augmentation="crop"))
    assert labels(cropped) == ["crop", "none", "crop+flip"]


def test_the_image_size_can_be_varied_in_a_space_that_fixes_it():
    assert labels(plan("image_size")) == ["32", "24", "40"]
    assert plan("image_size", values=[["64"]]).variants[1].arch.image_size == 64


def test_notes_say_where_a_map_is_resized_and_where_attention_has_nothing_to_do():
    base = adapt_preset(PRESETS["mobilevit_xxs"], LARGE)
    made = plan("patch_size", space=LARGE, base=base, values=[["3", "8"]])
    # Trained at 128 px, meant for 256 px: maps of 16, 8, 4 and of 32, 16, 8 px.
    assert made.variants[0].notes == ()
    assert made.variants[1].notes == (
        "at 128 px maps are resized: 16 to 18 px in stage 3, 8 to 9 px in stage 4, 4 to 6 px in stage 5",
        "at 256 px maps are resized: 32 to 33 px in stage 3, 16 to 18 px in stage 4, 8 to 9 px in stage 5",
    )
    assert made.variants[2].notes == (
        "at 128 px maps are resized: 4 to 8 px in stage 5",
        "at 128 px one patch covers the map, so attention sees one token: stage 4, 5",
        "at 256 px one patch covers the map, so attention sees one token: stage 5",
    )


def test_values_of_the_space_that_cannot_be_built_are_left_out_with_the_reason():
    base = with_values(XXS, {"stages.*.mobilevit.dim": 36})
    made = plan("heads", base=base)
    assert labels(made) == ["4", "1", "2"]
    (left,) = made.left_out
    assert left.labels == {"heads": "8"}
    assert left.reason == "dim must be divisible by heads, got dim=36, heads=8"
    untiled = plan("patch_size", base=with_values(XXS, {"image_size": 36}), resize=True)
    assert untiled.left_out == ()


def test_values_of_the_space_that_mean_the_same_network_are_left_out():
    made = plan("mlp_ratio", space=parse_space(
        "base: mobilevit_xxs\nfactors: {mlp_ratio: {paths: [stages.*.mobilevit.mlp_ratio], values: [2, 3, 3.001]}}",
        name="mine", where="mine.yaml",
    ), base=PRESETS["mobilevit_xxs"])  # fmt: skip
    assert labels(made) == ["2", "3"]
    assert made.left_out[0].reason == "the same network and training as mlp_ratio 3"


@pytest.mark.parametrize(
    ("factors", "values", "message"),
    [
        (("patch",), (), "no factor 'patch' in mobilevit_small, did you mean 'patch_size'? known are patch_size, depth, width, dim"),
        (("colour",), (), "no factor 'colour' in mobilevit_small: known are patch_size, depth, width, dim, heads, mlp_ratio, expand_ratio, kernel, residual_depth, placement, fusion, image_size, label_smoothing, ema, augmentation"),
        (("depth", "width", "dim"), (), "name one factor or two different ones, got depth, width, dim: run a third on its own"),
        (("depth", "depth"), (), "name one factor or two different ones"),
        (("depth", "dim"), [["1"]], "--values must stand once for each of depth, dim, in their order, or not at all"),
        (("depth",), [["1", "2", "1"]], "--values: a value of depth stands twice in 1 2 1"),
        (("patch_size",), [["4", "4,4,4"]], "patch_size 4,4,4 is no variant: the same network and training as patch_size 4; leave it out of --values"),
        (("patch_size",), [["2", "2,2,2"]], "--values: 2 and 2,2,2 are the same patch_size, the base's"),
        (("patch_size",), [["2"]], "nothing to compare with the base, patch_size 2: give other --values"),
        (("patch_size",), [["4,2"]], "--values: 4,2 has 2 values; patch_size takes 1, or 3 with commas"),
        (("patch_size",), [["two"]], "patch_size two is no variant: architecture.stages.2.mobilevit.patch_size must be a whole number, got 'two'"),
        (("patch_size",), [["0"]], "patch_size must be 1 to 65536, got 0"),
        (("patch_size",), [["{"]], "--values: '{', a value of patch_size, is no YAML"),
        (("heads",), [["3"]], "heads 3 is no variant: dim must be divisible by heads, got dim=64, heads=3"),
        (("placement",), [["5,4"]], "--values: placement: unknown '5,4', did you mean"),
        (("fusion",), [["conv2x2"]], "must be one of none, conv1x1, conv3x3"),
        (("ema",), [["2"]], "--values: ema takes numbers from 0 to below 1, got '2'"),
        (("label_smoothing",), [["much"]], "--values: label_smoothing takes numbers from 0 to below 1, got 'much'"),
        (("augmentation",), [["flip"]], "--values: augmentation: unknown 'flip'"),
    ],
)  # fmt: skip
def test_what_is_no_ablation_is_one_line(factors, values, message):
    with pytest.raises(InputError) as caught:
        plan(*factors, values=values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_resizing_a_patch_size_that_does_not_tile_is_refused():
    with pytest.raises(
        InputError, match=r"patch_size 3 is no variant: .*maps are resized: 8 to 9 px in stage 3.*--no-resize"
    ):
        plan("patch_size", values=[["3"]], resize=False)
    assert labels(plan("patch_size", values=[["3"]])) == ["2", "3"]
    with pytest.raises(InputError, match=r"the base, .*leave out --no-resize"):
        plan("patch_size", values=[["1"]], base=with_values(XXS, {"image_size": 36}), resize=False)
    # Of the space's own values those that tile are left.
    base = with_values(XXS, {"image_size": 40, "stages.*.mobilevit.patch_size": 1})
    made = plan("patch_size", base=base, resize=False)
    assert "4,2,2" in [left.labels["patch_size"] for left in made.left_out]


# Matching


def params(arch):
    return count(arch).params


def macs(arch):
    return count(arch).macs


@pytest.mark.parametrize("cost", [params, macs])
@pytest.mark.parametrize("depth", [1, 2, 4, 5])
def test_a_rescaled_network_costs_what_the_base_costs_within_two_percent(cost, depth):
    deeper = with_values(XXS, {"stages.*.mobilevit.depth": depth})
    asked = []

    def counted(arch):
        asked.append(arch)
        return cost(arch)

    scaled, scale = rescale(deeper, target=cost(XXS), cost=counted, keep=(), what="it")
    assert abs(cost(scaled) / cost(XXS) - 1) <= 0.02
    assert (scale > 1) == (cost(deeper) < cost(XXS))
    assert len(asked) <= 45
    assert [stage.mobilevit.depth for stage in scaled.stages if stage.mobilevit] == [depth] * 3


def test_widths_stay_multiples_of_eight_where_that_is_fine_enough():
    widths = {"stem.channels": 32} | {f"stages.{i}.channels": 2 * stage.channels for i, stage in enumerate(XXS.stages)}
    twice = with_values(XXS, widths | {f"stages.{i}.mobilevit.dim": dim for i, dim in ((2, 128), (3, 160), (4, 192))})
    scaled, scale = rescale(XXS, target=params(twice), cost=params, keep=(), what="it")
    assert scaled == twice
    assert scale == pytest.approx(2, rel=0.03)
    fine, _ = rescale(XXS, target=0.95 * params(XXS), cost=params, keep=(), what="it")
    assert any(stage.channels % 8 for stage in fine.stages)


def test_a_width_that_the_factor_sets_is_kept():
    wide = with_values(XXS, {"stages.*.mobilevit.dim": 96})
    keep = {f"stages.{i}.mobilevit.dim" for i in range(5)}
    scaled, scale = rescale(wide, target=macs(XXS), cost=macs, keep=keep, what="dim 96")
    assert [stage.mobilevit.dim for stage in scaled.stages if stage.mobilevit] == [96] * 3
    assert scale < 1


def test_a_matching_without_a_solution_says_how_near_it_came():
    with pytest.raises(NothingFeasibleError) as caught:
        rescale(XXS, target=params(XXS) / 1000, cost=params, keep=(), what="depth 5")
    assert str(caught.value).startswith(
        "no width from a quarter to four times lets depth 5 cost what the base costs: the nearest, 0.25 times, comes to "
    )


def test_with_every_width_set_by_the_factor_there_is_nothing_to_match_with():
    keep = {"stem.channels", *(f"stages.{i}.{name}" for i in range(5) for name in ("channels", "mobilevit.dim"))}
    with pytest.raises(InputError, match="width sets every width, so there is none left to match"):
        rescale(XXS, target=1.0, cost=params, keep=keep, what="width")


def test_widths_that_are_all_alike_grow_one_after_the_other():
    alike = with_values(XXS, {"stages.*.channels": 32, "stages.*.mobilevit.dim": 32})
    deeper = with_values(alike, {"stages.*.mobilevit.depth": 5})
    scaled, scale = rescale(deeper, target=params(alike), cost=params, keep=(), what="it")
    assert abs(params(scaled) / params(alike) - 1) <= 0.02
    assert scale < 1
