"""The training loop and its checkpoints."""

import functools
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sure import sure

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.errors import InterruptedCleanlyError, TrainingError
from mvit_nas.nn.backbone import build
from mvit_nas.tasks.classify import Classification
from mvit_nas.training.checkpoint import Checkpoint, CheckpointError, Progress
from mvit_nas.training.draws import Batch, Draws
from mvit_nas.training.loop import Score, fit, score
from mvit_nas.training.schedule import find_schedule

CPU = torch.device("cpu")
TASK = Classification(classes=3)
SMOKE = replace(find_schedule("smoke"), batch_size=16, images_per_epoch=96, learning_rate=0.01)
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
        build(TINY, classes=3), coloured(96), coloured(30, side=32, seed=1), schedule,
        task=TASK, side=32, seed=seed, device=CPU, **options,
    )  # fmt: skip


@functools.cache
def run_as_usual(epochs):
    return run(schedule=replace(SMOKE, epochs=epochs))


def test_a_few_steps_learn_what_is_easy():
    found = run_as_usual(8)
    assert found.images == 30
    assert found.accuracy > 0.6
    assert len(found.losses) == 8
    assert found.losses[-1] < found.losses[0]


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
    trained = run_as_usual(8)
    averaged = run(schedule=replace(SMOKE, epochs=8, ema=1e-9))
    assert averaged.losses == trained.losses
    assert averaged != replace(trained, seconds=averaged.seconds)


def run_by_rungs(*, at_rung, checkpoint=None, schedule, **options):
    torch.manual_seed(3)
    dropout = with_values(TINY, {"dropout": 0.2})
    return fit(
        build(dropout, classes=3), coloured(100), coloured(30, side=32, seed=1), schedule, task=TASK, side=32, seed=3, device=CPU,
        at_rung=at_rung, checkpoint=checkpoint and Checkpoint(checkpoint), should_stop=options.get("should_stop", lambda: False),
    )  # fmt: skip


LONGER = replace(SMOKE, epochs=5, ema=0.1)


@functools.cache
def run_to_the_end():
    return run_by_rungs(at_rung=lambda rungs: False, schedule=LONGER)


def test_looking_at_the_rungs_changes_nothing():
    alone = run_by_rungs(at_rung=None, schedule=LONGER)
    watched = run_to_the_end()
    assert (watched.losses, watched.correct, alone.rungs) == (alone.losses, alone.correct, ())
    assert [rung.epoch for rung in watched.rungs] == [1, 2, 4]
    assert [rung.loss for rung in watched.rungs] == [watched.losses[0], watched.losses[1], watched.losses[3]]


def test_a_run_that_goes_on_from_its_checkpoint_ends_as_one_that_was_never_stopped(tmp_path):
    whole = run_to_the_end()
    checkpoint = tmp_path / "new" / "run.pt"
    stopped = run_by_rungs(at_rung=lambda rungs: rungs[-1].epoch == 2, checkpoint=checkpoint, schedule=LONGER)
    assert isinstance(stopped, Progress)
    assert stopped.rungs == whole.rungs[:2]
    again = run_by_rungs(at_rung=lambda rungs: rungs[-1].epoch == 2, checkpoint=checkpoint, schedule=LONGER)
    assert again == stopped  # nothing was computed
    torch.manual_seed(99)
    on = run_by_rungs(at_rung=lambda rungs: False, checkpoint=checkpoint, schedule=LONGER)
    assert isinstance(on, Score)
    assert (on.losses, on.correct, on.rungs) == (whole.losses, whole.correct, whole.rungs)
    assert on.seconds > stopped.seconds
    assert list(checkpoint.parent.iterdir()) == []


def stopped_after(steps, checkpoint, *, at_rung=None):
    """A run that is stopped before its next step."""
    asked = iter([False] * steps + [True])
    with pytest.raises(InterruptedCleanlyError):
        run_by_rungs(at_rung=at_rung, checkpoint=checkpoint, schedule=LONGER, should_stop=lambda: next(asked))
    torch.manual_seed(99)  # whatever happens in between


