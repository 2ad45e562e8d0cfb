"""A model as a folder of transformers' own MobileViT: loaded by that library alone, or refused with every reason."""

import json
import stat
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from image_files import REAL, needs_real_images

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.data.contract import InputContract, pixels
from mvit_nas.errors import InputError, PartialError
from mvit_nas.models.document import ModelDocument
from mvit_nas.models.folder import Model
from mvit_nas.models.transformers_format import obstacles, write_transformers
from mvit_nas.nn.backbone import build

XXS = with_values(PRESETS["mobilevit_xxs"], {"image_size": 64})
# Patches that do not tile the map, widths of its own, another number of heads: all that the configuration can say.
OTHER = with_values(
    XXS,
    {
        "stem.channels": 12,
        **{f"stages.{i}.channels": channels for i, channels in enumerate((20, 28, 40, 52, 60))},
        **{f"stages.{i}.mobilevit.dim": dim for i, dim in ((2, 24), (3, 36), (4, 48))},
        "stages.*.mobilevit.heads": 6,
        "stages.*.mobilevit.patch_size": 3,
        "stages.*.mobilevit.mlp_ratio": 1.5,
        "stages.*.expand_ratio": 3.0,
        "head_expansion": 2.5,
    },
)
LOADED = """
import json, sys
sys.modules["mvit_nas"] = None
import numpy as np, torch
from transformers import AutoImageProcessor, AutoModelForImageClassification
folder, photo = sys.argv[1:]
model, found = AutoModelForImageClassification.from_pretrained(folder, output_loading_info=True)
assert not any(found.values()), found
from PIL import Image
images = AutoImageProcessor.from_pretrained(folder)(Image.open(photo), return_tensors="pt")["pixel_values"]
with torch.inference_mode():
    print(json.dumps([type(model).__name__, model.config.id2label, images.tolist(), model(images).logits.tolist()]))
"""


def model_of(arch) -> Model:
    """One whose batch norm has seen something, so that its statistics count."""
    network = build(arch, classes=3, seed=2)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 0.5
    with torch.no_grad():
        for seed in range(3):
            network(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(seed)))
    document = ModelDocument(
        arch=arch, classes=("hat", "shoes", "dress"), contract=InputContract(side=64), temperature=0.5
    )
    return Model(document=document, weights=network.state_dict())


@needs_real_images
@pytest.mark.parametrize("arch", [XXS, OTHER], ids=["xxs", "other"])
def test_transformers_alone_loads_it_and_says_the_same(tmp_path, arch):
    model = model_of(arch)
    write_transformers(tmp_path / "m", model)
    photo = sorted(REAL.glob("clothing/test/hat/*.jpg"))[0]
    command = [sys.executable, "-c", LOADED, str(tmp_path / "m"), str(photo)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kind, names, images, logits = json.loads(done.stdout)
    assert kind == "MobileViTForImageClassification"
    assert names == {"0": "hat", "1": "shoes", "2": "dress"}
    ours = torch.from_numpy(pixels(photo, model.document.contract).transpose(2, 0, 1).astype(np.float32) / 255)
    assert torch.allclose(torch.tensor(images)[0], ours, atol=1e-6)
    with torch.inference_mode():
        expected = model.network()(ours[None]) / 0.5
    assert torch.allclose(torch.tensor(logits), expected, atol=1e-5)


def test_it_carries_the_models_document_and_others_may_read_it(tmp_path):
    model = model_of(XXS)
    write_transformers(tmp_path / "m", model)
    config = json.loads((tmp_path / "m/config.json").read_text())
    assert config["mvit_nas"] == json.loads(model.document.to_json())
    assert (tmp_path / "m/model.safetensors").stat().st_mode & stat.S_IROTH


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"stem.stride": 1}, "stem.stride is 1, where it has 2"),
        ({"stages.4.stride": 1}, "stages.*.stride is 1, 2, 2, 2, 1, where it has 1, 2, 2, 2, 2"),
        ({"stages.1.blocks": 2}, "stages.*.blocks is 1, 2, 1, 1, 1, where it has 1, 3, 1, 1, 1"),
        ({"stages.2.kernel_size": 5}, "stages.*.kernel_size is 3, 3, 5, 3, 3, where it has 3, 3, 3, 3, 3"),
        ({"stages.2.expand_ratio": 4.0}, "stages.*.expand_ratio is 2.0, 2.0, 4.0, 2.0, 2.0, where it has one"),
        ({"stages.*.expand_ratio": 1.0}, "stages.*.expand_ratio is 1, where it expands always"),
        ({"stages.4.mobilevit": None}, "the MobileViT blocks' stages is 2, 3, where it has 2, 3, 4"),
        ({"stages.3.mobilevit.depth": 3}, "stages.*.mobilevit.depth is 2, 3, 3, where it has 2, 4, 3"),
        ({"stages.*.mobilevit.fusion": "conv1x1"}, "stages.*.mobilevit.fusion is conv1x1, conv1x1, conv1x1, where"),
        ({"stages.2.mobilevit.patch_size": 4}, "stages.*.mobilevit.patch_size is 4, 2, 2, where it has one"),
        ({"stages.4.mobilevit.heads": 2}, "stages.*.mobilevit.heads is 4, 4, 2, where it has one"),
        ({"stages.4.mobilevit.mlp_ratio": 3.0}, "stages.*.mobilevit.mlp_ratio is 2.0, 2.0, 3.0, where it has one"),
        ({"stages.*.expand_ratio": 1.82}, "stages.1.expand_ratio makes 40 channels, where it has 48"),
        ({"stages.*.mobilevit.mlp_ratio": 1.79}, "mlp_ratio makes a width of 115, where it has 114"),
    ],
)
def test_what_stands_in_the_way_is_named_by_its_field(values, words):
    (reason, *others) = [one for one in obstacles(with_values(XXS, values)) if words in one]
    assert not others
    assert words in reason


def test_every_field_that_stands_in_the_way_is_named(tmp_path):
    model = model_of(XXS)
    arch = with_values(XXS, {"stem.stride": 1, "stages.2.kernel_size": 5, "stages.3.mobilevit.depth": 3})
    odd = replace(model, document=replace(model.document, arch=arch))
    with pytest.raises(InputError) as raised:
        write_transformers(tmp_path / "m", odd)
    for words in ("stem.stride", "kernel_size", "depth", "import mvit_nas.hf"):
        assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "m").exists()


def test_what_can_be_said_has_no_obstacle():
    assert [list(obstacles(arch)) for arch in (*PRESETS.values(), OTHER)] == [[]] * 4


def test_a_network_of_other_stages_is_refused():
    arch = replace(XXS, stages=XXS.stages[:4])
    assert list(obstacles(arch)) == ["4 stages, where it has 5"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "m").write_text("a file")
    with pytest.raises(PartialError, match=r"cannot write to .*m "):
        write_transformers(tmp_path / "m", model_of(XXS))
