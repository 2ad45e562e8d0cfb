"""Trained networks as folders that can be passed on: ``config.json`` and ``model.safetensors``."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from mvit_nas.arch.config import ArchConfig, to_dict
from mvit_nas.arch.rules import Plain
from mvit_nas.data.contract import InputContract
from mvit_nas.errors import PartialError
from mvit_nas.files import write_text, write_whole

# Of config.json.
FORMAT = 1


def write_model(
    folder: Path,
    *,
    arch: ArchConfig,
    weights: Mapping[str, Tensor],
    classes: tuple[str, ...],
    contract: InputContract,
    temperature: float,
    provenance: Mapping[str, Plain],
) -> None:
    """Write the model into ``folder``, in the place of an earlier one; each file is there whole or not at all.

    ``contract`` says how images become its inputs; ``temperature`` is what to divide its outputs by. Raises
    PartialError where the folder cannot be written.
    """
    config = {
        "format": FORMAT,
        "architecture": to_dict(arch),
        "classes": list(classes),
        "input": contract.to_dict(),
        "temperature": temperature,
        "provenance": dict(provenance),
    }
    try:
        write_whole(folder / "model.safetensors", lambda temporary: _save(weights, temporary))
        write_text(folder / "config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise PartialError(
            f"cannot write to {folder} ({error.strerror or error}); what was trained is kept: run the command again"
        ) from None


def _save(weights: Mapping[str, Tensor], path: Path) -> None:
    save_file({name: tensor.contiguous().cpu() for name, tensor in weights.items()}, path)
    # safetensors makes files that their owner alone can read.
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
