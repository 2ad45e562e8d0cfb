"""``mvit-nas predict``: what a model says of images. For an ONNX file no torch is loaded."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from mvit_nas.data.contract import InputContract, pixels
from mvit_nas.data.decode import SUFFIXES, UnreadableImageError
from mvit_nas.documents import read_text
from mvit_nas.errors import InputError
from mvit_nas.maths.share import Accuracy
from mvit_nas.models.predictor import Pixels, Predictor, Probabilities, open_predictor
from mvit_nas.reporter import Reporter
from mvit_nas.settings.shipping import PredictSettings

# So many images are decoded, then named.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The likeliest classes of an image with their probabilities; ``label`` is the class that its folder names.

    An image that cannot be read has none, and the ``reason``.
    """

    image: str
    label: str | None = None
    top: tuple[tuple[str, float], ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the ``model`` says of each image, in the order in which they were named."""

    model: str
    predictions: tuple[Prediction, ...]

    @property
    def unreadable(self) -> bool:
        """Whether there are images that could not be read."""
        return any(one.reason for one in self.predictions)

    @property
    def counted(self) -> Accuracy | None:
        """How often it is right, where a folder says what its images show."""
        labelled = [(one.label, one.top[0][0]) for one in self.predictions if one.label is not None and one.top]
        if not labelled:
            return None
        images = Counter(label for label, _ in labelled)
        right = Counter(label for label, said in labelled if said == label)
        return Accuracy(correct_K=tuple(right[name] for name in images), images_K=tuple(images.values()))


def predict(settings: PredictSettings, *, reporter: Reporter) -> Outcome:
    """What the model says of the images. Raises InputError for what is no model, and where there is no image.

    An image that cannot be read is said at once, and the others are named.
    """
    model = open_predictor(settings.model, classes=_classes(settings.classes), side=settings.size)
    images = iter(find_images(settings.images))
    predictions: list[Prediction] = []
    while several := list(islice(images, _AT_ONCE)):
        predictions += _predicted(model, several, settings.top, reporter)
    return Outcome(model=str(settings.model), predictions=tuple(predictions))


def find_images(named: Sequence[str]) -> list[Path]:
    """The images that ``named`` are: files, folders with all that is in them, patterns. Raises InputError."""
    return list(dict.fromkeys(path for one in named for path in _images(one)))


def _images(named: str) -> Iterator[Path]:
    path = Path(named)
    # By these functions, since pathlib's raise where a name is too long, and take no pattern that begins with a slash.
    exists = os.path.exists(named)  # noqa: PTH110
    found = [path] if exists else [Path(one) for one in sorted(glob.glob(named, recursive=True))]  # noqa: PTH207
    if not found:
        raise InputError(f"there is no image {named}")
    for one in found:
        if not one.is_dir():
            yield one
            continue
        within = sorted(each for each in one.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
        if not within:
            raise InputError(f"there are no images in {one}; they end in {', '.join(SUFFIXES)}")
        yield from within


def _classes(text: str | None) -> tuple[str, ...]:
    """The names that a file has one a line, or that stand in ``text`` with commas. Raises InputError."""
    if text is None:
        return ()
    is_file = os.path.isfile(text)  # noqa: PTH113 - pathlib's raises where the text is long
    names = read_text(Path(text)).splitlines() if is_file else text.split(",")
    return tuple(name.strip() for name in names if name.strip())


def _predicted(model: Predictor, paths: Sequence[Path], top: int, reporter: Reporter) -> Iterator[Prediction]:
    read = [_read(path, model.contract) for path in paths]
    good = [made for made in read if not isinstance(made, str)]
    rows = iter(model.probabilities(np.stack(good)) if good else ())
    for path, made in zip(paths, read, strict=True):
        # A name that is no text is shown as well as it can be.
        image = str(path).encode("utf-8", "replace").decode()
        folder = path.absolute().parent.name
        label = folder if folder in model.classes else None
        if isinstance(made, str):
            reporter.say(f"mvit-nas: cannot read {image}: {made}")
            yield Prediction(image=image, label=label, reason=made)
        else:
            yield Prediction(image=image, label=label, top=_likeliest(next(rows), model.classes, top))


def _likeliest(row_K: Probabilities, classes: Sequence[str], top: int) -> tuple[tuple[str, float], ...]:
    best = np.argsort(-row_K, kind="stable")[:top]
    return tuple((classes[k], float(row_K[k])) for k in best)


def _read(path: Path, contract: InputContract) -> Pixels | str:
    """What the network is given of an image, or why it cannot be read."""
    try:
        return pixels(path, contract)
    except UnreadableImageError as error:
        return str(error)
