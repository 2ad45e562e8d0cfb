"""Which workers are there: locks on one host, beats over several."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from mvit_nas.study.life import Alone, Beats, Locks


def test_alone_all_others_are_dead():
    me = Alone()
    assert me.dead({me.worker, "other", ""}) == {"other", ""}
    assert Alone().worker != me.worker


def test_a_lock_tells_who_is_there(tmp_path):
    me, other = Locks(tmp_path / "workers"), Locks(tmp_path / "workers")
    with me.living(), other.living():
        assert me.dead({other.worker, me.worker, "gone", ""}) == {"gone", ""}
    assert me.dead({other.worker}) == {other.worker}
    assert list((tmp_path / "workers").iterdir()) == []  # nothing is left behind


def test_a_lock_is_given_back_by_a_kill(tmp_path):
    text = (
        "import sys, time; from pathlib import Path; from mvit_nas.study.life import Locks\n"
        "life = Locks(Path(sys.argv[1]))\n"
        "with life.living(): print(life.worker, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", text, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker, me = process.stdout.readline().strip(), Locks(tmp_path)
    assert me.dead({worker}) == set()
    process.kill()
    process.wait()
    assert me.dead({worker}) == {worker}
    process.stdout.close()


class Study:
    """Attributes that can be away."""

    def __init__(self) -> None:
        self.attributes: dict[str, int] = {}
        self.is_away = False

    @property
    def user_attrs(self):
        return dict(self.attributes)

    def set_user_attr(self, key, value):
        if self.is_away:
            raise RuntimeError("the server went away")
        self.attributes[key] = value


@pytest.fixture
def several():
    """Three workers on one study, whose clock stands still."""
    clock = SimpleNamespace(now=0.0)
    study = Study()
    made = [Beats(study, beat_seconds=10, grace_seconds=60, clock=lambda: clock.now) for _ in range(3)]

    def wait(seconds, *beating):
        for _ in range(seconds // 10):
            clock.now += 10
            for one in beating:
                one.beat()

    for one in reversed(made):
        one.beat()
    return study, made, wait


def test_who_is_not_heard_for_the_whole_grace_is_dead(several):
    _, (me, other, third), wait = several
    wait(60, me, other)
    assert me.dead({one.worker for one in (me, other, third)}) == set()
    wait(10, me, other)
    assert me.dead({one.worker for one in (me, other, third)}) == {third.worker}


def test_who_never_beat_is_dead_a_grace_after_it_was_first_asked_for(several):
    _, (me, *_), wait = several
    assert me.dead({"unheard"}) == set()
    wait(60, me)
    assert me.dead({"unheard"}) == set()
    wait(10, me)
    assert me.dead({"unheard"}) == {"unheard"}


def test_after_the_database_was_away_all_have_the_whole_grace_again(several):
    study, (me, other, third), wait = several
    study.is_away = True
    wait(120, me, other, third)
    assert me.dead({other.worker, third.worker}) == set()
    study.is_away = False
    wait(10, me)  # the first to come back
    assert me.dead({other.worker, third.worker}) == set()
    wait(70, me, other)
    assert me.dead({other.worker, third.worker}) == {third.worker}


def test_who_was_asleep_itself_judges_nobody_before_it_heard_them_again(several):
    _, (me, other, _), wait = several
    wait(300, other)
    assert me.dead({other.worker}) == set()
    me.beat()
    assert me.dead({other.worker}) == set()
    # Nor after a sleep in which the other died.
    wait(300)
    me.beat()
    assert me.dead({other.worker}) == set()
    wait(70, me)
    assert me.dead({other.worker}) == {other.worker}


def test_a_worker_beats_beside_its_work():
    study = Study()
    me = Beats(study, beat_seconds=0.01, grace_seconds=60)
    with me.living():
        first = study.attributes.copy()
        while study.attributes == first:
            pass
    assert list(study.attributes) == [f"beat {me.worker}"]
