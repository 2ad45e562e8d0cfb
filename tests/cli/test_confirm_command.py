"""``mvit-nas confirm`` as a user meets it: real images, real trainings of tiny networks, real files."""

import json
import re
from pathlib import Path

import pytest
from commands import answer, blocked, furnished, photos, process

from mvit_nas.study.confirmation_file import read_confirmation, read_looks

DOCUMENTED = (Path(__file__).parents[2] / "docs/json.md").read_text()
CONFIRM = ("confirm", "s", 0, 1, "--schedule", "quick.yaml", "--epochs", 2, "--seeds", 2)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a search of two trials, and one cache for all of these tests."""
    work = tmp_path_factory.mktemp("confirm")
    furnished(work)
    photos(work / "many", images=40)
    line = (
        "search",
        "--data",
        "many",
        "--space",
        "space.yaml",
        "--schedule",
        "quick.yaml",
        "--objectives",
        "accuracy,params",
    )
    answer(*line, "--budget", "500K", "--name", "s", "--trials", 2, cwd=work, cache=work / "cache")
    return work


@pytest.fixture(scope="module")
def ran(work):
    return answer(*CONFIRM, cwd=work, cache=work / "cache")


def test_it_prints_a_verdict_and_writes_page_models_and_ledger(work, ran):
    assert "2 networks trained by the quick (epochs 2) schedule (2 epochs) with 2 seeds" in ran.out
    assert re.search(r"^[0-9a-f]{10} +[01] +[\d.]+ % \([\d.]+ to [\d.]+\) +[\d.]+ % +[\d.]+K$", ran.out, re.MULTILINE)
    assert re.search(r"^Take [0-9a-f]{10} \(trial \d\): ", ran.out, re.MULTILINE)
    assert "The test part was read 1 time: " in ran.out
    assert "report: reports/s/report.html" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "runs:     2 x 2 seeds = 4, 0 of them known" in ran.err
    assert "  4/4 " in ran.err
    assert "<h2>Confirmed</h2>" in (work / "reports/s/report.html").read_text()
    assert sorted(path.name for path in (work / "models").iterdir()) == ["s-0", "s-1"]
    assert len((work / "experiments/s/test_reads.jsonl").read_text().splitlines()) == 1


def test_again_it_trains_nothing_and_the_document_has_the_documented_keys(work, ran):
    found = answer(*CONFIRM, "--json", cwd=work, cache=work / "cache")
    assert found.err.count("from the cache") == 4
    document = json.loads(found.out)
    for part in (
        document,
        *document["networks"],
        *document["networks"][0]["by_seed"],
        *document["pairs"],
        document["ranks"],
    ):
        for key in part:
            assert f"`{key}`" in DOCUMENTED, key
    assert len(document["looks"]) == 1
    by_seed = [one["test"] for one in document["networks"][0]["by_seed"]]
    assert document["networks"][0]["test_accuracy"] == pytest.approx(sum(by_seed) / 2)


def test_a_dry_run_tells_the_plan_and_writes_nothing(work, ran):
    before = (work / "experiments/s/confirm.json").read_text()
    out = answer(*CONFIRM, "--seeds", 3, "--dry-run", cwd=work, cache=work / "cache").out
    assert "runs      2 networks x 3 seeds = 6" in out
    assert "known     4 of them, from earlier runs" in out
    assert "test part read 1 time so far" in out
    document = json.loads(answer(*CONFIRM, "--dry-run", "--json", cwd=work, cache=work / "cache").out)
    assert all(f"`{key}`" in DOCUMENTED for key in document)
    assert (work / "experiments/s/confirm.json").read_text() == before


def test_a_search_that_goes_on_and_a_report_made_again_keep_what_was_confirmed(work, ran):
    confirmed = read_confirmation(work / "reports/s")
    line = ("search", "--config", "experiments/s/experiment.yaml", "--resume", "--trials", 3)
    answer(*line, cwd=work, cache=work / "cache")
    assert read_confirmation(work / "reports/s") == confirmed
    page = (work / "reports/s/report.html").read_text()
    assert "<h2>Confirmed</h2>" in page
    process("report", "s", cwd=work, PYTHONPATH=blocked(work, "torch", "optuna", "fvcore"))
    assert (work / "reports/s/report.html").read_text() == page


def test_whatever_looks_at_the_test_part_writes_a_line_and_nothing_else_does(work, ran):
    seen = read_looks(work / "experiments/s/test_reads.jsonl")

    def new(*line):
        nonlocal seen
        answer(*line, cwd=work, cache=work / "cache")
        before, seen = seen, read_looks(work / "experiments/s/test_reads.jsonl")
        assert seen[: len(before)] == before
        return [(one.trials, one.seeds, one.schedule, one.images) for one in seen[len(before) :]]

    images = seen[0].images
    train = ("train", "s:1", "--data", "many", "--schedule", "quick.yaml", "--seed", 7, "--device", "cpu", "--name")
    assert new(*train, "unseen") == []
    assert new(*train, "seen", "--test") == [((1,), (7,), "quick", images)]
    assert new("export", "models/unseen") == []
    assert new("export", "models/unseen", "--data", "many") == [((1,), (7,), "quick", images)]
    ((trials, (seed,), schedule, number),) = new("export", "models/s-0", "--data", "many")
    assert (trials, schedule, number) == ((0,), "quick (epochs 2)", images)
    assert seed in (0, 1)  # the better of the two
    file = ("--check", "models/s-0/exports/s-0.onnx")
    assert new("export", "models/s-0", *file) == []
    assert new("export", "models/s-0", *file, "--data", "many") == [((0,), (seed,), "quick (epochs 2)", images)]
    assert new("predict", "models/s-0", "many/cat") == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("nothing",), "no study 'nothing' in reports: known are s"),
        (("s", "9"), "s has no trained network of trial 9; it has those of 0, 1"),
        (("s", "--data", "photos"), "the images are not those of the search: s was searched on many ("),
        (("s", "--top", "0"), "Invalid value for '--top'"),
        (
            ("s", "--schedule", "shrt"),
            "no schedule 'shrt': known are smoke, digits, digits_medium, short, medium, long, paper",
        ),
    ],
)
def test_wrong_input_is_one_line_with_its_exit_code(work, ran, more, message):
    found = answer("confirm", *more, cwd=work, cache=work / "cache", code=2)
    assert message in found.error
    assert found.out == ""
