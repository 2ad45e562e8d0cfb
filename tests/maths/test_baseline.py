import numpy as np
import pytest
from reports import headline, view

from mvit_nas.maths.exchange import against_random
from mvit_nas.maths.hypervolume import Box, hypervolume, sampled_volumes
from mvit_nas.metrics import ACCURACY, PARAMS
from mvit_nas.results.search.findings import findings
from mvit_nas.results.table import table_of
from mvit_nas.results.view import values_where_complete

BOX = Box(reference=(0.0, 64.0), maximise=(True, False), ideal=(1.0, 1.0))
SENTENCE = "Against random sampling: "


def environment(**changes):
    experiment = {
        "objectives": ["accuracy", "params"],
        "schedule": {"name": "short"},
        "budgets": [],
        "sampler": "cost-aware",
        "baseline": 0.25,
    }
    return {
        "experiment": experiment | changes,
        "hypervolume_reference": {"accuracy": 0.0, "params": 64.0},
        "presets": [],
        "latency": None,
    }


def row(trial, proposed_by, accuracy, params, state="complete", **more):
    known = {"trial": trial, "arch_id": f"a{trial}", "state": state, "params": params, "proposed_by": proposed_by}
    return known | ({"accuracy": accuracy} if state == "complete" else {}) | more


# By hand, in a box of accuracy 0 to 1 and six halvings of 64 parameters. The sampler's first three trainings are
# (0.8, 16), one that was stopped and (0.9, 32): in sixths, 0.9 + 0.8. Random sampling's three are (0.4, 16), (0.5, 32)
# and (0.2, 8): 0.5 + 0.4 + 0.2.
ROWS = [
    row(0, "preset", 0.95, 1),  # neither's
    row(1, "cost-aware", 0.8, 16, trainings=1.0),
    row(2, "random", 0.4, 16),
    row(3, "cost-aware", None, 5, state="over_budget"),
    row(4, "cost-aware", None, 4, state="stopped", trainings=0.5),
    row(5, "random", 0.5, 32),
    row(6, "cost-aware", 0.9, 32),
    row(7, "random", 0.2, 8),
    row(8, "cost-aware", 0.1, 1),  # the fourth begun, which 3 trainings do not pay for
    row(9, "cost-aware", 0.99, 1),
]


def test_what_a_row_cost_is_its_share_where_it_was_stopped():
    states = ["complete", "failed", "stopped", "over_budget", "duplicate", "invalid"]
    table = table_of({"state": state, "trainings": 0.25 if state == "stopped" else None} for state in states)
    assert [record.spent.trainings for record in table.records] == [1.0, 1.0, 0.25, 0.0, 0.0, 0.0]


def of_rows(rows):
    records = table_of(rows).records
    by_sampler, by_random = (
        np.array([record.proposed_by == name for record in records]) for name in ("cost-aware", "random")
    )
    values = values_where_complete(records, (ACCURACY, PARAMS))
    spent = np.array([record.spent.trainings for record in records])
    return against_random(values, spent, by_sampler=by_sampler, by_random=by_random, box=BOX)


def test_both_count_as_far_as_the_compute_goes_that_both_have_had():
    found = of_rows(ROWS)
    assert found.trainings == 3.0
    assert found.hypervolume == pytest.approx((0.9 + 0.8) / 6)
    assert found.random_hypervolume == pytest.approx((0.5 + 0.4 + 0.2) / 6)
    assert (found.finished, found.random_finished) == (2, 3)
    assert found.p is None


def test_p_is_the_share_of_exchanges_that_come_out_as_far_ahead():
    # Each of the sampler's three adds volume and none of the others does: of the 20 ways to choose three of six as the
    # sampler's, only the one that was leaves the other side with nothing but (0.1, 9).
    rows = [
        row(i, "cost-aware", accuracy, params) for i, (accuracy, params) in enumerate([(0.5, 2), (0.7, 4), (0.9, 6)])
    ]
    rows += [row(3 + i, "random", 0.1, 9) for i in range(3)]
    found = of_rows(rows)
    assert found.p == pytest.approx(1 / 20, abs=0.012)
    for one in rows:
        one["proposed_by"] = "random" if one["proposed_by"] == "cost-aware" else "cost-aware"
    assert of_rows(rows).p == 1.0


def test_where_all_candidates_are_alike_p_is_one():
    rows = [row(i, name, 0.5, 5) for i, name in enumerate(["cost-aware", "random"] * 4)]
    assert of_rows(rows).p == 1.0


