"""What earlier searches tell, and when they are believed."""

import random

import numpy as np
import pytest
from searches import SPACE, candidates_of

from mvit_nas.errors import InvalidArchError
from mvit_nas.metrics import ACCURACY, MACS, PARAMS
from mvit_nas.optimize import propose as propose_module
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.optimize.earlier import Earlier
from mvit_nas.optimize.propose import Trained, propose
from mvit_nas.optimize.surrogate import Surrogate
from mvit_nas.optimize.within_budget import spread


def drawn(designs, number, seed=0):
    generator = random.Random(seed)
    found: dict[str, Design] = {}
    while len(found) < number:
        try:
            design = designs.describe(designs.space.draw(generator))
        except InvalidArchError:
            continue
        found[design.arch_id] = design
    return list(found.values())


def accuracy(design):
    """The more multiply-adds, the better."""
    return 0.05 * np.log(design.cost.macs)


@pytest.fixture(scope="module")
def designs():
    return Designs(SPACE, classes=10)


def test_its_guesses_rank_networks_that_it_has_not_seen(designs):
    many = drawn(designs, 60)
    earlier = Earlier(designs, [[(one, accuracy(one)) for one in many[:40]]])
    assert earlier.agreement(many[40:], [accuracy(one) for one in many[40:]]) > 0.8
    assert earlier.agreement(many[40:], [-accuracy(one) for one in many[40:]]) < -0.8
    assert earlier.agreement(many[:1], [0.5]) == 0
    assert earlier.agreement(many[:5], [0.5] * 5) == 0


def test_a_study_on_harder_images_is_on_the_scale_of_the_others(designs):
    many = drawn(designs, 40)
    easy, hard = [(one, accuracy(one)) for one in many[:20]], [(one, accuracy(one) - 0.5) for one in many[20:]]
    earlier = Earlier(designs, [easy, hard])
    assert earlier.agreement(many, [accuracy(one) for one in many]) > 0.7


def test_it_is_believed_where_it_ranks_alike():
    assert Earlier.believes(0.5)
    assert not Earlier.believes(0.49)


@pytest.mark.parametrize(("sign", "more"), [(1, 1), (-1, 0)])
def test_the_surrogate_sees_the_guess_only_where_it_is_believed(monkeypatch, designs, sign, more):
    pool = candidates_of("6M", objectives=(ACCURACY, PARAMS, MACS))
    pool.earlier = Earlier(designs, [[(one, sign * accuracy(one)) for one in drawn(designs, 40, seed=1)]])
    seen = []

    class Hearing(Surrogate):
        def __init__(self, features_NF, *parts, groups_F):
            seen.append((features_NF.shape[1], len(groups_F), max(groups_F)))
            super().__init__(features_NF, *parts, groups_F=groups_F)

    monkeypatch.setattr(propose_module, "Surrogate", Hearing)
    trained = [Trained(design=one, accuracy=accuracy(one)) for one in spread(pool.drawn, 8)]
    found = propose(pool, trained=trained, pending=[], taken=set(), generator=random.Random(0))
    assert found is not None
    columns = len(pool.groups) + more
    assert seen == [(columns, columns, max(pool.groups) + more)]
