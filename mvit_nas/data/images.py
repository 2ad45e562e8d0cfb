"""Images from a user's folder: what is there, its three parts, and each part decoded once into a cache.

``find_data`` lists and splits but decodes nothing; ``load_part`` decodes only the part that is asked for, so
that a search which never asks for "test" never reads it.

Axes: N images, H and W pixels down and across, C colours (red, green, blue).
"""

import errno
import hashlib
import io
import json
import os
import re
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from PIL import Image

from mvit_nas.data.decode import Decoded, UnreadableImageError, decode, shorter_side
from mvit_nas.errors import DataError, InputError, MvitNasError

Part = Literal["train", "validation", "test"]
IntArray = npt.NDArray[np.int64]

# Which images a part holds and how they are decoded: a change of either takes a new number, so new caches.
_VERSION = "1"

_PARTS: tuple[Part, ...] = ("train", "validation", "test")
_PART_NAMES: dict[str, Part] = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_FORMS = "CLASS/*.jpg, train/CLASS/*.jpg or train*.parquet"

_CARVED_PERCENT = 15
_CARVED_MAX = 5_000  # gives accuracy to half a percentage point; more would only take images from training
_CHUNK = 64  # images decoded at a time: bounds the memory and the wait after Ctrl-C


class ImageSource(Protocol):
    """Where encoded images lie."""

    def read(self, positions: IntArray) -> Iterator[tuple[str, bytes | Path]]:
        """What to call each image in a message, and its bytes or file, for ascending ``positions``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageData:
    """What ``--data`` stands for: a listing in three parts. Nothing is decoded yet."""

    name: str
    source: str  # in words, for people
    fingerprint: str  # of the images and of who is in which part; the same for a copy elsewhere
    classes: tuple[str, ...]
    median_side: int  # pixels, median of the shorter sides of a sample of training images
    flips: bool  # whether a mirrored image keeps its class
    notes: tuple[str, ...]  # sentences: what was given, carved, left out and assumed
    images: ImageSource = field(repr=False)
    labels_N: IntArray = field(repr=False, compare=False)  # of every image of every part
    members: dict[Part, IntArray] = field(repr=False, compare=False)  # ascending positions in ``labels_N``

    def count(self, part: Part) -> int:
        """How many images the part lists; what cannot be decoded is still among them."""
        return len(self.members[part])


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """One decoded part, in the order of its source, which may be sorted by class: draw, never slice."""

    pixels_NHWC: npt.NDArray[np.uint8]  # memory-mapped, read-only, RGB, each image squashed to a square
    aspects_N: npt.NDArray[np.float32]  # width / height before the squashing, upright
    labels_N: IntArray
    skipped: tuple[str, ...]  # "path: reason" for each image that could not be decoded


def _no_progress(done: int, total: int) -> None:
    pass


def find_data(path: str | Path | None) -> ImageData:
    """What lies at ``path``: a named set, an image folder, or a folder of Parquet files; None is the digits.

    A validation or test part that is not given is carved out of train, stratified, always the same way:
    15 % of it, at most 5,000 images, at least one of each class. Raises ``DataError``.
    """
    if path is None:
        return NAMED_SETS["digits"]()
    if isinstance(path, str) and path in NAMED_SETS:
        data = NAMED_SETS[path]()
        if Path(path).is_dir():
            note = f"There is also a folder {path!r} here, which was not read; write ./{path} for it."
            data = replace(data, notes=(*data.notes, note))
        return data
    root = Path(path).expanduser().resolve()
    if not root.exists():
        known = ", ".join(sorted(NAMED_SETS))
        raise DataError(f"there is no folder {str(path)!r}, nor a named set (known: {known}); give one with {_FORMS}")
    if not root.is_dir():
        raise DataError(f"{root} is a file; give the folder that holds the data ({_FORMS})")
    files = _parquet_files(root)
    listing = _list_parquet(root, files) if files else _list_folder(root)
    # Reports are sent to others: they show the path as it was given, not where it leads on this machine.
    listing = replace(listing, source=listing.source.replace(str(root), str(path)))
    return _image_data(listing, name=root.name or "data", flips=True)


def load_part(
    data: ImageData,
    part: Part,
    *,
    side: int,
    cache: Path,
    progress: Callable[[int, int], None] = _no_progress,
) -> Images:
    """The part's images at ``side`` x ``side``: decoded on the first call, only mapped ever after.

    ``progress(done, total)`` is called now and then while decoding. A process that is killed leaves nothing
    that is taken for whole, and a second process waits for the first instead of decoding too.
    Raises ``DataError`` if over half of the part, or all of a class, is unreadable; ``InputError`` if
    ``cache`` cannot be written to; ``MvitNasError`` if the disk is full.
    """
    folder = cache / f"{data.fingerprint}-{part}-{side}"
    if (images := _open(folder, side=side)) is not None:
        return images
    needed = data.count(part) * side * side * 3
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{folder.name}.lock"):
            if (images := _open(folder, side=side)) is not None:  # made by another process while this one waited
                return images
            try:
                for remains in (folder, partial):
                    if remains.exists():
                        shutil.rmtree(remains)
                partial.mkdir()
                if shutil.disk_usage(cache).free < needed:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                _write(data, part, side=side, folder=partial, progress=progress)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(next(place for place in (cache, *cache.parents) if place.exists())).free
            raise MvitNasError(
                f"the disk of the cache folder {cache} is full: {needed / 1e6:,.1f} MB are needed and "
                f"{free / 1e6:,.1f} MB are free; make room or choose another folder"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR):
            raise InputError(
                f"cannot write to the cache folder {cache}: {error.strerror}; choose one that you can write to"
            ) from error
        raise
    images = _open(folder, side=side)
    assert images is not None
    return images


# --- From a listing to three parts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """The labelled images that a source holds, part after part, before anything is carved."""

    source: str
    images: ImageSource
    fingerprint: str
    names: tuple[str, ...]  # of each image, the same on every machine: decides who is carved
    classes: tuple[str, ...]
    labels_N: IntArray
    given: dict[Part, IntArray]
    notes: tuple[str, ...]


def _image_data(listing: _Listing, *, name: str, flips: bool) -> ImageData:
    members, notes = _split(listing)
    return ImageData(
        name=name,
        source=listing.source,
        fingerprint=listing.fingerprint,
        classes=listing.classes,
        median_side=_median_side(listing.images, members["train"], source=listing.source),
        flips=flips,
        notes=(*notes, *listing.notes),
        images=listing.images,
        labels_N=listing.labels_N,
        members=members,
    )


def _label(
    values: dict[Part, npt.NDArray[Any]], *, class_names: tuple[str, ...] | None, source: str
) -> tuple[tuple[str, ...], IntArray]:
    """The classes that train holds, sorted, and each image's index among them, part after part."""

    def name(value: Any) -> str:
        return class_names[value] if class_names else str(value)

    known = np.unique(values["train"])
    classes = tuple(name(value) for value in known)
    if len(classes) == 1:
        raise DataError(f"the {source} holds a single class, {classes[0]!r}; give at least two classes")
    for part, of_part in values.items():
        if len(unknown := np.setdiff1d(of_part, known)):
            raise DataError(
                f"the {part} part of the {source} holds classes that train lacks: "
                f"{_some(map(name, unknown))}; add images of them to train"
            )
    return classes, np.concatenate([np.searchsorted(known, of_part) for of_part in values.values()])


