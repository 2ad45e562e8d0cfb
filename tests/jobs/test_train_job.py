"""A chosen network trained in full: real trainings of a small network on few images."""

import csv
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from commands import QUICK, furnished
from searches import Heard
from small_model import ARCH

import mvit_nas
from mvit_nas.arch.config import arch_id, to_dict
from mvit_nas.arch.paths import with_values
from mvit_nas.errors import DeviceError, InputError, InterruptedCleanlyError
from mvit_nas.jobs import train as job
from mvit_nas.models.samples import read_samples
from mvit_nas.settings.train import TrainSettings
from mvit_nas.study.confirmation_file import read_looks
from mvit_nas.training import checkpoint


@pytest.fixture
def settings(tmp_path, monkeypatch):
    furnished(tmp_path, images=20)
    (tmp_path / "quick.yaml").write_text(QUICK.replace("images_per_epoch: 64", "images_per_epoch: 10000"))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(to_dict(ARCH)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MVIT_NAS_CACHE", str(tmp_path / "cache"))
    return TrainSettings(
        choice="small.yaml", data="photos", schedule="quick.yaml", epochs=3, batch_size=8, device="cpu", name="m"
    )


def train(settings, *, stop_after=None, **changes):
    heard, asked = Heard(), iter(range(10**9))
    outcome = job.train(
        replace(settings, **changes),
        reporter=heard,
        should_stop=lambda: stop_after is not None and next(asked) >= stop_after,
    )
    return outcome, heard.said


def test_what_is_kept_is_what_was_scored(tmp_path, settings):
    outcome, said = train(settings, test=True)
    assert outcome.folder.resolve() == (tmp_path / "models/m").resolve()
    model = mvit_nas.load("models/m")
    assert model.document.arch == ARCH
    assert model.document.classes == ("cat", "dog", "fish")
    assert model.document.temperature == outcome.temperature
    assert model.document.provenance["test_accuracy"] == outcome.test.value
    assert model.document.provenance["arch_id"] == arch_id(ARCH)
    samples = read_samples(tmp_path / "models/m", model.document)
    assert len(samples) == 3
    found = model.probabilities(np.stack([one.pixels_HWC for one in samples]))
    assert found == pytest.approx(np.stack([one.probabilities_K for one in samples]), abs=1e-6)
    assert sum("epoch" in line for line in said) == 3
    assert not any("not read" in line for line in said)
    rows = list(csv.DictReader((tmp_path / "models/m/training/log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert model.document.provenance["losses"] == [float(row["loss"]) for row in rows]
    assert not (tmp_path / "models/m/training/state.pt").exists()
    assert "of 9 test images are right" in (tmp_path / "models/m/README.md").read_text()


def test_a_model_that_is_trained_again_stays_of_its_study_whose_ledger_has_the_look(tmp_path, settings):
    train(settings, name="first")
    config = tmp_path / "models/first/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "provenance": {"study": "s", "trial": 3}}))
    (tmp_path / "experiments/s").mkdir(parents=True)
    outcome, _ = train(settings, choice="models/first", name=None, test=True)
    assert outcome.name == "first-quick"
    (look,) = read_looks(tmp_path / "experiments/s/test_reads.jsonl")
    assert (look.command, look.trials, look.seeds, look.schedule) == (
        "train",
        (3,),
        (0,),
        "quick (epochs 3, batch size 8)",
    )
    assert mvit_nas.load(outcome.folder).document.trial == ("s", 3)


def test_stopped_and_resumed_ends_with_the_same_bits(tmp_path, settings):
    train(settings, name="whole")
    with pytest.raises(InterruptedCleanlyError, match="--resume goes on"):
        train(settings, stop_after=7)
    with pytest.raises(InterruptedCleanlyError):
        train(settings, resume=True, stop_after=4)
    torch.manual_seed(5)
    _, said = train(settings, resume=True)
    assert sum("epoch" in line for line in said) < 3
    one, other = mvit_nas.load("models/whole"), mvit_nas.load("models/m")
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    assert (tmp_path / "models/whole/training/log.csv").read_text() == (
        tmp_path / "models/m/training/log.csv"
    ).read_text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "was begun: go on with --resume"),
        ({"resume": True, "seed": 1}, "begun with another seed: "),
        ({"resume": True, "epochs": 4, "choice": "tiny.yaml"}, "another network and another schedule"),
    ],
)
def test_another_training_of_that_name_is_refused(settings, changes, words):
    with pytest.raises(InterruptedCleanlyError):
        train(settings, stop_after=2)
    with pytest.raises(InputError, match=words):
        train(settings, **changes)


def test_a_model_is_never_written_over_and_nothing_is_resumed_that_was_not_begun(tmp_path, settings):
    with pytest.raises(InputError, match="no training of m to go on with"):
        train(settings, resume=True)
    train(settings, name="n", epochs=1)
    with pytest.raises(InputError, match="holds a model"):
        train(settings, name="n", epochs=1)
    with pytest.raises(InputError, match="is trained to the end, and nothing is left"):
        train(settings, name="n", epochs=1, resume=True)


def test_a_state_that_was_cut_off_is_named(tmp_path, settings):
    with pytest.raises(InterruptedCleanlyError):
        train(settings, stop_after=5)
    path = tmp_path / "models/m/training/state.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"cannot go on from .*state\.pt"):
        train(settings, resume=True)


def test_a_full_disk_is_said_once_and_the_training_goes_on(settings, monkeypatch):
    def full(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_whole", full)
    outcome, said = train(settings, keep_every=0.0)
    assert outcome is not None
    assert sum("cannot keep the state" in line for line in said) == 1


def test_several_sides_and_parts_of_a_batch_are_fields_of_the_schedule(tmp_path, settings):
    train(settings, multi_scale=True, accumulate=2, epochs=1)
    schedule: Any = mvit_nas.load("models/m").document.provenance["schedule"]
    assert (schedule["multi_scale"], schedule["accumulate"], schedule["epochs"]) == (True, 2, 1)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"compile": True}, InputError, "--compile is for CUDA"),
        ({"log": ("wandb",)}, DeviceError, "--log wandb: it is not installed: pip install wandb"),
        ({"choice": "nothing"}, InputError, "CHOICE: unknown 'nothing'"),
        ({"choice": "no.json"}, InputError, "is no decision file"),
    ],
)
def test_what_cannot_be_done_is_one_line(settings, tmp_path, changes, error, words):
    (tmp_path / "no.json").write_text("[]")
    with pytest.raises(error, match=words):
        train(settings, **changes)


