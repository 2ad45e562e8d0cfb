import itertools
import random
from typing import Any

import numpy as np
import pytest
from reports import view

from mvit_nas.results.search.importance import LEAST_NETWORKS, NOTE, importance

NOWHERE: dict[str, object] = {"space": {}}
# What each label adds to the accuracy, in a world that the tests make up.
DEPTH = {1: 0.0, 2: 0.06, 3: 0.09}
PATCH = {"1": 0.02, "2": 0.0}


def rows_of(networks, **objectives):
    """A trained row for each of the networks, which are dicts of labels; an objective is a function of these."""
    return [
        {"trial": i, "arch_id": f"a{i}", "state": "complete"}
        | {f"param.{name}": label for name, label in labels.items()}
        | {name: value(labels) for name, value in objectives.items()}
        for i, labels in enumerate(networks)
    ]


def explained(rows, objective="accuracy", environment=NOWHERE):
    found = importance(view(rows, environment))
    return next(one for one in found if one.objective == objective)


def factor(found, name):
    return next(one for one in found.factors if one.name == name)


def means(found, name):
    return {effect.label: effect.mean.value for effect in factor(found, name).effects}


def drawn(number, luck, **factors):
    return [{name: luck.choice(labels) for name, labels in factors.items()} for _ in range(number)]


def true_accuracy(labels):
    return 0.5 + DEPTH[labels["depth"]] + PATCH[labels["patch"]]


ALL: list[dict[str, Any]] = [{"depth": depth, "patch": patch} for depth, patch in itertools.product(DEPTH, PATCH)]


def test_what_cannot_be_told_from_nothing_is_not_shown():
    luck = random.Random(0)
    networks = drawn(80, luck, depth=[1, 2, 3], idle=["a", "b"])
    found = explained(rows_of(networks, accuracy=lambda labels: 0.5 + DEPTH[labels["depth"]] + luck.gauss(0, 0.02)))
    assert found.shown
    assert {one.name: one.shown for one in found.factors} == {"depth": True, "idle": False}
    noise = explained(rows_of(networks, accuracy=lambda labels: luck.gauss(0.5, 0.1)))
    assert not noise.shown
    assert not any(one.shown for one in noise.factors)


def test_where_all_together_show_nothing_no_factor_does():
    # Among tables of little there is one where a factor's interval is above nothing, and that of all together is not.
    for seed in range(40):
        luck = random.Random(seed)
        networks = drawn(16, luck, a=[1, 2], b=[1, 2], c=[1, 2])
        found = explained(rows_of(networks, accuracy=lambda labels, luck=luck: 0.1 * labels["a"] + luck.gauss(0, 0.07)))
        if not found.shown and any(one.share.low > 0.005 for one in found.factors):
            assert not any(one.shown for one in found.factors)
            return
    raise AssertionError("or this shows nothing")


def test_without_noise_each_factor_has_its_part_of_the_variance():
    found = explained(rows_of(ALL * 10, accuracy=true_accuracy))
    depth, patch = np.var(list(DEPTH.values())), np.var(list(PATCH.values()))
    assert [one.name for one in found.factors] == ["depth", "patch"]
    assert factor(found, "depth").share.value == pytest.approx(depth / (depth + patch), abs=0.02)
    assert factor(found, "patch").share.value == pytest.approx(patch / (depth + patch), abs=0.02)
    assert found.share.value == pytest.approx(1, abs=0.001)
    assert found.networks == 60


def test_where_every_network_was_tried_effects_are_the_means():
    found = explained(rows_of(ALL * 10, accuracy=true_accuracy))
    assert means(found, "depth") == pytest.approx({"1": 0.51, "2": 0.57, "3": 0.60}, abs=1e-4)
    assert means(found, "patch") == pytest.approx({"1": 0.57, "2": 0.55}, abs=1e-4)
    assert [effect.networks for effect in factor(found, "depth").effects] == [20, 20, 20]


def test_a_value_that_comes_with_another_factors_good_one_does_not_get_its_credit():
    # Patch has no effect here, but patch 2 mostly comes with depth 3.
    luck = random.Random(1)
    networks: list[dict[str, Any]] = [{"depth": 3 if luck.random() < 0.9 else 1, "patch": "2"} for _ in range(40)]
    networks += [{"depth": 1 if luck.random() < 0.9 else 3, "patch": "1"} for _ in range(40)]
    found = explained(rows_of(networks, accuracy=lambda labels: 0.5 + DEPTH[labels["depth"]] + luck.gauss(0, 0.005)))
    raw = [np.mean([DEPTH[n["depth"]] for n in networks if n["patch"] == patch]) for patch in ("1", "2")]
    assert raw[1] - raw[0] > 0.06
    adjusted = means(found, "patch")
    assert adjusted["2"] - adjusted["1"] == pytest.approx(0, abs=0.006)
    assert factor(found, "depth").share.low > 0.5


