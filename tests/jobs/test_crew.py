"""The workers that a search starts on this machine: real processes that die."""

import itertools
import sys
import time

import pytest
from searches import Heard

from mvit_nas.errors import MvitNasError
from mvit_nas.jobs.crew import Crew

DIES = (sys.executable, "-S", "-c", "import os; os.kill(os.getpid(), 9)")
FAILS = (sys.executable, "-S", "-c", "import sys; print('mvit-nas: no room'); sys.exit(5)")


def watched(crew, *, trials):
    """Watch the crew to its end, while so many trials are done."""
    while not crew.is_done(trials):
        time.sleep(0.02)


def test_a_worker_that_is_killed_before_anything_is_done_is_not_started_for_ever(tmp_path):
    heard = Heard()
    crew = Crew(DIES, 1, tmp_path / "workers", heard)
    with crew.working(), pytest.raises(MvitNasError, match=r"killed 5 times \(SIGKILL\) before any trial .* memory"):
        watched(crew, trials=3)
    assert [line for line in heard.said if "started again" in line] == [
        "worker 0 was killed (SIGKILL) and is started again; its trial is tried again"
    ] * 4


def test_while_trials_are_done_a_killed_worker_is_always_started_again(tmp_path):
    heard, trials = Heard(), itertools.count()
    crew = Crew(DIES, 1, tmp_path / "workers", heard)
    with crew.working():
        while sum("started again" in line for line in heard.said) < 8:
            assert not crew.is_done(next(trials))
            time.sleep(0.02)


def test_the_error_of_one_is_said_and_that_of_all_raised_with_its_code(tmp_path):
    heard = Heard()
    crew = Crew(FAILS, 2, tmp_path / "workers", heard)
    with crew.working(), pytest.raises(MvitNasError, match="no room; all that it said is in") as raised:
        watched(crew, trials=0)
    assert raised.value.exit_code == 5
    assert sum("ended: no room" in line for line in heard.said) == 2
