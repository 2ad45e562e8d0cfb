"""``mvit-nas search`` as a user meets it: real images, real trainings of tiny networks, real files."""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from unittest import mock

import filelock
import pytest
from commands import DRAWN_QUICKLY, Answer, answer, blocked, furnished, killed, process, started

from mvit_nas.cli.progress import Watch
from mvit_nas.evaluate import latency
from mvit_nas.jobs import prepare as preparing
from mvit_nas.jobs import setup
from mvit_nas.optimize.within_budget import sample_feasible
from mvit_nas.results.table import read_table

DOCUMENTED = (Path(__file__).parents[2] / "docs/json.md").read_text()
# The presets do not fit 500K parameters: the candidates of the small space alone train in a second each.
SEARCH = (
    "search", "--data", "photos", "--space", "space.yaml", "--schedule", "quick.yaml", "--objectives", "accuracy,params,macs",
    "--budget", "500K", "--name", "s",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def drawn_quickly():
    """A space of 32 networks is known from fewer draws than 2,000, which take a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "sample_feasible", functools.partial(sample_feasible, samples=200))
        yield


SAME = ("--epochs", 4, "--budget", "6M")


@pytest.fixture
def work(tmp_path):
    return furnished(tmp_path)


@pytest.fixture
def search(work, cache):
    return lambda *more, **options: answer(*SEARCH, *more, cwd=work, cache=cache, **options)


def records(work, name="s"):
    return read_table(work / f"reports/{name}/results.csv").records


def complete(work, name="s"):
    return [record for record in records(work, name) if record.is_complete]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with a search of four trials, presets among them, and what it printed."""
    work = furnished(tmp_path_factory.mktemp("ran"))
    return work, answer(*SEARCH, *SAME, "--trials", 4, cwd=work, cache=work / "cache")


@pytest.fixture
def again(ran):
    """Run on the same study."""
    work, _ = ran
    return lambda *more, **options: answer(*SEARCH, *more, cwd=work, cache=work / "cache", **options)


def test_a_search_prints_a_front_and_writes_a_report(ran):
    work, found = ran
    assert re.search(r"The front, \d+ networks?", found.out)
    assert "report: reports/s/report.html" in found.out
    assert "budget: at most 500K parameters and at most 6M parameters" in found.err
    assert re.search(r"4/4 [0-9a-f]{10}", found.err)
    assert max(map(len, found.out.splitlines())) <= 80
    names = ["environment.json", "report.html", "results.csv"]
    assert sorted(path.name for path in (work / "reports/s").iterdir()) == names
    # The test part was not even decoded.
    decoded = {path.name.split("-")[1] for path in (work / "cache/images").iterdir() if path.is_dir()}
    assert decoded == {"train", "validation"}
    assert len(complete(work)) == 4
    shown = re.findall(r"^([0-9a-f]{10})(?: \S+)? +(\d+)  ", found.out, re.MULTILINE)
    assert set(shown) <= {(one.candidate.arch_id, str(one.trial)) for one in complete(work)}
    assert shown
    environment = json.loads((work / "reports/s/environment.json").read_text())
    assert environment["data"]["classes"] == ["cat", "dog", "fish"]
    assert environment["command"].startswith("mvit-nas search --data photos")
    assert environment["experiment"]["schedule"]["name"] == "quick (epochs 4)"
    assert environment["experiment"]["budgets"] == [
        {"metric": "params", "low": 0.0, "high": 500_000.0}, {"metric": "params", "low": 0.0, "high": 6e6}
    ]  # fmt: skip


def test_json_is_one_document_with_the_documented_keys(again):
    document = json.loads(again(*SAME, "--trials", 4, "--resume", "--json").out)
    assert set(document) == {"study", "front", "trials", "best_within", "hypervolume", "forecast", "report", "error"}
    assert document["study"] == "s"
    assert document["trials"]["complete"] == 4
    assert 0 <= document["hypervolume"] < 1  # nothing where none is known to do better than guessing
    for row in document["front"]:
        assert row["latency_ms"] is None
        assert row["arch"]["image_size"] == 32
        assert all(f"`{key}`" in DOCUMENTED for key in row)
    assert all(f"`{key}`" in DOCUMENTED for key in document)


def test_a_study_is_settings_for_the_next_search_and_flags_override_them(ran, again):
    work, _ = ran
    config = ("search", "--config", "experiments/s/experiment.yaml")
    settings = {"cwd": work, "cache": work / "cache"}
    refused = answer(*config, **settings, code=2)
    assert "the study 's' exists in experiments/s: go on with --resume, or use another --name" in refused.error
    found = answer(*config, "--name", "t", "--trials", 2, "--seed", 1, **settings)
    assert "budget: at most 500K parameters and at most 6M parameters" in found.err
    assert [record.seed for record in complete(work, "t")] == [1, 1]
    (work / "mine.yaml").write_text("trails: 3")
    assert answer("search", "--config", "mine.yaml", **settings, code=2).error == (
        "mvit-nas: mine.yaml: unknown 'trails', did you mean 'trials'?"
    )


def test_an_existing_study_needs_resume_and_the_same_settings(again):
    assert "the study 's' exists in experiments/s: go on with --resume, or use another --name" in again(code=2).error
    assert "has other settings: budgets ([{high: 500000.0, low: 0.0, metric: params}, {high: 60000... then" in (
        again("--epochs", 4, "--resume", "--seed", 3, code=2).error
    )
    assert again(*SAME, "--resume", "--seed", 3, code=2).error.endswith(
        "has other settings: seed (0 then, 3 now); use another --name"
    )
    assert "schedule (" in again(*SAME, "--resume", "--epochs", 1, code=2).error


def test_another_study_with_the_same_question_takes_its_answers_from_the_cache(ran, again):
    work, _ = ran
    found = again(*SAME, "--trials", 2, "--name", "again")
    assert found.err.count("from the cache") == 2
    first, second = complete(work)[:2], complete(work, "again")
    assert [record.values["accuracy"] for record in first] == [record.values["accuracy"] for record in second]
    assert [record.spent.cached for record in second] == [True, True]


def test_two_searches_on_one_study_at_a_time_are_refused(ran, again):
    work, _ = ran
    with filelock.FileLock(work / "experiments/s/lock"):
        assert "another process is working on experiments/s" in again(*SAME, "--resume", code=2).error


def test_a_report_is_made_again_from_its_table_without_torch_or_optuna(ran):
    work, _ = ran
    page = work / "reports/s/report.html"
    before = page.read_text()
    page.unlink()
    found = process("report", "s", cwd=work, PYTHONPATH=blocked(work, "torch", "optuna", "fvcore"))
    assert found.out.strip() == "reports/s/report.html"
    assert page.read_text() == before


def test_a_report_that_is_not_there_lists_those_that_are(ran):
    work, _ = ran
    found = answer("report", "x", cwd=work, cache=work / "cache", code=2)
    assert found.err.startswith("mvit-nas: no report 'x' in reports: known are ")
    assert "s" in found.err.partition("known are ")[2].strip().split(", ")


def test_latency_is_measured_where_it_is_an_objective(work, search, monkeypatch):
    monkeypatch.setattr(preparing, "COARSE", 0.9)  # how well is not the question
    monkeypatch.setattr(setup, "MEASURING_SECONDS", 0.2)
    monkeypatch.setattr(latency, "_REFERENCE_SIDE", 32)
    found = search("--trials", 1, "--objectives", "accuracy,latency", "--json")
    (row,) = json.loads(found.out)["front"]
    assert 0 < row["latency_low_ms"] <= row["latency_ms"] <= row["latency_high_ms"]
    environment = json.loads((work / "reports/s/environment.json").read_text())
    assert environment["latency"]["threads"] == 1
    assert environment["latency"]["reference_ms"] > 0
    reference = environment["hypervolume_reference"]
    assert set(reference) == {"accuracy", "latency_ms"}
    assert reference["latency_ms"] > row["latency_ms"]


def test_killed_and_resumed_no_finished_trial_is_lost_or_trained_again(work, search, cache):
    killed(started(*SEARCH, "--trials", 200, cwd=work, until="4/200 ", first=DRAWN_QUICKLY))
    lines = search("--trials", 6, "--resume").err
    # What was finished before the kill was in the store, whatever of it was in the table by then.
    assert re.findall(r"^ *(\d+)/6 ", lines, re.MULTILINE) == ["5", "6"]
    found = complete(work)
    assert len(found) == 6
    assert len({record.candidate.arch_id for record in found}) == 6


def in_a_process(work, cache):
    running = started(*SEARCH, "--trials", 200, cwd=work, until="2/200 ", first=DRAWN_QUICKLY)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    return Answer(out=out, err=err, code=running.returncode)


def in_this_process(work, cache):
    def told(watch, progress):
        show(watch, progress)
        if progress.done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    show = Watch.show
    with mock.patch.object(Watch, "show", told):
        return answer(*SEARCH, "--trials", 200, cwd=work, cache=cache, code=130)


@pytest.mark.parametrize("interrupted", [in_a_process, in_this_process], ids=["SIGINT", "SIGTERM"])
def test_an_interrupt_ends_cleanly_with_a_report(work, search, cache, interrupted):
    found = interrupted(work, cache)
    assert found.code == 130
    assert "report: reports/s/report.html" in found.out
    assert "mvit-nas: stopped" in found.err
    assert "Traceback" not in found.err
    finished = len(complete(work))
    assert finished >= 2
    search("--trials", finished, "--resume")
    assert len(complete(work)) == finished


def test_candidates_that_all_diverge_are_an_error_with_the_reason(work, search):
    found = search("--schedule", "smoke", "--trials", 2, "--learning-rate", "1e30", code=1)
    assert "no candidate was trained to the end in 2 trials; the last one failed: the train" in found.error
    assert "not finite" in found.error or "became" in found.error
    assert [str(record.state) for record in records(work)] == ["failed", "failed"]
    assert not any("accuracy" in record.values for record in records(work))


def test_fields_of_the_schedule_are_overridden_one_by_one(work, search):
    search("--schedule", "smoke", "--trials", 1, "--epochs", 2, "--batch-size", 8, "--learning-rate", 0.003)
    schedule = json.loads((work / "reports/s/environment.json").read_text())["experiment"]["schedule"]
    assert (schedule["epochs"], schedule["batch_size"], schedule["learning_rate"]) == (2, 8, 0.003)
    assert schedule["name"] == "smoke (epochs 2, batch size 8, learning rate 0.003)"
    assert schedule["images_per_epoch"] == 512
    assert complete(work)[0].spent.epochs == 2


def test_dry_run_tells_size_share_time_and_memory_and_writes_nothing(work, search):
    out = search("--dry-run", "--trials", 100).out
    assert "space      32 settings, 32 networks" in out
    assert re.search(r"in budget  [\d.]+ % of the settings", out)
    assert re.search(r"largest    [\d.]+K parameters, [\d.]+M MACs, \d+ ms a training step", out)
    assert re.search(r"estimate   .* for 100 trials, [\d.]+ GiB of memory", out)
    assert "then       12 more trainings are expected to bring about 0.5 points (nine in ten" in out
    foreseen = search("--dry-run", "--trials", "auto").out
    assert re.search(r"estimate   .* for about 47 trials, 100 at most, [\d.]+ GiB of memory", foreseen)
    document = json.loads(search("--dry-run", "--json").out)
    assert all(f"`{key}`" in DOCUMENTED for key in document)
    assert (document["trials"], document["forecast"]["more"]) == (12, 12)
    assert document["networks"] == 32
    assert document["smallest"]["macs"] < document["largest"]["macs"]
    assert document["hours"] > 0
    assert not (work / "reports").exists()
    assert not (work / "experiments").exists()


def test_a_named_set_needs_no_folder(search):
    found = search("--data", "digits", "--dry-run")
    assert "scikit-learn's handwritten digits" in found.err
    assert "training" in found.out


def test_a_time_limit_ends_the_search_with_what_there_is(search):
    found = search("--schedule", "smoke", "--trials", 500, "--timeout", "1s", "--json")
    assert 1 <= json.loads(found.out)["trials"]["complete"] < 32
    assert "all candidates" not in found.err


def test_a_broken_image_is_skipped_and_named_in_the_report(work, search):
    (work / "photos/cat/broken.png").write_bytes((work / "photos/cat/0.png").read_bytes()[:200])
    search("--trials", 1)
    environment = json.loads((work / "reports/s/environment.json").read_text())
    assert any("broken.png" in line for line in environment["data"]["skipped"])
    assert "broken.png" in (work / "reports/s/report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--budget", "6X"), 2, "cannot read the budget '6X': write 6M or 500K (parameters)"),
        (("--data", "nowhere"), 2, "nowhere"),
        (("--space", "nowhere.yaml"), 2, "no search space 'nowhere.yaml'"),
        (("--schedule", "shrot"), 2, "no schedule 'shrot'"),
        (("--learning-rate", "0"), 2, "--learning-rate 0: give a number above 0"),
        (("--config", "nowhere.yaml"), 2, "cannot read nowhere.yaml"),
        (("--objectives", "accuracy"), 2, "--objectives needs accuracy and at least one cost"),
        (("--budget", "100"), 3, "nothing in space meets the budget (at most 500K parameters and at most 100 parameters); the nearest"),
        (("--trials", "0"), 2, "--trials must be at least 1, got 0"),
        (("--threads", "0"), 2, "--threads must be at least 1, got 0"),
        (("--seed", "-1"), 2, "--seed must be 0 or more"),
        (("--timeout", "soon"), 2, "cannot read the duration 'soon'"),
        (("--name", "a/b"), 2, "--name 'a/b' cannot name a folder"),
        (("--device", "tpu"), 2, "is no device"),
        (("--device", "xpu"), 2, "is not supported"),
        (("--device", "cuda:99"), 5, "CUDA devices"),
        (("--device", "cpu", "--jobs-per-gpu", "2"), 5, "--jobs-per-gpu: there is no CUDA GPU here: use --jobs"),
        (("--out", "space.yaml"), 2, "cannot make the folder space.yaml/experiments/s (Not a directory)"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line_with_its_exit_code(search, arguments, code, message):
    found = search(*arguments, code=code)
    assert message in found.error
    assert found.out == ""


def test_a_misspelt_factor_names_the_file_and_the_nearest_key(work, search):
    (work / "space.yaml").write_text((work / "space.yaml").read_text().replace("mobilevit.dim", "mobilevit.dmi"))
    error = search(code=2).error
    assert error.startswith("mvit-nas: space.yaml: dim: ")
    assert "unknown 'dmi', did you mean 'dim'?" in error


def test_a_class_with_one_image_is_named(work, search):
    for path in list((work / "photos/dog").iterdir())[1:]:
        path.unlink()
    assert "dog" in search(code=2).error


def test_a_cache_that_cannot_be_written_is_one_line(work):
    (work / "file").write_text("")
    error = answer(*SEARCH, cwd=work, cache=work / "file", code=2).error
    assert "cannot write to the cache" in error
    assert "set MVIT_NAS_CACHE" in error


@pytest.mark.skipif(shutil.which("mount") is None or os.geteuid() != 0, reason="a full disk is made by root")
def test_a_disk_that_fills_up_loses_no_evaluation(work, search):
    disk = work / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not let a test mount a file system")
    try:
        search("--trials", 2, "--out", disk)
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        # Room for the database, not for the report.
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - 500_000)
        error = search("--trials", 6, "--out", disk, "--resume", code=4).error
        assert "full" in error or "No space left" in error
        (disk / "filler").unlink()
        search("--trials", 6, "--out", disk, "--resume")
        assert len(complete(disk)) == 6
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)  # this process may still have files open there
