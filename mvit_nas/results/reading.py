"""A study read back from its report, its table and its environment, as the view of a search or of an ablation."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.errors import InputError
from mvit_nas.results.search.confirmed import check_confirmation
from mvit_nas.results.table import Table, read_table
from mvit_nas.results.view import StudyView
from mvit_nas.study.confirmation_file import FILE as CONFIRMATION
from mvit_nas.study.confirmation_file import read_confirmation
from mvit_nas.study.origin import AblationOrigin, SearchOrigin
from mvit_nas.study.origin_file import read_origin
from mvit_nas.study.record import Record
from mvit_nas.study.table import MATCHED, PARAM


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationView:
    """An ablation as its page looks at it: its ``records``, and where they come ``origin`` from."""

    records: tuple[Record, ...]
    origin: AblationOrigin


def open_study(report: str | Path) -> StudyView | AblationView:
    """The study ``report``, by its name in ``reports/`` or by the folder of its results.csv and environment.json.

    Raises InputError in one line where there is none, and for a file that is missing or broken.
    """
    return read_report(report_folder(str(report), Path()))


def read_report(folder: Path) -> StudyView | AblationView:
    """The study whose report is ``folder``. Raises InputError in one line for a file that is missing or broken."""
    table = read_table(folder / "results.csv")
    origin = read_origin(folder / "environment.json")
    if isinstance(origin, AblationOrigin):
        _check_labels(table, origin, folder / "results.csv")
        return AblationView(records=table.records, origin=origin)
    for name in table.further_runtimes:
        if name not in origin.further:
            raise InputError(f"{folder / 'environment.json'}: 'front_latency.{name}' is missing")
    return search_view(table, origin, folder)


def search_view(table: Table, origin: SearchOrigin, folder: Path) -> StudyView:
    """The search of ``table`` with what was confirmed of it, if anything was. Raises InputError for a broken file."""
    view = StudyView(table, origin, read_confirmation(folder))
    check_confirmation(view, str(folder / CONFIRMATION))
    return view


def report_folder(name: str, out: Path) -> Path:
    """The folder of the report that ``name`` is, in reports/ or as a path. Raises InputError where there is none."""
    folder = out / "reports" / name
    if not folder.is_dir() and Path(name).is_dir():
        folder = Path(name)
    if not folder.is_dir():
        known = sorted(path.parent.name for path in (out / "reports").glob("*/results.csv"))
        raise InputError(f"no report {name!r} in {out / 'reports'}: known are {', '.join(known) or 'none'}")
    return folder


def _check_labels(table: Table, origin: AblationOrigin, path: Path) -> None:
    """Raise InputError where a spreadsheet that saved the table dropped quotes, and the label "2" became a number."""
    kinds = {column.name: column.kind for column in table.columns}
    for name in (MATCHED, *(PARAM + factor for factor in origin.plan.factors)) if len(table) else ():
        if kinds.get(name) != "string":
            raise InputError(f"{path}: the column {name!r} must hold text, in quotes")
