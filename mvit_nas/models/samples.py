"""Photos with the inputs and the probabilities that must come of them: a test of whoever feeds a model elsewhere."""

import functools
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mvit_nas.data.contract import InputContract, pixels
from mvit_nas.data.decode import UnreadableImageError
from mvit_nas.data.parts import ImageData, Part
from mvit_nas.documents import read_json
from mvit_nas.errors import InputError
from mvit_nas.files import write_text, write_whole
from mvit_nas.models.document import ModelDocument

_PHOTOS = 3
_LIST = "samples.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A ``photo`` as its file is, what the contract makes of it, and the model's probability of each class."""

    photo: bytes
    pixels_HWC: npt.NDArray[np.uint8]
    probabilities_K: npt.NDArray[np.float64]

    @property
    def input_CHW(self) -> npt.NDArray[np.float32]:
        """What the network is given: [3, side, side] in [0, 1]."""
        return np.ascontiguousarray(self.pixels_HWC.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)


def some_photos(
    data: ImageData, part: Part, contract: InputContract, *, number: int = _PHOTOS
) -> list[tuple[bytes, npt.NDArray[np.uint8]]]:
    """Some photos of a part, evenly over it, encoded and as the contract makes them, but those that do not decode."""
    members = data.members[part]
    chosen = np.linspace(0, len(members) - 1, min(number, len(members))).astype(int)
    found = []
    for _, content in data.read(members[np.unique(chosen)]):
        encoded = content.read_bytes() if isinstance(content, Path) else content
        try:
            found.append((encoded, pixels(encoded, contract)))
        except UnreadableImageError:
            continue
    return found


def write_samples(folder: Path, samples: Sequence[Sample], document: ModelDocument) -> None:
    """Write ``samples`` into ``folder``: each photo, its input as ``.npy``, and a list with what must come of it."""
    listed = []
    for number, sample in enumerate(samples, start=1):
        photo, tensor = folder / f"{number}.{_suffix(sample.photo)}", folder / f"{number}.npy"
        write_whole(photo, functools.partial(_write, content=sample.photo))
        write_whole(tensor, functools.partial(_save, array=sample.input_CHW))
        probabilities = dict(zip(document.classes, sample.probabilities_K.tolist(), strict=True))
        listed.append({"photo": photo.name, "input": tensor.name, "probabilities": probabilities})
    if listed:
        about = f"input: float32 [3, side, side], {document.contract}; probabilities: within 0.001"
        plain = {"about": about, "samples": listed}
        write_text(folder / _LIST, json.dumps(plain, indent=2, ensure_ascii=False) + "\n")


def read_samples(folder: Path, document: ModelDocument) -> list[Sample]:
    """The samples of the model in ``folder``; none where it has none. Raises InputError for what does not fit."""
    path = folder / "check" / _LIST
    if not path.is_file():
        return []
    try:
        listed = read_json(path)["samples"]
        return [
            Sample(
                photo=(path.parent / Path(one["photo"]).name).read_bytes(),
                pixels_HWC=pixels((path.parent / Path(one["photo"]).name).read_bytes(), document.contract),
                probabilities_K=np.array([float(one["probabilities"][name]) for name in document.classes]),
            )
            for one in listed
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UnreadableImageError) as error:
        raise InputError(f"cannot read the samples of {path}: {' '.join(str(error).split())}") from None


def _suffix(photo: bytes) -> str:
    with Image.open(io.BytesIO(photo)) as image:
        return (image.format or "png").lower().replace("jpeg", "jpg")


def _write(path: Path, *, content: bytes) -> None:
    path.write_bytes(content)


def _save(path: Path, *, array: npt.NDArray[np.float32]) -> None:
    with path.open("wb") as file:
        np.save(file, array)
