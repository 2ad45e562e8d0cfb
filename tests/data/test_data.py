import errno
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import mvit_nas.data.images as data_module
from mvit_nas.data.decode import UnreadableImageError, decode, shorter_side
from mvit_nas.data.images import ImageData, Images, Part, find_data, load_part
from mvit_nas.errors import DataError, InputError, MvitNasError

PARTS: tuple[Part, ...] = ("train", "validation", "test")
REAL = Path(os.environ.get("MVIT_NAS_TEST_DATA", Path(__file__).parents[3] / "shared/data"))
needs_real_images = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real images at {REAL}")

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def png(colour: tuple[int, int, int] = RED, *, width: int = 12, height: int = 8) -> bytes:
    return encoded(Image.new("RGB", (width, height), colour), "PNG")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def shade(number: int) -> tuple[int, int, int]:
    """A colour that tells which image it is."""
    return (number % 256, number // 256, 77)


def image_folder(root: Path, counts: dict[str, int], *, prefix: str = "") -> Path:
    for place, (name, count) in enumerate(counts.items()):
        folder = root / prefix / name
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number:04}.png").write_bytes(png(shade(1000 * place + number)))
    return root


def write_parquet(
    path: Path,
    labels: list[object],
    *,
    image: str = "image",
    label: str = "label",
    names: list[str] | None = None,
    images: list[bytes] | None = None,
    more: dict[str, pa.Array] | None = None,
    row_group_size: int | None = None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = images or [png(shade(number)) for number in range(len(labels))]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": content, "path": None} for content in contents]
    table = pa.table({image: pa.array(rows, type=kind), label: pa.array(labels), **(more or {})})
    if names is not None:
        features = {image: {"_type": "Image"}, label: {"_type": "ClassLabel", "names": names}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=row_group_size)


def names_of(data: ImageData, part: Part) -> set[str]:
    return {where for where, _ in data.images.read(data.members[part])}


def message(action: Callable[[], object], error: type[Exception] = DataError) -> str:
    with pytest.raises(error) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- One image


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


def bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(bytes(999)))