def _positions(counts: dict[Part, int]) -> dict[Part, IntArray]:
    ends = np.cumsum(list(counts.values()))
    return {part: np.arange(end - counts[part], end) for part, end in zip(counts, ends, strict=True)}


def _split(listing: _Listing) -> tuple[dict[Part, IntArray], list[str]]:
    members = dict(listing.given)
    missing: list[Part] = [part for part in ("test", "validation") if part not in members]
    counts = np.bincount(listing.labels_N[members["train"]], minlength=len(listing.classes))
    needed = 1 + len(missing)
    if few := [f"{name!r} has {n}" for name, n in zip(listing.classes, counts, strict=True) if n < needed]:
        raise DataError(
            f"too few training images in the {listing.source}: {_some(few)}; a class needs {needed}, "
            f"one for each of {' and '.join(['train', *missing])}: add images or remove the class"
        )
    given = [part for part in _PARTS if part in members and not (part == "train" and missing)]
    notes = [f"The {part} part is used as given ({len(members[part]):,} images)." for part in given]
    for part in missing:
        members[part] = _carve(listing, members["train"])
        members["train"] = np.setdiff1d(members["train"], members[part])
        notes.append(
            f"The {part} part ({len(members[part]):,} images) is carved out of train, "
            "stratified, the same in every run."
        )
    return members, notes


