"""What ``--data`` stands for: a named set, an image folder or a folder of Parquet files.

Everything is listed and split, and nothing is decoded: a search that never asks for the part "test" never reads it.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvit_nas.data.decode import UnreadableImageError, shorter_side
from mvit_nas.data.digits import list_digits
from mvit_nas.data.folders import list_folder
from mvit_nas.data.parquet import list_parquet, parquet_files
from mvit_nas.data.parts import FORMS, ImageData, IntArray, Listing, split
from mvit_nas.errors import DataError

NAMED_SETS: dict[str, Callable[[], Listing]] = {"digits": list_digits}


def find_data(path: str | Path | None) -> ImageData:
    """What lies at ``path``: a named set, an image folder, or a folder of Parquet files; None is the digits.

    A validation or test part that is not given is carved out of train, stratified, always the same way:
    15 % of it, at most 5,000 images, at least one of each class. Raises ``DataError``.
    """
    if path is None:
        return _image_data(list_digits(), name="digits")
    if isinstance(path, str) and path in NAMED_SETS:
        data = _image_data(NAMED_SETS[path](), name=path)
        if Path(path).is_dir():
            note = f"There is also a folder {path!r} here, which was not read; write ./{path} for it."
            data = replace(data, notes=(*data.notes, note))
        return data
    root = Path(path).expanduser().resolve()
    if not root.exists():
        known = ", ".join(sorted(NAMED_SETS))
        raise DataError(f"there is no folder {str(path)!r}, nor a named set (known: {known}); give one with {FORMS}")
    if not root.is_dir():
        raise DataError(f"{root} is a file; give the folder that holds the data ({FORMS})")
    files = parquet_files(root)
    listing = list_parquet(root, files) if files else list_folder(root)
    # Reports are sent to others: they show the path as it was given, not where it leads on this machine.
    listing = replace(listing, source=listing.source.replace(str(root), str(path)))
    return _image_data(listing, name=root.name or "data")


def _image_data(listing: Listing, *, name: str) -> ImageData:
    members, notes = split(listing)
    return ImageData(
        name=name,
        source=listing.source,
        fingerprint=listing.fingerprint,
        classes=listing.classes,
        median_side=_median_side(listing, train_N=members["train"]),
        flips=listing.flips,
        schedule=listing.schedule,
        notes=(*notes, *listing.notes),
        read=listing.read,
        labels_N=listing.labels_N,
        members=members,
    )


def _median_side(listing: Listing, *, train_N: IntArray) -> int:
    # Sixteen runs of sixteen neighbours: spread over the classes, yet from few row groups of a Parquet file.
    starts = np.linspace(0, max(0, len(train_N) - 16), 16).astype(int)
    sample = np.unique((starts[:, None] + np.arange(16)).clip(max=len(train_N) - 1))
    sides, reasons = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's about odd files; what matters is whether they decode
        for where, content in listing.read(train_N[sample]):
            try:
                sides.append(shorter_side(content))
            except UnreadableImageError as reason:
                reasons.append(f"{where}: {reason}")
    if not sides:
        raise DataError(f"none of {len(sample)} images tried in the {listing.source} can be read ({reasons[0]})")
    return int(np.median(sides))