BROKEN = {
    "empty": (b"", "it is empty"),
    "text": (b"hello", "it is not an image in a known format"),
    "truncated PNG": (encoded(Image.effect_noise((64, 64), 99), "PNG")[:1500], "truncated"),
    "truncated JPEG": (encoded(Image.effect_noise((64, 64), 99), "JPEG")[:900], "truncated"),
    "bomb": (bomb(), "3600000000 pixels"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is not an image in a known format"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_image_says_why(kind: str) -> None:
    content, reason = BROKEN[kind]
    assert reason in message(lambda: decode(content, side=8), UnreadableImageError)


def test_an_image_with_too_many_pixels_to_hold_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mvit_nas.data.decode._MAX_PIXELS", 1000)
    found = message(lambda: decode(png(width=50, height=30), side=8), UnreadableImageError)
    assert found == "50 x 30 is over 1,000 pixels"
    decode(encoded(Image.new("RGB", (200, 200)), "JPEG"), side=8)  # 25 x 25 once reduced by the JPEG decoder


def test_the_shorter_side_needs_only_the_header() -> None:
    assert shorter_side(png(width=30, height=20)) == 20
    assert shorter_side(encoded(Image.effect_noise((64, 48), 99), "PNG")[:100]) == 48
    assert "known format" in message(lambda: shorter_side(b"hello"), UnreadableImageError)


# --- Named sets


def test_without_a_path_the_digits_are_found_and_a_mirrored_digit_is_another() -> None:
    data = find_data(None)
    assert data == find_data("digits")
    assert data.name == "digits"
    assert "scikit-learn" in data.source
    assert data.classes == tuple("0123456789")
    assert data.median_side == 8
    assert not data.flips
    assert sum(data.count(part) for part in PARTS) == 1797


def test_a_digit_is_decoded_to_its_own_pixels(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    data = find_data(None)
    images = load_part(data, "validation", side=8, cache=tmp_path)
    original = load_digits()
    position = data.members["validation"][3]
    assert images.labels_N[3] == original.target[position]
    assert np.array_equal(images.pixels_NHWC[3, ..., 1], np.rint(original.images[position] * 255 / 16))


def test_a_folder_named_like_a_set_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_folder(tmp_path / "digits", {"a": 4, "b": 4})
    monkeypatch.chdir(tmp_path)
    assert "write ./digits for it" in find_data("digits").notes[-1]
    assert find_data("./digits").classes == ("a", "b")
    assert find_data(tmp_path / "digits").classes == ("a", "b")


def test_an_unknown_name_lists_the_named_sets() -> None:
    assert "there is no folder 'digitz', nor a named set (known: digits)" in message(lambda: find_data("digitz"))


# --- Image folders


def test_a_plain_image_folder_is_found_with_sorted_classes(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"t-shirt": 20, "Zebra": 20, "ant": 20})
    data = find_data(str(root))
    assert data.name == "pets"
    assert data.source == f"image folder {root}"
    assert data.classes == ("Zebra", "ant", "t-shirt")
    assert data.median_side == 8
    assert data.flips
    assert [data.count(part) for part in PARTS] == [
        45,
        6,
        9,
    ]  # 3 of 20, then 15 % of 17 rounded down, each class
    assert data.notes == (
        "The test part (9 images) is carved out of train, stratified, the same in every run.",
        "The validation part (6 images) is carved out of train, stratified, the same in every run.",
    )


def test_the_parts_are_disjoint_covering_and_stratified(tmp_path: Path) -> None:
    data = find_data(image_folder(tmp_path / "pets", {"a": 100, "b": 40, "c": 3}))
    positions = np.concatenate([data.members[part] for part in PARTS])
    assert sorted(positions.tolist()) == list(range(143))
    counts = {part: np.bincount(data.labels_N[data.members[part]]).tolist() for part in PARTS}
    assert counts == {"test": [15, 6, 1], "validation": [12, 5, 1], "train": [73, 29, 1]}


def test_the_carved_images_are_not_the_first_of_their_class(tmp_path: Path) -> None:
    data = find_data(image_folder(tmp_path / "pets", {"a": 100, "b": 100}))
    test = data.members["test"]
    assert test[test < 100].max() > 50
    assert test[test >= 100].max() > 150


def test_a_copy_under_another_name_has_the_same_parts_and_fingerprint(tmp_path: Path) -> None:
    data = find_data(image_folder(tmp_path / "pets", {"a": 50, "b": 30}))
    shutil.copytree(tmp_path / "pets", tmp_path / "elsewhere")
    (tmp_path / "elsewhere/a/notes.txt").write_text("not an image")
    copy = find_data(tmp_path / "elsewhere")
    assert copy.fingerprint == data.fingerprint
    assert [names_of(copy, part) for part in PARTS] == [names_of(data, part) for part in PARTS]


def test_an_image_added_later_leaves_nearly_all_test_images_in_place(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 100, "b": 100})
    before = names_of(find_data(root), "test")
    (root / "a/another.png").write_bytes(png())
    assert len(before - names_of(find_data(root), "test")) <= 1


@pytest.mark.parametrize("change", ["content", "tail", "name", "part"])
def test_the_fingerprint_follows_every_change(tmp_path: Path, change: str) -> None:
    root = image_folder(tmp_path / "pets", {"a": 5, "b": 5}, prefix="train")
    long = root / "train/a/0000.png"
    long.write_bytes(png() + b"x" * 100_000)
    before = find_data(root).fingerprint
    if change == "content":
        (root / "train/b/0000.png").write_bytes(png(BLUE))
    elif change == "tail":
        long.write_bytes(png() + b"x" * 99_999 + b"y")
    elif change == "name":
        long.rename(root / "train/a/other.png")
    else:
        image_folder(root, {"a": 2, "b": 2}, prefix="test")
    assert find_data(root).fingerprint != before


def test_given_parts_are_used_as_given(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    for prefix, counts in (("train", {"a": 5, "b": 1}), ("val", {"a": 2, "b": 2}), ("Test", {"a": 3})):
        image_folder(root, counts, prefix=prefix)
    (root / "extra").mkdir()
    data = find_data(root)
    assert [data.count(part) for part in PARTS] == [6, 4, 3]
    assert names_of(data, "validation") == {f"val/{name}/000{n}.png" for name in "ab" for n in range(2)}
    assert names_of(data, "test") == {f"Test/a/000{n}.png" for n in range(3)}
    assert data.notes == (
        "The train part is used as given (6 images).",
        "The validation part is used as given (4 images).",
        "The test part is used as given (3 images).",
        "Left out, as they are no part: extra.",
    )


def test_a_missing_test_part_is_carved_beside_a_given_validation_part(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 20, "b": 20}, prefix="train")
    image_folder(root, {"a": 2, "b": 2}, prefix="validation")
    data = find_data(root)
    assert [data.count(part) for part in PARTS] == [34, 4, 6]
    assert all(name.startswith("train/") for name in names_of(data, "test"))


def test_a_test_folder_without_classes_is_left_out_and_said_so(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 20, "b": 20}, prefix="train")
    (root / "test").mkdir()
    (root / "test/unlabelled.png").write_bytes(png())
    data = find_data(root)
    assert data.count("test") == 6
    assert "The folder 'test' is left out: it has no images in class folders." in data.notes


