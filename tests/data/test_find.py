"""What a name or a path stands for."""

from pathlib import Path

import numpy as np
import pytest
from image_files import PARTS, REAL, image_folder, message, names_of, needs_real_images, png
from PIL import Image

from mvit_nas.data import find
from mvit_nas.data.decode import shorter_side
from mvit_nas.data.find import find_data


def test_a_folder_named_like_a_set_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_folder(tmp_path / "digits", {"a": 4, "b": 4})
    monkeypatch.chdir(tmp_path)
    assert "write ./digits for it" in find_data("digits").notes[-1]
    assert find_data("./digits").classes == ("a", "b")
    assert find_data(tmp_path / "digits").classes == ("a", "b")


def test_an_unknown_name_lists_the_named_sets() -> None:
    assert "there is no folder 'digitz', nor a named set (known: digits)" in message(lambda: find_data("digitz"))


def test_the_test_part_is_not_opened_to_measure_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def measure(content: Path) -> int:
        opened.append(content)
        return shorter_side(content)

    monkeypatch.setattr(find, "shorter_side", measure)
    root = image_folder(tmp_path / "pets", {"a": 20, "b": 20})
    data = find_data(root)
    assert {str(path.relative_to(root)) for path in opened} == names_of(data, "train")


def test_a_missing_folder_a_file_and_an_empty_folder_are_told_apart(tmp_path: Path) -> None:
    assert "there is no folder" in message(lambda: find_data(tmp_path / "nowhere"))
    (tmp_path / "file.zip").write_bytes(b"x")
    assert "file.zip is a file; give the folder" in message(lambda: find_data(tmp_path / "file.zip"))
    (tmp_path / "empty").mkdir()
    assert f"there are no images in {tmp_path}/empty" in message(lambda: find_data(tmp_path / "empty"))
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose/a.jpg").write_bytes(png())
    assert "only images outside class folders" in message(lambda: find_data(tmp_path / "loose"))


def test_a_folder_in_which_no_image_is_readable_is_an_error_at_once(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"{number}.jpg").write_bytes(b"hello")
    assert "can be read (a/" in message(lambda: find_data(tmp_path))


def test_the_source_is_shown_as_it_was_given(tmp_path, monkeypatch):
    for index in range(4):
        for name in ("a", "b"):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 40), (index * 9, 0, 0)).save(tmp_path / "photos" / name / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    assert find_data("photos").source == "image folder photos"
    assert find_data(tmp_path / "photos").source == f"image folder {tmp_path / 'photos'}"


@needs_real_images
def test_cifar10_is_found_with_its_names_and_split_evenly() -> None:
    data = find_data(REAL / "cifar10")
    assert data.classes[:2] == ("airplane", "automobile")
    assert data.median_side == 32
    assert [data.count(part) for part in PARTS] == [45_000, 5_000, 10_000]
    assert np.bincount(data.labels_N[data.members["validation"]]).tolist() == [500] * 10
