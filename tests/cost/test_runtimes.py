"""Every runtime computes what PyTorch computes, on photographs, for whatever a search space holds."""

import importlib.util
import random
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from sure import sure
from torch import nn

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import load_space
from mvit_nas.cost.probe import LOADERS
from mvit_nas.cost.runtimes.registry import RUNTIMES, default_runtime, find_runtime, is_installed, require
from mvit_nas.cost.runtimes.runtime import BITS, NARROW_BITS
from mvit_nas.cost.targets.python import this_host
from mvit_nas.errors import DeviceError, InputError, InvalidArchError, MeasurementError
from mvit_nas.nn.backbone import build
from mvit_nas.nn.inference import for_inference

LIGHT = ("torch", "onnxruntime")
HEAVY = ("litert", "executorch")
XXS = PRESETS["mobilevit_xxs"]
CHOSEN = {
    # Maps of 10, 5 and 3 px under patches of 2.
    "untileable": with_values(XXS, {"image_size": 80}),
    "patch 1, no fusion": with_values(
        XXS, {"image_size": 64, "stages.*.mobilevit.patch_size": 1, "stages.*.mobilevit.fusion": "none"}
    ),
    "patch 4, conv1x1, deep, one head, wide, a stage without": with_values(
        XXS,
        {
            "image_size": 128,
            "stages.*.mobilevit.patch_size": 4,
            "stages.*.mobilevit.fusion": "conv1x1",
            "stages.*.mobilevit.depth": 5,
            "stages.*.mobilevit.heads": 1,
            "stages.*.mobilevit.mlp_ratio": 4,
            "stages.3.mobilevit": None,
        },
    ),
    "small images, mixed patches, 5x5, narrow": with_values(
        XXS,
        {
            "image_size": 32,
            "stem.stride": 1,
            "stages.4.stride": 1,
            "stages.2.mobilevit.patch_size": 4,
            "stages.4.mobilevit.patch_size": 1,
            "stages.*.kernel_size": 5,
            "stages.*.expand_ratio": 2,
            "stages.1.blocks": 1,
        },
    ),
}


@cache
def photographs(side: int) -> torch.Tensor:
    """Six overlapping crops of two photographs, [6, 3, side, side]."""
    whole = [torch.tensor(image).permute(2, 0, 1) / 255 for image in load_sample_images().images]
    crops = torch.stack([image[:, :427, left : left + 427] for image in whole for left in (0, 107, 213)])
    return nn.functional.interpolate(crops, size=(side, side), mode="bilinear", antialias=True).contiguous()


def awake(arch: ArchConfig, *, fused_attention: bool, seed: int = 0) -> nn.Module:
    """A network whose logits tell photographs apart: fresh weights let hardly any of the image through."""
    model = build(arch, classes=10, fused_attention=fused_attention).eval()
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, std=0.2, generator=generator)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5, generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            module.train()
            module.momentum = None  # the photographs' own statistics
    with torch.no_grad():
        model(photographs(arch.image_size))
    return for_inference(model)


def loaded(name, path):
    return LOADERS[name][1](path.read_bytes(), 1)()


def deviation(name, arch, folder, *, seed=0):
    """The largest difference to PyTorch's logits, relative to the largest of them where that is above 1."""
    runtime = RUNTIMES[name]
    model = awake(arch, fused_attention=runtime.fused_attention, seed=seed)
    images = photographs(arch.image_size)
    expected = model(images).numpy()
    assert expected.std(0).min() > 1e-3
    path = folder / f"network{runtime.suffix}"
    runtime.export(model, images[:1], path)
    network = loaded(name, path)
    logits = np.concatenate([network(images[i : i + 1].numpy()) for i in range(len(images))])
    return np.abs(logits - expected).max() / max(1, np.abs(expected).max())


def needs(name):
    if not is_installed(RUNTIMES[name]):  # importing them here would print what exporting has to keep quiet
        pytest.skip(f"{RUNTIMES[name].title} is not installed")


def random_archs(space, count):
    generator = random.Random(f"{space} {count}")
    known, found = load_space(space), []
    for _ in range(100 * count):
        try:
            found.append(known.arch(known.draw(generator)))
        except InvalidArchError:
            continue
        if len(found) == count:
            return found
    raise AssertionError(f"{space} has too few valid architectures")


