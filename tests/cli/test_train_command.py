"""``mvit-nas train`` as a user meets it: killed and resumed, and by two processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from commands import QUICK, answer, furnished, killed, started
from small_model import ARCH

import mvit_nas
from mvit_nas.arch.config import to_dict
from mvit_nas.jobs import setup

DOCUMENTED = (Path(__file__).parents[2] / "docs/json.md").read_text()
ONE_THREAD = "from mvit_nas.jobs import setup\nsetup.training_threads = lambda: 1"
LINE = ("train", "small.yaml", "--data", "photos", "--schedule", "slow.yaml", "--device", "cpu")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    work = furnished(tmp_path_factory.mktemp("train"), images=20)
    # The last digit hangs on the number of threads, which every process here shall have alike.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "training_threads", lambda: 1)
        yield prepared(work)


def prepared(work):
    slow = QUICK.replace("images_per_epoch: 64", "images_per_epoch: 10000").replace("epochs: 1", "epochs: 30")
    (work / "slow.yaml").write_text(slow.replace("batch_size: 32", "batch_size: 4"))
    # Without dropout, whose numbers each of several processes draws for itself.
    (work / "small.yaml").write_text(yaml.safe_dump(to_dict(ARCH) | {"dropout": 0.0, "head_dropout": 0.0}))
    return work


@pytest.fixture(scope="module")
def whole(work):
    found = answer(*LINE, "--name", "whole", "--test", cwd=work, cache=work / "cache")
    return found, mvit_nas.load(work / "models/whole")


def test_it_says_how_well_it_does_and_where_it_lies(whole):
    found, _ = whole
    assert "validation  " in found.out
    assert "test        " in found.out
    assert "over images alone" in found.out
    assert found.out.rstrip().endswith("models/whole")
    assert max(map(len, found.out.splitlines())) <= 80
    assert "epoch  30/30" in found.err


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_and_resumed_it_ends_with_the_same_bits(work, whole, how):
    line = (*LINE, "--name", how.name, "--keep-every", "0.01s")
    running = started(*line, cwd=work, until="epoch   4/30", first=ONE_THREAD)
    if how is signal.SIGKILL:
        killed(running)
    else:
        running.send_signal(how)
        running.communicate(timeout=60)
        assert running.returncode == 130
    assert (work / f"models/{how.name}/training/state.pt").exists()
    found = answer(*line, "--resume", "--json", cwd=work, cache=work / "cache")
    document = json.loads(found.out)
    for key in document:
        assert f"`{key}`" in DOCUMENTED, key
    assert "epoch   1/30" not in found.err
    ended = mvit_nas.load(work / f"models/{how.name}")
    _, model = whole
    assert all(torch.equal(ended.weights[name], model.weights[name]) for name in model.weights)


def test_two_processes_train_one_network(work, whole):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mvit_nas"]
    line = [*LINE, "--epochs", "2", "--name", "two", "--json"]
    environment = {**os.environ, "MVIT_NAS_CACHE": str(work / "cache"), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([*command, *line], cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["model"] == "two"  # one of them writes and prints
    alone = answer(*LINE, "--epochs", 2, "--name", "one", cwd=work, cache=work / "cache")
    assert alone.out
    losses = [mvit_nas.load(work / f"models/{name}").document.provenance["losses"] for name in ("one", "two")]
    # Batch norm of each process sees half of a batch, so that the losses are close and not equal.
    assert losses[1] == pytest.approx(losses[0], abs=0.5)
    assert losses[0] != losses[1]


def test_batches_that_cannot_be_shared_are_one_line(work):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mvit_nas"]
    line = [*LINE, "--batch-size", "3", "--name", "odd"]
    environment = {**os.environ, "MVIT_NAS_CACHE": str(work / "cache"), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([*command, *line], cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "mvit-nas: batches of 3 images cannot be shared by 2 processes evenly" in ran.stderr
