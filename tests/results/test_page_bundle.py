"""The built script in the package belongs to its sources, and the numbers that its tests compare with are Python's."""

import hashlib
import json
import math
import re
from pathlib import Path

import page_numbers
import pytest

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "mvit_nas/results/static"


def test_the_built_script_is_that_of_its_sources():
    digest = hashlib.sha256()
    sources = sorted((ROOT / "page/src").glob("*.js"))
    assert sources
    for path in [*sources, ROOT / "page/build.mjs", ROOT / "page/package-lock.json"]:
        digest.update(path.read_bytes())
    built = (STATIC / "page.js").read_text("utf-8")
    assert f"sources:{digest.hexdigest()}" in built.splitlines()[0], "page/ was changed: run make page"


def test_the_script_is_tested_against_the_numbers_that_python_computes(tmp_path):
    kept = json.loads(page_numbers.FILE.read_text("utf-8"))
    differ = list(differences(kept, json.loads(page_numbers.text(tmp_path))))
    assert differ == [], "run python tests/support/page_numbers.py and make page-test"


def differences(kept, now, where=""):
    """Where two documents differ; numbers may in what another processor's rounding changes."""
    if isinstance(kept, dict) and isinstance(now, dict) and kept.keys() == now.keys():
        for key in kept:
            yield from differences(kept[key], now[key], f"{where}.{key}")
    elif isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        for index, (one, other) in enumerate(zip(kept, now, strict=True)):
            yield from differences(one, other, f"{where}.{index}")
    elif isinstance(kept, float) and isinstance(now, float):
        if not math.isclose(kept, now, rel_tol=1e-9, abs_tol=1e-12):
            yield f"{where}: {kept} and {now}"
    elif kept != now:
        yield f"{where}: {kept!r} and {now!r}"


def test_a_number_that_differs_is_found_and_one_that_is_rounded_otherwise_is_not():
    kept = {"a": [1.0, "x"], "b": {"c": 2}}
    assert list(differences(kept, {"a": [1.0 + 1e-13, "x"], "b": {"c": 2}})) == []
    assert list(differences(kept, {"a": [1.0 + 1e-6, "y"], "b": {"c": 3}})) == [
        ".a.0: 1.0 and 1.000001",
        ".a.1: 'x' and 'y'",
        ".b.c: 2 and 3",
    ]
    assert len(list(differences(kept, {"a": [1.0]}))) == 1


@pytest.mark.parametrize("name", ["page.js", "plotly-basic.min.js", "tabulator.min.js", "tabulator.min.css"])
def test_what_is_embedded_ends_no_element(name):
    assert not re.search(r"</(script|style)|<!--", (STATIC / name).read_text("utf-8"), re.IGNORECASE)


def test_every_library_that_is_embedded_is_named_with_version_and_licence():
    told = (STATIC / "README.md").read_text("utf-8")
    versions = json.loads((ROOT / "page/package.json").read_text("utf-8"))["devDependencies"]
    for library, licence in (("plotly.js-basic-dist-min", "plotly"), ("tabulator-tables", "tabulator")):
        assert f"| {library} | {versions[library]} | MIT |" in told
        assert "MIT" in (STATIC / f"{licence}.LICENSE").read_text("utf-8")


def test_the_lock_names_no_registry():
    assert "resolved" not in (ROOT / "page/package-lock.json").read_text("utf-8")
