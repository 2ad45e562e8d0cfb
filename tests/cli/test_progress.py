"""What a person watches: lines that stay, and one that moves."""

import io
import os
import signal
from typing import Any

import pytest
from rich.spinner import Spinner

from mvit_nas.cli.progress import Watch, interrupts, step_line, trial_line
from mvit_nas.cli.terminal import Terminal
from mvit_nas.errors import InterruptedCleanlyError
from mvit_nas.jobs.ablate import Progress as RunProgress
from mvit_nas.jobs.search import Progress
from mvit_nas.metrics import ACCURACY, BALANCED_ACCURACY
from mvit_nas.reporter import TrainingStep
from mvit_nas.results.within import Within
from mvit_nas.study.record import Candidate, Measured, Record, Spent, State

STEP = TrainingStep(epoch=2, epochs=4, step=130, steps=324, loss=1.314, images_per_second=412.3, seconds_left=75.0)
DONE = Record(
    trial=3,
    state=State.COMPLETE,
    candidate=Candidate(arch=None, arch_id="0123456789"),
    values={
        "accuracy": Measured(value=0.716, low=0.68, high=0.74),
        "balanced_accuracy": Measured(value=0.523),
        "params": Measured(value=45_600),
        "macs": Measured(value=2_660_000),
        "latency_ms": Measured(value=1.25),
    },
    spent=Spent(seconds=62.0, trainings=1.0),
    seed=3,
)
STOPPED = Record(
    trial=4, state=State.STOPPED, candidate=DONE.candidate, reason="after epoch 1", spent=Spent(trainings=0.25)
)


def progress(last, **changes):
    known: dict[str, Any] = {
        "done": 4.0,
        "stopped": 0,
        "trials": 12,
        "foreseen": False,
        "score": ACCURACY,
        "best": 0.716,
        "front": 2,
        "within": (),
        "hypervolume": 0.41234,
        "seconds_left": 130.0,
    }
    return Progress(last=last, **known | changes)


@pytest.fixture
def watching():
    """A watch on a terminal, what it printed and the line that moves."""
    printed, line = io.StringIO(), Spinner("line")
    return Watch(Terminal(file=printed, width=200, highlight=False), line), printed, line


@pytest.fixture
def logging():
    printed = io.StringIO()
    return Watch(Terminal(file=printed, width=40, highlight=False), None), printed


def test_a_finished_trial_is_one_line():
    assert trial_line(progress(DONE)) == "   4/12 0123456789    71.6 %  45.6K params  2.66M MACs  1.25 ms  1 min 2 s"
    assert trial_line(progress(STOPPED, done=4.25)) == " 4.2/12 0123456789    stopped: after epoch 1"
    cached = Record(
        trial=5, state=State.COMPLETE, candidate=DONE.candidate, values=dict(DONE.values), spent=Spent(cached=True)
    )
    assert trial_line(progress(cached)).endswith("  from the cache")


def test_without_a_terminal_every_activity_and_trial_is_a_line_and_steps_are_none(logging):
    watch, printed = logging
    watch.say("data: many photographs in a folder whose name is long")
    watch.doing("training 0123456789 (45.6K parameters)")
    watch.training(STEP)
    watch.show(progress(DONE))
    lines = printed.getvalue().splitlines()
    assert lines[:2] == [
        "data: many photographs in a folder whose name is long",
        "training 0123456789 (45.6K parameters)",
    ]
    assert len(lines) == 3


def test_on_a_terminal_the_line_moves_with_the_training_and_only_trials_stay(watching):
    watch, printed, line = watching
    watch.show(progress(DONE, stopped=1))
    watch.doing("training 9876543210")
    status = "4/12 trials · 1 stopped · best 71.6 % · front 2 · hypervolume 0.412 · about 2 min 10 s left"
    assert str(line.text) == f"{status} · training 9876543210"
    watch.training(STEP)
    assert str(line.text) == f"{status} · training 9876543210 · epoch 2/4, loss 1.31, 412 images/s, 1 min 15 s left"
    # What was said of the last training is no part of the next.
    watch.doing("measuring 9876543210")
    assert str(line.text) == f"{status} · measuring 9876543210"
    assert printed.getvalue().count("\n") == 1


def test_with_a_budget_the_line_says_the_best_within_it_and_its_parts(watching):
    watch, _, line = watching
    within = (Within(part=1.0, best=DONE), Within(part=0.5, best=None))
    watch.show(progress(DONE, within=within, seconds_left=None))
    assert str(line.text) == "4/12 trials · best 71.6 % within the budget, nothing within 1/2 of it"


def test_a_number_of_trials_that_is_only_foreseen_is_said_to_be(watching):
    watch, _, line = watching
    watch.show(progress(DONE, trials=47, foreseen=True, best=None, seconds_left=None))
    assert str(line.text) == "4/~47 trials"
    assert trial_line(progress(DONE, trials=47, foreseen=True)).startswith("   4/~47 0123456789 ")


def test_what_is_rejected_moves_the_line_and_prints_none(watching):
    watch, printed, line = watching
    rejected = Record(trial=5, state=State.OVER_BUDGET, candidate=DONE.candidate)
    watch.show(progress(rejected, best=None, seconds_left=None))
    assert str(line.text) == "4/12 trials"
    assert printed.getvalue() == ""


def test_a_slow_training_is_told_to_a_tenth_of_an_image():
    slow = TrainingStep(epoch=1, epochs=1, step=1, steps=2, loss=2.0, images_per_second=0.53, seconds_left=30.0)
    assert step_line(slow) == "epoch 1/1, loss 2.00, 0.5 images/s, 30 s left"


def test_a_run_of_an_ablation_is_one_line_with_its_seed(watching):
    watch, printed, line = watching
    watch.show_run(RunProgress(done=4, runs=9, variant="4 at equal macs", last=DONE, score=ACCURACY, seconds_left=90.0))
    assert printed.getvalue() == "  4/9 4 at equal macs, seed 3  71.6 %  1 min 2 s\n"
    assert str(line.text) == "4/9 runs · about 1 min 30 s left"
    failed = Record(
        trial=5,
        state=State.FAILED,
        candidate=DONE.candidate,
        reason="the loss became nan",
        seed=1,
        spent=Spent(seconds=2.0),
    )
    watch.show_run(RunProgress(done=5, runs=9, variant="2", last=failed, score=ACCURACY, seconds_left=None))
    assert printed.getvalue().splitlines()[1] == "  5/9 2, seed 1  failed: the loss became nan  2 s"
    assert str(line.text) == "5/9 runs"


def test_a_second_interrupt_does_not_wait(capsys):
    with interrupts() as should_stop:
        assert not should_stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert should_stop()
        with pytest.raises(InterruptedCleanlyError, match="stopped at once"):
            signal.raise_signal(signal.SIGINT)
    assert "once more to stop at once" in capsys.readouterr().err


def test_what_a_search_is_for_is_what_is_shown_of_its_trials(watching):
    watch, printed, line = watching
    watch.show(progress(DONE, score=BALANCED_ACCURACY, best=0.523))
    assert "best 52.3 %" in str(line.text)
    assert " 52.3 %  45.6K params" in printed.getvalue()
    assert "71.6" not in printed.getvalue()
