import pytest
from reports import trained as measured
from reports import view

from mvit_nas.errors import InputError
from mvit_nas.results.search.findings import findings
from mvit_nas.results.search.health import lights

SPACE = """
base: mobilevit_xs
factors:
  patch_size:
    paths: [stages.*.mobilevit.patch_size]
    values: [1, 2, 4, [8, 4, 2]]
  depth:
    paths: [stages.*.mobilevit.depth]
    values: [1, 2, 3, 4]
  width:
    paths: [stages.*.channels]
    values: {narrow: [16, 24, 48, 64, 80], middle: [32, 48, 64, 80, 96], wide: [32, 64, 96, 128, 160]}
  placement:
    values: {"3,4,5": {}, "4,5": {stages.2.mobilevit: null}, "5": {stages.2.mobilevit: null, stages.3.mobilevit: null}}
  stem_stride:
    paths: [stem.stride]
    values: [1, 2]
"""
GUESSING, EVEN, BEST, RANDOM, EDGES, RANKS, LATENCY, TRIALS, SETTLED = range(9)


def environment(**experiment):
    return {
        "experiment": {"objectives": ["accuracy", "params"], "budgets": [], "schedule": {"name": "short"}} | experiment,
        "hypervolume_reference": {"accuracy": 0.0, "params": 100.0},
        "space": {"name": "made up", "text": SPACE},
        "presets": [],
    }


def trained(trial, accuracy, params, **more):
    known = {"trial": trial, "arch_id": f"a{trial}", "state": "complete", "accuracy": accuracy, "params": params}
    return known | more


def light(which, rows, document=None):
    return lights(view(rows, document or environment()))[which]


def front_of(number, **labels):
    """Candidates none of which beats another, with these labels."""
    columns = {f"param.{name}": label for name, label in labels.items()}
    return [trained(trial, 0.5 + trial / 100, 10 + trial, **columns) for trial in range(number)]


def test_every_light_has_one_sentence_whatever_is_missing():
    for rows in ([], [{"state": "failed"}], front_of(1)):
        found = lights(view(rows, environment() | {"space": {}, "hypervolume_reference": {}}))
        assert len(found) == 9
        for one in found:
            assert one.sentence.endswith(".")
            assert ". " not in one.sentence


# Better than guessing


def ten_classes(**experiment):
    """A search on 1,000 validation images of ten classes."""
    images = {"name": "ten", "classes": [str(i) for i in range(10)], "images": {"validation": 1000}}
    return environment(**experiment) | {"data": images}


def at(*accuracies):
    return [
        trained(i, accuracy, 10 + i, accuracy_low=accuracy - 0.02, accuracy_high=accuracy + 0.02)
        for i, accuracy in enumerate(accuracies)
    ]


def test_networks_that_only_guess_are_said_to():
    found = light(GUESSING, at(0.1, 0.112, 0.09), ten_classes())
    assert found.state == "bad"
    assert found.sentence == (
        "No candidate is known to be: the best has 11.2 % (9.2 to 13.2 %), guessing among 10 classes has 10.0 %."
    )
    found = light(GUESSING, at(0.1, 0.2), ten_classes())
    assert (found.state, found.sentence) == (
        "good",
        "The best has 20.0 % (18.0 to 22.0 %), guessing among 10 classes has 10.0 %.",
    )
    # By itself 11.9 % is above chance (p = 0.03), as the best of five it is not.
    assert light(GUESSING, at(0.119), ten_classes()).state == "good"
    assert light(GUESSING, at(0.119, 0.1, 0.1, 0.1, 0.1), ten_classes()).state == "bad"


def test_how_many_classes_there_are_may_not_be_known():
    assert light(GUESSING, at(0.1), environment() | {"data": {"name": "unknown", "classes": []}}).state == "unknown"
    assert light(GUESSING, [], ten_classes()).state == "unknown"


