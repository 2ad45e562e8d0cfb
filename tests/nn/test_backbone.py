"""The generator against an independent implementation, closed forms and the identity."""

import itertools
from typing import Any

import pytest
import torch
from transformers import MobileViTConfig as TheirConfig
from transformers import MobileViTForImageClassification

from mvit_nas.arch.blocks.mobilevit import MobileViTConfig
from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.errors import ArchError
from mvit_nas.nn.backbone import MobileViT, build
from mvit_nas.nn.blocks.mobilevit import fold, unfold
from mvit_nas.nn.inference import for_inference
from mvit_nas.nn.weights.hugging_face import from_huggingface, to_huggingface


def their_model(arch: ArchConfig, *, seed: int = 0) -> MobileViTForImageClassification:
    """Hugging Face's network of ``arch`` with random weights that let a signal through."""
    blocks = [stage.mobilevit for stage in arch.stages if isinstance(stage.mobilevit, MobileViTConfig)]
    torch.manual_seed(seed)
    config = TheirConfig(  # type: ignore[call-arg]  # its base class takes num_labels
        image_size=arch.image_size,
        hidden_sizes=[block.dim for block in blocks],
        neck_hidden_sizes=[
            arch.stem.channels,
            *(stage.channels for stage in arch.stages),
            arch.head_channels,
        ],
        num_attention_heads=blocks[0].heads,
        mlp_ratio=blocks[0].mlp_ratio,
        expand_ratio=arch.stages[0].expand_ratio,
        patch_size=blocks[0].patch_size,
        num_labels=1000,
    )
    model: MobileViTForImageClassification = MobileViTForImageClassification(config)
    # Its own initialisation draws the batch norm scales around 0, which leaves logits of 1e-40.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.LayerNorm):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                torch.nn.init.normal_(module.bias, std=0.2)
    model.train()
    with torch.no_grad():
        model(torch.rand(4, 3, 128, 128))
    model.eval()
    return model


def block(model: MobileViT, stage: int, index: int = 1) -> Any:
    """A block of a stage, whose modules are not told apart by type."""
    parts: Any = model.stages[stage]
    return parts[index]


def pair(arch: ArchConfig, **options):
    theirs = their_model(arch)
    ours = build(arch, **options).eval()
    ours.load_state_dict(from_huggingface(arch, theirs.state_dict()))
    return ours, theirs


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(("height", "width"), [(256, 256), (200, 168)])
def test_logits_agree_with_an_independent_implementation(name, height, width):
    ours, theirs = pair(PRESETS[name])
    images = torch.rand(2, 3, height, width)
    with torch.no_grad():
        expected = theirs(images).logits
        assert expected.std() > 0.05
        torch.testing.assert_close(ours(images), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("patch_size", "side"), [(1, 128), (4, 256), (3, 160)])
def test_logits_agree_at_other_patch_sizes(patch_size, side):
    arch = with_values(PRESETS["mobilevit_xs"], {"stages.*.mobilevit.patch_size": patch_size})
    ours, theirs = pair(arch)
    images = torch.rand(2, 3, side, side)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images).logits, atol=1e-4, rtol=0)


def test_plain_attention_gives_what_the_fused_one_gives():
    ours, _ = pair(PRESETS["mobilevit_xxs"])
    plain = build(PRESETS["mobilevit_xxs"], fused_attention=False).eval()
    plain.load_state_dict(ours.state_dict())
    images = torch.rand(2, 3, 96, 128)
    with torch.no_grad():
        torch.testing.assert_close(plain(images), ours(images), atol=1e-4, rtol=0)


def test_weights_of_another_network_are_refused_by_name():
    state = their_model(PRESETS["mobilevit_xxs"]).state_dict()
    deeper = with_values(PRESETS["mobilevit_xxs"], {"stages.2.mobilevit.depth": 3})
    with pytest.raises(ArchError, match=r"no tensor 'mobilevit.encoder.layer.2.transformer.layer.2"):
        from_huggingface(deeper, state)
    shallower = with_values(PRESETS["mobilevit_xxs"], {"stages.2.mobilevit.depth": 1})
    with pytest.raises(ArchError, match=r"'mobilevit.encoder.layer.2.transformer.layer.1.* has no place"):
        from_huggingface(shallower, state)
    wide = with_values(PRESETS["mobilevit_xxs"], {"stages.2.blocks": 2})
    with pytest.raises(ArchError, match="one inverted residual"):
        from_huggingface(wide, state)