def test_what_does_nothing_has_an_interval_that_holds_zero():
    luck = random.Random(2)
    networks = drawn(150, luck, depth=[1, 2, 3], patch=["1", "2"], noise=list("abcde"))
    found = explained(rows_of(networks, accuracy=lambda labels: true_accuracy(labels) + luck.gauss(0, 0.02)))
    share = factor(found, "noise").share
    assert share.low < 0 < share.high
    assert abs(share.value) < 0.02
    assert factor(found, "depth").share.low > 0.2
    assert found.factors[-1].name == "noise" or abs(found.factors[-1].share.value) < 0.1


def test_a_share_is_half_of_what_permuting_the_factor_costs():
    """Against permutation importance by brute force, in a model by least squares, on networks not learned from."""
    luck = random.Random(3)
    networks = drawn(800, luck, depth=[1, 2, 3], patch=["1", "2"])
    values = np.array([true_accuracy(labels) + luck.gauss(0, 0.03) for labels in networks])
    left = iter(values)
    found = explained(rows_of(networks, accuracy=lambda _: next(left)))
    x = np.array([[n["depth"] == 2, n["depth"] == 3, n["patch"] == "1", True] for n in networks], dtype=float)
    learned = np.linalg.lstsq(x[:400], values[:400], rcond=None)[0]
    rest, truth, generator = x[400:], values[400:], np.random.default_rng(0)
    for name, columns in (("depth", [0, 1]), ("patch", [2])):
        increases = []
        for _ in range(300):
            shuffled = rest.copy()
            shuffled[:, columns] = generator.permutation(rest[:, columns])
            increases.append(np.mean((truth - shuffled @ learned) ** 2) - np.mean((truth - rest @ learned) ** 2))
        assert factor(found, name).share.value == pytest.approx(np.mean(increases) / 2 / values.var(), abs=0.04)


def test_intervals_of_effects_hold_the_true_means_of_the_networks_tried():
    covered = []
    for seed in range(25):
        luck = random.Random(seed)
        networks = drawn(40, luck, depth=[1, 1, 2, 3, 3, 3], patch=["1", "2"], noise=list("abcd"))
        found = explained(
            rows_of(networks, accuracy=lambda labels, luck=luck: true_accuracy(labels) + luck.gauss(0, 0.02))
        )
        average = np.mean([PATCH[n["patch"]] for n in networks])
        for effect in factor(found, "depth").effects:
            truth = 0.5 + DEPTH[int(effect.label)] + average
            covered.append(effect.mean.low <= truth <= effect.mean.high)
    assert np.mean(covered) >= 0.88


def test_the_means_of_a_factors_values_average_to_the_mean_of_all():
    luck = random.Random(8)
    networks = drawn(50, luck, depth=[1, 3, 3, 3, 3, 3, 2], patch=["1", "2"])
    rows = rows_of(networks, accuracy=lambda labels: true_accuracy(labels) + luck.gauss(0, 0.02))
    effects = factor(explained(rows), "depth").effects
    average = np.average([effect.mean.value for effect in effects], weights=[effect.networks for effect in effects])
    assert average == pytest.approx(np.mean([row["accuracy"] for row in rows]), abs=1e-9)


def test_a_mean_is_never_known_better_than_that_of_all_networks():
    luck = random.Random(9)
    networks = [{"kernel": 5 if i == 20 else 3} for i in range(40)]
    effects = factor(explained(rows_of(networks, accuracy=lambda _: 0.5 + luck.gauss(0, 0.02))), "kernel").effects
    widths = {effect.label: effect.mean.high - effect.mean.low for effect in effects}
    # Twice two standard errors of a mean of 40, by an estimated deviation; what one network tells is much less.
    assert widths["3"] == pytest.approx(4 * 0.02 / 40**0.5, rel=0.3)
    assert widths["5"] > 1.2 * widths["3"]


def test_costs_are_products():
    found = explained(
        rows_of(
            ALL * 10, params=lambda labels: 1_000_000 * 2 ** labels["depth"] * (3 if labels["patch"] == "1" else 1)
        ),
        "params",
    )
    # Geometric means over the other factor: a factor 2 from depth to depth, the root of 3 from patch 2.
    expected = {str(depth): 1_000_000 * 2**depth * 3**0.5 for depth in (1, 2, 3)}
    assert means(found, "depth") == pytest.approx(expected, rel=1e-3)
    effect = factor(found, "patch").effects[0]
    assert 0 < effect.mean.low < effect.mean.value < effect.mean.high


def test_an_accuracy_stays_a_share():
    luck = random.Random(4)
    networks = drawn(15, luck, depth=[1, 2], patch=["1", "2"])
    found = explained(
        rows_of(networks, accuracy=lambda labels: 0.999 if labels["depth"] == 1 else 0.01 * luck.random())
    )
    for effect in factor(found, "depth").effects:
        assert 0 <= effect.mean.low <= effect.mean.value <= effect.mean.high <= 1


def test_every_objective_that_was_measured_is_explained_and_no_other():
    rows = rows_of(ALL * 4, accuracy=true_accuracy, params=lambda labels: 100 * labels["depth"])
    found = importance(view(rows, NOWHERE))
    assert [one.objective for one in found] == ["accuracy", "params"]
    assert "200 resamples" in NOTE
    assert importance(view([], NOWHERE)) == []


