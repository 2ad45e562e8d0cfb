import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from how_sure import searched
from mobilevit_rows import write_table
from mobilevit_space import MobileViTTable, networks, table_designs
from mobilevit_table import plan
from mobilevit_tables import made_up

from mvit_nas.errors import InputError
from mvit_nas.evaluate.estimator import Question, never
from mvit_nas.maths.share import wilson
from mvit_nas.metrics import ACCURACY
from mvit_nas.study.record import Measured, Record, State


@pytest.fixture(scope="module")
def members():
    return networks(table_designs())


@pytest.fixture(scope="module")
def made():
    return [(task.design, made_up(task)) for task in plan(table_designs())]


@pytest.fixture(scope="module")
def path(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.parquet"
    write_table(path, made, [])
    return path


@pytest.fixture(scope="module")
def space(path):
    return MobileViTTable(path)


def question(design, *, seed):
    return Question(record=Record(trial=0, state=State.COMPLETE, candidate=design.candidate, seed=seed))


def trained(space, design, seed):
    return space.estimate(question(design, seed=seed), at_rung=never, should_stop=never)


def test_a_training_is_one_of_the_table_with_its_own_rungs(space, members, made):
    design = members[0]  # the cheapest one is among those with three seeds
    known = {one.seed: one for _, one in made if one.network == design.arch_id and one.schedule == "short"}
    assert sorted(known) == [0, 1, 2]
    for seed, expected in ((0, known[0]), (1, known[1]), (2, known[2]), (3, known[0]), (7, known[1])):
        found = trained(space, design, seed)
        low, high = wilson(expected.correct / 5000, 5000)
        assert found.accuracy == Measured(value=expected.correct / 5000, low=low, high=high)
        assert (found.rungs, found.epochs) == (expected.rungs, 4)
    assert len({one.correct for one in known.values()}) == 3


def test_a_network_that_was_trained_once_answers_every_seed_alike(space, members):
    once = next(design for design in members if len(space.trainings(design.arch_id)) == 1)
    assert trained(space, once, 0) == trained(space, once, 5)


def test_the_true_accuracy_is_the_mean_of_the_trainings_by_the_short_schedule(space, members, made):
    design = members[0]
    correct = [one.correct for _, one in made if one.network == design.arch_id and one.schedule == "short"]
    assert space.true_accuracy(design.candidate) == pytest.approx(sum(correct) / 3 / 5000)
    (longer,) = space.trainings(design.arch_id, "medium")
    assert longer.accuracy > max(one.accuracy for one in space.trainings(design.arch_id))


def test_a_training_can_be_stopped_at_a_rung(space, members):
    found = space.estimate(question(members[5], seed=0), at_rung=lambda rungs: rungs[-1].epoch == 2, should_stop=never)
    assert (found.accuracy, found.epochs, len(found.rungs)) == (None, 2, 2)


@pytest.mark.parametrize("macs", [15_000_000, 3_750_000])
def test_a_search_proposes_networks_of_the_table_within_the_budget_and_no_preset(path, members, macs):
    space = MobileViTTable(path, macs=macs)
    within = {design.arch_id for design in members if design.cost.macs <= macs}
    assert space.designs.presets == {}
    records = searched(space, 3, 14)
    assert len(records) == 14
    assert {record.candidate.arch_id for record in records} <= within
    assert {record.candidate.name for record in records} == {""}
    for record in records:
        assert record.values[ACCURACY.name].value == space.trained_accuracy(record.candidate, 3)
        assert [rung.epoch for rung in record.rungs] == [1, 2]
    volumes = space.measures(records)["log hypervolume"]
    assert all(np.diff(volumes) >= 0)
    assert 0 < volumes[-1] < 1


def test_the_paper_s_networks_are_beside_the_space(space):
    for design in table_designs().presets.values():
        assert [one.seed for one in space.trainings(design.arch_id)] == [0, 1, 2]
        assert [one.seed for one in space.trainings(design.arch_id, "medium")] == [0]


def test_a_table_that_lacks_networks_is_refused(made, members, tmp_path):
    path, lost = tmp_path / "table.parquet", {members[2].arch_id, members[100].arch_id}
    write_table(path, [(design, one) for design, one in made if one.network not in lost], [])
    words = f"{path} lacks 2 of 576 networks, {members[2].arch_id} among them"
    with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
        MobileViTTable(path)


def test_a_budget_that_nothing_meets_is_refused(path):
    words = f"no network of {path} has at most 1,000,000 multiply-adds"
    with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
        MobileViTTable(path, macs=1_000_000)


def test_what_is_no_table_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    with pytest.raises(InputError, match=f"^cannot read the table {re.escape(str(path))}: "):
        MobileViTTable(path)
    path.write_text("network,accuracy\n")
    with pytest.raises(InputError, match=f"^cannot read the table {re.escape(str(path))}: "):
        MobileViTTable(path)
    pq.write_table(pa.table({"network": ["aaaaaaaaaa"]}), path)
    words = f"{path} is no table of the MobileViT family: it has no column 'schedule'"
    with pytest.raises(InputError, match=f"^{re.escape(words)}$"):
        MobileViTTable(path)
