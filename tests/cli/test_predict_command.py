"""``mvit-nas predict`` as a person types it."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from artefacts import write_onnx
from commands import answer
from image_files import REAL, needs_real_images
from small_model import CLASSES, photo, small_model, write_small_model

from mvit_nas.data.contract import pixels

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter of the ONNX file


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model folder m/, the file m.onnx, f.onnx of somebody else, and photos in folders, of which one is broken."""
    folder = tmp_path_factory.mktemp("predict")
    write_small_model(folder / "m")
    write_onnx(folder / "m.onnx", small_model())
    write_onnx(folder / "f.onnx", small_model(), document=False)
    seed = 0
    for name in ("cat", "fish", "others"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(3):
            seed += 1
            (folder / "photos" / name / f"{number}.jpg").write_bytes(photo(seed))
    (folder / "photos/cat/notes.txt").write_text("no image")
    (folder / "bad.jpg").write_text("no image")
    return folder


@pytest.fixture
def run(place, tmp_path):
    def predict(*arguments, code=0):
        return answer("predict", *arguments, cwd=place, cache=tmp_path, code=code)

    return predict


def rows(found):
    return list(csv.DictReader(io.StringIO(found.out)))


def expected(path):
    model = small_model()
    row = model.probabilities(pixels(path, model.document.contract)[None])[0]
    return sorted(zip(row.tolist(), CLASSES, strict=True), reverse=True)


@pytest.mark.parametrize("model", ["m", "m.onnx"])
def test_the_likeliest_classes_come_first(run, place, model):
    (image,) = json.loads(run(model, "photos/cat/0.jpg", "--json", "--top", 2).out)["images"]
    wanted = expected(place / "photos/cat/0.jpg")[:2]
    assert [one["class"] for one in image["top"]] == [name for _, name in wanted]
    assert [one["probability"] for one in image["top"]] == pytest.approx([p for p, _ in wanted], abs=1e-5)


def test_people_get_a_line_an_image(run, place):
    (best, name), *_ = expected(place / "photos/others/0.jpg")
    found = run("m.onnx", "photos/others/0.jpg", "photos/others/1.jpg")
    first, second = found.out.splitlines()
    assert first.startswith(f"photos/others/0.jpg: {name} {100 * best:.1f} %, ")
    assert second.startswith("photos/others/1.jpg: ")


def test_folders_and_patterns_are_all_that_they_hold_each_once(run):
    all_of_them = [f"photos/{name}/{number}.jpg" for name in ("cat", "fish", "others") for number in range(3)]
    assert [one["image"] for one in rows(run("m.onnx", "photos", "--csv"))] == all_of_them
    assert [one["image"] for one in rows(run("m.onnx", "photos/*/*.jpg", "photos/cat/0.jpg", "--csv"))] == all_of_them
    assert [one["image"] for one in rows(run("m.onnx", "photos/f*", "--csv"))] == all_of_them[3:6]


def test_the_accuracy_counts_images_whose_folder_names_a_class(run, place):
    found = json.loads(run("m.onnx", "photos", "--json", "--top", 1).out)
    assert [one["label"] for one in found["images"]] == ["cat"] * 3 + ["fish"] * 3 + [None] * 3
    right = [expected(place / one["image"])[0][1] == one["label"] for one in found["images"] if one["label"]]
    assert 0 < sum(right) < 6
    assert (found["correct"], found["labelled"], found["accuracy"]) == (sum(right), 6, sum(right) / 6)
    low, high = found["interval"]
    assert low < found["accuracy"] < high
    text = run("m.onnx", "photos").out
    assert f"accuracy {100 * found['accuracy']:.1f} % ({100 * low:.1f} to {100 * high:.1f}): {sum(right)} of 6" in text


def test_without_such_folders_there_is_no_accuracy(run):
    assert json.loads(run("m.onnx", "photos/others", "--json").out)["accuracy"] is None
    assert "accuracy" not in run("m.onnx", "photos/others").out


def test_a_bad_image_is_one_line_and_the_others_are_named(run):
    found = run("m.onnx", "photos/cat/0.jpg", "bad.jpg", "photos/cat/1.jpg", "--csv", code=4)
    assert found.err == "mvit-nas: cannot read bad.jpg: it is not an image in a known format\n"
    first, bad, second = rows(found)
    assert (bad["image"], bad["class_1"], bad["error"]) == ("bad.jpg", "", "it is not an image in a known format")
    assert first["error"] == second["error"] == ""
    assert float(second["probability_1"]) > 0.3
    assert run("m.onnx", "bad.jpg", code=4).out == ""


def test_a_bad_image_of_a_class_is_not_counted(run, place):
    shutil.copytree(place / "photos/fish", place / "some/fish")
    shutil.copy(place / "bad.jpg", place / "some/fish/bad.jpg")
    assert json.loads(run("m.onnx", "some", "--json", code=4).out)["labelled"] == 3


def test_classes_come_from_a_list_or_from_a_file(run, place):
    (place / "names.txt").write_text("a\n\nb, with a comma\nc\n")
    by_list = rows(run("f.onnx", "photos/cat/0.jpg", "--classes", "a, b,c", "--size", 32, "--csv"))
    by_file = rows(run("f.onnx", "photos/cat/0.jpg", "--classes", "names.txt", "--size", 32, "--csv"))
    assert {by_list[0][f"class_{rank}"] for rank in (1, 2, 3)} == {"a", "b", "c"}
    assert {by_file[0][f"class_{rank}"] for rank in (1, 2, 3)} == {"a", "b, with a comma", "c"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("m.onnx", "nothing.jpg"), "there is no image nothing.jpg"),
        (("m.onnx", "x" * 300), "there is no image x"),
        (("m.onnx", "m/check/*.tif"), "there is no image m/check/*.tif"),
        (("m.onnx", "empty"), "there are no images in empty; they end in .jpg"),
        (("nothing", "photos"), "nothing is no model: give a model folder, or a file that ends in"),
        (("photos", "photos"), "cannot read photos/config.json"),
        (("f.onnx", "photos"), "give --classes and --size"),
        (("f.onnx", "photos", "--classes", "bad.bin", "--size", 32), "cannot read bad.bin: it is no text in UTF-8"),
        (("f.onnx", "photos", "--classes", "a," * 300, "--size", 32), "has 3 outputs, and 300 classes are named"),
        (("m.onnx", "photos", "--classes", "a,b,c"), "leave --classes and --size out"),
        (("m.onnx", "photos", "--json", "--csv"), "--json and --csv are two ways to print"),
    ],
)
def test_bad_input_is_one_line(run, place, arguments, words):
    (place / "empty").mkdir(exist_ok=True)
    (place / "bad.bin").write_bytes(b"\xff\xfe\x00")
    found = run(*arguments, code=2)
    assert words in found.error
    assert len(found.err.strip().splitlines()) == 1
    assert found.out == ""


