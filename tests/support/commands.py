"""Commands as a person types them, and what there is to run them on: a few small images, a small space, a tiny network."""

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import yaml
from PIL import Image

from mvit_nas.arch.config import to_dict
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.cli.app import main

RUN = "from mvit_nas.cli.app import main; main()"
COMMAND = [sys.executable, "-c", RUN]
# Ten labels, 32 networks that train in less than a second each.
SPACE = """
base: mobilevit_xxs
set: {image_size: 32, stem.stride: 1, stages.4.stride: 1}
factors:
  width:
    paths: [stem.channels, stages.*.channels]
    values: {a: [8, 8, 8, 8, 8, 8], b: [8, 8, 8, 16, 16, 16], c: [8, 8, 16, 16, 24, 24], d: [16, 16, 24, 24, 32, 32]}
  dim: {paths: [stages.*.mobilevit.dim], values: [16, 24, 32, 40]}
  depth: {paths: [stages.*.mobilevit.depth], values: [1, 2]}
"""
# Two steps an epoch: what a training gives is not the question where a command is.
QUICK = """
epochs: 1
images_per_epoch: 64
batch_size: 32
resolution: 0.25
learning_rate: 0.002
warmup: 0.1
min_crop: 0.35
ema: 0.0
"""
# How well a latency is known is not the question there either. For a process, before its command.
TIMED_QUICKLY = """
from mvit_nas.evaluate import latency
from mvit_nas.jobs import ablate, prepare, setup
prepare.COARSE = ablate.FINE = 0.9
setup.MEASURING_SECONDS = 0.2
setup.training_threads = lambda: 1
latency._REFERENCE_SIDE = 32
"""
# A space of 32 networks is known from fewer draws than 2,000, which take a second.
DRAWN_QUICKLY = """
from functools import partial
from mvit_nas.jobs import prepare, setup
prepare.sample_feasible = partial(prepare.sample_feasible, samples=200)
setup.training_threads = lambda: 1
"""
TINY = with_values(
    PRESETS["mobilevit_xxs"],
    {
        "image_size": 32,
        "stem.stride": 1,
        "stages.4.stride": 1,
        "stages.*.channels": 8,
        "stages.*.mobilevit.dim": 16,
        "stages.*.mobilevit.depth": 1,
    },
)


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int

    @property
    def error(self) -> str:
        """The line that it ended with."""
        return self.err.strip().splitlines()[-1]


def answer(*arguments: object, cwd: Path, cache: Path, code: int = 0) -> Answer:
    """Run a command in this process, since another takes seconds to start, after which its exit code is checked.

    ``cache`` is the folder of its cache.
    """
    out, err = io.StringIO(), io.StringIO()
    environment = {"MVIT_NAS_CACHE": str(cache), "COLUMNS": "80"}
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", ["mvit-nas", *map(str, arguments)]),
    ):
        try:
            main()
            ended: int | str | None = 0
        except SystemExit as exited:
            ended = exited.code
    found = Answer(out=out.getvalue(), err=err.getvalue(), code=int(ended or 0))
    assert found.code == code, f"exit code {found.code}\n{found.out}\n{found.err}"
    assert "Traceback" not in found.err
    return found


def process(*arguments: object, cwd: Path, code: int = 0, **environment: str) -> Answer:
    """The same in a process of its own, with more ``environment``."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Answer(out=done.stdout, err=done.stderr, code=done.returncode)


def started(*arguments: object, cwd: Path, until: str, first: str = "") -> "subprocess.Popen[str]":
    """A process that runs the command, after the code ``first``, and has said ``until`` on its stderr."""
    command = [sys.executable, "-c", f"{first}\n{RUN}", *map(str, arguments)]
    running = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if until in line:
            return running
    raise AssertionError(f"ended with {running.wait()} without saying {until!r}")


def killed(running: "subprocess.Popen[str]") -> None:
    """End the process at once."""
    running.kill()
    running.communicate()


def photos(
    folder: Path, *, classes: tuple[str, ...] = ("cat", "dog", "fish"), images: int = 12, side: int = 40
) -> Path:
    """A folder of small photos, one subfolder a class, told apart by their colour."""
    generator = np.random.default_rng(0)
    for index, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(images):
            pixels = generator.integers(0, 100, (side, side + 8, 3), np.uint8)
            pixels[..., index % 3] += 150
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def furnished(folder: Path, *, images: int = 12) -> Path:
    """``folder`` with photos/, space.yaml, the schedule quick.yaml and the architecture tiny.yaml."""
    photos(folder / "photos", images=images)
    (folder / "space.yaml").write_text(SPACE)
    (folder / "quick.yaml").write_text(QUICK)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(to_dict(TINY), sort_keys=False))
    return folder


def blocked(folder: Path, *names: str) -> str:
    """A PYTHONPATH by which importing any of ``names`` fails, and the package itself does not."""
    for name in names:
        (folder / "blocked" / name).mkdir(parents=True)
        (folder / "blocked" / name / "__init__.py").write_text("raise ImportError('must not be needed')")
    return os.pathsep.join(filter(None, [str(folder / "blocked"), os.environ.get("PYTHONPATH")]))
