"""One image: every colour mode, orientation and defect."""

import struct

import numpy as np
import pytest
from image_files import BLUE, BROKEN, GREEN, RED, YELLOW, encoded, message, png, png_chunk
from PIL import Image

from mvit_nas.data.decode import UnreadableImageError, decode, shorter_side


def colour(content: bytes) -> tuple[int, ...]:
    pixels_HWC = decode(content, side=4).pixels_HWC
    assert pixels_HWC.shape == (4, 4, 3)
    assert pixels_HWC.dtype == np.uint8
    return tuple(pixels_HWC[2, 2].tolist())


def palette(transparent: int | None) -> bytes:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([*RED, *GREEN, *BLUE])
    return encoded(image, "PNG", **({} if transparent is None else {"transparency": transparent}))


def sixteen_bits(value: int, kind: str = "PNG") -> bytes:
    return encoded(Image.fromarray(np.full((8, 8), value, dtype=np.uint16)), kind)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(png((200, 100, 50)), (200, 100, 50), id="RGB"),
        pytest.param(encoded(Image.new("L", (8, 8), 90), "PNG"), (90, 90, 90), id="L"),
        pytest.param(encoded(Image.new("1", (8, 8), 1), "PNG"), (255, 255, 255), id="1"),
        pytest.param(palette(None), GREEN, id="P"),
        pytest.param(palette(1), (255, 255, 255), id="P transparent"),
        pytest.param(encoded(Image.new("LA", (8, 8), (50, 0)), "PNG"), (255, 255, 255), id="LA clear"),
        pytest.param(encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 51)), "PNG"), (255, 204, 204), id="RGBA"),
        pytest.param(encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "TIFF"), (0, 255, 255), id="CMYK"),
        pytest.param(sixteen_bits(40_000), (156, 156, 156), id="16 bits"),
        pytest.param(sixteen_bits(300), (1, 1, 1), id="16 bits, dark but above 255"),
        pytest.param(sixteen_bits(65_535, "TIFF"), (255, 255, 255), id="16 bits TIFF"),
        pytest.param(
            encoded(Image.fromarray(np.full((8, 8), 32_768, dtype=np.int32)), "TIFF"), (128, 128, 128), id="I"
        ),
        pytest.param(
            encoded(Image.fromarray(np.full((8, 8), 0.25, dtype=np.float32)), "TIFF"),
            (64, 64, 64),
            id="F to 1",
        ),
        pytest.param(
            encoded(Image.fromarray(np.full((8, 8), 200, dtype=np.float32)), "TIFF"),
            (200, 200, 200),
            id="F to 255",
        ),
        pytest.param(encoded(Image.new("RGB", (8, 8), BLUE), "BMP"), BLUE, id="BMP"),
        pytest.param(encoded(Image.new("RGB", (8, 8), BLUE), "WEBP", lossless=True), BLUE, id="WebP"),
    ],
)
def test_every_colour_mode_becomes_the_right_rgb(content: bytes, expected: tuple[int, int, int]) -> None:
    assert colour(content) == expected


def test_numbers_below_zero_and_no_numbers_are_black() -> None:
    values = np.array([[-0.5, np.nan], [-np.inf, 1]], dtype=np.float32)
    pixels_HWC = decode(encoded(Image.fromarray(values), "TIFF"), side=2).pixels_HWC
    assert pixels_HWC[..., 0].tolist() == [[0, 0], [0, 255]]


def test_a_cmyk_jpeg_is_not_inverted() -> None:
    content = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    assert np.abs(np.subtract(colour(content), RED)).max() < 5


def test_a_16_bit_png_with_a_transparent_value_is_read() -> None:
    # Pillow cannot write one: the tRNS chunk is put in by hand, after the 33 bytes of signature and header.
    plain = sixteen_bits(40_000)
    content = plain[:33] + png_chunk(b"tRNS", struct.pack(">H", 7)) + plain[33:]
    assert colour(content) == (156, 156, 156)


