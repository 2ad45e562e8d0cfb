"""What a job would take."""

from types import SimpleNamespace

import pytest
import torch
from commands import TINY

from mvit_nas.data.find import find_data
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.jobs import estimate
from mvit_nas.training.schedule import find_schedule


@pytest.fixture
def training():
    return ShortTraining(find_data(None), find_schedule("short"), device=torch.device("cpu"))


def test_a_training_is_all_of_its_epochs_and_the_scoring(training):
    # 1,306 images of the digits in batches of 16 are 81 steps in each of 4 epochs; 225 images are scored.
    assert estimate.training_seconds(training, 2.0) == pytest.approx(4 * 81 * 2.0 + 225 / 16 * 2.0 / 3)


def test_seconds_are_linear_in_multiply_adds_through_the_two_that_were_tried():
    seconds = estimate.by_macs((100, 1.0), (300, 2.0))
    assert [seconds(macs) for macs in (100, 200, 300, 500)] == [1.0, 1.5, 2.0, 3.0]
    assert estimate.by_macs((100, 1.0), (100, 1.0))(100) == 1.0


def test_a_step_is_what_one_of_several_takes_after_the_first_is_over(training, monkeypatch):
    asked = []

    def fit(model, train, validation, schedule, *, side, **options):
        asked.append((schedule.epochs, schedule.images_per_epoch, train.pixels_NHWC.shape, side))
        return SimpleNamespace(seconds=100.0 if len(asked) == 1 else 0.3 * schedule.epochs)

    monkeypatch.setattr(estimate, "fit", fit)
    cost = estimate.try_step(training, TINY)
    assert cost.step_seconds == pytest.approx(0.3)
    assert asked == [(1, 16, (16, 32, 32, 3), 32), (3, 16, (16, 32, 32, 3), 32)]
    assert 0.05 < cost.peak_gib < 100
