"""The estimator that trains, on real images: what is kept, under which key, and from which seed."""

import os
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from image_files import image_folder, names_of
from searches import Heard

from mvit_nas.arch.config import arch_id
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.data.contract import InputContract, pixels
from mvit_nas.data.find import find_data
from mvit_nas.errors import CostError, InterruptedCleanlyError, TrainingError
from mvit_nas.evaluate import short as evaluate
from mvit_nas.evaluate.cache import Cache
from mvit_nas.evaluate.estimator import Estimate, Question
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.nn.backbone import build
from mvit_nas.nn.weights.inherit import Source
from mvit_nas.study.record import Candidate, Measured, Record, Rung, State
from mvit_nas.training.checkpoint import Progress
from mvit_nas.training.loop import Score
from mvit_nas.training.loop import fit as really_fit
from mvit_nas.training.schedule import Schedule, find_schedule

ARCH = with_values(PRESETS["mobilevit_xxs"], {"image_size": 32, "stages.*.mobilevit.dim": 16, "stages.*.channels": 8})
OTHER = with_values(ARCH, {"stages.4.mobilevit.depth": 1})


@pytest.fixture(scope="module")
def digits():
    return find_data(None)


@pytest.fixture
def trained(monkeypatch):
    """Stands in for training; the keyword arguments of every run."""
    runs = []

    def fit(model, train, validation, schedule, **options):
        weights = model.stem.conv.weight.detach().clone()
        runs.append({"weights": weights, "train": train, "validation": validation, **options})
        return Score(correct_K=(len(runs), 129), images_K=(25, 200), losses=(1.5, 0.5), seconds=2.0)

    monkeypatch.setattr(evaluate, "fit", fit)
    return runs


SMOKE = find_schedule("smoke")


def make(digits, *, schedule=SMOKE, reporter=None):
    return ShortTraining(digits, schedule, device=torch.device("cpu"), reporter=reporter)


def question(arch, *, seed=0):
    candidate = Candidate(arch=arch, arch_id=arch_id(arch))
    return Question(record=Record(trial=0, state=State.COMPLETE, candidate=candidate, seed=seed))


def test_a_score_is_trained_once_and_known_ever_after(digits, trained):
    first, was_known = make(digits).score(ARCH, seed=0)
    again, is_known = make(digits).score(ARCH, seed=0)
    assert (was_known, is_known) == (False, True)
    assert first == again
    assert len(trained) == 1


def test_a_score_is_known_for_its_own_question_only(digits, trained):
    make(digits).score(ARCH, seed=0)
    for schedule, arch, seed in (
        (find_schedule("smoke"), ARCH, 1),
        (find_schedule("smoke"), OTHER, 0),
        (replace(find_schedule("smoke"), label_smoothing=0.0), ARCH, 0),
    ):
        assert make(digits, schedule=schedule).is_known(arch, seed=seed) is False
    other_data = replace(digits, fingerprint="other")
    assert make(other_data).is_known(ARCH, seed=0) is False
    # The schedule's name is a label: what it holds is the question.
    assert make(digits, schedule=replace(find_schedule("smoke"), name="mine")).is_known(ARCH, seed=0)


def started(digits, weights, classes=None):
    source = Source(name="there", weights=weights, classes=classes or digits.classes)
    return ShortTraining(digits, SMOKE, device=torch.device("cpu"), source=source)


def test_networks_start_from_what_fits_of_the_source_and_are_known_for_it_alone(digits, trained):
    weights = build(ARCH, classes=10, seed=7).state_dict()
    training = started(digits, weights)
    training.score(ARCH, seed=0)
    training.score(OTHER, seed=0)
    for run in trained:
        assert torch.equal(run["weights"], weights["stem.conv.weight"])
    assert training.is_known(ARCH, seed=0)
    assert started(digits, dict(weights)).is_known(ARCH, seed=0)
    assert not make(digits).is_known(ARCH, seed=0)
    assert not started(digits, weights, digits.classes[::-1]).is_known(ARCH, seed=0)
    assert not started(digits, {**weights, "head.conv.weight": weights["head.conv.weight"] + 1}).is_known(ARCH, seed=0)
    # What spreads between seeds there says nothing of networks that start from their own weights.
    training.score(ARCH, seed=1)
    assert (len(training.by_seed()), make(digits).by_seed()) == (1, [])


def test_a_seed_is_shared_by_all_architectures(digits, trained):
    make(digits).score(OTHER, seed=5)
    make(digits).score(ARCH, seed=5)
    make(digits).score(ARCH, seed=6)
    assert [run["seed"] for run in trained] == [5, 5, 6]
    first, second, third = (run["weights"] for run in trained)
    assert torch.equal(first, second)
    assert not torch.equal(second, third)
    assert torch.equal(first, build(ARCH, classes=10, seed=5).stem.conv.weight)


