"""Weights from another network."""

import pytest
import torch

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.errors import InputError
from mvit_nas.nn.backbone import build
from mvit_nas.nn.blocks.mobilevit import Attention
from mvit_nas.nn.weights.inherit import Source, from_other_heads, heads_of, initialised

CLASSES = ("cat", "dog", "fish")
SMALL = with_values(PRESETS["mobilevit_xxs"], {"image_size": 32, "stem.stride": 1})


def states(change):
    other = build(with_values(SMALL, change), classes=3, seed=1)
    for parameter in other.parameters():
        torch.nn.init.uniform_(parameter, 1.0, 2.0)  # apart from everything that is drawn at the start
    return build(SMALL, classes=3).state_dict(), other.state_dict()


def source(weights, classes=CLASSES):
    return Source(name="there", weights=weights, classes=classes)


def inherited(fresh, trained):
    return initialised(fresh, source(trained), CLASSES)[0]


def test_the_same_network_inherits_everything():
    fresh, trained = states({})
    found, taken = initialised(fresh, source(trained), CLASSES)
    assert all(torch.equal(found[name], trained[name]) for name in fresh)
    assert (taken.share, taken.part, taken.anew) == (1.0, (), ())
    assert set(taken.whole) == {name for name, tensor in fresh.items() if tensor.dim()}


def test_layers_that_only_one_has_stay_as_they_were_drawn():
    fresh, trained = states({"stages.3.mobilevit.depth": 2})  # of 4
    found, taken = initialised(fresh, source(trained), CLASSES)
    for name in fresh:
        assert torch.equal(found[name], trained.get(name, fresh[name]))
    assert set(taken.anew) == fresh.keys() - trained.keys() != set()


@pytest.mark.parametrize("dim", [48, 96])  # of 64
def test_a_wider_or_narrower_transformer_shares_the_channels_of_each_part(dim):
    fresh, trained = states({"stages.2.mobilevit.dim": dim})
    name, common = "stages.2.1.layers.0.attention.qkv.weight", min(dim, 64)
    state, taken = initialised(fresh, source(trained), CLASSES)
    for part, mine, theirs in zip(state[name].chunk(3), fresh[name].chunk(3), trained[name].chunk(3), strict=True):
        assert torch.equal(part[:common, :common], theirs[:common, :common])
        assert torch.equal(part[common:], mine[common:])
        assert torch.equal(part[:, common:], mine[:, common:])
    assert taken.share_of(name) == (common / 64) ** 2
    assert name in (taken.part if dim == 48 else taken.whole)


def test_the_shares_are_of_the_numbers():
    fresh, trained = states({"stages.2.mobilevit.dim": 48, "stages.3.mobilevit.depth": 2})
    state, taken = initialised(fresh, source(trained), CLASSES)
    # Trained numbers are 1 to 2; what is drawn is smaller, or the ones of a norm, or the statistics.
    numbers = [name for name in fresh if fresh[name].dim() > 1]
    counted = sum(int((state[name] >= 1).sum()) for name in numbers)
    assert counted == sum(taken.numbers[name][0] for name in numbers)
    assert sum(of for _, of in taken.numbers.values()) == sum(one.numel() for one in fresh.values() if one.dim())
    whole, part, anew = len(taken.whole), len(taken.part), len(taken.anew)
    assert f"{taken}".startswith(f"{whole} tensors taken whole, {part} in part, {anew} drawn anew, ")
    assert f"{taken}".endswith(f", {round(100 * taken.share)}% of the numbers taken")


def test_a_fusion_convolution_keeps_its_two_maps_apart():
    fresh, trained = states({"stages.2.channels": 32})  # of 48
    name = "stages.2.1.fusion.conv.weight"
    found = inherited(fresh, trained)[name]
    assert torch.equal(found[:32, :32], trained[name][:, :32])
    assert torch.equal(found[:32, 48:80], trained[name][:, 32:])
    assert torch.equal(found[:32, 32:48], fresh[name][:32, 32:48])


@pytest.mark.parametrize("bigger", [True, False])
def test_kernels_share_their_middle_and_a_new_rim_is_zero(bigger):
    fresh, trained = states({"stages.2.kernel_size": 5})
    if bigger:
        fresh, trained = trained, fresh
    name = "stages.2.0.depthwise.conv.weight"
    found, taken = initialised(fresh, source(trained), CLASSES)
    inner = slice(1, 4)
    if bigger:
        assert torch.equal(found[name][:, :, inner, inner], trained[name])
        assert float(found[name].abs().sum()) == pytest.approx(float(trained[name].abs().sum()))
        assert taken.share_of(name) == 9 / 25
    else:
        assert torch.equal(found[name], trained[name][:, :, inner, inner])


def test_a_wider_kernel_keeps_what_was_drawn_in_channels_that_are_new():
    fresh = build(with_values(SMALL, {"stages.2.kernel_size": 5, "stages.2.expand_ratio": 3}), classes=3).state_dict()
    name = "stages.2.0.depthwise.conv.weight"
    _, trained = states({})
    channels = len(trained[name])
    found = inherited(fresh, trained)[name]
    assert len(found) > channels
    assert torch.equal(found[channels:], fresh[name][channels:])
    assert not found[:channels, :, 0].any()


