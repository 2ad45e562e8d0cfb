"""A model's document inside a file, and files that have none."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from small_model import small_model

from mvit_nas.cost.runtimes import onnx as onnx_runtime
from mvit_nas.errors import InputError
from mvit_nas.models.embedded import read_document_of, write_document
from mvit_nas.nn.inference import for_inference

DOCUMENT = small_model().document
# A ReLU as ExecuTorch 1.5.1 writes it, with the constant method.
PROGRAM = Path(__file__).parents[1] / "support/document.pte"


@pytest.fixture(scope="module")
def plain_onnx(tmp_path_factory):
    """The small model without its document."""
    path = tmp_path_factory.mktemp("plain") / "small.onnx"
    network = small_model().network(fused_attention=False)
    onnx_runtime.export(for_inference(network), torch.rand(1, 3, 32, 32), path)
    return path


@pytest.fixture
def onnx_file(plain_onnx, tmp_path):
    path = tmp_path / "small.onnx"
    path.write_bytes(plain_onnx.read_bytes())
    return path


@pytest.fixture
def tflite_file(tmp_path):
    path = tmp_path / "small.tflite"
    path.write_bytes(b"\x1c\x00\x00\x00TFL3" * 100)
    return path


def varint(number):
    low, high = number & 127, number >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def test_onnx_carries_the_document_where_its_runtime_finds_it(onnx_file):
    import onnxruntime

    write_document(onnx_file, DOCUMENT)
    assert read_document_of(onnx_file) == DOCUMENT
    session = onnxruntime.InferenceSession(onnx_file)
    assert session.get_modelmeta().custom_metadata_map == {"mvit_nas": DOCUMENT.to_json()}


def test_a_second_document_replaces_the_first(onnx_file):
    write_document(onnx_file, DOCUMENT)
    size = onnx_file.stat().st_size
    write_document(onnx_file, DOCUMENT)
    assert onnx_file.stat().st_size == size


def test_a_document_behind_a_tflite_is_any_unzips_and_the_file_begins_as_before(tflite_file):
    before = tflite_file.read_bytes()
    write_document(tflite_file, DOCUMENT)
    assert tflite_file.read_bytes().startswith(before)
    assert read_document_of(tflite_file) == DOCUMENT
    with zipfile.ZipFile(tflite_file) as archive:
        assert json.loads(archive.read("metadata.json"))["classes"] == ["cat", "dog|<b>", "fish"]
        assert archive.read("labels.txt").decode().splitlines() == ["cat", "dog|<b>", "fish"]


def test_core_ml_says_it_in_what_its_users_define(tmp_path):
    model = tmp_path / "small.mlpackage/Data/com.apple.CoreML/model.mlmodel"
    model.parent.mkdir(parents=True)
    pairs = [("else", "x"), ("mvit_nas", DOCUMENT.to_json())]
    entries = [field(100, field(1, key.encode()) + field(2, value.encode())) for key, value in pairs]
    # A version, a description with a name of its own beside the metadata, the network.
    description = field(1, b"image") + field(100, field(1, b"short") + b"".join(entries))
    model.write_bytes(b"\x08\x09" + field(2, description) + field(500, b"network"))
    assert read_document_of(tmp_path / "small.mlpackage") == DOCUMENT


def test_pytorchs_program_says_it_too(tmp_path):
    path = tmp_path / "small.pt2"
    program = torch.export.export(torch.nn.Linear(2, 2).eval(), (torch.rand(1, 2),))
    torch.export.save(program, path, extra_files={"mvit_nas": DOCUMENT.to_json()})
    assert read_document_of(path) == DOCUMENT


def test_an_executorch_program_says_it_by_a_method(tmp_path):
    assert read_document_of(PROGRAM) == DOCUMENT


@pytest.mark.parametrize("size", [0, 7, 300, 700])
def test_a_program_that_was_cut_off_is_named(tmp_path, size):
    path = tmp_path / "small.pte"
    path.write_bytes(PROGRAM.read_bytes()[:size])
    with pytest.raises(InputError, match=r"small\.pte is no \.pte file, or was cut off"):
        read_document_of(path)


def test_a_program_without_the_method_has_no_document(tmp_path):
    path = tmp_path / "small.pte"
    path.write_bytes(PROGRAM.read_bytes().replace(b"mvit_nas\0", b"mvit_sad\0"))
    with pytest.raises(InputError, match="carries no document"):
        read_document_of(path)


def test_reading_loads_no_runtime_and_no_torch(onnx_file, tflite_file):
    write_document(onnx_file, DOCUMENT)
    write_document(tflite_file, DOCUMENT)
    code = f"""
import sys
from pathlib import Path
from mvit_nas.models.embedded import read_document_of
for path in {[str(onnx_file), str(tflite_file)]}:
    assert read_document_of(Path(path)).classes[0] == "cat"
print(sorted({{"torch", "onnx", "onnxruntime"}} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_file_without_our_document_says_what_to_give_instead(onnx_file, tflite_file):
    with zipfile.ZipFile(tflite_file, "a") as archive:
        archive.writestr("metadata.json", '{"names": {"0": "cat"}}')  # another exporter's
    for path in (onnx_file, tflite_file):
        with pytest.raises(InputError) as raised:
            read_document_of(path)
        assert str(raised.value) == f"{path} carries no document of mvit-nas: give --classes and --size"


@pytest.mark.parametrize("size", [30, 1000])
def test_a_file_that_was_cut_off_is_named(onnx_file, size):
    onnx_file.write_bytes(onnx_file.read_bytes()[:size])
    with pytest.raises(InputError, match=r"small\.onnx is no \.onnx file, or was cut off"):
        read_document_of(onnx_file)


def test_a_document_that_does_not_fit_is_named(tflite_file):
    with zipfile.ZipFile(tflite_file, "a") as archive:
        archive.writestr("metadata.json", '{"mvit_nas": "0.1", "format": 99}')
    with pytest.raises(InputError, match=r"small\.tflite: the format is 99"):
        read_document_of(tflite_file)


@pytest.mark.parametrize("name", ["none.onnx", "none.tflite", "none.pt2", "none.mlpackage"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(InputError, match=rf"cannot read .*{name}: No such file"):
        read_document_of(tmp_path / name)


def test_an_unknown_kind_of_file_lists_the_known(tmp_path):
    with pytest.raises(InputError, match=r"x\.h5: \.h5 is not read, known are \.onnx, \.tflite"):
        read_document_of(tmp_path / "x.h5")


@pytest.mark.parametrize("name", ["m.onnx", "m.tflite", "m.pte", "m.pt2"])
def test_a_pipe_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=rf"cannot read .*{name}: it is no regular file"):
        read_document_of(tmp_path / name)
