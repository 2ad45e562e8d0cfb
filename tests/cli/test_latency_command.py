"""`mvit-nas latency` and `mvit-nas devices`, as a person runs them."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import QUICK as SCHEDULE
from commands import TINY, answer
from small_model import small_model

from mvit_nas.arch.config import to_dict
from mvit_nas.arch.count import count
from mvit_nas.arch.paths import with_values
from mvit_nas.artifacts.checked import export
from mvit_nas.artifacts.formats import format_of
from mvit_nas.cost.latency import measure
from mvit_nas.cost.runtimes.registry import RUNTIMES, is_installed
from mvit_nas.data.contract import InputContract
from mvit_nas.evaluate import latency as meter

# Few operators: a runtime loads a network for every round that is measured.
SMALL = with_values(TINY, {"stages.*.blocks": 1, "stages.3.mobilevit": None, "stages.4.mobilevit": None})
QUICK = ("--image-size", 32, "--precision", "20%", "--cap", "1s")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder to work in, with one cache for all of these tests and a network of one's own, exported and as YAML."""
    folder = tmp_path_factory.mktemp("work")
    export(RUNTIMES["onnxruntime"], SMALL, folder / "mine.onnx", classes=10)
    (folder / "mine.yaml").write_text(yaml.safe_dump(to_dict(SMALL)))
    (folder / "quick.yaml").write_text(SCHEDULE)
    return folder


