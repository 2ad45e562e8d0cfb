"""The three parts of a data set: what a source lists, and how a part that is not given is carved out of train."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from mvit_nas.errors import DataError, visible

Part = Literal["train", "validation", "test"]
IntArray = npt.NDArray[np.int64]
# Of the images of a part: indices of class names, or the names themselves.
Labels = npt.NDArray[np.int64 | np.str_]
# What to call each image in a message, and its bytes or file, for ascending positions.
Read = Callable[[IntArray], Iterator[tuple[str, bytes | Path]]]

# Which images a part holds and how they are decoded: a change of either takes a new number, so new caches.
VERSION = "1"

PARTS: tuple[Part, ...] = ("train", "validation", "test")
PART_NAMES: dict[str, Part] = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
FORMS = "CLASS/*.jpg, train/CLASS/*.jpg or train*.parquet"

_CARVED_PERCENT = 15
_CARVED_MAX = 5_000  # gives accuracy to half a percentage point; more would only take images from training


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageData:
    """What ``--data`` stands for: a listing in three parts. Nothing is decoded yet."""

    name: str
    source: str  # in words, for people
    fingerprint: str  # of the images and of who is in which part; the same for a copy elsewhere
    classes: tuple[str, ...]
    median_side: int  # pixels, median of the shorter sides of a sample of training images
    flips: bool  # whether a mirrored image keeps its class
    schedule: str  # the shipped one that candidates are trained by, where no other is asked for
    notes: tuple[str, ...]  # sentences: what was given, carved, left out and assumed
    read: Read = field(repr=False, compare=False)
    labels_N: IntArray = field(repr=False, compare=False)  # of every image of every part
    members: dict[Part, IntArray] = field(repr=False, compare=False)  # ascending positions in ``labels_N``

    def count(self, part: Part) -> int:
        """How many images the part lists; what cannot be decoded is still among them."""
        return len(self.members[part])

    def count_by_class(self, part: Part) -> tuple[int, ...]:
        """The same of each class."""
        return tuple(np.bincount(self.labels_N[self.members[part]], minlength=len(self.classes)).tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The labelled images that a source holds, part after part, before anything is carved."""

    source: str
    read: Read
    fingerprint: str
    names: tuple[str, ...]  # of each image, the same on every machine: decides who is carved
    classes: tuple[str, ...]
    labels_N: IntArray
    given: dict[Part, IntArray]
    notes: tuple[str, ...]
    flips: bool = True  # these two as in ImageData
    schedule: str = "short"


def split(listing: Listing) -> tuple[dict[Part, IntArray], list[str]]:
    """The positions of each part, what is missing carved out of train, and sentences that say so. Raises DataError."""
    members = dict(listing.given)
    missing: list[Part] = [part for part in ("test", "validation") if part not in members]
    counts = np.bincount(listing.labels_N[members["train"]], minlength=len(listing.classes))
    needed = 1 + len(missing)
    if few := [f"{name!r} has {n}" for name, n in zip(listing.classes, counts, strict=True) if n < needed]:
        raise DataError(
            f"too few training images in the {listing.source}: {some(few)}; a class needs {needed}, "
            f"one for each of {' and '.join(['train', *missing])}: add images or remove the class"
        )
    given = [part for part in PARTS if part in members and not (part == "train" and missing)]
    notes = [f"The {part} part is used as given ({len(members[part]):,} images)." for part in given]
    for part in missing:
        members[part] = _carve(listing, members["train"])
        members["train"] = np.setdiff1d(members["train"], members[part])
        notes.append(
            f"The {part} part ({len(members[part]):,} images) is carved out of train, "
            "stratified, the same in every run."
        )
    return members, notes


def _carve(listing: Listing, train: IntArray) -> IntArray:
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


def label(
    values: dict[Part, Labels], *, class_names: tuple[str, ...] | None, source: str
) -> tuple[tuple[str, ...], IntArray, dict[Part, IntArray]]:
    """The classes that train holds, sorted, each image's index among them, and the positions of each part."""

    def name(value: int | str) -> str:
        # They stand in files and on pages: what is no text in UTF-8 is written out.
        return visible(class_names[value] if class_names and isinstance(value, int) else str(value))

    known = np.unique(values["train"])
    classes = tuple(map(name, known.tolist()))
    if len(classes) == 1:
        raise DataError(f"the {source} holds a single class, {classes[0]!r}; give at least two classes")
    for part, of_part in values.items():
        if len(unknown := np.setdiff1d(of_part, known)):
            raise DataError(
                f"the {part} part of the {source} holds classes that train lacks: "
                f"{some(map(name, unknown.tolist()))}; add images of them to train"
            )
    labels_N = np.concatenate([np.searchsorted(known, of_part) for of_part in values.values()])
    ends = np.cumsum([len(of_part) for of_part in values.values()])
    given = {part: np.arange(end - len(values[part]), end) for part, end in zip(values, ends, strict=True)}
    return classes, labels_N, given


def some(items: Iterable[str]) -> str:
    """The first five of ``items`` in words, and how many more there are."""
    shown = list(items)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
