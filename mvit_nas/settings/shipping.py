"""The settings of the commands that bring a trained network to where it is used."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.errors import InputError
from mvit_nas.settings import parse
from mvit_nas.settings.commands import Printed
from mvit_nas.settings.flag import Group

question, study = Group.QUESTION.flag, Group.STUDY.flag


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings(Printed):
    """The flags of ``mvit-nas export``. ``out`` None is the folder exports in the model's own."""

    model: Path = question("A model folder, as confirm and train write it.", option="", metavar="MODEL")
    formats: tuple[str, ...] = question(
        "What to make of it: onnx, pte (ExecuTorch), tflite (LiteRT), coreml, torch; several with commas.",
        ("onnx",),
        option="--format",
        text=parse.NAMES,
    )
    int8: bool = question("Also with int8 weights and activations, of the formats that have it; needs --data.", False)
    dynamic_batch: bool = question("Take any number of images at once; onnx alone can.", False)
    data: str | None = question(
        "The images that it was trained on: files are checked on the test part, int8's ranges come from train. Without "
        "it, they are checked on the model's own samples.",
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


# By name, in the order of the help.
SHIPPING: dict[str, type] = {"export": ExportSettings}
