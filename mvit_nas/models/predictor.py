"""A model that says what images show, whatever holds it: a folder, or a file of a runtime. For an ONNX file no torch is
loaded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvit_nas.data.contract import InputContract
from mvit_nas.errors import InputError
from mvit_nas.models.document import ModelDocument
from mvit_nas.models.embedded import read_document_of
from mvit_nas.models.executed import RUNTIMES, Executed, open_executed, reading

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float64]
Answers = Callable[[Pixels], Probabilities]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """What names images: ``classes`` in the order of its outputs, ``contract`` for its inputs.

    ``probabilities`` gives [N, classes] of images [N, side, side, 3] as the contract makes them.
    """

    classes: tuple[str, ...]
    contract: InputContract
    probabilities: Answers


def open_predictor(path: Path, *, classes: Sequence[str] = (), side: int | None = None) -> Predictor:
    """The model at ``path``: a folder, or an .onnx, .pte or .tflite file.

    ``classes`` and ``side`` are for a file that does not carry them, whose outputs are then taken for logits. Raises
    InputError for what is no model, and DeviceError where its runtime is not installed.
    """
    named = bool(classes) or side is not None
    if path.is_dir():
        _refuse_names(path, named)
        return _of_folder(path)
    if path.suffix not in RUNTIMES:
        raise InputError(f"{path} is no model: give a model folder, or a file that ends in {', '.join(RUNTIMES)}")
    with reading(path):
        document = _document_of(path) if named else read_document_of(path)
        _refuse_names(path, named and document is not None)
        network = open_executed(path)
        if document is None:
            return _foreign(path, network, tuple(classes), side)
        return _fitting(path, network, document.classes, document.contract, _rows_of(network))


def _document_of(path: Path) -> ModelDocument | None:
    """The document of a file that may have none, or may not even be one."""
    try:
        return read_document_of(path)
    except InputError:
        return None


def _refuse_names(path: Path, named: bool) -> None:
    if named:
        raise InputError(f"{path} says its classes and its size by itself: leave --classes and --size out")


def _of_folder(path: Path) -> Predictor:
    from mvit_nas.models.folder import read_model  # loads torch

    model = read_model(path)
    document = model.document
    return Predictor(classes=document.classes, contract=document.contract, probabilities=model.answering())


def _foreign(path: Path, network: Executed, classes: tuple[str, ...], side: int | None) -> Predictor:
    """A file of somebody else, which gives logits."""
    if not classes or side is None:
        raise InputError(f"{path} needs both --classes and --size")
    logits = _rows_of(network)

    def probabilities(pixels_NHWC: Pixels) -> Probabilities:
        logits_NK = logits(pixels_NHWC)
        powers_NK = np.exp(logits_NK - logits_NK.max(1, keepdims=True))
        return np.asarray(powers_NK / powers_NK.sum(1, keepdims=True))

    return _fitting(path, network, classes, InputContract(side=side), probabilities)


def _rows_of(network: Executed) -> Answers:
    # One by one: an artefact may be made for a batch of one.
    return lambda pixels_NHWC: np.stack([network.row(pixels_HWC) for pixels_HWC in pixels_NHWC])


def _fitting(
    path: Path, network: Executed, classes: tuple[str, ...], contract: InputContract, answers: Answers
) -> Predictor:
    """The predictor, after one answer. Raises InputError where the file takes other images or has other outputs."""
    side = contract.side
    if any(its not in (0, side) for its in network.sides):
        raise InputError(f"{path} takes images of {' x '.join(map(str, network.sides))} px, not of {side}")
    outputs = answers(np.zeros((1, side, side, 3), np.uint8)).shape[1]
    if outputs != len(classes):
        raise InputError(f"{path} has {outputs} outputs, and {len(classes)} classes are named")
    return Predictor(classes=classes, contract=contract, probabilities=answers)
