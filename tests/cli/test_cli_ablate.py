"""``mvit-nas ablate`` as a user meets it: real processes, real images, real trainings of a tiny network."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from test_cli import COMMAND, mvit_nas, photos

from mvit_nas.arch.config import to_dict
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.jobs import ablate as job
from mvit_nas.jobs.setup import StepCost
from mvit_nas.results.table import read_table

TINY = with_values(
    PRESETS["mobilevit_xxs"],
    {"image_size": 32, "stem.stride": 1, "stages.4.stride": 1, "stages.*.channels": 8, "stages.*.mobilevit.dim": 16,
     "stages.*.mobilevit.depth": 1},
)  # fmt: skip
VALUES = ("patch_size", "--values", "1", "4,2,1")


@pytest.fixture
def work(tmp_path):
    photos(tmp_path / "photos")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(to_dict(TINY), sort_keys=False))
    return tmp_path


def arguments(*more):
    return ("ablate", *more, "--data", "photos", "--base", "tiny.yaml", "--schedule", "smoke", "--name", "a")


def ablate(work, *more, **options):
    return mvit_nas(*arguments(*more), cwd=work, **options)


def test_an_ablation_prints_verdicts_and_writes_a_report_and_resuming_trains_nothing(work):
    out, err = ablate(work, *VALUES, "--seeds", 3)
    assert "Differences from tiny.yaml, in accuracy points, over 3 paired seeds:" in out
    assert re.search(r"^2 .* base ", out, re.MULTILINE)
    assert re.search(r"^4,2,1 ", out, re.MULTILINE)
    assert re.search(r"parameters: [\d.]+K in every variant", out)
    assert "report: reports/a/report.html" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "patch_size: 2 (base); 1; 4,2,1" in err
    assert "9/9 " in err
    table = read_table(work / "reports/a/results.csv")
    assert list(table["state"]) == ["complete"] * 9
    assert (table["latency_ms"] > 0).all()
    assert "What does patch_size do to tiny.yaml?" in (work / "reports/a/report.html").read_text()

    document = json.loads(ablate(work, *VALUES, "--seeds", 3, "--resume", "--json")[0])
    assert read_table(work / "reports/a/results.csv")["cached"].all()
    documented = (Path(__file__).parents[2] / "docs/json.md").read_text()
    assert [variant["value"] for variant in document["variants"]] == ["1", "4,2,1"]
    for part in (document, document["base"], *document["variants"]):
        for key in part:
            assert f"`{key}`" in documented, key
    base, one = document["base"], document["variants"][0]
    assert one["difference"] == pytest.approx(one["accuracy"] - base["accuracy"])
    assert one["macs"] > base["macs"]
    assert document["seeds"] == [0, 1, 2]

    page = work / "reports/a/report.html"
    before = page.read_text()
    page.unlink()
    blocked = work / "blocked"
    for name in ("torch", "optuna", "fvcore"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text("raise ImportError('must not be needed')")
    mvit_nas("report", "a", cwd=work, PYTHONPATH=str(blocked))
    assert page.read_text() == before


def test_killed_and_resumed_no_finished_run_is_trained_again(work):
    command = [*COMMAND, *arguments(*VALUES), "--seeds", "2"]
    process = subprocess.Popen(command, cwd=work, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if re.match(r"\s*3/6", line):
            break
    process.kill()
    process.wait()
    process.stderr.close()
    before = read_table(work / "reports/a/results.csv")
    assert len(before) >= 3
    _, err = ablate(work, *VALUES, "--seeds", 2, "--resume")
    after = read_table(work / "reports/a/results.csv")
    assert len(after) == 6
    assert after["cached"][: len(before)].all()
    assert not after["cached"][len(before) + 1 :].any()
    for column in ("seed", "param.patch_size", "accuracy", "seconds"):
        assert list(after[column][: len(before)]) == list(before[column])
    assert err.count("from the cache") >= len(before)


def test_a_dry_run_tells_the_runs_and_writes_nothing(work):
    out, _ = ablate(work, "depth", "--values", "1", "2", "--match", "macs", "--dry-run")
    assert re.search(r"^1 \(base\) .* parameters, .* MACs$", out, re.MULTILINE)
    assert re.search(r"^2 at equal macs ", out, re.MULTILINE)
    assert "runs      3 variants x 5 seeds = 15" in out
    assert re.search(r"estimate  .*, [\d.]+ GiB of memory", out)
    document = json.loads(ablate(work, *VALUES, "--dry-run", "--json")[0])
    documented = (Path(__file__).parents[2] / "docs/json.md").read_text()
    for part in (document, *document["variants"]):
        for key in part:
            assert f"`{key}`" in documented, key
    assert document["known"] == 0
    assert not (work / "reports").exists()


def test_values_end_at_the_next_flag_wherever_they_stand(work, answered, monkeypatch):
    monkeypatch.setattr(job, "try_step", lambda evaluator, arch: StepCost(step_seconds=0.1, peak_gib=0.1))
    for line in (
        ("patch_size", "--values", "1", "4,2,1", "--dry-run", "--json"),
        ("--dry-run", "--json", "patch_size", "--values", "1", "4,2,1"),
    ):
        document = json.loads(answered(*arguments(*line), cwd=work))
        assert [variant["value"] for variant in document["variants"]] == ["2", "1", "4,2,1"]
    more = ("depth", "heads", "--values", "2", "--values", "1", "2", "--dry-run", "--json")
    document = json.loads(answered(*arguments(*more), cwd=work))
    assert document["runs"] == 6 * 5


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("patch",), 2, "no factor 'patch' in mobilevit_small, did you mean 'patch_size'? known are"),
        (("patch_size", "--values", "3", "--no-resize"), 2, "patch_size 3 is no variant: patch_size 3 does not tile every map (at 32 px maps are resized: 8 to 9 px in stage 3"),
        (("patch_size", "--values"), 2, "patch_size"),
        (("patch_size", "--seeds", "1,2,1"), 2, "--seeds 1,2,1: the seed 1 stands twice, and a run would count twice"),
        (("patch_size", "--seeds", "many"), 2, "cannot read --seeds 'many': write how many (5), or the seeds with commas (0,1,2)"),
        (("patch_size", "--seeds", "0"), 2, "--seeds must be at least 1"),
        (("patch_size", "--precision", "0.5"), 2, "cannot read --precision '0.5': write it in percent, such as 0.5%"),
        (("patch_size", "--max-seeds", "9"), 2, "--max-seeds adds seeds until --precision is reached: give both, or neither"),
        (("patch_size", "--precision", "1%", "--max-seeds", "2"), 2, "--max-seeds must be at least the 5 of --seeds, got 2"),
        (("patch_size", "--match", "size"), 2, "--match: unknown 'size', known are params, macs, latency"),
        (("dim", "--values", "4000", "--match", "params"), 3, "no width from a quarter to four times lets 4000 cost what the base costs"),
        (("patch_size", "--base", "a:knee"), 2, "--base a:knee: no study 'a' in reports: known are none"),
        (("patch_size", "--threads", "0"), 2, "--threads must be at least 1, got 0"),
        (("patch_size", "--name", "a/b"), 2, "--name 'a/b' cannot name a folder"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line_with_its_exit_code(work, refused, more, code, message):
    line = [*arguments(*more)]
    if "--base" in more or "--name" in more:  # the last one of a flag counts
        line += more[1:]
    assert message in refused(*line, cwd=work, code=code)
    assert not (work / "reports/a").exists()


def test_no_factor_at_all_is_told_how_to_name_one(work):
    _, err = mvit_nas("ablate", cwd=work, code=2)
    assert "FACTOR" in err
