"""A part of the data, decoded once into a cache and mapped into memory ever after: for training, or as it is scored.

The folder of a part holds pixels.npy, aspects.npy, labels.npy and, written last, index.json. Axes: N images, H and W
pixels down and across, C colours (red, green, blue).
"""

import errno
import hashlib
import json
import os
import shutil
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from mvit_nas.data.contract import InputContract, pixels
from mvit_nas.data.decode import Decoded, UnreadableImageError, decode
from mvit_nas.data.parts import ImageData, IntArray, Part, some
from mvit_nas.errors import DataError, InputError, MvitNasError

_CHUNK = 64  # images decoded at a time: bounds the memory and the wait after Ctrl-C

# The folders that were written or read through in this process: a part is opened for every candidate.
_VERIFIED: set[Path] = set()

# What is told now and then while decoding: images done, and in all.
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """One decoded part, in the order of its source, which may be sorted by class: draw, never slice."""

    pixels_NHWC: npt.NDArray[np.uint8]  # memory-mapped, read-only, RGB, each image a square
    aspects_N: npt.NDArray[np.float32]  # width / height of what was squashed to the square, upright; 1 by a contract
    labels_N: IntArray
    skipped: tuple[str, ...]  # "path: reason" for each image that could not be decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """How the images of a part are decoded: ``name`` is part of their folder's."""

    name: str
    side: int
    decode: Callable[[bytes | Path], Decoded]


def load_part(
    data: ImageData, part: Part, *, side: int, cache: Path, progress: Told = lambda done, total: None
) -> Images:
    """The part's whole images squashed to ``side`` x ``side``: decoded on the first call, only mapped ever after.

    ``progress(done, total)`` is called now and then while decoding. A process that is killed leaves nothing
    that is taken for whole, and a second process waits for the first instead of decoding too.
    Raises ``DataError`` if over half of the part, or all of a class, is unreadable; ``InputError`` if
    ``cache`` cannot be written to; ``MvitNasError`` if the disk is full.
    """
    view = _View(name=f"{side}", side=side, decode=lambda content: decode(content, side=side))
    return _load(data, part, view, cache=cache, progress=progress)


def load_scored(
    data: ImageData, part: Part, contract: InputContract, *, cache: Path, progress: Told = lambda done, total: None
) -> Images:
    """The part's images as the ``contract`` makes them, which is how networks are scored; else as ``load_part``."""
    return _load(data, part, _scored(contract), cache=cache, progress=progress)


def some_scored(data: ImageData, part: Part, contract: InputContract, *, number: int) -> npt.NDArray[np.uint8]:
    """At most ``number`` of the part's images, [N, side, side, 3], evenly over it, as ``load_scored`` has them.

    They are decoded at each call, without those that cannot be.
    """
    members = data.members[part]
    chosen = members[np.linspace(0, len(members) - 1, min(number, len(members))).astype(int)]
    decoded = (result for _, result in _decode_all(data.read(chosen), _scored(contract)))
    return np.stack([result.pixels_HWC for result in decoded if isinstance(result, Decoded)])


def _scored(contract: InputContract) -> _View:
    def seen(content: bytes | Path) -> Decoded:
        return Decoded(pixels_HWC=pixels(content, contract), aspect=1.0)

    digest = hashlib.sha256(json.dumps(contract.to_dict(), sort_keys=True).encode()).hexdigest()[:8]
    return _View(name=f"{contract.side}-scored-{digest}", side=contract.side, decode=seen)


def _load(data: ImageData, part: Part, view: _View, *, cache: Path, progress: Told) -> Images:
    folder, side = cache / f"{data.fingerprint}-{part}-{view.name}", view.side
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
                _write(data, part, view, folder=partial, progress=progress)
                partial.rename(folder)
                _VERIFIED.add(folder)
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


def _open(folder: Path, *, side: int) -> Images | None:
    """The part that lies in ``folder``, or None if there is none or it is damaged."""
    try:
        index = json.loads((folder / "index.json").read_text("utf-8"))
        if not _is_as_written(folder, index):
            return None
        images = Images(
            pixels_NHWC=np.load(folder / "pixels.npy", mmap_mode="r"),
            aspects_N=np.load(folder / "aspects.npy"),
            labels_N=np.load(folder / "labels.npy"),
            skipped=tuple(index["skipped"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError):
        return None
    count = len(images.labels_N)
    whole = images.pixels_NHWC.shape == (count, side, side, 3) and images.aspects_N.shape == (count,)
    return images if whole else None


def _write(data: ImageData, part: Part, view: _View, *, folder: Path, progress: Told) -> None:
    members, side = data.members[part], view.side
    labels, aspects, skipped = [], [], []
    # Written, not mapped: on a full disk a write is an error, but a store to mapped memory kills the process.
    with (folder / "pixels.npy").open("wb") as file:
        _write_header(file, (len(members), side, side, 3))
        decoded = _decode_all(data.read(members), view)
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
    (folder / "index.json").write_text(json.dumps({"skipped": skipped, "checksum": _checksum(folder, skipped)}))


def _is_as_written(folder: Path, index: dict[str, object]) -> bool:
    """Whether the part in ``folder`` is what was decoded: read through at the first time in a process.

    The parts of earlier versions have no checksum, and are taken as they are.
    """
    if folder not in _VERIFIED and "checksum" in index:
        if index["checksum"] != _checksum(folder, index["skipped"]):
            return False
        _VERIFIED.add(folder)
    return True


def _checksum(folder: Path, skipped: object) -> int:
    found = zlib.crc32(json.dumps(skipped).encode())
    for name in ("pixels.npy", "aspects.npy", "labels.npy"):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                found = zlib.crc32(block, found)
    return found


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    # NumPy pads the header so that the first axis can change in place, and skipped images make it shorter.
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _decode_all(
    images: Iterator[tuple[str, bytes | Path]], view: _View
) -> Iterator[tuple[str, Decoded | UnreadableImageError]]:
    def decode_one(image: tuple[str, bytes | Path]) -> tuple[str, Decoded | UnreadableImageError]:
        where, content = image
        try:
            return where, view.decode(content)
        except UnreadableImageError as reason:
            return where, reason

    # Pillow decodes and resizes without the interpreter's lock. Its warnings about odd files are of no use:
    # what matters is whether they decode. The filter is set outside the threads, which share it.
    with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
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
        raise DataError(f"no image of class {some(lost)} in {where} can be read ({skipped[0]}); replace them")