def test_only_the_first_frame_of_an_animation_counts() -> None:
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    assert colour(encoded(first, "GIF", save_all=True, append_images=[second])) == RED
    assert colour(encoded(first, "WEBP", save_all=True, append_images=[second], lossless=True)) == RED


QUARTERS = (RED, GREEN, BLUE, YELLOW)  # top left, top right, bottom left, bottom right


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, (RED, GREEN, BLUE, YELLOW)),
        (2, (GREEN, RED, YELLOW, BLUE)),
        (3, (YELLOW, BLUE, GREEN, RED)),
        (4, (BLUE, YELLOW, RED, GREEN)),
        (5, (RED, BLUE, GREEN, YELLOW)),
        (6, (BLUE, RED, YELLOW, GREEN)),
        (7, (YELLOW, GREEN, BLUE, RED)),
        (8, (GREEN, YELLOW, RED, BLUE)),
        (99, (RED, GREEN, BLUE, YELLOW)),
    ],
)
def test_exif_orientation_turns_the_image_and_its_aspect(
    orientation: int, upright: tuple[tuple[int, int, int], ...]
) -> None:
    stored = Image.new("RGB", (32, 16))
    for place, quarter in enumerate(QUARTERS):
        stored.paste(quarter, (16 * (place % 2), 8 * (place // 2), 16 * (place % 2) + 16, 8 * (place // 2) + 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encoded(stored, "PNG", exif=exif), side=8)
    seen = [tuple(decoded.pixels_HWC[y, x].tolist()) for y, x in ((1, 1), (1, 6), (6, 1), (6, 6))]
    assert np.abs(np.subtract(seen, upright)).max() <= 12  # Lanczos rings a little beyond the edge
    assert decoded.aspect == (0.5 if 5 <= orientation <= 8 else 2)


def test_broken_exif_beside_good_pixels_is_no_reason_to_skip() -> None:
    assert colour(encoded(Image.new("RGB", (8, 8), RED), "PNG", exif=b"Exif\0\0nonsense")) == RED


def test_a_big_jpeg_is_squashed_whole_and_keeps_its_aspect() -> None:
    image = Image.new("RGB", (1600, 400), RED)
    image.paste(BLUE, (1200, 0, 1600, 400))
    decoded = decode(encoded(image, "JPEG", quality=95, subsampling=0), side=16)
    assert decoded.aspect == 4
    assert np.abs(decoded.pixels_HWC[:, :11].astype(int) - RED).max() < 12
    assert np.abs(decoded.pixels_HWC[:, 13:].astype(int) - BLUE).max() < 12


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    pixels_HWC = decode(encoded(Image.fromarray(stripes), "PNG"), side=8).pixels_HWC
    assert np.abs(pixels_HWC[:, 1:-1].astype(int) - 128).max() <= 2


def test_an_image_of_the_right_size_keeps_every_pixel() -> None:
    pixels_HWC = np.random.default_rng(5).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels_HWC), "PNG"), side=9).pixels_HWC, pixels_HWC)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_image_says_why(kind: str) -> None:
    content, reason = BROKEN[kind]
    assert reason in message(lambda: decode(content, side=8), UnreadableImageError)


def test_an_image_with_too_many_pixels_to_hold_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mvit_nas.data.decode.MAX_PIXELS", 1000)
    found = message(lambda: decode(png(width=50, height=30), side=8), UnreadableImageError)
    assert found == "50 x 30 is over 1,000 pixels"
    decode(encoded(Image.new("RGB", (200, 200)), "JPEG"), side=8)  # 25 x 25 once reduced by the JPEG decoder


def test_the_shorter_side_needs_only_the_header() -> None:
    assert shorter_side(png(width=30, height=20)) == 20
    assert shorter_side(encoded(Image.effect_noise((64, 48), 99), "PNG")[:100]) == 48
    assert "known format" in message(lambda: shorter_side(b"hello"), UnreadableImageError)
