"""Schedules: what they hold and what follows from it."""

from dataclasses import asdict, fields, replace
from importlib import resources

import pytest
import yaml

from mvit_nas.errors import InputError
from mvit_nas.training.schedule import NAMES, Schedule, find_schedule, parse_schedule

SMOKE = find_schedule("smoke")


def test_rungs_are_epochs_that_double_before_the_last():
    rungs = {epochs: replace(SMOKE, epochs=epochs).rungs() for epochs in (1, 2, 3, 4, 5, 8, 9)}
    assert rungs == {1: (), 2: (1,), 3: (1, 2), 4: (1, 2), 5: (1, 2, 4), 8: (1, 2, 4), 9: (1, 2, 4, 8)}


def test_an_epoch_sees_its_share_of_the_images():
    short = find_schedule("short")
    assert short.steps_per_epoch(100_000) == short.images_per_epoch // short.batch_size
    assert short.steps_per_epoch(320) == 320 // short.batch_size
    assert short.steps_per_epoch(3) == 1
    assert short.steps(100_000) == short.epochs * short.steps_per_epoch(100_000)


def test_the_learning_rate_warms_up_to_its_peak_and_decays_to_its_end():
    paper = find_schedule("paper")
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
    paper = find_schedule("paper")
    assert (paper.epochs, paper.batch_size, paper.weight_decay, paper.label_smoothing) == (300, 1024, 0.01, 0.1)
    assert (paper.ema, paper.resolution, paper.min_crop) == (0.0005, 1.0, 0.08)


@pytest.mark.parametrize(("image_size", "side"), [(32, 32), (64, 64), (256, 128), (192, 96), (96, 64)])
def test_short_training_shrinks_large_images_only(image_size, side):
    assert find_schedule("short").side(image_size) == side


def test_an_unknown_schedule_lists_the_known_ones():
    with pytest.raises(InputError, match="known are smoke, digits, digits_medium, short, medium, long, paper"):
        find_schedule("longer")


FILE = yaml.safe_dump({key: value for key, value in asdict(SMOKE).items() if key != "name"})


def changed(**values):
    return yaml.safe_dump(yaml.safe_load(FILE) | values)


def test_every_shipped_file_is_a_schedule_by_its_name():
    files = {entry.name for entry in (resources.files("mvit_nas") / "schedules").iterdir()}
    assert files == {f"{name}.yaml" for name in NAMES}
    assert [find_schedule(name).name for name in NAMES] == list(NAMES)


