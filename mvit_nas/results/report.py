"""The review page: one self-contained HTML file, beside it the table and the environment it was made from."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from mvit_nas.errors import InputError
from mvit_nas.results.ablation import page as ablation_page
from mvit_nas.results.comparison import page as compare_page
from mvit_nas.results.comparison.comparison import Comparison, document
from mvit_nas.results.comparison.methods import Study
from mvit_nas.results.page import finite
from mvit_nas.results.reading import AblationView, read_report, search_view
from mvit_nas.results.search import page as search_page
from mvit_nas.results.search.devices import Device, read_devices
from mvit_nas.results.search.runtimes import check_target, choose_runtime
from mvit_nas.results.table import Table, make_table, read_table, write_atomically, write_table
from mvit_nas.results.view import StudyView
from mvit_nas.study.origin import AblationOrigin, Origin, SearchOrigin, as_document
from mvit_nas.study.origin_file import problems_to_compare, read_origin
from mvit_nas.study.record import Record
from mvit_nas.units import format_seconds

# A number before its unit.
_NUMBER = re.compile(r"(\d[KMG]?) (?=%|(?:ms|s|min|h|px|MiB|GiB|MACs|parameters|points|images)\b)")
# Runs before anything is drawn, so that what needs scripts has its room from the start.
_FIRST = 'document.documentElement.dataset.scripts = "yes"'


def write_search(records: Sequence[Record], origin: SearchOrigin, directory: Path) -> Path:
    """Write results.csv, environment.json and report.html into ``directory``; the path of the page.

    What was confirmed of the search, which lies there too, is in the page. Each file is written whole or not at all.
    Raises InputError where the folder cannot be written.
    """
    table = make_table(records)
    _write_data(table, origin, directory)
    return _write(directory / "report.html", render_search(search_view(table, origin, directory)))


def write_ablation(records: Sequence[Record], origin: AblationOrigin, directory: Path) -> Path:
    """The same for an ablation."""
    _write_data(make_table(records), origin, directory)
    return _write(directory / "report.html", render_ablation(records, origin))


def remake_report(
    directory: Path, *, runtime: str | None = None, target: str | None = None, devices: Path | None = None
) -> Path:
    """Write report.html again from results.csv and environment.json in ``directory``; its path.

    ``devices`` is a file of limits that the page of a search offers. With a further ``runtime`` the page has its
    latencies, and a file of its own beside the other, report-RUNTIME.html.
    Raises InputError in one line for a file that is missing or broken, for a runtime that nothing was measured on, and
    for a ``target`` that is not the one measured on.
    """
    view = read_report(directory)
    known = () if devices is None else read_devices(devices)
    if isinstance(view, AblationView):
        if devices is not None:
            raise InputError(f"--devices {devices}: an ablation's page has no limits; give it with a search")
        return _write(directory / "report.html", render_ablation(view.records, view.origin))
    shown = view if runtime is None else choose_runtime(view, runtime)
    if target is not None:
        check_target(shown, target)
    return _write(
        directory / ("report.html" if shown is view else f"report-{runtime}.html"), render_search(shown, known)
    )


def render_search(view: StudyView, devices: Sequence[Device] = ()) -> str:
    """The page of a search as HTML, which offers the limits of ``devices``."""
    return _fill("search", search_page.page_data(view, devices))


def render_ablation(records: Sequence[Record], origin: AblationOrigin) -> str:
    """The page of an ablation as HTML."""
    return _fill("ablation", ablation_page.page_data(records, origin))


def write_comparison(comparison: Comparison, conditions: Mapping[str, str], directory: Path) -> Path:
    """Write comparison.json and compare.html into ``directory``; the path of the page.

    ``conditions`` are of making it: command, created, versions. Each file is written whole or not at all. Raises
    InputError where the folder cannot be written.
    """
    _write_json(directory / "comparison.json", document(comparison))
    page = _fill("compare", compare_page.page_data(comparison, conditions))
    return _write(directory / "compare.html", page)


def read_study(folder: Path, name: str) -> Study:
    """The search whose results.csv and environment.json lie in ``folder``, to compare it under ``name``.

    Raises InputError in one line for files that are missing or broken, and for an ablation.
    """
    table = read_table(folder / "results.csv")
    path = folder / "environment.json"
    origin = read_origin(path)
    if isinstance(origin, AblationOrigin):
        raise InputError(f"{name} is an ablation: compare takes searches")
    for problem in problems_to_compare(origin):
        raise InputError(f"{path}: {problem}")
    return Study(name=name, view=StudyView(table, origin))


def _fill(name: str, page: search_page.Page | ablation_page.Page | compare_page.Page) -> str:
    """The template ``name`` with ``page``, the script and the libraries in it."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("mvit_nas.results"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["seconds"] = format_seconds
    libraries = ["plotly-basic.min.js", *(["tabulator.min.js"] if name == "search" else []), "page.js"]
    scripts = [_static(file) for file in libraries]
    return templates.get_template(f"{name}.html").render(
        **{one.name: getattr(page, one.name) for one in fields(page)},
        packed=_packed(page.document),
        first_script=Markup(_FIRST),
        scripts=[Markup(script) for script in scripts],
        script_sources=Markup(" ".join(_source(script) for script in (_FIRST, *scripts))),
        tabulator_style=Markup(_static("tabulator.min.css")),
    )


def _source(script: str) -> str:
    """``script`` as the page's policy names it: nothing else runs in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _unbroken(value: object) -> object:
    """``value``, where it is text with no line broken between a number and its unit."""
    return _NUMBER.sub("\\1\N{NO-BREAK SPACE}", value) if type(value) is str else value


def _packed(document: object) -> str:
    """``document`` as base64 of compressed JSON: 10,000 architectures are 11 MB as they are and 1 MB like this."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Without the time, so that the same table makes the same page.
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def _static(file: str) -> str:
    return (resources.files("mvit_nas.results") / "static" / file).read_text("utf-8")


def _write_data(table: Table, origin: Origin, directory: Path) -> None:
    write_table(table, directory / "results.csv")
    _write_json(directory / "environment.json", as_document(origin))


def _write_json(path: Path, document: object) -> None:
    _write(path, json.dumps(finite(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _write(path: Path, text: str) -> Path:
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
    return path