@pytest.mark.parametrize(
    ("validation", "score", "floor"),
    [((50, 10, 40), "accuracy", 0.5), ((50, 0, 40), "balanced_accuracy", 0.5), ((), "accuracy", 1 / 3)],
)
def test_the_hypervolume_of_an_older_study_begins_at_guessing_as_that_of_a_new_one(validation, score, floor):
    document = uneven(validation=validation) if validation else environment()
    written = document | {"hypervolume_reference": {score: 0.0, "params": 100.0}}
    origin = view(at(0.6), written | {"experiment": written["experiment"] | {"objectives": [score, "params"]}}).origin
    assert origin.reference == {score: floor, "params": 100.0}
    assert origin.document["hypervolume_reference"] == origin.reference


def test_where_guessing_is_not_known_the_hypervolume_begins_where_the_file_says():
    data = {"name": "photos", "classes": [], "images": {}}
    assert view(at(0.6), environment() | {"data": data}).origin.reference["accuracy"] == 0.0


def test_where_nothing_was_learned_nothing_is_best():
    found = findings(view(at(0.1, 0.112, 0.09), ten_classes()))
    assert [one.title for one in found] == ["Nothing was learned yet"]
    assert found[0].facts[0] == "3 candidates trained; the best has 11.2 % (9.2 to 13.2 %)"
    assert findings(view(at(0.1, 0.3), ten_classes()))[0].title == "Best (no budget was set)"


def test_where_nothing_was_learned_nothing_is_foreseen():
    settings = {"sampler": "cost-aware", "budgets": [{"metric": "params", "low": 0.0, "high": 100.0}]}
    document = ten_classes(**settings)
    assert view(at(*[0.1] * 9), document).forecast is None
    assert view(at(*[0.1] * 8, 0.4), document).forecast is not None


def uneven(train=(795, 112, 300), validation=(50, 10, 40), names=("t-shirt", "hat", "dress")):
    """A search whose classes have so many images."""
    counts = {"train": list(train), "validation": list(validation)}
    images = {
        "name": "clothing",
        "classes": list(names),
        "class_counts": counts,
        "images": {"validation": sum(validation)},
    }
    return environment() | {"data": images}


def balanced(accuracy, value, trial=0, **more):
    """A row with both scores."""
    scores = {"balanced_accuracy": value, "balanced_accuracy_low": value - 0.1, "balanced_accuracy_high": value + 0.1}
    return trained(
        trial, accuracy, 10 + trial, accuracy_low=accuracy - 0.09, accuracy_high=accuracy + 0.09, **scores, **more
    )


def test_guessing_is_saying_the_largest_class_of_the_validation_part():
    found = light(GUESSING, at(0.52), uneven())
    assert (found.state, found.sentence) == (
        "bad",
        "No candidate is known to be: the best has 52.0 % (50.0 to 54.0 %), always saying t-shirt has 50.0 %.",
    )
    (said,) = findings(view(at(0.52), uneven()))
    assert said.facts[1] == "always saying t-shirt has 50.0 %"
    assert light(GUESSING, at(0.52), uneven(validation=(10, 30, 60))).sentence.endswith(
        "always saying dress has 60.0 %."
    )
    # One in three would be enough to beat guessing among the three.
    assert light(GUESSING, at(0.70), uneven()).state == "good"


def test_what_tells_rare_classes_apart_has_learned_something_whatever_its_accuracy():
    found = light(GUESSING, [balanced(0.45, 0.6)], uneven())
    assert found.state == "good"
    assert found.sentence == (
        "The best has 60.0 % (50.0 to 70.0 %) balanced accuracy, any one answer 33.3 %; "
        "by accuracy always saying t-shirt has 50.0 %, and none more."
    )
    assert light(GUESSING, [balanced(0.45, 0.37)], uneven()).state == "bad"
    # As the best of many it is not known to.
    many = [balanced(0.45, 0.46, trial=0), *(balanced(0.45, 0.3, trial=trial) for trial in range(1, 20))]
    assert light(GUESSING, many[:1], uneven()).state == "good"
    assert light(GUESSING, many, uneven()).state == "bad"


