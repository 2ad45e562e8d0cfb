"""Image folders: ``CLASS/*.jpg``, alone or in a folder for each part."""

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mvit_nas.data.decode import SUFFIXES
from mvit_nas.data.parts import FORMS, PART_NAMES, PARTS, VERSION, IntArray, Listing, Part, label, some
from mvit_nas.errors import DataError, visible
from mvit_nas.files import open_regular


def list_folder(root: Path) -> Listing:
    """The images in the class folders of ``root``, or of its folders for the parts. Raises DataError."""
    source = f"image folder {root}"
    folders, files = scan(root)
    part_folders = [name for name in folders if name.lower() in PART_NAMES]
    ignored: Counter[str] = Counter()
    notes = []
    found: dict[Part, dict[str, list[str]]] = {}
    if not part_folders:
        found["train"] = _images_by_class(root, "", ignored)
    for name in part_folders:
        part = PART_NAMES[name.lower()]
        if part in found:
            raise DataError(f"{root} has two folders for the {part} part, {name!r} among them; keep one")
        found[part] = _images_by_class(root, f"{name}/", ignored)
        if part != "train" and not any(found[part].values()):
            del found[part]
            notes.append(f"The folder {name!r} is left out: it has no images in class folders.")
    if "train" not in found:
        raise DataError(f"{root} has {some(part_folders)} but no train folder; add train/CLASS/*.jpg")
    if part_folders and (others := [name for name in folders if name not in part_folders]):
        notes.append(f"Left out, as they are no part: {some(others)}.")
    if ignored:
        notes.append(f"Files left out by extension: {some(f'{n} {name}' for name, n in sorted(ignored.items()))}.")

    if not any(found["train"].values()):
        loose = any(name.lower().endswith(SUFFIXES) for name in files)
        where = "only images outside class folders" if loose else "no images"
        raise DataError(f"there are {where} in {root}; it should hold {FORMS}")
    if empty := [repr(name) for name, paths in found["train"].items() if not paths]:
        raise DataError(f"no images for class {some(empty)} in the {source}; add images or remove the folder")

    in_order = {part: found[part] for part in PARTS if part in found}
    values = {
        part: np.repeat(list(by_class), [len(paths) for paths in by_class.values()])
        for part, by_class in in_order.items()
    }
    classes, labels_N, given = label(values, class_names=None, source=source)
    paths = tuple(path for by_class in in_order.values() for paths in by_class.values() for path in paths)
    return Listing(
        source=source,
        read=functools.partial(_read, root, paths),
        fingerprint=fingerprint_of(root, paths),
        names=paths,
        classes=classes,
        labels_N=labels_N,
        given=given,
        notes=tuple(notes),
    )


def _read(root: Path, paths: Sequence[str], positions: IntArray) -> Iterator[tuple[str, bytes | Path]]:
    for position in positions:
        yield visible(paths[position]), root / paths[position]


def _images_by_class(root: Path, prefix: str, ignored: Counter[str]) -> dict[str, list[str]]:
    found = {}
    for name in scan(root / prefix)[0]:
        files = scan(root / prefix / name)[1]
        found[name] = [f"{prefix}{name}/{file}" for file in files if file.lower().endswith(SUFFIXES)]
        ignored.update(Path(file).suffix.lower() or file for file in files if not file.lower().endswith(SUFFIXES))
    return found


def scan(folder: Path) -> tuple[list[str], list[str]]:
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


def fingerprint_of(root: Path, paths: Iterable[str]) -> str:
    """Of the names, sizes and both ends of every file: quick on big data, the same for a copy elsewhere."""
    digest = hashlib.sha256(VERSION.encode())
    end_bytes = 16 * 1024
    for path in sorted(paths):
        digest.update(os.fsencode(path))
        try:
            with open_regular(root / path) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                digest.update(b"\0%d\0" % size + file.read(end_bytes))
                file.seek(max(end_bytes, size - end_bytes))
                digest.update(file.read())
        except OSError:  # such as a link to nowhere: decoding will count and name it
            digest.update(b"\0unreadable\0")
    return digest.hexdigest()[:16]
