"""Boards are arm64: there the measuring program loads, runs and times what it does here, and computes the same logits.

An arm64 Python under QEMU's user emulation stands for a board, so this is about function, never about time.
tests/prepare_arm64.sh makes it, by apt and pip, in the folder that MVIT_NAS_ARM64 names, where the next run finds it;
without that, in a temporary one.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.artifacts.checked import export, outputs, photographs
from mvit_nas.cost import probe
from mvit_nas.cost.runtimes.registry import RUNTIMES, is_installed
from mvit_nas.cost.targets.python import PythonTarget
from mvit_nas.cost.targets.target import Job

pytestmark = pytest.mark.slow

# Those that have wheels for arm64 and can be exported to here.
HERE = [name for name in ("onnxruntime", "litert") if is_installed(RUNTIMES[name])]
VERSIONS = {name: importlib.metadata.version(probe.LOADERS[name][0]) for name in HERE}
SIDE = 32
SHAPE = (1, 3, SIDE, SIDE)
# Its arguments: the measuring program, the runtime, the artefact and a file of images.
OUTPUTS = """
import json, platform, runpy, sys
import numpy
program, runtime, artefact, images = sys.argv[1:]
with open(artefact, "rb") as file:
    network = runpy.run_path(program, run_name="probe")["LOADERS"][runtime][1](file.read(), 1)()
logits = [network(image[None])[0].tolist() for image in numpy.load(images)]
print(json.dumps([platform.machine(), logits]))
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """An arm64 Python with the runtimes that are installed here, in the same versions."""
    named = os.environ.get("MVIT_NAS_ARM64")
    folder = Path(named) if named else tmp_path_factory.mktemp("arm64")
    packages = [f"{probe.LOADERS[name][0]}=={version}" for name, version in VERSIONS.items()]
    prepared = subprocess.run(
        [Path(__file__).parents[1] / "support/prepare_arm64.sh", folder, *packages],
        env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if prepared.returncode:
        pytest.skip(f"no arm64 Python: {' / '.join(prepared.stderr.splitlines())}")
    return PythonTarget(name="board", command=(str(folder.resolve() / "python3"),))


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    """Gives the file of a small network, its transformers as deep as asked."""
    folder = tmp_path_factory.mktemp("artefacts")

    @cache
    def make(runtime, depth):
        path = folder / f"{depth}{RUNTIMES[runtime].suffix}"
        arch = with_values(PRESETS["mobilevit_xxs"], {"image_size": SIDE, "stages.*.mobilevit.depth": depth})
        export(RUNTIMES[runtime], arch, path, classes=10)
        return path

    return make


@pytest.fixture
def job(artefact):
    def make(runtime, threads=1):
        return Job(
            runtime=runtime, threads=threads, precision=0.02, seconds=0.2, candidate=artefact(runtime, 2),
            reference=artefact(runtime, 1), candidate_shape=SHAPE, reference_shape=SHAPE,
        )  # fmt: skip

    return make


def test_a_board_tells_of_itself_and_of_its_runtimes(board):
    machine, versions = board.survey()
    assert machine.system.endswith(", aarch64")
    assert "(Cortex-A76)" in machine.processor  # what prepare_arm64.sh has QEMU be
    assert versions == VERSIONS


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("runtime", HERE)
def test_a_board_measures(board, job, runtime, threads):
    rounds = board.measure(job(runtime, threads))
    assert len(rounds) >= probe.LEAST_ROUNDS
    for burst in (burst for one in rounds for burst in (one.candidate, one.reference)):
        assert len(burst.cpu_ns) == (len(burst.wall_ns) if threads == 1 else 0)
        assert all(ns > 0 for ns in (*burst.wall_ns, *burst.cpu_ns))


def test_the_stages_are_told_apart_on_a_board(board, job):
    shares = board.stages(job("onnxruntime"))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert {"stem", "stages.0", "stages.4", "head", "classifier"} <= set(shares)


@pytest.mark.parametrize("runtime", HERE)
def test_a_board_computes_the_logits_of_this_host(board, artefact, tmp_path, runtime):
    images, path = photographs(SIDE), artefact(runtime, 2)
    np.save(tmp_path / "images.npy", images.numpy())
    argv = [*board.command, "-c", OUTPUTS, probe.__file__, runtime, path, tmp_path / "images.npy"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    # Runtimes print too, before the answer.
    machine, logits = json.loads(done.stdout.splitlines()[-1])
    assert machine == "aarch64"
    expected = outputs(RUNTIMES[runtime], path, images)
    largest = np.abs(expected).max()
    # Photographs are told apart a hundred times as well as the two have to agree.
    assert np.ptp(expected, axis=0).max() > 1e-2 * largest
    np.testing.assert_allclose(np.array(logits), expected, rtol=0, atol=1e-4 * largest)