def test_the_test_part_is_not_opened_to_measure_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def measure(content: Path) -> int:
        opened.append(content)
        return shorter_side(content)

    monkeypatch.setattr(data_module, "shorter_side", measure)
    root = image_folder(tmp_path / "pets", {"a": 20, "b": 20})
    data = find_data(root)
    assert {str(path.relative_to(root)) for path in opened} == names_of(data, "train")


def test_what_is_hidden_or_no_image_is_ignored_and_links_are_followed(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 5})
    (root / ".cache").mkdir()
    (root / "__MACOSX").mkdir()
    for name in (".DS_Store", "._0000.png", "Thumbs.db", "notes.txt", "photo.HEIC"):
        (root / "a" / name).write_bytes(b"x")
    (root / "a/folder.png").mkdir()
    image_folder(tmp_path, {"elsewhere": 4})
    (tmp_path / "elsewhere/0000.png").rename(tmp_path / "elsewhere/0000.JPeG")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    data = find_data(root)
    assert data.classes == ("a", "b")
    assert len(data.labels_N) == 9
    assert data.notes[-1] == "Files left out by extension: 1 .heic, 1 .txt."


def test_a_carved_part_is_never_larger_than_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_module, "_CARVED_MAX", 10)
    data = find_data(image_folder(tmp_path / "pets", {"a": 90, "b": 60}))
    assert np.bincount(data.labels_N[data.members["test"]]).tolist() == [6, 4]


def test_a_missing_folder_a_file_and_an_empty_folder_are_told_apart(tmp_path: Path) -> None:
    assert "there is no folder" in message(lambda: find_data(tmp_path / "nowhere"))
    (tmp_path / "file.zip").write_bytes(b"x")
    assert "file.zip is a file; give the folder" in message(lambda: find_data(tmp_path / "file.zip"))
    (tmp_path / "empty").mkdir()
    assert f"there are no images in {tmp_path}/empty" in message(lambda: find_data(tmp_path / "empty"))
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose/a.jpg").write_bytes(png())
    assert "only images outside class folders" in message(lambda: find_data(tmp_path / "loose"))


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(data_module.os, "scandir", refuse)
    assert message(lambda: find_data(tmp_path)) == f"cannot read the folder {tmp_path}: Permission denied"


def test_a_single_class_is_an_error(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"cat": 9})
    assert "holds a single class, 'cat'; give at least two" in message(lambda: find_data(root))


def test_a_class_too_small_to_be_split_is_named_with_its_count(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 9, "b": 2, "c": 1})
    found = message(lambda: find_data(root))
    assert "'b' has 2, 'c' has 1; a class needs 3, one for each of train and test and validation" in found
    given = image_folder(tmp_path / "given", {"a": 9, "b": 1}, prefix="train")
    image_folder(given, {"a": 1}, prefix="test")
    assert "'b' has 1; a class needs 2, one for each of train and validation" in message(lambda: find_data(given))


