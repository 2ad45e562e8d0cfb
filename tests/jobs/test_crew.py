"""The workers that a search starts on this machine: real processes that die."""

import itertools
import sys
import time

import pytest
import torch
from searches import Heard

from mvit_nas.errors import MvitNasError
from mvit_nas.jobs.crew import Crew, places
from mvit_nas.jobs.setup import gpus_of

DIES = (sys.executable, "-S", "-c", "import os; os.kill(os.getpid(), 9)")
FAILS = (sys.executable, "-S", "-c", "import sys; print('mvit-nas: no room'); sys.exit(5)")


def watched(crew, *, trials):
    """Watch the crew to its end, while so many trials are done."""
    while not crew.is_done(trials):
        time.sleep(0.02)


def test_a_worker_that_is_killed_before_anything_is_done_is_not_started_for_ever(tmp_path):
    heard = Heard()
    crew = Crew(DIES, [{}], tmp_path / "workers", heard)
    with crew.working(), pytest.raises(MvitNasError, match=r"killed 5 times \(SIGKILL\) before any trial .* memory"):
        watched(crew, trials=3)
    assert [line for line in heard.said if "started again" in line] == [
        "worker 0 was killed (SIGKILL) and is started again; its trial is tried again"
    ] * 4


def test_while_trials_are_done_a_killed_worker_is_always_started_again(tmp_path):
    heard, trials = Heard(), itertools.count()
    crew = Crew(DIES, [{}], tmp_path / "workers", heard)
    with crew.working():
        while sum("started again" in line for line in heard.said) < 8:
            assert not crew.is_done(next(trials))
            time.sleep(0.02)


def test_the_error_of_one_is_said_and_that_of_all_raised_with_its_code(tmp_path):
    heard = Heard()
    crew = Crew(FAILS, [{}, {}], tmp_path / "workers", heard)
    with crew.working(), pytest.raises(MvitNasError, match="no room; all that it said is in") as raised:
        watched(crew, trials=0)
    assert raised.value.exit_code == 5
    assert sum("ended: no room" in line for line in heard.said) == 2


def test_each_worker_has_its_place(tmp_path):
    show = (sys.executable, "-S", "-c", "import os; print(os.environ['PLACE'], os.environ['OMP_NUM_THREADS'])")
    crew = Crew(show, [{"PLACE": "here"}, {"PLACE": "there"}], tmp_path / "workers", Heard())
    with crew.working():
        watched(crew, trials=0)
    assert [(tmp_path / f"workers/worker-{number}.log").read_text() for number in (0, 1)] == ["here 1\n", "there 1\n"]


def test_workers_are_spread_over_the_gpus_with_equal_shares_of_their_memory(monkeypatch):
    assert places(3, ()) == [{}, {}, {}]
    found = [tuple(one.values()) for one in places(5, ("2", "GPU-7"))]
    assert found == [("2", "0.3333"), ("GPU-7", "0.3333"), ("2", "0.3333"), ("GPU-7", "0.3333"), ("2", "0.3333")]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus_of(torch.device("cpu")) == ()
    assert gpus_of(torch.device("cuda")) == ("0", "1", "2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert gpus_of(torch.device("cuda")) == ("4", "6")
    assert gpus_of(torch.device("cuda:1")) == ("6",)
