import re

import pytest
from lines import Lines, read_lines

from mvit_nas.errors import InputError

FIELDS = ("network", "accuracy")


def test_what_is_added_is_there_the_next_time(tmp_path):
    path = tmp_path / "new" / "rows.csv"
    lines = Lines(path, FIELDS)
    assert lines.lines == []
    lines.add({"network": "one, two", "accuracy": "0.5"})
    lines.add({"network": "three", "accuracy": "0.75"})
    assert (
        Lines(path, FIELDS).lines
        == read_lines(path, FIELDS)
        == [
            {"network": "one, two", "accuracy": "0.5"},
            {"network": "three", "accuracy": "0.75"},
        ]
    )


@pytest.mark.parametrize("left", ["thr", "three,", "three,0.7"])
def test_what_a_kill_left_of_a_line_is_taken_back(tmp_path, left):
    path = tmp_path / "rows.csv"
    path.write_text("network,accuracy\none,0.5\n" + left)
    lines = Lines(path, FIELDS)
    assert lines.lines == [{"network": "one", "accuracy": "0.5"}]
    lines.add({"network": "two", "accuracy": "0.6"})
    assert path.read_text() == "network,accuracy\none,0.5\ntwo,0.6\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("network,seconds\none,1\n", "the columns of PATH are not network, accuracy"),
        ("network,accuracy\none,0.5\ntwo\n", "PATH line 3 has not 2 values: remove it"),
        ("network,accuracy\none,0.5,1\n", "PATH line 2 has not 2 values: remove it"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, text, words):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=f"^{re.escape(words.replace('PATH', str(path)))}$"):
        Lines(path, FIELDS)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "rows.csv"
    with pytest.raises(InputError, match=f"^cannot read {re.escape(str(path))}: .*No such file"):
        read_lines(path, FIELDS)
    path.write_bytes(b"network,accuracy\n\xff,1\n")
    with pytest.raises(InputError, match=f"^cannot read {re.escape(str(path))}: .*utf-8"):
        read_lines(path, FIELDS)
