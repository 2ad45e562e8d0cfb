"""A search that begins trainings and ends the promising ones: what it spends, and what it learns from a loss."""

import numpy as np
import pytest
from freeze_thaw import Begun, FreezeThaw, _columns, _line, at_marks
from mobilevit_rows import write_table
from mobilevit_space import MobileViTTable, table_designs
from mobilevit_table import plan
from mobilevit_tables import made_up

from mvit_nas.metrics import ACCURACY, MACS


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.parquet"
    write_table(path, [(task.design, made_up(task)) for task in plan(table_designs())], [])
    return MobileViTTable(path)


def test_an_epoch_is_paid_when_it_is_trained_and_only_what_was_ended_counts(space):
    search = FreezeThaw(space, 0)
    assert (search.spent, len(search.found)) == (5.0, 5)
    search.run(8.0)
    ended = len(search.found) - 5
    assert search.spent == pytest.approx(5 + 0.75 * ended + 0.25 * (ended + len(search._frozen)))
    assert ended >= 1
    assert 8.0 <= search.spent < 8.75
    names = [one.candidate.arch_id for one in search.found] + [one.design.arch_id for one in search._frozen]
    assert len(set(names)) == len(names)
    assert all(one.values[MACS.name].value <= 15_000_000 for one in search.found)
    best = max(one.values[ACCURACY.name].value for one in search.found)
    assert at_marks(space, search.found, search.at)["best within the budget"][0] == pytest.approx(best)


def test_the_line_goes_through_the_losses(space):
    designs = space.candidates(0).drawn[:8]
    begun = [Begun(design=design, loss=2.0 + 0.05 * (place % 3)) for place, design in enumerate(designs)]
    rows, asked = _columns(begun[:6], begun[6:])
    accuracies = 3.0 - np.array([one.loss for one in begun])
    foreseen = asked @ _line(rows, accuracies[:6])
    assert foreseen == pytest.approx(accuracies[6:], abs=0.01)
