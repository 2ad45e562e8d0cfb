"""Every test has its own cache, so that none finds what another computed; and a browser for those that look at a page."""

import gc
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from reports import write_report
from tabs import Tabs

from mvit_nas.cli.app import main

# As the command line sets it; torch reads it when it loads.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
if "PYTEST_XDIST_WORKER" in os.environ:  # as many tests run at once as there are cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# The tests shall not look at what the user keeps.
os.environ.pop("MVIT_NAS_CACHE", None)


@pytest.fixture(autouse=True, scope="module")
def little_garbage():
    """statsmodels' multipletests collects garbage at every call, which takes long among all that is imported."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """A job that runs in this process trains on all cores, and as many tests run at once as there are."""
    from mvit_nas.jobs import setup  # which loads torch, and not every process that collects tests needs it

    with pytest.MonkeyPatch.context() as patch:
        if "PYTEST_XDIST_WORKER" in os.environ:
            patch.setattr(setup, "training_threads", lambda: 1)
        yield


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this test's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MVIT_NAS_CACHE", str(folder))
    return folder


@pytest.fixture
def refused(monkeypatch, capsys):
    """Run a command that shall refuse, in this process: starting another takes seconds. The line that it ends with."""

    def run(*arguments, cwd, code):
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["mvit-nas", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert (ended.value.code, out) == (code, "")
        assert "Traceback" not in err
        last = err.strip().splitlines()[-1]
        assert last.startswith("mvit-nas: ")
        return last

    return run


@pytest.fixture
def answered(monkeypatch, capsys):
    """Run a command that shall succeed, in this process. What it printed on stdout."""

    def run(*arguments, cwd):
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["mvit-nas", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="session")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        assert not os.environ.get("CI"), f"CI needs a browser: {', '.join(names)}"
        pytest.skip("no browser")
    switches = "no-sandbox disable-gpu disable-background-networking disable-component-update disable-sync"
    arguments = [f"--{switch}" for switch in [*switches.split(), "no-first-run"]]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=arguments)
        yield running
        running.close()


@pytest.fixture(scope="session")
def tabs(browser):
    tabs = Tabs(browser)
    yield tabs
    tabs.close()


@pytest.fixture
def shown(tabs):
    """Show a file in a tab; afterwards, no error was in the console and nothing but the file was asked for."""
    with ExitStack() as used:
        yield lambda path, **options: used.enter_context(tabs.tab(**options)).show(path)


@pytest.fixture
def opened(shown, tmp_path):
    """Open a report."""

    def open_report(table, document, **options):
        page = shown(write_report(table, document, tmp_path), **options)
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]")
        return page

    return open_report
