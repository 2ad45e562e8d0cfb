"""Records as one table with fixed columns, in memory and on disk (CSV and Parquet)."""

import contextlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from mvit_nas.errors import InputError
from mvit_nas.files import read_regular, write_whole
from mvit_nas.metrics import METRICS, Form
from mvit_nas.study.record import Record, State
from mvit_nas.study.table import COLUMNS, FURTHER, PARAM, Cell, Row, from_row, further_runtimes, to_row

# What the tables of every version have; columns that came later are filled with nothing.
_ALWAYS = (
    "trial", "arch_id", "name", "state", "accuracy", "accuracy_low", "accuracy_high", "params", "macs", "latency_ms",
    "latency_low_ms", "latency_high_ms", "latency_runs", "latency_threads", "seconds", "cached", "seed", "reason",
    "arch",
)  # fmt: skip
_FURTHER = re.compile(rf"(?:{'|'.join(FURTHER)})\.(?P<runtime>\w+)")
_FRACTIONS = {name for one in METRICS.values() if one.form is Form.SHARE for name in (one.name, one.low, one.high)}
_READ: dict[str, Callable[[str], Cell]] = {
    "string": str,
    "boolean": lambda text: {"true": True, "false": False}[text.lower()],
    "Int64": int,
    "Float64": float,
}
# Of a file: a search of 10,000 trials has 20 MB and, counting every comma, 2 million cells.
_MOST_BYTES, _MOST_CELLS = 1 << 28, 8_000_000
# A cell and what ends it. The csv module cannot tell "12" (text) from 12 (number), nor "" from nothing.
_CELL = re.compile(r'(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<bare>[^",\r\n]*))(?P<end>,|\r\n|\n|\r|\Z)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its name, its pandas type, and its cells, None for what is missing."""

    name: str
    kind: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Records, and the columns that they are kept in: all of COLUMNS, FURTHER's by runtime, then ``param.*``."""

    records: tuple[Record, ...]
    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def frame(self) -> pd.DataFrame:
        """The columns as pandas has them, one row for each record."""
        arrays = {one.name: pd.array(list(one.cells), dtype=one.kind) for one in self.columns}  # type: ignore[call-overload]
        return pd.DataFrame(arrays)

    @property
    def factors(self) -> tuple[str, ...]:
        """The factors that it has columns of, by name."""
        return tuple(one.name.removeprefix(PARAM) for one in self.columns if one.name.startswith(PARAM))

    @property
    def further_runtimes(self) -> tuple[str, ...]:
        """The further runtimes that it has columns of, whether or not any candidate could be measured."""
        return _runtimes(one.name for one in self.columns)


def make_table(records: Iterable[Record]) -> Table:
    """The table of ``records``.

    Runtimes and factors come in order of appearance; a runtime has all of its columns or none. A factor's column holds
    integers, numbers, booleans or, as soon as one value is text, text. Raises ValueError for a value that does not fit
    its column.
    """
    records = tuple(records)
    rows = [to_row(record) for record in records]
    names = dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)])
    for runtime in further_runtimes(records):  # also one that nothing could be measured on
        names |= dict.fromkeys(f"{name}.{runtime}" for name in FURTHER)
    return Table(records=records, columns=_columns({name: [row.get(name) for row in rows] for name in names}))


def table_of(rows: Iterable[Row]) -> Table:
    """The table of ``rows``, by column; what a row leaves out, None and numbers that are not finite are missing.

    Raises ValueError for a column that no table has, for an unknown state and for a value that does not fit.
    """
    rows = list(rows)
    names = dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)])
    return _with_records({name: [row.get(name) for row in rows] for name in names})


def _with_records(values: Mapping[str, list[object]]) -> Table:
    columns = _columns(values)
    names = [one.name for one in columns]
    cells = zip(*(one.cells for one in columns), strict=True)
    return Table(records=tuple(from_row(dict(zip(names, row, strict=True))) for row in cells), columns=columns)


def write_table(table: Table, path: Path) -> None:
    """Write ``table`` to ``path`` (.csv or .parquet), whole or not at all."""
    if path.suffix == ".csv":
        write_atomically(path, lambda temporary: temporary.write_text(_csv(table.columns), "utf-8", newline=""))
    elif path.suffix == ".parquet":
        write_atomically(path, lambda temporary: table.frame.to_parquet(temporary, index=False))
    else:
        raise InputError(f"{path}: a table ends in .csv or .parquet")


def read_table(path: str | Path) -> Table:
    """The table in ``path`` (.csv or .parquet), equal to the one that ``write_table`` got.

    Raises InputError in one line for a file that is missing or does not hold such a table.
    """
    path = Path(path)
    reader = {".csv": _read_csv, ".parquet": _read_parquet}.get(path.suffix)
    if reader is None:
        raise InputError(f"{path}: a table ends in .csv or .parquet")
    try:
        columns = reader(path)
        for name in _ALWAYS:
            if name not in columns:
                raise ValueError(f"the column {name!r} is missing")
        return _with_records(columns)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # UnicodeDecodeError and pyarrow's ArrowInvalid among them
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from None


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """``write_whole`` that raises InputError in one line where the folder cannot be written or the disk is full."""
    try:
        write_whole(path, write)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def _columns(values: Mapping[str, list[object]]) -> tuple[Column, ...]:
    for name in values:
        if _fixed_kind(name) is None and not name.startswith(PARAM):
            raise ValueError(f"unknown column {name!r}; a factor of the search space is named {PARAM}NAME")
    further = [f"{name}.{runtime}" for runtime in _runtimes(values) for name in FURTHER]
    order = [*COLUMNS, *further, *(name for name in values if name.startswith(PARAM))]
    nothing: list[object] = [None] * len(values["state"])
    columns = {name: _column(name, [_clean(value) for value in values.get(name, nothing)]) for name in order}
    for state in columns["state"].cells:
        if state not in list(State):
            shown = "<NA>" if state is None else repr(state)
            raise ValueError(f"unknown state {shown} in the column 'state'; known are {', '.join(State)}")
    return tuple(columns.values())


