from collections import Counter

import pytest
from example_study import CLASSES, study
from reports import view, write_report

from mvit_nas.arch.config import arch_id
from mvit_nas.arch.count import count
from mvit_nas.metrics import MACS, PARAMS
from mvit_nas.study.origin_file import read_origin
from mvit_nas.study.record import State


def test_it_is_the_same_for_the_same_seed_and_another_for_another():
    assert study(60, seed=1)[0].records == study(60, seed=1)[0].records
    assert study(60, seed=1)[0].records != study(60, seed=2)[0].records


def test_every_network_is_what_its_row_says():
    for record in study(80)[0].records:
        arch = record.candidate.arch
        if arch is not None:
            cost = count(arch, classes=CLASSES)
            found = record.candidate.arch_id, record.value(PARAMS), record.value(MACS)
            assert found == (arch_id(arch), cost.params, cost.macs)


def test_a_long_one_has_every_state_and_a_front():
    table, document = study(1500)
    counts = Counter(record.state for record in table.records)
    assert set(counts) == set(State)
    assert counts[State.COMPLETE] > 500
    stopped = [record.spent.trainings for record in table.records if record.state is State.STOPPED]
    assert 0 < sum(stopped) < len(stopped)
    assert len(view(table, document).front) >= 5


@pytest.mark.parametrize("trials", [0, 1, 40])
def test_a_report_is_made_of_it(trials, tmp_path):
    table, document = study(trials)
    write_report(table, document, tmp_path)
    assert read_origin(tmp_path / "environment.json").study == f"{trials} trials within three million"
