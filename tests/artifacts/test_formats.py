"""A model as each kind of file: names, layout, temperature, document, and what it computes on photos."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from small_model import photo, small_model
from sure import sure

from mvit_nas.artifacts import coreml
from mvit_nas.artifacts.formats import FORMATS, find_format, format_of
from mvit_nas.cost.runtimes.registry import is_installed
from mvit_nas.data.contract import pixels
from mvit_nas.errors import DeviceError, InputError
from mvit_nas.models.embedded import read_document_of

MODEL = small_model()
PHOTOS = Path(__file__).parents[3] / "shared/data/clothing/test"
LIGHT = ("onnx", "torch")
HEAVY = tuple(pytest.param(name, marks=pytest.mark.slow) for name in ("pte", "tflite"))


def needs(name):
    runtime = FORMATS[name].runtime
    if runtime is not None and not is_installed(runtime):
        pytest.skip(f"{runtime.title} is gigabytes with what it needs, an extra that CI leaves out")


def images(number=6):
    """Real photos where they are, as the contract makes them, else noise."""
    files: Iterator[Path] = iter(sorted(PHOTOS.rglob("*.jpg"))[:: max(1, 370 // number)][:number])
    found = [pixels(path, MODEL.document.contract) for path in files]
    found = found or [pixels(photo(seed), MODEL.document.contract) for seed in range(number)]
    return np.stack(found)


def made(name, folder, **options):
    needs(name)
    path = folder / f"small{FORMATS[name].suffix}"
    FORMATS[name].export(MODEL, path, calibration_NHWC=images(), **options)
    return path


@pytest.mark.parametrize("name", [*LIGHT, *HEAVY])
def test_a_file_gives_the_models_probabilities_and_says_what_it_is(name, tmp_path):
    path = made(name, tmp_path)
    document = read_document_of(path)
    assert document.contract.layout == ("NHWC" if name == "tflite" else "NCHW")
    assert (document.classes, document.temperature) == (MODEL.document.classes, 0.5)
    expected, found = MODEL.probabilities(images()), FORMATS[name].run(path, images(), document)
    assert np.ptp(expected, axis=0).max() > 1e-3  # the photos are told apart
    assert np.abs(found - expected).max() < 1e-5
    assert FORMATS[name].describe(path).size_bytes == path.stat().st_size


@pytest.mark.parametrize("name", ["onnx", *HEAVY])
def test_int8_keeps_its_document_and_what_tells_photos_apart(name, tmp_path):
    path = made(name, tmp_path, int8=True)
    document = read_document_of(path)
    assert document.classes == MODEL.document.classes
    assert sure(FORMATS[name].describe(path).quantised) > 0.7
    found = FORMATS[name].run(path, images(), document)
    assert found.sum(1) == pytest.approx(1, abs=1e-3)
    assert np.abs(found - MODEL.probabilities(images())).max() < 0.3


def test_onnx_names_what_goes_in_and_comes_out(tmp_path):
    import onnxruntime

    session = onnxruntime.InferenceSession(made("onnx", tmp_path))
    assert [(one.name, one.shape) for one in session.get_inputs()] == [("image", [1, 3, 32, 32])]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("probabilities", [1, 3])]


@pytest.mark.parametrize("int8", [False, True])
def test_a_dynamic_batch_gives_each_image_what_it_gets_alone(tmp_path, int8):
    onnx = FORMATS["onnx"]
    path = made("onnx", tmp_path, int8=int8, dynamic_batch=True)
    document = read_document_of(path)
    alone = onnx.run(path, images(5), document)
    assert onnx.run(path, images(5), document, batch=3) == pytest.approx(alone, abs=1e-5)


def test_probabilities_of_int8_are_not_rounded_to_bytes(tmp_path):
    found = FORMATS["onnx"].run(made("onnx", tmp_path, int8=True), images(), MODEL.document)
    assert np.abs(found * 255 - np.round(found * 255)).max() > 0.01


def test_no_photo_is_left_in_a_file(tmp_path):
    """PyTorch keeps the example that a program was traced with."""
    program = torch.export.load(made("torch", tmp_path))
    ((image,), _) = program.example_inputs
    assert not image.any()


@pytest.mark.slow
def test_tflite_takes_images_as_android_has_them(tmp_path):
    path = made("tflite", tmp_path)
    runtime = FORMATS["tflite"].runtime
    assert runtime is not None
    assert runtime.shape is not None
    assert runtime.shape(path) == (1, 32, 32, 3)


@pytest.mark.slow
def test_core_ml_names_its_classes_and_scales_its_picture(tmp_path):
    pytest.importorskip("coremltools", reason="the extra [coreml], which CI leaves out")
    path = tmp_path / "small.mlpackage"
    FORMATS["coreml"].export(MODEL, path, calibration_NHWC=images())
    assert read_document_of(path).classes == MODEL.document.classes
    blob = (path / "Data/com.apple.CoreML/model.mlmodel").read_bytes()
    assert b"classLabel" in blob
    assert b"dog|<b>" in blob


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(coreml.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    for name, extra in (("coreml", "coreml"), ("pte", "executorch"), ("onnx", "onnx")):
        with pytest.raises(DeviceError) as raised:
            FORMATS[name].require()
        assert str(raised.value) == f"--format {name} needs what is not installed: pip install 'mvit-nas[{extra}]'"
        assert raised.value.exit_code == 5
    FORMATS["torch"].require()


def test_unknown_formats_and_suffixes_list_the_known():
    with pytest.raises(InputError, match="unknown 'onx', did you mean 'onnx'"):
        find_format("onx")
    assert format_of(Path("a.tflite")).name == "tflite"
    with pytest.raises(InputError, match=r"a\.h5: known are \.onnx, \.pte, \.tflite, \.mlpackage, \.pt2"):
        format_of(Path("a.h5"))
