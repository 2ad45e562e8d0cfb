"""What a person reads when something is wrong: one line that a terminal only shows."""

import pytest

from mvit_nas.errors import InputError, unknown, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("up\rdown\nleft\t", r"up\rdown\nleft\t"),
        ("\x7f\x9b\u2028\u202e", r"\x7f\x9b\u2028\u202e"),
        ("caf\udce9", r"caf\udce9"),
        ("é ² 日本 · [x]", "é ² 日本 · [x]"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, shown):
    assert visible(text) == shown
    assert str(InputError(f"no class {text}")) == f"no class {shown}"


def test_a_long_message_keeps_its_place_and_its_remedy():
    whole = InputError("a" * 200 + "b" * 100)
    assert str(whole) == "a" * 200 + "b" * 100
    long = str(InputError("space.yaml: " + "x" * 10_000 + ": write another"))
    assert len(long) == 300
    assert long.startswith("space.yaml: xxx")
    assert long.endswith("xxx: write another")
    assert " ... " in long


def test_a_long_key_is_not_compared_whole():
    assert unknown("x" * 10**6, ["blocks"]) == f"unknown {'x' * 300!r}, known are blocks"
    assert unknown("block", ["blocks"]) == "unknown 'block', did you mean 'blocks'?"
