"""How long and how a candidate is trained: a frozen schedule, read from a YAML file; some are shipped."""

import functools
import math
from dataclasses import MISSING, asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from mvit_nas.documents import parse_yaml, read_text
from mvit_nas.errors import InputError, unknown
from mvit_nas.tasks.crops import Augmentation
from mvit_nas.training.draws import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """AdamW with warm-up and cosine decay on random crops and flips.

    ``images_per_epoch`` is the share of the data: the images that one epoch sees at most, other ones each time until
    all were seen. ``resolution`` is the side to train and score at, as a share of the architecture's ``image_size``
    (images of up to 64 px are never shrunk). ``learning_rate`` is the peak, reached after ``warmup`` (a share of the
    steps) from ``warmup_learning_rate``; the cosine ends at ``final_learning_rate``. ``augmentation`` is what an image
    goes through before it is seen, ``min_crop`` the smallest crop as a share of the image's area. ``ema`` is the
    weight of the newest parameters and batch norm statistics in their exponential moving average, which is then what
    is scored; 0 turns it off. ``clip_norm`` is the largest norm that all gradients together may have; 0 is no limit.
    ``class_weights``: in the loss all classes count alike, however many images each has. ``multi_scale``: each step has
    one of five sides from 5/8 to 5/4 of the own one, and a batch with as many pixels (section 3.2 of the paper).
    ``accumulate``: a step's batch goes through the network in so many parts; batch norm sees each by itself.
    """

    name: str
    epochs: int
    images_per_epoch: int
    batch_size: int
    resolution: float
    learning_rate: float
    warmup: float
    warmup_learning_rate: float = 0.0002
    final_learning_rate: float = 0.0002
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    augmentation: Augmentation = "crop+flip"
    min_crop: float
    ema: float
    clip_norm: float = 0.0
    class_weights: bool = False
    multi_scale: bool = False
    accumulate: int = 1

    def __post_init__(self) -> None:
        for field in ("epochs", "images_per_epoch", "batch_size", "accumulate"):
            self._require(field, getattr(self, field) >= 1, "be at least 1")
        for field in ("resolution", "min_crop"):
            self._require(field, 0 < getattr(self, field) <= 1, "lie above 0 and be at most 1")
        self._require("learning_rate", 0 < self.learning_rate < math.inf, "be positive")
        for field in ("warmup_learning_rate", "final_learning_rate", "weight_decay", "clip_norm"):
            self._require(field, 0 <= getattr(self, field) < math.inf, "be at least 0")
        for field in ("warmup", "label_smoothing", "ema"):
            self._require(field, 0 <= getattr(self, field) < 1, "lie in [0, 1)")
        known = get_args(Augmentation)
        self._require("augmentation", self.augmentation in known, f"be one of {', '.join(known)}")

    def _require(self, field: str, holds: bool, what: str) -> None:
        if not holds:
            raise InputError(f"{field} must {what}, got {getattr(self, field)!r}")

    def steps_per_epoch(self, images: int) -> int:
        """Optimiser steps of one epoch over a training part of ``images``, full batches only."""
        return max(1, min(images, self.images_per_epoch) // self.batch_size)

    def steps(self, images: int) -> int:
        """Optimiser steps in all."""
        return self.epochs * self.steps_per_epoch(images)

    def batches(self, images: int, side: int) -> list[Batch]:
        """The batches of one epoch over a training part of ``images`` for networks trained at ``side`` pixels.

        With several sides there are as many batches of each, and the epoch sees its images once but for a rest.
        """
        if not self.multi_scale:
            return [Batch(side=side, size=self.batch_size)] * self.steps_per_epoch(images)
        sizes = [Batch(side=one, size=max(1, round(self.batch_size * (side / one) ** 2))) for one in scales(side)]
        number = max(1, min(images, self.images_per_epoch) * len(sizes) // sum(one.size for one in sizes))
        return [sizes[place % len(sizes)] for place in range(number)]

    def rungs(self) -> tuple[int, ...]:
        """The epochs after which a training run may be judged and stopped: 1, 2, 4, ... before the last."""
        return tuple(2**i for i in range((self.epochs - 1).bit_length()))

    def side(self, image_size: int) -> int:
        """The side in pixels at which an architecture for ``image_size`` is trained and scored."""
        if image_size <= 64:
            return image_size
        return max(64, round(image_size * self.resolution / 32) * 32)

    def learning_rate_at(self, step: int, steps: int) -> float:
        """The learning rate of ``step`` (from 0) of ``steps``."""
        warmup_steps = round(self.warmup * steps)
        if step < warmup_steps:
            share = (step + 1) / warmup_steps
            return self.warmup_learning_rate + share * (self.learning_rate - self.warmup_learning_rate)
        share = (step - warmup_steps) / max(1, steps - warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        return self.final_learning_rate + cosine * (self.learning_rate - self.final_learning_rate)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


def scales(side: int) -> tuple[int, ...]:
    """The sides that multi-scale training of networks for ``side`` uses: five evenly from 5/8 to 5/4 of it, and it.

    Rounded to multiples of 32 as the paper's are (160 to 320 for 256), of 8 for small images.
    """
    unit = 32 if side >= 128 else 8
    sides = {max(unit, int(side * (5 + share * 5 / 4) / 8 / unit + 0.5) * unit) for share in range(5)}
    return tuple(sorted(sides | {side}))


# From the shortest to the longest; a file each in ``schedules``.
NAMES = ("smoke", "digits", "digits_medium", "short", "medium", "long", "paper")


def find_schedule(name: str) -> Schedule:
    """The shipped schedule called ``name``, or that of a ``.yaml`` file.

    Raises InputError, which lists the known names, or names the file and what is wrong in it.
    """
    if name in NAMES:
        return _shipped(name)
    path = Path(name)
    if path.suffix != ".yaml":
        raise InputError(f"no schedule {name!r}: known are {', '.join(NAMES)}, or give a .yaml file")
    return parse_schedule(read_text(path), name=path.stem, where=name)


def parse_schedule(text: str, *, name: str, where: str) -> Schedule:
    """The schedule that ``text`` describes: the fields but the name. ``where`` names it in errors."""
    return schedule_of(parse_yaml(text, where=where), name=name, where=where)


def schedule_of(plain: object, *, name: str, where: str) -> Schedule:
    """The schedule that the mapping ``plain`` describes: the fields but the name. ``where`` names it in errors."""
    if not isinstance(plain, dict):
        raise InputError(f"{where} must be a mapping, got {plain!r}")
    known = {field.name: field for field in fields(Schedule) if field.name != "name"}
    for key in plain:
        if key not in known:
            raise InputError(f"{where}: {unknown(key, known)}")
    for key, field in known.items():
        if key not in plain and field.default is MISSING:
            raise InputError(f"{where} lacks {key!r}")
    values = {key: _typed(value, known[key].type, f"{where}: {key}") for key, value in plain.items()}
    try:
        return Schedule(name=name, **values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


@functools.cache
def _shipped(name: str) -> Schedule:
    text = (resources.files("mvit_nas") / "schedules" / f"{name}.yaml").read_text()
    return parse_schedule(text, name=name, where=name)


def _typed(value: Any, kind: Any, where: str) -> Any:
    if kind is Augmentation:
        return value
    if kind is bool:
        if not isinstance(value, bool):
            raise InputError(f"{where} must be true or false, got {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        # YAML 1.1 takes 1e-3 for text.
        hint = ": write 1.0e-3 for 1e-3" if isinstance(value, str) else ""
        raise InputError(f"{where} must be {'a whole number' if kind is int else 'a number'}, got {value!r}{hint}")
    return kind(value)
