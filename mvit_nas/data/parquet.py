"""Folders of Parquet files, as the Hugging Face hub serves them."""

import functools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mvit_nas.data.folders import fingerprint_of, scan
from mvit_nas.data.parts import PART_NAMES, PARTS, IntArray, Labels, Listing, Part, label, some
from mvit_nas.documents import parse_json
from mvit_nas.errors import DataError, InputError, visible
from mvit_nas.files import open_regular

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS = 64  # read at a time


def _read(
    root: Path, files: Sequence[str], counts: Sequence[int], column: str, positions: IntArray
) -> Iterator[tuple[str, bytes | Path]]:
    """The images of ``column`` at ``positions`` in ``files``, which have so many rows each."""
    import pyarrow.parquet as pq

    end = 0
    for file, count in zip(files, counts, strict=True):
        start, end = end, end + count
        rows = positions[(positions >= start) & (positions < end)] - start
        with _reading(root / file), pq.ParquetFile(root / file) as parquet:
            for row, content in _cells(parquet, column, rows):
                yield f"{visible(file)} row {row}", content


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """The Parquet file ``path`` while it is read. What pyarrow raises within is a DataError."""
    import pyarrow as pa

    try:
        open_regular(path).close()
        yield
    # ArrowException, and the plain errors that pyarrow raises on broken files: of text that is none, of numbers that
    # are too large, of pages that need more memory than there is.
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        hint = "download it again (a git clone without git-lfs leaves a line of text in its place)"
        raise DataError(f"{path} is not a Parquet file, or is damaged: {_line(error)}; {hint}") from error


def _cells(parquet: "pq.ParquetFile", column: str, rows: IntArray) -> Iterator[tuple[int, bytes]]:
    """The image bytes in ``rows``, reading only the row groups that hold one of them."""
    import pyarrow as pa

    group_start = 0
    for group in range(parquet.num_row_groups):
        start, group_start = group_start, group_start + parquet.metadata.row_group(group).num_rows
        wanted = rows[(rows >= start) & (rows < group_start)]
        if not len(wanted):
            continue
        for batch in parquet.iter_batches(_ROWS, row_groups=[group], columns=[f"{column}.bytes"]):
            inside = wanted[(wanted >= start) & (wanted < start + len(batch))]
            for row, cell in zip(inside, batch.column(0).take(pa.array(inside - start)).to_pylist(), strict=True):
                yield int(row), (cell or {}).get("bytes") or b""
            start += len(batch)
            if start > wanted[-1]:
                break


def parquet_files(root: Path) -> list[str]:
    """The Parquet files in ``root`` and its folder ``data``, by their paths from there."""
    folders = ["", "data/"] if (root / "data").is_dir() else [""]
    return [f"{folder}{name}" for folder in folders for name in scan(root / folder)[1] if name.endswith(".parquet")]


