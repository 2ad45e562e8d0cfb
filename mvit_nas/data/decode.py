"""One encoded image in, its pixels out: upright 8-bit RGB whatever the colour mode, or the reason why not.

Axes: H and W pixels down and across, C colours (red, green, blue).
"""

import io
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError, features

from mvit_nas.files import read_regular

# Pillow knows some forty formats, one of which (EPS) starts another program; files come from strangers.
# What phones write as MPO opens as JPEG.
_AVIF = ("AVIF",) if features.check("avif") else ()
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", *_AVIF)

# What names an image.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", *(".avif" for _ in _AVIF))

# Of an image, and in all threads at a time: 4 bytes of a pixel for RGB and as many for what is decoded, 820 MB in all.
# Counted after JPEG's reduced decoding, so that a phone's 108 megapixels pass. Some decoders keep frames of their own.
MAX_PIXELS = 100_000_000
_HUNGRY = ("WEBP", *_AVIF)
_MAX_BYTES = 3 * MAX_PIXELS
_STRIP_PIXELS = 1 << 20

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
    RuntimeError,
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

# The value that means white, where it is not 255: the first that is not below the image's maximum. Cameras and scanners
# put 12 bits into files of 16, and no reader says so; what is that dark in 16 bits is black to the eye anyway.
_WHITES = (4095, 65535)
_WHITE = {"I;16": _WHITES, "I;16B": _WHITES, "I;16L": _WHITES, "I": _WHITES, "F": (1, 255, 65535)}


class UnreadableImageError(Exception):
    """An image that cannot be decoded; the message is the reason. The caller counts and names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """An image as a square, and the shape of what the square shows."""

    pixels_HWC: npt.NDArray[np.uint8]
    aspect: float  # width / height, upright


class _Room:
    """Room for so much at a time, which threads share: who finds too little waits."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._freed = threading.Condition()

    @contextmanager
    def taken(self, much: int) -> Iterator[None]:
        with self._freed:
            self._freed.wait_for(lambda: self._free >= much)
            self._free -= much
        try:
            yield
        finally:
            with self._freed:
                self._free += much
                self._freed.notify_all()


# Files first, then pixels: who waits for pixels has its file, and who has both waits for nothing.
_FILES, _PIXELS = _Room(_MAX_BYTES), _Room(MAX_PIXELS)


def decode(content: bytes | Path, *, side: int) -> Decoded:
    """The first frame, upright, in RGB over white, resized to ``side`` x ``side`` whatever its aspect ratio.

    Raises ``UnreadableImageError`` for what is broken, truncated, empty or larger than 100 million pixels.
    """
    with opened(content) as image:
        width, height = image.size
        # Decodes a big JPEG at 1/2, 1/4 or 1/8; twice the side leaves the last step to the better filter.
        image.draft(None, (2 * side, 2 * side))
        with room_for(image, stored=(width, height)):
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
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        with _FILES.taken(min(size, _MAX_BYTES)):
            data = content if isinstance(content, bytes) else read_regular(content, most=_MAX_BYTES)
            if not data:
                raise UnreadableImageError("it is empty")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                yield image
    except _PILLOW_ERRORS as error:
        raise UnreadableImageError(_reason(error)) from error


@contextmanager
def room_for(image: Image.Image, *, stored: tuple[int, int]) -> Iterator[None]:
    """Where the pixels of ``image`` may be decoded; waits until other threads leave enough of the memory.

    Raises ``UnreadableImageError`` where they are so many that they may not fit.
    """
    weight = 2 if image.format in _HUNGRY or image.mode == "CMYK" else 1
    taken = weight * image.width * image.height
    if taken > MAX_PIXELS:
        raise UnreadableImageError(f"{stored[0]} x {stored[1]} is over {MAX_PIXELS // weight:,} pixels")
    with _PIXELS.taken(taken):
        yield


def to_rgb(image: Image.Image) -> Image.Image:
    """The first frame in 8-bit RGB, over white where it is transparent. An image that is so already comes back."""
    if image.mode not in _WHITE and not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    white = _white(image) if image.mode in _WHITE else None
    whole = Image.new("RGB", image.size)
    for strip, top in _strips(image):  # the steps between would each take as much memory as the image
        whole.paste(_over_white(strip) if white is None else _to_grey(strip, white), (0, top))
    return whole


def _strips(image: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """``image`` in strips from the top, each with where it begins."""
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height))), top


def _over_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _white(image: Image.Image) -> float:
    """The value that means white in ``image``."""
    peak = max(float(_values(strip).max()) for strip, _ in _strips(image))
    return next((white for white in _WHITE[image.mode] if white >= peak), peak)


def _to_grey(image: Image.Image, white: float) -> Image.Image:
    # Pillow's own convert("L") clips: every 16-bit value above 255 would be white.
    return Image.fromarray(np.rint(_values(image) * (255 / white)).astype(np.uint8))


def _values(image: Image.Image) -> npt.NDArray[np.float32]:
    return np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0).clip(min=0)


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
