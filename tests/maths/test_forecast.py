"""What more trainings are expected to bring."""

import pytest
from sure import sure

from mvit_nas.maths.forecast import FEWEST, MOST, forecast, trainings_until_little

# The median is 0.5, and half of them are 0.04 or more from it: half of what is typical.
NARROW = [0.4, 0.46, 0.5, 0.5, 0.54, 0.9, 0.46, 0.54]
WIDE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def test_twice_the_trainings_are_expected_to_gain_half():
    first, later = sure(forecast(12)), sure(forecast(24))
    assert first.more == 12
    assert first.gain == pytest.approx(0.46 / 12)
    assert later.gain == pytest.approx(first.gain / 2)
    assert first.at_most == pytest.approx(2.7 * first.gain)


def test_where_accuracies_spread_less_there_is_less_to_gain_and_where_they_spread_more_no_more():
    half, usual = sure(forecast(20, NARROW)), sure(forecast(20, WIDE))
    assert usual.gain == pytest.approx(0.46 / 20)
    assert half.gain == pytest.approx(0.46 / 40)


def test_nothing_is_foreseen_where_nothing_was_simulated():
    assert forecast(FEWEST - 1) is None
    assert forecast(FEWEST) is not None
    assert forecast(MOST) is not None
    assert forecast(MOST + 1) is None


@pytest.mark.parametrize("accuracies", [(), NARROW, WIDE, [0.5] * 9])
def test_it_ends_with_the_first_training_after_which_little_is_expected(accuracies):
    end = trainings_until_little(accuracies)
    assert FEWEST <= end < MOST
    known = {number: found for number in (end - 1, end) if (found := forecast(number, accuracies)) is not None}
    assert known.pop(end).is_little
    assert not any(found.is_little for found in known.values())


def test_of_a_few_accuracies_no_spread_is_known():
    assert trainings_until_little([0.5, 0.5]) == trainings_until_little() == 47
