"""Names of strangers on a terminal."""

import io

from mvit_nas.cli.progress import Watch
from mvit_nas.cli.tables import add_row, new_table
from mvit_nas.cli.terminal import Terminal, show


def test_what_is_printed_is_seen_and_not_obeyed(capsys):
    show("cat\x1b[2J: 3 %\nd\rog")
    assert capsys.readouterr().out == "cat\\x1b[2J: 3 %\nd\\rog\n"


def test_a_table_has_its_own_colours_and_none_of_a_name():
    printed = io.StringIO()
    terminal = Terminal(file=printed, force_terminal=True, color_system="standard", width=60)
    table = new_table("class")
    add_row(table, "\x1b[31mcat")
    terminal.print(table)
    assert "\\x1b[31mcat" in printed.getvalue()
    assert "\x1b[1m" in printed.getvalue()
    assert "\x1b[31m" not in printed.getvalue()


def test_what_is_told_while_a_job_runs_is_seen_and_not_obeyed():
    printed = io.StringIO()
    Watch(Terminal(file=printed, width=200, highlight=False), None).say("left out: a\x1b]0;x\x07b.png\udcff")
    assert "\x1b" not in printed.getvalue()
    assert "\\x1b]0;x" in printed.getvalue()
    assert printed.getvalue().endswith("b.png\\udcff\n")
