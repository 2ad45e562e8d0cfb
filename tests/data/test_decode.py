"""One image: every colour mode, orientation and defect."""

import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from image_files import BLUE, BROKEN, GREEN, RED, YELLOW, encoded, message, png, png_chunk
from PIL import Image, features

from mvit_nas.data.decode import SUFFIXES, UnreadableImageError, _Room, decode, shorter_side


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
        pytest.param(sixteen_bits(5000), (19, 19, 19), id="16 bits, dark but above 4095"),
        pytest.param(sixteen_bits(4095), (255, 255, 255), id="12 bits, white"),
        pytest.param(sixteen_bits(1000), (62, 62, 62), id="12 bits"),
        pytest.param(sixteen_bits(2048, "TIFF"), (128, 128, 128), id="12 bits TIFF"),
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


@pytest.mark.skipif(not features.check("avif"), reason="Pillow has no AVIF here")
def test_avif_is_read() -> None:
    assert ".avif" in SUFFIXES
    assert np.abs(np.subtract(colour(encoded(Image.new("RGB", (8, 8), RED), "AVIF", quality=100)), RED)).max() < 5


def test_decoders_that_keep_frames_of_their_own_get_half_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mvit_nas.data.decode.MAX_PIXELS", 100)
    image = Image.new("RGB", (10, 10), RED)
    assert colour(encoded(image, "PNG")) == RED
    for kind, what in (("WEBP", image), ("JPEG", image.convert("CMYK"))):
        with pytest.raises(UnreadableImageError, match=r"^10 x 10 is over 50 pixels$"):
            decode(encoded(what, kind), side=8)


def test_a_large_image_is_made_rgb_in_strips_that_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    values_HW = np.arange(35 * 20, dtype=np.uint16).reshape(35, 20) * 90
    clear = Image.fromarray(np.random.default_rng(0).integers(0, 256, (35, 20, 4), dtype=np.uint8))
    contents = [encoded(Image.fromarray(values_HW), "PNG"), encoded(clear, "PNG")]
    whole = [decode(content, side=20).pixels_HWC for content in contents]
    monkeypatch.setattr("mvit_nas.data.decode._STRIP_PIXELS", 70)
    assert [
        np.array_equal(decode(content, side=20).pixels_HWC, one) for content, one in zip(contents, whole, strict=True)
    ] == [True, True]
    assert len(np.unique(whole[0])) > 100


def test_what_is_no_file_is_unreadable_at_once(tmp_path: Path) -> None:
    pipe, link, sparse = tmp_path / "pipe.png", tmp_path / "link.png", tmp_path / "sparse.png"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    for path, reason in (
        (pipe, "it is no regular file"),
        (link, "it is no regular file"),
        (sparse, "it is larger than"),
    ):
        with pytest.raises(UnreadableImageError, match=f"^{reason}"):
            decode(path, side=8)


def test_pixels_wait_until_other_threads_leave_enough_room() -> None:
    room, order = _Room(100), []
    waiting = threading.Thread(target=lambda: take(60))

    def take(much: int) -> None:
        with room.taken(much):
            order.append(much)

    with room.taken(60), room.taken(40):
        waiting.start()
        order.append(100)
    waiting.join(timeout=60)
    assert order == [100, 60]
    with pytest.raises(ValueError, match="broken"), room.taken(100):
        raise ValueError("broken")
    take(100)
    assert order[-1] == 100


def test_the_shorter_side_needs_only_the_header() -> None:
    assert shorter_side(png(width=30, height=20)) == 20
    assert shorter_side(encoded(Image.effect_noise((64, 48), 99), "PNG")[:100]) == 48
    assert "known format" in message(lambda: shorter_side(b"hello"), UnreadableImageError)