def _runtimes(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(match["runtime"] for name in names if (match := _FURTHER.fullmatch(name))))


def _column(name: str, values: list[object]) -> Column:
    kind = _fixed_kind(name) or _kind_of_factor(name, values)
    cells = [None if value is None else _fitted(name, value, kind) for value in values]
    return Column(name=name, kind=kind, cells=tuple(cells))


def _fixed_kind(name: str) -> str | None:
    """The type of the column by its name alone; None for a factor's and for those that no table has."""
    return FURTHER[name.partition(".")[0]] if _FURTHER.fullmatch(name) else COLUMNS.get(name)


def _fitted(name: str, value: object, kind: str) -> Cell:
    if not _fits(value, kind):
        raise ValueError(f"the column {name!r} cannot hold {value!r}")
    if name in _FRACTIONS and not 0 <= float(str(value)) <= 1:
        raise ValueError(f"the column {name!r} holds fractions from 0 to 1, not {value!r}")
    return _KINDS[kind](value)


def _fits(value: object, kind: str) -> bool:
    if kind == "string":
        return isinstance(value, str | bool | int | float)
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return kind == "Float64" or (value == int(value) and abs(value) < 2**63)


def _kind_of_factor(name: str, values: list[object]) -> str:
    present = [value for value in values if value is not None]
    types = {type(value) for value in present}
    if types in ({bool}, {int}):
        return "boolean" if bool in types else "Int64"
    if types and types <= {int, float}:
        return "Float64"
    for value in present:
        if not _fits(value, "string"):
            raise ValueError(f"the column {name!r} holds numbers or text, not {value!r}")
    return "string"


def _clean(value: object) -> object:
    """``value`` as plain Python: no numpy scalar, and None for every way to say missing."""
    if value is None or value is pd.NA:
        return None
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _text(value: object) -> str:
    # A file name that is not UTF-8 reaches a reason with lone surrogates, which no file here can hold.
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


_KINDS: dict[str, Callable[[Any], Cell]] = {"string": _text, "boolean": bool, "Int64": int, "Float64": float}


def _csv(columns: Sequence[Column]) -> str:
    lines = [[one.name for one in columns], *zip(*(one.cells for one in columns), strict=True)]
    return "".join(",".join(map(_written, line)) + "\n" for line in lines)


def _written(cell: Cell) -> str:
    """Text always in quotes, everything else never: so "12" and 12, and "" and NA, stay apart."""
    if isinstance(cell, str):
        return '"' + cell.replace('"', '""') + '"'
    return "" if cell is None else str(cell).lower()  # true and false; numbers have no capitals


def _read_csv(path: Path) -> dict[str, list[object]]:
    text = read_regular(path, most=_MOST_BYTES).decode("utf-8-sig")
    if text.count(",") + text.count("\n") > _MOST_CELLS:
        raise ValueError(f"it has over {_MOST_CELLS:,} cells")
    lines = _lines(text)
    if not lines:
        raise ValueError("the file is empty")
    names = [text or "" for text, _ in lines[0]]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the column {name!r} comes twice")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(names):
            raise ValueError(f"row {number} has {len(line)} cells where the header has {len(names)}")
    columns = {name: [line[index] for line in lines[1:]] for index, name in enumerate(names)}
    return {name: _parse(name, cells) for name, cells in columns.items()}


def _lines(text: str) -> list[list[tuple[str | None, bool]]]:
    """The cells of each line, as (text or None for nothing, whether it was in quotes)."""
    lines: list[list[tuple[str | None, bool]]] = []
    line: list[tuple[str | None, bool]] = []
    position = 0
    while position < len(text):
        match = _CELL.match(text, position)
        if match is None:
            raise ValueError(f"row {len(lines) + 1} has a quote that is out of place or never closed")
        quoted, bare = match["quoted"], match["bare"]
        line.append((bare or None, False) if quoted is None else (quoted.replace('""', '"'), True))
        position = match.end()
        if match["end"] != ",":
            lines.append(line)
            line = []
    if line:  # the text ends in a comma: a last, empty cell
        lines.append([*line, (None, False)])
    return lines


def _parse(name: str, cells: list[tuple[str | None, bool]]) -> list[object]:
    fixed = _fixed_kind(name)
    if fixed is None and not any(quoted for _, quoted in cells):
        for kind in ("Int64", "Float64", "boolean"):
            with contextlib.suppress(ValueError):
                return [_value(name, text, kind) for text, _ in cells]
    return [_value(name, text, fixed or "string") for text, _ in cells]


def _value(name: str, text: str | None, kind: str) -> object:
    try:
        return None if text is None else _READ[kind](text)
    except (ValueError, KeyError):
        raise ValueError(f"the column {name!r} cannot hold {text!r}") from None


def _read_parquet(path: Path) -> dict[str, list[object]]:
    content = pyarrow.BufferReader(read_regular(path, most=_MOST_BYTES))
    try:
        table = pyarrow.parquet.read_table(content)
        if table.num_rows * table.num_columns > _MOST_CELLS:
            raise ValueError(f"it has over {_MOST_CELLS:,} cells")
        columns: dict[str, list[object]] = table.to_pydict()
    except (pyarrow.ArrowException, OSError, OverflowError) as error:
        raise ValueError(f"is no Parquet file ({str(error).splitlines()[0]})") from None
    return columns
