"""The review page: one self-contained HTML file, beside it the table and the environment it was made from."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import plotly.offline
from markupsafe import Markup

from mvit_nas.errors import InputError
from mvit_nas.results import search_page
from mvit_nas.results.findings import MAXIMISE
from mvit_nas.results.page import finite
from mvit_nas.results.table import read_table, write_atomically, write_table

# What the environment must hold, with the types of its values; it may hold more, which the page shows too.
_ENVIRONMENT: dict[str, Any] = {
    "study": str,
    "command": str,
    "created": str,
    "mvit_nas": str,
    "hardware": {"processor": str, "gpu": (str, type(None))},
    "data": {"name": str},
    "space": dict,
    "experiment": {"budgets": list, "objectives": list},
    "latency": (dict, type(None)),  # checked further where there is one
    "hypervolume_reference": dict,
    "presets": list,
    "elapsed_seconds": (int, float),
}
_BUDGET = {"metric": str, "low": (int, float), "high": (int, float)}
_LATENCY = {"runtime": str, "target": str, "threads": int}


def write_report(table: pd.DataFrame, environment: Mapping[str, Any], directory: Path) -> Path:
    """Write results.csv, environment.json and report.html into ``directory``; the path of the page.

    Each file is written whole or not at all. Raises InputError where the folder cannot be written.
    """
    document = json.dumps(finite(environment), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_table(table, directory / "results.csv")
    write_atomically(directory / "environment.json", lambda path: path.write_text(document, "utf-8"))
    return _write_page(table, environment, directory)


def remake_report(directory: Path) -> Path:
    """Write report.html again from results.csv and environment.json in ``directory``; its path.

    Raises InputError in one line for a file that is missing or broken.
    """
    return _write_page(
        read_table(directory / "results.csv"), _read_environment(directory / "environment.json"), directory
    )


def render(table: pd.DataFrame, environment: Mapping[str, Any]) -> str:
    """The page as HTML."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("mvit_nas.results"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.policies["json.dumps_kwargs"] = {"allow_nan": False}
    assert templates.loader is not None
    scripts = [templates.loader.get_source(templates, name)[0] for name in ("base.js", "search.js")]
    return templates.get_template("search.html").render(
        **search_page.page_data(table, environment),
        plotly=Markup(plotly.offline.get_plotlyjs()),
        script=Markup("\n".join(scripts)),
    )


def _write_page(table: pd.DataFrame, environment: Mapping[str, Any], directory: Path) -> Path:
    path = directory / "report.html"
    page = render(table, environment)
    write_atomically(path, lambda temporary: temporary.write_text(page, "utf-8"))
    return path


def _read_environment(path: Path) -> dict[str, Any]:
    try:
        environment = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise InputError(f"{path}: is no JSON document ({error})") from None
    if not isinstance(environment, dict):
        raise InputError(f"{path}: must hold one JSON object")
    problems = list(_problems(environment, _ENVIRONMENT, "")) or _deeper_problems(environment)
    for problem in problems:
        raise InputError(f"{path}: {problem}")
    return environment


def _deeper_problems(environment: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong inside values whose types are right."""
    objectives = environment["experiment"]["objectives"]
    if not objectives or any(name not in MAXIMISE for name in objectives):
        yield f"'experiment.objectives' must be some of {', '.join(MAXIMISE)}"
    for budget in environment["experiment"]["budgets"]:
        if not isinstance(budget, dict) or list(_problems(budget, _BUDGET, "")) or set(budget) != set(_BUDGET):
            yield "'experiment.budgets' must hold metric, low and high"
    reference = environment["hypervolume_reference"]
    if not all(name in MAXIMISE and isinstance(value, int | float) for name, value in reference.items()):
        yield "'hypervolume_reference' must hold numbers by objective"
    if environment["latency"] is not None:
        yield from _problems(environment["latency"], _LATENCY, "latency.")


def _problems(values: Mapping[str, Any], expected: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, kind in expected.items():
        name = prefix + key
        if key not in values:
            yield f"{name!r} is missing"
        elif isinstance(kind, dict):
            if isinstance(values[key], dict):
                yield from _problems(values[key], kind, f"{name}.")
            else:
                yield f"{name!r} must be an object"
        elif not isinstance(values[key], kind):
            yield f"{name!r} has the wrong type, {type(values[key]).__name__}"
