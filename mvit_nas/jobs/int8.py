"""Networks trained to say what int8 costs: an artefact's accuracy beside its latency."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mvit_nas.arch.config import ArchConfig
from mvit_nas.artifacts.checked import export_model, outputs
from mvit_nas.data.images import Images, find_data
from mvit_nas.evaluate.latency import LatencyMeter, Measured
from mvit_nas.evaluate.short import Evaluator, training_threads
from mvit_nas.jobs.setup import choose_device
from mvit_nas.nn.backbone import build
from mvit_nas.nn.inference import for_inference
from mvit_nas.training.augment import centre_crops
from mvit_nas.training.loop import fit
from mvit_nas.training.schedule import find_schedule

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
            artefact = export_model(meter.runtime, for_inference(model), self.calibration, path, int8=meter.int8)
            correct = outputs(meter.runtime, path, self.images).argmax(1) == self.labels
            return meter.measure(artefact, path, side=self.arch.image_size), float(correct.mean())


class Trainer:
    """Trains subjects, each once: what int8 costs in accuracy only a trained network tells."""

    def __init__(
        self,
        data: str | None,
        schedule: str,
        meter: LatencyMeter,
        *,
        say: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> None:
        torch.set_num_threads(training_threads())
        self._data = find_data(data)
        plan = find_schedule(schedule)
        plan = plan if self._data.flips else replace(plan, augmentation="crop")
        self._evaluator = Evaluator(self._data, plan, device=choose_device("auto"), meter=meter)
        self._say = say
        self._stop = stop
        self._known: dict[ArchConfig, Trained] = {}
        say(f"data: {self._data.source}, to train on by the schedule {schedule!r} for what int8 costs in accuracy")

    def trained(self, name: str, arch: ArchConfig) -> Trained:
        """The trained network of ``arch``. Raises TrainingError and InterruptedCleanlyError as ``fit`` does."""
        if arch not in self._known:
            self._say(f"training {name}")
            self._known[arch] = self._train(arch)
        return self._known[arch]

    def _train(self, arch: ArchConfig) -> Trained:
        evaluator, schedule = self._evaluator, self._evaluator.schedule
        side = schedule.side(arch.image_size)
        model = build(arch, classes=len(self._data.classes))
        parts = evaluator.part("train", side), evaluator.part("validation", side)
        fit(model, *parts, schedule, side=side, seed=0, device=evaluator.device, should_stop=self._stop)
        # Of the size that the artefact takes, whatever the schedule trained at.
        calibration, _ = _sample(evaluator.part("train", arch.image_size), _CALIBRATION, arch.image_size)
        images, labels = _sample(evaluator.part("validation", arch.image_size), _SCORED, arch.image_size)
        weights = {key: value.cpu() for key, value in model.state_dict().items()}
        return Trained(arch=arch, weights=weights, calibration=calibration, images=images, labels=labels)


def _sample(part: Images, number: int, side: int) -> tuple[Tensor, np.ndarray]:
    """At most ``number`` images of ``part``, evenly over it, as [N, 3, side, side] in [0, 1], with their labels."""
    index_N = np.linspace(0, len(part.labels_N) - 1, min(number, len(part.labels_N))).astype(int)
    pixels = torch.from_numpy(np.ascontiguousarray(part.pixels_NHWC[index_N]))
    aspects = torch.from_numpy(part.aspects_N[index_N].astype(np.float32))
    return centre_crops(pixels, aspects, side=side), np.asarray(part.labels_N[index_N])