def test_classes_are_uneven_where_the_largest_has_more_than_twice_the_images_of_the_smallest():
    found = light(EVEN, at(0.5), uneven())
    assert found.state == "warning"
    assert found.sentence.startswith(
        "Of the training images t-shirt has 795 and hat 112, so accuracy is mostly that of "
    )
    found = light(EVEN, at(0.5), uneven(train=(100, 200, 150)))
    assert (found.state, found.sentence) == (
        "good",
        "Of the training images hat has 200 and t-shirt 100; no class has more or fewer.",
    )
    assert light(EVEN, at(0.5), uneven(train=(100, 201, 150))).state == "warning"
    assert light(EVEN, at(0.5), uneven(train=(70, 70, 70))).sentence == "Each has 70 training images."
    assert light(EVEN, at(0.5), ten_classes()).state == "unknown"


def test_where_the_two_scores_disagree_both_best_ones_are_said():
    rows = [
        balanced(0.8, 0.55, trial=0, arch_id="aa"),
        balanced(0.75, 0.7, trial=1, arch_id="bb"),
        balanced(0.7, 0.65, trial=2, arch_id="cc"),
    ]
    said = {one.title: one for one in findings(view(rows, uneven()))}
    assert said["Accuracy and balanced accuracy disagree"].facts == (
        "by accuracy aa is best: 80.0 % (71.0 to 89.0 %), and 55.0 % (45.0 to 65.0 %) balanced accuracy",
        "by balanced accuracy bb is best: 70.0 % (60.0 to 80.0 %), and 75.0 % (66.0 to 84.0 %) accuracy",
    )
    assert "disagree" not in str(findings(view([rows[0], balanced(0.6, 0.5, trial=1)], uneven())))
    # One that ties in the one score and wins in the other is best by both.
    assert "disagree" not in str(findings(view([rows[0], balanced(0.8, 0.6, trial=1)], uneven())))
    assert "disagree" not in str(findings(view(at(0.5, 0.6), uneven())))


def test_the_headline_says_the_score_that_the_search_is_for():
    rows = [balanced(0.8, 0.55, trial=0, arch_id="aa"), balanced(0.75, 0.7, trial=1, arch_id="bb")]
    by_accuracy = findings(view(rows, uneven()))[0]
    assert by_accuracy.subject == "A"
    assert "balanced" not in " ".join(by_accuracy.facts)
    document = uneven()
    document["experiment"] = document["experiment"] | {"objectives": ["balanced_accuracy", "params"]}
    best = findings(view(rows, document))[0]
    assert best.subject == "A"
    interval = "(60.0 to 80.0 %)"
    assert best.facts[0] == f"70.0 % validation balanced accuracy {interval} after the short schedule, 11 parameters"
    assert not any("% validation accuracy" in fact for fact in best.facts)
    assert view(rows, document).front == (1, 0)
    assert view(rows, document).score.name == "balanced_accuracy"


@pytest.mark.parametrize("counts", [[5, 3], [5, 3, "2"], [5, 3, -1], [0, 0, 0], 5])
def test_images_by_class_that_are_wrong_are_named(counts):
    document = uneven()
    document["data"] = document["data"] | {"class_counts": {"train": counts}}
    with pytest.raises(InputError, match=r"environment.json: 'data.class_counts.train' must hold the number of images"):
        view(at(0.5), document)


# Better than random


def search(own, other):
    """Trainings by the sampler and at random, in turn, each a little better than the one before where it says so."""
    rows: list[dict[str, object]] = []
    for index in range(10):
        for by, accuracy in (("cost-aware", own), ("random", other)):
            rows.append(trained(len(rows), accuracy + index * 0.001, 50 - index, proposed_by=by))
    return rows


