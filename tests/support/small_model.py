"""A small network with random weights as a model folder."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from mvit_nas.arch.blocks.mobilevit import MobileViTConfig
from mvit_nas.arch.config import ArchConfig, StageConfig, StemConfig
from mvit_nas.data.contract import InputContract, pixels
from mvit_nas.models.document import ModelDocument
from mvit_nas.models.folder import Model, write_model
from mvit_nas.nn.backbone import build

ARCH = ArchConfig(
    image_size=32, stem=StemConfig(channels=8, stride=2), head_expansion=2.0,
    stages=(
        StageConfig(channels=8, blocks=1, stride=2, expand_ratio=2),
        StageConfig(
            channels=16, blocks=1, stride=2, expand_ratio=2,
            mobilevit=MobileViTConfig(dim=16, depth=1, heads=2, patch_size=2),
        ),
    ),
)  # fmt: skip
CLASSES = ("cat", "dog|<b>", "fish")


def photo(seed: int) -> bytes:
    """A JPEG of noise."""
    luck = np.random.default_rng(seed)
    file = io.BytesIO()
    Image.fromarray(luck.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(file, "JPEG")
    return file.getvalue()


def small_model() -> Model:
    """One that was not trained, whose answers differ from image to image."""
    document = ModelDocument(
        arch=ARCH, classes=CLASSES, contract=InputContract(side=32), temperature=0.5, provenance={"study": "s"}
    )
    return Model(document=document, weights=build(ARCH, classes=3, seed=1).state_dict())


def write_small_model(folder: Path) -> Path:
    """The folder of it."""
    encoded, model = [photo(seed) for seed in range(3)], small_model()
    photos = [(one, pixels(one, model.document.contract)) for one in encoded]
    write_model(folder, model, photos=photos, facts=["It is 90 %."])
    return folder
