"""One encoded image in, its pixels out: upright 8-bit RGB whatever the colour mode, or the reason why not.

Axes: H and W pixels down and across, C colours (red, green, blue).
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

# Pillow knows some forty formats, one of which (EPS) starts another program; files come from strangers.
# What phones write as MPO opens as JPEG.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

# 300 MB of RGB in each thread. Counted after JPEG's reduced decoding, so that a phone's 108 megapixels pass.
MAX_PIXELS = 100_000_000

# What Pillow's readers raise on broken files; many are plain Python errors from parsing nonsense.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# EXIF 2.32, 4.6.4 A: how the stored image is to be turned to stand upright. From 5 on, width and height swap.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# The value that means white, where it is not 255: the first that is not below the image's maximum.
_WHITE = {"I;16": (65535,), "I;16B": (65535,), "I;16L": (65535,), "I": (65535,), "F": (1, 255, 65535)}


class UnreadableImageError(Exception):
    """An image that cannot be decoded; the message is the reason. The caller counts and names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """An image as a square, and the shape of what the square shows."""

    pixels_HWC: npt.NDArray[np.uint8]
    aspect: float  # width / height, upright


def decode(content: bytes | Path, *, side: int) -> Decoded:
    """The first frame, upright, in RGB over white, resized to ``side`` x ``side`` whatever its aspect ratio.

    Raises ``UnreadableImageError`` for what is broken, truncated, empty or larger than 100 million pixels.
    """
    with opened(content) as image:
        width, height = image.size
        # Decodes a big JPEG at 1/2, 1/4 or 1/8; twice the side leaves the last step to the better filter.
        image.draft(None, (2 * side, 2 * side))
        check_size(image, stored=(width, height))
        square = to_rgb(image).resize((side, side), Image.Resampling.LANCZOS)
        orientation = orientation_of(image)
    if orientation in TURNS:  # on the square, where it costs least: turning and squashing commute
        square = square.transpose(TURNS[orientation])
    aspect = height / width if orientation >= 5 else width / height
    return Decoded(pixels_HWC=np.asarray(square), aspect=aspect)


def shorter_side(content: bytes | Path) -> int:
    """The shorter side in pixels, from the file's header alone. Raises ``UnreadableImageError``."""
    with opened(content) as image:
        return min(image.size)


@contextmanager
def opened(content: bytes | Path) -> Iterator[Image.Image]:
    """The image as it is stored, not decoded yet. What Pillow raises within is an ``UnreadableImageError``."""
    try:
        data = content if isinstance(content, bytes) else content.read_bytes()
        if not data:
            raise UnreadableImageError("it is empty")
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            yield image
    except _PILLOW_ERRORS as error:
        raise UnreadableImageError(_reason(error)) from error


def check_size(image: Image.Image, *, stored: tuple[int, int]) -> None:
    """Raise ``UnreadableImageError`` where so many pixels would be decoded that they may not fit into memory."""
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImageError(f"{stored[0]} x {stored[1]} is over {MAX_PIXELS:,} pixels")


def to_rgb(image: Image.Image) -> Image.Image:
    """The first frame in 8-bit RGB, over white where it is transparent."""
    if image.mode in _WHITE:
        image = _to_grey(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _to_grey(image: Image.Image) -> Image.Image:
    # Pillow's own convert("L") clips: every 16-bit value above 255 would be white.
    values_HW = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0).clip(min=0)
    peak = float(values_HW.max())
    white = next((white for white in _WHITE[image.mode] if white >= peak), peak)
    return Image.fromarray(np.rint(values_HW * (255 / white)).astype(np.uint8))


def orientation_of(image: Image.Image) -> int:
    """How the image is to be turned, a key of ``TURNS``, or 1 where it stands upright."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _PILLOW_ERRORS:  # broken EXIF beside good pixels: the image counts
        return 1
    return orientation if orientation in TURNS else 1


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own message shows the address of a buffer
        return "it is not an image in a known format"
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split()) or type(error).__name__
