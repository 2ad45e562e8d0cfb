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
from mvit_nas.models.embedded import read_document_of
from mvit_nas.models.executed import RUNTIMES, Executed, open_executed, reading

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """What names images: ``classes`` in the order of its outputs, ``contract`` for its inputs.

    ``probabilities`` gives [N, classes] of images [N, side, side, 3] as the contract makes them.
    """

    classes: tuple[str, ...]
    contract: InputContract
    probabilities: Callable[[Pixels], Probabilities]


def open_predictor(path: Path, *, classes: Sequence[str] = (), side: int | None = None) -> Predictor:
    """The model at ``path``: a folder, or an .onnx, .pte or .tflite file.

    ``classes`` and ``side`` are for a file that does not carry them, whose outputs are then taken for logits. Raises
    InputError for what is no model, and DeviceError where its runtime is not installed.
    """
    named = bool(classes) or side is not None
    if path.is_dir():
        if named:
            raise InputError(f"{path} says its classes and its size by itself: leave --classes and --size out")
        return _of_folder(path)
    if path.suffix not in RUNTIMES:
        raise InputError(f"{path} is no model: give a model folder, or a file that ends in {', '.join(RUNTIMES)}")
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    with reading(path):
        if named:
            return _foreign(path, tuple(classes), side)
        document = read_document_of(path)
        network = open_executed(path)
        found = Predictor(classes=document.classes, contract=document.contract, probabilities=_rows_of(network))
        _try(path, network, found)
        return found


def _of_folder(path: Path) -> Predictor:
    from mvit_nas.models.folder import read_model  # loads torch

    model = read_model(path)
    document = model.document
    return Predictor(classes=document.classes, contract=document.contract, probabilities=model.answering())


def _foreign(path: Path, classes: tuple[str, ...], side: int | None) -> Predictor:
    """A file of somebody else."""
    if not classes or side is None:
        raise InputError(f"{path} needs both --classes and --size")
    network = open_executed(path)
    logits = _rows_of(network)

    def probabilities(pixels_NHWC: Pixels) -> Probabilities:
        logits_NK = logits(pixels_NHWC)
        powers_NK = np.exp(logits_NK - logits_NK.max(1, keepdims=True))
        return np.asarray(powers_NK / powers_NK.sum(1, keepdims=True))

    found = Predictor(classes=classes, contract=InputContract(side=side), probabilities=probabilities)
    _try(path, network, found)
    return found


def _rows_of(network: Executed) -> Callable[[Pixels], Probabilities]:
    # One by one: an artefact may be made for a batch of one.
    return lambda pixels_NHWC: np.stack([network.row(pixels_HWC) for pixels_HWC in pixels_NHWC])


def _try(path: Path, network: Executed, found: Predictor) -> None:
    """Raise InputError where the file does not take the contract's images, or does not answer for these classes."""
    side = found.contract.side
    if any(its not in (0, side) for its in network.sides):
        raise InputError(f"{path} takes images of {' x '.join(map(str, network.sides))} px, not of {side}")
    outputs = network.row(np.zeros((side, side, 3), np.uint8)).size
    if outputs != len(found.classes):
        raise InputError(f"{path} has {outputs} outputs, and {len(found.classes)} classes are named")
