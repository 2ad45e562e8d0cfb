"""The settings of ``mvit-nas train``."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.errors import InputError
from mvit_nas.settings import parse
from mvit_nas.settings.flag import Group
from mvit_nas.settings.shared import Printed, Starting, Training

question, training = Group.QUESTION.flag, Group.TRAINING.flag
study, output = Group.STUDY.flag, Group.OUTPUT.flag


def _models() -> Path:
    return study("Where models/ and reports/ lie.", Path(), metavar="FOLDER")


PRECISIONS, LOGGERS = ("auto", "float32", "bf16"), ("tensorboard", "wandb", "mlflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings(Training, Starting, Printed):
    """The flags of ``mvit-nas train``. ``name`` None takes it from the choice."""

    choice: str = question(
        "What is trained: a trial of a study (NAME:37, NAME:best, NAME:knee, or NAME: and the id of the network), a "
        "decision file (.json), a preset, a model folder or an architecture file.",
        option="",
        metavar="CHOICE",
    )
    data: str | None = question(
        "The images. Without it: those of the study that the choice is from, else scikit-learn's digits.",
        None,
        metavar="FOLDER|NAME",
    )
    image_size: int | None = question("Another image size than the choice's.", None, metavar="PIXELS", least=8)
    test: bool = question(
        "Score it on the test part at the end. The study's ledger keeps that it was looked at.", False
    )
    schedule: str | None = training(
        "smoke, digits, digits_medium, short, medium, long or paper, or a YAML file. Without it: long, thirty epochs "
        "of all images; for scikit-learn's digits, digits_medium.",
        None,
        metavar="NAME|FILE",
    )
    multi_scale: bool | None = training("Train at five image sizes in turn, as the paper does.", None)
    accumulate: int | None = training(
        "Put each batch through the network in so many parts.", None, metavar="N", least=1
    )
    precision: str = training(
        "auto, float32 or bf16. auto is bf16 on CUDA, and on a processor with AMX where a tried step gains enough.",
        "auto",
    )
    compile: bool = training("Compile the network, on CUDA.", False)
    seed: int = training("Decides weights, order and crops.", 0)
    log: tuple[str, ...] = training(
        f"Beside the table log.csv: {', '.join(LOGGERS)}.", (), metavar="LIST", text=parse.NAMES
    )
    keep_every: float = training("How often the state is kept for --resume.", 300.0, text=parse.SECONDS)
    out: Path = _models()
    name: str | None = study(
        "The model's folder in models/. Without it: from choice and schedule.", None, text=parse.NAME
    )
    resume: bool = study("Go on with the training of this name.", False)
    dry_run: bool = output("Say what it would do and take, and stop.", False)

    def __post_init__(self) -> None:
        Starting.__post_init__(self)
        if self.precision not in PRECISIONS:
            raise InputError(f"--precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        for one in self.log:
            if one not in LOGGERS:
                raise InputError(f"--log {one}: known are {', '.join(LOGGERS)}")
        if self.seed < 0:
            raise InputError(f"--seed must be 0 or more, got {self.seed}")
