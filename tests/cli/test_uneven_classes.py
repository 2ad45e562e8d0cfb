"""A search for balanced accuracy on photos of which one class has most, from its flags to its report."""

import functools
import json

import pytest
from commands import answer, furnished
from sure import sure

from mvit_nas.jobs import prepare as preparing
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY
from mvit_nas.optimize.within_budget import sample_feasible
from mvit_nas.results.table import read_table

SEARCH = (
    "search", "--data", "photos", "--space", "space.yaml", "--schedule", "quick.yaml", "--budget", "500K", "--name", "s",
)  # fmt: skip
BALANCED = ("--objectives", "balanced-accuracy,macs")
LEFT = {"cat": 40, "dog": 8, "fish": 15}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with a search, and what it printed."""
    work = furnished(tmp_path_factory.mktemp("ran"), images=40)
    for name, images in LEFT.items():
        for path in (work / "photos" / name).iterdir():
            if int(path.stem) >= images:
                path.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "sample_feasible", functools.partial(sample_feasible, samples=200))
        yield work, answer(*SEARCH, *BALANCED, "--class-weights", "--trials", 4, cwd=work, cache=work / "cache")


def test_a_search_for_balanced_accuracy_shows_it_and_records_both(ran):
    work, found = ran
    assert "balanced-accuracy" in found.out
    assert "(search-validation balanced accuracy after the short training)" in " ".join(found.out.split())
    assert max(map(len, found.out.splitlines())) <= 80
    records = [record for record in read_table(work / "reports/s/results.csv").records if record.is_complete]
    assert len(records) == 4
    for record in records:
        balanced = sure(record.measured(BALANCED_ACCURACY))
        assert sure(balanced.low) < balanced.value < sure(balanced.high)
        # Of 5 cats, a dog and a fish.
        for images, value in ((7, sure(record.value(ACCURACY))), (15, balanced.value)):
            assert images * value == pytest.approx(round(images * value))


def test_what_the_classes_have_is_kept_and_said(ran):
    work, _ = ran
    environment = json.loads((work / "reports/s/environment.json").read_text())
    assert environment["data"]["class_counts"] == {"train": [29, 6, 12], "validation": [5, 1, 1]}
    assert environment["hypervolume_reference"].keys() == {"balanced_accuracy", "macs"}
    assert environment["hypervolume_reference"]["balanced_accuracy"] == 1 / 3  # of one answer for all
    assert environment["experiment"]["schedule"]["name"] == "quick (class weights)"
    assert environment["experiment"]["schedule"]["class_weights"] is True
    page = (work / "reports/s/report.html").read_text()
    assert "Of the training images cat has 29 and dog 6, so accuracy is mostly that of the large classes" in page
    assert "always saying cat has 71.4" in page


def test_it_is_the_same_study_with_the_same_objective_and_weights_alone(ran):
    work, _ = ran
    at = {"cwd": work, "cache": work / "cache"}
    refused = answer(*SEARCH, *BALANCED, "--trials", 4, "--resume", code=2, **at)
    assert "has other settings: schedule " in refused.error
    refused = answer(*SEARCH, "--objectives", "accuracy,macs", "--class-weights", "--resume", code=2, **at)
    assert "has other settings: objectives ([balanced_accuracy, macs] then, [accuracy, macs] now)" in refused.error
    again = answer(*SEARCH, *BALANCED, "--class-weights", "--trials", 4, "--resume", "--json", **at)
    best, *others = json.loads(again.out)["front"]
    assert all(best["balanced_accuracy"] >= other["balanced_accuracy"] for other in others)
    config = ("search", "--config", "experiments/s/experiment.yaml", "--trials", 4, "--resume", "--json")
    assert json.loads(answer(*config, **at).out)["front"][0]["trial"] == best["trial"]
