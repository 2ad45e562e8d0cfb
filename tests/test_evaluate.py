"""The evaluator on real images: what is kept, under which key, and from which seed."""

from dataclasses import replace

import pytest
import torch

from mvit_nas.arch.config import arch_id, with_values
from mvit_nas.arch.count import StaticCost
from mvit_nas.arch.presets import PRESETS
from mvit_nas.cost.latency import Latency
from mvit_nas.errors import CostError
from mvit_nas.search import evaluate
from mvit_nas.search.evaluate import Evaluator, derive_seed
from mvit_nas.train.data import find_data
from mvit_nas.train.loop import Score
from mvit_nas.train.schedule import SCHEDULES

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

    monkeypatch.setattr(evaluate, "fit", fit)
    return runs


def make(digits, *, schedule=SCHEDULES["smoke"], threads=1):
    return Evaluator(digits, schedule, device=torch.device("cpu"), threads=threads)


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
        assert make(digits, schedule=schedule).known_score(arch, seed=seed) is None
    other_data = replace(digits, fingerprint="other")
    assert make(other_data).known_score(ARCH, seed=0) is None
    # The schedule's name is a label: what it holds is the question.
    assert make(digits, schedule=replace(SCHEDULES["smoke"], name="mine")).known_score(ARCH, seed=0) is not None


def test_a_trials_seed_comes_from_the_study_and_the_architecture(digits, trained):
    make(digits).score(OTHER, seed=5)
    make(digits).score(ARCH, seed=5)
    assert [run["seed"] for run in trained] == [derive_seed(5, arch_id(OTHER)), derive_seed(5, arch_id(ARCH))]
    torch.manual_seed(derive_seed(5, arch_id(ARCH)))
    assert torch.equal(trained[1]["weights"], evaluate.build(ARCH, classes=10).stem.conv.weight)


def test_images_are_kept_an_eighth_larger_than_they_are_trained_and_never_the_test_part(digits, trained, cache):
    make(digits).score(ARCH, seed=0)
    assert trained[0]["side"] == 32
    assert trained[0]["train"].pixels_NHWC.shape[1:] == (36, 36, 3)
    assert not trained[0]["flips"]
    folders = sorted(path.name for path in (cache / "images").iterdir() if path.is_dir())
    assert folders == [f"{digits.fingerprint}-train-36", f"{digits.fingerprint}-validation-36"]


def test_a_latency_is_measured_once_for_each_number_of_threads(digits, monkeypatch):
    measured = []

    def measure(call, reference, *, reference_ms, threads):
        call()
        measured.append((threads, torch.get_num_threads(), reference_ms))
        return Latency(
            median_ms=3.0, low_ms=2.9, high_ms=3.1, runs=20, threads=threads, wall_ms=3.2, contended=False, drifted=False
        )  # fmt: skip

    monkeypatch.setattr(evaluate, "measure", measure)
    monkeypatch.setattr(evaluate, "own_time", lambda call, *, threads: 7.0 + threads)
    before = torch.get_num_threads()
    assert make(digits).latency(ARCH) == make(digits).latency(ARCH)
    make(digits, threads=2).latency(ARCH)
    make(digits).latency(OTHER)
    assert measured == [(1, 1, 8.0), (2, 2, 9.0), (1, 1, 8.0)]
    assert torch.get_num_threads() == before


def test_a_closed_form_that_fvcore_does_not_confirm_is_an_error(digits, monkeypatch):
    make(digits).check_static_cost(ARCH)
    monkeypatch.setattr(evaluate, "count", lambda arch, classes: StaticCost(params=1, macs=2))
    with pytest.raises(CostError, match=r"fvcore counts StaticCost\(params=\d+, macs=\d+\), the closed form"):
        make(digits).check_static_cost(ARCH)