def test_the_shipped_schedules_are_what_caches_know_them_as():
    # A change of a field is another training: everything that users have computed is computed again.
    common: dict[str, object] = {"warmup_learning_rate": 0.0002, "final_learning_rate": 0.0002, "weight_decay": 0.01}
    common |= {
        "label_smoothing": 0.1,
        "augmentation": "crop+flip",
        "class_weights": False,
        "multi_scale": False,
        "accumulate": 1,
    }
    assert asdict(find_schedule("smoke")) == common | {
        "name": "smoke", "epochs": 1, "images_per_epoch": 512, "batch_size": 32, "resolution": 0.25,
        "learning_rate": 0.002, "warmup": 0.1, "min_crop": 0.35, "ema": 0.0, "clip_norm": 0.0,
    }  # fmt: skip
    assert asdict(find_schedule("short")) == common | {
        "name": "short", "epochs": 4, "images_per_epoch": 2000, "batch_size": 16, "resolution": 0.5,
        "learning_rate": 0.001, "warmup": 0.1, "min_crop": 0.35, "ema": 0.0, "clip_norm": 1.0,
    }  # fmt: skip
    assert asdict(find_schedule("medium")) == common | {
        "name": "medium", "epochs": 12, "images_per_epoch": 4000, "batch_size": 32, "resolution": 0.5,
        "learning_rate": 0.001, "warmup": 0.1, "min_crop": 0.35, "ema": 0.0, "clip_norm": 1.0,
    }  # fmt: skip
    assert asdict(find_schedule("long")) == common | {
        "name": "long", "epochs": 30, "images_per_epoch": 10_000_000, "batch_size": 64, "resolution": 0.5,
        "learning_rate": 0.002, "warmup": 0.1, "min_crop": 0.35, "ema": 0.0, "clip_norm": 1.0,
    }  # fmt: skip
    assert asdict(find_schedule("paper")) == common | {"multi_scale": True} | {
        "name": "paper", "epochs": 300, "images_per_epoch": 10_000_000, "batch_size": 1024, "resolution": 1.0,
        "learning_rate": 0.002, "warmup": 0.008, "min_crop": 0.08, "ema": 0.0005, "clip_norm": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(("searched", "confirmed"), [("short", "medium"), ("digits", "digits_medium")])
def test_networks_are_confirmed_on_six_times_the_images(searched, confirmed):
    one, other = find_schedule(searched), find_schedule(confirmed)
    assert other.epochs * other.images_per_epoch == 6 * one.epochs * one.images_per_epoch


def test_whole_numbers_in_a_file_are_the_numbers_that_the_field_takes():
    # A cache's key is text: 0 and 0.0 would be two trainings.
    found = parse_schedule(changed(ema=0, clip_norm=1), name="mine", where="mine.yaml")
    assert [type(getattr(found, field.name)) for field in fields(Schedule)] == [
        type(getattr(SMOKE, field.name)) for field in fields(Schedule)
    ]


def test_a_schedule_is_read_from_a_file_and_named_for_it(tmp_path):
    (tmp_path / "mine.yaml").write_text(changed(epochs=7))
    assert find_schedule(str(tmp_path / "mine.yaml")) == replace(SMOKE, name="mine", epochs=7)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (changed(epoch=3), "mine.yaml: unknown 'epoch', did you mean 'epochs'?"),
        (changed(name="other"), "mine.yaml: unknown 'name', "),
        ("epochs: 3", "mine.yaml lacks 'images_per_epoch'"),
        ("epochs: [", "mine.yaml is no YAML: "),
        ("- 3", "mine.yaml must be a mapping, got [3]"),
        (changed(epochs=1.5), "mine.yaml: epochs must be a whole number, got 1.5"),
        (changed(epochs=True), "mine.yaml: epochs must be a whole number, got True"),
        (FILE + "ema: 1e-3", "mine.yaml: ema must be a number, got '1e-3': write 1.0e-3 for 1e-3"),
        (changed(epochs=0), "mine.yaml: epochs must be at least 1, got 0"),
        (changed(batch_size=0), "mine.yaml: batch_size must be at least 1, got 0"),
        (changed(images_per_epoch=0), "mine.yaml: images_per_epoch must be at least 1, got 0"),
        (changed(learning_rate=0), "mine.yaml: learning_rate must be positive, got 0.0"),
        (changed(learning_rate=float("nan")), "mine.yaml: learning_rate must be positive, got nan"),
        (changed(weight_decay=-1), "mine.yaml: weight_decay must be at least 0, got -1.0"),
        (changed(resolution=1.5), "mine.yaml: resolution must lie above 0 and be at most 1, got 1.5"),
        (changed(min_crop=0), "mine.yaml: min_crop must lie above 0 and be at most 1, got 0.0"),
        (changed(warmup=1), "mine.yaml: warmup must lie in [0, 1), got 1.0"),
        (changed(class_weights=1), "mine.yaml: class_weights must be true or false, got 1"),
        (changed(augmentation="mixup"), "mine.yaml: augmentation must be one of none, crop, crop+flip, got 'mixup'"),
    ],
)
def test_what_is_no_schedule_is_named_with_its_file(tmp_path, monkeypatch, text, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError) as raised:
        find_schedule("mine.yaml")
    assert str(raised.value).startswith(reason)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*/mine.yaml: No such file or directory"):
        find_schedule(str(tmp_path / "mine.yaml"))
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"cannot read .*/mine.yaml: it is no text"):
        find_schedule(str(tmp_path / "mine.yaml"))