@pytest.mark.parametrize(
    ("own", "other", "state", "words"),
    [
        (0.8, 0.3, "good", "The search found more than random sampling after 10 trainings each (hypervolume 0."),
        (0.3, 0.8, "bad", "The search found less than random sampling after 10 trainings each (hypervolume 0."),
        (0.5, 0.5, "warning", "The search is not known to find more than random sampling after 10 trainings each"),
    ],
)
def test_the_search_is_held_against_random_sampling(own, other, state, words):
    found = light(RANDOM, search(own, other), environment(sampler="cost-aware", baseline=0.5))
    assert found.state == state
    assert found.sentence.startswith(words)


def test_without_a_baseline_the_flag_that_gives_one_is_named():
    for document in (environment(), environment(sampler="cost-aware", baseline=0.0)):
        found = light(RANDOM, search(0.8, 0.3), document)
        assert (found.state, "--baseline random" in found.sentence) == ("unknown", True)
    found = light(RANDOM, search(0.8, 0.3), environment(sampler="random", baseline=0.25))
    assert (found.state, found.sentence) == ("unknown", "The search is random sampling itself.")


def test_too_few_to_compare_is_unknown():
    found = light(RANDOM, search(0.8, 0.3)[:4], environment(sampler="cost-aware", baseline=0.5))
    assert found.state == "unknown"
    assert found.sentence.startswith("2 finished trainings of the search and 2 drawn at random are too few")


# Inside the space


def test_a_front_that_has_one_extreme_value_names_factor_and_value():
    found = light(EDGES, front_of(8, depth=4, patch_size="2"))
    assert found.state == "warning"
    assert found.sentence == (
        "On the front depth is 4, its largest, in all 8: better candidates may lie beyond, outside the space."
    )


def test_most_of_the_front_is_enough():
    rows = front_of(8, depth=4)
    rows[0]["param.depth"] = 2
    assert "depth is 4, its largest, in 7 of 8" in light(EDGES, rows).sentence
    for row in rows[:5]:
        row["param.depth"] = 2
    assert light(EDGES, rows).state == "good"


def test_less_than_half_of_the_front_is_not_enough_however_unlikely():
    rows = front_of(40, depth=2)
    for row in rows[:18]:
        row["param.depth"] = 4
    assert light(EDGES, rows).state == "good"
    for row in rows[:22]:
        row["param.depth"] = 4
    assert light(EDGES, rows).state == "warning"


def test_an_inner_value_is_no_edge():
    found = light(EDGES, front_of(8, depth=2, width="middle"))
    assert found.state == "good"
    # Of depth the smallest, 1, cannot be less; both count as one factor each.
    assert found.sentence.startswith("None of the 2 factors that could go on")


def test_a_label_with_several_numbers_and_one_that_names_numbers_have_their_sizes():
    found = light(EDGES, front_of(9, patch_size="8,4,2", width="narrow"))
    assert "patch size is 8,4,2, its largest, in all 9" in found.sentence
    assert "width is narrow, its smallest, in all 9" in found.sentence


def test_where_no_network_lies_beyond_there_is_no_edge():
    # A patch of 1 and a depth of 1 cannot be less, a stem has stride 1 or 2, and a placement has no order.
    found = light(EDGES, front_of(12, patch_size="1", depth=1, stem_stride=2, placement="5"))
    assert found.state == "good"


def test_few_candidates_at_an_edge_may_be_there_by_chance():
    # Of four values: 1 in 4^2 is more than 5 %, 1 in 4^4 is not; with width another three edges are looked at.
    assert light(EDGES, front_of(2, depth=4)).state == "unknown"
    assert light(EDGES, front_of(3, depth=4)).state == "warning"
    found = light(EDGES, front_of(3, depth=4, width="middle", patch_size="2"))
    assert (found.state, found.sentence) == (
        "unknown",
        "The candidates on the front, 3 in all, are too few to tell for 3 of the 3 factors that could go on.",
    )
    assert light(EDGES, front_of(4, depth=4)).state == "warning"