def test_a_dry_run_trains_nothing(tmp_path, settings):
    found = job.plan(replace(settings, name=None), reporter=Heard())
    assert (found.name, found.arch_id) == ("small-quick", arch_id(ARCH))
    assert found.steps == 3 * 5
    assert not (tmp_path / "models").exists()


def test_a_training_starts_from_a_model_and_lists_what_it_took(tmp_path, settings):
    train(settings, name="first")
    outcome, said = train(settings, name="second", init="models/first", epochs=1)
    anew, _ = train(settings, name="third", epochs=1)
    lines = "\n".join(said)
    assert "start: " in lines
    assert "whole: " in lines
    assert "drawn anew: none" in lines
    assert "heads" not in lines
    assert outcome.validation.value >= anew.validation.value
    assert mvit_nas.load("models/second").document.provenance["init"]
    (tmp_path / "four.yaml").write_text(yaml.safe_dump(to_dict(with_values(ARCH, {"stages.1.mobilevit.heads": 4}))))
    _, said = train(settings, name="four", init="models/first", epochs=1, choice="four.yaml")
    assert "  from another number of heads: 1 attention layer" in said
    assert "  drawn anew: none" in said
    with pytest.raises(InterruptedCleanlyError):
        train(settings, name="fourth", stop_after=2)
    with pytest.raises(InputError, match="begun with another init"):
        train(settings, name="fourth", resume=True, init="models/first")
