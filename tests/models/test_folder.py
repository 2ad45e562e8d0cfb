"""A trained network in a folder, written and read."""

import json
import stat
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_model import photo, small_model, write_small_model

import mvit_nas
from mvit_nas.data.contract import pixels
from mvit_nas.errors import InputError, PartialError
from mvit_nas.models.folder import read_model, write_model
from mvit_nas.models.samples import read_samples


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture
def folder(tmp_path):
    return write_small_model(tmp_path / "m")


def test_what_is_read_answers_as_what_was_written(folder, model):
    found = mvit_nas.load(str(folder))
    assert found.document == model.document
    some = np.stack([pixels(photo(9), model.document.contract)])
    assert (found.probabilities(some) == model.probabilities(some)).all()
    assert found.probabilities(some).sum() == pytest.approx(1)


def test_the_temperature_sharpens(model):
    some = np.stack([pixels(photo(9), model.document.contract)])
    plain = replace(model, document=replace(model.document, temperature=1.0)).probabilities(some)
    assert model.probabilities(some) == pytest.approx(plain**2 / (plain**2).sum())


def test_others_may_read_every_file(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & stat.S_IROTH, path


def test_samples_hold_what_must_come_of_each_photo(folder, model):
    listed = json.loads((folder / "check/samples.json").read_text())["samples"]
    assert len(listed) == 3
    for one in listed:
        tensor = np.load(folder / "check" / one["input"])
        made = pixels(folder / "check" / one["photo"], model.document.contract)
        assert (tensor == made.transpose(2, 0, 1).astype(np.float32) / np.float32(255)).all()
        with torch.inference_mode():
            logits = model.network()(torch.from_numpy(tensor)[None]).double()[0]
        assert list(one["probabilities"].values()) == pytest.approx((logits / 0.5).softmax(0).tolist(), abs=1e-6)
    assert [len(one.photo) for one in read_samples(folder, model.document)] == [len(photo(seed)) for seed in range(3)]


def test_the_card_is_one_text_in_which_no_name_is_markdown(folder):
    text = (folder / "README.md").read_text()
    assert "It is 90 %." in text
    assert "dog\\|\\<b\\>" in text
    assert "shortest edge to 32 px" in text


def test_transformers_finds_its_keys(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "cat", "1": "dog|<b>", "2": "fish"}
    assert config["model_type"] == "mvit_nas"
    assert json.loads((folder / "preprocessor_config.json").read_text())["do_flip_channel_order"] is False


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda plain: plain.pop("classes"), "lacks 'classes'"),
        (lambda plain: plain.update(classes=[1]), "classes must be a list of names"),
        (lambda plain: plain.update(classes=["a", "b"]), "does not fit config.json beside it: 'classifier.weight'"),
        (lambda plain: plain.update(format=9), "the format is 9"),
        (lambda plain: plain.update(temperature=0), "temperature must be a positive number, got 0"),
        (lambda plain: plain["input"].update(colours="BGR"), "input: colours must be 'RGB', got 'BGR'"),
        (lambda plain: plain["architecture"].update(widths=3), "architecture: .*widths"),
        (lambda plain: plain["architecture"].update(head_expansion=3.0), "does not fit"),
        (lambda plain: plain["architecture"]["stages"].pop(), "does not fit"),
        (lambda plain: plain.update(provenance=[]), "provenance must be a mapping"),
    ],
)
def test_a_document_that_does_not_fit_is_said_in_one_line(folder, change, words):
    path = folder / "config.json"
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(InputError, match=words) as raised:
        read_model(folder)
    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize("size", [0, 7, 2000])
def test_weights_that_were_cut_off_are_named(folder, size):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"cannot read .*model\.safetensors"):
        read_model(folder)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*config\.json: No such file"):
        mvit_nas.load(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, model):
    (tmp_path / "m").write_text("a file")
    with pytest.raises(PartialError, match=r"cannot write to .*m "):
        write_model(tmp_path / "m", model, photos=[], facts=[])
