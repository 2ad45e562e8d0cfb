"""``mvit-nas export``: files with records, what is refused, and that nothing wrong is kept."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from commands import answer, photos
from small_model import CLASSES, photo, small_model

from mvit_nas.artifacts.formats import FORMATS
from mvit_nas.data.contract import pixels
from mvit_nas.data.find import find_data
from mvit_nas.errors import MeasurementError
from mvit_nas.jobs import export as job
from mvit_nas.models.folder import Model, read_model, write_model
from mvit_nas.study.confirmation_file import read_looks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the model m and photos of its classes, one more class beside them."""
    root = tmp_path_factory.mktemp("export")
    # A name that is a folder's.
    small = small_model()
    document = replace(small.document, classes=("fish", "cat", "dog"))  # not in the order of the folders
    kept = [(one, pixels(one, document.contract)) for one in map(photo, range(3))]
    write_model(root / "m", Model(document=document, weights=small.weights), photos=kept, facts=[])
    photos(root / "photos")
    photos(root / "strange", classes=("cat", "heron"))
    return root


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """How well a ratio is known is not the question here."""
    monkeypatch.setattr(job, "_PRECISION", 0.9)
    monkeypatch.setattr(job, "_SECONDS", 0.2)


def test_a_file_its_record_and_its_table(folder, cache):
    found = answer("export", "m", cwd=folder, cache=cache)
    assert "Beside PyTorch on 3 photos of the model's check/" in found.out
    assert "the model's 3 samples within" in found.out
    assert (folder / "m/exports/m.onnx").is_file()
    record = json.loads((folder / "m/exports/m.onnx.json").read_text())
    assert record["parity"]["difference"] < 1e-5
    assert record["scored"] is None
    assert not list((folder / "m/exports").glob(".*"))


def test_int8_says_accuracy_changes_and_time(folder, cache, tmp_path):
    found = answer("export", "m", "--int8", "--data", "photos", "--out", tmp_path, "--json", cwd=folder, cache=cache)
    plain, int8 = json.loads(found.out)["files"]
    assert (plain["int8"], int8["int8"], plain["ratio"]) == (False, True, None)
    assert int8["ratio"]["low"] <= int8["ratio"]["value"] <= int8["ratio"]["high"]
    assert any("VNNI" in note for note in int8["notes"])
    scored = int8["scored"]
    images = int8["parity"]["images"]
    assert round((scored["torch_accuracy"] - scored["accuracy"]) * images) == scored["to_wrong"] - scored["to_right"]
    assert plain["scored"]["accuracy"] == plain["scored"]["torch_accuracy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "m-int8.onnx", "m-int8.onnx.json", "m.onnx", "m.onnx.json",
    ]  # fmt: skip


def test_labels_are_matched_by_name(folder, cache, tmp_path):
    """The folders are in the order of the alphabet, the model's classes are not."""
    found = answer("export", "m", "--data", "photos", "--out", tmp_path, "--json", cwd=folder, cache=cache)
    (file,) = json.loads(found.out)["files"]
    model = read_model(folder / "m")
    data = find_data(folder / "photos")
    right = []
    members = data.members["test"]
    for (_, content), label in zip(data.read(members), data.labels_N[members], strict=True):
        answered = model.probabilities(np.stack([pixels(content, model.document.contract)])).argmax()
        right.append(model.document.classes[answered] == data.classes[label])
    assert file["scored"]["accuracy"] == pytest.approx(np.mean(right))


def test_a_file_is_checked_elsewhere(folder, cache):
    answer("export", "m", "--dynamic-batch", cwd=folder, cache=cache)
    found = answer("export", "m", "--check", "m/exports/m.onnx", "--json", cwd=folder, cache=cache)
    (file,) = json.loads(found.out)["files"]
    assert file["file"] == "m/exports/m.onnx"
    assert file["parity"]["difference"] < 1e-5


@pytest.fixture
def beside(folder, tmp_path):
    """The model in models/, its study and the photos beside that."""
    shutil.copytree(folder / "m", tmp_path / "models/m", ignore=shutil.ignore_patterns("exports"))
    (tmp_path / "photos").symlink_to(folder / "photos")
    (tmp_path / "experiments/s").mkdir(parents=True)
    return tmp_path


def told(beside, **provenance):
    """The model says this of where it is from."""
    config = beside / "models/m/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "provenance": provenance}))


def test_a_look_is_in_the_ledger_before_the_network_is_asked(beside, cache, monkeypatch):
    told(beside, study="s", trial=37, seed=2, schedule={"name": "medium", "epochs": 3})

    def fail(model, pixels):
        raise MeasurementError("asked")

    monkeypatch.setattr(Model, "probabilities", fail)
    assert answer("export", "models/m", "--data", "photos", cwd=beside, cache=cache, code=1).error == "mvit-nas: asked"
    (look,) = read_looks(beside / "experiments/s/test_reads.jsonl")
    assert (look.command, look.trials, look.seeds) == ("export", (37,), (2,))
    assert (look.schedule, look.images) == ("medium", 3)


