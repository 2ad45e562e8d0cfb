"""Where studies are kept: what passes is tried again, what does not is told at once."""

import subprocess
import sys
import time
from typing import Any

import pytest
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError

from mvit_nas.errors import InputError
from mvit_nas.study import storage as storage_module
from mvit_nas.study.storage import open_file, open_server


class RefusedError(Exception):
    """As psycopg tells it."""

    def __init__(self, sqlstate):
        super().__init__(f"state {sqlstate}")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "attempts"),
    [("53300", 3), ("57P03", 3), ("25P03", 3), ("28P01", 1), (None, 1)],
    ids=["too many clients", "starting up", "idle for too long", "wrong password", "no server"],
)
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_what_passes_is_tried_again(monkeypatch, sqlstate, attempts, is_wrapped):
    asked: list[str] = []
    waited: list[float] = []
    there: Any = object()

    def opened(url, **_):
        asked.append(url)
        if len(asked) == 3:
            return there
        error = sqlalchemy.exc.OperationalError("connect", {}, RefusedError(sqlstate))
        if is_wrapped:
            raise StorageInternalError("in the storage") from error
        raise error

    monkeypatch.setattr(storage_module, "RDBStorage", opened)
    monkeypatch.setattr(time, "sleep", waited.append)
    if attempts == 3:
        assert open_server("postgresql://me@db/x") is there
        assert len(waited) == 2
    else:
        with pytest.raises(InputError, match=r"^--storage postgresql://me@db/x cannot be used: "):
            open_server("postgresql://me@db/x")
    assert asked == ["postgresql+psycopg://me@db/x"] * attempts


def test_two_that_open_a_new_study_at_once_both_can(tmp_path):
    text = "import sys; from pathlib import Path; from mvit_nas.study.storage import open_file; open_file(Path(sys.argv[1]))"
    command = [sys.executable, "-c", text, str(tmp_path)]
    opened = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(one.communicate()[1], one.returncode) for one in opened] == [("", 0)] * 4


def test_a_folder_that_cannot_be_one_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^cannot use .*study.db \(.*\): make room, or choose another --out$"):
        open_file(tmp_path / "file")