@pytest.mark.parametrize(("patch_size", "height", "width"), [(1, 3, 5), (2, 4, 6), (3, 6, 9), (4, 8, 4)])
def test_fold_undoes_unfold(patch_size, height, width):
    x = torch.rand(2, 5, height, width)
    tokens = unfold(x, patch_size)
    assert tokens.shape == (2 * patch_size**2, height * width // patch_size**2, 5)
    assert torch.equal(fold(tokens, patch_size, height, width), x)


def test_a_token_sequence_holds_the_pixels_at_one_place_of_every_patch():
    x = torch.arange(24.0).reshape(1, 1, 4, 6)
    tokens = unfold(x, 2)[..., 0]
    for sequence, (row, column) in enumerate(itertools.product(range(2), range(2))):
        assert tokens[sequence].tolist() == x[0, 0, row::2, column::2].flatten().tolist()


def test_a_transformer_layer_with_zeroed_outputs_is_the_identity():
    model = build(PRESETS["mobilevit_xxs"]).eval()
    layer = block(model, 2).layers[0]
    for linear in (layer.attention.out, layer.mlp.project):
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    x = torch.rand(4, 16, 64)
    assert torch.equal(layer(x), x)


def test_an_inverted_residual_with_a_zeroed_projection_is_the_identity_only_where_it_has_a_skip():
    model = build(PRESETS["mobilevit_xxs"]).eval()
    for index, is_identity in ((0, False), (1, True)):
        residual = block(model, 1, index)
        torch.nn.init.zeros_(residual.project.norm.weight)
        x = torch.rand(2, 16 if index == 0 else 24, 8, 8)
        assert (residual(x).shape == x.shape and torch.equal(residual(x), x)) is is_identity


@pytest.mark.parametrize("fusion", ["none", "conv1x1", "conv3x3"])
@pytest.mark.parametrize("expand_ratio", [1, 3])
def test_every_parameter_gets_a_gradient(fusion, expand_ratio):
    arch = with_values(
        PRESETS["mobilevit_xxs"],
        {"stages.*.mobilevit.fusion": fusion, "stages.*.expand_ratio": expand_ratio, "image_size": 64},
    )
    model = build(arch, classes=7)
    images = torch.rand(2, 3, 64, 64)
    model(images).square().sum().backward()
    lacking = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert lacking == []


def test_maps_stay_channels_last_from_stem_to_head():
    model = build(PRESETS["mobilevit_xxs"]).eval()
    seen = []
    for module in (*model.stages, model.head):
        module.register_forward_hook(
            lambda *args: seen.append(args[2].is_contiguous(memory_format=torch.channels_last))
        )
    with torch.no_grad():
        model(torch.rand(2, 3, 64, 64))
    assert seen == [True] * 6


@pytest.mark.parametrize("fusion", ["none", "conv1x1", "conv3x3"])
@pytest.mark.parametrize("expand_ratio", [1, 4])
def test_the_inference_form_gives_the_same_logits(fusion, expand_ratio):
    arch = with_values(
        PRESETS["mobilevit_xxs"], {"stages.*.mobilevit.fusion": fusion, "stages.*.expand_ratio": expand_ratio}
    )
    torch.manual_seed(1)
    model = build(arch)
    with torch.no_grad():
        model(torch.rand(8, 3, 64, 64))  # so that the batch norms have statistics to fold
    model.eval()
    images = torch.rand(1, 3, 72, 64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        expected = model(images)
        for packed_for in (None, (1, 3, 72, 64), (1, 3, 32, 32)):
            torch.testing.assert_close(
                for_inference(model, packed_for=packed_for)(images), expected, atol=2e-5, rtol=1e-4
            )
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    folded = for_inference(model)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())


def test_networks_start_from_the_same_weights_where_they_have_the_same_layers():
    base = with_values(PRESETS["mobilevit_xxs"], {"image_size": 64})
    first = build(base, classes=10, seed=3).state_dict()
    assert all(torch.equal(first[name], value) for name, value in build(base, classes=10, seed=3).state_dict().items())
    # The stem is drawn before the stages that differ, the head after them.
    for change in ({"stages.2.mobilevit.depth": 4}, {"stages.2.mobilevit": None}, {"stages.1.channels": 40}):
        other = build(with_values(base, change), classes=10, seed=3).state_dict()
        shared = [name for name, value in other.items() if name in first and first[name].shape == value.shape]
        assert any(name.startswith("head") for name in shared)
        assert all(torch.equal(first[name], other[name]) for name in shared)
    others = build(base, classes=10, seed=4).state_dict()
    same = [name for name in first if first[name].is_floating_point() and torch.equal(first[name], others[name])]
    assert all("norm" in name or name.endswith("bias") for name in same)


def test_layers_of_one_network_start_from_different_weights():
    weights = build(PRESETS["mobilevit_xxs"], seed=0).state_dict()
    layers = [weights[f"stages.2.1.layers.{i}.attention.qkv.weight"] for i in range(2)]
    assert not torch.equal(*layers)


@pytest.mark.parametrize(("patch_size", "side"), [(1, 64), (2, 200), (3, 160), (8, 256)])
def test_attention_sees_as_many_tokens_as_the_description_says(patch_size, side):
    arch = with_values(PRESETS["mobilevit_xxs"], {"stages.*.mobilevit.patch_size": patch_size})
    model, seen = build(arch).eval(), []
    for stage in (2, 3, 4):
        block(model, stage, -1).layers[0].register_forward_hook(lambda *args: seen.append(args[2].shape[1]))
    with torch.no_grad():
        model(torch.rand(1, 3, side, side))
    assert tuple(seen) == arch.tokens(side)


def test_where_attention_sees_one_token_heads_have_no_effect():
    images = torch.rand(2, 3, 64, 64)
    logits = []
    for heads in (1, 4):
        values = {"stages.*.mobilevit.patch_size": 8, "stages.*.mobilevit.heads": heads}
        arch = with_values(PRESETS["mobilevit_xxs"], values | {"dropout": 0.0, "head_dropout": 0.0})
        assert arch.tokens(64) == (1, 1, 1)
        with torch.no_grad():
            logits.append(build(arch, seed=1)(images))
    torch.testing.assert_close(*logits)


def test_each_dropout_acts_where_the_description_says():
    arch = with_values(PRESETS["mobilevit_xxs"], {"dropout": 0.25, "head_dropout": 0.5})
    model = build(arch, classes=3)
    rates = {name: module.p for name, module in model.named_modules() if isinstance(module, torch.nn.Dropout)}
    assert rates.pop("head_dropout") == 0.5
    assert len(rates) == 2 + 4 + 3
    assert set(rates.values()) == {0.25}
    # The classifier's input and both branches of a layer.
    taken = []
    model.classifier.register_forward_pre_hook(lambda module, inputs: taken.append(inputs[0]))
    model(torch.rand(2, 3, 64, 64))
    assert 0.3 < float((taken[0] == 0).float().mean()) < 0.7
    layer = block(model, 2).layers[0]
    for output, other in ((layer.attention.out, layer.mlp.project), (layer.mlp.project, layer.attention.out)):
        torch.nn.init.ones_(output.bias)
        torch.nn.init.zeros_(output.weight)
        for parameter in other.parameters():
            torch.nn.init.zeros_(parameter)
        x = torch.rand(4, 16, 64)
        added = layer(x) - x
        assert 0.15 < float((added == 0).float().mean()) < 0.35
        torch.testing.assert_close(
            added[added != 0], torch.full_like(added[added != 0], 1 / 0.75), rtol=1e-4, atol=1e-4
        )


def test_weights_start_as_in_the_reference():
    model = build(PRESETS["mobilevit_s"])
    conv = block(model, 4).fusion.conv.weight.detach()  # 320 to 160 channels, 3x3
    assert float(conv.std()) == pytest.approx((2 / (160 * 9)) ** 0.5, rel=0.02)  # gain of a rectifier, fan out
    linear = block(model, 4).layers[0].mlp.expand
    assert float(linear.weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert not linear.bias.any()
    assert {module.momentum for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)} == {0.1}
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d | torch.nn.LayerNorm)]
    assert {module.eps for module in norms} == {1e-5}


@pytest.mark.parametrize("name", PRESETS)
def test_weights_go_to_the_other_layout_and_back_unchanged(name):
    theirs = their_model(PRESETS[name]).state_dict()
    again = to_huggingface(PRESETS[name], from_huggingface(PRESETS[name], theirs))
    assert again.keys() == theirs.keys()
    assert all(torch.equal(again[key], theirs[key]) for key in theirs)


def test_bgr_weights_read_rgb_images_after_the_swap():
    arch = PRESETS["mobilevit_xxs"]
    theirs = their_model(arch)
    ours = build(arch).eval()
    ours.load_state_dict(from_huggingface(arch, theirs.state_dict(), bgr_to_rgb=True))
    bgr = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(bgr.flip(1)), theirs(bgr).logits, atol=1e-4, rtol=0)