def list_parquet(root: Path, files: list[str]) -> Listing:
    """The rows of ``files``, which lie in ``root``, in the parts that the files are named for. Raises DataError."""
    source = f"Parquet folder {root}"
    notes = []
    by_part: dict[Part, list[str]] = {}
    for file in files:
        if match := re.match(r"(train|validation|val|test)(?![a-z0-9])", Path(file).name.lower()):
            by_part.setdefault(PART_NAMES[match[1]], []).append(file)
    if not by_part:
        by_part = {"train": files}
        notes.append("No Parquet file is named train, validation or test: all of them are taken for train.")
    elif others := sorted(set(files) - {file for of_part in by_part.values() for file in of_part}):
        notes.append(f"Left out, as they are named for no part: {some(others)}.")
    if "train" not in by_part:
        raise DataError(f"the {source} has no train*.parquet, only {some(files)}")

    columns = _columns(root, by_part["train"][0])
    notes += columns.notes
    values: dict[Part, Labels] = {}
    used: list[str] = []
    counts: list[int] = []
    for part in (part for part in PARTS if part in by_part):
        of_files = [_labels(root, file, columns) for file in by_part[part]]
        of_part = np.concatenate(of_files)
        if part != "train" and len(of_part) and of_part.dtype.kind == "i" and (of_part == -1).all():
            notes.append(f"The given {part} part is left out: it has no labels (all are -1).")
            continue
        if columns.class_names is not None:
            for file, labels in zip(by_part[part], of_files, strict=True):
                _check_range(root / file, labels, columns)
        if not len(of_part):
            raise DataError(f"the {part} part of the {source} has no rows; remove its files or download them again")
        values[part] = of_part
        used += by_part[part]
        counts += [len(labels) for labels in of_files]
    classes, labels_N, given = label(values, class_names=columns.class_names, source=source)
    if columns.class_names is not None and (unused := sorted(set(columns.class_names) - set(classes))):
        notes.append(f"Classes that are named but have no training image are left out: {some(unused)}.")
    return Listing(
        source=source,
        read=functools.partial(_read, root, used, counts, columns.image),
        fingerprint=fingerprint_of(root, used),
        names=tuple(f"{file}:{row}" for file, count in zip(used, counts, strict=True) for row in range(count)),
        classes=classes,
        labels_N=labels_N,
        given=given,
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    image: str
    label: str
    class_names: tuple[str, ...] | None
    notes: tuple[str, ...]


def _columns(root: Path, file: str) -> _Columns:
    """Which columns hold the images and the labels, from the first file of train."""
    schema = _parquet_schema(root / file)
    try:
        text = (schema.metadata or {})[b"huggingface"].decode("utf-8")
        features = parse_json(text, where="its metadata")["info"]["features"]
        described = {name: one for name, one in features.items() if isinstance(one, dict)}
    # Of other tools: the columns speak for themselves.
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError, InputError):
        described = {}
    listed = ", ".join(f"{column.name} ({column.type})" for column in schema)
    images = [column.name for column in schema if _holds_images(column.type)]
    if not images:
        raise DataError(f"{root / file} has no image column (a struct with 'bytes' in binary); its columns: {listed}")
    labels = [n for n in schema.names if n == "label" or described.get(n, {}).get("_type") == "ClassLabel"]
    labels.sort(key=lambda name: name != "label")
    if not labels:
        raise DataError(f"{root / file} has no label column (named 'label', or a ClassLabel); its columns: {listed}")
    notes = []
    for kind, names in (("Images", images), ("Labels", labels)):
        if len(names) > 1:
            notes.append(f"{kind} are taken from the column {names[0]!r}; there is also {some(names[1:])}.")
    class_names = described.get(labels[0], {}).get("names")
    return _Columns(
        image=images[0],
        label=labels[0],
        class_names=tuple(str(name) for name in class_names) if isinstance(class_names, list) else None,
        notes=tuple(notes),
    )


def _holds_images(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    content = kind.field("bytes").type
    return content in (pa.binary(), pa.large_binary(), pa.binary_view())


def _parquet_schema(path: Path) -> "pa.Schema":
    import pyarrow.parquet as pq

    with _reading(path):
        return pq.read_schema(path)


def _labels(root: Path, file: str, columns: _Columns) -> Labels:
    """The labels of one file, as integers or as strings."""
    import pyarrow.parquet as pq

    path = root / file
    schema = _parquet_schema(path)
    for name in (columns.image, columns.label):
        if name not in schema.names:
            raise DataError(
                f"{path} has no column {name!r} as the training files do; its columns: {some(schema.names)}"
            )
    if not _holds_images(kind := schema.field(columns.image).type):
        raise DataError(f"{path} has no images in the column {columns.image!r} as the training files do, but {kind}")
    with _reading(path):
        return _checked_labels(path, pq.read_table(path, columns=[columns.label]).column(0), columns)


def _checked_labels(path: Path, labels: "pa.ChunkedArray", columns: _Columns) -> Labels:
    import pyarrow as pa

    if labels.null_count:
        raise DataError(
            f"{path} has {labels.null_count} null labels in the column {columns.label!r}; remove those rows"
        )
    if pa.types.is_dictionary(labels.type):
        labels = labels.cast(labels.type.value_type)
    if pa.types.is_integer(labels.type):
        return np.asarray(labels.cast(pa.int64()).to_numpy(), dtype=np.int64)
    if columns.class_names is None and (pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)):
        return np.array(labels.to_pylist(), dtype=np.str_)
    wanted = "integers" if columns.class_names is not None else "integers or strings"
    raise DataError(f"the labels of {path} in the column {columns.label!r} are {labels.type}; {wanted} are needed")


def _check_range(path: Path, labels: Labels, columns: _Columns) -> None:
    names = len(columns.class_names or ())
    if len(wrong := labels[~np.isin(labels, np.arange(names))]):
        raise DataError(
            f"{path} has the label {wrong[0]} in the column {columns.label!r}, but its {names} class names "
            f"stand for 0 to {names - 1}; correct the labels or the names"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