def test_an_interrupted_run_goes_on_in_the_middle_of_an_epoch(tmp_path):
    whole = run_to_the_end()
    checkpoint, seen = tmp_path / "run.pt", []

    def judge(rungs):
        seen.append(len(rungs))
        return False

    stopped_after(17, checkpoint, at_rung=judge)
    assert seen == [1, 2]
    on = run_by_rungs(at_rung=judge, checkpoint=checkpoint, schedule=LONGER)
    assert (on.losses, on.correct, on.rungs) == (whole.losses, whole.correct, whole.rungs)
    assert seen == [1, 2, 2, 3]  # what was judged is judged again, not trained


def test_stopped_anywhere_with_sides_and_averages_it_ends_with_the_same_bits(tmp_path):
    schedule = replace(LONGER, multi_scale=True, ema=0.1, accumulate=2)
    luck, whole = np.random.default_rng(0), None
    for number in range(20):
        stops = luck.integers(0, 12, size=2).tolist()
        checkpoint = tmp_path / f"{number}.pt"
        for steps in stops:
            asked = iter([False] * steps + [True])
            with pytest.raises(InterruptedCleanlyError):
                fit_once(schedule, checkpoint, should_stop=lambda asked=asked: next(asked))
            torch.manual_seed(number)
        if whole is None:
            whole = fit_once(schedule, None)
        ended = fit_once(schedule, checkpoint)
        assert all(torch.equal(ended[name], whole[name]) for name in whole), stops


def fit_once(schedule, checkpoint, **options):
    model = build(TINY, classes=3)
    fit(
        model, coloured(96, side=45), coloured(30, side=32, seed=1), schedule, task=TASK, side=32, seed=0, device=CPU,
        checkpoint=Checkpoint(checkpoint) if checkpoint else None, **options,
    )  # fmt: skip
    return model.state_dict()


def test_a_state_is_kept_as_often_as_asked(tmp_path, monkeypatch):
    saved = []
    checkpoint = Checkpoint(tmp_path / "run.pt", every_seconds=0.0)
    keep = checkpoint.keep

    def noted(state, progress, **more):
        saved.append(progress.steps)
        keep(state, progress, **more)

    monkeypatch.setattr(checkpoint, "keep", noted)
    run(checkpoint=checkpoint)
    assert saved == [1, 2, 3, 4, 5, 6, 6]  # and once more before the last scoring, which may be stopped


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot go on from .*run\.pt"):
        run_by_rungs(at_rung=None, checkpoint=path, schedule=LONGER)


def test_a_checkpoint_of_another_network_or_with_code_is_named(tmp_path):
    path = tmp_path / "run.pt"
    torch.save({"model": {}, "colour": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError):
        run_by_rungs(at_rung=None, checkpoint=path, schedule=LONGER)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError):
        run_by_rungs(at_rung=None, checkpoint=path, schedule=LONGER)
    assert not (tmp_path / "evil").exists()
    stopped_after(3, path.with_name("other.pt"))
    with pytest.raises(CheckpointError):
        fit(
            build(with_values(TINY, {"stages.*.channels": 16}), classes=3), coloured(96), coloured(30, side=32), LONGER,
            task=TASK, side=32, seed=0, device=CPU, checkpoint=Checkpoint(path.with_name("other.pt")),
        )  # fmt: skip


class Evil:
    def __reduce__(self):
        return (open, ("evil", "w"))


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    told = []
    checkpoint = Checkpoint(tmp_path / "file" / "run.pt", on_failure=lambda: told.append(1))
    stopped = run(at_rung=lambda rungs: True, checkpoint=checkpoint, schedule=LONGER)
    assert isinstance(stopped, Progress)
    assert told


def drawn(size, images=10, seed=0):
    return Draws(seed, images=images, batches=[Batch(side=32, size=size)] * 3)


