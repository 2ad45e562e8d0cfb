"""What a training writes of itself while it runs: a table always, and what loggers that are installed show."""

import importlib
from pathlib import Path
from typing import Any

from mvit_nas.errors import DeviceError
from mvit_nas.files import write_text
from mvit_nas.metrics import ACCURACY
from mvit_nas.reporter import Reporter
from mvit_nas.settings.train import TrainSettings
from mvit_nas.study.record import Rung

_HINTS = {"tensorboard": "pip install tensorboard", "wandb": "pip install wandb", "mlflow": "pip install mlflow-skinny"}


class TrainingLog:
    """The epochs of a training, each with its loss and its accuracy on some validation images."""

    def __init__(self, folder: Path, settings: TrainSettings, *, reporter: Reporter, epochs: int) -> None:
        """Raises DeviceError, with what to install, for a logger that is missing."""
        self._folder = folder
        self._reporter = reporter
        self._epochs = epochs
        self._told = 0
        self._loggers = [_LOGGERS[name](folder, settings) for name in settings.log]

    def write(self, rungs: tuple[Rung, ...]) -> None:
        """Write all epochs so far; what was there is there again."""
        lines = [f"{one.epoch},{one.loss!r},{one.correct},{one.images}" for one in rungs]
        try:
            write_text(self._folder / "log.csv", "\n".join(["epoch,loss,correct,images", *lines]) + "\n")
        except OSError as error:
            self._reporter.say(f"cannot write {self._folder / 'log.csv'}: {error.strerror}")
        last = rungs[-1]
        if last.epoch <= self._told:
            return
        self._told = last.epoch
        accuracy = f"{ACCURACY.format(last.accuracy)} of {last.images} validation images"
        self._reporter.say(f"epoch {last.epoch:>3}/{self._epochs}  loss {last.loss:.3f}  {accuracy}")
        for log in self._loggers:
            log({"loss": last.loss, "validation_accuracy": last.accuracy}, last.epoch)


def _tensorboard(folder: Path, settings: TrainSettings) -> Any:
    _needed("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"))

    def log(values: dict[str, float], epoch: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, epoch)
        writer.flush()

    return log


def _wandb(folder: Path, settings: TrainSettings) -> Any:
    run = _needed("wandb").init(
        project="mvit-nas", name=settings.name or settings.choice, dir=str(folder), resume="allow"
    )
    return lambda values, epoch: run.log(values, step=epoch)


def _mlflow(folder: Path, settings: TrainSettings) -> Any:
    mlflow = _needed("mlflow")
    mlflow.start_run(run_name=settings.name or settings.choice)
    return lambda values, epoch: mlflow.log_metrics(values, step=epoch)


_LOGGERS = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}


def _needed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise DeviceError(f"--log {name}: it is not installed: {_HINTS[name]}") from None
