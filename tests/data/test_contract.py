"""What a network is given of an image: the same as transformers' processor makes, to the last bit."""

import functools
import hashlib
import io
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import BROKEN, REAL, encoded, message, needs_real_images, png
from PIL import Image
from sklearn.datasets import load_sample_images

from mvit_nas.data.contract import InputContract, pixels
from mvit_nas.data.decode import UnreadableImageError
from mvit_nas.errors import InputError

SQUARE = InputContract(side=4)
# Made by transformers 5.24's MobileViTImageProcessorPil, by side and crop: the SHA-256 of what it gives for the left 500
# columns of scikit-learn's two photos, and its values at row 3, column 50 and at row 40, column 9.
GOLDEN = {
    (64, 1.0): (("17ac2eb5ca1fe196", [218, 237, 254], [77, 58, 48]), ("0ca987886ed80270", [4, 55, 51], [0, 59, 68])),
    (56, 0.875): (("e4e29a280e0ec8d7", [223, 239, 254], [4, 3, 3]), ("d2f3b32258dae4b4", [18, 45, 13], [6, 36, 34])),
}
# The same of photos of ``shared/data`` at 64 px.
REAL_GOLDEN = {
    "dress/06a00c0f-5f9a-410d-a7da-3881a9df3a71.jpg": "fb82ba536757d254",
    "longsleeve/beea9d8c-3723-45df-8e85-1bdad1adb324.jpg": "5102798cfd20e7e1",
    "pants/4aabd82c-82e1-4181-a84d-d0c6e550d26d.jpg": "4985e2afab6dc2ac",
    "shoes/562fcdc1-cda7-40cd-bb7b-9b2c908d0931.jpg": "46371fb545b080ee",
    "shorts/9ebafad8-4684-4283-8c17-5a9a0114a707.jpg": "d9a40e6adf2b7410",
}
ODD = [(90, 40), (40, 91), (7, 300), (17, 5), (64, 64), (1, 9)]  # widths and heights


def digest(pixels_HWC: np.ndarray) -> str:
    return hashlib.sha256(pixels_HWC.tobytes()).hexdigest()[:16]


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)


def as_png(pixels_HWC: np.ndarray) -> bytes:
    return encoded(Image.fromarray(pixels_HWC), "PNG")


def processor(contract: InputContract) -> Any:
    transformers = pytest.importorskip(
        "transformers", reason="half a gigabyte; the recorded pixels of five photos are checked without"
    )
    return transformers.MobileViTImageProcessorPil(**contract.transformers_config())


def inputs(content: bytes | Path, contract: InputContract) -> np.ndarray:
    """[3, H, W] as a network sees it."""
    return (pixels(content, contract).astype(np.float32) / np.float32(255)).transpose(2, 0, 1)


@pytest.mark.parametrize(("side", "crop"), GOLDEN)
def test_the_pixels_are_those_that_were_recorded_from_the_processor(side: int, crop: float) -> None:
    for photo, (whole, above, below) in zip(load_sample_images().images, GOLDEN[side, crop], strict=True):
        found = pixels(as_png(photo[:, :500]), InputContract(side=side, crop=crop))
        assert found.shape == (side, side, 3)
        assert found.dtype == np.uint8
        assert (found[3, 50].tolist(), found[40, 9].tolist()) == (above, below)
        assert digest(found) == whole


@needs_real_images
@pytest.mark.parametrize("name", REAL_GOLDEN)
def test_real_photos_become_what_was_recorded_from_the_processor(name: str) -> None:
    assert digest(pixels(REAL / "clothing/test" / name, InputContract(side=64))) == REAL_GOLDEN[name]


@needs_real_images
@pytest.mark.parametrize(("side", "crop"), [(64, 1.0), (63, 0.875), (224, 0.889)])
def test_real_photos_are_what_the_processor_makes_of_them_to_the_last_bit(side: int, crop: float) -> None:
    contract = InputContract(side=side, crop=crop)
    theirs = processor(contract)
    photos = sorted((REAL / "clothing/test").rglob("*.jpg"))[::6]
    assert len(photos) == 62
    for photo in photos:
        with Image.open(photo) as image:
            (expected,) = theirs(image, return_tensors="np")["pixel_values"]
        assert np.array_equal(inputs(photo, contract), expected), photo.name


