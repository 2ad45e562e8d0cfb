"""Every model folder in transformers: the same logits, the same answers, written and read again."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers
from small_model import photo, small_model, write_small_model

from mvit_nas import hf
from mvit_nas.data.contract import pixels
from mvit_nas.errors import InputError
from mvit_nas.models.folder import read_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("hf") / "m")


def loaded(folder):
    return transformers.AutoModelForImageClassification.from_pretrained(folder)


def test_logits_are_the_networks_to_the_bit_over_the_temperature(folder):
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network = loaded(folder)
    with torch.inference_mode():
        assert (network(images).logits == small_model().network()(images) / 0.5).all()


def test_nothing_is_missing_and_nothing_is_left_over(folder):
    _, found = transformers.AutoModelForImageClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(found.values()), found


def test_a_pipeline_says_what_the_model_says(folder, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(photo(7))
    said = transformers.pipeline("image-classification", str(folder))(str(tmp_path / "photo.jpg"))
    model = small_model()
    row = model.probabilities(np.stack([pixels(photo(7), model.document.contract)]))[0]
    assert {one["label"]: one["score"] for one in said} == pytest.approx(
        dict(zip(model.document.classes, row, strict=True)), abs=1e-6
    )


def test_what_transformers_saves_is_a_model_folder_again(folder, tmp_path):
    loaded(folder).save_pretrained(tmp_path)
    written, model = read_model(tmp_path), small_model()
    assert written.document == model.document
    assert all(torch.equal(written.weights[name], tensor) for name, tensor in model.weights.items())
    images = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        assert (loaded(tmp_path)(images).logits == loaded(folder)(images).logits).all()


def test_other_classes_take_the_place_of_the_folders(folder, tmp_path):
    names = {0: "left", 1: "right"}
    network = transformers.AutoModelForImageClassification.from_pretrained(
        folder,
        id2label=names,
        label2id={name: index for index, name in names.items()},
        ignore_mismatched_sizes=True,
    )
    network.save_pretrained(tmp_path)
    assert read_model(tmp_path).document.classes == ("left", "right")


def test_it_learns_from_labels(folder):
    network = loaded(folder).train()
    network(torch.rand(2, 3, 32, 32), labels=torch.tensor([0, 2])).loss.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_missing_package_is_named():
    code = "import sys; sys.modules['transformers'] = None; import mvit_nas.hf"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().splitlines()[-1] == (
        "ModuleNotFoundError: mvit_nas.hf needs transformers: pip install 'mvit-nas[hf]'"
    )


def test_a_configuration_of_nothing_is_an_error_in_one_line():
    with pytest.raises(InputError, match="the configuration: the format is None"):
        hf.MvitNasForImageClassification(hf.MvitNasConfig())