@pytest.fixture(autouse=True, scope="module")
def small_reference():
    """Against what latencies are measured is not the question: a reference that loads and runs quickly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter, "PRESETS", {meter.REFERENCE: with_values(SMALL, {"stages.2.mobilevit.dim": 24})})
        patch.setattr(meter, "_REFERENCE_SIDE", 32)
        yield


@pytest.fixture
def latency(work):
    return lambda *more, **options: answer("latency", *more, cwd=work, cache=work / "cache", **options)


def test_two_networks_are_measured_and_compared(latency):
    found = latency("mobilevit_xxs", "mobilevit_s", "--runtime", "onnxruntime", *QUICK)
    out, err = found.out, found.err
    assert re.search(r"^ONNX Runtime \d[\d.]+ on this host \(", out, re.MULTILINE)
    assert re.search(
        r"^mobilevit_xxs +onnxruntime +[\d.]+\*? \([\d.]+ to [\d.]+\) +[\d.]+ +\d\.\d MB +-$", out, re.MULTILINE
    )
    assert re.search(r"onnxruntime: mobilevit_xxs is faster than mobilevit_s: 0\.\d\d of its", out)
    assert all(len(line) <= 80 for line in out.splitlines()), out
    assert "Traceback" not in err
    assert "Warning" not in err


def test_the_document_says_what_was_measured_and_how(latency):
    found = latency("mine.yaml", "--runtime", "onnxruntime,torch", "--by-stage", "--json", *QUICK[2:])
    document = json.loads(found.out)
    assert document["error"] is None
    assert [one["runtime"] for one in document["measurements"]] == ["onnxruntime", "torch"]
    for one in document["measurements"]:
        assert (one["model"], one["target"], one["threads"], one["clock"]) == ("mine", "host", 1, "cpu")
        low, high = one["interval_ms"]
        assert 0 < low <= one["median_ms"] <= high
        assert one["runs"] >= 20  # bursts of two processes at least
        assert one["size_bytes"] > 4 * count(SMALL, classes=10).params * 0.9  # float32, batch norms folded
        assert one["delegated"] is None
        assert one["difference"] < 1e-4
        assert sum(one["stages_ms"].values()) == pytest.approx(one["median_ms"])
        assert one["conditions"]["precision"] == 0.2
    assert document["verdicts"] == []


def test_a_file_is_measured_on_the_runtime_that_it_is_for(latency):
    found = latency("mine.onnx", "mine.yaml", "--json", *QUICK[2:])
    names = [(one["model"], one["runtime"]) for one in json.loads(found.out)["measurements"]]
    assert names == [("mine.onnx", "onnxruntime"), ("mine", "onnxruntime")]


@pytest.fixture
def jobs(monkeypatch):
    """What was timed."""
    timed = []

    def noting(target, job):
        timed.append(job)
        return measure(target, job)

    monkeypatch.setattr("mvit_nas.evaluate.latency.measure", noting)
    return timed


def exported(path, **options):
    """A trained network as ``mvit-nas export`` writes it, of another image size than the reference."""
    model = small_model()
    arch = with_values(model.document.arch, {"image_size": 48})
    model = replace(model, document=replace(model.document, arch=arch, contract=InputContract(side=48)))
    format_of(path).export(model, path, calibration_NHWC=np.zeros((1, 48, 48, 3), np.uint8), **options)
    return path.name


@pytest.mark.parametrize("options", [{}, {"dynamic_batch": True}, {"dynamic_batch": True, "int8": True}])
def test_an_exported_onnx_file_is_timed_on_one_image_of_its_own_size(work, latency, jobs, options):
    (measured,) = json.loads(latency(exported(work / "m.onnx", **options), "--json", *QUICK[2:]).out)["measurements"]
    assert (measured["error"], measured["runtime"]) == (None, "onnxruntime")
    assert {job.candidate_shape for job in jobs if job.candidate == Path("m.onnx")} == {(1, 3, 48, 48)}


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"int8": True}])
def test_an_exported_tflite_file_is_timed_on_one_image_with_its_colours_last(work, latency, jobs, options):
    if not is_installed(RUNTIMES["litert"]):
        pytest.skip("LiteRT is gigabytes with what it needs, an extra that CI leaves out")
    (measured,) = json.loads(latency(exported(work / "m.tflite", **options), "--json", *QUICK[2:]).out)["measurements"]
    assert (measured["error"], measured["runtime"]) == (None, "litert")
    assert {job.candidate_shape for job in jobs if job.candidate == Path("m.tflite")} == {(1, 48, 48, 3)}


def test_a_file_of_another_image_size_than_is_asked_for_is_not_timed(work, latency, jobs):
    exported(work / "m.onnx", dynamic_batch=True)
    words = "m.onnx: takes images of 48 px, and --image-size is 32: export it anew, or leave that out"
    assert latency("m.onnx", *QUICK, code=2).error == f"mvit-nas: {words}"
    assert not jobs
    found = latency("m.onnx", "--image-size", 48, "--json", *QUICK[2:])
    assert json.loads(found.out)["measurements"][0]["error"] is None


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (["batch", 3, "height", "width"], "[0, 3, 0, 0]"),
        (["batch", "colours", 8, 8], "[0, 0, 8, 8]"),
        (["batch", 3, 8, 16], "[0, 3, 8, 16]"),
        ([2, 3, 8, 8], "[2, 3, 8, 8]"),
        (["batch", 48], "[0, 48]"),
    ],
)
def test_a_file_for_anything_but_square_images_and_any_number_of_them_is_one_line(work, latency, shape, words):
    import onnx

    images, same = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "any", [images], [same])
    onnx.save(onnx.helper.make_model(graph), work / "any.onnx")
    assert f"any.onnx: takes images of the shape {words}; only [1, 3" in latency("any.onnx", *QUICK, code=2).error


def test_a_file_is_timed_once_where_int8_is_asked_for(work, latency):
    train = ("--int8", "--schedule", "quick.yaml", "--batch-size", 16, "--device", "cpu")
    found = json.loads(latency("mine.onnx", *train, "--json", *QUICK[2:]).out)
    assert [one["int8"] for one in found["measurements"]] == [False]


def test_int8_is_told_with_what_it_costs_in_accuracy(latency):
    train = ("--int8", "--schedule", "quick.yaml", "--batch-size", 16, "--device", "cpu")
    found = latency("mobilevit_xxs", "--runtime", "onnxruntime", *train, "--json", *QUICK)
    assert "by the schedule 'quick (batch size 16)' for what int8 costs in accuracy" in found.err
    plain, quantised = json.loads(found.out)["measurements"]
    assert (plain["int8"], quantised["int8"]) == (False, True)
    assert quantised["size_bytes"] < 0.6 * plain["size_bytes"]
    assert (plain["quantised"], quantised["quantised"]) == (0, 1)
    assert 0 <= quantised["accuracy"] <= 1
    assert 0 <= plain["accuracy"] <= 1
    (verdict,) = json.loads(found.out)["verdicts"]
    assert {verdict["one"], verdict["other"]} == {"mobilevit_xxs", "mobilevit_xxs int8"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("mobilevit_xx",), 2, "CHOICE: unknown 'mobilevit_xx', did you mean 'mobilevit_xxs'?"),
        (("nothing:knee",), 2, "CHOICE nothing:knee: no study 'nothing' in reports: known are none"),
        (("mobilevit_xxs", "--runtime", "onnx"), 2, "unknown runtime 'onnx', known are torch, onnxruntime, litert, executo"),
        (("mobilevit_xxs", "--target", "box"), 2, "--target box: write host, ssh://user@host or adb:SERIAL"),
        (("mobilevit_xxs", "--precision", "1"), 2, "cannot read --precision '1': write it in percent, such as 0.5%"),
        (("mobilevit_xxs", "--runtime", "litert", "--by-stage"), 2, "--by-stage: only torch and onnxruntime tell stages"),
        (("mobilevit_xxs", "--threads", "0"), 2, "--threads must be at least 1, got 0"),
        (("mobilevit_xxs", "--int8", "--device", "cuda:99"), 5, "CUDA devices"),
        (("gone.tflite",), 2, "gone.tflite: there is no such file"),
        (("garbage.onnx", *QUICK[2:]), 2, "garbage.onnx: is no ONNX file for one batch of images"),
        (("mobilevit_xxs", "--target", "ssh://127.0.0.1:1"), 5, "ssh://127.0.0.1:1: nothing listens for ssh there"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_its_exit_code(work, latency, arguments, code, message):
    (work / "garbage.onnx").write_bytes(b"no network")
    found = latency(*arguments, code=code)
    assert message in found.error
    assert found.out == ""


def test_what_can_be_measured_is_kept_where_another_cannot(work, latency):
    (work / "broken.onnx").write_bytes((work / "mine.onnx").read_bytes()[:-20_000])
    found = latency("mobilevit_xxs", "broken.onnx", "--json", *QUICK, code=4)
    document = json.loads(found.out)
    assert [one["error"] is None for one in document["measurements"]] == [True, False]
    assert document["measurements"][1]["median_ms"] is None
    assert found.error.startswith("mvit-nas: 1 measurements are kept. broken.onnx on onnxruntime: ")


def test_devices_lists_this_host_and_what_is_named(work):
    asked = {"cwd": work, "cache": work / "cache"}
    out = answer("devices", "ssh://127.0.0.1:1", **asked).out
    assert out.startswith("host\n  ")
    assert re.search(r"cores, Linux", out)
    assert re.search(r"runtimes: torch [\d.+a-z]+, onnxruntime \d", out)
    assert "ssh://127.0.0.1:1\n  cannot be used: ssh://127.0.0.1:1: nothing listens for ssh there" in out
    host = json.loads(answer("devices", "--json", **asked).out)["devices"][0]
    assert (host["target"], host["cores"]) == ("host", os.cpu_count())
    assert host["trusted"] == (host["doubts"] == [])