def test_the_same_table_says_the_same():
    luck = random.Random(5)
    networks = drawn(60, luck, depth=[1, 2, 3], patch=["1", "2"])
    rows = rows_of(networks, accuracy=lambda labels: true_accuracy(labels) + luck.gauss(0, 0.02))
    assert importance(view(rows, NOWHERE)) == importance(view(rows, NOWHERE))


# Where nothing can be said


def test_few_networks_say_nothing():
    rows = rows_of((ALL * 2)[:LEAST_NETWORKS], accuracy=true_accuracy)
    assert explained(rows).reason == ""
    found = explained(rows[1:])
    assert found.reason == "11 trained networks of the space are too few; 12 are needed"
    assert (found.share, found.factors, found.networks) == (None, (), 11)


def test_only_trained_networks_of_the_space_count_each_once():
    rows = rows_of(ALL * 2, accuracy=true_accuracy)
    again = rows[0] | {"trial": 50}
    preset = {"trial": 51, "arch_id": "p", "state": "complete", "accuracy": 0.9}
    stopped = rows[1] | {"trial": 52, "arch_id": "s", "state": "stopped"}
    assert explained([*rows, again, preset, stopped]).networks == 12


def test_a_factor_that_never_varied_says_so():
    found = explained(rows_of([labels | {"kernel": 3} for labels in ALL * 3], accuracy=true_accuracy))
    kernel = found.factors[-1]
    assert (kernel.name, kernel.share, kernel.effects) == ("kernel", None, ())
    assert kernel.reason == "it never varied: every network has 3"
    assert explained(rows_of([{"kernel": 3}] * 20, accuracy=lambda _: 0.5)).reason == "no factor of the space varied"
    assert explained([{"state": "complete", "accuracy": 0.5}] * 20).reason == "no factor of the space varied"


def test_values_that_are_all_alike_say_nothing():
    assert explained(rows_of(ALL * 3, accuracy=lambda _: 0.5)).reason == "all networks are alike in it"


def test_thousands_of_factors_are_too_many():
    luck = random.Random(6)
    networks = drawn(20, luck, **{f"f{i}": [0, 1] for i in range(2000)})
    assert explained(rows_of(networks, accuracy=lambda _: luck.random())).reason.startswith(
        "2000 factors with 4000 values"
    )


def test_a_cost_of_zero_is_left_out():
    rows = rows_of(ALL * 3, params=lambda labels: 100 * labels["depth"])
    rows[4]["params"] = 0
    assert explained(rows, "params").networks == 17


# The order of the labels, and large tables


def test_labels_come_in_the_order_of_the_space():
    text = "base: mobilevit_xs\nfactors:\n  width:\n    paths: [stages.*.channels]\n    values: {xs: [8, 8, 8, 8, 8], s: [16, 16, 16, 16, 16], m: [32, 32, 32, 32, 32]}\n"
    rows = rows_of(
        [{"width": label} for label in ["m", "s", "odd", "xs"] * 5], accuracy=lambda n: 0.1 * len(n["width"])
    )
    labels = [
        effect.label for effect in factor(explained(rows, environment={"space": {"text": text}}), "width").effects
    ]
    assert labels == ["xs", "s", "m", "odd"]
    assert [effect.label for effect in factor(explained(rows), "width").effects] == ["m", "s", "odd", "xs"]


def test_of_many_networks_a_thousand_are_learned_from_over_the_whole_search():
    luck = random.Random(7)
    networks = drawn(2998, luck, depth=[1, 2, 3], patch=["1", "2"])
    rows = rows_of(networks, accuracy=lambda labels: true_accuracy(labels) + luck.gauss(0, 0.02))
    found, every_third = explained(rows), explained(rows[::3])
    assert (found.networks, every_third.networks) == (2998, 1000)
    assert found.factors == every_third.factors


def test_a_factor_counts_where_it_has_an_effect():
    """Half of the networks have no block: their depth is missing, and says nothing of what depth does."""
    networks = [{"block": "yes", "depth": depth} for depth in DEPTH] + [{"block": "no"}] * 3
    found = explained(
        rows_of(networks * 10, accuracy=lambda labels: 0.4 + DEPTH[labels["depth"]] if "depth" in labels else 0.5)
    )
    assert means(found, "depth") == pytest.approx({"1": 0.40, "2": 0.46, "3": 0.49}, abs=1e-3)
    assert [effect.networks for effect in factor(found, "depth").effects] == [10, 10, 10]
    assert means(found, "block") == pytest.approx({"yes": 0.45, "no": 0.5}, abs=5e-3)


def test_a_factor_with_one_value_or_none_says_where():
    networks = [{"patch": patch, "depth": 2} for patch in PATCH] + [{"patch": "1"}]
    found = explained(rows_of(networks * 6, accuracy=lambda labels: 0.5 + PATCH[labels["patch"]]))
    assert factor(found, "depth").reason == "it never varied: every network in which it has an effect has 2"