def test_a_class_folder_without_images_is_named(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 9, "b": 9, "c": 0})
    assert "no images for class 'c'" in message(lambda: find_data(root))


def test_a_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 9, "b": 9}, prefix="train")
    image_folder(root, {"a": 9, "newt": 1}, prefix="test")
    found = message(lambda: find_data(root))
    assert found.startswith("the test part of the image folder")
    assert "holds classes that train lacks: newt" in found


def test_parts_without_train_and_doubled_parts_are_errors(tmp_path: Path) -> None:
    lone = image_folder(tmp_path / "lone", {"a": 9, "b": 9}, prefix="test")
    assert "has test but no train folder" in message(lambda: find_data(lone))
    twice = image_folder(tmp_path / "twice", {"a": 9, "b": 9}, prefix="val")
    image_folder(twice, {"a": 9, "b": 9}, prefix="validation")
    assert "has two folders for the validation part" in message(lambda: find_data(twice))


def test_a_folder_in_which_no_image_is_readable_is_an_error_at_once(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"{number}.jpg").write_bytes(b"hello")
    assert "can be read (a/" in message(lambda: find_data(tmp_path))


# --- Parquet folders


def test_sorted_parquet_rows_are_split_by_class_and_keep_their_labels(tmp_path: Path) -> None:
    labels = [0] * 60 + [1] * 40 + [2] * 20
    root = tmp_path / "hub"
    write_parquet(root / "train.parquet", labels, names=["zebra", "ant", "bee"], row_group_size=7)
    data = find_data(root)
    assert data.classes == ("zebra", "ant", "bee")  # the order of the metadata
    assert data.source == f"Parquet folder {root}"
    seen: list[int] = []
    for part, counts in (("train", [44, 29, 15]), ("validation", [7, 5, 2]), ("test", [9, 6, 3])):
        images = load_part(data, part, side=8, cache=tmp_path / "cache")
        assert np.bincount(images.labels_N).tolist() == counts
        numbers = images.pixels_NHWC[:, 0, 0, 0].tolist()  # the shade tells the row
        assert [labels[number] for number in numbers] == images.labels_N.tolist()
        seen += numbers
    assert sorted(seen) == list(range(120))


@pytest.mark.parametrize("rows", [[64], [63], [0, 64, 128], [5, 199], []])
def test_any_choice_of_rows_is_read_across_batches_and_row_groups(tmp_path: Path, rows: list[int]) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 100, row_group_size=150)
    found = list(find_data(tmp_path).images.read(np.array(rows, dtype=np.int64)))
    assert [where for where, _ in found] == [f"train.parquet row {row}" for row in rows]
    assert [content for _, content in found] == [png(shade(row)) for row in rows]


def test_shards_in_a_data_folder_are_read_in_order(tmp_path: Path) -> None:
    for shard in range(2):
        write_parquet(
            tmp_path / f"hub/data/train-0000{shard}-of-00002.parquet",
            [0, 1] * 4,
            image="img",
            images=[png(shade(100 * shard + number)) for number in range(8)],
        )
    for name in ("val-00000-of-00001", "test-00000-of-00001", "trainer"):
        write_parquet(tmp_path / f"hub/data/{name}.parquet", [1, 0, 1], image="img")
    data = find_data(tmp_path / "hub")
    assert data.classes == ("0", "1")
    assert [data.count(part) for part in PARTS] == [16, 3, 3]
    assert data.notes[-1] == "Left out, as they are named for no part: data/trainer.parquet."
    images = load_part(data, "train", side=8, cache=tmp_path / "cache")
    assert images.pixels_NHWC[:, 0, 0, 0].tolist() == [*range(8), *range(100, 108)]
    assert load_part(data, "test", side=8, cache=tmp_path / "cache").labels_N.tolist() == [1, 0, 1]


