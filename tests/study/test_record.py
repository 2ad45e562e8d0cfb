"""What is known of one trial."""

import pytest
from sure import sure

from mvit_nas.metrics import ACCURACY
from mvit_nas.study.record import Candidate, Measured, Record, State
from mvit_nas.study.table import from_row, to_row

ONCE = Record(
    trial=3, state=State.COMPLETE, candidate=Candidate(arch=None, arch_id="a"), seed=7,
    values={"accuracy": Measured(value=0.4, low=0.3, high=0.5), "params": Measured(value=10)},
)  # fmt: skip


def test_with_several_seeds_a_score_is_their_mean():
    found = ONCE
    for seed, value in ((8, 0.6), (9, 0.8)):
        found = found.with_seed(seed, {"accuracy": Measured(value=value, low=value - 0.2, high=value + 0.2)}, seconds=2)
    score = sure(found.measured(ACCURACY))
    assert [score.value, score.low, score.high] == pytest.approx([0.6, 1.3 / 3, 2.3 / 3])
    assert [(one.seed, dict(one.values)) for one in found.by_seed] == [
        (7, {"accuracy": 0.4}), (8, {"accuracy": 0.6}), (9, {"accuracy": 0.8}),
    ]  # fmt: skip
    assert (ONCE.seeds, found.seeds, found.spent.seconds) == (1, 3, 4)
    assert found.values["params"].value == 10
    assert from_row(to_row(found)) == found


def test_an_interval_that_one_seed_lacks_the_mean_lacks():
    found = ONCE.with_seed(8, {"accuracy": Measured(value=0.6)}, seconds=0)
    assert found.values["accuracy"] == Measured(value=0.5)
