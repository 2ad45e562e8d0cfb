"""The built script in the package belongs to its sources, and the numbers that its tests compare with are Python's."""

import hashlib
import json
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
    assert kept == json.loads(page_numbers.text(tmp_path)), "run python tests/page_numbers.py and make page-test"


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
