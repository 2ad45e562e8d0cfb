"""What int8 costs in accuracy: what its ranges are taken from, and what it is scored on."""

import numpy as np
import pytest
from commands import TINY

from mvit_nas.cost.runtimes.registry import RUNTIMES
from mvit_nas.cost.targets.python import this_host
from mvit_nas.data.contract import InputContract, pixels
from mvit_nas.evaluate.latency import LatencyMeter
from mvit_nas.jobs import int8
from mvit_nas.jobs.int8 import Trainer
from mvit_nas.reporter import Reporter
from mvit_nas.settings.commands import LatencySettings


class Untrained(Trainer):
    """A trainer that says how often it was asked to train."""

    def __init__(self, settings, **options):
        super().__init__(settings, **options)
        self.fits = []


@pytest.fixture
def trainer(monkeypatch):
    """Trains on the digits, without training; ``trainer.fits`` are the sides of what was."""
    made = Untrained(LatencySettings(choices=("x",), schedule="smoke"), reporter=Reporter(), stop=lambda: False)
    monkeypatch.setattr(int8, "fit", lambda *parts, side, **options: made.fits.append(side))
    return made


def seen(trainer, part):
    """Every image of a part as a network of 32 px is scored on it, by its bytes, with its label."""
    data, contract = trainer._data, InputContract(side=32)
    members = data.members[part]
    images = [pixels(content, contract).transpose(2, 0, 1) / np.float32(255) for _, content in data.read(members)]
    return {one.tobytes(): label for one, label in zip(images, data.labels_N[members].tolist(), strict=True)}


def test_int8_is_calibrated_on_images_that_it_is_not_scored_on(trainer):
    found = trainer.trained("tiny", TINY)
    train, validation = seen(trainer, "train"), seen(trainer, "validation")
    calibration = [one.tobytes() for one in found.calibration.numpy()]
    assert len(set(calibration)) == 64
    assert train.keys() >= set(calibration)
    assert validation.keys().isdisjoint(calibration)
    # Evenly over the part, which may be sorted by class.
    assert {train[one] for one in calibration} == set(range(10))


def test_both_artefacts_are_scored_on_the_validation_images_with_their_labels(trainer):
    found = trainer.trained("tiny", TINY)
    scored = {one.tobytes(): label for one, label in zip(found.images.numpy(), found.labels.tolist(), strict=True)}
    assert scored == seen(trainer, "validation")


def test_a_network_is_trained_once_and_has_the_evaluated_weights(trainer):
    assert trainer.trained("tiny", TINY) is trainer.trained("again", TINY)
    assert len(trainer.fits) == 1


@pytest.mark.parametrize("is_int8", [False, True])
def test_the_accuracy_is_that_of_the_artefact_that_is_timed(trainer, monkeypatch, is_int8):
    meter = LatencyMeter(RUNTIMES["onnxruntime"], this_host(), threads=1, precision=0.2, seconds=1.0, int8=is_int8)
    timed = []
    monkeypatch.setattr(meter, "measure", lambda artefact, path, *, shape: timed.append((artefact, path.read_bytes())))
    asked = []
    answers = np.eye(10)

    def outputs(runtime, path, images):
        asked.append(path.read_bytes())
        return answers

    monkeypatch.setattr(int8, "outputs", outputs)
    found = trainer.trained("tiny", TINY)
    answers = np.eye(10)[found.labels]
    answers[: len(answers) // 4] = np.roll(answers[: len(answers) // 4], 1, axis=1)
    _, accuracy = found.measure(meter)
    assert accuracy == pytest.approx(1 - (len(answers) // 4) / len(answers))
    ((artefact, blob),) = timed
    assert asked == [blob]
    assert artefact.quantised == float(is_int8)