def test_a_training_that_diverged_is_not_tried_again(digits, monkeypatch):
    tried = []

    def fit(*parts, **options):
        tried.append(options["seed"])
        raise TrainingError("the training loss became nan in epoch 1 of 1")

    monkeypatch.setattr(evaluate, "fit", fit)
    for _ in range(2):
        with pytest.raises(TrainingError, match="became nan in epoch 1 of 1"):
            make(digits).score(ARCH, seed=3)
    assert tried == [3]
    assert make(digits).is_known(ARCH, seed=3)


def test_another_schedule_is_another_question_on_the_same_images(digits, trained):
    evaluator = make(digits)
    evaluator.score(ARCH, seed=0)
    other = evaluator.with_schedule(replace(find_schedule("smoke"), ema=0.1))
    assert not other.is_known(ARCH, seed=0)
    other.score(ARCH, seed=0)
    assert other.is_known(ARCH, seed=0)
    assert evaluator.schedule.ema == 0
    assert trained[0]["train"] is trained[1]["train"]


def test_training_images_are_kept_an_eighth_larger_and_the_test_part_is_not_opened(digits, trained, cache):
    make(digits).score(ARCH, seed=0)
    assert trained[0]["side"] == 32
    assert trained[0]["train"].pixels_NHWC.shape[1:] == (36, 36, 3)
    train, validation = sorted(path.name for path in (cache / "images").iterdir() if path.is_dir())
    assert train == f"{digits.fingerprint}-train-36"
    assert validation.startswith(f"{digits.fingerprint}-validation-32-scored-")


def test_networks_are_scored_on_the_pixels_of_the_contract(digits, trained):
    training = make(digits)
    training.score(ARCH, seed=0)
    for name, part in (("validation", trained[0]["validation"]), ("test", training.scored_part("test", 32))):
        contents = [content for _, content in digits.read(digits.members[name])]
        assert len(part.labels_N) == len(contents) == digits.count(name)
        for place in (0, 7, len(contents) - 1):
            expected = pixels(contents[place], InputContract(side=32))
            assert np.array_equal(part.pixels_NHWC[place], expected)
            assert part.labels_N[place] == digits.labels_N[digits.members[name]][place]
    assert training.contract(32) == InputContract(side=32)
    assert training.scored_part("validation", 32) is trained[0]["validation"]
    assert training.scored_part("validation", 24).pixels_NHWC.shape[1:] == (24, 24, 3)


def test_what_cannot_be_scored_is_told_with_what_cannot_be_trained_on(tmp_path):
    root = image_folder(tmp_path / "pets", {"a": 40, "b": 40})
    data = find_data(root)
    lost = [min(names_of(data, part)) for part in ("train", "validation")]
    for name in lost:
        (root / name).write_bytes(b"")
    training = make(data)
    training.part("train", 8)
    training.scored_part("validation", 8)
    assert training.skipped() == tuple(f"{name}: it is empty" for name in lost)


def test_a_cost_that_is_wrong_is_found_out_before_training(digits, trained, monkeypatch):
    def wrong(arch, *, classes):
        assert classes == 10
        raise CostError("fvcore counts otherwise")

    monkeypatch.setattr(evaluate, "check_static_cost", wrong)
    with pytest.raises(CostError, match="fvcore counts otherwise"):
        make(digits).estimate(question(ARCH))
    assert not trained


def test_an_estimate_says_what_training_gave_and_whether_it_was_known(digits, trained):
    training = make(digits)
    first, again = training.estimate(question(ARCH)), make(digits).estimate(question(ARCH))
    score, _ = training.score(ARCH, seed=0)
    (low, high), (balanced_low, balanced_high) = score.interval, score.balanced_interval
    assert first == Estimate(
        accuracy=Measured(value=130 / 225, low=low, high=high),
        balanced=Measured(value=(1 / 25 + 129 / 200) / 2, low=balanced_low, high=balanced_high),
        epochs=training.epochs,
        seconds=2.0,
    )
    assert again == replace(first, was_known=True)
    assert len(trained) == 1
    assert trained[0]["checkpoint"] is not None  # what is interrupted goes on


def test_a_training_that_is_stopped_is_no_accuracy_and_is_not_kept(digits, monkeypatch):
    rung = Rung(epoch=1, loss=2.0, correct=9, images=10)

    def fit(*parts, at_rung, **options):
        return (
            Progress(rungs=(rung,), seconds=1.0)
            if at_rung((rung,))
            else Score(correct_K=(5,), images_K=(10,), losses=(), seconds=1.0)
        )

    monkeypatch.setattr(evaluate, "fit", fit)
    training = make(digits, schedule=find_schedule("short"))
    found = training.estimate(question(ARCH), at_rung=lambda rungs: rungs == (rung,))
    assert found == Estimate(rungs=(rung,), epochs=1, seconds=1.0)
    assert not training.is_known(ARCH, seed=0)


def test_a_training_that_diverged_is_an_estimate_with_its_reason(digits, monkeypatch):
    def fit(*parts, **options):
        raise TrainingError("the training loss became nan in epoch 1 of 1")

    monkeypatch.setattr(evaluate, "fit", fit)
    assert make(digits).estimate(question(ARCH)) == Estimate(failure="the training loss became nan in epoch 1 of 1")


