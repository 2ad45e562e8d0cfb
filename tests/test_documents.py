"""YAML and JSON of strangers: plain values, or one line."""

import json
import os

import pytest

from mvit_nas import documents
from mvit_nas.documents import parse_json, parse_yaml, read_json, read_yaml
from mvit_nas.errors import InputError, SpaceError

# 3^20 values, from 20 short lines.
ALIASES = "a0: &a0 [1, 1, 1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 20))


def test_plain_values_come_back():
    text = 'a: [1, 0x10, 1.5, .inf, true, null, 2020-01-01, "x"]\nb: &b {1: 2}\nc: {<<: *b, d: ~}'
    assert parse_yaml(text, where="f") == {
        "a": [1, 16, 1.5, float("inf"), True, None, "2020-01-01", "x"],
        "b": {1: 2},
        "c": {1: 2, "d": None},
    }
    assert parse_json('{"a": [1, 2.5, null, true, "x"]}', where="f") == {"a": [1, 2.5, None, True, "x"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "f is no YAML: expected the node content, but found '<stream end>' in line 1"),
        ("a: 1\nb: !!int abc", "f is no YAML: 'abc' is no int in line 2"),
        ("!!bool maybe", "f is no YAML: 'maybe' is no bool in line 1"),
        ("!!int ''", "f is no YAML: '' is no int in line 1"),
        ("!!float 1.2.3", "f is no YAML: '1.2.3' is no float in line 1"),
        ("!!binary aGk=", "f is no YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:binary'"),
        ("!!set {a, b}", "f is no YAML: could not determine a constructor"),
        ("!!python/object/apply:os.system ['true']", "f is no YAML: could not determine a constructor"),
        ("[1]: 2", "f is no YAML: found unhashable key in line 1"),
        ("9" * 5000, f"f is no YAML: '{'9' * 40}' is no int in line 1"),
        ("1" + ":1" * 100_000, f"f is no YAML: '{'1:' * 20}' is no int in line 1"),
        ("9" * 30, "f is no YAML: a whole number has more than 19 digits"),
        ("[" * 20_000, "f is no YAML: values are nested more than 64 deep"),
        ("[" * 65 + "]" * 65, "f is no YAML: values are nested more than 64 deep"),
        ("&a [*a]", "f is no YAML: values are nested more than 64 deep"),
        (ALIASES, "f is no YAML: it holds more than 2,000,000 values"),
        ("x" * (1 << 20) + "y", "f is no YAML: it is longer than 1,048,576 characters"),
        ("a: \x00", "f is no YAML: "),
    ],
)
def test_whatever_is_wrong_with_yaml_is_one_line(text, words):
    with pytest.raises(SpaceError) as caught:
        parse_yaml(text, where="f", raises=SpaceError)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": ', "f is no JSON: Expecting value: line 1 column 7 (char 6)"),
        ("[" * 100_000 + "]" * 100_000, "f is no JSON: values are nested more than 64 deep"),
        ("[" * 65 + "]" * 65, "f is no JSON: values are nested more than 64 deep"),
        ("9" * 5000, "f is no JSON: Exceeds the limit (4300 digits)"),
        ('{"a": [-' + "9" * 30 + "]}", "f is no JSON: a whole number has more than 19 digits"),
    ],
)
def test_whatever_is_wrong_with_json_is_one_line(text, words):
    with pytest.raises(InputError) as caught:
        parse_json(text, where="f")
    assert str(caught.value).startswith(words)


def test_text_that_no_file_can_hold_is_written_out():
    assert parse_json('{"caf\\udce9": ["\\ud83d\\ude00 \\UD800", "\\\\udce9"]}'.replace("U", "u"), where="f") == {
        "caf\\udce9": ["😀 \\ud800", "\\udce9"]
    }
    with pytest.raises(InputError, match=r"^f is no YAML: 'caf.* is no str in line 1$"):
        parse_yaml('"caf\\udce9"', where="f")


def test_what_is_nested_as_deep_as_may_be_is_read():
    deepest = json.loads("[" * 64 + "]" * 64)
    assert parse_json(json.dumps(deepest), where="f") == deepest
    assert parse_yaml("[" * 64 + "]" * 64, where="f") == deepest


def test_many_values_are_refused_and_as_many_as_may_be_are_read(monkeypatch):
    monkeypatch.setattr(documents, "_MOST_VALUES", 10)
    assert parse_json(json.dumps([0] * 9), where="f") == [0] * 9
    with pytest.raises(InputError, match="f is no JSON: it holds more than 10 values"):
        parse_json(json.dumps([0] * 10), where="f")


@pytest.mark.parametrize("read", [read_yaml, read_json])
def test_a_file_that_is_no_file_is_refused_at_once(tmp_path, read):
    pipe, link, binary = tmp_path / "pipe", tmp_path / "link", tmp_path / "binary"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    binary.write_bytes(b"\xff\xfe\x00")
    for path, words in (
        (pipe, "it is no regular file"),
        (link, "it is no regular file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "none", "No such file or directory"),
        (binary, "it is no text in UTF-8"),
    ):
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(caught.value) == f"cannot read {path}: {words}"


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "space.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="it is larger than 1,048,576 bytes"):
        read_yaml(path)
    with pytest.raises(InputError, match="it is larger than 16,777,216 bytes"):
        read_json(path)


def test_lines_may_end_as_on_windows(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b'a: |\r\n  one\r\n  two\r\n"b": 1\r\n')
    assert read_yaml(tmp_path / "x.yaml") == {"a": "one\ntwo\n", "b": 1}
