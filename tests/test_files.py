"""Files are there whole or not at all; a folder is one process's."""

import subprocess
import sys

import pytest

from mvit_nas.errors import InputError
from mvit_nas.files import claimed, write_text, write_whole


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
