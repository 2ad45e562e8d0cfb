"""The cache of decoded parts: made once, whole or not at all."""

import errno
import functools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from image_files import BROKEN, PARTS, REAL, image_folder, message, names_of, needs_real_images, shade
from PIL import Image

from mvit_nas.data import store
from mvit_nas.data.contract import InputContract
from mvit_nas.data.find import find_data
from mvit_nas.data.parts import ImageData
from mvit_nas.data.store import Images, load_part, load_scored, some_scored
from mvit_nas.errors import InputError, MvitNasError


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
    monkeypatch.setattr(store, "decode", refuse_to_decode)
    assert equal(load_part(pets, "train", side=8, cache=tmp_path / "cache"), first)


def test_a_part_as_it_is_scored_lies_beside_the_squashed_one_of_its_side(tmp_path: Path) -> None:
    root = tmp_path / "wide"
    for name, shift in (("a", 0), ("b", 90)):
        (root / name).mkdir(parents=True)
        for number in range(20):
            pixels_HWC = np.zeros((8, 24, 3), np.uint8)
            pixels_HWC[:, :, 0] = np.arange(24) + shift
            Image.fromarray(pixels_HWC).save(root / name / f"{number:02}.png")
    data, cache = find_data(root), tmp_path / "cache"
    squashed = load_part(data, "validation", side=8, cache=cache)
    scored = load_scored(data, "validation", InputContract(side=8), cache=cache)
    assert scored.pixels_NHWC[0, 3, :, 0].tolist() == list(range(8, 16))
    assert scored.pixels_NHWC[-1, 3, :, 0].tolist() == list(range(98, 106))
    assert (set(scored.aspects_N.tolist()), set(squashed.aspects_N.tolist())) == ({1.0}, {3.0})
    assert np.array_equal(scored.labels_N, squashed.labels_N)
    nearer = load_scored(data, "validation", InputContract(side=8, crop=0.5), cache=cache)
    assert nearer.pixels_NHWC[0, 3, :, 0].tolist() == [10, 10, 11, 11, 12, 12, 13, 13]
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 3
    assert equal(load_part(data, "validation", side=8, cache=cache), squashed)


def test_a_part_as_it_is_scored_is_decoded_once(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_scored(pets, "test", InputContract(side=8), cache=tmp_path / "cache")
    monkeypatch.setattr(store, "pixels", refuse_to_decode)
    assert equal(load_scored(pets, "test", InputContract(side=8), cache=tmp_path / "cache"), first)


def test_some_images_are_evenly_over_the_part_without_what_cannot_be_read(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 30, "b": 20}, prefix="train")
    image_folder(root, {"a": 1, "b": 1}, prefix="val")
    image_folder(root, {"a": 1, "b": 1}, prefix="test")
    (root / "train/b/0019.png").write_bytes(b"")
    found = some_scored(find_data(root), "train", InputContract(side=8), number=8)
    assert found.shape == (7, 8, 8, 3)
    assert found[:, 4, 4, :2].tolist() == [list(shade(number)[:2]) for number in (0, 7, 14, 21, 28, 1005, 1012)]
    assert len(some_scored(find_data(root), "validation", InputContract(side=8), number=8)) == 2


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


@pytest.mark.parametrize("name", ["pixels.npy", "aspects.npy", "labels.npy", "index.json"])
def test_a_bit_that_flipped_is_found_when_a_process_opens_the_part_first(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cache = tmp_path / "cache"
    expected = load_part(pets, "train", side=8, cache=cache)
    expected = replace(expected, pixels_NHWC=np.array(expected.pixels_NHWC))
    file = cache / f"{pets.fingerprint}-train-8" / name
    content = bytearray(file.read_bytes())
    content[-4] ^= 1
    file.write_bytes(content)
    monkeypatch.setattr(store, "_VERIFIED", set())  # as in another process
    assert equal(load_part(pets, "train", side=8, cache=cache), expected)
    assert equal(load_part(pets, "train", side=8, cache=cache), expected)


def test_a_part_is_read_through_once_in_a_process(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_part(pets, "train", side=8, cache=tmp_path / "cache")
    read: list[Path] = []
    checksum = store._checksum

    def counted(folder: Path, skipped: object) -> int:
        read.append(folder)
        return checksum(folder, skipped)

    monkeypatch.setattr(store, "_checksum", counted)
    load_part(pets, "train", side=8, cache=tmp_path / "cache")  # which this process wrote itself
    assert read == []
    monkeypatch.setattr(store, "_VERIFIED", set())  # as in another process
    for _ in range(3):
        load_part(pets, "train", side=8, cache=tmp_path / "cache")
    assert len(read) == 1


def test_a_part_of_an_earlier_version_has_no_checksum_and_is_taken_as_it_is(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_part(pets, "train", side=8, cache=tmp_path / "cache")
    (tmp_path / "cache" / f"{pets.fingerprint}-train-8" / "index.json").write_text('{"skipped": []}')
    monkeypatch.setattr(store, "decode", refuse_to_decode)
    monkeypatch.setattr(store, "_VERIFIED", set())
    assert equal(load_part(pets, "train", side=8, cache=tmp_path / "cache"), first)


def test_a_pipe_among_the_images_is_skipped_and_named(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 20, "b": 20}, prefix="train")
    os.mkfifo(root / "train/a/z\x1b.png")
    (root / "train/b/z.png").symlink_to("/dev/zero")
    data = find_data(root)
    skipped = [text for part in PARTS for text in load_part(data, part, side=8, cache=tmp_path / "cache").skipped]
    assert sorted(skipped) == [
        "train/a/z\\x1b.png: it is no regular file",
        "train/b/z.png: it is no regular file",
    ]


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
        found = message(functools.partial(load_part, pets, "train", side=8, cache=cache), InputError)
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

    monkeypatch.setattr(store, "_write_header", fill_up)
    found = message(lambda: load_part(pets, "train", side=300, cache=tmp_path / "cache"), MvitNasError)
    assert found.startswith(f"the disk of the cache folder {tmp_path}/cache is full: 8.1 MB are needed and ")
    assert "MB are free; make room or choose another folder" in found
    assert [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []


def test_too_little_room_is_seen_before_anything_is_decoded(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(store, "decode", refuse_to_decode)
    found = message(lambda: load_part(pets, "train", side=300, cache=tmp_path / "cache"), MvitNasError)
    assert "8.1 MB are needed and 1.5 MB are free" in found


def test_any_other_failure_to_write_keeps_its_traceback(
    pets: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(store, "_write_header", fail)
    assert "Input/output error" in message(lambda: load_part(pets, "train", side=8, cache=tmp_path / "c"), OSError)


def test_two_processes_at_once_decode_once_and_agree(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "pets", {"a": 300, "b": 300})
    program = (
        "import sys, zlib; from pathlib import Path; from mvit_nas.data.find import find_data; from mvit_nas.data.store import load_part\n"
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