def test_every_image_is_seen_before_one_is_seen_again():
    draws = drawn(4)
    seen = [position for number in range(5) for position in draws.step(number).index_B.tolist()]
    assert sorted(seen) == sorted([*range(10)] * 2)
    assert len(set(seen[:8])) == 8


def test_a_step_is_drawn_from_its_number_alone():
    once, again = drawn(4), drawn(4)
    for number in (7, 3, 7, 0):
        one, other = once.step(number), again.step(number)
        assert (one.index_B == other.index_B).all()
        assert torch.equal(one.uniform_B5, other.uniform_B5)
        assert one.seed == other.seed
    steps = [once.step(number) for number in range(6)]
    assert len({step.seed for step in steps}) == 6
    assert len({step.uniform_B5.sum().item() for step in steps}) == 6
    assert (once.step(1).index_B != drawn(4, seed=1).step(1).index_B).any()


def test_processes_share_a_step_out_and_keep_its_crops():
    whole = drawn(4).step(1)
    parts = [whole.of(rank, 2).sorted() for rank in range(2)]
    assert sorted(np.concatenate([part.index_B for part in parts])) == sorted(whole.index_B)
    crops = {
        image: crop for part in parts for image, crop in zip(part.index_B, part.uniform_B5[:, 0].tolist(), strict=True)
    }
    assert crops == dict(zip(whole.index_B, whole.uniform_B5[:, 0].tolist(), strict=True))
    assert parts[0].seed != parts[1].seed


def test_sides_change_from_step_to_step_in_another_order_each_epoch_and_all_images_are_seen():
    batches = replace(SMOKE, multi_scale=True, batch_size=8).batches(96, 64)
    draws = Draws(0, images=96, batches=batches)
    epochs = [[draws.step(epoch * len(batches) + place) for place in range(len(batches))] for epoch in range(2)]
    sides = [[step.side for step in epoch] for epoch in epochs]
    assert sorted(sides[0]) == sorted(sides[1])
    assert sides[0] != sides[1]
    assert set(sides[0]) == {40, 48, 64, 72, 80}
    seen = np.concatenate([step.index_B for step in epochs[0]])
    assert len(set(seen[:96].tolist())) == 96  # whatever the sizes of the batches
    assert 80 < len(seen) < 112


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
    assert run(schedule=replace(SMOKE, epochs=2, **change)).losses != run_as_usual(2).losses


def test_schedules_that_augment_differently_see_the_same_images_in_the_same_order(monkeypatch):
    taken, seen = Draws.step, []

    def step(self, number):
        found = taken(self, number)
        seen.append(found.index_B.tolist())
        return found

    monkeypatch.setattr(Draws, "step", step)
    for augmentation in ("none", "crop", "crop+flip"):
        run(schedule=replace(SMOKE, epochs=2, augmentation=augmentation))
    third = len(seen) // 3
    assert third > 5
    assert seen[:third] == seen[third : 2 * third] == seen[2 * third :]


def test_the_schedule_decides_the_learning_rate_of_each_step(monkeypatch):
    monkeypatch.setattr(type(SMOKE), "learning_rate_at", lambda self, step, steps: 0.0)
    model = build(TINY, classes=3)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    fit(model, coloured(96), coloured(30, side=32), SMOKE, task=TASK, side=32, seed=0, device=CPU)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_scoring_leaves_the_batch_norm_statistics_alone():
    model = build(TINY, classes=3)
    before = sure(model.stem.norm.running_mean).clone()
    score(model, coloured(30, side=32), np.arange(30), task=TASK, device=CPU, should_stop=lambda: False)
    assert torch.equal(sure(model.stem.norm.running_mean), before)
    with pytest.raises(InterruptedCleanlyError):
        score(model, coloured(30, side=32), np.arange(30), task=TASK, device=CPU, should_stop=lambda: True)