@pytest.mark.parametrize("arch", CHOSEN.values(), ids=CHOSEN)
@pytest.mark.parametrize("name", LIGHT)
def test_an_artefact_computes_what_the_network_does(name, arch, tmp_path):
    assert deviation(name, arch, tmp_path) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("arch", CHOSEN.values(), ids=CHOSEN)
@pytest.mark.parametrize("name", HEAVY)
def test_an_artefact_for_phones_computes_what_the_network_does(name, arch, tmp_path):
    needs(name)
    assert deviation(name, arch, tmp_path) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("space", ["mobilevit", "mobilevit_small"])
@pytest.mark.parametrize("name", RUNTIMES)
def test_every_runtime_takes_what_a_search_may_draw(name, space, tmp_path):
    needs(name)
    wrong = {}
    for seed, arch in enumerate(random_archs(space, 30)):
        off = deviation(name, arch, tmp_path, seed=seed)
        if off > 1e-4:
            wrong[arch_id(arch)] = off
    assert wrong == {}


def int8_and_float(name, folder, capfd, *, weight_bits=BITS):
    """(float32 path, int8 path, correlation of their logits) of a small network; made without a word."""
    runtime, arch = RUNTIMES[name], CHOSEN["small images, mixed patches, 5x5, narrow"]
    model = awake(arch, fused_attention=runtime.fused_attention)
    images = photographs(arch.image_size)
    exact, rounded = folder / f"float{runtime.suffix}", folder / f"int8{runtime.suffix}"
    runtime.export(model, images[:1], exact)
    runtime.quantise[weight_bits](model, images, rounded)
    runtime.delegated(exact)
    runtime.quantised(rounded)
    assert capfd.readouterr() == ("", "")
    logits = [
        np.concatenate([network(images[i : i + 1].numpy()) for i in range(len(images))])
        for network in (loaded(name, exact), loaded(name, rounded))
    ]
    assert logits[1].dtype == np.float32
    # Each image's difference to the mean: what tells the images apart must outlive the rounding.
    centred = [part - part.mean(0) for part in logits]
    return exact, rounded, np.corrcoef(centred[0].ravel(), centred[1].ravel())[0, 1]


@pytest.mark.parametrize("weight_bits", [NARROW_BITS, BITS])
def test_onnx_runtime_quantises_every_product(tmp_path, capfd, weight_bits):
    exact, rounded, correlation = int8_and_float("onnxruntime", tmp_path, capfd, weight_bits=weight_bits)
    # Weights of 8 bits overflow where this processor has no VNNI; elsewhere either is right.
    assert correlation > 0.7 or (weight_bits == BITS and this_host().machine("onnxruntime").saturates_int8)
    (largest,) = {int(np.abs(array).max()) for array in [np.concatenate(integer_weights(rounded))]}
    assert largest == {BITS: 127, NARROW_BITS: 64}[weight_bits]
    assert RUNTIMES["onnxruntime"].quantised(exact) == 0
    assert RUNTIMES["onnxruntime"].quantised(rounded) == 1
    assert RUNTIMES["onnxruntime"].delegated(exact) is None
    assert rounded.stat().st_size < 0.5 * exact.stat().st_size


def integer_weights(path):
    """The signed bytes of the products' weights, flat."""
    onnx = pytest.importorskip("onnx")
    arrays = [onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer]
    return [array.ravel().astype(int) for array in arrays if array.dtype == np.int8 and array.ndim > 1]


