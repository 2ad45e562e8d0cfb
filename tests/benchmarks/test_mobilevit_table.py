import mobilevit_table as table
import pytest

from mvit_nas.arch.config import arch_id
from mvit_nas.arch.space import load_space


@pytest.fixture(scope="module")
def designs():
    return table.table_designs()


@pytest.fixture(scope="module")
def networks(designs):
    return table.networks(designs)


def test_the_space_has_576_networks_of_which_a_hundred_meet_each_budget(networks):
    macs = [design.cost.macs for design in networks]
    assert len({design.arch_id for design in networks}) == len(networks) == 576
    assert (macs[0], macs[-1]) == (1_606_016, 24_672_640)
    assert [sum(one <= budget for one in macs) for budget in (3_750_000, 7_500_000, 15_000_000)] == [111, 380, 548]


def test_every_network_is_one_of_the_shipped_space(networks):
    shipped = load_space("mobilevit_small")
    for design in networks:
        assert arch_id(shipped.arch(shipped.nearest_labels(design.arch))) == design.arch_id


def test_the_plan_has_each_training_once_and_begins_with_every_network(designs, networks):
    plan = table.plan(designs)
    first, rest = plan[:576], plan[576:]
    assert len({task.key for task in plan}) == len(plan) == 576 + 200 + 40 + 3 * 3 + 3
    assert {(task.design.arch_id, task.schedule, task.seed) for task in first} == {
        (design.arch_id, "short", 0) for design in networks
    }
    again = {design.arch_id for design in table.repeated(designs)}
    assert {task.design.arch_id for task in rest[:200]} == again
    assert {(task.schedule, task.seed) for task in rest[:200]} == {("short", 1), ("short", 2)}
    longer = [task for task in rest if task.schedule == "medium"]
    assert len(longer) == 43
    assert {task.design.arch_id for task in longer[:40]} < again
    assert [task.design.name for task in longer[40:]] == ["mobilevit_xxs", "mobilevit_xs", "mobilevit_s"]


def test_what_comes_first_of_either_half_is_spread_over_the_costs(designs, networks):
    rank = {design.arch_id: place for place, design in enumerate(networks)}
    plan = table.plan(designs)
    for part in (0, 1):
        ranks = sorted(rank[task.design.arch_id] for task in plan[part:100:2])
        steps = [after - before for before, after in zip([0, *ranks], [*ranks, 575], strict=True)]
        assert max(steps) < 40
