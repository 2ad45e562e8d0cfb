"""The command line as a user meets it: real processes, real images, real files."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mvit_nas.results.table import read_table

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
FAST = ("--schedule", "smoke", "--objectives", "accuracy,params,macs")
COMMAND = [sys.executable, "-c", "from mvit_nas.cli.app import main; main()"]


def mvit_nas(*arguments, cwd, code=0, **environment):
    """Run the command in ``cwd``; its stdout and stderr, after the exit code was checked."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment}
    )  # fmt: skip
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def photos(folder, *, classes=("cat", "dog", "fish"), images=12, side=40):
    """A folder of small photos, one subfolder a class, told apart by their colour."""
    generator = np.random.default_rng(0)
    for index, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(images):
            pixels = generator.integers(0, 100, (side, side + 8, 3), np.uint8)
            pixels[..., index % 3] += 150
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def work(tmp_path):
    photos(tmp_path / "photos")
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path


# The presets do not fit 500K parameters: the candidates of the small space alone train in a second each.
SEARCH = ("search", "--data", "photos", "--space", "space.yaml", *FAST, "--name", "s")


def search(work, *arguments, budget="500K", **options):
    return mvit_nas(*SEARCH, "--budget", budget, *arguments, cwd=work, **options)


def test_a_search_prints_a_front_and_writes_a_report(work, cache):
    out, err = search(work, "--trials", 5, budget="6M")
    assert re.search(r"The front, \d+ networks?", out)
    assert "report: reports/s/report.html" in out
    assert "budget: at most 6M parameters" in err
    assert re.search(r"5/5 [0-9a-f]{10}", err)
    assert sorted(path.name for path in (work / "reports/s").iterdir()) == [
        "environment.json",
        "report.html",
        "results.csv",
    ]
    # The test part was not even decoded.
    assert {path.name.split("-")[1] for path in (cache / "images").iterdir() if path.is_dir()} == {
        "train",
        "validation",
    }
    table = read_table(work / "reports/s/results.csv")
    assert (table["state"] == "complete").sum() == 5
    # The published presets are wider than this space, and tried all the same.
    assert set(table["name"]) == {"mobilevit_xxs", "mobilevit_xs", "mobilevit_s", ""}
    environment = json.loads((work / "reports/s/environment.json").read_text())
    assert environment["data"]["classes"] == ["cat", "dog", "fish"]
    assert environment["command"].startswith("mvit-nas search --data photos")
    assert environment["experiment"]["schedule"]["name"] == "smoke"


def test_a_named_set_needs_no_folder(work):
    out, err = mvit_nas("search", "--data", "digits", "--space", "space.yaml", *FAST, "--dry-run", cwd=work)
    assert "scikit-learn's handwritten digits" in err
    assert "training" in out


def test_json_is_one_document_with_the_documented_keys(work):
    out, _ = search(work, "--trials", 4, "--schedule", "short", "--json")
    document = json.loads(out)
    assert set(document) == {"study", "front", "trials", "hypervolume", "report", "error"}
    assert document["study"] == "s"
    assert document["trials"]["complete"] == 4
    assert 0 < document["hypervolume"] < 1
    documented = (Path(__file__).parents[2] / "docs/json.md").read_text()
    for row in document["front"]:
        assert row["latency_ms"] is None
        assert row["arch"]["image_size"] == 32
        for key in row:
            assert f"`{key}`" in documented
    for key in document:
        assert f"`{key}`" in documented


def test_latency_is_measured_where_it_is_an_objective(work):
    out, _ = search(work, "--trials", 1, "--objectives", "accuracy,latency", "--json")
    (row,) = json.loads(out)["front"]
    assert 0 < row["latency_low_ms"] <= row["latency_ms"] <= row["latency_high_ms"]
    environment = json.loads((work / "reports/s/environment.json").read_text())
    assert environment["latency"]["threads"] == 1
    assert environment["latency"]["reference_ms"] > 0