def test_candidates_that_are_not_on_the_front_do_not_count():
    rows = front_of(8, depth=4)
    rows += [trained(20 + i, 0.1, 90 + i, **{"param.depth": 2}) for i in range(30)]
    assert light(EDGES, rows).state == "warning"


def test_without_the_file_of_the_space_its_edges_are_not_known():
    for space in ({}, {"text": "base: nothing"}, {"text": None}):
        found = light(EDGES, front_of(8, depth=4), environment() | {"space": space})
        assert (found.state, found.sentence) == ("unknown", "Which values the search could choose from is not known.")


def test_presets_outside_the_space_have_no_labels_and_are_left_out():
    assert light(EDGES, [trained(0, 0.9, 5)]).state == "unknown"
    found = light(EDGES, [*front_of(8, depth=4), trained(20, 0.9, 50)])
    assert "in all 8" in found.sentence


# Ranks


def test_ranks_are_unknown_without_longer_trainings():
    found = light(RANKS, front_of(5))
    assert found.state == "unknown"
    assert "Kendall's tau" in found.sentence


# Latency


def timed(*latencies, half_width):
    return [
        trained(
            i,
            0.5 + i / 100,
            50,
            latency_ms=ms,
            latency_low_ms=ms * (1 - half_width),
            latency_high_ms=ms * (1 + half_width),
        )
        for i, ms in enumerate(latencies)
    ]


def test_intervals_that_tell_neighbours_apart_are_stable():
    found = light(LATENCY, timed(10, 11, 12.1, 13.31, half_width=0.02))
    assert found.state == "good"
    assert found.sentence == (
        "Latency tells 3 of 3 pairs of neighbours on the front apart: they differ by 10 %, and each is known to ±2 % "
        "(medians)."
    )


@pytest.mark.parametrize(
    ("latencies", "apart", "state"),
    [((10, 11, 12, 12.1), "2 of 3", "warning"), ((10, 10.3, 10.6, 12), "1 of 3", "bad")],
)
def test_neighbours_within_their_intervals_are_counted(latencies, apart, state):
    found = light(LATENCY, timed(*latencies, half_width=0.02))
    assert found.state == state
    assert found.sentence.startswith(f"Latency tells {apart} pairs")


def test_neighbours_are_those_on_the_front_of_accuracy_and_latency():
    rows = timed(10, 11, 12, half_width=0.02)
    # Slower and less accurate, though smaller, and right beside another.
    rows.append(timed(12.05, half_width=0.02)[0] | {"trial": 9, "arch_id": "b", "accuracy": 0.3, "params": 1})
    assert light(LATENCY, rows).sentence.startswith("Latency tells 2 of 2 pairs")


def test_without_latency_or_intervals_it_is_unknown():
    assert light(LATENCY, front_of(4)).sentence == "Latency was not measured."
    rows = timed(10, 11, half_width=0.02)
    rows[1]["latency_low_ms"] = None
    found = light(LATENCY, rows)
    assert (found.state, "Fewer than two" in found.sentence) == ("unknown", True)


# Trials


def outcomes(**counts):
    return [{"state": state} for state, count in counts.items() for _ in range(count)]


def test_outcomes_are_counted():
    found = light(TRIALS, outcomes(complete=60, stopped=30, failed=2, over_budget=5, duplicate=1, invalid=2))
    assert found.state == "good"
    assert found.sentence == ("100 trials: 5 over budget, 1 repeated, 2 invalid; of 92 trainings 2 failed.")


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ({"complete": 19, "failed": 1}, "good"),
        ({"complete": 18, "failed": 2}, "warning"),
        ({"complete": 7, "failed": 2}, "bad"),
        # Failures count among the trainings, not among all that was proposed.
        ({"complete": 7, "failed": 2, "over_budget": 4}, "bad"),
        ({"complete": 5, "over_budget": 2, "duplicate": 2, "invalid": 1}, "good"),
        ({"complete": 5, "over_budget": 2, "duplicate": 3, "invalid": 1}, "warning"),
        ({"complete": 1, "over_budget": 10}, "bad"),
        ({"over_budget": 3}, "bad"),
        ({"failed": 3}, "bad"),
    ],
)
def test_outcomes_are_judged_by_their_shares(counts, state):
    assert light(TRIALS, outcomes(**counts)).state == state


