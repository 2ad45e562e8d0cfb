"""The review page: one self-contained HTML file, beside it the table and the environment it was made from."""

import base64
import gzip
import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from mvit_nas.errors import InputError
from mvit_nas.results.ablation import page as ablation_page
from mvit_nas.results.ablation.summary import MATCHED
from mvit_nas.results.comparison import page as compare_page
from mvit_nas.results.comparison.comparison import Comparison, Study, document
from mvit_nas.results.page import finite
from mvit_nas.results.search import page as search_page
from mvit_nas.results.search.findings import COSTS, MAXIMISE
from mvit_nas.results.search.runtimes import check_target, choose_runtime
from mvit_nas.results.table import PARAM, further_runtimes, read_table, write_atomically, write_table

# What an environment must hold, with the types of its values; it may hold more, which the page shows too.
_COMMON: dict[str, Any] = {
    "study": str,
    "command": str,
    "created": str,
    "mvit_nas": str,
    "hardware": {"processor": str, "gpu": (str, type(None))},
    "latency": (dict, type(None)),  # checked further where there is one
    "elapsed_seconds": (int, float),
}
_SEARCH = _COMMON | {
    "data": {"name": str},
    "space": dict,
    "experiment": {"budgets": list, "objectives": list, "schedule": {"name": str}},
    "hypervolume_reference": dict,
    "presets": list,
}
# How a search proposes, which older environments do not tell and newer ones must tell rightly.
_EXPERIMENT_SINCE = {"sampler": str, "baseline": (int, float), "early_stopping": bool, "image_size": int}
# And where it is compared with other searches.
_COMPARED = {
    "data": {"fingerprint": str, "images": dict},
    "space": {"name": str},
    "experiment": {"seed": int},
}
_ABLATION = _COMMON | {
    "data": {"name": str, "images": {"validation": int}},
    "experiment": {"seeds": list, "schedule": {"name": str}},
    "ablation": {
        "factors": list,
        "base": str,
        "variants": list,
        "left_out": list,
        "seeds": list,
        "precision": (int, float, type(None)),
        "stopped": str,
    },
}
_VARIANT = {"labels": dict, "matched": str, "is_base": bool, "arch_id": str, "notes": list}
_LEFT_OUT = {"labels": dict, "reason": str}
_BUDGET = {"metric": str, "low": (int, float), "high": (int, float)}
_LATENCY = {"runtime": str, "target": str, "threads": int}
_NUMBER = (int, float, type(None))
# What older environments do not tell of a latency, and newer ones must tell rightly.
_LATENCY_SINCE = {
    "precision": _NUMBER,
    "reference": str,
    "reference_ms": _NUMBER,
    "reference_low_ms": _NUMBER,
    "reference_high_ms": _NUMBER,
    "reference_measurements": (int, type(None)),
}


