"""confirmation.json and the ledger of looks at the test part: written, read, and refused in one line."""

import json

import pytest
from confirmations import CONFIRMATION, LOOKS

from mvit_nas.errors import InputError
from mvit_nas.study.confirmation_file import append_look, read_confirmation, read_looks, write_confirmation


def test_what_is_written_is_read_as_the_same(tmp_path):
    write_confirmation(CONFIRMATION, tmp_path)
    assert read_confirmation(tmp_path) == CONFIRMATION
    assert json.loads((tmp_path / "confirmation.json").read_text())["format"] == 1


def test_nothing_confirmed_is_none(tmp_path):
    assert read_confirmation(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.pop("format"), "is of the format None, this version reads 1; remove it, or confirm again"),
        (lambda it: it.update(format=2), "is of the format 2, this version reads 1"),
        (lambda it: it.pop("pairs"), "'pairs' is missing"),
        (lambda it: it.update(taken=3), "unknown 'taken', did you mean 'take'?"),
        (lambda it: it["networks"][1].update(trial="9"), r"networks\[1\]: trial must be a whole number, got '9'"),
        (lambda it: it["networks"][0]["accuracy"].update(value=True), "accuracy: value must be a number, got True"),
        (lambda it: it["ranks"].update(tau="high"), "ranks: tau must be a number, got 'high'"),
        (lambda it: it.update(seeds=3), "seeds must be a list, got 3"),
        (lambda it: it.update(lead=[]), r"lead must be an object, got \[\]"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_the_place(tmp_path, change, message):
    write_confirmation(CONFIRMATION, tmp_path)
    path = tmp_path / "confirmation.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=message) as raised:
        read_confirmation(tmp_path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_cut_off_is_named(tmp_path):
    (tmp_path / "confirmation.json").write_text('{"format": 1, ')
    with pytest.raises(InputError, match=r"confirmation.json is no JSON: .*; remove it, or confirm again"):
        read_confirmation(tmp_path)


def test_the_ledger_only_grows_and_a_broken_line_is_named(tmp_path):
    path = tmp_path / "test_reads.jsonl"
    assert read_looks(path) == ()
    for look in LOOKS:
        append_look(path, look)
    assert read_looks(path) == LOOKS
    with path.open("a") as file:
        file.write('{"date": ')
    with pytest.raises(InputError, match=r"test_reads.jsonl: line 3 is no JSON: .*; mend it"):
        read_looks(path)
