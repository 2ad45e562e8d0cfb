"""Parquet folders: parts, columns, labels, and what is an error."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_files import PARTS, message, png, shade, write_parquet

from mvit_nas.data.find import find_data
from mvit_nas.data.parts import Part
from mvit_nas.data.store import load_part


def test_sorted_parquet_rows_are_split_by_class_and_keep_their_labels(tmp_path: Path) -> None:
    labels = [0] * 60 + [1] * 40 + [2] * 20
    root = tmp_path / "hub"
    write_parquet(root / "train.parquet", labels, names=["zebra", "ant", "bee"], row_group_size=7)
    data = find_data(root)
    assert data.classes == ("zebra", "ant", "bee")  # the order of the metadata
    assert data.source == f"Parquet folder {root}"
    seen: list[int] = []
    parts: dict[Part, list[int]] = {"train": [44, 29, 15], "validation": [7, 5, 2], "test": [9, 6, 3]}
    for part, counts in parts.items():
        images = load_part(data, part, side=8, cache=tmp_path / "cache")
        assert np.bincount(images.labels_N).tolist() == counts
        numbers = images.pixels_NHWC[:, 0, 0, 0].tolist()  # the shade tells the row
        assert [labels[number] for number in numbers] == images.labels_N.tolist()
        seen += numbers
    assert sorted(seen) == list(range(120))


@pytest.mark.parametrize("rows", [[64], [63], [0, 64, 128], [5, 199], []])
def test_any_choice_of_rows_is_read_across_batches_and_row_groups(tmp_path: Path, rows: list[int]) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 100, row_group_size=150)
    found = list(find_data(tmp_path).read(np.array(rows, dtype=np.int64)))
    assert [where for where, _ in found] == [f"train.parquet row {row}" for row in rows]
    assert [content for _, content in found] == [png(shade(row)) for row in rows]


def test_shards_in_a_data_folder_are_read_in_order(tmp_path: Path) -> None:
    for shard in range(2):
        write_parquet(
            tmp_path / f"hub/data/train-0000{shard}-of-00002.parquet",
            [0, 1] * 4,
            image="img",
            images=[png(shade(100 * shard + number)) for number in range(8)],
        )
    for name in ("val-00000-of-00001", "test-00000-of-00001", "trainer"):
        write_parquet(tmp_path / f"hub/data/{name}.parquet", [1, 0, 1], image="img")
    data = find_data(tmp_path / "hub")
    assert data.classes == ("0", "1")
    assert [data.count(part) for part in PARTS] == [16, 3, 3]
    assert data.notes[-1] == "Left out, as they are named for no part: data/trainer.parquet."
    images = load_part(data, "train", side=8, cache=tmp_path / "cache")
    assert images.pixels_NHWC[:, 0, 0, 0].tolist() == [*range(8), *range(100, 108)]
    assert load_part(data, "test", side=8, cache=tmp_path / "cache").labels_N.tolist() == [1, 0, 1]


def test_string_labels_are_classes(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", ["cat", "ant"] * 5)
    write_parquet(tmp_path / "test.parquet", ["cat"])
    dictionary = pa.array(["cat", "ant"] * 5).dictionary_encode()
    table = pq.read_table(tmp_path / "train.parquet")
    pq.write_table(table.set_column(1, "label", dictionary), tmp_path / "train-2.parquet")
    data = find_data(tmp_path)
    assert data.classes == ("ant", "cat")
    assert data.labels_N.tolist() == [1, 0] * 10 + [1]


def test_a_class_label_of_another_name_is_found_and_a_choice_is_said(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5, label="fine_label", names=["cat", "dog", "unused"])
    data = find_data(tmp_path)
    assert data.classes == ("cat", "dog")
    assert data.notes[-1] == "Classes that are named but have no training image are left out: unused."
    extra = {"mask": pq.read_table(tmp_path / "train.parquet").column(0)}
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5, more=extra)
    assert find_data(tmp_path).notes[-1] == "Images are taken from the column 'image'; there is also mask."


def test_files_of_no_part_are_taken_for_train(tmp_path: Path) -> None:
    write_parquet(tmp_path / "0000.parquet", [0, 1] * 10)
    data = find_data(tmp_path)
    assert len(data.labels_N) == 20
    assert "all of them are taken for train" in data.notes[-1]


def test_a_test_part_with_hidden_labels_is_left_out_and_said_so(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 10, names=["cat", "dog"])
    write_parquet(tmp_path / "test.parquet", [-1] * 4, names=["cat", "dog"])
    data = find_data(tmp_path)
    assert data.count("test") == 2
    assert data.notes[-1] == "The given test part is left out: it has no labels (all are -1)."


def test_metadata_that_is_not_of_the_hub_is_no_obstacle(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5)
    table = pq.read_table(tmp_path / "train.parquet").replace_schema_metadata({"huggingface": "{"})
    pq.write_table(table, tmp_path / "train.parquet")
    assert find_data(tmp_path).classes == ("0", "1")


def test_a_broken_image_in_a_row_is_skipped_and_its_row_named(tmp_path: Path) -> None:
    images = [png(shade(number)) for number in range(20)]
    images[3] = b""
    write_parquet(tmp_path / "train.parquet", [0, 1] * 10, images=images)
    write_parquet(tmp_path / "test.parquet", [0, 1])
    write_parquet(tmp_path / "val.parquet", [0, 1])
    found = load_part(find_data(tmp_path), "train", side=8, cache=tmp_path / "cache")
    assert found.skipped == ("train.parquet row 3: it is empty",)
    assert found.labels_N.tolist() == [0, 1, 0] + [0, 1] * 8


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_text("version https://git-lfs.github.com/spec/v1")
    found = message(lambda: find_data(tmp_path))
    assert f"{tmp_path}/train.parquet is not a Parquet file, or is damaged: " in found
    assert "git-lfs" in found


def test_missing_columns_are_errors_that_list_the_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1], "label": [0]}), tmp_path / "train.parquet")
    found = message(lambda: find_data(tmp_path))
    assert "has no image column" in found
    assert "its columns: x (int64), label (int64)" in found
    write_parquet(tmp_path / "train.parquet", [0, 1], label="y")
    found = message(lambda: find_data(tmp_path))
    assert "has no label column" in found
    assert "y (int64)" in found
    write_parquet(tmp_path / "train.parquet", [0, 1])
    write_parquet(tmp_path / "train-2.parquet", [0, 1], label="y", names=["a", "b"])
    assert "train.parquet has no column 'y' as the training files do" in message(lambda: find_data(tmp_path))


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        ([0, None, 1, None], None, "has 2 null labels in the column 'label'"),
        (
            [0, 1, 2, 0],
            ["cat", "dog"],
            "has the label 2 in the column 'label', but its 2 class names stand for 0 to 1",
        ),
        ([0, 1, -1, 0], ["cat", "dog"], "has the label -1"),
        ([0.5, 1.5], None, "are double; integers or strings are needed"),
        (["cat", "dog"], ["cat", "dog"], "are string; integers are needed"),
    ],
)
def test_wrong_labels_are_errors_that_name_the_file(
    tmp_path: Path, labels: list[object], names: list[str] | None, words: str
) -> None:
    write_parquet(tmp_path / "train.parquet", labels, names=names)
    found = message(lambda: find_data(tmp_path))
    assert f"{tmp_path}/train.parquet" in found
    assert words in found


def test_a_parquet_folder_without_train_or_rows_is_an_error(tmp_path: Path) -> None:
    write_parquet(tmp_path / "test.parquet", [0, 1])
    assert "has no train*.parquet, only test.parquet" in message(lambda: find_data(tmp_path))
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5)
    pq.write_table(pq.read_table(tmp_path / "test.parquet").slice(0, 0), tmp_path / "test.parquet")
    assert "the test part of the Parquet folder" in message(lambda: find_data(tmp_path))


def test_a_parquet_file_damaged_in_the_middle_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 400, row_group_size=100)
    data = find_data(tmp_path)
    content = bytearray((tmp_path / "train.parquet").read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    (tmp_path / "train.parquet").write_bytes(content)
    found = message(lambda: load_part(data, "train", side=8, cache=tmp_path / "cache"))
    assert f"{tmp_path}/train.parquet is not a Parquet file, or is damaged: " in found


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.list_(pa.uint8()), pa.struct([("x", pa.binary())])])
def test_bytes_that_are_no_bytes_are_no_images(tmp_path: Path, kind: pa.DataType) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5)
    cells = pa.array([None] * 10, type=pa.struct([("bytes", kind)]))
    other = pa.table({"image": cells, "label": pa.array([0, 1] * 5)})
    pq.write_table(other, tmp_path / "test.parquet")
    assert "test.parquet has no images in the column 'image' as the" in message(lambda: find_data(tmp_path))
    pq.write_table(other, tmp_path / "train.parquet")
    assert "has no image column (a struct with 'bytes' in binary)" in message(lambda: find_data(tmp_path))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"info": ' * 70 + "1" + "}" * 70, "\xff", '{"info": {"features": [1]}}']
)
def test_metadata_of_strangers_is_passed_over(tmp_path: Path, text: str) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5)
    table = pq.read_table(tmp_path / "train.parquet")
    described = table.replace_schema_metadata({"huggingface": text.encode("latin-1")})
    pq.write_table(described, tmp_path / "train.parquet")
    assert find_data(tmp_path).classes == ("0", "1")


def test_a_pipe_with_the_name_of_a_parquet_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.parquet")
    assert "it is no regular file" in message(lambda: find_data(tmp_path))


def test_labels_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5)
    table = pq.read_table(tmp_path / "train.parquet")
    labels = pa.array([2**63 + 1, 1] * 5, type=pa.uint64())
    pq.write_table(table.set_column(1, "label", labels), tmp_path / "train.parquet")
    assert "train.parquet is not a Parquet file, or is damaged: Integer value" in message(lambda: find_data(tmp_path))
