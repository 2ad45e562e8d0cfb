"""Every test has its own cache, so that none finds what another computed."""

import os
from pathlib import Path

import pytest

# Threads that spin while they wait starve other processes on a busy machine; torch reads this when it loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# The tests shall not look at what the user keeps.
os.environ.pop("MVIT_NAS_CACHE", None)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this test's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MVIT_NAS_CACHE", str(folder))
    return folder
