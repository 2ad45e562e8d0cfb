"""Image folders: what is found in them, and what is an error."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from image_files import BLUE, PARTS, image_folder, message, names_of, png

from mvit_nas.data.find import find_data


def test_a_plain_image_folder_is_found_with_sorted_classes(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"t-shirt": 20, "Zebra": 20, "ant": 20})
    data = find_data(str(root))
    assert data.name == "pets"
    assert data.source == f"image folder {root}"
    assert data.classes == ("Zebra", "ant", "t-shirt")
    assert data.median_side == 8
    assert data.flips
    assert [data.count(part) for part in PARTS] == [
        45,
        6,
        9,
    ]  # 3 of 20, then 15 % of 17 rounded down, each class
    assert data.notes == (
        "The test part (9 images) is carved out of train, stratified, the same in every run.",
        "The validation part (6 images) is carved out of train, stratified, the same in every run.",
    )


def test_a_copy_under_another_name_has_the_same_parts_and_fingerprint(tmp_path: Path) -> None:
    data = find_data(image_folder(tmp_path / "pets", {"a": 50, "b": 30}))
    shutil.copytree(tmp_path / "pets", tmp_path / "elsewhere")
    (tmp_path / "elsewhere/a/notes.txt").write_text("not an image")
    copy = find_data(tmp_path / "elsewhere")
    assert copy.fingerprint == data.fingerprint
    assert [names_of(copy, part) for part in PARTS] == [names_of(data, part) for part in PARTS]


@pytest.mark.parametrize("change", ["content", "tail", "name", "part"])
def test_the_fingerprint_follows_every_change(tmp_path: Path, change: str) -> None:
    root = image_folder(tmp_path / "pets", {"a": 5, "b": 5}, prefix="train")
    long = root / "train/a/0000.png"
    long.write_bytes(png() + b"x" * 100_000)
    before = find_data(root).fingerprint
    if change == "content":
        (root / "train/b/0000.png").write_bytes(png(BLUE))
    elif change == "tail":
        long.write_bytes(png() + b"x" * 99_999 + b"y")
    elif change == "name":
        long.rename(root / "train/a/other.png")
    else:
        image_folder(root, {"a": 2, "b": 2}, prefix="test")
    assert find_data(root).fingerprint != before


def test_a_test_folder_without_classes_is_left_out_and_said_so(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 20, "b": 20}, prefix="train")
    (root / "test").mkdir()
    (root / "test/unlabelled.png").write_bytes(png())
    data = find_data(root)
    assert data.count("test") == 6
    assert "The folder 'test' is left out: it has no images in class folders." in data.notes


def test_what_is_hidden_or_no_image_is_ignored_and_links_are_followed(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 5})
    (root / ".cache").mkdir()
    (root / "__MACOSX").mkdir()
    for name in (".DS_Store", "._0000.png", "Thumbs.db", "notes.txt", "photo.HEIC"):
        (root / "a" / name).write_bytes(b"x")
    (root / "a/folder.png").mkdir()
    image_folder(tmp_path, {"elsewhere": 4})
    (tmp_path / "elsewhere/0000.png").rename(tmp_path / "elsewhere/0000.JPeG")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    data = find_data(root)
    assert data.classes == ("a", "b")
    assert len(data.labels_N) == 9
    assert data.notes[-1] == "Files left out by extension: 1 .heic, 1 .txt."


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    assert message(lambda: find_data(tmp_path)) == f"cannot read the folder {tmp_path}: Permission denied"


def test_a_class_whose_folder_has_no_name_in_utf_8_is_written_out(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 3, "b\x1b[2J": 3})
    (root / "a").rename(os.fsdecode(os.fsencode(root) + b"/caf\xe9"))
    data = find_data(root)
    assert data.classes == ("b\\x1b[2J", "caf\\udce9")
    assert {where.partition("/")[0] for where in names_of(data, "train")} == set(data.classes)


def test_a_class_folder_without_images_is_named(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 9, "b": 9, "c": 0})
    assert "no images for class 'c'" in message(lambda: find_data(root))


def test_parts_without_train_and_doubled_parts_are_errors(tmp_path: Path) -> None:
    lone = image_folder(tmp_path / "lone", {"a": 9, "b": 9}, prefix="test")
    assert "has test but no train folder" in message(lambda: find_data(lone))
    twice = image_folder(tmp_path / "twice", {"a": 9, "b": 9}, prefix="val")
    image_folder(twice, {"a": 9, "b": 9}, prefix="validation")
    assert "has two folders for the validation part" in message(lambda: find_data(twice))


def test_the_fingerprint_follows_the_size_of_a_file_whose_ends_stay_the_same(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 9, "b": 9})
    file = root / "a/0000.png"
    file.write_bytes(png() + bytes(40_000))
    first = find_data(root).fingerprint
    file.write_bytes(png() + bytes(40_001))
    assert find_data(root).fingerprint != first
