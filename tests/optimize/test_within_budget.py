"""What of a space meets the budget: drawn, or walked to."""

import random

import pytest
from searches import CLASSES, SPACE, drawn

from mvit_nas.arch.space import parse_space
from mvit_nas.budget import parse_budget
from mvit_nas.errors import NothingFeasibleError, SpaceError
from mvit_nas.optimize.designs import Designs
from mvit_nas.optimize.within_budget import descend, presets_within, sample_feasible, spread, violation

DESIGNS = Designs(SPACE, classes=CLASSES)


def feasible(*budgets, samples, seed=0):
    return sample_feasible(DESIGNS, [parse_budget(text) for text in budgets], seed=seed, samples=samples)


def test_a_budget_below_everything_is_an_error_that_names_the_nearest():
    with pytest.raises(NothingFeasibleError, match=r"nothing in mobilevit_small meets the budget \(at most 1K parameters\); the nearest candidate seen, [0-9a-f]{10}, has [\d.]+K parameters") as raised:  # fmt: skip
        feasible("1K", samples=100)
    named = str(raised.value)
    # The walk went on to the bottom of the space, below what 100 draws saw.
    assert float(named.split(", has ")[1].split("K")[0]) < 40


def test_the_last_step_of_a_walk_leaves_least_of_the_budget():
    budgets = [parse_budget("400K"), parse_budget("20MMACs")]
    over = [one for one in feasible(samples=40).designs if violation(one.cost, budgets) > 0]
    assert len(over) > 10
    ends = [descend(DESIGNS, one, budgets, generator=random.Random(0)) for one in over]
    excess = sorted(violation(end.cost, budgets) for end in ends)
    assert excess[-1] <= 0
    assert excess[len(excess) // 2] > -0.1  # half of them end within a tenth of the limit


def test_a_walk_finds_what_no_draw_hits():
    smallest = drawn(SPACE, (parse_budget("1G"),), seed=0, samples=1000)[1].designs[0]
    found = feasible("40K", samples=50)
    assert (found.fitting, found.drawn, len(found.designs)) == (0, 50, 1)
    assert found.designs[0].cost.params <= 40_000 < smallest.cost.params


def test_a_sample_says_what_share_is_within_the_budget():
    found = feasible("1M", samples=200)
    assert found.share == found.fitting / 200
    assert 0.05 < found.share < 0.95
    assert len(found.designs) <= found.fitting
    assert [one.cost.macs for one in found.designs] == sorted(one.cost.macs for one in found.designs)


def test_a_range_keeps_both_ends():
    found = feasible("1M..1.2M", samples=400)
    assert found.designs
    assert all(1e6 <= design.cost.params <= 1.2e6 for design in found.designs)
    assert violation(found.designs[0].cost, [parse_budget("1M..1.2M")]) <= 0


@pytest.mark.parametrize("budgets", [("1M", "1MMACs"), ("1MMACs", "1M"), ("1M", "1MMACs", "1ms")])
def test_the_budget_that_is_broken_most_counts_and_latency_is_not_known_yet(budgets):
    design = feasible(samples=5).designs[-1]
    worst = max(design.cost.params, design.cost.macs) / 1e6 - 1
    assert violation(design.cost, [parse_budget(text) for text in budgets]) == pytest.approx(worst)


def test_a_space_in_which_nothing_is_a_network_says_why():
    text = """
base: mobilevit_xxs
set: {image_size: 32}
factors:
  heads: {paths: [stages.*.mobilevit.heads], values: [7]}
"""
    designs = Designs(parse_space(text, name="tiny", where="tiny"), classes=CLASSES)
    with pytest.raises(SpaceError, match=r"none of 50 drawn settings is a network.*dim=64, heads=7"):
        sample_feasible(designs, (), seed=0, samples=50)


def test_a_spread_takes_both_ends():
    designs = feasible(samples=50).designs
    chosen = spread(designs, 4)
    assert (chosen[0], chosen[-1], len(chosen)) == (designs[0], designs[-1], 4)
    assert spread(designs[:2], 4) == list(designs[:2])
    assert spread(designs, 0) == []


def test_presets_are_members_of_the_shipped_space_and_some_meet_a_budget():
    assert [one.name for one in presets_within(DESIGNS, [parse_budget("3M")])] == ["mobilevit_xxs", "mobilevit_xs"]
    assert not any(one.is_outside for one in DESIGNS.presets.values())