def test_string_labels_are_classes(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", ["cat", "ant"] * 5)
    write_parquet(tmp_path / "test.parquet", ["cat"])
    dictionary = pa.array(["cat", "ant"] * 5).dictionary_encode()
    table = pq.read_table(tmp_path / "train.parquet")
    pq.write_table(table.set_column(1, "label", dictionary), tmp_path / "train-2.parquet")
    data = find_data(tmp_path)
    assert data.classes == ("ant", "cat")
    assert data.labels_N.tolist() == [1, 0] * 10 + [1]


def test_a_class_label_of_another_name_is_found_and_a_choice_is_said(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5, label="fine_label", names=["cat", "dog", "unused"])
    data = find_data(tmp_path)
    assert data.classes == ("cat", "dog")
    assert data.notes[-1] == "Classes that are named but have no training image are left out: unused."
    extra = {"mask": pq.read_table(tmp_path / "train.parquet").column(0)}
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5, more=extra)
    assert find_data(tmp_path).notes[-1] == "Images are taken from the column 'image'; there is also mask."


def test_files_of_no_part_are_taken_for_train(tmp_path: Path) -> None:
    write_parquet(tmp_path / "0000.parquet", [0, 1] * 10)
    data = find_data(tmp_path)
    assert len(data.labels_N) == 20
    assert "all of them are taken for train" in data.notes[-1]


def test_a_test_part_with_hidden_labels_is_left_out_and_said_so(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 10, names=["cat", "dog"])
    write_parquet(tmp_path / "test.parquet", [-1] * 4, names=["cat", "dog"])
    data = find_data(tmp_path)
    assert data.count("test") == 2
    assert data.notes[-1] == "The given test part is left out: it has no labels (all are -1)."


def test_metadata_that_is_not_of_the_hub_is_no_obstacle(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5)
    table = pq.read_table(tmp_path / "train.parquet").replace_schema_metadata({"huggingface": "{"})
    pq.write_table(table, tmp_path / "train.parquet")
    assert find_data(tmp_path).classes == ("0", "1")


def test_a_broken_image_in_a_row_is_skipped_and_its_row_named(tmp_path: Path) -> None:
    images = [png(shade(number)) for number in range(20)]
    images[3] = b""
    write_parquet(tmp_path / "train.parquet", [0, 1] * 10, images=images)
    write_parquet(tmp_path / "test.parquet", [0, 1])
    write_parquet(tmp_path / "val.parquet", [0, 1])
    found = load_part(find_data(tmp_path), "train", side=8, cache=tmp_path / "cache")
    assert found.skipped == ("train.parquet row 3: it is empty",)
    assert found.labels_N.tolist() == [0, 1, 0] + [0, 1] * 8


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_text("version https://git-lfs.github.com/spec/v1")
    found = message(lambda: find_data(tmp_path))
    assert f"{tmp_path}/train.parquet is not a Parquet file" in found
    assert "git-lfs" in found


def test_missing_columns_are_errors_that_list_the_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1], "label": [0]}), tmp_path / "train.parquet")
    found = message(lambda: find_data(tmp_path))
    assert "has no image column" in found
    assert "its columns: x (int64), label (int64)" in found
    write_parquet(tmp_path / "train.parquet", [0, 1], label="y")
    found = message(lambda: find_data(tmp_path))
    assert "has no label column" in found
    assert "y (int64)" in found
    write_parquet(tmp_path / "train.parquet", [0, 1])
    write_parquet(tmp_path / "train-2.parquet", [0, 1], label="y")
    assert "train.parquet has no column 'y' as the training files do" in message(
        lambda: (
            write_parquet(tmp_path / "train-2.parquet", [0, 1], label="y", names=["a", "b"]),
            find_data(tmp_path),
        )
    )


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        ([0, None, 1, None], None, "has 2 null labels in the column 'label'"),
        (
            [0, 1, 2, 0],
            ["cat", "dog"],
            "has the label 2 in the column 'label', but its 2 class names stand for 0 to 1",
        ),
        ([0, 1, -1, 0], ["cat", "dog"], "has the label -1"),
        ([0.5, 1.5], None, "are double; integers or strings are needed"),
        (["cat", "dog"], ["cat", "dog"], "are string; integers are needed"),
    ],
)
def test_wrong_labels_are_errors_that_name_the_file(
    tmp_path: Path, labels: list[object], names: list[str] | None, words: str
) -> None:
    write_parquet(tmp_path / "train.parquet", labels, names=names)
    found = message(lambda: find_data(tmp_path))
    assert f"{tmp_path}/train.parquet" in found
    assert words in found


