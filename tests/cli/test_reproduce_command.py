"""``mvit-nas reproduce`` as a user meets it: a search and an ablation, and what their trials come to a second time."""

import csv
import json
from pathlib import Path

import pytest
from commands import TINY, answer, furnished, photos

from mvit_nas.arch.config import arch_id
from mvit_nas.errors import InputError
from mvit_nas.jobs.reproduce import _recorded
from mvit_nas.maths.statistics import farthest_apart
from mvit_nas.study.record import Candidate, Measured, Record, SeedScore, State

DOCUMENTED = (Path(__file__).parents[2] / "docs/json.md").read_text().partition("mvit-nas reproduce")[2]
LINE = ("--data", "many", "--space", "space.yaml", "--schedule", "quick.yaml", "--epochs", 3)
TABLE, ORIGIN = "reports/s/results.csv", "reports/s/environment.json"


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    work = furnished(tmp_path_factory.mktemp("reproduce"))
    photos(work / "many", images=40)
    search = ("search", *LINE, "--objectives", "accuracy,params", "--budget", "500K", "--name", "s", "--trials", 2)
    answer(*search, cwd=work, cache=work / "cache")
    ablate = (
        "ablate",
        "label_smoothing",
        "--base",
        "tiny.yaml",
        *LINE,
        "--seeds",
        1,
        "--values",
        0.1,
        0.5,
        "--name",
        "a",
    )
    answer(*ablate, cwd=work, cache=work / "cache")
    return work


@pytest.fixture
def work(begun):
    """Its files are as they were afterwards."""
    before = {name: (begun / name).read_text() for name in (TABLE, ORIGIN)}
    yield begun
    for name, text in before.items():
        (begun / name).write_text(text)


def ask(work, *line, code=0):
    return answer("reproduce", *line, cwd=work, cache=work / "cache", code=code)


def change_table(work, **cells):
    """Change cells of the first trial; a number is added to what is there."""
    with (work / TABLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name, cell in cells.items():
        rows[0][name] = str(float(rows[0][name]) + cell) if isinstance(cell, float) else cell
    with (work / TABLE).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def change_origin(work, **parts):
    document = json.loads((work / ORIGIN).read_text())
    for name, part in parts.items():
        document[name] = {**document[name], **part} if isinstance(document[name], dict) else part
    (work / ORIGIN).write_text(json.dumps(document))


def test_a_trial_comes_back_to_the_last_digit_and_is_trained_outside_the_cache(work):
    for path in (work / "cache/evaluations").glob("*.json"):  # what is known there shall not be the answer
        document = json.loads(path.read_text())
        if "correct_K" in document["value"]:
            document["value"]["correct_K"] = [0] * len(document["value"]["correct_K"])
            path.write_text(json.dumps(document))
    before = {path.name for path in (work / "cache").rglob("*.json")}
    found = ask(work, "s:0")
    assert "It came back, equal to the last digit." in found.out
    assert "differs" not in found.out
    assert {path.name for path in (work / "cache").rglob("*.json")} == before
    assert not list((work / "cache").rglob("*.safetensors"))
    document = json.loads(ask(work, "s:best", "--json").out)
    assert (document["equal"], document["explained"], document["difference"]) == (True, True, 0.0)
    assert document["then"].keys() == {"accuracy", "balanced_accuracy"}
    assert all(f"`{key}`" in DOCUMENTED for key in document)


def test_a_number_that_does_not_come_back_where_nothing_differs_is_a_failure(work):
    change_table(work, accuracy=0.01)
    found = ask(work, "s:0", code=1)
    assert (
        "It did not come back, though machine, versions and threads are the same: 1.00 points of accuracy apart."
        in found.out
    )


@pytest.mark.parametrize(
    ("spread", "code", "words"),
    [
        # 3.18 (t of 3 degrees of freedom) times the root of two times 0.01.
        ({"deviation": 0.01, "freedom": 3, "source": "2 networks"}, 0, "Not equal, where something differs: 1.00 points of accuracy apart, and two seeds lie up to 4.50 apart (95 %; 2 networks)"),
        ({"deviation": 0.001, "freedom": 3, "source": "2 networks"}, 1, "It did not come back: 1.00 points of accuracy apart, and two seeds lie up to 0.45 apart"),
        (None, 1, "It did not come back: 1.00 points of accuracy apart; how far seeds spread is not known here."),
    ],
)  # fmt: skip
def test_where_something_differs_the_difference_stands_beside_that_of_seeds(work, spread, code, words):
    change_table(work, accuracy=0.01)
    change_origin(work, packages={"torch": "1.0"}, hardware={"cores": 77}, seed_spread=spread)
    found = ask(work, "s:0", code=code)
    assert words in found.out
    assert "differs: torch: 1.0 then, " in found.out
    assert "differs: threads: 77 then, " in found.out
    assert "differs: threads: 77 then, " in found.err
    assert found.out.count("\ndiffers: ") == 2


def test_a_choice_of_the_training_is_that_of_the_trial(begun):
    document = json.loads((begun / "reports/a/environment.json").read_text())
    assert document["experiment"]["schedule"]["label_smoothing"] == 0.1
    for trial in (0, 1):
        assert "It came back, equal to the last digit." in ask(begun, f"a:{trial}").out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("x:0",), "x:0: name a trial of a study in reports, as in NAME:37: known are a, s"),
        (("s",), "s: name a trial of a study in reports, as in NAME:37: known are a, s"),
        (("s:9",), "s:9: s has no such trial; it has the trials 0 to 1"),
        (("s:0", "--data", "photos"), "the images are not those of the search: s was searched on many ("),
        (("s:0", "--device", "tpu"), "--device 'tpu' is no device"),
        (("s:0", "--init", "tiny"), "the networks of s started from weights of their own: leave --init out"),
    ],
)
def test_wrong_input_is_one_line(begun, line, words):
    found = ask(begun, *line, code=2)
    assert words in found.error
    assert found.out == ""