def test_killed_and_resumed_no_finished_trial_is_lost_or_trained_again(work):
    process = subprocess.Popen(
        [*COMMAND, "search", "--data", "photos", "--space", "space.yaml", "--budget", "500K", *FAST, "--name", "s", "--trials", "200"],
        cwd=work, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if re.match(r"\s*4/200", line):
            break
    process.kill()
    process.wait()
    process.stderr.close()
    before = read_table(work / "reports/s/results.csv")
    assert (before["state"] == "complete").sum() >= 3
    search(work, "--trials", 6, "--resume")
    after = read_table(work / "reports/s/results.csv")
    complete = after[after["state"] == "complete"]
    assert len(complete) >= 6
    assert complete["arch_id"].is_unique
    same = complete.merge(before[before["state"] == "complete"], on="trial")
    assert (same["arch_id_x"] == same["arch_id_y"]).all()
    assert (same["accuracy_x"] == same["accuracy_y"]).all()
    assert (same["seconds_x"] == same["seconds_y"]).all()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_cleanly_with_a_report(work, number):
    process = subprocess.Popen(
        [*COMMAND, "search", "--data", "photos", "--space", "space.yaml", "--budget", "500K", *FAST, "--name", "s", "--trials", "200"],
        cwd=work, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if re.match(r"\s*2/200", line):
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "report: reports/s/report.html" in out
    assert "mvit-nas: stopped" in err
    assert "Traceback" not in err
    search(work, "--trials", 4, "--resume")


def test_a_second_interrupt_does_not_wait(capsys):
    from mvit_nas.cli.app import _interrupts
    from mvit_nas.errors import InterruptedCleanlyError

    with _interrupts() as should_stop:
        assert not should_stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert should_stop()
        with pytest.raises(InterruptedCleanlyError, match="stopped at once"):
            signal.raise_signal(signal.SIGINT)
    assert "once more to stop at once" in capsys.readouterr().err


def test_candidates_that_all_diverge_are_an_error_with_the_reason(work):
    text = (resources.files("mvit_nas") / "schedules/smoke.yaml").read_text()
    text = text.replace("learning_rate: 0.002", "learning_rate: 1.0e+30\nwarmup_learning_rate: 1.0e+30")
    (work / "wild.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mvit_nas", "search", "--data", "photos", "--space", "space.yaml", *FAST,
         "--schedule", "wild.yaml", "--name", "s", "--trials", "2"], cwd=work, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert (
        "no candidate was trained to the end in 2 trials; the last one failed: the trained model gives outputs that are not finite"
        in done.stderr
    )
    table = read_table(work / "reports/s/results.csv")
    assert list(table["state"]) == ["failed", "failed"]
    assert table["accuracy"].isna().all()


def test_an_existing_study_needs_resume_and_the_same_settings(work):
    search(work, "--trials", 1)
    _, err = search(work, "--trials", 1, code=2)
    assert "the study 's' exists in experiments/s: go on with --resume, or use another --name" in err
    _, err = search(work, "--trials", 2, "--resume", "--seed", 3, budget="1M", code=2)
    assert (
        "has other settings: budgets ([{high: 500000.0, low: 0.0, metric: params}] then, [{high: 1000000.0, low: 0.0, metric: params}] now), seed (0 then, 3 now)"
        in err
    )
    search(work, "--trials", 2, "--resume")
    assert (read_table(work / "reports/s/results.csv")["state"] == "complete").sum() == 2


def test_another_study_with_the_same_question_takes_its_answers_from_the_cache(work):
    search(work, "--trials", 2)
    _, err = search(work, "--trials", 2, "--name", "again")
    assert err.count("from the cache") == 2
    first, again = (read_table(work / f"reports/{name}/results.csv") for name in ("s", "again"))
    assert list(first["accuracy"]) == list(again["accuracy"])
    assert list(again["cached"]) == [True, True]


def test_two_searches_on_one_study_at_a_time_are_refused(work):
    import filelock

    search(work, "--trials", 1)
    with filelock.FileLock(work / "experiments/s/lock"):
        _, err = search(work, "--trials", 2, "--resume", code=2)
    assert "another process is working on experiments/s" in err


def test_a_report_is_made_again_from_its_table_without_torch_or_optuna(work):
    search(work, "--trials", 1)
    page = work / "reports/s/report.html"
    before = page.read_text()
    page.unlink()
    blocked = work / "blocked"
    for name in ("torch", "optuna", "fvcore"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text("raise ImportError('must not be needed')")
    out, _ = mvit_nas("report", "s", cwd=work, PYTHONPATH=str(blocked))
    assert out.strip() == "reports/s/report.html"
    assert page.read_text() == before


def test_dry_run_tells_size_share_time_and_memory_and_writes_nothing(work):
    out, _ = search(work, "--dry-run", "--trials", 100)
    assert "space      32 settings, 32 networks" in out
    assert re.search(r"in budget  [\d.]+ % of the settings", out)
    assert re.search(r"largest    [\d.]+K parameters, [\d.]+M MACs, \d+ ms a training step", out)
    assert re.search(r"estimate   .* for 100 trials, [\d.]+ GiB of memory", out)
    document = json.loads(search(work, "--dry-run", "--json")[0])
    assert document["networks"] == 32
    assert document["smallest"]["macs"] < document["largest"]["macs"]
    assert document["hours"] > 0
    assert not (work / "reports").exists()
    assert not (work / "experiments").exists()


def test_a_time_limit_ends_the_search_with_what_there_is(work):
    out, _ = search(work, "--trials", 500, "--timeout", "4s", "--json")
    assert 1 <= json.loads(out)["trials"]["complete"] < 500


def test_a_broken_image_is_skipped_and_named_in_the_report(work):
    (work / "photos/cat/broken.png").write_bytes((work / "photos/cat/0.png").read_bytes()[:200])
    search(work, "--trials", 1)
    environment = json.loads((work / "reports/s/environment.json").read_text())
    assert any("broken.png" in line for line in environment["data"]["skipped"])
    assert "broken.png" in (work / "reports/s/report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--budget", "6X"), 2, "cannot read the budget '6X': write 6M or 500K (parameters)"),
        (("--data", "nowhere"), 2, "nowhere"),
        (("--space", "nowhere.yaml"), 2, "no search space 'nowhere.yaml'"),
        (("--schedule", "shrot"), 2, "no schedule 'shrot': known are smoke, short, paper"),
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
        (("--out", "space.yaml"), 2, "cannot make the folder space.yaml/experiments/s (Not a directory)"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line_with_its_exit_code(work, refused, arguments, code, message):
    assert message in refused(*SEARCH, "--budget", "500K", *arguments, cwd=work, code=code)


def test_a_misspelt_factor_names_the_file_and_the_nearest_key(work):
    (work / "space.yaml").write_text(SPACE.replace("mobilevit.dim", "mobilevit.dmi"))
    _, err = search(work, code=2)
    assert "mvit-nas: space.yaml: dim: " in err
    assert "unknown 'dmi', did you mean 'dim'?" in err


def test_a_class_with_one_image_is_named(work):
    for path in list((work / "photos/dog").iterdir())[1:]:
        path.unlink()
    _, err = search(work, code=2)
    assert "dog" in err.strip().splitlines()[-1]


def test_a_cache_that_cannot_be_written_is_one_line(work):
    (work / "file").write_text("")
    _, err = search(work, code=2, MVIT_NAS_CACHE=str(work / "file"))
    assert "cannot write to the cache" in err
    assert "set MVIT_NAS_CACHE" in err


def test_a_report_that_is_not_there_lists_those_that_are(work):
    search(work, "--trials", 1)
    _, err = mvit_nas("report", "x", cwd=work, code=2)
    assert err == "mvit-nas: no report 'x' in reports: known are s\n"


@pytest.mark.skipif(shutil.which("mount") is None or os.geteuid() != 0, reason="a full disk is made by root")
def test_a_disk_that_fills_up_loses_no_evaluation(work):
    disk = work / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not let a test mount a file system")
    try:
        search(work, "--trials", 2, "--out", disk)
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        # Room for the database, not for the report.
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - 500_000)
        _, err = search(work, "--trials", 6, "--out", disk, "--resume", code=4)
        assert "full" in err or "No space left" in err
        assert "Traceback" not in err
        (disk / "filler").unlink()
        search(work, "--trials", 6, "--out", disk, "--resume")
        table = read_table(disk / "reports/s/results.csv")
        assert (table["state"] == "complete").sum() == 6
    finally:
        time.sleep(0.2)
        subprocess.run(["umount", disk], check=True)


def test_help_and_version_answer_without_torch_or_optuna(work):
    blocked = work / "blocked"
    for name in ("torch", "optuna", "pandas", "plotly", "fvcore", "sklearn", "numpy"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text("raise ImportError('must not be needed')")
    for arguments in (("--help",), ("search", "--help"), ("report", "--help"), ("compare", "--help"), ("--version",)):
        mvit_nas(*arguments, cwd=work, PYTHONPATH=str(blocked))


def test_the_command_line_stays_what_it_is():
    # A new flag is a decision, not an accident: write it here too.
    import typer.main

    from mvit_nas.cli.app import app

    group = typer.main.get_command(app)
    flags = {
        name: sorted(option for parameter in command.params for option in parameter.opts)
        for name, command in group.commands.items()
    }
    timing = "--runtime --target --threads --adb-benchmark"
    run = "--data --space --image-size --schedule --device --name --out --resume --dry-run --json"
    assert flags == {
        name: sorted(text.split())
        for name, text in {
            "search": f"--budget --objectives --sampler --baseline --trials --early-stopping --inherit --stop-when-settled --finish "
            f"--timeout --seed --measure-front {timing} {run}",
            "ablate": f"factors --base --values --seeds --precision --max-seeds --match --no-resize {timing} {run}",
            "latency": f"choices {timing} --precision --cap --image-size --int8 --data --schedule --by-stage --out --json",
            "devices": "targets --json",
            "report": "name --out --runtime --target",
            "compare": "studies --name --out --json",
        }.items()
    }
    assert all(parameter.help for command in group.commands.values() for parameter in command.params)
