"""What the machine has, and what the cache holds."""

import json
import os
import time

import pytest

from mvit_nas.errors import InputError
from mvit_nas.jobs.cache import look
from mvit_nas.jobs.doctor import examine
from mvit_nas.settings.parse import parse_bytes
from mvit_nas.settings.workers import CacheSettings, DoctorSettings

DAY = 24 * 3600


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Three evaluations of 100, 200 and 300 bytes, 1, 2 and 3 days old, and a part of decoded images."""
    monkeypatch.setenv("MVIT_NAS_CACHE", str(tmp_path))
    (tmp_path / "evaluations").mkdir()
    for days in (1, 2, 3):
        file = tmp_path / "evaluations" / f"{days}.json"
        file.write_bytes(b"x" * 100 * days)
        os.utime(file, (time.time() - days * DAY - 60,) * 2)
    part = tmp_path / "images/photos-1"
    part.mkdir(parents=True)
    (part / "pixels.npy").write_bytes(b"x" * 1000)
    (tmp_path / "evaluations/reserve").write_bytes(b"x" * 10)
    return tmp_path


def counted(**settings):
    _, kinds = look(CacheSettings(**settings))
    return {one.name: (one.entries, one.size_bytes, one.chosen, one.chosen_bytes) for one in kinds if one.entries}


def test_the_cache_says_what_it_holds(cache):
    assert counted() == {"evaluations": (3, 600, 0, 0), "images": (1, 1000, 0, 0)}


def test_what_is_old_or_too_much_is_counted_and_removed_only_when_asked(cache):
    assert counted(older_than_seconds=2 * DAY)["evaluations"] == (3, 600, 2, 500)
    assert counted(at_most_bytes=1300)["evaluations"] == (3, 600, 1, 300)
    assert len(list((cache / "evaluations").glob("*.json"))) == 3
    assert counted(at_most_bytes=1100, remove=True)["evaluations"] == (3, 600, 2, 500)
    assert [one.name for one in (cache / "evaluations").glob("*.json")] == ["1.json"]
    assert counted(at_most_bytes=50, remove=True)["images"][2] == 1
    assert not (cache / "images/photos-1").exists()
    assert (cache / "evaluations/reserve").exists()


def test_nothing_is_removed_that_was_not_chosen():
    with pytest.raises(InputError, match=r"^--remove: say what, by --older-than or --at-most$"):
        CacheSettings(remove=True)


@pytest.mark.parametrize(("text", "size"), [("20GB", 20e9), ("1.5 MB", 1.5e6), ("1GiB", 2**30), ("7B", 7)])
def test_sizes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["20", "GB", "-1GB", "1 PB"])
def test_what_is_no_size_is_said(text):
    with pytest.raises(InputError, match="is no size: write 20GB, 500MB or 1GiB"):
        parse_bytes(text)


def test_the_doctor_says_what_is_there_and_what_to_type(cache, tmp_path):
    findings = examine(DoctorSettings(out=tmp_path, storage="postgresql://me@127.0.0.1:1/x"))
    parts = {one.part: one for one in findings}
    assert list(parts) == ["torch", "cores", "runtime", "latency", "cache", "disk", "storage"]
    assert parts["cache"].remedy == ""
    assert "cannot be used: connection failed" in parts["storage"].found
    assert parts["storage"].remedy
    assert json.dumps([one.found for one in findings])


def test_a_cache_that_cannot_be_written_is_found(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MVIT_NAS_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("mvit_nas.jobs.doctor.shutil.disk_usage", lambda folder: type("Usage", (), {"free": 2**30}))
    parts = {one.part: one for one in examine(DoctorSettings())}
    assert parts["cache"].remedy == "set MVIT_NAS_CACHE to a folder of yours"
    assert parts["disk"].remedy == "make room: mvit-nas cache --older-than 30d --remove"