def test_before_the_first_trial_nothing_is_known():
    assert light(TRIALS, []).state == "unknown"


# Settled


def growing(accuracies, **more):
    return [trained(i, accuracy, 50, **more) for i, accuracy in enumerate(accuracies)]


def test_growth_over_the_last_third_of_the_trainings_decides():
    # By hand: at 50 of 100 parameters the hypervolume is a sixth of what the best has above a third, that of guessing.
    found = light(SETTLED, growing([0.5] * 12 + [0.501] * 6))
    assert found.state == "good"
    assert "the last third of 18 trainings the hypervolume grew by 0.6 %" in found.sentence
    found = light(SETTLED, growing([0.5] * 12 + [0.51] * 6))
    assert found.state == "warning"
    assert "grew by 6 %" in found.sentence
    # The same growth at the end of the first two thirds is no longer growth.
    assert light(SETTLED, growing([0.5] * 11 + [0.6] * 7)).state == "good"
    assert light(SETTLED, growing([0.5] * 12 + [0.6] * 6)).state == "warning"


def test_growth_counts_trainings_and_not_trials():
    # 12 whole trainings, then 12 quarters and 3 whole ones: two thirds of the 18 are spent after the twelfth.
    rows = growing([0.5] * 12)
    rows += [{"trial": 12 + i, "state": "stopped", "trainings": 0.25} for i in range(12)]
    rows += [trained(30 + i, 0.6, 50) for i in range(3)]
    found = light(SETTLED, rows)
    assert found.state == "warning"
    assert "last third of 18 trainings the hypervolume grew by 60 %" in found.sentence


def test_what_begins_in_the_last_third_grew_from_nothing():
    rows = [{"trial": i, "state": "failed"} for i in range(14)] + [trained(14 + i, 0.5, 50) for i in range(4)]
    found = light(SETTLED, rows)
    assert (found.state, "grew from nothing" in found.sentence) == ("warning", True)


def test_too_few_trainings_or_none_in_the_box_are_unknown():
    assert light(SETTLED, growing([0.5] * 14)).sentence == "14 trainings are too few to tell; 15 are needed."
    assert light(SETTLED, growing([0.5] * 15)).state == "good"
    outside = [trained(i, 0.5, 200) for i in range(15)]
    assert light(SETTLED, outside).sentence.startswith("No trained candidate lies within the box")
    assert light(SETTLED, growing([0.5] * 15), environment() | {"hypervolume_reference": {}}).state == "unknown"


def test_the_best_is_the_best_where_the_others_are_far_behind():
    far = [measured(0, 0.9, 3_000_000, 2, 2.0, arch_id="aa"), measured(1, 0.5, 2_000_000, 2, 2.0, arch_id="bb")]
    near = [measured(0, 0.9, 3_000_000, 2, 2.0, arch_id="aa"), measured(1, 0.899, 2_000_000, 2, 2.0, arch_id="bb")]
    seeds = environment() | {"seed_spread": {"deviation": 0.02, "freedom": 20, "source": "2 networks trained 22 times"}}
    assert light(BEST, far, seeds).state == "good"
    assert light(BEST, far).state == "warning", "how far accuracies differ from seed to seed is not known"
    found = light(BEST, near, seeds)
    assert found.state == "warning"
    assert "with a probability of 51 %; 1 other cannot be told apart from it" in found.sentence
    assert light(BEST, near[:1], seeds).state == "unknown"