def test_a_name_that_is_no_text_is_shown_as_well_as_can_be(run, place):
    odd = os.fsencode(place) + b"/photos/others/\xff.jpg"
    shutil.copy(place / "photos/others/0.jpg", odd)
    try:
        assert "photos/others/?.jpg: " in run("m.onnx", "photos/others").out
    finally:
        Path(os.fsdecode(odd)).unlink()


def test_an_onnx_file_is_read_without_what_is_slow_to_load(place):
    code = """
import sys
from mvit_nas.cli.app import main
try:
    main()
finally:
    print(sorted({"torch", "scipy", "pandas", "sklearn", "onnx", "transformers", "safetensors"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code, "predict", "m.onnx", "photos/cat/0.jpg"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True)
    *_, last = done.stdout.splitlines()
    assert last == "[]"


@needs_real_images
def test_photos_of_clothes_are_counted_by_their_folders(place, tmp_path):
    model = small_model()
    names = ("hat", "shoes", "dress")
    write_onnx(tmp_path / "clothes.onnx", replace(model, document=replace(model.document, classes=names)))
    test = REAL / "clothing/test"
    wanted = ("hat", "dress", "skirt")
    found = json.loads(
        answer(
            *("predict", tmp_path / "clothes.onnx", *(test / name for name in wanted), "--json"),
            cwd=place,
            cache=tmp_path,
        ).out
    )
    numbers = [len(list((test / name).glob("*.jpg"))) for name in wanted]
    assert [one["label"] for one in found["images"]] == ["hat"] * numbers[0] + ["dress"] * numbers[1] + [
        None
    ] * numbers[2]
    assert found["labelled"] == sum(numbers[:2])
    assert found["correct"] == sum(one["top"][0]["class"] == one["label"] for one in found["images"])