def test_two_thousand_exchanges_cannot_say_less_than_one_in_as_many():
    rows = [row(i, "cost-aware", 0.3 + 0.05 * i, 1 + i) for i in range(9)]
    rows += [row(9 + i, "random", 0.05, 9) for i in range(9)]
    assert of_rows(rows).p == pytest.approx(1 / 2001)


def near(generator, number, accuracy, params):
    """Candidates around one point."""
    return [(accuracy + da, params + dp) for da, dp in generator.uniform([-0.005, -0.05], [0.005, 0.05], (number, 2))]


# In one, each side is far ahead somewhere and has little but crowds of beaten rows elsewhere, which decide; in the
# other, sampler and random sampling find much the same.
CROWDS = {
    "beaten rows decide": lambda g: (
        near(g, 25, 0.3, 2) + near(g, 25, 0.68, 6.2),
        near(g, 25, 0.7, 6) + near(g, 25, 0.05, 3),
    ),
    "much the same": lambda g: (g.uniform([0, 0], [0.8, 10], (60, 2)), g.uniform([0, 0], [0.82, 10], (60, 2))),
}


@pytest.mark.parametrize("name", CROWDS)
def test_p_counts_every_row_however_many_there_are(name):
    """Against exact volumes of all rows, by brute force over 400 exchanges."""
    own, other = CROWDS[name](np.random.default_rng(4))
    points, generator = np.vstack([own, other]), np.random.default_rng(1)

    def ahead(chosen):
        return hypervolume(points[chosen], BOX) - hypervolume(points[~chosen], BOX)

    observed = np.arange(len(points)) < len(own)
    found = against_random(points, np.ones(len(points)), by_sampler=observed, by_random=~observed, box=BOX)
    exchanged = [ahead(generator.permutation(observed)) for _ in range(400)]
    assert found.p == pytest.approx(np.mean(np.array(exchanged) >= ahead(observed)), abs=0.08)


def test_sampled_volumes_are_near_the_exact_ones():
    generator = np.random.default_rng(3)
    values = np.column_stack([generator.random(12), 10 * generator.random((12, 2))])
    box = Box(reference=(0.0, 10.0, 10.0), maximise=(True, False, False), ideal=(1.0, 10 / 64, 10 / 64))
    subsets = generator.random((20, 12)) < 0.4
    subsets[0] = False
    found = sampled_volumes(values, subsets, box)
    exact = [hypervolume(values[subset], box) for subset in subsets]
    assert found == pytest.approx(exact, abs=0.01)
    assert found[0] == 0
    assert sampled_volumes(values + 10, subsets, box).tolist() == [0.0] * 20


def test_the_headline_says_what_the_search_gains():
    rows = [row(i, "cost-aware", 0.4 + 0.05 * i, 1 + i) for i in range(9)]
    rows += [row(9 + i, "random", 0.35, 50) for i in range(8)]
    # The study has three classes, and the box begins at what guessing among them has.
    box = Box(reference=(1 / 3, 64.0), maximise=(True, False), ideal=(1.0, 1.0))
    best = hypervolume(np.array([[0.4 + 0.05 * i, 1 + i] for i in range(8)]), box)
    assert headline(view(rows, environment()))[-1] == (
        f"{SENTENCE}after 8.0 trainings each, hypervolume {best:.3f} against 0.001 (p = 0.0005, by exchanging who "
        "proposed what)."
    )


def test_too_few_are_said_to_be():
    assert headline(view(ROWS, environment()))[-1] == (
        f"{SENTENCE}2 trained candidates by cost-aware and 3 drawn at random are too few to tell."
    )


@pytest.mark.parametrize(
    "changes", [{"sampler": "random"}, {"baseline": 0.0}, {"objectives": ["accuracy", "macs"]}], ids=str
)
def test_a_search_that_had_no_baseline_says_nothing(changes):
    titles = [one.title for one in findings(view(ROWS, environment(**changes)))]
    assert "Against random sampling" not in titles


def test_an_older_search_says_nothing():
    old = environment()
    del old["experiment"]["sampler"], old["experiment"]["baseline"]
    rows = [{key: value for key, value in one.items() if key != "proposed_by"} for one in ROWS]
    for table, document in ((ROWS, old), (rows, environment())):
        assert "Against random sampling" not in [one.title for one in findings(view(table, document))]
