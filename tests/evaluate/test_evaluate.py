"""The evaluator on real images: what is kept, under which key, and from which seed."""

from dataclasses import replace

import pytest
import torch

from mvit_nas.arch.config import with_values
from mvit_nas.arch.count import StaticCost
from mvit_nas.arch.presets import PRESETS
from mvit_nas.cost.runtimes.registry import find_runtime
from mvit_nas.cost.targets.python import this_host
from mvit_nas.data.images import find_data
from mvit_nas.errors import CostError, TrainingError
from mvit_nas.evaluate import short as evaluate
from mvit_nas.evaluate.latency import LatencyMeter
from mvit_nas.evaluate.short import Evaluator
from mvit_nas.training.loop import Score
from mvit_nas.training.schedule import SCHEDULES

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
        runs.append({"weights": model.stem.conv.weight.detach().clone(), "train": train, **options})
        return Score(correct=100 + len(runs), images=225, losses=(1.5, 0.5), seconds=2.0)

    monkeypatch.setattr(evaluate, "fit_by_rungs", fit)
    return runs


def make(digits, *, schedule=SCHEDULES["smoke"]):
    meter = LatencyMeter(find_runtime("torch"), this_host(), threads=1, precision=0.02, seconds=1.0)
    return Evaluator(digits, schedule, device=torch.device("cpu"), meter=meter)


def test_a_score_is_trained_once_and_known_ever_after(digits, trained):
    first, was_known = make(digits).score(ARCH, seed=0)
    again, is_known = make(digits).score(ARCH, seed=0)
    assert (was_known, is_known) == (False, True)
    assert first == again
    assert len(trained) == 1


def test_a_score_is_known_for_its_own_question_only(digits, trained):
    make(digits).score(ARCH, seed=0)
    for schedule, arch, seed in (
        (SCHEDULES["smoke"], ARCH, 1),
        (SCHEDULES["smoke"], OTHER, 0),
        (replace(SCHEDULES["smoke"], label_smoothing=0.0), ARCH, 0),
    ):
        assert make(digits, schedule=schedule).is_known(arch, seed=seed) is False
    other_data = replace(digits, fingerprint="other")
    assert make(other_data).is_known(ARCH, seed=0) is False
    # The schedule's name is a label: what it holds is the question.
    assert make(digits, schedule=replace(SCHEDULES["smoke"], name="mine")).is_known(ARCH, seed=0)


def test_a_seed_is_shared_by_all_architectures(digits, trained):
    make(digits).score(OTHER, seed=5)
    make(digits).score(ARCH, seed=5)
    make(digits).score(ARCH, seed=6)
    assert [run["seed"] for run in trained] == [5, 5, 6]
    first, second, third = (run["weights"] for run in trained)
    assert torch.equal(first, second)
    assert not torch.equal(second, third)
    assert torch.equal(first, evaluate.build(ARCH, classes=10, seed=5).stem.conv.weight)


def test_a_training_that_diverged_is_not_tried_again(digits, monkeypatch):
    tried = []

    def fit(*parts, **options):
        tried.append(options["seed"])
        raise TrainingError("the training loss became nan in epoch 1 of 1")

    monkeypatch.setattr(evaluate, "fit_by_rungs", fit)
    for _ in range(2):
        with pytest.raises(TrainingError, match="became nan in epoch 1 of 1"):
            make(digits).score(ARCH, seed=3)
    assert tried == [3]
    assert make(digits).is_known(ARCH, seed=3)


def test_another_schedule_is_another_question_on_the_same_images(digits, trained):
    evaluator = make(digits)
    evaluator.score(ARCH, seed=0)
    other = evaluator.with_schedule(replace(SCHEDULES["smoke"], ema=0.1))
    assert not other.is_known(ARCH, seed=0)
    other.score(ARCH, seed=0)
    assert other.is_known(ARCH, seed=0)
    assert evaluator.schedule.ema == 0
    assert trained[0]["train"] is trained[1]["train"]


def test_images_are_kept_an_eighth_larger_than_they_are_trained_and_never_the_test_part(digits, trained, cache):
    make(digits).score(ARCH, seed=0)
    assert trained[0]["side"] == 32
    assert trained[0]["train"].pixels_NHWC.shape[1:] == (36, 36, 3)
    folders = sorted(path.name for path in (cache / "images").iterdir() if path.is_dir())
    assert folders == [f"{digits.fingerprint}-train-36", f"{digits.fingerprint}-validation-36"]


def test_a_closed_form_that_fvcore_does_not_confirm_is_an_error(digits, monkeypatch):
    make(digits).check_static_cost(ARCH)
    monkeypatch.setattr(evaluate, "count", lambda arch, classes: StaticCost(params=1, macs=2))
    with pytest.raises(CostError, match=r"fvcore counts StaticCost\(params=\d+, macs=\d+\), the closed form"):
        make(digits).check_static_cost(ARCH)


def test_weights_are_kept_and_inherited_where_that_is_asked_for(digits, trained, tmp_path):
    evaluator = make(digits)
    options = {"seed": 0, "at_rung": None, "should_stop": lambda: False}
    evaluator.score_by_rungs(ARCH, **options)
    name = evaluator.training_name(ARCH, seed=0)
    assert not evaluator.has_weights(name)
    evaluator.score_by_rungs(ARCH, **options | {"seed": 1}, keep_weights=True)
    name = evaluator.training_name(ARCH, seed=1)
    assert evaluator.has_weights(name)
    evaluator.score_by_rungs(ARCH, **options, parent=name)
    assert torch.equal(trained[2]["weights"], trained[1]["weights"])  # the parent's, not those of seed 0
    assert not torch.equal(trained[2]["weights"], trained[0]["weights"])
    # It is another training than the one that started from its own weights.
    score, known = evaluator.score_by_rungs(ARCH, **options)
    assert (score.correct, known) == (101, True)
