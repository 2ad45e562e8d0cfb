"""``experiment.yaml``: the settings that a study was begun with, what they came to, and whether others are the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import yaml

from mvit_nas.arch.rules import Plain
from mvit_nas.budget import Budget
from mvit_nas.documents import parse_yaml, read_yaml
from mvit_nas.errors import InputError, unknown
from mvit_nas.settings.commands import AblateSettings, SearchSettings
from mvit_nas.settings.flag import Decides, flags_of, made, plain

# Files of the first format have no number, and hold what the settings came to alone.
FORMAT = 2
Study = SearchSettings | AblateSettings
Document = dict[str, Plain]
_COMMANDS: dict[type, str] = {SearchSettings: "search", AblateSettings: "ablate"}
_FOUND: dict[str, type] = {"data": dict, "space": str, "schedule": dict}
_RESERVED = ("format", "command", "found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a study's settings came to where it began: with them it decides what the study means.

    ``data`` is the name and the fingerprint of the images, ``space`` the text of the space's file, ``schedule`` and
    ``more`` everything else by its key in the study's document, spelt out.
    """

    data: Mapping[str, Plain]
    space_name: str | None
    space: str
    schedule: Mapping[str, Plain]
    more: Mapping[str, Plain] = field(default_factory=dict)


def described(settings: Study, found: Found) -> Document:
    """The study as its report tells of it: every setting by its key, and what was found."""
    document: Document = {"data": dict(found.data), "space": found.space, "schedule": dict(found.schedule)}
    parts: dict[str, dict[str, Plain]] = {}
    for given in flags_of(type(settings)):
        key, _, part = given.path.partition(".")
        if part:
            parts.setdefault(key, {})[part] = plain(getattr(settings, given.name))
        elif key:
            document[key] = plain(getattr(settings, given.name))
    return {**document, **parts, **found.more}


