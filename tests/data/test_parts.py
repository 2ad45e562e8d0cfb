"""Who is in which part."""

from pathlib import Path

import numpy as np
import pytest
from image_files import PARTS, image_folder, message, names_of, png

from mvit_nas.data import parts
from mvit_nas.data.find import find_data


def test_the_parts_are_disjoint_covering_and_stratified(tmp_path: Path) -> None:
    data = find_data(image_folder(tmp_path / "pets", {"a": 100, "b": 40, "c": 3}))
    positions = np.concatenate([data.members[part] for part in PARTS])
    assert sorted(positions.tolist()) == list(range(143))
    counts = {part: np.bincount(data.labels_N[data.members[part]]).tolist() for part in PARTS}
    assert counts == {"test": [15, 6, 1], "validation": [12, 5, 1], "train": [73, 29, 1]}


def test_the_carved_images_are_not_the_first_of_their_class(tmp_path: Path) -> None:
    data = find_data(image_folder(tmp_path / "pets", {"a": 100, "b": 100}))
    test = data.members["test"]
    assert test[test < 100].max() > 50
    assert test[test >= 100].max() > 150


def test_an_image_added_later_leaves_nearly_all_test_images_in_place(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 100, "b": 100})
    before = names_of(find_data(root), "test")
    (root / "a/another.png").write_bytes(png())
    assert len(before - names_of(find_data(root), "test")) <= 1


def test_given_parts_are_used_as_given(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    for prefix, counts in (("train", {"a": 5, "b": 1}), ("val", {"a": 2, "b": 2}), ("Test", {"a": 3})):
        image_folder(root, counts, prefix=prefix)
    (root / "extra").mkdir()
    data = find_data(root)
    assert [data.count(part) for part in PARTS] == [6, 4, 3]
    assert names_of(data, "validation") == {f"val/{name}/000{n}.png" for name in "ab" for n in range(2)}
    assert names_of(data, "test") == {f"Test/a/000{n}.png" for n in range(3)}
    assert data.notes == (
        "The train part is used as given (6 images).",
        "The validation part is used as given (4 images).",
        "The test part is used as given (3 images).",
        "Left out, as they are no part: extra.",
    )


def test_a_missing_test_part_is_carved_beside_a_given_validation_part(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 20, "b": 20}, prefix="train")
    image_folder(root, {"a": 2, "b": 2}, prefix="validation")
    data = find_data(root)
    assert [data.count(part) for part in PARTS] == [34, 4, 6]
    assert all(name.startswith("train/") for name in names_of(data, "test"))


def test_a_carved_part_is_never_larger_than_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_CARVED_MAX", 10)
    data = find_data(image_folder(tmp_path / "pets", {"a": 90, "b": 60}))
    assert np.bincount(data.labels_N[data.members["test"]]).tolist() == [6, 4]


def test_a_single_class_is_an_error(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"cat": 9})
    assert "holds a single class, 'cat'; give at least two" in message(lambda: find_data(root))


def test_a_class_too_small_to_be_split_is_named_with_its_count(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 9, "b": 2, "c": 1})
    found = message(lambda: find_data(root))
    assert "'b' has 2, 'c' has 1; a class needs 3, one for each of train and test and validation" in found
    given = image_folder(tmp_path / "given", {"a": 9, "b": 1}, prefix="train")
    image_folder(given, {"a": 1}, prefix="test")
    assert "'b' has 1; a class needs 2, one for each of train and validation" in message(lambda: find_data(given))


def test_a_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 9, "b": 9}, prefix="train")
    image_folder(root, {"a": 9, "newt": 1}, prefix="test")
    found = message(lambda: find_data(root))
    assert found.startswith("the test part of the image folder")
    assert "holds classes that train lacks: newt" in found