def _carve(listing: _Listing, train: IntArray) -> IntArray:
    # scikit-learn's stratified split may leave a small class out, so each class's share is counted here.
    # Within a class the hash of the name decides: there is no random generator to keep stable over versions,
    # and an image added later leaves most of the others in their parts.
    labels = listing.labels_N[train]
    digests = [hashlib.sha256(os.fsencode(listing.names[position])).digest() for position in train]
    ranks = np.array([int.from_bytes(digest[:8], "big") for digest in digests], dtype=np.uint64)
    order = np.lexsort((ranks, labels))
    counts = np.bincount(labels)
    share = np.minimum(counts * _CARVED_PERCENT // 100, counts * _CARVED_MAX // len(train))
    place_in_class = np.arange(len(train)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(train[order[place_in_class < np.repeat(np.maximum(share, 1), counts)]])


def _median_side(images: ImageSource, train: IntArray, *, source: str) -> int:
    # Sixteen runs of sixteen neighbours: spread over the classes, yet from few row groups of a Parquet file.
    starts = np.linspace(0, max(0, len(train) - 16), 16).astype(int)
    sample = np.unique((starts[:, None] + np.arange(16)).clip(max=len(train) - 1))
    sides, reasons = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's about odd files; what matters is whether they decode
        for where, content in images.read(train[sample]):
            try:
                sides.append(shorter_side(content))
            except UnreadableImageError as reason:
                reasons.append(f"{where}: {reason}")
    if not sides:
        raise DataError(f"none of {len(sample)} images tried in the {source} can be read ({reasons[0]})")
    return int(np.median(sides))


def _some(items: Iterable[str]) -> str:
    shown = list(items)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


# --- Image folders


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    root: Path
    paths: tuple[str, ...]  # relative to the root

    def read(self, positions: IntArray) -> Iterator[tuple[str, bytes | Path]]:
        for position in positions:
            yield self.paths[position], self.root / self.paths[position]


def _list_folder(root: Path) -> _Listing:
    source = f"image folder {root}"
    folders, files = _scan(root)
    part_folders = [name for name in folders if name.lower() in _PART_NAMES]
    ignored: Counter[str] = Counter()
    notes = []
    found: dict[Part, dict[str, list[str]]] = {}
    if not part_folders:
        found["train"] = _images_by_class(root, "", ignored)
    for name in part_folders:
        part = _PART_NAMES[name.lower()]
        if part in found:
            raise DataError(f"{root} has two folders for the {part} part, {name!r} among them; keep one")
        found[part] = _images_by_class(root, f"{name}/", ignored)
        if part != "train" and not any(found[part].values()):
            del found[part]
            notes.append(f"The folder {name!r} is left out: it has no images in class folders.")
    if "train" not in found:
        raise DataError(f"{root} has {_some(part_folders)} but no train folder; add train/CLASS/*.jpg")
    if part_folders and (others := [name for name in folders if name not in part_folders]):
        notes.append(f"Left out, as they are no part: {_some(others)}.")
    if ignored:
        notes.append(f"Files left out by extension: {_some(f'{n} {name}' for name, n in sorted(ignored.items()))}.")

    if not any(found["train"].values()):
        loose = any(name.lower().endswith(_SUFFIXES) for name in files)
        where = "only images outside class folders" if loose else "no images"
        raise DataError(f"there are {where} in {root}; it should hold {_FORMS}")
    if empty := [repr(name) for name, paths in found["train"].items() if not paths]:
        raise DataError(f"no images for class {_some(empty)} in the {source}; add images or remove the folder")

    ordered: dict[Part, dict[str, list[str]]] = {part: found[part] for part in _ordered(found)}
    values = {
        part: np.repeat(list(by_class), [len(paths) for paths in by_class.values()])
        for part, by_class in ordered.items()
    }
    classes, labels_N = _label(values, class_names=None, source=source)
    paths = tuple(path for by_class in ordered.values() for paths in by_class.values() for path in paths)
    return _Listing(
        source=source,
        images=_Files(root=root, paths=paths),
        fingerprint=_fingerprint(root, paths),
        names=paths,
        classes=classes,
        labels_N=labels_N,
        given=_positions({part: len(of_part) for part, of_part in values.items()}),
        notes=tuple(notes),
    )


def _images_by_class(root: Path, prefix: str, ignored: Counter[str]) -> dict[str, list[str]]:
    found = {}
    for name in _scan(root / prefix)[0]:
        files = _scan(root / prefix / name)[1]
        found[name] = [f"{prefix}{name}/{file}" for file in files if file.lower().endswith(_SUFFIXES)]
        ignored.update(Path(file).suffix.lower() or file for file in files if not file.lower().endswith(_SUFFIXES))
    return found


def _scan(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in ``folder``, sorted, without what is hidden."""
    try:
        with os.scandir(folder) as entries:
            kinds = {
                entry.name: entry.is_dir()
                for entry in entries
                if not entry.name.startswith((".", "__MACOSX")) and entry.name.lower() != "thumbs.db"
            }
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}") from error
    folders = sorted(name for name, is_folder in kinds.items() if is_folder)
    return folders, sorted(kinds.keys() - set(folders))


def _ordered(parts: Iterable[Part]) -> list[Part]:
    held = set(parts)
    return [part for part in _PARTS if part in held]


def _fingerprint(root: Path, paths: Iterable[str]) -> str:
    """Of the names, sizes and both ends of every file: quick on big data, the same for a copy elsewhere."""
    digest = hashlib.sha256(_VERSION.encode())
    end_bytes = 16 * 1024
    for path in sorted(paths):
        digest.update(os.fsencode(path))
        try:
            with (root / path).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                digest.update(b"\0%d\0" % size + file.read(end_bytes))
                file.seek(max(end_bytes, size - end_bytes))
                digest.update(file.read())
        except OSError:  # such as a link to nowhere: decoding will count and name it
            digest.update(b"\0unreadable\0")
    return digest.hexdigest()[:16]


# --- Parquet folders, as the Hugging Face hub serves them


@dataclass(frozen=True, slots=True, kw_only=True)
class _ParquetRows:
    root: Path
    files: tuple[str, ...]  # relative to the root
    ends: tuple[int, ...]  # the rows up to the end of each file
    column: str

    def read(self, positions: IntArray) -> Iterator[tuple[str, bytes | Path]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for file, start, end in zip(self.files, (0, *self.ends), self.ends, strict=False):
            rows = positions[(positions >= start) & (positions < end)] - start
            try:
                with pq.ParquetFile(self.root / file) as parquet:
                    for row, content in _cells(parquet, self.column, rows):
                        yield f"{file} row {row}", content
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"cannot read {self.root / file}: {_line(error)}; download it again") from error


def _cells(parquet: Any, column: str, rows: IntArray) -> Iterator[tuple[int, bytes]]:
    """The image bytes in ``rows``, reading only the row groups that hold one of them."""
    import pyarrow as pa

    group_start = 0
    for group in range(parquet.num_row_groups):
        start, group_start = group_start, group_start + parquet.metadata.row_group(group).num_rows
        wanted = rows[(rows >= start) & (rows < group_start)]
        if not len(wanted):
            continue
        for batch in parquet.iter_batches(_CHUNK, row_groups=[group], columns=[f"{column}.bytes"]):
            inside = wanted[(wanted >= start) & (wanted < start + len(batch))]
            for row, cell in zip(inside, batch.column(0).take(pa.array(inside - start)).to_pylist(), strict=True):
                yield int(row), (cell or {}).get("bytes") or b""
            start += len(batch)
            if start > wanted[-1]:
                break


def _parquet_files(root: Path) -> list[str]:
    folders = ["", "data/"] if (root / "data").is_dir() else [""]
    return [f"{folder}{name}" for folder in folders for name in _scan(root / folder)[1] if name.endswith(".parquet")]


def _list_parquet(root: Path, files: list[str]) -> _Listing:
    source = f"Parquet folder {root}"
    notes = []
    by_part: dict[Part, list[str]] = {}
    for file in files:
        if match := re.match(r"(train|validation|val|test)(?![a-z0-9])", Path(file).name.lower()):
            by_part.setdefault(_PART_NAMES[match[1]], []).append(file)
    if not by_part:
        by_part = {"train": files}
        notes.append("No Parquet file is named train, validation or test: all of them are taken for train.")
    elif others := sorted(set(files) - {file for of_part in by_part.values() for file in of_part}):
        notes.append(f"Left out, as they are named for no part: {_some(others)}.")
    if "train" not in by_part:
        raise DataError(f"the {source} has no train*.parquet, only {_some(files)}")

    columns = _columns(root, by_part["train"][0])
    notes += columns.notes
    values: dict[Part, npt.NDArray[Any]] = {}
    used: list[str] = []
    counts: list[int] = []
    for part in _ordered(by_part):
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
    classes, labels_N = _label(values, class_names=columns.class_names, source=source)
    if columns.class_names is not None and (unused := sorted(set(columns.class_names) - set(classes))):
        notes.append(f"Classes that are named but have no training image are left out: {_some(unused)}.")
    return _Listing(
        source=source,
        images=_ParquetRows(root=root, files=tuple(used), ends=tuple(np.cumsum(counts).tolist()), column=columns.image),
        fingerprint=_fingerprint(root, used),
        names=tuple(f"{file}:{row}" for file, count in zip(used, counts, strict=True) for row in range(count)),
        classes=classes,
        labels_N=labels_N,
        given=_positions({part: len(of_part) for part, of_part in values.items()}),
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
    import pyarrow as pa

    schema = _parquet_schema(root / file)
    features = _hub_features(schema)
    listed = ", ".join(f"{column.name} ({column.type})" for column in schema)
    images = [
        column.name
        for column in schema
        if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0
    ]
    if not images:
        raise DataError(f"{root / file} has no image column (a struct with a field 'bytes'); its columns: {listed}")
    class_labels = [name for name in schema.names if _feature(features, name, "_type") == "ClassLabel"]
    labels = [
        *(["label"] if "label" in schema.names else []),
        *(name for name in class_labels if name != "label"),
    ]
    if not labels:
        raise DataError(f"{root / file} has no label column (named 'label', or a ClassLabel); its columns: {listed}")
    notes = []
    for kind, names in (("Images", images), ("Labels", labels)):
        if len(names) > 1:
            notes.append(f"{kind} are taken from the column {names[0]!r}; there is also {_some(names[1:])}.")
    class_names = _feature(features, labels[0], "names")
    return _Columns(
        image=images[0],
        label=labels[0],
        class_names=tuple(str(name) for name in class_names) if isinstance(class_names, list) else None,
        notes=tuple(notes),
    )


def _hub_features(schema: Any) -> object:
    try:
        return json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):  # written by other tools: the columns speak for themselves
        return {}


def _feature(features: object, column: str, key: str) -> object:
    description = features.get(column) if isinstance(features, dict) else None
    return description.get(key) if isinstance(description, dict) else None


def _parquet_schema(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        hint = "download it again (a git clone without git-lfs leaves a line of text in its place)"
        raise DataError(f"{path} is not a Parquet file: {_line(error)}; {hint}") from error


def _labels(root: Path, file: str, columns: _Columns) -> npt.NDArray[Any]:
    """The labels of one file, as integers or as strings."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = root / file
    schema = _parquet_schema(path)
    for name in (columns.image, columns.label):
        if name not in schema.names:
            raise DataError(
                f"{path} has no column {name!r} as the training files do; its columns: {_some(schema.names)}"
            )
    try:
        labels = pq.read_table(path, columns=[columns.label]).column(0)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot read {path}: {_line(error)}; download it again") from error
    if labels.null_count:
        raise DataError(
            f"{path} has {labels.null_count} null labels in the column {columns.label!r}; remove those rows"
        )
    if pa.types.is_dictionary(labels.type):
        labels = labels.cast(labels.type.value_type)
    if pa.types.is_integer(labels.type):
        return np.asarray(labels.to_numpy(), dtype=np.int64)
    if columns.class_names is None and (pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)):
        return np.array(labels.to_pylist(), dtype=np.str_)
    wanted = "integers" if columns.class_names is not None else "integers or strings"
    raise DataError(f"the labels of {path} in the column {columns.label!r} are {labels.type}; {wanted} are needed")


def _check_range(path: Path, labels: IntArray, columns: _Columns) -> None:
    names = len(columns.class_names or ())
    if len(wrong := labels[(labels < 0) | (labels >= names)]):
        raise DataError(
            f"{path} has the label {wrong[0]} in the column {columns.label!r}, but its {names} class names "
            f"stand for 0 to {names - 1}; correct the labels or the names"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


# --- Named sets


@dataclass(frozen=True, slots=True, kw_only=True)
class _Digits:
    def read(self, positions: IntArray) -> Iterator[tuple[str, bytes | Path]]:
        from sklearn.datasets import load_digits

        grey_NHW = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
        for position in positions:
            file = io.BytesIO()
            Image.fromarray(grey_NHW[position]).save(file, "PNG")  # encoded, to take the same way as all others
            yield f"digit {position}", file.getvalue()


def _find_digits() -> ImageData:
    from sklearn.datasets import load_digits

    digits = load_digits()
    listing = _Listing(
        source="scikit-learn's handwritten digits (1,797 images of 8 x 8 pixels)",
        images=_Digits(),
        fingerprint=hashlib.sha256(_VERSION.encode() + digits.images.tobytes()).hexdigest()[:16],
        names=tuple(str(position) for position in range(len(digits.target))),
        classes=tuple(str(name) for name in digits.target_names),
        labels_N=digits.target.astype(np.int64),
        given=_positions({"train": len(digits.target)}),
        notes=(),
    )
    return _image_data(listing, name="digits", flips=False)


NAMED_SETS: dict[str, Callable[[], ImageData]] = {"digits": _find_digits}


# --- The cache: pixels.npy, aspects.npy, labels.npy and, written last, index.json


def _open(folder: Path, *, side: int) -> Images | None:
    """The part that lies in ``folder``, or None if there is none or it is damaged."""
    try:
        index = json.loads((folder / "index.json").read_text())
        images = Images(
            pixels_NHWC=np.load(folder / "pixels.npy", mmap_mode="r"),
            aspects_N=np.load(folder / "aspects.npy"),
            labels_N=np.load(folder / "labels.npy"),
            skipped=tuple(index["skipped"]),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    count = len(images.labels_N)
    whole = images.pixels_NHWC.shape == (count, side, side, 3) and images.aspects_N.shape == (count,)
    return images if whole else None


def _write(data: ImageData, part: Part, *, side: int, folder: Path, progress: Callable[[int, int], None]) -> None:
    members = data.members[part]
    labels, aspects, skipped = [], [], []
    # Written, not mapped: on a full disk a write is an error, but a store to mapped memory kills the process.
    with (folder / "pixels.npy").open("wb") as file:
        _write_header(file, (len(members), side, side, 3))
        decoded = _decode_all(data.images.read(members), side=side)
        for done, (label, (where, result)) in enumerate(zip(data.labels_N[members], decoded, strict=True), start=1):
            if isinstance(result, Decoded):
                file.write(result.pixels_HWC.tobytes())
                aspects.append(result.aspect)
                labels.append(label)
            else:
                skipped.append(f"{where}: {result}")
            if done % _CHUNK == 0 or done == len(members):
                progress(done, len(members))
        _check_readable(data, part, labels=np.array(labels, dtype=np.int64), skipped=skipped)
        file.seek(0)
        _write_header(file, (len(labels), side, side, 3))
    np.save(folder / "aspects.npy", np.array(aspects, dtype=np.float32))
    np.save(folder / "labels.npy", np.array(labels, dtype=np.int64))
    (folder / "index.json").write_text(json.dumps({"skipped": skipped}))


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    # NumPy pads the header so that the first axis can change in place, and skipped images make it shorter.
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _decode_all(
    images: Iterator[tuple[str, bytes | Path]], *, side: int
) -> Iterator[tuple[str, Decoded | UnreadableImageError]]:
    def decode_one(image: tuple[str, bytes | Path]) -> tuple[str, Decoded | UnreadableImageError]:
        where, content = image
        try:
            return where, decode(content, side=side)
        except UnreadableImageError as reason:
            return where, reason

    # Pillow decodes and resizes without the interpreter's lock. Its warnings about odd files are of no use:
    # what matters is whether they decode. The filter is set outside the threads, which share it.
    with (
        warnings.catch_warnings(),
        ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool,
    ):
        warnings.simplefilter("ignore")
        while chunk := list(islice(images, _CHUNK)):
            yield from pool.map(decode_one, chunk)


def _check_readable(data: ImageData, part: Part, *, labels: IntArray, skipped: list[str]) -> None:
    total = data.count(part)
    where = f"the {part} part of the {data.source}"
    if 2 * len(skipped) > total:
        raise DataError(f"{len(skipped)} of {total} images in {where} cannot be read ({skipped[0]}); replace them")
    listed = set(data.labels_N[data.members[part]].tolist())
    if lost := [repr(data.classes[label]) for label in sorted(listed - set(labels.tolist()))]:
        raise DataError(f"no image of class {_some(lost)} in {where} can be read ({skipped[0]}); replace them")
