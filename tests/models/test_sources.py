"""Where starting weights come from, and what is wrong with them."""

import json
import pickle
import sys

import pytest
import torch
from safetensors.torch import save_file
from small_model import CLASSES, small_model, write_small_model
from transformers import MobileViTConfig, MobileViTForImageClassification

from mvit_nas.arch.presets import PRESETS
from mvit_nas.errors import DeviceError, InputError
from mvit_nas.models.sources import read_source
from mvit_nas.nn.backbone import build
from mvit_nas.nn.weights.inherit import heads_of

XXS = PRESETS["mobilevit_xxs"]
# What timm calls the parts of our names.
TIMM = {
    "depthwise": "conv2_kxk", "local_conv": "conv_kxk", "to_tokens": "conv_1x1", "layers": "transformer", "out": "proj",
    "attention_norm": "norm1", "mlp_norm": "norm2", "attention": "attn", "from_tokens": "conv_proj", "fusion": "conv_fusion",
    "head": "final_conv", "classifier": "head.fc",
}  # fmt: skip


def timm_name(name):
    parts = name.split(".")
    own = {"expand": "fc1", "project": "fc2"} if "mlp" in parts else {"expand": "conv1_1x1", "project": "conv3_1x1"}
    if parts[3:4] != ["norm"]:  # a block's layer norm is called so by both
        own["norm"] = "bn"
    return ".".join({**TIMM, **own}.get(part, part) for part in parts)


def as_timm(state):
    return {timm_name(name): tensor.contiguous() for name, tensor in state.items()}


@pytest.fixture(scope="module")
def theirs():
    """Hugging Face's smallest network with three classes, and what it says of images."""
    torch.manual_seed(0)
    names = {0: "cat", 1: "dog", 2: "fish"}
    config = MobileViTConfig(
        hidden_sizes=[64, 80, 96],
        neck_hidden_sizes=[16, 16, 24, 48, 64, 80, 320],
        expand_ratio=2.0,
        id2label=names,
        label2id={},
    )
    network = MobileViTForImageClassification(config)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


@pytest.fixture
def folder(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / "hf")
    return tmp_path / "hf"


def answers(source, images):
    network = build(XXS, classes=3).eval()
    network.load_state_dict(dict(source.weights))
    with torch.no_grad():
        return network(images)


@pytest.mark.parametrize("flips", [None, "not said", True, False])
def test_a_hugging_face_folder_is_for_bgr_unless_it_says_otherwise(theirs, folder, flips):
    if flips is not None:
        (folder / "preprocessor_config.json").write_text(
            json.dumps({} if flips == "not said" else {"do_flip_channel_order": flips})
        )
    source = read_source(str(folder))
    assert source.classes == ("cat", "dog", "fish")
    assert source.heads == heads_of(XXS)
    rgb = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = theirs(rgb if flips is False else rgb.flip(1)).logits
    assert expected.std() > 0.01
    torch.testing.assert_close(answers(source, rgb), expected, atol=1e-4, rtol=1e-4)
    other = read_source(str(folder), colours="rgb" if flips is not False else "bgr")
    assert other.heads == source.heads
    assert torch.equal(other.weights["stem.conv.weight"], source.weights["stem.conv.weight"].flip(1))


@pytest.mark.parametrize(("heads", "found"), [(2, {2}), (None, set()), ("4", set())])
def test_the_heads_of_a_hugging_face_folder_are_what_it_says_and_are_not_guessed(folder, heads, found):
    config = json.loads((folder / "config.json").read_text())
    config.pop("num_attention_heads")
    (folder / "config.json").write_text(
        json.dumps(config if heads is None else {**config, "num_attention_heads": heads})
    )
    assert set(read_source(str(folder)).heads.values()) == found


def test_our_own_folder_says_everything(tmp_path):
    source = read_source(str(write_small_model(tmp_path / "m")))
    weights = small_model().weights
    assert source.classes == CLASSES
    assert source.heads == {"stages.1.1.layers.0.attention.qkv.weight": 2}
    assert source.weights.keys() == weights.keys()
    assert all(torch.equal(source.weights[name], weights[name]) for name in weights)
    assert torch.equal(
        read_source(str(tmp_path / "m"), colours="bgr").weights["stem.conv.weight"], weights["stem.conv.weight"].flip(1)
    )


@pytest.mark.parametrize("layout", ["ours", "timm", "hugging face"])
def test_a_file_is_known_by_the_names_of_its_tensors(theirs, tmp_path, layout):
    ours = {name: tensor.contiguous() for name, tensor in build(XXS, classes=3, seed=3).state_dict().items()}
    state = {"ours": ours, "timm": as_timm(ours), "hugging face": theirs.state_dict()}[layout]
    save_file(state, tmp_path / "w.safetensors")
    source = read_source(str(tmp_path / "w.safetensors"), colours="rgb")
    assert source.classes is None
    assert source.heads == {}
    assert source.weights.keys() == ours.keys()
    if layout != "hugging face":
        assert all(torch.equal(source.weights[name], ours[name]) for name in ours)
    with pytest.raises(InputError, match="does not say whether it was trained on RGB or BGR: give --init-colours"):
        read_source(str(tmp_path / "w.safetensors"))


