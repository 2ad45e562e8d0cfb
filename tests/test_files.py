"""Files are there whole or not at all; a folder is one process's."""

import errno
import os
import stat
import subprocess
import sys

import filelock
import pytest

from mvit_nas.errors import InputError
from mvit_nas.files import claimed, sweep, write_text, write_whole


def test_a_file_is_replaced_at_once_and_its_folder_made(tmp_path):
    path = tmp_path / "new/deep/file.txt"
    write_text(path, "one\n")
    seen = []

    def write(temporary):
        seen.append((temporary.parent, path.read_text()))
        temporary.write_text("two")

    write_whole(path, write)
    assert seen == [(path.parent, "one\n")]
    assert path.read_text() == "two"
    assert [one.name for one in path.parent.iterdir()] == ["file.txt"]


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def write(temporary):
        temporary.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        write_whole(path, write)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_is_claimed_by_one_process_and_free_afterwards(tmp_path):
    other = f"from pathlib import Path; from mvit_nas.files import claimed\nwith claimed(Path({str(tmp_path)!r})): pass"
    with claimed(tmp_path):
        refused = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True)
        with pytest.raises(InputError, match=r"another process is working on .*use another --name"), claimed(tmp_path):
            pass
    assert "another process is working on" in refused.stderr
    assert subprocess.run([sys.executable, "-c", other], capture_output=True, text=True).returncode == 0


def test_two_hosts_never_write_to_the_same_file_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 7)
    seen = []

    def write(temporary):
        seen.append(temporary)
        if len(seen) < 3:
            write_whole(tmp_path / "file.txt", write)  # while this one is being written
        temporary.write_text(str(len(seen)))

    write_whole(tmp_path / "file.txt", write)
    assert len(set(seen)) == 3
    assert [one.name for one in tmp_path.iterdir()] == ["file.txt"]


def test_what_killed_processes_left_is_swept_after_a_day_and_nothing_else(tmp_path, monkeypatch):
    left = [
        ".results.csv-0123456789abcdef.part",
        ".report.html-77",
        ".report.html.77",
        ".0a1b.json-a_9xyz01",
        ".model.mlpackage-0123456789abcdef.part",
    ]
    others = ["results.csv", ".hidden", ".settings-personal", ".env.12", "reserve", "study.db-wal", ".notes.json"]
    for name in (*left[:-1], *others):
        (tmp_path / name).write_text("x")
    (tmp_path / left[-1]).mkdir()
    (tmp_path / left[-1] / "part").write_text("x")
    (tmp_path / ".new.json-0123456789abcdef.part").write_text("of a living process")
    written = (tmp_path / "results.csv").stat().st_mtime
    for name in (*left, *others):
        os.utime(tmp_path / name, (written - 86_500, written - 86_500))
    os.utime(tmp_path / ".new.json-0123456789abcdef.part", (written - 80_000, written - 80_000))
    sweep(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {*others, ".new.json-0123456789abcdef.part"}
    sweep(tmp_path / "none")


def test_files_have_the_mode_that_the_umask_says(tmp_path):
    before = os.umask(0o002)
    try:
        write_text(tmp_path / "file.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o664


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, monkeypatch):
    def refuse(lock):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with (
        pytest.raises(InputError, match=r"cannot write to .* \(Permission denied\): choose another --out"),
        claimed(tmp_path),
    ):
        pass
