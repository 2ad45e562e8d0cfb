"""What a long benchmark has found so far: a CSV file that has a line more as soon as something is known."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from mvit_nas.errors import InputError
from mvit_nas.files import write_text


class Lines:
    """The file ``path`` with the columns ``fields``, made where it is not there.

    What a kill left of a line is taken back. Raises InputError where the file has other columns.
    """

    def __init__(self, path: Path, fields: Sequence[str]) -> None:
        self._path, self._fields = path, fields
        text = path.read_bytes().decode(errors="replace") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1] or ",".join(fields) + "\n"
        if whole != text:
            write_text(path, whole)
        self.lines = read_lines(path, fields)

    def add(self, line: Mapping[str, str]) -> None:
        """Keep ``line``."""
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._fields, lineterminator="\n").writerow(line)


def read_lines(path: Path, fields: Sequence[str]) -> list[dict[str, str]]:
    """The lines of the file ``path``, which has the columns ``fields``. Raises InputError where it has not."""
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if (reader.fieldnames or []) != list(fields):
                raise InputError(f"the columns of {path} are not {', '.join(fields)}")
            lines = list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    for number, line in enumerate(lines, start=2):
        if None in line or None in line.values():
            raise InputError(f"{path} line {number} has not {len(fields)} values: remove it")
    return lines
