"""A model's document inside the file of a runtime, as the format allows, written and read.

Reading needs nothing beside Python: ``predict`` asks a file what it is before it loads a runtime.
"""

import errno
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mvit_nas.documents import parse_json
from mvit_nas.errors import InputError
from mvit_nas.models.document import KEY, ModelDocument

# In the zip at the end of a .tflite, as TensorFlow Lite's "associated files" and other exporters have them.
_METADATA, _LABELS = "metadata.json", "labels.txt"
_MOST_TEXT = 16 << 20
# Numbers of fields: onnx.proto's ModelProto.metadata_props; Core ML's Model.description, its metadata, its userDefined.
_ONNX_PROPERTIES = (14,)
_COREML_PROPERTIES = (2, 100, 100)
_COREML_MODEL = Path("Data/com.apple.CoreML/model.mlmodel")


def write_document(path: Path, document: ModelDocument) -> None:
    """Put ``document`` into the .onnx or .tflite file at ``path``, which is then whole: quantise before this.

    Files of other formats get theirs as they are made.
    """
    if path.suffix == ".onnx":
        import onnx

        model = onnx.load(path)
        onnx.helper.set_model_props(model, {KEY: document.to_json()})
        onnx.save(model, path)
        return
    assert path.suffix == ".tflite", f"{path.suffix} carries its document from the start"
    # Runtimes read the file from its beginning and a zip is read from its end: neither sees the other.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_METADATA, document.to_json())
        archive.writestr(_LABELS, "\n".join(document.classes) + "\n")


def read_document_of(path: Path) -> ModelDocument:
    """What the .onnx, .tflite, .pte, .pt2 or .mlpackage at ``path`` says of itself.

    Raises InputError where it cannot be read or says nothing.
    """
    if path.suffix not in _READERS:
        raise InputError(
            f"{path}: {path.suffix or 'a file without suffix'} is not read, known are {', '.join(_READERS)}"
        )
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would block
            raise OSError(errno.EINVAL, "it is no regular file")
        text = _READERS[path.suffix](path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    if text is None:
        raise InputError(f"{path} carries no document of mvit-nas: give --classes and --size")
    return ModelDocument.parse(text, where=str(path))


def _of_onnx(path: Path) -> str | None:
    return _property(path.read_bytes(), _ONNX_PROPERTIES, path)


def _of_coreml(path: Path) -> str | None:
    return _property((path / _COREML_MODEL).read_bytes(), _COREML_PROPERTIES, path)


def _of_tflite(path: Path) -> str | None:
    return _of_zip(path, _METADATA)


def _of_torch(path: Path) -> str | None:
    return _of_zip(path, f"extra/{KEY}")


def _of_zip(path: Path, member: str) -> str | None:
    """The text of the ``member``, in whatever folder, of the zip that ``path`` is or ends with."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if f"/{name}".endswith(f"/{member}")]
            if found and archive.getinfo(found[-1]).file_size > _MOST_TEXT:
                return None
            text = archive.read(found[-1]).decode("utf-8") if found else None
    # What zipfile raises on broken archives: some are plain Python errors from parsing nonsense.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, struct.error):
        return None
    return text if text is not None and _is_ours(text) else None


def _is_ours(text: str) -> bool:
    """Whether a text has our key: other exporters append a metadata.json, too."""
    try:
        plain = parse_json(text, where=_METADATA)
    except InputError:
        return False
    return isinstance(plain, dict) and KEY in plain


def _of_executorch(path: Path) -> str | None:
    """The text that the method of our key gives, as program.fbs of ExecuTorch 1.5 says where it is.

    Its runtime answers, too, but takes two seconds to import and prints.
    """
    blob = path.read_bytes()
    try:
        if blob[4:6] != b"ET":
            raise ValueError("no program")
        plans = _Table(blob, _follow(blob, 0)).tables(1)  # Program.execution_plan
        for plan in plans:
            if plan.text(0) == KEY:  # ExecutionPlan.name
                output = _number(blob, plan.vector(4)[0])  # ExecutionPlan.outputs, positions in its values
                return plan.tables(2)[output].table(1).text(0)  # EValue's String, its text
        return None
    except (ValueError, IndexError):
        raise InputError(f"{path} is no .pte file, or was cut off") from None


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a flatbuffer (https://flatbuffers.dev/internals): its fields are found by their number."""

    blob: bytes
    at: int

    def _field(self, number: int) -> int:
        known = self.at - _number(self.blob, self.at, signed=True)  # where each field is, relative to the table
        place = 4 + 2 * number
        offset = _number(self.blob, known + place, size=2) if place < _number(self.blob, known, size=2) else 0
        if not offset:
            raise ValueError(f"no field {number}")
        return _follow(self.blob, self.at + offset)

    def table(self, number: int) -> "_Table":
        return _Table(self.blob, self._field(number))

    def vector(self, number: int) -> range:
        """Where each of its elements of four bytes is."""
        at = self._field(number)
        return range(at + 4, at + 4 + 4 * _number(self.blob, at), 4)

    def tables(self, number: int) -> list["_Table"]:
        return [_Table(self.blob, _follow(self.blob, at)) for at in self.vector(number)]

    def text(self, number: int) -> str:
        at = self._field(number)
        return self.blob[at + 4 : at + 4 + _number(self.blob, at)].decode("utf-8")


def _follow(blob: bytes, at: int) -> int:
    return at + _number(blob, at)


def _number(blob: bytes, at: int, *, size: int = 4, signed: bool = False) -> int:
    if not 0 <= at <= len(blob) - size:
        raise ValueError("cut off")
    return int.from_bytes(blob[at : at + size], "little", signed=signed)


def _property(blob: bytes, fields: tuple[int, ...], path: Path) -> str | None:
    """The text of our key among the pairs at ``fields`` of a protocol buffer: each of a key (1) and a value (2).

    A reader of thirty lines, since onnx and coremltools are for making files, and a session of ONNX Runtime, which
    knows the pairs as well, takes as long to open as the network is large.
    """
    try:
        parts = [memoryview(blob)]
        for number in fields:
            parts = [value for part in parts for field, value in _fields(part) if field == number]
        pairs = [dict(_fields(part)) for part in parts]
        found = [
            bytes(pair[2]).decode("utf-8") for pair in pairs if 2 in pair and bytes(pair.get(1, b"")) == KEY.encode()
        ]
    except (IndexError, ValueError):
        raise InputError(f"{path} is no {path.suffix} file, or was cut off") from None
    return found[-1] if found else None


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The number and the bytes of each field that has a length (https://protobuf.dev/programming-guides/encoding)."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("cut off")
            yield tag >> 3, message[at : at + length]
            at += length
        elif kind == 0:
            _, at = _varint(message, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"kind {kind}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at ``at``, seven bits a byte, the least first, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


_READERS: dict[str, Callable[[Path], str | None]] = {
    ".onnx": _of_onnx,
    ".tflite": _of_tflite,
    ".pte": _of_executorch,
    ".pt2": _of_torch,
    ".mlpackage": _of_coreml,
}