def test_what_does_not_fit_a_gpu_is_trained_with_half_the_batch_at_a_time_and_says_so(digits, monkeypatch):
    parts = []

    def fit(model, train, validation, schedule, **options):
        parts.append(schedule.accumulate)
        if schedule.accumulate < fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return really_fit(model, train, validation, schedule, **options)

    monkeypatch.setattr(evaluate, "fit", fit)
    fits = 2
    found = make(digits).estimate(question(ARCH))
    assert parts == [1, 2]
    assert found.note == "in 2 parts of each batch: the whole did not fit the GPU's memory"
    halved = make(digits, schedule=replace(SMOKE, accumulate=2))
    assert halved.score(ARCH, seed=0)[0].accuracy == found.accuracy.value
    assert not make(digits).is_known(ARCH, seed=0)  # with the whole batch it is another training
    fits = 4
    with pytest.raises(torch.OutOfMemoryError):  # which the search makes a failed trial
        make(digits).estimate(question(OTHER))


def test_how_far_an_interrupted_training_is_does_not_hang_on_the_clock(digits):
    training, found = make(digits), []
    assert training.progress(ARCH, seed=0) == 0
    for steps in (2, 1):
        left = iter(range(steps))
        with pytest.raises(InterruptedCleanlyError):
            training.estimate(question(ARCH), should_stop=lambda left=left: next(left, None) is None)
        found.append(training.progress(ARCH, seed=0))
        (kept,) = training._checkpoints.iterdir()
        os.utime(kept, (0, 0))
    assert found == [2, 3]
    kept.write_bytes(kept.read_bytes()[:1000])
    assert training.progress(ARCH, seed=0) == 0


def test_what_an_earlier_version_kept_is_known(digits, trained):
    """The key's digest is part of the contract: caches of users stay valid."""
    training = make(digits)
    key = training._score_key(ARCH, 7)
    assert set(key) == {"kind", "arch_id", "schedule", "data", "seed", "device", "version"}
    assert "name" not in key["schedule"]
    document = {"correct_K": [5], "images_K": [10], "losses": [1.0], "seconds": 3.0}  # before rungs were kept
    Cache(training._checkpoints.parent / "evaluations").put(key, document)
    assert training.score(ARCH, seed=7) == (Score(correct_K=(5,), images_K=(10,), losses=(1.0,), seconds=3.0), True)
    assert not trained


def test_every_field_of_the_schedule_but_its_name_is_part_of_the_question(digits):
    key = make(digits)._score_key(ARCH, 0)
    assert set(key["schedule"]) == {field.name for field in fields(Schedule)} - {"name"}
    assert "clip_norm" in key["schedule"]


def test_a_running_training_is_told_step_by_step(digits):
    heard = Heard()
    training = make(digits, schedule=replace(find_schedule("smoke"), epochs=2, images_per_epoch=64), reporter=heard)
    training.score(ARCH, seed=0)
    last = heard.steps[-1]
    steps = training.schedule.steps(digits.count("train"))
    assert (last.step, last.steps, last.epoch, last.epochs, last.seconds_left) == (steps, steps, 2, 2, 0.0)
    assert last.images_per_second > 0
    assert 0 < last.loss < 10


def test_decoding_many_images_is_told_by_tenths(digits):
    heard = Heard()
    progress = make(digits, reporter=heard)._decoding()
    for done in range(0, 6001, 100):
        progress(done, 6000)
    for done in range(100):
        progress(done, 100)
    assert heard.done[0] == "decoding images: 0 of 6,000"
    assert len(heard.done) == 11
    assert heard.done[-1] == "decoding images: 6,000 of 6,000"


def test_weights_are_kept_and_inherited_where_that_is_asked_for(digits, trained):
    training = make(digits)
    training.estimate(question(ARCH))
    name = training.training_name(ARCH, seed=0)
    assert not training.has_weights(name)
    training.estimate(question(ARCH, seed=1), keep_weights=True)
    name = training.training_name(ARCH, seed=1)
    assert training.has_weights(name)
    training.estimate(question(ARCH), parent=name)
    assert torch.equal(trained[2]["weights"], trained[1]["weights"])  # the parent's, not those of seed 0
    assert not torch.equal(trained[2]["weights"], trained[0]["weights"])
    # It is another training than the one that started from its own weights.
    found = training.estimate(question(ARCH))
    assert (found.accuracy.value, found.was_known) == (130 / 225, True)


def test_the_accuracies_of_a_network_by_seed_are_those_of_the_same_data_and_schedule(digits, trained):
    training = make(digits)
    for arch, seed in ((ARCH, 0), (ARCH, 3), (ARCH, 5), (OTHER, 0)):
        training.score(arch, seed=seed)
    make(digits, schedule=find_schedule("digits")).score(OTHER, seed=4)
    (found,) = training.by_seed()
    assert sorted(found) == pytest.approx([130 / 225, 131 / 225, 132 / 225])
    (training.folder / "evaluations" / "broken.json").write_text("{")
    assert training.by_seed() == [found]