def test_neither_state_is_changed():
    fresh, trained = states({})
    before = {name: tensor.clone() for name, tensor in fresh.items()}
    inherited(fresh, trained)
    assert all(torch.equal(before[name], fresh[name]) for name in fresh)


def test_the_rows_of_the_classifier_go_by_the_names_of_the_classes():
    fresh, trained = states({})
    theirs = ("fish", "bird", "cat")
    found, taken = initialised(fresh, source(trained, theirs), CLASSES)
    for kind in ("weight", "bias"):
        mine, other = found[f"classifier.{kind}"], trained[f"classifier.{kind}"]
        assert torch.equal(mine[0], other[2])
        assert torch.equal(mine[1], fresh[f"classifier.{kind}"][1])
        assert torch.equal(mine[2], other[0])
    assert taken.share_of("classifier.weight") == 2 / 3


@pytest.mark.parametrize("theirs", [None, ("a", "b", "c"), ("cat", "cat", "dog")])
def test_rows_of_no_name_of_another_or_of_two_are_drawn_anew(theirs):
    fresh, trained = states({})
    found, taken = initialised(fresh, source(trained, theirs), ("cat", "owl", "eel"))
    assert torch.equal(found["classifier.weight"], fresh["classifier.weight"])
    assert set(taken.anew) == {"classifier.weight", "classifier.bias"}


def test_what_does_not_fit_is_drawn_anew():
    fresh, trained = states({})
    name = "stages.2.1.layers.0.attention.qkv.weight"
    other = {**trained, name: trained[name][:-1], "stem.conv.weight": trained["stem.conv.weight"].flatten()}
    found, taken = initialised(fresh, source(other), CLASSES)
    assert set(taken.anew) == {name, "stem.conv.weight"}
    assert torch.equal(found[name], fresh[name])


def test_a_source_that_hardly_fits_is_refused_unless_that_is_meant():
    fresh, trained = states({})
    few = {name: tensor for name, tensor in trained.items() if name.startswith("stages.0.")}
    with pytest.raises(
        InputError, match=r"--init there has 0\.2% of the network's numbers \(\d+ tensors taken whole.*--partial"
    ):
        initialised(fresh, source(few), CLASSES)
    _, taken = initialised(fresh, source(few), CLASSES, partial=True)
    assert 0 < taken.share < 0.1


def test_attention_layers_that_both_have_with_another_number_of_heads_are_counted():
    mine = with_values(SMALL, {"stages.4.blocks": 2, "stages.4.mobilevit.heads": 8})  # the others have 4
    depths = {"stages.2.mobilevit.depth": 3, "stages.3.mobilevit.depth": 3}  # of 2 and 4
    theirs = with_values(SMALL, {"stages.4.blocks": 2, "stages.3.mobilevit.heads": 2, **depths})
    trained = build(theirs, classes=3, seed=1).state_dict()
    counts = [
        from_other_heads(mine, Source(name="there", weights=trained, classes=CLASSES, heads=heads))
        for heads in (heads_of(theirs), heads_of(mine), {})
    ]
    assert counts == [3 + 3, 0, 0]


def test_heads_are_by_the_names_of_tensors():
    arch = with_values(SMALL, {"stages.4.blocks": 2, "stages.3.mobilevit.heads": 2})
    network = build(arch, classes=3)
    layers = {name: layer.heads for name, layer in network.named_modules() if isinstance(layer, Attention)}
    assert {f"{name}.qkv.weight": heads for name, heads in layers.items()} == heads_of(arch)
    assert heads_of(arch).keys() <= network.state_dict().keys()


def test_the_digest_is_of_weights_and_classes_alone():
    _, trained = states({})
    backwards = dict(reversed(trained.items()))
    assert source(trained).digest == Source(name="elsewhere", weights=backwards, classes=CLASSES).digest
    assert source(trained).digest != source(trained, ("cat", "fish", "dog")).digest
    assert source(trained).digest != source({**trained, "head.conv.weight": trained["head.conv.weight"] + 1}).digest


# What a start costs at first: nothing where the network computes what it did.
def outputs(arch, trained):
    """Of a trained network, and of a fresh one of ``arch`` that starts from it."""
    network, other = build(SMALL, classes=3), build(arch, classes=3, seed=2)
    network.load_state_dict(trained)
    state, _ = initialised(other.state_dict(), source(trained), CLASSES)
    other.load_state_dict(state)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return network.eval()(images), other.eval()(images)


@pytest.fixture(scope="module")
def trained():
    """Weights whose statistics are those of what flows."""
    network = build(SMALL, classes=3, seed=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
        for _ in range(30):
            network(torch.rand(16, 3, 32, 32, generator=generator))
    return network.state_dict()


def test_a_wider_kernel_computes_what_the_smaller_one_did(trained):
    before, after = outputs(with_values(SMALL, {"stages.*.kernel_size": 5}), trained)
    assert before.std() > 0.01
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)


def test_another_patch_size_takes_everything(trained):
    arch = with_values(SMALL, {"stages.*.mobilevit.patch_size": 1})
    _, taken = initialised(build(arch, classes=3).state_dict(), source(trained), CLASSES)
    assert taken.share == 1


def test_a_layer_more_changes_little(trained):
    before, after = outputs(with_values(SMALL, {"stages.4.mobilevit.depth": 4}), trained)  # of 3
    assert 0 < float((after - before).abs().max()) < 0.1 * float(before.std())
