"""What is typed, and that what is written of it reads the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvit_nas.budget import Budget, parse_budget
from mvit_nas.errors import InputError
from mvit_nas.metrics import COSTS
from mvit_nas.settings import parse
from mvit_nas.settings.commands import SearchSettings


@pytest.mark.parametrize(
    ("text", "written"),
    [("6M", "6Mparams"), ("4M..6M", "4Mparams..6Mparams"), ("1.2GMACs", "1.2Gmacs"), ("10ms", "10ms")],
)
def test_a_budget_is_written_as_people_write_it(text, written):
    assert parse.write_budget(parse_budget(text)) == written


@given(st.sampled_from(COSTS), st.floats(1e-3, 1e12), st.floats(0, 1))
def test_a_budget_that_is_written_is_the_same_when_it_is_read(metric, high, share):
    budget = Budget(metric=metric.name, low=high * share, high=high)
    assert parse_budget(parse.write_budget(budget)) == budget


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8, unique=True))
def test_seeds_that_are_written_are_the_same_when_they_are_read(seeds):
    assert parse.parse_seeds(parse.write_seeds(tuple(seeds))) == tuple(seeds)


@given(st.floats(1e-6, 0.99))
def test_shares_that_are_written_are_nearly_the_same_when_they_are_read(share):
    assert parse.parse_baseline(parse.write_baseline(share)) == share
    if 100 * share >= 1e-3:  # smaller ones would be written with an exponent
        assert parse.parse_precision(parse.write_precision(share)) == pytest.approx(share)


def test_a_cost_and_an_objective_go_by_the_name_of_the_command_line():
    assert parse.parse_cost("latency") == "latency_ms"
    assert parse.write_option("latency_ms") == "latency"
    every = SearchSettings().objectives
    assert parse.write_objectives(every) == "accuracy,params,macs,latency"
    assert parse.parse_objectives("latency,accuracy") == ("accuracy", "latency_ms")
    assert parse.parse_objectives(parse.write_objectives(every)) == every


@pytest.mark.parametrize("text", ["fast", "0", "-1", "inf", "nan"])
def test_a_learning_rate_is_a_number_above_nothing(text):
    with pytest.raises(InputError, match=f"--learning-rate {text}: give a number above 0"):
        parse.parse_rate(text)


def test_a_further_runtime_may_have_a_target_of_its_own():
    assert parse.parse_front_runtimes(" executorch, litert@adb:1234 ,executorch") == ("executorch", "litert@adb:1234")
    assert parse.parse_front_runtimes("") == ()
    with pytest.raises(InputError, match="--measure-front litert,litert@adb: litert stands there twice"):
        parse.parse_front_runtimes("litert,litert@adb")


def test_objectives_keep_one_order_and_need_accuracy_and_a_cost():
    assert parse.parse_objectives("latency, accuracy") == ("accuracy", "latency_ms")
    with pytest.raises(InputError, match="unknown 'macc', did you mean 'macs'"):
        parse.parse_objectives("accuracy,macc")
    for text in ("accuracy", "macs,params", ""):
        with pytest.raises(InputError, match="needs accuracy and at least one cost"):
            parse.parse_objectives(text)


def test_a_score_goes_by_the_name_of_the_command_line():
    assert parse.parse_score("balanced-accuracy") == "balanced_accuracy"
    assert parse.write_option(parse.parse_score("balanced-accuracy")) == "balanced-accuracy"
    with pytest.raises(InputError, match=r"^--score: unknown 'macs', known are accuracy, balanced-accuracy$"):
        parse.parse_score("macs")


def test_a_search_is_for_one_score():
    assert parse.parse_objectives("macs,balanced-accuracy") == ("balanced_accuracy", "macs")
    assert parse.write_objectives(("balanced_accuracy", "macs")) == "balanced-accuracy,macs"
    with pytest.raises(
        InputError, match="--objectives needs one of accuracy and balanced-accuracy: the other is shown"
    ):
        parse.parse_objectives("accuracy,balanced-accuracy,macs")
    with pytest.raises(InputError, match="needs accuracy and at least one cost"):
        parse.parse_objectives("balanced-accuracy")


def test_trainings_are_stopped_early_by_accuracy_alone():
    assert SearchSettings(objectives=("accuracy", "macs"), early_stopping=True).early_stopping
    with pytest.raises(
        InputError, match="--early-stopping foresees accuracy alone, not balanced accuracy: leave it out"
    ):
        SearchSettings(objectives=("balanced_accuracy", "macs"), early_stopping=True)


def test_the_default_name_tells_data_and_budgets():
    assert parse.default_name("digits", [parse_budget("6M"), parse_budget("5ms..10ms")]) == "digits-6M-5-10ms"
    assert parse.default_name("my photos/2024", [parse_budget("1.2GMACs")]) == "my-photos-2024-1.2Gmacs"


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "x" * 101, "a\nb"])
def test_a_name_that_is_no_folder_is_refused(name):
    with pytest.raises(InputError, match="cannot name a folder"):
        parse.check_name(name)


@pytest.mark.parametrize(("text", "share"), [("", 0.0), ("random", 0.25), ("random:0.4", 0.4)])
def test_a_baseline_has_a_share(text, share):
    assert parse.parse_baseline(text) == share


@pytest.mark.parametrize("text", ["tpe", "random:", "random:0", "random:1", "random:x"])
def test_a_baseline_that_is_none_is_an_error(text):
    with pytest.raises(Exception, match=r"--baseline .*give random, or random:SHARE"):
        parse.parse_baseline(text)