@pytest.mark.parametrize(("width", "height"), ODD)
def test_shapes_of_all_kinds_are_what_the_processor_makes_of_them(width: int, height: int) -> None:
    contract = InputContract(side=33, crop=0.9)
    image = noise(width, height)
    (expected,) = processor(contract)(Image.fromarray(image), return_tensors="np")["pixel_values"]
    assert np.array_equal(inputs(as_png(image), contract), expected)


def test_a_grey_image_has_three_equal_colours_as_the_processor_makes_them() -> None:
    contract, grey = InputContract(side=16), Image.fromarray(noise(40, 30)[..., 1])
    (expected,) = processor(contract)(grey, return_tensors="np")["pixel_values"]
    found = inputs(encoded(grey, "PNG"), contract)
    assert np.array_equal(found, expected)
    assert np.array_equal(found[0], found[2])


def test_all_that_the_processor_could_be_told_is_written() -> None:
    config = InputContract(side=56, crop=0.875).transformers_config()
    assert json.loads(json.dumps(config)) == config
    assert (config["size"], config["crop_size"]) == ({"shortest_edge": 64}, {"height": 56, "width": 56})
    read = processor(InputContract(side=56, crop=0.875)).to_dict()
    assert {key: read[key] for key in config} == config
    assert not config["do_normalize"]  # the two that are left are then not used
    assert read.keys() - config.keys() == {"image_mean", "image_std"}


@pytest.mark.parametrize(("width", "height", "left", "top"), [(9, 4, 2, 0), (4, 11, 0, 3), (4, 4, 0, 0)])
def test_of_wide_and_tall_images_the_middle_is_seen(width: int, height: int, left: int, top: int) -> None:
    image = noise(width, height)
    assert np.array_equal(pixels(as_png(image), SQUARE), image[top : top + 4, left : left + 4])


def test_a_crop_leaves_out_the_rim() -> None:
    image = noise(12, 8)
    assert np.array_equal(pixels(as_png(image), InputContract(side=4, crop=0.5)), image[2:6, 4:8])


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda stored: stored),
        (2, lambda stored: stored[:, ::-1]),
        (3, lambda stored: stored[::-1, ::-1]),
        (4, lambda stored: stored[::-1]),
        (5, lambda stored: stored.transpose(1, 0, 2)),
        (6, lambda stored: np.rot90(stored, -1)),
        (7, lambda stored: stored[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda stored: np.rot90(stored)),
    ],
)
def test_an_image_is_turned_upright_before_it_is_resized_and_cut(orientation: int, upright: Any) -> None:
    stored = noise(9, 4)  # the odd column more is on one side of the middle, so that the order shows
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = encoded(Image.fromarray(stored), "PNG", exif=exif)
    for contract in (SQUARE, InputContract(side=3)):
        expected = pixels(as_png(np.ascontiguousarray(upright(stored))), contract)
        assert np.array_equal(pixels(turned, contract), expected)


def test_a_transparent_image_lies_over_white() -> None:
    assert pixels(encoded(Image.new("RGBA", (8, 9), (255, 0, 0, 51)), "PNG"), SQUARE)[2, 3].tolist() == [255, 204, 204]


def test_sixteen_bits_become_eight() -> None:
    assert pixels(as_png(np.full((8, 9), 40_000, dtype=np.uint16)), SQUARE)[2, 3].tolist() == [156, 156, 156]


def test_a_small_image_is_enlarged() -> None:
    found = pixels(as_png(np.array([[[0, 9, 200], [100, 9, 0]]], np.uint8)), InputContract(side=8))
    assert np.array_equal(found, np.tile(found[:1], (8, 1, 1)))
    assert (np.diff(found[0, :, 0].astype(int)) >= 0).all()
    assert (found[..., 1] == 9).all()


def test_a_line_of_pixels_shows_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    line = as_png(np.arange(0, 202, 2, dtype=np.uint8)[:, None, None].repeat(3, 2))
    found = pixels(line, SQUARE)
    assert found[:, 0, 0].tolist() == [99, 100, 100, 101]
    # So long a line that all of it, enlarged, would not fit into memory: only the middle is enlarged.
    monkeypatch.setattr("mvit_nas.data.contract.MAX_PIXELS", 1000)
    resize, sizes = Image.Image.resize, []

    def noted(self: Image.Image, size: tuple[int, int], *more: Any, **options: Any) -> Image.Image:
        sizes.append(size)
        return resize(self, size, *more, **options)

    monkeypatch.setattr(Image.Image, "resize", noted)
    assert np.abs(pixels(line, SQUARE).astype(int) - found).max() <= 1
    assert sizes == [(4, 4)]