def test_a_trial_that_its_record_does_not_decide_is_refused(work):
    change_table(work, inherited_from="1", seed="0")
    assert "s:0 started from the weights of trial 1 (--inherit)" in ask(work, "s:0", code=2).error
    change_table(work, inherited_from="", state="stopped", reason="behind", accuracy="")
    assert "s:0 has no accuracy to compare with, it is stopped: behind" in ask(work, "s:0", code=2).error


def test_of_several_seeds_the_first_is_trained_again():
    known = {"accuracy": Measured(value=0.5), "balanced_accuracy": Measured(value=0.4), "params": Measured(value=9)}
    record = Record(
        trial=0, state=State.COMPLETE, candidate=Candidate(arch=TINY, arch_id=arch_id(TINY)), values=known, seed=3
    )
    assert _recorded(record, "s:0") == (TINY, 3, {"accuracy": 0.5, "balanced_accuracy": 0.4})
    several = record.with_seed(
        4, {"accuracy": Measured(value=0.7), "balanced_accuracy": Measured(value=0.8)}, seconds=1
    )
    assert several.by_seed[0] == SeedScore(seed=3, values={"accuracy": 0.5, "balanced_accuracy": 0.4})
    assert _recorded(several, "s:0") == (TINY, 3, {"accuracy": 0.5, "balanced_accuracy": 0.4})
    nameless = Record(trial=0, state=State.COMPLETE, candidate=Candidate(arch=None, arch_id=""), values=known, seed=3)
    with pytest.raises(InputError, match="s:0 says no network or no seed that can be read"):
        _recorded(nameless, "s:0")


def test_how_far_seeds_lie_apart_widens_with_what_is_not_known_of_their_spread():
    assert farthest_apart(0.01, freedom=3) == pytest.approx(0.0450, abs=1e-4)
    assert farthest_apart(0.01, freedom=10**6) == pytest.approx(0.01 * 2 * 1.386, rel=1e-3)