def write_report(table: pd.DataFrame, environment: Mapping[str, Any], directory: Path) -> Path:
    """Write results.csv, environment.json and report.html into ``directory``; the path of the page.

    Each file is written whole or not at all. Raises InputError where the folder cannot be written.
    """
    document = json.dumps(finite(environment), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_table(table, directory / "results.csv")
    write_atomically(directory / "environment.json", lambda path: path.write_text(document, "utf-8"))
    return _write_page(table, environment, directory / "report.html")


def remake_report(directory: Path, *, runtime: str | None = None, target: str | None = None) -> Path:
    """Write report.html again from results.csv and environment.json in ``directory``; its path.

    With a further ``runtime`` the page has its latencies, and a file of its own beside the other, report-RUNTIME.html.
    Raises InputError in one line for a file that is missing or broken, for a runtime that nothing was measured on, and
    for a ``target`` that is not the one measured on.
    """
    table = read_table(directory / "results.csv")
    environment = read_environment(directory / "environment.json")
    if _ablates(environment) and len(table):
        for name in (MATCHED, *(PARAM + factor for factor in environment["ablation"]["factors"])):
            # A spreadsheet that saves the table drops the quotes, and the label "2" becomes a number.
            if name not in table or table[name].dtype != "string":
                raise InputError(f"{directory / 'results.csv'}: the column {name!r} must hold text, in quotes")
    for name in further_runtimes(table):
        if name not in environment["front_latency"]:
            raise InputError(f"{directory / 'environment.json'}: 'front_latency.{name}' is missing")
    shown = (table, environment) if runtime is None else choose_runtime(table, environment, runtime)
    if target is not None:
        check_target(shown[1], target)
    own = shown[1] is environment
    return _write_page(*shown, directory / ("report.html" if own else f"report-{runtime}.html"))


def render(table: pd.DataFrame, environment: Mapping[str, Any]) -> str:
    """The page as HTML: an ablation's where the environment has one, otherwise a search's."""
    name, page = ("ablation", ablation_page) if _ablates(environment) else ("search", search_page)
    return _fill(name, page.page_data(table, environment))


def write_comparison(comparison: Comparison, conditions: Mapping[str, Any], directory: Path) -> Path:
    """Write comparison.json and compare.html into ``directory``; the path of the page.

    ``conditions`` are of making it: command, created, versions. Each file is written whole or not at all. Raises
    InputError where the folder cannot be written.
    """
    numbers = json.dumps(finite(document(comparison)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(directory / "comparison.json", lambda path: path.write_text(numbers, "utf-8"))
    page = _fill("compare", compare_page.page_data(comparison, conditions))
    path = directory / "compare.html"
    write_atomically(path, lambda temporary: temporary.write_text(page, "utf-8"))
    return path


def read_study(folder: Path, name: str) -> Study:
    """The search whose results.csv and environment.json lie in ``folder``, to compare it under ``name``.

    Raises InputError in one line for files that are missing or broken, and for an ablation.
    """
    table = read_table(folder / "results.csv")
    path = folder / "environment.json"
    environment = read_environment(path)
    if _ablates(environment):
        raise InputError(f"{name} is an ablation: compare takes searches")
    for problem in _problems(environment, _COMPARED, ""):
        raise InputError(f"{path}: {problem}")
    return Study(name=name, table=table, environment=environment)


def _fill(name: str, data: Mapping[str, Any]) -> str:
    """The template ``name`` with ``data``, what its script draws, the script and the libraries in it."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("mvit_nas.results"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    libraries = ["plotly-basic.min.js", *(["tabulator.min.js"] if name == "search" else []), "page.js"]
    return templates.get_template(f"{name}.html").render(
        **data,
        packed=_packed(data["document"]),
        scripts=[Markup(_static(file)) for file in libraries],
        tabulator_style=Markup(_static("tabulator.min.css")),
    )


def _unbroken(value: Any) -> Any:
    """``value``, where it is text with no line broken between a number and its unit."""
    return re.sub(r"(\d) (?=%|ms\b)", "\\1\N{NO-BREAK SPACE}", value) if type(value) is str else value


def _packed(document: Mapping[str, Any]) -> str:
    """``document`` as base64 of compressed JSON: 10,000 architectures are 11 MB as they are and 1 MB like this."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Without the time, so that the same table makes the same page.
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def _static(file: str) -> str:
    return (resources.files("mvit_nas.results") / "static" / file).read_text("utf-8")


def _ablates(environment: Mapping[str, Any]) -> bool:
    return "ablation" in environment


def _write_page(table: pd.DataFrame, environment: Mapping[str, Any], path: Path) -> Path:
    page = render(table, environment)
    write_atomically(path, lambda temporary: temporary.write_text(page, "utf-8"))
    return path


def read_environment(path: Path) -> dict[str, Any]:
    """The environment in ``path``. Raises InputError in one line for a file that is missing or broken."""
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
    expected, deeper = (_ABLATION, _ablation_problems) if _ablates(environment) else (_SEARCH, _search_problems)
    for problem in list(_problems(environment, expected, "")) or deeper(environment):
        raise InputError(f"{path}: {problem}")
    # A search from before further runtimes does not say that it had none.
    environment.setdefault("front_latency", {})
    for problem in _latency_problems(environment):
        raise InputError(f"{path}: {problem}")
    return environment


def _latency_problems(environment: Mapping[str, Any]) -> Iterator[str]:
    further = environment["front_latency"]
    if not isinstance(further, dict):
        yield "'front_latency' must be an object"
        return
    named = {"latency": environment["latency"]} if environment["latency"] is not None else {}
    for name, latency in (named | {f"front_latency.{name}": latency for name, latency in further.items()}).items():
        if isinstance(latency, dict):
            later = {key: kind for key, kind in _LATENCY_SINCE.items() if key in latency}
            yield from _problems(latency, _LATENCY | later, f"{name}.")
        else:
            yield f"{name!r} must be an object"


def _ablation_problems(environment: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong inside an ablation's values whose types are right."""
    plan = environment["ablation"]
    factors = plan["factors"]
    if (
        not all(isinstance(name, str) for name in factors)
        or len(factors) not in (1, 2)
        or len(set(factors)) < len(factors)
    ):
        yield "'ablation.factors' must be one or two names"
        return
    for key in ("experiment", "ablation"):
        if not all(isinstance(seed, int) for seed in environment[key]["seeds"]):
            yield f"'{key}.seeds' must hold whole numbers"
    for key, expected in (("variants", _VARIANT), ("left_out", _LEFT_OUT)):
        for number, one in enumerate(plan[key]):
            name = f"ablation.{key}.{number}"
            if not isinstance(one, dict):
                yield f"{name!r} must be an object"
                return
            yield from _problems(one, expected, f"{name}.")
            # In this order: the page and the interactions read them so.
            if list(one["labels"]) != factors or not all(isinstance(label, str) for label in one["labels"].values()):
                yield f"'{name}.labels' must hold one text for each of {', '.join(factors)}, in this order"
    for number, variant in enumerate(plan["variants"]):
        if variant["matched"] not in ("", *COSTS):
            yield f"'ablation.variants.{number}.matched' must be empty or one of {', '.join(COSTS)}"
        if not all(isinstance(note, str) for note in variant["notes"]):
            yield f"'ablation.variants.{number}.notes' must hold text"
    if len({(*v["labels"].values(), v["matched"]) for v in plan["variants"]}) < len(plan["variants"]):
        yield "'ablation.variants' holds one twice"
    if sum(variant["is_base"] for variant in plan["variants"]) != 1:
        yield "'ablation.variants' must hold one base"


def _search_problems(environment: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong inside a search's values whose types are right."""
    experiment = environment["experiment"]
    yield from _problems(
        experiment, {key: kind for key, kind in _EXPERIMENT_SINCE.items() if key in experiment}, "experiment."
    )
    objectives = experiment["objectives"]
    if not objectives or any(name not in MAXIMISE for name in objectives):
        yield f"'experiment.objectives' must be some of {', '.join(MAXIMISE)}"
    for budget in environment["experiment"]["budgets"]:
        if not isinstance(budget, dict) or list(_problems(budget, _BUDGET, "")) or set(budget) != set(_BUDGET):
            yield "'experiment.budgets' must hold metric, low and high"
    reference = environment["hypervolume_reference"]
    if not all(name in MAXIMISE and isinstance(value, int | float) for name, value in reference.items()):
        yield "'hypervolume_reference' must hold numbers by objective"


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