def test_a_parquet_folder_without_train_or_rows_is_an_error(tmp_path: Path) -> None:
    write_parquet(tmp_path / "test.parquet", [0, 1])
    assert "has no train*.parquet, only test.parquet" in message(lambda: find_data(tmp_path))
    write_parquet(tmp_path / "train.parquet", [0, 1] * 5)
    pq.write_table(pq.read_table(tmp_path / "test.parquet").slice(0, 0), tmp_path / "test.parquet")
    assert "the test part of the Parquet folder" in message(lambda: find_data(tmp_path))


def test_a_parquet_file_damaged_in_the_middle_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", [0, 1] * 400, row_group_size=100)
    data = find_data(tmp_path)
    content = bytearray((tmp_path / "train.parquet").read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    (tmp_path / "train.parquet").write_bytes(content)
    found = message(lambda: load_part(data, "train", side=8, cache=tmp_path / "cache"))
    assert f"cannot read {tmp_path}/train.parquet" in found


# --- The cache


@pytest.fixture
def pets(tmp_path: Path) -> ImageData:
    return find_data(image_folder(tmp_path / "pets", {"a": 20, "b": 20}))


def equal(left: Images, right: Images) -> bool:
    return (
        np.array_equal(left.pixels_NHWC, right.pixels_NHWC)
        and np.array_equal(left.aspects_N, right.aspects_N)
        and np.array_equal(left.labels_N, right.labels_N)
        and left.skipped == right.skipped
    )


def refuse_to_decode(*args: object, **options: object) -> None:
    raise AssertionError("decoded again")


def test_a_part_is_decoded_into_read_only_mapped_memory(pets: ImageData, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    images = load_part(
        pets,
        "train",
        side=10,
        cache=tmp_path / "new/cache",
        progress=lambda done, total: calls.append((done, total)),
    )
    assert isinstance(images.pixels_NHWC, np.memmap)
    assert not images.pixels_NHWC.flags.writeable
    assert images.pixels_NHWC.shape == (30, 10, 10, 3)
    assert images.aspects_N.tolist() == [1.5] * 30
    assert images.aspects_N.dtype == np.float32
    assert images.labels_N.dtype == np.int64
    assert np.bincount(images.labels_N).tolist() == [15, 15]
    assert calls == [(30, 30)]
    assert images.skipped == ()


def test_a_second_load_decodes_nothing(pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_part(pets, "train", side=8, cache=tmp_path / "cache")
    monkeypatch.setattr(data_module, "decode", refuse_to_decode)
    assert equal(load_part(pets, "train", side=8, cache=tmp_path / "cache"), first)


def test_loading_train_never_opens_a_test_image(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 20, "b": 20})
    data = find_data(root)
    for name in names_of(data, "test"):
        (root / name).unlink()
    assert load_part(data, "train", side=8, cache=tmp_path / "cache").skipped == ()
    assert load_part(data, "validation", side=8, cache=tmp_path / "cache").skipped == ()


@pytest.mark.parametrize("damage", ["pixels.npy", "aspects.npy", "labels.npy", "index.json", "truncated", "other"])
def test_a_damaged_cache_is_made_again(pets: ImageData, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    first = load_part(pets, "train", side=8, cache=cache)
    expected = Images(
        pixels_NHWC=np.array(first.pixels_NHWC),
        aspects_N=first.aspects_N,
        labels_N=first.labels_N,
        skipped=first.skipped,
    )
    folder = cache / f"{pets.fingerprint}-train-8"
    if damage == "truncated":
        (folder / "pixels.npy").write_bytes((folder / "pixels.npy").read_bytes()[:-1])
    elif damage == "other":
        np.save(folder / "pixels.npy", np.zeros((30, 9, 9, 3), dtype=np.uint8))
    elif damage == "index.json":
        (folder / damage).write_text("{")
    else:
        (folder / damage).unlink()
    assert equal(load_part(pets, "train", side=8, cache=cache), expected)


def test_what_a_killed_process_left_is_not_taken_for_whole(pets: ImageData, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    partial = cache / f"{pets.fingerprint}-train-8.partial"
    partial.mkdir(parents=True)
    (partial / "pixels.npy").write_bytes(b"half")
    assert len(load_part(pets, "train", side=8, cache=cache).labels_N) == 30
    assert not partial.exists()


def test_an_interruption_leaves_no_files_behind(pets: ImageData, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_part(pets, "train", side=8, cache=tmp_path / "cache", progress=interrupt)
    assert [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []


def test_broken_images_are_skipped_counted_and_named(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 60, "b": 60}, prefix="train")
    image_folder(root, {"a": 1, "b": 1}, prefix="val")
    image_folder(root, {"a": 1, "b": 1}, prefix="test")
    for number, (content, _) in enumerate(BROKEN.values()):
        (root / f"train/a/00{10 + number}.png").write_bytes(content)
    (root / "train/b/0059.png").unlink()
    (root / "train/b/0059.png").symlink_to(tmp_path / "nowhere")
    images = load_part(find_data(root), "train", side=8, cache=tmp_path / "cache")
    named = [f"train/a/00{10 + number}.png: " for number in range(len(BROKEN))]
    assert [text.startswith(name) for text, name in zip(images.skipped[:-1], named, strict=True)] == [True] * 6
    assert images.skipped[-1] == "train/b/0059.png: No such file or directory"
    assert images.pixels_NHWC.shape == (
        113,
        8,
        8,
        3,
    )
    whole = [*range(10), *range(16, 60)]
    assert images.pixels_NHWC[:54, 0, 0, 0].tolist() == whole
    assert images.labels_N.tolist() == [0] * 54 + [1] * 59


def test_a_warning_of_the_decoder_is_no_reason_to_skip(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)  # 12 x 8 is over it, but not twice: a warning
    assert load_part(pets, "train", side=8, cache=tmp_path / "cache").skipped == ()
    assert find_data(tmp_path / "pets") == pets


def test_the_header_holds_when_skipping_shortens_the_count(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 60, "b": 40}, prefix="train")
    image_folder(root, {"a": 1, "b": 1}, prefix="val")
    image_folder(root, {"a": 1, "b": 1}, prefix="test")
    (root / "train/a/0000.png").write_bytes(b"")
    images = load_part(find_data(root), "train", side=8, cache=tmp_path / "cache")
    assert images.pixels_NHWC.shape == (99, 8, 8, 3)
    assert images.pixels_NHWC[0, 0, 0].tolist() == list(shade(1))
    assert images.pixels_NHWC[98, 0, 0].tolist() == list(shade(1039))


def test_over_half_unreadable_is_an_error_with_the_first_reason(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 3, "b": 3}, prefix="train")
    image_folder(root, {"a": 1, "b": 1}, prefix="val")
    image_folder(root, {"a": 1, "b": 1}, prefix="test")
    for name in ("a/0000", "a/0001", "b/0000", "b/0001"):
        (root / f"train/{name}.png").write_bytes(b"")
    found = message(lambda: load_part(find_data(root), "train", side=8, cache=tmp_path / "cache"))
    assert found.startswith("4 of 6 images in the train part of the image folder")
    assert "(train/a/0000.png: it is empty)" in found
    assert not list((tmp_path / "cache").glob("*-train-8"))


def test_a_class_left_without_an_image_is_named(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 9, "b": 2}, prefix="train")
    image_folder(root, {"a": 1, "b": 1}, prefix="val")
    image_folder(root, {"a": 1, "b": 1}, prefix="test")
    for number in range(2):
        (root / f"train/b/000{number}.png").write_bytes(b"hello")
    found = message(lambda: load_part(find_data(root), "train", side=8, cache=tmp_path / "cache"))
    assert found.startswith("no image of class 'b' in the train part of the image folder")


def test_a_cache_that_is_not_writable_is_an_input_error(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file")
    for cache in (tmp_path / "cache", tmp_path / "cache/below"):
        found = message(lambda cache=cache: load_part(pets, "train", side=8, cache=cache), InputError)
        assert found.startswith(f"cannot write to the cache folder {cache}: ")

    def refuse(path: Path, *args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    found = message(lambda: load_part(pets, "train", side=8, cache=tmp_path / "other"), InputError)
    assert "Permission denied; choose one that you can write to" in found


def test_a_full_disk_is_an_error_with_both_sizes_and_leaves_nothing(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(data_module, "_write_header", fill_up)
    found = message(lambda: load_part(pets, "train", side=300, cache=tmp_path / "cache"), MvitNasError)
    assert found.startswith(f"the disk of the cache folder {tmp_path}/cache is full: 8.1 MB are needed and ")
    assert "MB are free; make room or choose another folder" in found
    assert [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []


def test_too_little_room_is_seen_before_anything_is_decoded(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(data_module, "decode", refuse_to_decode)
    found = message(lambda: load_part(pets, "train", side=300, cache=tmp_path / "cache"), MvitNasError)
    assert "8.1 MB are needed and 1.5 MB are free" in found


def test_any_other_failure_to_write_keeps_its_traceback(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(data_module, "_write_header", fail)
    assert "Input/output error" in message(lambda: load_part(pets, "train", side=8, cache=tmp_path / "c"), OSError)


def test_two_processes_at_once_decode_once_and_agree(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 300, "b": 300})
    program = (
        "import sys, zlib; from pathlib import Path; from mvit_nas.data.images import find_data, load_part\n"
        "calls = []\n"
        "images = load_part(find_data(sys.argv[1]), 'train', side=64, cache=Path(sys.argv[2]),"
        " progress=lambda done, total: calls.append(done))\n"
        "print(len(images.labels_N), zlib.crc32(images.pixels_NHWC.tobytes()), bool(calls))"
    )
    command = [sys.executable, "-c", program, str(root), str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    assert answers[0][:2] == answers[1][:2]
    assert sorted(answer[2] for answer in answers) == ["False", "True"]


# --- Real images


@needs_real_images
def test_cifar10_is_found_with_its_names_and_split_evenly() -> None:
    data = find_data(REAL / "cifar10")
    assert data.classes[:2] == ("airplane", "automobile")
    assert data.median_side == 32
    assert [data.count(part) for part in PARTS] == [45_000, 5_000, 10_000]
    assert np.bincount(data.labels_N[data.members["validation"]]).tolist() == [500] * 10


@needs_real_images
def test_phone_photos_are_decoded_with_their_aspects(tmp_path: Path) -> None:
    data = find_data(REAL / "clothing")
    assert data.classes[-1] == "t-shirt"
    assert data.median_side == 160
    assert [data.count(part) for part in PARTS] == [3_068, 341, 372]
    images = load_part(data, "validation", side=32, cache=tmp_path)
    assert images.skipped == ()
    assert 0.5 < np.median(images.aspects_N) < 1
    assert images.pixels_NHWC.std() > 20


@needs_real_images
def test_a_truncated_phone_photo_is_skipped_and_named(tmp_path: Path) -> None:
    root = tmp_path / "clothing"
    shutil.copytree(REAL / "clothing/test", root, copy_function=shutil.copyfile)
    photo = min((root / "hat").iterdir())
    content = photo.read_bytes()
    data = find_data(root)
    photo.write_bytes(content[: len(content) // 2])
    skipped = [text for part in PARTS for text in load_part(data, part, side=32, cache=tmp_path / "cache").skipped]
    assert len(skipped) == 1
    assert skipped[0].startswith(f"hat/{photo.name}: image file is truncated")


def test_the_source_is_shown_as_it_was_given(tmp_path, monkeypatch):
    for index in range(4):
        for name in ("a", "b"):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 40), (index * 9, 0, 0)).save(tmp_path / "photos" / name / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    assert find_data("photos").source == "image folder photos"
    assert find_data(tmp_path / "photos").source == f"image folder {tmp_path / 'photos'}"
