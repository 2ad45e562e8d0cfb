"""``confirmation.json`` and the ledger of looks at the test part, written and read: what does not fit is refused."""

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from mvit_nas.documents import parse_json, read_json, read_text
from mvit_nas.errors import InputError, unknown
from mvit_nas.files import write_text
from mvit_nas.study.confirmation import FORMAT, Confirmation, Look

T = TypeVar("T")
FILE = "confirmation.json"
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def write_confirmation(confirmation: Confirmation, folder: Path) -> None:
    """Write confirmation.json into ``folder``, whole or not at all."""
    document = {"format": FORMAT, **asdict(confirmation)}
    write_text(folder / FILE, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_confirmation(folder: Path) -> Confirmation | None:
    """What was confirmed of the study whose report is in ``folder``; None where nothing was.

    Raises InputError in one line for a file that cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        document = read_json(path)
    except InputError as error:
        raise InputError(f"{error}; {_REMEDY}") from None
    number = document.pop("format", None) if isinstance(document, dict) else None
    if not isinstance(number, int) or number > FORMAT:
        raise InputError(f"{path}: is of the format {number}, this version reads {FORMAT}; {_REMEDY}")
    return read_as(Confirmation, document, str(path))


_REMEDY = "remove it, or confirm again"


def append_look(path: Path, look: Look) -> None:
    """Add a line to the ledger of looks at the test part, of which none is ever taken away."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(look)) + "\n")


def read_looks(path: Path) -> tuple[Look, ...]:
    """The ledger, oldest first; empty where there is none yet. Raises InputError for a line that cannot be read."""
    if not path.exists():
        return ()
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        where = f"{path}: line {number}"
        try:
            document = parse_json(line, where=where)
        except InputError as error:
            raise InputError(f"{error}; mend it, since it counts looks at the test part") from None
        found.append(read_as(Look, document, where))
    return tuple(found)


def read_as(kind: type[T], document: object, where: str) -> T:
    """The dataclass ``kind`` from a ``document`` that has its fields. Raises InputError that names the place."""
    if not isinstance(document, dict):
        raise InputError(f"{where} must be an object, got {_short(document)}")
    hints = typing.get_type_hints(kind)
    own = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    for key in document:
        if key not in own:
            raise InputError(f"{where}: {unknown(key, own)}")
    for name, one in own.items():
        if name not in document and one.default is MISSING and one.default_factory is MISSING:
            raise InputError(f"{where}: {name!r} is missing")
    return kind(**{name: _value(hints[name], document[name], f"{where}: {name}") for name in own if name in document})


def _value(hint: Any, value: object, where: str) -> object:
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return None if value is None else _value(arguments[0], value, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return read_as(hint, value, where)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where} must be a list, got {_short(value)}")
        return tuple(_value(arguments[0], one, f"{where}[{position}]") for position, one in enumerate(value))
    if typing.get_origin(hint) is Mapping:
        if not isinstance(value, dict):
            raise InputError(f"{where} must be an object, got {_short(value)}")
        return value
    wanted = (int, float) if hint is float else hint
    if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{where} must be {_WORDS[hint]}, got {_short(value)}")
    return float(value) if hint is float and isinstance(value, int) else value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
