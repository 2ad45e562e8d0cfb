"""Schedules, crops and the training loop."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.errors import InputError, InterruptedCleanlyError, TrainingError
from mvit_nas.nn.backbone import build
from mvit_nas.training.augment import centre_crops, random_crops
from mvit_nas.training.loop import Score, Stopped, _Average, _Batches, fit, fit_by_rungs
from mvit_nas.training.schedule import SCHEDULES, find_schedule

CPU = torch.device("cpu")
SMOKE = replace(SCHEDULES["smoke"], batch_size=16, images_per_epoch=96, learning_rate=0.01)
TINY = with_values(
    PRESETS["mobilevit_xxs"],
    {"image_size": 32, "stem.stride": 1, "stages.*.channels": 8, "stages.*.mobilevit.dim": 16, "stages.*.mobilevit.depth": 1},
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    pixels_NHWC: np.ndarray
    aspects_N: np.ndarray
    labels_N: np.ndarray


def coloured(images, *, side=36, seed=0):
    """Noise whose brighter channel is its class: learnable within a few steps."""
    generator = np.random.default_rng(seed)
    labels = np.arange(images) % 3
    pixels = generator.integers(0, 120, (images, side, side, 3), np.uint8)
    pixels[np.arange(images), :, :, labels] += 120
    return Part(pixels, np.ones(images, np.float32), labels.astype(np.int64))


def run(*, schedule=SMOKE, seed=0, **options):
    torch.manual_seed(seed)
    return fit(
        build(TINY, classes=3), coloured(96), coloured(30, seed=1), schedule,
        side=32, seed=seed, device=CPU, **options,
    )  # fmt: skip


def test_a_few_steps_learn_what_is_easy():
    score = run(schedule=replace(SMOKE, epochs=8))
    assert score.images == 30
    assert score.accuracy > 0.6
    assert len(score.losses) == 8
    assert score.losses[-1] < score.losses[0]


def test_the_same_seed_gives_the_same_numbers_and_another_one_others():
    first, again, other = run(seed=3), run(seed=3), run(seed=4)
    assert first.losses == again.losses
    assert first.correct == again.correct
    assert first.losses != other.losses


def test_a_loss_that_is_not_finite_ends_the_run_with_the_reason():
    with pytest.raises(TrainingError, match=r"the training loss became (nan|inf) in epoch 1 of 1"):
        run(schedule=replace(SMOKE, learning_rate=1e20, warmup=0.0, warmup_learning_rate=1e20))


def test_a_run_stops_at_the_next_step_when_asked():
    asked = iter([False, False, True])
    with pytest.raises(InterruptedCleanlyError):
        run(should_stop=lambda: next(asked))


def test_the_moving_average_is_what_is_scored():
    trained = run(schedule=replace(SMOKE, epochs=8))
    averaged = run(schedule=replace(SMOKE, epochs=8, ema=1e-9))
    assert averaged.losses == trained.losses
    assert averaged != replace(trained, seconds=averaged.seconds)


def test_the_moving_average_is_that_of_its_definition():
    model = nn.Linear(2, 1)
    first = model.weight.detach().clone()
    average = _Average(model, 0.25)
    with torch.no_grad():
        model.weight += 4
        average.update(1000)
        model.weight += 4
        average.update(1001)
    average.swap()
    # 0.75 x (0.75 x first + 0.25 x (first + 4)) + 0.25 x (first + 8)
    torch.testing.assert_close(model.weight.detach(), first + 0.75 * 0.25 * 4 + 0.25 * 8)


def test_nothing_of_the_beginning_is_left_in_the_moving_average_of_a_short_training():
    model = nn.Linear(2, 1)
    average = _Average(model, 0.0005)
    with torch.no_grad():
        model.weight += 1000
        for step in range(50):
            average.update(step)
    trained = model.weight.detach().clone()
    average.swap()
    torch.testing.assert_close(model.weight.detach(), trained, rtol=1e-6, atol=1e-3)


def run_by_rungs(*, at_rung, checkpoint=None, schedule, **options):
    torch.manual_seed(3)
    dropout = with_values(TINY, {"dropout": 0.2})
    return fit_by_rungs(
        build(dropout, classes=3), coloured(100), coloured(30, seed=1), schedule, side=32, seed=3, device=CPU,
        at_rung=at_rung, checkpoint=checkpoint, should_stop=options.get("should_stop", lambda: False),
    )  # fmt: skip


LONGER = replace(SMOKE, epochs=5, ema=0.1)


def test_rungs_are_epochs_that_double_before_the_last():
    rungs = {epochs: replace(SMOKE, epochs=epochs).rungs() for epochs in (1, 2, 3, 4, 5, 8, 9)}
    assert rungs == {1: (), 2: (1,), 3: (1, 2), 4: (1, 2), 5: (1, 2, 4), 8: (1, 2, 4), 9: (1, 2, 4, 8)}


def test_looking_at_the_rungs_changes_nothing():
    alone = run_by_rungs(at_rung=None, schedule=LONGER)
    watched = run_by_rungs(at_rung=lambda rungs: False, schedule=LONGER)
    assert (watched.losses, watched.correct, alone.rungs) == (alone.losses, alone.correct, ())
    assert [rung.epoch for rung in watched.rungs] == [1, 2, 4]
    assert [rung.loss for rung in watched.rungs] == [watched.losses[0], watched.losses[1], watched.losses[3]]


def test_a_run_that_goes_on_from_its_checkpoint_ends_as_one_that_was_never_stopped(tmp_path):
    whole = run_by_rungs(at_rung=lambda rungs: False, schedule=LONGER)
    checkpoint = tmp_path / "new" / "run.pt"
    stopped = run_by_rungs(at_rung=lambda rungs: rungs[-1].epoch == 2, checkpoint=checkpoint, schedule=LONGER)
    assert isinstance(stopped, Stopped)
    assert stopped.rungs == whole.rungs[:2]
    again = run_by_rungs(at_rung=lambda rungs: rungs[-1].epoch == 2, checkpoint=checkpoint, schedule=LONGER)
    assert again == stopped  # nothing was computed
    torch.manual_seed(99)
    on = run_by_rungs(at_rung=lambda rungs: False, checkpoint=checkpoint, schedule=LONGER)
    assert isinstance(on, Score)
    assert (on.losses, on.correct, on.rungs) == (whole.losses, whole.correct, whole.rungs)
    assert on.seconds > stopped.seconds
    assert list(checkpoint.parent.iterdir()) == []


def test_an_interrupted_run_goes_on_from_its_last_rung(tmp_path):
    whole = run_by_rungs(at_rung=lambda rungs: False, schedule=LONGER)
    asked = iter([False] * 17 + [True])
    checkpoint = tmp_path / "run.pt"
    with pytest.raises(InterruptedCleanlyError):
        run_by_rungs(
            at_rung=lambda rungs: False, checkpoint=checkpoint, schedule=LONGER, should_stop=lambda: next(asked)
        )
    seen = []
    on = run_by_rungs(at_rung=lambda rungs: seen.append(len(rungs)), checkpoint=checkpoint, schedule=LONGER)
    assert (on.losses, on.correct) == (whole.losses, whole.correct)
    assert seen == [2, 3]  # the two rungs of before are judged again, not trained


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_a_checkpoint_that_cannot_be_read_costs_a_new_start(tmp_path, content):
    checkpoint = tmp_path / "run.pt"
    checkpoint.write_bytes(content)
    whole = run_by_rungs(at_rung=None, schedule=LONGER)
    assert run_by_rungs(at_rung=None, checkpoint=checkpoint, schedule=LONGER).losses == whole.losses


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    checkpoint = tmp_path / "file" / "run.pt"
    stopped = run_by_rungs(at_rung=lambda rungs: True, checkpoint=checkpoint, schedule=LONGER)
    assert isinstance(stopped, Stopped)


def test_an_epoch_sees_its_share_of_the_images():
    short = SCHEDULES["short"]
    assert short.steps_per_epoch(100_000) == short.images_per_epoch // short.batch_size
    assert short.steps_per_epoch(320) == 320 // short.batch_size
    assert short.steps_per_epoch(3) == 1
    assert short.steps(100_000) == short.epochs * short.steps_per_epoch(100_000)


def test_every_image_is_seen_before_one_is_seen_again():
    part = Part(np.zeros((10, 1, 1, 3), np.uint8), np.ones(10, np.float32), np.arange(10))
    batches = _Batches(part, 4, torch.Generator().manual_seed(0), CPU)
    seen = [label for _ in range(5) for label in batches.next()[2].tolist()]
    assert sorted(seen) == sorted([*range(10)] * 2)
    assert len(set(seen[:8])) == 8


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


def gradient_image(height, width, side=64):
    """Red rises from left to right, green from top to bottom, over an image squashed to a square."""
    ramp = torch.linspace(0, 255, side)
    image = torch.zeros(side, side, 3)
    image[..., 0] = ramp[None, :]
    image[..., 1] = ramp[:, None]
    return image.round().to(torch.uint8)[None], torch.tensor([width / height])


@pytest.mark.parametrize(("height", "width"), [(100, 100), (100, 200), (150, 100)])
def test_a_centre_crop_is_the_largest_square_in_the_middle(height, width):
    images, aspects = gradient_image(height, width)
    crop = centre_crops(images, aspects, side=32)[0]
    red, green = (float(crop[c].max() - crop[c].min()) for c in (0, 1))
    # What the crop spans of each axis of the original: all of the shorter one.
    assert red == pytest.approx(min(1, height / width), abs=0.05)
    assert green == pytest.approx(min(1, width / height), abs=0.05)
    assert float(crop[0].mean()) == pytest.approx(0.5, abs=0.02)
    assert float(crop[1].mean()) == pytest.approx(0.5, abs=0.02)


def test_random_crops_keep_proportions_and_stay_inside():
    images, aspects = gradient_image(100, 200)
    images, aspects = images.expand(500, -1, -1, -1), aspects.expand(500)
    generator = torch.Generator().manual_seed(0)
    crops = random_crops(images, aspects, side=24, min_crop=0.2, flips=True, generator=generator)
    assert crops.shape == (500, 3, 24, 24)
    width = (crops[:, 0, 12, -1] - crops[:, 0, 12, 0]) * 24 / 23  # signed: negative is mirrored
    height = (crops[:, 1, -1, 12] - crops[:, 1, 0, 12]) * 24 / 23
    ratio = width.abs() * 2 / height  # in pixels of the original, which is twice as wide as high
    area = width.abs() * height
    assert 0.7 < float(ratio.min()) < 0.8
    assert 1.28 < float(ratio.max()) < 1.4
    assert 0.18 < float(area.min()) < 0.25
    # The ratio bounds a crop of an image twice as wide as high: 4/3 x height over its width of 2.
    assert 0.6 < float(area.max()) < 0.72
    assert 200 < int((width < 0).sum()) < 300
    for channel in (0, 1):  # a crop lies anywhere, to the left and right, up and down
        centres = crops[:, channel].mean((1, 2))
        assert float(centres.min()) < 0.4
        assert float(centres.max()) > 0.6
    assert float(height.min()) > 0


def test_without_flips_nothing_is_mirrored():
    images, aspects = gradient_image(100, 100)
    generator = torch.Generator().manual_seed(0)
    crops = random_crops(images.expand(200, -1, -1, -1), aspects.expand(200), side=8, min_crop=0.35, flips=False, generator=generator)  # fmt: skip
    assert bool((crops[:, 0, 4, -1] > crops[:, 0, 4, 0]).all())


def test_a_map_that_patches_do_not_tile_trains_too():
    arch = with_values(TINY, {"stages.*.mobilevit.patch_size": 3})
    model = build(arch, classes=3)
    model(torch.rand(2, 3, 40, 40)).sum().backward()


@pytest.mark.parametrize(
    "change",
    [
        {"label_smoothing": 0.0},
        {"weight_decay": 0.5},
        {"min_crop": 0.9},
        {"clip_norm": 0.1},
        {"augmentation": "crop"},
        {"augmentation": "none"},
    ],
)
def test_a_field_of_the_schedule_reaches_the_training(change):
    schedule = replace(SMOKE, epochs=2)
    assert run(schedule=replace(schedule, **change)).losses != run(schedule=schedule).losses


def test_schedules_that_augment_differently_see_the_same_images_in_the_same_order(monkeypatch):
    from mvit_nas.training import loop

    take, seen = loop._take, []
    monkeypatch.setattr(
        loop, "_take", lambda part, index_B, device: seen.append(index_B) or take(part, index_B, device)
    )
    for augmentation in ("none", "crop", "crop+flip"):
        run(schedule=replace(SMOKE, epochs=2, augmentation=augmentation))
    third = len(seen) // 3
    assert third > 5
    for one, two, three in zip(seen[:third], seen[third : 2 * third], seen[2 * third :], strict=True):
        assert one.tolist() == two.tolist() == three.tolist()


def test_without_augmentation_an_image_is_seen_as_it_is_scored(monkeypatch):
    from mvit_nas.training import loop

    monkeypatch.setattr(loop, "random_crops", None)
    run(schedule=replace(SMOKE, augmentation="none"))
    flipped = []
    monkeypatch.setattr(
        loop, "random_crops",
        lambda images, aspects, *, side, flips, **_: flipped.append(flips) or loop.centre_crops(images, aspects, side=side),
    )  # fmt: skip
    run(schedule=replace(SMOKE, augmentation="crop"))
    assert set(flipped) == {False}
    run(schedule=SMOKE)
    assert set(flipped) == {False, True}


def test_the_schedule_decides_the_learning_rate_of_each_step(monkeypatch):
    monkeypatch.setattr(type(SMOKE), "learning_rate_at", lambda self, step, steps: 0.0)
    model = build(TINY, classes=3)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    fit(model, coloured(96), coloured(30), SMOKE, side=32, seed=0, device=CPU)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_scoring_leaves_the_batch_norm_statistics_alone():
    from mvit_nas.training.loop import _count_correct

    model = build(TINY, classes=3)
    before = model.stem.norm.running_mean.clone()
    _count_correct(model, coloured(30), np.arange(30), side=32, device=CPU, stop=lambda: False)
    assert torch.equal(model.stem.norm.running_mean, before)
    with pytest.raises(InterruptedCleanlyError):
        _count_correct(model, coloured(30), np.arange(30), side=32, device=CPU, stop=lambda: True)


def test_outputs_that_are_not_finite_are_no_score():
    from mvit_nas.training.loop import _count_correct

    model = build(TINY, classes=3)
    torch.nn.init.constant_(model.classifier.bias, float("nan"))
    with pytest.raises(TrainingError, match="outputs that are not finite"):
        _count_correct(model, coloured(30), np.arange(30), side=32, device=CPU, stop=lambda: False)
