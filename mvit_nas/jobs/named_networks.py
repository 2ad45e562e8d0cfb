"""What a person names: a preset, a trial of a study, its front, an architecture file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mvit_nas.arch.config import ArchConfig, from_dict
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import SearchSpace, parse_space
from mvit_nas.errors import ArchError, InputError, unknown
from mvit_nas.results.report import read_environment
from mvit_nas.results.search.findings import front_rows, knee_row, label
from mvit_nas.results.table import missing, read_table

# The classes of ImageNet-1K, where nothing else is said.
_CLASSES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A network by the name that it was chosen by, with the space and the data of the study that it is from."""

    name: str
    arch: ArchConfig
    classes: int = _CLASSES
    space: SearchSpace | None = None
    data: Mapping[str, Any] | None = None


def find_choice(text: str, out: Path, *, where: str) -> Choice:
    """The one network that ``text`` names; InputError that begins with ``where`` otherwise."""
    found = find_choices(text, out, where=where)
    if len(found) != 1:
        raise InputError(f"{where}: {text} names {len(found)} networks; name one, as in {text.rpartition(':')[0]}:0")
    return found[0]


def find_choices(text: str, out: Path, *, where: str) -> list[Choice]:
    """The networks that ``text`` names: one, or all of a front. InputError that begins with ``where`` otherwise."""
    if text in PRESETS:
        return [Choice(name=text, arch=PRESETS[text])]
    study, colon, trial = text.rpartition(":")
    if colon and (out / "reports" / study / "results.csv").is_file():
        return _of_study(out / "reports" / study, study, trial, where)
    path = Path(text)
    if path.is_file():
        try:
            values = yaml.safe_load(path.read_text())
            if not isinstance(values, dict):
                raise ArchError("must hold one mapping")
            return [Choice(name=path.stem, arch=from_dict(values))]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ArchError) as error:
            raise InputError(f"{where} {text}: {' '.join(str(error).split())}") from None
    if colon:
        known = sorted(path.parent.name for path in (out / "reports").glob("*/results.csv"))
        raise InputError(
            f"{where} {text}: no study {study!r} in {out / 'reports'}: known are {', '.join(known) or 'none'}"
        )
    raise InputError(
        f"{where}: {unknown(text, PRESETS)}; a trial of a study is written NAME:37, NAME:knee or NAME:front, "
        "and a file must exist"
    )


def _of_study(folder: Path, study: str, trial: str, where: str) -> list[Choice]:
    table = read_table(folder / "results.csv")
    environment = read_environment(folder / "environment.json")
    rows: list[Mapping[Any, Any]] = list(table.to_dict("records"))
    if trial in ("knee", "front") and "ablation" in environment:
        raise InputError(f"{where} {study}:{trial}: {study} is an ablation; name a trial, as in {study}:0")
    if trial == "knee":
        knee = knee_row(table, environment)
        if knee is None:
            raise InputError(f"{where} {study}:knee: the front of {study} has no knee; name a trial, as in {study}:0")
        rows = [knee]
    elif trial == "front":
        rows = list(front_rows(table, environment["experiment"]["objectives"]).to_dict("records"))
    else:
        rows = [row for row in rows if trial in (str(row["trial"]), label(row))][:1]
    if not rows:
        raise InputError(
            f"{where} {study}:{trial}: {study} has no such trial; it has the trials 0 to {table['trial'].max()}"
        )
    return [_of_row(row, environment, folder, f"{study}:{trial}", where) for row in rows]


def _of_row(row: Mapping[Any, Any], environment: Mapping[str, Any], folder: Path, text: str, where: str) -> Choice:
    if missing(row["arch"]) or not row["arch"]:
        raise InputError(f"{where} {text}: that trial is no network ({row['reason']})")
    space, data = environment["space"], environment["data"]
    try:
        return Choice(
            name=label(row),
            arch=from_dict(json.loads(row["arch"])),
            classes=len(data["classes"]),
            space=parse_space(space["text"], name=space["name"], where=f"the space of {text}"),
            data=data,
        )
    except (ValueError, KeyError, TypeError, ArchError) as error:
        raise InputError(f"{where} {text}: {folder} holds no network that can be read ({error})") from None
