"""Documents on disk: by key, whole, and saved when the disk is full."""

import errno
import json
import os
import stat

import pytest

from mvit_nas.errors import InputError, PartialError
from mvit_nas.evaluate import cache as cache_module
from mvit_nas.evaluate.cache import Cache
from mvit_nas.files import write_text


def test_a_cached_document_comes_back_for_its_key_only(tmp_path):
    cache = Cache(tmp_path / "c")
    cache.put({"a": 1, "b": [1, 2]}, {"x": 0.5})
    assert Cache(tmp_path / "c").get({"b": [1, 2], "a": 1}, dict) == {"x": 0.5}
    assert cache.get({"a": 2, "b": [1, 2]}, dict) is None
    assert (cache.has({"a": 1, "b": [1, 2]}), cache.has({"a": 2, "b": [1, 2]})) == (True, False)
    assert list(cache.all()) == [({"a": 1, "b": [1, 2]}, {"x": 0.5})]


def test_a_half_written_document_counts_as_none(tmp_path):
    cache = Cache(tmp_path)
    cache.put({"a": 1}, {"x": 1})
    (document,) = tmp_path.glob("*.json")
    document.write_text(document.read_text()[:-5])
    assert cache.get({"a": 1}, dict) is None


def test_a_document_under_the_name_of_another_counts_as_none(tmp_path):
    cache = Cache(tmp_path)
    cache.put({"a": 1}, {"x": 1})
    (document,) = tmp_path.glob("*.json")
    document.write_text(document.read_text().replace('"a": 1', '"a": 2'))
    assert cache.get({"a": 1}, dict) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_still_keeps_the_last_result(tmp_path, monkeypatch, number):
    cache = Cache(tmp_path)
    real = write_text

    def full(path, text):
        if (tmp_path / "reserve").exists():
            raise OSError(number, "No space left on device")
        real(path, text)

    monkeypatch.setattr(cache_module, "write_text", full)
    with pytest.raises(PartialError, match=r"is full; the last result is saved") as raised:
        cache.put({"a": 1}, {"x": 1})
    assert raised.value.exit_code == 4
    assert cache.get({"a": 1}, dict) == {"x": 1}


KEY = {"a": 1, "arch": {"dim": 64}}
SCORE = {"accuracy": 0.7125, "correct_K": [3, 5], "failure": None, "name": "é"}


def test_a_bit_that_flipped_anywhere_makes_a_document_unknown(tmp_path):
    """Every bit of a document: none that says something else is believed, and none is an error."""
    cache = Cache(tmp_path)
    cache.put(KEY, SCORE)
    (path,) = tmp_path.glob("*.json")
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            found = cache.get(KEY, dict)
            assert found is None or (found == SCORE and b"\\u00E9" in flipped), bytes(flipped)
    path.write_bytes(whole)
    assert cache.get(KEY, dict) == SCORE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        '{"key": 1}',
        '{"key": 1, "value": 2}',
        "[" * 10**5,
        '{"key": {"a": 1}, "value": {}, "x": 1}',
        "\xff",
    ],
)
def test_what_is_no_document_is_unknown(tmp_path, text):
    cache = Cache(tmp_path)
    cache.put({"a": 1}, {"x": 1})
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(text.encode("latin-1"))
    assert cache.get({"a": 1}, dict) is None
    assert not cache.has({"a": 1})
    assert list(cache.all()) == []


def test_a_document_of_an_earlier_version_is_believed(tmp_path):
    cache = Cache(tmp_path)
    cache.put(KEY, SCORE)
    (path,) = tmp_path.glob("*.json")
    path.write_text(json.dumps({"key": KEY, "value": SCORE}))
    assert cache.get(KEY, dict) == SCORE
    assert list(cache.all()) == [(KEY, SCORE)]


def test_a_document_that_its_reader_cannot_take_is_unknown(tmp_path):
    cache = Cache(tmp_path)
    cache.put(KEY, SCORE)
    for error in (KeyError("x"), TypeError("x"), ValueError("x"), AttributeError("x")):

        def read(value, error=error):
            raise error

        assert cache.get(KEY, read) is None


def test_documents_can_be_read_by_whoever_may_read_files(tmp_path):
    before = os.umask(0o027)
    try:
        cache = Cache(tmp_path)
        cache.put(KEY, SCORE)
    finally:
        os.umask(before)
    (path,) = tmp_path.glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_cache_that_cannot_be_written_to_is_told_before_anything_is_trained(tmp_path, monkeypatch):
    Cache(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(
        InputError, match=rf"cannot write to the cache {tmp_path} \(Permission denied\): make it writable"
    ):
        Cache(tmp_path)


def test_a_cache_that_can_no_longer_be_written_to_is_told(tmp_path, monkeypatch):
    def refuse(path, text):
        raise OSError(errno.EROFS, "Read-only file system")

    cache = Cache(tmp_path)
    monkeypatch.setattr(cache_module, "write_text", refuse)
    with pytest.raises(InputError, match=r"cannot write to the cache .* \(Read-only file system\)"):
        cache.put(KEY, SCORE)


def test_what_a_killed_process_left_is_swept(tmp_path):
    Cache(tmp_path)
    (tmp_path / ".0123.json-77").write_text("half")
    os.utime(tmp_path / ".0123.json-77", (0, 0))
    Cache(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["reserve"]
