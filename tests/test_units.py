"""Budgets, counts and durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvit_nas.budget import Budget, parse_budget
from mvit_nas.errors import InputError
from mvit_nas.metrics import METRICS
from mvit_nas.units import format_count, format_seconds, parse_seconds


@pytest.mark.parametrize(
    ("text", "metric", "low", "high"),
    [
        ("6M", "params", 0, 6e6),
        ("6m", "params", 0, 6e6),
        ("500K params", "params", 0, 5e5),
        ("6e6", "params", 0, 6e6),
        ("6_000_000", "params", 0, 6e6),
        ("1.2GMACs", "macs", 0, 1.2e9),
        ("300 MMACs", "macs", 0, 3e8),
        ("10ms", "latency_ms", 0, 10),
        ("1.5s", "latency_ms", 0, 1500),
        ("250us", "latency_ms", 0, 0.25),
        ("4M..6M", "params", 4e6, 6e6),
        ("0.5G..1GMACs", "macs", 5e8, 1e9),
        ("5ms..10ms", "latency_ms", 5, 10),
    ],
)
def test_a_budget_is_read_with_its_unit(text, metric, low, high):
    assert parse_budget(text) == Budget(metric=metric, low=low, high=high)


@pytest.mark.parametrize("text", ["6X", "", "M", "6M..", "..6M", "-6M", "6 apples", "1M..2M..3M", "6Mms", "nan", "inf"])
def test_what_is_no_budget_shows_how_to_write_one(text):
    with pytest.raises(InputError, match="write 6M or 500K"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("6M..4M", "begins above its end"), ("4ms..6MMACs", "mixes two units"), ("0", "a budget must hold")],
)
def test_a_budget_that_nothing_can_meet_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_budget(text)


@pytest.mark.parametrize(
    ("value", "violation"), [(5e6, -1 / 6), (6e6, 0), (9e6, 0.5), (4e6, 0), (2e6, 0.5), (4.4e6, 1 - 1.1)]
)
def test_a_violation_is_relative_to_the_limit_that_is_broken(value, violation):
    assert Budget(metric="params", low=4e6, high=6e6).violation(value) == pytest.approx(violation)


def test_budgets_read_back_as_words():
    assert str(parse_budget("6M")) == "at most 6M parameters"
    assert str(parse_budget("5ms..10ms")) == "5 ms to 10 ms"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5_578_632, "5.58M"),
        (1e9, "1G"),
        (999_600, "1M"),
        (1234, "1.23K"),
        (12, "12"),
        (418_183_680, "418M"),
        (6e6, "6M"),
    ],
)
def test_counts_have_three_digits(value, text):
    assert format_count(value) == text


def test_metrics_carry_their_unit():
    assert METRICS["accuracy"].format(0.7654) == "76.5 %"
    assert METRICS["latency_ms"].format(12.345) == "12.3 ms"
    assert METRICS["macs"].format(1.05e9) == "1.05G MACs"


@given(st.integers(1, 10**12))
def test_a_formatted_count_reads_back_within_half_a_percent(value):
    assert parse_budget(format_count(value)).high == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5min", 90), ("8h", 28800), ("2d", 172800), ("3m", 180)]
)
def test_durations_are_read(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1s", "1 week", "h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(InputError, match="cannot read the duration"):
        parse_seconds(text)


@pytest.mark.parametrize(("seconds", "text"), [(42.4, "42 s"), (190, "3 min 10 s"), (7500, "2 h 5 min")])
def test_durations_are_shown_for_people(seconds, text):
    assert format_seconds(seconds) == text
