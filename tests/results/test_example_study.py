import json
from collections import Counter

import pandas as pd
import pytest
from example_study import CLASSES, study

from mvit_nas.arch.config import arch_id, from_dict
from mvit_nas.arch.count import count
from mvit_nas.results.report import read_environment, write_report
from mvit_nas.results.search.findings import front_rows
from mvit_nas.results.table import STATES, trainings


def test_it_is_the_same_for_the_same_seed_and_another_for_another():
    pd.testing.assert_frame_equal(study(60, seed=1)[0], study(60, seed=1)[0])
    assert not study(60, seed=1)[0]["accuracy"].equals(study(60, seed=2)[0]["accuracy"])


def test_every_network_is_what_its_row_says():
    table, _ = study(80)
    for row in table[table["arch"].str.len() > 0].to_dict("records"):
        arch = from_dict(json.loads(row["arch"]))
        cost = count(arch, classes=CLASSES)
        assert (row["arch_id"], row["params"], row["macs"]) == (arch_id(arch), cost.params, cost.macs)


def test_a_long_one_has_every_state_and_a_front():
    table, environment = study(1500)
    counts = Counter(table["state"])
    assert set(counts) == set(STATES)
    assert counts["complete"] > 500
    stopped = table[table["state"] == "stopped"]
    assert 0 < trainings(stopped).sum() < len(stopped)
    assert len(front_rows(table, environment["experiment"]["objectives"])) >= 5


@pytest.mark.parametrize("trials", [0, 1, 40])
def test_a_report_is_made_of_it(trials, tmp_path):
    table, environment = study(trials)
    write_report(table, environment, tmp_path)
    assert read_environment(tmp_path / "environment.json")["study"] == f"{trials} trials within three million"
