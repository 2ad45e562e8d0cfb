"""Networks trained to say what int8 costs: an artefact's accuracy beside its latency."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mvit_nas.arch.config import ArchConfig
from mvit_nas.artifacts.checked import export_model, outputs
from mvit_nas.data.find import find_data
from mvit_nas.data.store import Images, some_scored
from mvit_nas.evaluate.latency import LatencyMeter, Measured
from mvit_nas.jobs.setup import make_training
from mvit_nas.nn.backbone import build
from mvit_nas.nn.inference import for_inference
from mvit_nas.reporter import Reporter
from mvit_nas.settings.commands import LatencySettings
from mvit_nas.tasks.classify import Classification
from mvit_nas.tasks.crops import as_stored
from mvit_nas.training.loop import fit

# Images that int8's ranges are taken from, and those that its accuracy is of, at most.
_CALIBRATION, _SCORED = 64, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A trained network with images to calibrate int8 on and images [N, 3, H, W] to score it on, labels [N]."""

    arch: ArchConfig
    weights: dict[str, Tensor]
    calibration: Tensor
    images: Tensor
    labels: np.ndarray

    def measure(self, meter: LatencyMeter) -> tuple[Measured, float]:
        """Latency and accuracy of the artefact."""
        classes = len(self.weights["classifier.bias"])
        model = build(self.arch, classes=classes, fused_attention=meter.runtime.fused_attention)
        model.load_state_dict(self.weights)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"candidate{meter.runtime.suffix}"
            artefact = export_model(
                meter.runtime, for_inference(model), self.calibration, path, weight_bits=meter.weight_bits
            )
            correct = outputs(meter.runtime, path, self.images).argmax(1) == self.labels
            return meter.measure(artefact, path, shape=self.images[:1].shape), float(correct.mean())


class Trainer:
    """Trains subjects, each once: what int8 costs in accuracy only a trained network tells."""

    def __init__(self, settings: LatencySettings, *, reporter: Reporter, stop: Callable[[], bool]) -> None:
        self._data = find_data(settings.data)
        self._training = make_training(settings, self._data, reporter=reporter)
        self._reporter = reporter
        self._stop = stop
        self._known: dict[ArchConfig, Trained] = {}
        reporter.say(
            f"data: {self._data.source}, to train on by the schedule {self._training.schedule.name!r} for what int8 "
            "costs in accuracy"
        )

    def trained(self, name: str, arch: ArchConfig) -> Trained:
        """The trained network of ``arch``. Raises TrainingError and InterruptedCleanlyError as ``fit`` does."""
        if arch not in self._known:
            self._reporter.doing(f"training {name}")
            self._known[arch] = self._train(arch)
        return self._known[arch]

    def _train(self, arch: ArchConfig) -> Trained:
        training, schedule = self._training, self._training.schedule
        side = schedule.side(arch.image_size)
        model = build(arch, classes=len(self._data.classes))
        parts = training.part("train", side), training.scored_part("validation", side)
        task, device = training.task, training.device
        fit(model, *parts, schedule, task=task, side=side, seed=0, device=device, should_stop=self._stop)
        # Of the size that the artefact takes, whatever the schedule trained at.
        side = arch.image_size
        contract = training.contract(side)
        calibration = as_stored(torch.from_numpy(some_scored(self._data, "train", contract, number=_CALIBRATION)))
        images, labels = _sample(training.scored_part("validation", side), _SCORED, task=task)
        weights = {key: value.cpu() for key, value in model.state_dict().items()}
        return Trained(arch=arch, weights=weights, calibration=calibration, images=images, labels=labels)


def _sample(part: Images, number: int, *, task: Classification) -> tuple[Tensor, np.ndarray]:
    """At most ``number`` images of ``part``, evenly over it, as [N, 3, side, side] in [0, 1], with their labels."""
    index_N = np.linspace(0, len(part.labels_N) - 1, min(number, len(part.labels_N))).astype(int)
    batch = task.take(part, index_N, device=torch.device("cpu"))
    return task.seen(batch), batch.targets_B.numpy()
