import random

import pytest
from page_numbers import differences
from sure import sure

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.count import count
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import load_space
from mvit_nas.errors import InvalidArchError
from mvit_nas.results.search.architecture import Transformer, drawing

XS = PRESETS["mobilevit_xs"]


def sampled(name, number):
    """Architectures drawn from a shipped space."""
    space, luck = load_space(name), random.Random(3)
    archs: list[ArchConfig] = []
    while len(archs) < number:
        try:
            archs.append(space.arch(space.draw(luck)))
        except InvalidArchError:
            continue
    return archs


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("classes", [10, 1000])
def test_the_parts_of_a_preset_cost_what_the_network_costs(name, classes):
    parts = drawing(PRESETS[name], classes)
    whole = count(PRESETS[name], classes=classes)
    assert (sum(part.params for part in parts), sum(part.macs for part in parts)) == (whole.params, whole.macs)


@pytest.mark.parametrize("name", ["mobilevit", "mobilevit_small"])
def test_the_parts_of_any_network_cost_what_the_network_costs(name):
    for arch in sampled(name, 60):
        parts = drawing(arch, 37)
        whole = count(arch, classes=37)
        assert (sum(part.params for part in parts), sum(part.macs for part in parts)) == (whole.params, whole.macs)


def test_the_stem_and_the_head_cost_what_their_layers_do():
    stem, *_, head = drawing(XS, 10)
    # 3x3 over three colours into 16 channels, with batch norm, on a map of 128 px.
    assert (stem.params, stem.macs) == (27 * 16 + 32, (27 * 16 + 32) * 128**2)
    # 1x1 from 96 to 384 channels, with batch norm, on a map of 8 px; the classifier once.
    assert head.params == 96 * 384 + 2 * 384 + 384 * 10 + 10
    assert head.macs == (96 * 384 + 2 * 384) * 8**2 + 384 * 10


def test_a_stage_costs_what_the_network_has_less_without_it():
    # The second residual of stage 2 keeps side and channels, so that nothing after it changes.
    fewer = with_values(XS, {"stages.1.blocks": 2})
    more, less = drawing(XS, 10), drawing(fewer, 10)
    assert [part.name for part, other in zip(more, less, strict=True) if part.macs != other.macs] == ["stage 2"]
    assert more[2].macs - less[2].macs == count(XS, classes=10).macs - count(fewer, classes=10).macs


def test_a_part_shows_its_shape():
    drawn = drawing(XS, 10)
    assert [part.name for part in drawn] == [
        "stem",
        "stage 1",
        "stage 2",
        "stage 3",
        "stage 4",
        "stage 5",
        "head",
    ]
    assert [part.channels for part in drawn] == [16, 32, 48, 64, 80, 96, 384]
    assert [part.side for part in drawn] == [128, 128, 64, 32, 16, 8, 8]
    assert [part.stride for part in drawn] == [2, 1, 2, 2, 2, 2, 1]
    assert [part.residuals for part in drawn] == [0, 1, 3, 1, 1, 1, 0]
    assert [part.kernel_size for part in drawn] == [3, 3, 3, 3, 3, 3, 1]
    assert [part.expand_ratio for part in drawn] == [None, 4.0, 4.0, 4.0, 4.0, 4.0, None]
    assert [part.transformer is None for part in drawn] == [True, True, True, False, False, False, True]
    assert drawn[4].transformer == Transformer(
        patch_size=2, dim=120, depth=4, heads=4, mlp_width=240, fusion="conv3x3", tokens=64, tiles=True
    )


def test_a_map_that_patches_do_not_tile_is_said_to():
    parts = drawing(with_values(XS, {"image_size": 224, "stages.*.mobilevit.patch_size": 2}), 10)
    assert [(part.side, sure(part.transformer).tiles) for part in parts[3:6]] == [(28, True), (14, True), (7, False)]


def test_an_odd_image_leaves_the_stem_rounded_up():
    assert drawing(with_values(XS, {"image_size": 33}), 10)[0].side == 17


def test_equal_networks_do_not_differ():
    assert differences(XS, XS) == []


def test_each_value_that_differs_is_one_difference():
    other = with_values(XS, {"stages.2.mobilevit.dim": 72, "stem.channels": 24, "dropout": 0.2})
    assert sorted(differences(XS, other), key=lambda change: change["path"]) == [
        {"path": "dropout", "one": 0.1, "other": 0.2},
        {"path": "stages.2.mobilevit.dim", "one": 96, "other": 72},
        {"path": "stem.channels", "one": 16, "other": 24},
    ]


def test_a_block_that_only_one_has_is_one_difference():
    other = with_values(XS, {"stages.2.mobilevit": None})
    [change] = differences(XS, other)
    assert (change["path"], change["one"]["dim"], change["other"]) == ("stages.2.mobilevit", 96, None)
    [change] = differences(other, XS)
    assert (change["path"], change["one"], change["other"]["depth"]) == ("stages.2.mobilevit", None, 2)


def test_setting_what_differs_makes_one_network_the_other():
    archs = sampled("mobilevit_small", 30)
    for one, other in zip(archs[::2], archs[1::2], strict=True):
        changes = {change["path"]: change["other"] for change in differences(one, other)}
        assert changes
        assert with_values(one, changes) == other
