"""The measuring program's own conditions: threads, and images that cost what real ones do."""

import os

import numpy as np
import pytest
from commands import TINY
from sure import sure

from mvit_nas.artifacts.checked import export
from mvit_nas.cost import probe
from mvit_nas.cost.runtimes.registry import RUNTIMES


@pytest.fixture(scope="module")
def blob(tmp_path_factory):
    path = tmp_path_factory.mktemp("artefact") / "tiny.onnx"
    export(RUNTIMES["onnxruntime"], TINY, path, classes=10)
    return path.read_bytes()


def test_a_session_has_the_jobs_threads_which_do_not_spin(blob):
    options = probe._session(blob, 3).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_libraries_that_start_threads_by_themselves_have_the_jobs_too(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    answer = probe._answer(probe.Request(threads=3, files=["/proc/cpuinfo"]), {})
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert answer.versions["onnxruntime"]
    assert set(sure(answer.facts).files) <= {"/proc/cpuinfo"}


def test_a_prepared_graph_computes_what_the_artefact_does(blob):
    images = probe._images([1, 3, 32, 32])
    whole = probe._session(blob, 1).run(None, {"images": images})[0]
    fresh = probe.LOADERS["onnxruntime"][1](blob, 1)
    np.testing.assert_array_equal(fresh()(images), whole)


def test_images_are_noise_and_always_the_same():
    images = probe._images([1, 3, 32, 32])
    assert (str(images.dtype), images.shape) == ("float32", (1, 3, 32, 32))
    assert images.std() == pytest.approx(12**-0.5, rel=0.02)  # even over [0, 1]
    np.testing.assert_array_equal(images, probe._images([1, 3, 32, 32]))
