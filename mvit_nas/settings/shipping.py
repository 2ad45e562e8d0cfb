"""The settings of the commands that ship a trained network."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.errors import InputError
from mvit_nas.settings import parse
from mvit_nas.settings.shared import Printed, Start, output, question, study, training
from mvit_nas.settings.train import TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings(Printed):
    """The flags of ``mvit-nas export``. ``out`` None is the folder exports in the model's own."""

    model: Path = question("A model folder, as confirm and train write it.", option="", metavar="MODEL")
    formats: tuple[str, ...] = question(
        "What to make of it: onnx, pte (ExecuTorch), tflite (LiteRT), coreml, torch, hf (transformers' own network); "
        "several with commas.",
        ("onnx",),
        option="--format",
        text=parse.NAMES,
    )
    int8: bool = question("Also with int8 weights and activations, of the formats that have it; needs --data.", False)
    dynamic_batch: bool = question("Take any number of images at once; onnx alone can.", False)
    data: str | None = question(
        "The images that it was trained on: files are checked on the test part, int8's ranges come from train. The "
        "study's ledger keeps that it was looked at. Without it, they are checked on the model's own samples.",
        None,
        metavar="FOLDER|NAME",
    )
    check: Path | None = question(
        "Make nothing, but check this file here, such as one that was made on another machine.", None, metavar="FILE"
    )
    out: Path | None = study(
        "Where the files are written. Without it: exports in the model's folder.", None, metavar="FOLDER"
    )

    def __post_init__(self) -> None:
        if self.int8 and self.data is None and self.check is None:
            raise InputError("--int8 takes its ranges from images of the train part: give --data")
        if self.dynamic_batch and self.formats != ("onnx",):
            raise InputError(
                "--dynamic-batch: files for phones take one image at a time: leave it out, or --format onnx"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictSettings(Printed):
    """The flags of ``mvit-nas predict``."""

    model: Path = question("A model folder, or an .onnx, .pte or .tflite file.", option="", metavar="MODEL|FILE")
    images: tuple[str, ...] = question(
        "Images, folders of images, patterns ('photos/*.jpg'). Where an image's folder has the name of a class, the "
        "accuracy is said too.",
        option="",
        metavar="IMAGE...",
        many=True,
    )
    classes: str | None = question(
        "For a file that does not carry them: the names of its outputs in their order, with commas, or a file with one "
        "a line. Its outputs are then taken for logits.",
        None,
        metavar="FILE|LIST",
    )
    size: int | None = question("For such a file: the side of its images.", None, metavar="PIXELS", least=1)
    top: int = output("How many classes of each image.", 5, metavar="N", least=1)
    as_csv: bool = output("Print a table with commas on stdout.", False, option="--csv")

    def __post_init__(self) -> None:
        if self.as_json and self.as_csv:
            raise InputError("--json and --csv are two ways to print: give one")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceSettings(Start, Printed):
    """The flags of ``mvit-nas reproduce``. ``device`` "" is that of the trial, where it is here."""

    trial: str = question("A trial of a study: NAME:37, NAME:best.", option="", metavar="NAME:TRIAL")
    data: str | None = question("The images of the study, where they lie elsewhere now.", None, metavar="FOLDER|NAME")
    device: str = training("Training device: auto, cpu, cuda or cuda:N. Without it: the trial's, where it is here.", "")
    out: Path = study("Where experiments/ and reports/ lie.", Path(), metavar="FOLDER")


# By name, in the order of the help.
SHIPPING: dict[str, type] = {
    "train": TrainSettings,
    "export": ExportSettings,
    "predict": PredictSettings,
    "reproduce": ReproduceSettings,
}
