"""YAML and JSON from strangers: plain values within bounds, or one line that says what is wrong."""

import json
import math
import re
from pathlib import Path
from typing import Any

import yaml

from mvit_nas.errors import InputError, visible
from mvit_nas.files import read_regular

# Bytes of a file. A text of settings takes seconds to read where it has a million; JSON becomes 20 times as large.
_MOST_YAML, _MOST_JSON = 1 << 20, 16 << 20
# Of values inside one another. Python's own functions give up at a thousand.
_DEEPEST = 64
# In all, each alias counted as what it stands for.
_MOST_VALUES = 2_000_000
# Where Python's conversions still take no time, and where numbers still fit into a float of C.
_LONGEST_NUMBER = 100
_LARGEST = 2**64
# Halves of surrogate pairs.
_HALF = re.compile("[\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    """Plain values alone: a date is text, and there are neither bytes nor sets."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """As PyYAML does, whose converters trust that a value is of the type that its tag claims."""
        try:
            if isinstance(node, yaml.ScalarNode):
                if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
                    raise ValueError("too long")
                if _HALF.search(node.value):
                    raise ValueError("no text that a file can hold")
            return super().construct_object(node, deep)
        except (ValueError, LookupError, ArithmeticError):
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"{str(node.value)[:40]!r} is no {kind}", node.start_mark
            ) from None


_PREFIX = "tag:yaml.org,2002:"
_NUMBERS = (f"{_PREFIX}int", f"{_PREFIX}float")
_Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix(_PREFIX) in ("null", "bool", "int", "float", "str", "seq", "map")
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != f"{_PREFIX}timestamp"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_text(path: Path, *, most: int = _MOST_JSON, raises: type[InputError] = InputError) -> str:
    """The text in the file ``path``. Raises ``raises`` in one line for what cannot be read or is too large."""
    try:
        text = read_regular(path, most=most).decode("utf-8")
    except OSError as error:
        raise raises(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise raises(f"cannot read {path}: it is no text in UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_yaml(path: Path) -> Any:
    """The value that the YAML file ``path`` holds. Raises InputError in one line."""
    return parse_yaml(read_text(path, most=_MOST_YAML), where=str(path))


def parse_yaml(text: str, *, where: str, raises: type[InputError] = InputError) -> Any:
    """The value that ``text`` is in YAML: mappings, lists, text, numbers, booleans and null.

    Raises ``raises`` in one line that begins with ``where``.
    """
    try:
        if len(text) > _MOST_YAML:
            raise ValueError(f"it is longer than {_MOST_YAML:,} characters")
        plain = yaml.load(text, Loader=_Loader)
        _check(plain)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise raises(f"{where} is no YAML: {error.problem or error.context}{line}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise raises(f"{where} is no YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise raises(f"{where} is no YAML: {_TOO_DEEP}") from None
    return plain


def read_json(path: Path) -> Any:
    """The value that the JSON file ``path`` holds. Raises InputError in one line."""
    return parse_json(read_text(path), where=str(path))


def parse_json(text: str, *, where: str) -> Any:
    """The value that ``text`` is in JSON. Raises InputError in one line that begins with ``where``."""
    try:
        plain = json.loads(text)
        _check(plain)
        if "\\ud" in text.lower():
            # Names that are no UTF-8 as earlier versions wrote them, and what strangers write: no file can hold that.
            whole = json.dumps(plain, ensure_ascii=False)
            plain = json.loads(_HALF.sub(lambda half: "\\" + visible(half[0]), whole))
    except ValueError as error:
        raise InputError(f"{where} is no JSON: {error}") from None
    except RecursionError:
        raise InputError(f"{where} is no JSON: {_TOO_DEEP}") from None
    return plain


_TOO_DEEP = f"values are nested more than {_DEEPEST} deep"


def _check(plain: Any) -> None:
    """Raise ValueError where ``plain`` is nested too deep, too large, or has a number that is."""
    level, values = [plain], 1
    for _ in range(_DEEPEST + 1):
        if any(isinstance(one, int) and abs(one) > _LARGEST for one in level):
            raise ValueError(f"a whole number has more than {math.log10(_LARGEST):.0f} digits")
        inner = [one for one in level if isinstance(one, list | dict)]
        if not inner:
            return
        # Counted before they are gathered: aliases of aliases stand for more values than there is memory.
        values += sum(map(len, inner))
        if values > _MOST_VALUES:
            raise ValueError(f"it holds more than {_MOST_VALUES:,} values")
        level = [part for one in inner for part in (one.values() if isinstance(one, dict) else one)]
    raise ValueError(_TOO_DEEP)