def study_text(settings: Study, found: Found) -> str:
    """The text of ``experiment.yaml``: what ``--config`` reads, and what ``check_same`` compares."""
    kept: Document = {"format": FORMAT, "command": _COMMANDS[type(settings)]}
    for given in flags_of(type(settings)):
        text = given.written(getattr(settings, given.name))
        if given.kept and text not in (None, [], ""):
            kept[given.key] = text
    kept["found"] = {
        "data": dict(found.data),
        "space_name": found.space_name,
        "space": found.space,
        "schedule": dict(found.schedule),
        **found.more,
    }
    return yaml.dump(kept, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_config(path: Path, kind: type[Study]) -> dict[str, object]:
    """Fields of ``kind`` from a file of settings: one that a study kept, or one that a person wrote.

    Raises InputError in one line that names the file, and for an unknown key the nearest known one.
    """
    document = _read(path)
    if "format" not in document and all(isinstance(document.get(key), dict) for key in ("data", "schedule")):
        try:
            document = _upgraded(document, kind)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(f"{path} is no experiment file of an early version ({error})") from None
    return _fields(document, path, kind)


def parse_config(text: str, where: Path, kind: type[Study]) -> dict[str, object]:
    """The same from the ``text`` of a file that is, or was, ``where``."""
    return _fields(_checked(parse_yaml(text, where=str(where)), where), where, kind)


def found_in(path: Path) -> Found | None:
    """What the settings of the study in ``path`` came to; None where there is no such file yet."""
    return _found(_read(path), path) if path.exists() else None


def check_same(settings: Study, found: Found, path: Path, *, begun_with: Mapping[str, Plain] | None = None) -> None:
    """Raise InputError that names what differs when ``path`` holds a study of other settings.

    ``begun_with`` is its schedule with what files did not say yet; without it, as the file has it.
    """
    document = _read(path)
    kind = type(settings)
    if "found" in document:
        stored = described(made(kind, _fields(document, path, kind)), _found(document, path))
    else:
        # What an old file does not say had no flag yet, and was as it is without one.
        needed = {one.name: getattr(settings, one.name) for one in flags_of(kind) if one.required}
        stored = {**described(made(kind, needed), replace(found, more={})), **document}
    if begun_with is not None:
        stored["schedule"] = dict(begun_with)
    now = described(settings, found)
    may_change = {one.path for one in flags_of(kind) if one.decides is Decides.NO}
    differ = [key for key in now if key not in may_change and _same(stored.get(key)) != _same(now[key])]
    if differ:
        words = ", ".join(f"{key} ({_short(stored.get(key))} then, {_short(now[key])} now)" for key in differ)
        raise InputError(f"the study {settings.name!r} has other settings: {words}; use another --name")


def _same(value: Plain) -> Plain:
    """``value`` as it comes out of a file, where 1e-05 and a tuple look different."""
    return cast(Plain, parse_yaml(yaml.safe_dump(value), where="a setting"))


def _read(path: Path) -> Document:
    return _checked(read_yaml(path), path)


def _checked(document: Any, path: Path) -> Document:
    if not isinstance(document, dict):
        raise InputError(f"{path} is no experiment file; use another --name")
    number = document.get("format", FORMAT)
    if not isinstance(number, int) or number > FORMAT:
        raise InputError(f"{path} is of the format {number}, which a later version wrote; this one reads {FORMAT}")
    return document


def _fields(document: Document, path: Path, kind: type[Study]) -> dict[str, object]:
    command = document.get("command", _COMMANDS[kind])
    if command != _COMMANDS[kind]:
        raise InputError(f"{path} holds settings of mvit-nas {command}, not of mvit-nas {_COMMANDS[kind]}")
    known = {one.key: one for one in flags_of(kind)}
    found: dict[str, object] = {}
    for key, typed in document.items():
        name = str(key).replace("-", "_")
        if name in _RESERVED:
            continue
        if name not in known:
            raise InputError(f"{path}: {unknown(key, known)}")
        try:
            found[known[name].name] = known[name].value(typed)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    return found


def _found(document: Document, path: Path) -> Found:
    told = document.get("found", document)
    if not isinstance(told, dict):
        raise InputError(f"{path}: found must be a mapping")
    found: Document = dict(told)
    for key, kind in _FOUND.items():
        if not isinstance(found.get(key, kind()), kind):
            raise InputError(f"{path}: found.{key} must be {'text' if kind is str else 'a mapping'}")
    return Found(
        data=cast(Document, found.pop("data", {})),
        space_name=cast("str | None", found.pop("space_name", None)),
        space=str(found.pop("space", "")),
        schedule=cast(Document, found.pop("schedule", {})),
        more=found if "found" in document else {},
    )


def _upgraded(document: Document, kind: type[Study]) -> Document:
    """The flags that made a study of the first format, whose space and schedule stand in them as text."""
    schedule = {key: value for key, value in cast(Document, document["schedule"]).items() if key != "name"}
    flags: Document = {
        "data": cast(Document, document["data"])["name"],
        "space": document["space"],
        "schedule": yaml.safe_dump(schedule, sort_keys=False),
        "no_resize": not document.get("resize", True),
        "image_size": document.get("image_size"),
    }
    for given in flags_of(kind):
        key, _, part = given.path.partition(".")
        value = document.get(key)
        value = value.get(part) if part and isinstance(value, Mapping) else value
        if given.path and value is not None:
            several = isinstance(value, list)
            typed = [_typed(one) for one in cast("list[Plain]", value)] if several else _typed(value)
            flags[given.key] = given.written(tuple(typed) if isinstance(typed, list) else typed)
    return {key: value for key, value in flags.items() if key in {one.key for one in flags_of(kind)}}


def _typed(value: Plain) -> object:
    """A value of a list in a document as a field has it."""
    if isinstance(value, Mapping):
        return Budget(**cast("dict[str, Any]", value))
    return tuple(value) if isinstance(value, list) else value


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as it is."""


_Dumper.add_representer(
    str, lambda to, text: to.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)
)


def _short(value: Plain) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()
    return text if len(text) <= 60 else f"{text[:57]}..."