class OnePixel(torch.nn.Module):
    """Says class 1 where the green of one pixel is exactly 77, else class 0."""

    def forward(self, images_BCHW):
        one_B = (images_BCHW[:, 1, 5, 30] == torch.tensor(77.0) / 255).float()
        return torch.stack([1 - one_B, one_B, torch.zeros_like(one_B)], 1)


def test_a_network_that_reads_one_pixel_is_scored_on_that_pixel():
    part = Part(np.full((5, 32, 32, 3), 76, np.uint8), np.array([0.4, 1, 1, 2.5, 3]), np.array([1, 0, 1, 1, 2]))
    part.pixels_NHWC[[0, 2, 3], 5, 30, 1] = 77
    found = score(OnePixel(), part, np.arange(5), task=TASK, device=CPU, should_stop=lambda: False)
    assert (found.correct, found.images) == (4, 5)


def test_outputs_that_are_not_finite_are_no_score():
    model = build(TINY, classes=3)
    torch.nn.init.constant_(model.classifier.bias, float("nan"))
    with pytest.raises(TrainingError, match="outputs that are not finite"):
        score(model, coloured(30, side=32), np.arange(30), task=TASK, device=CPU, should_stop=lambda: False)


def test_a_rung_looks_at_images_evenly_over_a_part_that_is_sorted_by_class(monkeypatch):
    taken, looked_at = Classification.take, []

    def take(self, part, index_B, *, device):
        if len(part.labels_N) == 1200:
            looked_at.extend(index_B.tolist())
        return taken(self, part, index_B, device=device)

    monkeypatch.setattr(Classification, "take", take)
    part = coloured(1200, side=32, seed=1)
    order = np.argsort(part.labels_N, kind="stable")
    by_class = Part(part.pixels_NHWC[order], part.aspects_N, part.labels_N[order])
    stopped = fit(
        build(TINY, classes=3), coloured(96), by_class, replace(SMOKE, epochs=2), task=TASK, side=32, seed=0,
        device=CPU, at_rung=lambda rungs: True, checkpoint=None, should_stop=lambda: False,
    )  # fmt: skip
    assert stopped.rungs[0].images == len(looked_at) == len(set(looked_at)) == 500
    assert (looked_at[0], looked_at[-1]) == (0, 1199)
    assert max(np.diff(looked_at)) <= 3
    assert np.bincount(by_class.labels_N[looked_at]).tolist() == pytest.approx([500 / 3] * 3, abs=2)


def test_classes_are_weighed_by_how_many_images_the_training_part_has_of_each(monkeypatch):
    weights = []
    loss = Classification.loss

    def heard(self, *parts, **options):
        weights.append(self.weights_K)
        return loss(self, *parts, **options)

    monkeypatch.setattr(Classification, "loss", heard)
    uneven = coloured(96)
    uneven.labels_N[:] = np.where(np.arange(96) % 8 == 0, np.arange(96) % 3, 0)
    found = [
        fit(
            build(TINY, classes=3), uneven, coloured(30, seed=1), replace(SMOKE, class_weights=weighs), task=TASK, side=32,
            seed=0, device=CPU,
        )
        for weighs in (False, True)
    ]  # fmt: skip
    assert set(weights) == {(), TASK.weighing_classes(uneven.labels_N).weights_K}
    assert found[0].losses != found[1].losses
    assert all(isinstance(one, Score) and one.images_K == (10, 10, 10) for one in found)


def test_gradients_are_clipped_to_their_norm_together(monkeypatch):
    norms = []
    monkeypatch.setattr(
        torch.optim.AdamW, "step",
        lambda self: norms.append(float(torch.cat([p.grad.flatten() for g in self.param_groups for p in g["params"]]).norm())),
    )  # fmt: skip
    run(schedule=replace(SMOKE, clip_norm=0.0))
    assert max(norms) > 0.1
    free = len(norms)
    run(schedule=replace(SMOKE, clip_norm=0.1))
    assert max(norms[free:]) == pytest.approx(0.1, rel=1e-3)
