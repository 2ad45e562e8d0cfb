"""The interval of a share, against another implementation."""

import pytest
from statsmodels.stats.proportion import proportion_confint

from mvit_nas.maths.share import wilson


def test_wilson_is_that_of_others_and_takes_its_quantile_from_the_caller():
    assert wilson(17 / 40, 40) == pytest.approx(proportion_confint(17, 40, method="wilson"))
    assert wilson(17 / 40, 40, quantile=3.0)[0] < wilson(17 / 40, 40)[0]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_itself_is_within(share):
    low, high = wilson(share, 3)
    assert low <= share <= high
    assert 0 <= low < high <= 1
