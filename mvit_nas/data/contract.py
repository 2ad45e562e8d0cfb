"""How an image becomes what a network is given: one contract for scoring, calibration, parity and prediction.

Axes: H and W pixels down and across, C colours (red, green, blue).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from mvit_nas.data.decode import MAX_PIXELS, TURNS, opened, orientation_of, room_for, to_rgb
from mvit_nas.errors import InputError, unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class InputContract:
    """What is done to an image before a network of ``side`` pixels sees it.

    It is turned upright as its EXIF says, its shortest edge is resized to ``edge`` by Pillow's bilinear filter, the
    middle square of ``side`` is cut out, and its values in red, green, blue are multiplied by ``scale``, which makes
    them 0 to 1. ``crop`` is the share of the shortest edge that the square shows. ``layout`` is the order of the axes:
    networks take NCHW, files of LiteRT NHWC. The other fields have one value; they are here so that a file says all of
    it.
    """

    side: int
    crop: float = 1.0
    orientation: Literal["exif"] = "exif"
    resize: Literal["shortest_edge"] = "shortest_edge"
    filter: Literal["bilinear"] = "bilinear"
    colours: Literal["RGB"] = "RGB"
    scale: float = 1 / 255
    layout: Literal["NCHW", "NHWC"] = "NCHW"

    def __post_init__(self) -> None:
        whole = isinstance(self.side, int) and not isinstance(self.side, bool)
        if not whole or self.side < 1:
            raise InputError(f"side must be a whole number of pixels, at least 1, got {self.side!r}")
        number = isinstance(self.crop, int | float) and not isinstance(self.crop, bool)
        if not number or not 0 < self.crop <= 1:
            raise InputError(f"crop must be a number above 0 and at most 1, got {self.crop!r}")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "layout" and value not in ("NCHW", "NHWC"):
                raise InputError(f"layout must be 'NCHW' or 'NHWC', got {value!r}")
            if field.name not in ("side", "crop", "layout") and value != field.default:
                raise InputError(f"{field.name} must be {field.default!r}, got {value!r}")

    @property
    def edge(self) -> int:
        """Pixels of the shortest edge before the square is cut out."""
        return round(self.side / self.crop)

    def __str__(self) -> str:
        """In words: "shortest edge to 64 px by Pillow's bilinear filter, centre crop 64, RGB, 0 to 1"."""
        return f"shortest edge to {self.edge} px by Pillow's bilinear filter, centre crop {self.side}, RGB, 0 to 1"

    def to_dict(self) -> dict[str, int | float | str]:
        """The fields as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: object, *, where: str) -> "InputContract":
        """The contract that the mapping ``plain`` holds, every field of it. ``where`` names it in errors."""
        if not isinstance(plain, Mapping):
            raise InputError(f"{where} must be a mapping, got {plain!r}")
        known = [field.name for field in fields(cls)]
        for key in plain:
            if key not in known:
                raise InputError(f"{where}: {unknown(key, known)}")
        for key in known:
            if key not in plain:
                raise InputError(f"{where} lacks {key!r}")
        try:
            return cls(**plain)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    def transformers_config(self) -> dict[str, Any]:
        """What ``preprocessor_config.json`` holds for transformers.

        All of it is written, as the defaults there are another size, another filter and BGR, and changed over versions.
        """
        return {
            "image_processor_type": "MobileViTImageProcessor",
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"shortest_edge": self.edge},
            "resample": int(Image.Resampling.BILINEAR),
            "do_center_crop": True,
            "crop_size": {"height": self.side, "width": self.side},
            "do_rescale": True,
            "rescale_factor": self.scale,
            "do_normalize": False,
            "do_flip_channel_order": False,
            "do_reduce_labels": False,
        }


def pixels(content: bytes | Path, contract: InputContract) -> npt.NDArray[np.uint8]:
    """What a network is given of an image, [side, side, 3], before it is scaled.

    It equals what transformers' Pillow processor makes of an upright opaque image to the last bit. That processor
    neither turns an image (``load_image`` there does) nor lays it over white. Raises ``UnreadableImageError`` as
    ``decode`` does.
    """
    with opened(content) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:  # a phone's 108 megapixels, the one case where JPEG's reduced decoding is used
            image.draft(None, (width // 2, height // 2))
        with room_for(image, stored=(width, height)):
            upright = to_rgb(image)
            orientation = orientation_of(image)
            if orientation in TURNS:
                if upright is not image:
                    image.close()  # its pixels make room for the turned ones
                upright = upright.transpose(TURNS[orientation])
            return np.asarray(_middle(upright, contract))


def _middle(image: Image.Image, contract: InputContract) -> Image.Image:
    """The middle square of ``image``, resized."""
    side, edge, shorter = contract.side, contract.edge, min(image.size)
    width, height = (int(edge * length / shorter) for length in image.size)
    if width * height > MAX_PIXELS:  # of a line one pixel wide: only what the square shows is resized
        reach, x, y = shorter * side / edge, image.width / 2, image.height / 2
        box = (x - reach / 2, y - reach / 2, x + reach / 2, y + reach / 2)
        return image.resize((side, side), Image.Resampling.BILINEAR, box=box)
    left, top = (width - side) // 2, (height - side) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return resized.crop((left, top, left + side, top + side))
