"""Documents on disk: by key, whole, and saved when the disk is full."""

import errno

import pytest

from mvit_nas.errors import PartialError
from mvit_nas.evaluate import cache as cache_module
from mvit_nas.evaluate.cache import Cache
from mvit_nas.files import write_text


def test_a_cached_document_comes_back_for_its_key_only(tmp_path):
    cache = Cache(tmp_path / "c")
    cache.put({"a": 1, "b": [1, 2]}, {"x": 0.5})
    assert Cache(tmp_path / "c").get({"b": [1, 2], "a": 1}) == {"x": 0.5}
    assert cache.get({"a": 2, "b": [1, 2]}) is None


def test_a_half_written_document_counts_as_none(tmp_path):
    cache = Cache(tmp_path)
    cache.put({"a": 1}, {"x": 1})
    (document,) = tmp_path.glob("*.json")
    document.write_text(document.read_text()[:-5])
    assert cache.get({"a": 1}) is None


def test_a_document_under_the_name_of_another_counts_as_none(tmp_path):
    cache = Cache(tmp_path)
    cache.put({"a": 1}, {"x": 1})
    (document,) = tmp_path.glob("*.json")
    document.write_text(document.read_text().replace('"a": 1', '"a": 2'))
    assert cache.get({"a": 1}) is None


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
    assert cache.get({"a": 1}) == {"x": 1}
