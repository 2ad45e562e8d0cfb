"""A trained network as a folder that can be passed on: what it is, its weights, its input contract, samples, a card.

``config.json`` and ``preprocessor_config.json`` are also what transformers reads (``mvit_nas.hf``).
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mvit_nas.documents import read_text
from mvit_nas.errors import InputError, PartialError
from mvit_nas.files import write_text, write_whole
from mvit_nas.models.card import card
from mvit_nas.models.document import ModelDocument
from mvit_nas.models.samples import Sample, write_samples
from mvit_nas.nn.backbone import MobileViT, build

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PREPROCESSOR, _CARD, _CHECK = "preprocessor_config.json", "README.md", "check"
# What transformers looks a class up by.
MODEL_TYPE, ARCHITECTURE = "mvit_nas", "MvitNasForImageClassification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A trained network with what it says of itself. ``weights`` are those of ``build``'s network, on the CPU."""

    document: ModelDocument
    weights: Mapping[str, Tensor]

    def network(self, *, fused_attention: bool = True) -> MobileViT:
        """The network in evaluation mode: images [B, 3, side, side] in [0, 1] to logits [B, classes]."""
        network = build(self.document.arch, classes=len(self.document.classes), fused_attention=fused_attention)
        network.load_state_dict(dict(self.weights))
        return network.eval()

    def probabilities(self, pixels_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """[N, classes] of images as the contract makes them."""
        return self.answering()(pixels_NHWC)

    def answering(self) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float64]]:
        """``probabilities`` for who asks often: the network is built once."""
        network = self.network()

        def probabilities(pixels_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
            with torch.inference_mode():
                images_NCHW = torch.from_numpy(pixels_NHWC.copy()).permute(0, 3, 1, 2).float().div_(255)
                logits_NK = network(images_NCHW).double() / self.document.temperature
                return np.asarray(logits_NK.softmax(1).numpy())

        return probabilities


def write_model(
    folder: Path, model: Model, *, photos: Sequence[tuple[bytes, npt.NDArray[np.uint8]]], facts: Sequence[str]
) -> None:
    """Write ``model`` into ``folder``, in the place of an earlier one; each file is there whole or not at all.

    Of ``photos``, encoded and as the contract makes them, samples are kept. ``facts`` are sentences for the card.
    Raises PartialError where the folder cannot be written.
    """
    document = model.document
    config = {
        "model_type": MODEL_TYPE,
        "architectures": [ARCHITECTURE],
        "id2label": {str(index): name for index, name in enumerate(document.classes)},
        "label2id": {name: index for index, name in enumerate(document.classes)},
        **document.to_dict(),
    }
    samples: list[Sample] = []
    if photos:
        probabilities_NK = model.probabilities(np.stack([pixels for _, pixels in photos]))
        samples = [
            Sample(photo=content, pixels_HWC=pixels, probabilities_K=row)
            for (content, pixels), row in zip(photos, probabilities_NK, strict=True)
        ]
    try:
        write_whole(folder / WEIGHTS, lambda temporary: save_weights(model.weights, temporary))
        write_samples(folder / _CHECK, samples, document)
        _write_json(folder / PREPROCESSOR, document.contract.transformers_config())
        write_text(folder / _CARD, card(document, name=folder.name, facts=facts))
        _write_json(folder / CONFIG, config)  # last: a folder without it is no model
    except OSError as error:
        raise PartialError(
            f"cannot write to {folder} ({error.strerror or error}); what was trained is kept: run the command again"
        ) from None


def load(folder: str | Path) -> Model:
    """The trained network in the folder that ``mvit-nas train`` or ``mvit-nas confirm`` wrote. Raises InputError."""
    return read_model(Path(folder))


def read_model(folder: Path) -> Model:
    """The model in ``folder``. Raises InputError, in one line that names the file, for whatever is wrong with it."""
    document = read_document(folder)
    path = folder / WEIGHTS
    weights = read_weights(path)
    expected = build(document.arch, classes=len(document.classes)).state_dict()
    for name in (*expected, *weights):
        here, there = expected.get(name), weights.get(name)
        if here is None or there is None:
            which = "lacks" if there is None else "has a tensor of another network:"
            raise InputError(f"{path} does not fit {CONFIG} beside it: it {which} {name!r}")
        if here.shape != there.shape:
            raise InputError(
                f"{path} does not fit {CONFIG} beside it: {name!r} is {list(there.shape)}, not {list(here.shape)}"
            )
    return Model(document=document, weights=weights)


def read_document(folder: Path) -> ModelDocument:
    """What the model in ``folder`` says of itself. Raises InputError."""
    path = folder / CONFIG
    try:
        text = read_text(path)
    except InputError as error:
        raise InputError(f"{error}; a model is a folder with {CONFIG} and {WEIGHTS}") from None
    return ModelDocument.parse(text, where=str(path))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises InputError for one that is none, or is cut off."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {path}: {' '.join(str(error).split())}") from None


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write ``weights`` to ``path`` for whoever may read the folder's other files."""
    save_file({name: tensor.contiguous().cpu() for name, tensor in weights.items()}, path, {"format": "pt"})
    make_readable(path)


def make_readable(path: Path) -> None:
    """Give a file the mode that others have: safetensors makes files that their owner alone can read."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def _write_json(path: Path, plain: object) -> None:
    write_text(path, json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
