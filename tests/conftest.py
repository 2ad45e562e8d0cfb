"""Every test has its own cache, so that none finds what another computed."""

import os
from pathlib import Path

import pytest

# The tests shall not look at what the user keeps.
os.environ.pop("MVIT_NAS_CACHE", None)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this test's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MVIT_NAS_CACHE", str(folder))
    return folder
