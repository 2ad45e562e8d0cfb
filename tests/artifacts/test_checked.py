"""An architecture's file is checked against PyTorch before it is timed."""

import dataclasses

import numpy as np
import pytest
from commands import TINY
from sure import sure
from torch import nn

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.artifacts.checked import artefact_of, export, outputs, photographs
from mvit_nas.cost.runtimes.registry import RUNTIMES
from mvit_nas.errors import MeasurementError

ONNX = RUNTIMES["onnxruntime"]


class Scaled(nn.Module):
    """A network whose logits are a tenth too large."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return 1.1 * self.model(images)


def test_an_artefact_tells_images_apart_and_says_how_far_it_is_from_pytorch(tmp_path):
    path = tmp_path / "xxs.onnx"
    found = export(ONNX, with_values(PRESETS["mobilevit_xxs"], {"image_size": 64}), path, classes=10)
    assert 0 < sure(found.difference) < 1e-5
    assert found.size_bytes == path.stat().st_size
    assert (found.delegated, found.quantised) == (None, 0)
    # With fresh batch norms the logits of all images are nearly the same (0.12), and an error would hardly show.
    logits = outputs(ONNX, path, photographs(64))
    assert np.ptp(logits, axis=0).min() > 0.2 * np.abs(logits).max()


def test_an_artefact_that_computes_something_else_is_an_error_not_a_latency(tmp_path):
    wrong = dataclasses.replace(
        ONNX, export=lambda model, images, path: ONNX.export(Scaled(model).eval(), images, path)
    )
    with pytest.raises(
        MeasurementError, match=r"^ONNX Runtime computes something else than PyTorch: a logit differs by 0\.0"
    ):
        export(wrong, TINY, tmp_path / "tiny.onnx", classes=10)


def test_int8_is_refused_where_the_runtime_has_none(tmp_path):
    with pytest.raises(MeasurementError, match=r"^PyTorch has no int8 here: choose another --runtime$"):
        export(RUNTIMES["torch"], TINY, tmp_path / "tiny.pt2", classes=10, weight_bits=8)


def test_the_digest_is_of_the_whole_file(tmp_path):
    path = tmp_path / "tiny.onnx"
    export(ONNX, TINY, path, classes=10)
    blind = dataclasses.replace(ONNX, quantised=lambda path: None)
    before = artefact_of(blind, path)
    assert artefact_of(blind, path) == before
    blob = bytearray(path.read_bytes())
    blob[-100] ^= 1
    path.write_bytes(blob)
    assert artefact_of(blind, path).digest != before.digest
