"""A field of a settings dataclass that is a flag of the command line: all that there is to say of the flag.

The command's signature, its help, the file that keeps a study's settings, and whether two studies are the same follow
from the fields. A further flag is one field.
"""

import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from mvit_nas.arch.rules import Plain
from mvit_nas.errors import InputError

T = TypeVar("T")
V = TypeVar("V")
_REQUIRED: Any = MISSING
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class Decides(StrEnum):
    """Whether a flag decides what a study means, and so cannot change when it is resumed."""

    NO = "no"
    ITSELF = "itself"
    WHAT_IS_FOUND = "what is found"  # the images at a path, what a name means: those decide


@dataclass(frozen=True, slots=True)
class Text(Generic[V]):
    """How a value is read from text, and kept in a file so that it is read as the same; what the help calls it."""

    parse: Callable[[str], V]
    write: Callable[[V], Plain]
    metavar: str | None = None


class Group(StrEnum):
    """Where a flag stands in the help, in this order."""

    QUESTION = "What is asked"
    PROPOSALS = "Candidates"
    TRAINING = "Training"
    TIMING = "Latency"
    WORKERS = "Several workers"
    STUDY = "Where it is kept"
    OUTPUT = "What is printed"

    def flag(
        self,
        help: str,  # noqa: A002
        default: T = _REQUIRED,
        *,
        option: str | None = None,
        metavar: str | None = None,
        text: Text[Any] | None = None,
        least: int | None = None,
        many: bool = False,
        greedy: bool = False,
        key: str | None = None,
        decides: Decides = Decides.NO,
        kept: bool = True,
    ) -> T:
        """A field that is a flag of this group.

        ``option`` is what is typed, None where that is the field's name, "" for an argument. ``text`` reads and writes
        the value; without it what is typed is the value. ``many``: it is repeated, or takes several; ``greedy``: each
        time it takes everything up to the next flag. ``key`` is where it stands in the document of a study, with dots
        for parts, "" for nowhere, None under the field's name if it decides by itself. ``kept``: the study's file holds
        it.
        """
        metavar = text.metavar if metavar is None and text is not None else metavar
        said = {"group": self, "help": help, "typed": option, "metavar": metavar, "text": text, "least": least}
        said |= {"many": many, "greedy": greedy, "place": key, "decides": decides, "kept": kept}
        return field(default=default, metadata=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag: its field's name, default and type, and what ``Group.flag`` was told of it.

    ``raw`` is the type of what is typed, of one where there may be many.
    """

    name: str
    default: object
    required: bool
    raw: type
    group: Group
    help: str
    typed: str | None
    metavar: str | None
    text: Text[Any] | None
    least: int | None
    many: bool
    greedy: bool
    place: str | None
    decides: Decides
    kept: bool

    @property
    def option(self) -> str:
        """What is typed: "--image-size"; "" for an argument."""
        return "--" + self.name.replace("_", "-") if self.typed is None else self.typed

    @property
    def key(self) -> str:
        """Its name in a file of settings: "image_size"."""
        return self.option.removeprefix("--").replace("-", "_") or self.name

    @property
    def path(self) -> str:
        """Where it stands in the document of a study: "latency.threads"; "" for nowhere."""
        if self.place is not None:
            return self.place
        return self.name if self.decides is Decides.ITSELF else ""

    @property
    def words(self) -> str:
        """What messages call it."""
        return self.option or self.key

    def value(self, typed: object) -> object:
        """The field's value of what was typed or read. Raises InputError that names the flag."""
        if self.many:
            several = typed if isinstance(typed, list | tuple) else [] if typed is None else [typed]
            return tuple(self._one(each) for each in several)
        return None if typed is None and self.default is None else self._one(typed)

    def written(self, value: object) -> Plain:
        """What a file keeps of a ``value`` of the field, of which ``value`` makes the same again."""
        return [self._text(one) for one in value] if isinstance(value, tuple) and self.many else self._text(value)

    def _one(self, typed: object) -> object:
        if typed is None or isinstance(typed, list | dict):
            raise InputError(f"{self.words} must be one value, got {typed!r}")
        if re.search("[\0\ud800-\udfff]", str(typed)):  # no file can keep it
            raise InputError(f"{self.words} must be text in UTF-8, got {typed}")
        if self.text is not None:
            return self.text.parse(str(typed))
        if self.raw is Path:
            return Path(str(typed))
        wanted = (int, float) if self.raw is float else self.raw
        if not isinstance(typed, wanted) or (isinstance(typed, bool) and self.raw is not bool):
            raise InputError(f"{self.words} must be {_WORDS[self.raw]}, got {typed!r}")
        if self.least is not None and isinstance(typed, int) and typed < self.least:
            raise InputError(f"{self.words} must be at least {self.least}, got {typed}")
        return typed

    def _text(self, value: object) -> Plain:
        if self.text is not None and value is not None:
            return self.text.write(value)
        return str(value) if isinstance(value, Path) else plain(value)


def flags_of(kind: type) -> tuple[Flag, ...]:
    """The flags of the settings dataclass ``kind``, by group, in the order of its fields."""
    hints = typing.get_type_hints(kind)
    found = [_flag(one, hints[one.name]) for one in fields(kind)]
    return tuple(sorted(found, key=lambda one: list(Group).index(one.group)))


def made(kind: type[T], values: Mapping[str, object]) -> T:
    """The settings of ``kind`` with these fields, each of them as its flag makes it."""
    return kind(**cast("dict[str, Any]", values))


def _flag(one: "Field[object]", hint: object) -> Flag:
    required = one.default is MISSING
    raw = str if one.metadata.get("text") else _typed(hint)
    return Flag(name=one.name, default=None if required else one.default, required=required, raw=raw, **one.metadata)


def _typed(hint: object) -> type:
    """``int`` of ``int | None`` and of ``tuple[int, ...]``."""
    if typing.get_origin(hint) is tuple:
        hint = typing.get_args(hint)[0]
    if isinstance(hint, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    assert isinstance(hint, type), f"{hint} needs a parser"
    return hint


def plain(value: object) -> Plain:
    """``value`` as YAML and JSON have it."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    assert value is None or isinstance(value, str | int | float | bool), f"{value!r} stands in no file"
    return value
