"""Where starting weights come from: a folder of Hugging Face's or of ours, a file, an id of the hub."""

import errno
import importlib.util
import os
import pickle
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mvit_nas.documents import read_json
from mvit_nas.errors import ArchError, DeviceError, InputError
from mvit_nas.models.folder import CONFIG, MODEL_TYPE, WEIGHTS, read_model, read_weights
from mvit_nas.nn.weights.inherit import Source, heads_of
from mvit_nas.nn.weights.layouts import in_our_layout

_PREPROCESSOR = "preprocessor_config.json"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_PICKLES = (".pth", ".pt", ".bin")
# Under what the weights lie in a training's checkpoint, the better ones first.
_STATES = ("state_dict_ema", "model_ema", "state_dict", "model")


def read_source(text: str, *, colours: str | None = None) -> Source:
    """The weights that ``text`` names: a model folder, a folder or file of Hugging Face's or timm's, an id of the hub.

    Hugging Face's first version of MobileViT wants BGR, a model folder says RGB, and for anything else ``colours`` is
    asked for ("rgb" or "bgr"), which is also what counts where it is given. What was trained on BGR has its first
    convolution turned, so that the weights are for RGB.

    Raises InputError for what cannot be read, DeviceError where the hub's package is not installed.
    """
    path = Path(text)
    if not path.exists() and _HUB_ID.fullmatch(text):
        path = _downloaded(text)
    if path.is_dir():
        source, known = _read_folder(path, name=text)
    elif path.is_file():
        source, known = Source(name=text, weights=_read_file(path), classes=None), None
    else:
        raise InputError(f"--init {text}: there is no such file or folder, and it is no id of the hub (apple/NAME)")
    if colours is None and known is None:
        raise InputError(f"--init {text} does not say whether it was trained on RGB or BGR: give --init-colours")
    if (colours or known) == "bgr":
        stem = source.weights["stem.conv.weight"]
        return replace(source, weights={**source.weights, "stem.conv.weight": stem.flip(1)})
    return source


def _read_folder(path: Path, *, name: str) -> tuple[Source, str | None]:
    """Weights as they are, with class names and heads, and the colours that they want, as far as the folder says."""
    config = _json(path / CONFIG)
    if config.get("model_type") == MODEL_TYPE:
        model = read_model(path)
        known = model.document
        return Source(name=name, weights=model.weights, classes=known.classes, heads=heads_of(known.arch)), "rgb"
    weights = _read_file(path / WEIGHTS)
    if config.get("model_type") != "mobilevit":
        return Source(name=name, weights=weights, classes=_names(config.get("label_names"))), None  # timm's key
    labels = config.get("id2label")
    names = [labels.get(str(index)) for index in range(len(labels))] if isinstance(labels, dict) else None
    file = path / _PREPROCESSOR
    flips = _json(file).get("do_flip_channel_order", True) if file.exists() else True
    heads = config.get("num_attention_heads")
    each = {one: heads for one in weights if one.endswith(".qkv.weight")} if isinstance(heads, int) else {}
    return Source(name=name, weights=weights, classes=_names(names), heads=each), "bgr" if flips else "rgb"


def _read_file(path: Path) -> dict[str, Tensor]:
    """The weights in the file ``path``, in our layout."""
    state = _unpickled(path) if path.suffix in _PICKLES else read_weights(path)
    try:
        return in_our_layout(state)
    except ArchError as error:
        raise InputError(f"--init {path}: {error}") from None


def _unpickled(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that ``torch.save`` wrote, whose code is not run."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of how it was pickled: it can be read, or it is refused
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(f"--init {path} holds code, which is not run, or is broken: save its tensors alone") from None
    except (OSError, EOFError, RuntimeError, ValueError) as error:
        raise InputError(f"cannot read {path}: {' '.join(str(error).split()) or 'it is cut off'}") from None
    for key in _STATES:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise InputError(f"--init {path} must hold tensors by name")
    return {str(name): tensor for name, tensor in found.items()}


def _names(plain: object) -> tuple[str, ...] | None:
    """Class names, where ``plain`` is a list of them."""
    if not isinstance(plain, list) or not all(isinstance(one, str) for one in plain):
        return None
    return tuple(plain)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        missing = f"cannot read {path}: {os.strerror(errno.ENOENT)}"
        raise InputError(f"{missing}; a folder of weights has {CONFIG} and {WEIGHTS}")
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path} must hold one mapping")
    return found


def _downloaded(name: str) -> Path:
    """The folder of the hub's repository ``name``."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise DeviceError(f"--init {name}: there is no such folder; for the hub: pip install huggingface_hub")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", WEIGHTS]))
    except (OSError, ValueError) as error:  # what the hub raises derives from both, whatever fails
        raise InputError(f"--init {name} cannot be had from the hub: {' '.join(str(error).split())}") from None
