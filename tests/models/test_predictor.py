"""What a model says of images is the same whatever holds it, and what is no model is said in one line."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from artefacts import write_executorch, write_litert, write_onnx
from image_files import REAL, needs_real_images
from small_model import photo, small_model, write_small_model

from mvit_nas.data.contract import pixels
from mvit_nas.errors import DeviceError, InputError
from mvit_nas.models.predictor import open_predictor

# Exporters that torch and others deprecate, and say so.
pytestmark = pytest.mark.filterwarnings("ignore")
WRITERS = {".onnx": ("onnxruntime", write_onnx), ".tflite": ("litert_torch", write_litert)}
WRITERS[".pte"] = ("executorch", write_executorch)


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def written(tmp_path_factory, model):
    """The file of a kind, made once."""
    folder: Path = tmp_path_factory.mktemp("files")

    def file(suffix: str) -> Path:
        package, write = WRITERS[suffix]
        if suffix != ".onnx":  # which the test extra installs
            pytest.importorskip(
                package, reason=f"{package} is gigabytes with what it needs, an extra that CI leaves out"
            )
        path = folder / f"m{suffix}"
        return path if path.exists() else write(path, model)

    return file


@pytest.fixture(scope="module")
def foreign(tmp_path_factory, model):
    return write_onnx(tmp_path_factory.mktemp("foreign") / "f.onnx", model, document=False)


def some(model):
    return np.stack([pixels(photo(seed), model.document.contract) for seed in range(5)])


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_says_what_the_network_says(written, model, suffix):
    found = open_predictor(written(suffix))
    assert (found.classes, found.contract.side) == (model.document.classes, 32)
    assert found.probabilities(some(model)) == pytest.approx(model.probabilities(some(model)), abs=1e-5)


@needs_real_images
@pytest.mark.parametrize("suffix", WRITERS)
def test_it_says_so_of_photos_too(written, model, suffix):
    found = open_predictor(written(suffix))
    photos = sorted(REAL.glob("clothing/test/*/*.jpg"))[::40]
    assert len(photos) > 5
    images = np.stack([pixels(one, found.contract) for one in photos])
    assert found.probabilities(images) == pytest.approx(model.probabilities(images), abs=1e-5)


def test_a_folder_says_what_its_model_says(tmp_path, model):
    found = open_predictor(write_small_model(tmp_path / "m"))
    assert (found.probabilities(some(model)) == model.probabilities(some(model))).all()


def test_a_file_of_somebody_else_gives_logits(foreign, model):
    found = open_predictor(foreign, classes=["a", "b", "c"], side=32)
    plain = replace(model, document=replace(model.document, temperature=1.0))
    assert found.classes == ("a", "b", "c")
    assert found.probabilities(some(model)) == pytest.approx(plain.probabilities(some(model)), abs=1e-5)


def test_a_file_for_any_number_of_images_is_read(tmp_path, model):
    found = open_predictor(write_onnx(tmp_path / "m.onnx", model, free=True))
    assert found.probabilities(some(model)) == pytest.approx(model.probabilities(some(model)), abs=1e-5)


@pytest.mark.parametrize(
    ("classes", "side", "words"),
    [
        ([], None, "give --classes and --size"),
        (["a", "b", "c"], None, "needs both --classes and --size"),
        ([], 32, "needs both --classes and --size"),
        (["a", "b"], 32, "has 3 outputs, and 2 classes are named"),
        (["a", "b", "c"], 33, "takes images of 32 x 32 px, not of 33"),
    ],
)
def test_what_a_file_of_somebody_else_lacks_is_named(foreign, classes, side, words):
    with pytest.raises(InputError, match=words) as raised:
        open_predictor(foreign, classes=classes, side=side)
    assert "\n" not in str(raised.value)
    assert str(foreign) in str(raised.value)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5])
def test_a_file_that_was_cut_off_is_named(written, tmp_path, suffix, share):
    content = written(suffix).read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=f"cut{suffix}") as raised:
        open_predictor(path)
    assert "\n" not in str(raised.value)


def test_a_model_folder_needs_no_names(tmp_path):
    folder = write_small_model(tmp_path / "m")
    with pytest.raises(InputError, match="says its classes and its size by itself"):
        open_predictor(folder, classes=["a", "b", "c"], side=32)


def test_a_file_of_ours_needs_no_names(written):
    with pytest.raises(InputError, match="says its classes and its size by itself"):
        open_predictor(written(".onnx"), classes=["a", "b", "c"], side=32)


@pytest.mark.parametrize(("name", "words"), [("m.zip", "is no model: give a model folder"), ("m.onnx", "No such file")])
def test_what_is_no_model_is_named(tmp_path, name, words):
    with pytest.raises(InputError, match=words):
        open_predictor(tmp_path / name)


@pytest.mark.parametrize(
    ("suffix", "package"), [(".onnx", "onnxruntime"), (".pte", "executorch"), (".tflite", "ai-edge-litert")]
)
def test_a_runtime_that_is_missing_is_named(tmp_path, monkeypatch, suffix, package):
    module = package.replace("-", "_")
    for name in [module, *(one for one in sys.modules if one.startswith(f"{module}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DeviceError, match=f"pip install .*{package}"):
        open_predictor(tmp_path / f"m{suffix}", classes=["a"], side=8)
