"""What is counted of an architecture, twice."""

import pytest

from mvit_nas.arch.count import StaticCost, count, peak_memory
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.errors import CostError
from mvit_nas.evaluate import static
from mvit_nas.evaluate.static import check_static_cost, static_values

ARCH = with_values(PRESETS["mobilevit_xxs"], {"image_size": 32})


def test_a_closed_form_that_fvcore_does_not_confirm_is_an_error(monkeypatch):
    check_static_cost(ARCH, classes=10)
    monkeypatch.setattr(static, "count", lambda arch, classes: StaticCost(params=1, macs=2))
    with pytest.raises(CostError, match=r"fvcore counts StaticCost\(params=\d+, macs=\d+\), the closed form"):
        check_static_cost(ARCH, classes=10)


def test_the_values_are_counts_and_sizes_in_mebibytes_of_float32():
    values = {name: one.value for name, one in static_values(ARCH, classes=7).items()}
    cost = count(ARCH, classes=7)
    assert values == {
        "params": cost.params,
        "macs": cost.macs,
        "size_mib": pytest.approx(cost.params * 4 / 1024**2),
        "peak_memory_mib": pytest.approx(peak_memory(ARCH, classes=7) / 1024**2),
    }
    assert isinstance(values["params"], int)