def test_where_the_ledger_cannot_be_written_nothing_is_looked_at(beside, cache, monkeypatch):
    told(beside, study="s", trial=37, seed=2, schedule={"name": "medium"})
    (beside / "experiments/s/test_reads.jsonl").mkdir()
    monkeypatch.setattr(Model, "probabilities", lambda model, pixels: pytest.fail("it was looked at"))
    found = answer("export", "models/m", "--data", "photos", cwd=beside, cache=cache, code=2)
    assert found.error.endswith(
        "test_reads.jsonl (Is a directory), which counts looks at the test part: there was none"
    )
    assert not list((beside / "models/m/exports").iterdir())


@pytest.mark.parametrize(
    "provenance", [{}, {"study": None}, {"study": 3}, {"study": "gone"}, {"study": "../experiments/s"}]
)
def test_a_model_of_no_study_that_is_here_has_no_ledger(beside, cache, provenance):
    told(beside, **provenance)
    answer("export", "models/m", "--data", "photos", cwd=beside, cache=cache)
    assert [path.name for path in beside.rglob("experiments/**/*")] == ["s"]


def test_a_look_is_written_down_though_the_model_says_little_of_itself(beside, cache):
    told(beside, study="s", trial=None, schedule={})
    answer("export", "models/m", "--data", "photos", cwd=beside, cache=cache)
    (look,) = read_looks(beside / "experiments/s/test_reads.jsonl")
    assert (look.trials, look.seeds, look.schedule) == ((), (), "unknown")


def test_what_computes_something_else_is_not_kept(folder, cache, monkeypatch, tmp_path):
    export = FORMATS["onnx"].export
    small = small_model()

    def wrong(self, model, path, **options):
        document = replace(model.document, temperature=1.01 * model.document.temperature)
        export(Model(document=document, weights=small.weights), path, **options)

    monkeypatch.setattr(type(FORMATS["onnx"]), "export", wrong)
    found = answer("export", "m", "--out", tmp_path / "o", cwd=folder, cache=cache, code=1)
    assert "ONNX Runtime computes something else than PyTorch: on 3 photos" in found.error
    assert list((tmp_path / "o").iterdir()) == []


def test_one_format_that_fails_keeps_no_other_from_it(folder, cache, monkeypatch, tmp_path):
    def refuse(module, order, path):
        raise MeasurementError("PyTorch cannot")

    monkeypatch.setitem(FORMATS, "torch", replace(FORMATS["torch"], write=refuse))
    found = answer("export", "m", "--format", "torch,onnx", "--out", tmp_path, cwd=folder, cache=cache, code=4)
    assert found.error == "mvit-nas: PyTorch cannot; 1 files are kept"
    assert (tmp_path / "m.onnx").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["m", "--int8"], 2, "--int8 takes its ranges from images of the train part: give --data"),
        (["m", "--dynamic-batch", "--format", "onnx,tflite"], 2, "--dynamic-batch: files for phones take one image"),
        (["m", "--format", "onx"], 2, "--format: unknown 'onx', did you mean 'onnx'?"),
        (["m", "--format", ","], 2, "--format: name at least one"),
        (["m", "--data", "strange"], 2, "--data has classes that the model does not know: heron"),
        (["nothing"], 2, "cannot read nothing/config.json"),
        (["m", "--out", "m/config.json"], 2, "cannot write to m/config.json: File exists; name another with --out"),
        (["m", "--check", "m/none.onnx"], 2, "cannot read m/none.onnx: No such file"),
        (["m", "--check", "m/README.md"], 2, "m/README.md: known are .onnx"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder, refused, arguments, code, words):
    assert words in refused("export", *arguments, cwd=folder, code=code)


def test_a_model_without_samples_asks_for_data(folder, refused, tmp_path):
    write_model(tmp_path / "bare", small_model(), photos=[], facts=[])
    assert "bare has no samples in check/: give --data" in refused("export", "bare", cwd=tmp_path, code=2)


def test_a_file_of_another_model_is_refused(folder, refused, cache, tmp_path):
    answer("export", "m", "--out", tmp_path, cwd=folder, cache=cache)
    write_model(tmp_path / "other", small_model(), photos=[], facts=[])
    assert CLASSES != ("fish", "cat", "dog")
    line = refused("export", "other", "--check", "m.onnx", cwd=tmp_path, code=2)
    assert "m.onnx is not of other: it has another list of classes" in line


def test_core_ml_is_run_by_a_mac_alone(folder, refused, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "read_document_of", lambda path: read_model(folder / "m").document)
    monkeypatch.setattr("mvit_nas.artifacts.coreml.missing_extra", lambda: "")
    line = refused("export", folder / "m", "--check", "m.mlpackage", cwd=tmp_path, code=5)
    assert "m.mlpackage: only a Mac runs Core ML" in line