def test_timm_calls_its_tensors_so():
    # A few of each kind, from timm 1.0.31's own state dict.
    names = as_timm(build(XXS, classes=3).state_dict())
    for name in (
        "stem.conv.weight", "stem.bn.running_mean", "stages.0.0.conv1_1x1.bn.weight", "stages.1.2.conv2_kxk.conv.weight",
        "stages.4.0.conv3_1x1.bn.num_batches_tracked", "stages.4.1.conv_kxk.bn.bias", "stages.4.1.conv_1x1.weight",
        "stages.4.1.transformer.0.norm1.weight", "stages.4.1.transformer.0.attn.qkv.bias", "stages.4.1.transformer.2.attn.proj.weight",
        "stages.4.1.transformer.0.norm2.bias", "stages.4.1.transformer.0.mlp.fc1.weight", "stages.4.1.transformer.0.mlp.fc2.weight",
        "stages.4.1.norm.weight", "stages.4.1.conv_proj.bn.running_var", "stages.4.1.conv_fusion.conv.weight", "final_conv.bn.weight",
        "head.fc.bias",
    ):  # fmt: skip
        assert name in names


def test_a_timm_folder_may_say_the_names(tmp_path):
    save_file(as_timm(build(XXS, classes=2).state_dict()), tmp_path / "model.safetensors")
    config = {"architecture": "mobilevit_xxs", "num_classes": 2, "label_names": ["cat", "dog"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_source(str(tmp_path), colours="rgb").classes == ("cat", "dog")
    (tmp_path / "config.json").write_text(json.dumps({**config, "label_names": None}))
    assert read_source(str(tmp_path), colours="rgb").classes is None


@pytest.mark.parametrize("inside", ["", "state_dict", "model"])
def test_a_pickle_of_tensors_is_read(tmp_path, inside):
    state = as_timm(build(XXS, classes=3, seed=3).state_dict())
    torch.save({inside: state, "epoch": 3} if inside else state, tmp_path / "w.pth")
    source = read_source(str(tmp_path / "w.pth"), colours="rgb")
    assert torch.equal(source.weights["head.conv.weight"], state["final_conv.conv.weight"])


class Code:
    """What does something as it is read."""

    def __reduce__(self):
        return (sys.exit, ("the code ran",))


def test_a_pickle_with_code_in_it_is_refused_and_its_code_is_not_run(tmp_path):
    torch.save({"state_dict": Code()}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth holds code, which is not run, or is broken"):
        read_source(str(tmp_path / "w.pth"), colours="rgb")
    (tmp_path / "w.bin").write_bytes(pickle.dumps(Code()))
    with pytest.raises(InputError, match=r"w\.bin holds code"):
        read_source(str(tmp_path / "w.bin"), colours="rgb")


def wrong(path, kind):
    """What a person may give by mistake, and what the line says of it."""
    state = {"stem.conv.weight": torch.zeros(3)}
    if kind == "nothing":
        return "nothing", "there is no such file or folder, and it is no id of the hub"
    if kind == "cut off":
        save_file({"x": torch.zeros(100)}, path)
        path.write_bytes(path.read_bytes()[:-50])
        return path, "cannot read .*w.safetensors: "
    if kind == "another network":
        save_file({"conv1.weight": torch.zeros(3)}, path)
        return path, "names of no MobileViT that is known here"
    if kind == "not by name":
        torch.save([state], path.with_suffix(".pth"))
        return path.with_suffix(".pth"), "must hold tensors by name"
    if kind == "no zip":
        path.with_suffix(".pth").write_bytes(b"")
        return path.with_suffix(".pth"), "cannot read .*w.pth: |holds code"
    if kind == "an empty folder":
        return path.parent, "cannot read .*config.json: No such file or directory; a folder of weights has"
    if kind == "no JSON":
        (path.parent / "config.json").write_text("{")
        return path.parent, "config.json is no JSON"
    (path.parent / "config.json").write_text("[]")
    return path.parent, "config.json must hold one mapping"


KINDS = (
    "nothing", "cut off", "another network", "not by name", "no zip", "an empty folder", "no JSON", "a list",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_read_is_one_line(tmp_path, kind):
    path, words = wrong(tmp_path / "w.safetensors", kind)
    with pytest.raises(InputError, match=words) as raised:
        read_source(str(path), colours="rgb")
    assert "\n" not in str(raised.value)


def test_hugging_face_weights_that_lack_a_tensor_are_refused_by_name(theirs, tmp_path):
    state = dict(theirs.state_dict())
    del state["mobilevit.encoder.layer.2.conv_1x1.convolution.weight"]
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"no tensor 'mobilevit.encoder.layer.2.conv_1x1"):
        read_source(str(tmp_path / "w.safetensors"), colours="rgb")


def test_an_id_of_the_hub_is_downloaded_where_its_package_is_installed(folder, tmp_path, monkeypatch):
    import huggingface_hub

    asked = []

    def download(name, *, allow_patterns):
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    source = read_source("apple/mobilevit-xx-small")
    assert asked == [("apple/mobilevit-xx-small", ["*.json", "model.safetensors"])]
    assert (source.name, source.classes) == ("apple/mobilevit-xx-small", ("cat", "dog", "fish"))

    def fail(name, *, allow_patterns):
        raise OSError("no\nconnection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(InputError, match="--init apple/x cannot be had from the hub: no connection"):
        read_source("apple/x")


def test_without_the_hubs_package_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        DeviceError, match="--init apple/x: there is no such folder; for the hub: pip install huggingface_hub"
    ):
        read_source("apple/x")
