"""Images, folders and Parquet files for the tests of the data, and the real images where there are any."""

import io
import json
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mvit_nas.data.parts import ImageData, Part
from mvit_nas.errors import DataError

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
    labels: Sequence[object],
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
    return {where for where, _ in data.read(data.members[part])}


def message(action: Callable[[], object], error: type[Exception] = DataError) -> str:
    with pytest.raises(error) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
