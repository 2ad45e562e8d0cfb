"""What may be proposed, what it costs, and what is foreseen of it."""

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pytest
from searches import CLASSES, SPACE, Formula, candidates_of, searching
from sure import sure

from mvit_nas.arch.config import arch_id
from mvit_nas.arch.count import count
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.space import parse_space
from mvit_nas.evaluate.static import static_values
from mvit_nas.metrics import ACCURACY, LATENCY, MACS, PARAMS
from mvit_nas.optimize.designs import Designs
from mvit_nas.optimize.propose import Trained, propose
from mvit_nas.study.record import Measured

TINY = """
base: mobilevit_xxs
set: {image_size: 32}
factors:
  fusion: {paths: [stages.*.mobilevit.fusion], values: [none, conv1x1, conv3x3]}
  depth: {paths: [stages.*.mobilevit.depth], values: [4, 1, 2]}
"""
COUNTED = (ACCURACY, PARAMS, MACS)


def tiny():
    return parse_space(TINY, name="tiny", where="tiny")


def measured(candidates, factor):
    """Records of twelve of ``candidates``, so many milliseconds for a million multiply-adds."""
    record = searching(None, trials=1, space=tiny(), samples=20, estimator=Formula()).search.run()[0]
    return [
        replace(
            record,
            candidate=design.candidate,
            values={LATENCY.name: Measured(value=factor * design.cost.macs / 1e6)},
        )
        for design in candidates.feasible.designs[:: len(candidates.feasible.designs) // 12]
    ]


def test_a_surrogate_sees_choices_and_sizes():
    designs = Designs(tiny(), classes=CLASSES)
    design = designs.describe({"fusion": "conv1x1", "depth": 2})
    seen = designs.features(design)
    # Names each by itself, numbers by their rank.
    assert seen[:4] == (0.0, 1.0, 0.0, 0.5)
    assert designs.features(designs.describe({"fusion": "none", "depth": 4}))[:4] == (1.0, 0.0, 0.0, 1.0)
    assert seen[4:6] == (math.log(design.cost.params), math.log(design.cost.macs))
    assert len(seen) == 8
    assert seen[6] != seen[7]


def test_two_networks_that_cost_the_same_are_told_apart_by_their_choices():
    """Patch sizes cost next to nothing: only its choices tell the surrogate which network it sees."""
    candidates = candidates_of("6M", objectives=COUNTED, samples=50)
    one = candidates.feasible.designs[10]
    for name, labels in candidates.choices.items():
        others = [candidates.designs.describe({**one.labels, name: label}) for label in labels]
        rows = candidates.features(others)[:, :-4]
        assert len(np.unique(rows, axis=0)) == len(labels), name


def test_labels_without_effect_are_seen_all_the_same():
    candidates = candidates_of(objectives=COUNTED, samples=200)
    without = next(one for one in candidates.feasible.designs if sure(one.arch).stages[2].mobilevit is None)
    name = next(n for n in candidates.choices if n.startswith("depth.stages.2"))
    others = [candidates.designs.describe({**without.labels, name: label}) for label in candidates.choices[name]]
    assert len({one.arch_id for one in others}) == 1
    assert len(np.unique(candidates.features(others), axis=0)) == len(others)


def test_costs_are_counted_and_savings_are_what_they_leave_of_the_box():
    candidates = candidates_of("6M", objectives=(ACCURACY, MACS, PARAMS), samples=30)
    designs = candidates.feasible.designs
    savings = candidates.savings(designs)
    assert savings.shape == (len(designs), 2)
    cost = count(sure(designs[3].arch), classes=CLASSES)
    assert savings[3] == pytest.approx([1 - cost.macs / 1.5e8, 1 - cost.params / 6e6])
    assert candidates.savings([]).shape == (0, 2)


def test_before_any_measurement_latency_goes_with_the_multiply_adds_and_breaks_no_budget():
    candidates = candidates_of("1ms", objectives=(ACCURACY, LATENCY), samples=30)
    savings = candidates.savings(candidates.feasible.designs)[:, 0]
    assert list(savings) == sorted(savings, reverse=True)
    assert savings[-1] == pytest.approx(0.0)
    assert len(candidates.drawn) == len(candidates.feasible.designs)


def test_foreseen_latencies_follow_what_was_measured_last():
    candidates = candidates_of("20ms", objectives=(ACCURACY, LATENCY), samples=100)
    design = candidates.feasible.designs[50]
    found = []
    for factor in (1.0, 3.0):
        candidates.learn(measured(candidates, factor))
        found.append(candidates.foreseen_ms(design))
    assert found[1] == pytest.approx(3 * found[0], rel=0.01)
    assert found[0] == pytest.approx(design.cost.macs / 1e6, rel=0.5)
    assert candidates.savings([design])[0, 0] == pytest.approx(1 - found[1] / 150)


def test_what_is_foreseen_to_be_too_slow_is_no_candidate():
    candidates = candidates_of("20ms", objectives=(ACCURACY, LATENCY), samples=100)
    candidates.learn(measured(candidates, 1.0))
    slow = [one for one in candidates.feasible.designs if candidates.foreseen_ms(one) > 20]
    assert 0 < len(slow) < len(candidates.feasible.designs)
    assert not {one.arch_id for one in slow} & {one.arch_id for one in candidates.drawn}
    assert candidates.candidate(slow[0].labels) is None
    assert candidates.foreseen_excess(slow[0]) == pytest.approx(candidates.foreseen_ms(slow[0]) / 20 - 1)
    assert candidates.foreseen_excess(candidates.drawn[0]) == 0.0


def test_what_is_over_the_budget_is_no_candidate_and_is_moved_within_it():
    candidates = candidates_of("400K", objectives=COUNTED, samples=50)
    over = candidates.designs.describe(candidates.designs.presets["mobilevit_s"].labels)
    assert candidates.candidate(over.labels) is None
    near = candidates.repaired(over.labels)
    assert near is not None
    assert near.cost.params <= 400_000
    assert near == candidates.repaired(over.labels)


def test_untried_designs_are_near_first_within_the_budget_and_none_comes_that_was_tried():
    candidates = candidates_of("1M", objectives=COUNTED, samples=50)
    here = max(candidates.feasible.designs, key=lambda one: one.cost.params)  # beside the limit
    tried = {one.arch_id for one in candidates.feasible.designs[:40]}
    found = list(itertools.islice(candidates.untried(tried, here.labels, random.Random(0)), 12))
    assert not {one.arch_id for one in found} & tried
    assert all(one.cost.params <= 1e6 for one in found)
    apart = [sum(one.labels[name] != label for name, label in here.labels.items()) for one in found]
    assert set(apart) == {1}


def test_the_designs_of_a_small_space_are_all_untried_once():
    candidates = candidates_of(objectives=COUNTED, space=tiny(), samples=5)
    found = {one.arch_id for one in candidates.untried(set(), None, random.Random(0))}
    assert len(found) == 9
    assert not list(candidates.untried(found, None, random.Random(0)))


def test_a_preset_keeps_its_dropout_and_one_outside_the_space_says_so():
    designs = Designs(SPACE, classes=CLASSES)
    for name, design in designs.presets.items():
        assert design.name == design.candidate.name == name
        assert arch_id(with_values(SPACE.arch(design.labels), {"dropout": sure(design.arch).dropout})) == design.arch_id
        assert design.candidate.labels == design.labels
        assert designs.values(design) == static_values(sure(design.arch), classes=CLASSES)
    outside = Designs(tiny(), classes=CLASSES).presets
    assert all(one.is_outside and one.candidate.labels == {} and one.labels for one in outside.values())


def test_proposals_improve_on_what_only_choices_tell_apart():
    """The accuracy hangs on the patch size alone, which costs nothing that is counted."""
    candidates = candidates_of("6M", objectives=COUNTED, samples=80)
    factor = next(name for name in candidates.choices if name.startswith("patch"))
    best = candidates.choices[factor][0]

    def accuracy(design):
        return 0.9 if design.labels[factor] == best else 0.1

    trained = [Trained(design=one, accuracy=accuracy(one)) for one in candidates.feasible.designs[::2]]
    taken = {one.design.arch_id for one in trained}
    found = [
        propose(candidates, trained=trained, pending=[], taken=taken, generator=random.Random(i)) for i in range(5)
    ]
    assert all(design.labels[factor] == best for design, _ in map(sure, found))


def test_what_is_needed_is_the_part_of_the_scarcest_budget():
    candidates = candidates_of("2M", "100MMACs", objectives=(ACCURACY, PARAMS, MACS))
    chosen = candidates.drawn[:20]
    expected = [max(one.cost.params / 2e6, one.cost.macs / 1e8) for one in chosen]
    assert candidates.needed(chosen) == pytest.approx(expected)
    assert candidates_of(objectives=(ACCURACY, PARAMS, MACS)).needed(chosen) == pytest.approx([0.0] * 20)


def test_before_a_latency_was_measured_the_dearest_needs_the_whole_budget():
    candidates = candidates_of("6M", "10ms")
    needed = candidates.needed(candidates.drawn)
    assert needed[-1] == 1
    assert needed[0] < 0.1
