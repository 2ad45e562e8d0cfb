"""A field of a settings dataclass that is a flag of the command line: all that there is to say of the flag.

The command's signature, its help, the file that keeps a study's settings, and whether two studies are the same follow
from the fields. A further flag is one field.
"""

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from mvit_nas.errors import InputError

T = TypeVar("T")
V = TypeVar("V")
# What YAML and JSON hold.
Plain = str | int | float | bool | None | Sequence["Plain"] | Mapping[str, "Plain"]
_KEY = "flag"  # of a field's metadata
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class Decides(StrEnum):
    """Whether a flag decides what a study means, and so cannot change when it is resumed."""

    NO = "no"
    ITSELF = "itself"
    WHAT_IS_FOUND = "what is found"  # the images at a path, what a name means: those decide


class Required:
    """The type of no default."""


REQUIRED = Required()


@dataclass(frozen=True, slots=True)
class Text(Generic[V]):
    """How a value is read from text, and written so that it is read as the same."""

    parse: Callable[[str], V]
    write: Callable[[V], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """What there is to say of a flag beside its field's name, type and default.

    ``option`` is what is typed, None where that is the field's name, "" for an argument. ``text`` reads and writes the
    value; without it what is typed is the value. ``many``: it is repeated, or takes several; ``greedy``: each time it
    takes everything up to the next flag. ``key`` is where it stands in the document of a study, with dots for parts,
    "" for nowhere, None under the field's name if it decides by itself. ``kept``: the study's file holds it.
    """

    help: str
    group: "Group"
    option: str | None
    metavar: str | None
    text: Text[Any] | None
    least: int | None
    many: bool
    greedy: bool
    key: str | None
    decides: Decides
    kept: bool


class Group(StrEnum):
    """Where a flag stands in the help, in this order."""

    QUESTION = "What is asked"
    PROPOSALS = "Candidates"
    TRAINING = "Training"
    TIMING = "Latency"
    STUDY = "Where it is kept"
    OUTPUT = "What is printed"

    def flag(
        self,
        help: str,  # noqa: A002
        *,
        default: T | Required = REQUIRED,
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
        """A field that is a flag of this group."""
        described = Flag(
            help=help,
            group=self,
            option=option,
            metavar=metavar,
            text=text,
            least=least,
            many=many,
            greedy=greedy,
            key=key,
            decides=decides,
            kept=kept,
        )
        made: object = field(metadata={_KEY: described})
        if not isinstance(default, Required):
            made = field(default=default, metadata={_KEY: described})
        return cast(T, made)  # what the dataclass makes of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A flag as it stands in its dataclass. ``raw`` is the type of what is typed, of one where there may be many."""

    name: str
    flag: Flag
    default: object
    required: bool
    raw: type

    @property
    def option(self) -> str:
        """What is typed: "--image-size"; "" for an argument."""
        return "--" + self.name.replace("_", "-") if self.flag.option is None else self.flag.option

    @property
    def key(self) -> str:
        """Its name in a file of settings: "image_size"."""
        return self.option.removeprefix("--").replace("-", "_") or self.name

    @property
    def path(self) -> str:
        """Where it stands in the document of a study: "latency.threads"; "" for nowhere."""
        if self.flag.key is not None:
            return self.flag.key
        return self.name if self.flag.decides is Decides.ITSELF else ""

    @property
    def words(self) -> str:
        """What messages call it."""
        return self.option or self.key

    def value(self, typed: object) -> object:
        """The field's value of what was typed or read. Raises InputError that names the flag."""
        if self.flag.many:
            several = typed if isinstance(typed, list | tuple) else [] if typed is None else [typed]
            return tuple(self._one(each) for each in several)
        return None if typed is None and self.default is None else self._one(typed)

    def text(self, settings: object) -> Plain:
        """What a file keeps of its value in ``settings``, of which ``value`` makes the same again."""
        return self.text_of(getattr(settings, self.name))

    def text_of(self, value: object) -> Plain:
        """The same of a ``value`` of the field."""
        return [self._text(one) for one in value] if isinstance(value, tuple) and self.flag.many else self._text(value)

    def _one(self, typed: object) -> object:
        if typed is None or isinstance(typed, list | dict):
            raise InputError(f"{self.words} must be one value, got {typed!r}")
        if self.flag.text is not None:
            return self.flag.text.parse(str(typed))
        if self.raw is Path:
            return Path(str(typed))
        wanted = (int, float) if self.raw is float else self.raw
        if not isinstance(typed, wanted) or (isinstance(typed, bool) and self.raw is not bool):
            raise InputError(f"{self.words} must be {_WORDS[self.raw]}, got {typed!r}")
        if self.flag.least is not None and isinstance(typed, int) and typed < self.flag.least:
            raise InputError(f"{self.words} must be at least {self.flag.least}, got {typed}")
        return typed

    def _text(self, value: object) -> Plain:
        if self.flag.text is not None and value is not None:
            return self.flag.text.write(value)
        return str(value) if isinstance(value, Path) else plain(value)


def flags_of(kind: type) -> tuple[Given, ...]:
    """The flags of the settings dataclass ``kind``, by group, in the order of its fields."""
    hints = typing.get_type_hints(kind)
    found = [_given(one, hints[one.name]) for one in fields(kind)]
    return tuple(sorted(found, key=lambda one: list(Group).index(one.flag.group)))


def made(kind: type[T], values: Mapping[str, object]) -> T:
    """The settings of ``kind`` with these fields, each of them as its flag makes it."""
    return kind(**cast("dict[str, Any]", values))


def _given(one: "Field[object]", hint: object) -> Given:
    described: Flag = one.metadata[_KEY]
    return Given(
        name=one.name,
        flag=described,
        default=None if one.default is MISSING else one.default,
        required=one.default is MISSING,
        raw=str if described.text is not None else _typed(hint),
    )


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
