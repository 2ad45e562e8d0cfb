"""The settings of the commands that ship a trained network."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.errors import InputError
from mvit_nas.settings.commands import Printed, output, question


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


# By name, in the order of the help.
SHIPPING: dict[str, type] = {"predict": PredictSettings}
