"""Schedules: what they hold and what follows from it."""

from dataclasses import replace

import pytest

from mvit_nas.errors import InputError
from mvit_nas.training.schedule import SCHEDULES, find_schedule

SMOKE = SCHEDULES["smoke"]


def test_rungs_are_epochs_that_double_before_the_last():
    rungs = {epochs: replace(SMOKE, epochs=epochs).rungs() for epochs in (1, 2, 3, 4, 5, 8, 9)}
    assert rungs == {1: (), 2: (1,), 3: (1, 2), 4: (1, 2), 5: (1, 2, 4), 8: (1, 2, 4), 9: (1, 2, 4, 8)}


def test_an_epoch_sees_its_share_of_the_images():
    short = SCHEDULES["short"]
    assert short.steps_per_epoch(100_000) == short.images_per_epoch // short.batch_size
    assert short.steps_per_epoch(320) == 320 // short.batch_size
    assert short.steps_per_epoch(3) == 1
    assert short.steps(100_000) == short.epochs * short.steps_per_epoch(100_000)


def test_the_learning_rate_warms_up_to_its_peak_and_decays_to_its_end():
    paper = SCHEDULES["paper"]
    steps = 375_000
    rates = [paper.learning_rate_at(step, steps) for step in range(0, steps, 50)]
    assert paper.learning_rate_at(2999, steps) == pytest.approx(0.002)
    assert paper.learning_rate_at(0, steps) == pytest.approx(0.0002, rel=0.01)
    assert paper.learning_rate_at(1499, steps) == pytest.approx(0.0011)
    assert paper.learning_rate_at(steps - 1, steps) == pytest.approx(0.0002, rel=1e-3)
    # Half of the way between: the cosine's middle.
    assert paper.learning_rate_at(3000 + 372_000 // 2, steps) == pytest.approx(0.0011)
    assert max(rates) <= 0.002
    assert rates[60:] == sorted(rates[60:], reverse=True)


def test_the_paper_schedule_is_the_papers():
    paper = SCHEDULES["paper"]
    assert (paper.epochs, paper.batch_size, paper.weight_decay, paper.label_smoothing) == (300, 1024, 0.01, 0.1)
    assert (paper.ema, paper.resolution, paper.min_crop) == (0.0005, 1.0, 0.08)


@pytest.mark.parametrize(("image_size", "side"), [(32, 32), (64, 64), (256, 128), (192, 96), (96, 64)])
def test_short_training_shrinks_large_images_only(image_size, side):
    assert SCHEDULES["short"].side(image_size) == side


def test_an_unknown_schedule_lists_the_known_ones():
    with pytest.raises(InputError, match="known are smoke, short, paper"):
        find_schedule("long")