def test_the_ranges_of_int8_come_from_all_images(tmp_path):
    onnx = pytest.importorskip("onnx")
    arch = with_values(CHOSEN["small images, mixed patches, 5x5, narrow"], {"stages.*.mobilevit": None})
    images = photographs(32) * torch.tensor([0.1, 0.1, 1, 0.1, 0.1, 0.1])[:, None, None, None]
    path = tmp_path / "network.onnx"
    RUNTIMES["onnxruntime"].quantise[BITS](awake(arch, fused_attention=False), images, path)
    scales = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    assert scales["images_scale"] == pytest.approx(float(images.max()) / 255, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most_outside"), [("litert", 0), ("executorch", 1)])
def test_delegates_take_nearly_everything_and_int8_is_mostly_integers(name, most_outside, tmp_path, capfd):
    needs(name)
    exact, rounded, correlation = int8_and_float(name, tmp_path, capfd)
    runtime = RUNTIMES[name]
    assert correlation > 0.7
    # Of some 300 operators.
    assert 1 - most_outside / 200 <= sure(runtime.delegated(exact)) <= 1
    assert 0.9 < sure(runtime.delegated(rounded)) < 1
    assert runtime.quantised(exact) == 0
    # Attention's products stay in float32.
    assert 0.7 < sure(runtime.quantised(rounded)) < 1
    assert rounded.stat().st_size < 0.6 * exact.stat().st_size


def test_onnx_nodes_carry_the_path_of_their_module(tmp_path):
    onnx = pytest.importorskip("onnx")
    arch = CHOSEN["small images, mixed patches, 5x5, narrow"]
    path = tmp_path / "network.onnx"
    RUNTIMES["onnxruntime"].export(awake(arch, fused_attention=False), photographs(32)[:1], path)
    graph = onnx.load(path).graph
    assert [part.name for part in graph.input] == ["images"]
    assert [part.name for part in graph.output] == ["logits"]
    products = [node.name for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert all(name.startswith(("/stem/", "/stages/stages.", "/head/", "/classifier/")) for name in products)


class Refused(nn.Module):
    def forward(self, images):
        print("on its way")
        raise RuntimeError("no such operator\nand a long story")


@pytest.mark.parametrize("name", [*LIGHT, *(pytest.param(name, marks=pytest.mark.slow) for name in HEAVY)])
def test_a_refusal_is_one_line_that_names_the_runtime(name, tmp_path, capfd):
    needs(name)
    runtime = RUNTIMES[name]
    with pytest.raises(MeasurementError) as caught:
        runtime.export(Refused().eval(), torch.rand(1, 3, 8, 8), tmp_path / "network")
    assert str(caught.value) == f"{runtime.title} cannot export this network: RuntimeError: no such operator"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["onnxruntime", *(pytest.param(name, marks=pytest.mark.slow) for name in HEAVY)])
def test_networks_of_one_artefact_do_not_disturb_each_other(name, tmp_path):
    needs(name)
    runtime, arch = RUNTIMES[name], CHOSEN["small images, mixed patches, 5x5, narrow"]
    path = tmp_path / f"network{runtime.suffix}"
    images = photographs(32).numpy()
    runtime.export(awake(arch, fused_attention=runtime.fused_attention), photographs(32)[:1], path)
    fresh = LOADERS[name][1](path.read_bytes(), 1)
    one, other = fresh(), fresh()
    first: Any = one(images[:1])
    kept = first.copy()
    another: Any = other(images[5:])
    assert not np.allclose(another, first)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(one(images[:1]), kept)


def test_every_runtime_has_a_loader_and_its_own_suffix():
    assert RUNTIMES.keys() == LOADERS.keys()
    assert all(name == runtime.name for name, runtime in RUNTIMES.items())
    assert len({runtime.suffix for runtime in RUNTIMES.values()}) == len(RUNTIMES)


def test_an_unknown_runtime_lists_the_known_ones():
    assert find_runtime("litert").title == "LiteRT"
    with pytest.raises(
        InputError, match=r"^unknown runtime 'tflite', known are torch, onnxruntime, litert, executorch$"
    ):
        find_runtime("tflite")


def test_a_runtime_that_is_not_installed_says_what_to_install(monkeypatch):
    require(RUNTIMES["torch"])
    absent = set()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else object())
    assert all(is_installed(runtime) for runtime in RUNTIMES.values())
    assert default_runtime().name == "onnxruntime"
    absent |= {"ai_edge_litert", "onnxruntime"}
    assert default_runtime().name == "torch"
    with pytest.raises(DeviceError) as caught:
        require(RUNTIMES["litert"])
    assert str(caught.value) == "the runtime LiteRT is not installed: pip install 'mvit-nas[litert]'"
    assert caught.value.exit_code == 5