def test_a_big_jpeg_is_decoded_whole() -> None:
    content = encoded(Image.fromarray(noise(400, 300)), "JPEG", quality=90)
    with Image.open(io.BytesIO(content)) as image:
        expected = image.resize((21, 16), Image.Resampling.BILINEAR).crop((2, 0, 18, 16))
    assert np.array_equal(pixels(content, InputContract(side=16)), np.asarray(expected))


def test_only_what_is_too_large_for_memory_is_reduced_by_the_decoder_or_unreadable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("decode", "contract"):
        monkeypatch.setattr(f"mvit_nas.data.{module}.MAX_PIXELS", 1500)
    assert pixels(encoded(Image.new("RGB", (60, 50), (90, 90, 90)), "JPEG"), SQUARE)[0, 0].tolist() == [90, 90, 90]
    for content in (png(width=60, height=50), encoded(Image.new("RGB", (60, 120)), "JPEG")):
        assert "is over 1,500 pixels" in message(functools.partial(pixels, content, SQUARE), UnreadableImageError)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_image_says_why(kind: str) -> None:
    content, reason = BROKEN[kind]
    assert reason in message(lambda: pixels(content, SQUARE), UnreadableImageError)


def test_a_contract_comes_back_from_its_file() -> None:
    contract = InputContract(side=56, crop=0.875)
    document = json.loads(json.dumps(contract.to_dict()))
    assert InputContract.from_dict(document, where="config.json") == contract
    assert set(document) == {field.name for field in fields(InputContract)}
    assert (document["side"], document["crop"], document["scale"]) == (56, 0.875, 1 / 255)


def test_a_contract_says_what_it_is_in_words() -> None:
    words = "shortest edge to 64 px by Pillow's bilinear filter, centre crop 56, RGB, 0 to 1"
    assert str(InputContract(side=56, crop=0.875)) == words
    assert InputContract(side=224, crop=0.88).edge == 255  # of 254.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fliter": "bilinear"}, "f: unknown 'fliter', did you mean 'filter'?"),
        ({"side": 0}, "f: side must be a whole number of pixels, at least 1, got 0"),
        ({"side": 64.0}, "f: side must be a whole number of pixels, at least 1, got 64.0"),
        ({"side": True}, "f: side must be a whole number of pixels, at least 1, got True"),
        ({"crop": 1.5}, "f: crop must be a number above 0 and at most 1, got 1.5"),
        ({"crop": 0}, "f: crop must be a number above 0 and at most 1, got 0"),
        ({"crop": "all"}, "f: crop must be a number above 0 and at most 1, got 'all'"),
        ({"filter": "bicubic"}, "f: filter must be 'bilinear', got 'bicubic'"),
        ({"colours": "BGR"}, "f: colours must be 'RGB', got 'BGR'"),
        ({"orientation": None}, "f: orientation must be 'exif', got None"),
        ({"scale": 1.0}, "f: scale must be 0.00392156862745098, got 1.0"),
        ({"layout": "CHW"}, "f: layout must be 'NCHW' or 'NHWC', got 'CHW'"),
        ({"resize": "squash"}, "f: resize must be 'shortest_edge', got 'squash'"),
    ],
)
def test_a_contract_that_cannot_be_kept_is_refused_in_one_line(change: dict[str, object], said: str) -> None:
    document = {**InputContract(side=64).to_dict(), **change}
    assert message(lambda: InputContract.from_dict(document, where="f"), InputError) == said


def test_a_contract_with_a_field_less_or_of_another_kind_is_refused() -> None:
    document = InputContract(side=64).to_dict()
    del document["crop"]
    assert message(lambda: InputContract.from_dict(document, where="f"), InputError) == "f lacks 'crop'"
    assert message(lambda: InputContract.from_dict([64], where="f"), InputError) == "f must be a mapping, got [64]"
