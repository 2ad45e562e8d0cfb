"""``mvit-nas ablate`` as a user meets it: real images, real trainings of a tiny network, real files."""

import json
import re
from pathlib import Path

import pytest
from commands import TIMED_QUICKLY, answer, blocked, furnished, killed, process, started
from sure import sure

from mvit_nas.evaluate import latency
from mvit_nas.jobs import ablate as job
from mvit_nas.jobs import setup
from mvit_nas.jobs.estimate import StepCost
from mvit_nas.metrics import BALANCED_ACCURACY
from mvit_nas.results.table import read_table

DOCUMENTED = (Path(__file__).parents[2] / "docs/json.md").read_text()
VALUES = ("patch_size", "--values", "1", "4,2,1")
COMMON = ("--data", "photos", "--base", "tiny.yaml", "--schedule", "quick.yaml", "--name", "a")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with one cache for all of these tests."""
    return furnished(tmp_path_factory.mktemp("ablate"))


@pytest.fixture(scope="module")
def timed_quickly():
    """How well latency is known is not the question here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "FINE", 0.9)
        patch.setattr(setup, "MEASURING_SECONDS", 0.2)
        patch.setattr(latency, "_REFERENCE_SIDE", 32)
        yield


@pytest.fixture(scope="module")
def ablate(work, timed_quickly):
    return lambda *more, **options: answer("ablate", *more, *COMMON, cwd=work, cache=work / "cache", **options)


@pytest.fixture(scope="module")
def ran(ablate):
    """What an ablation of three seeds printed."""
    return ablate(*VALUES, "--seeds", 3)


def records(work, name="a"):
    return read_table(work / f"reports/{name}/results.csv").records


def test_an_ablation_prints_verdicts_and_writes_a_report(work, ran):
    said = " ".join(ran.out.split())
    assert "Differences from tiny.yaml, in points of accuracy, over 3 paired seeds (the mean with its" in said
    assert "±" not in said
    assert re.search(r"^2 .* base ", ran.out, re.MULTILINE)
    assert re.search(r"^4,2,1 ", ran.out, re.MULTILINE)
    assert re.search(r"parameters: [\d.]+K in every variant", ran.out)
    assert "report: reports/a/report.html" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "patch_size: 2 (base); 1; 4,2,1" in ran.err
    assert "9/9 " in ran.err
    assert [str(record.state) for record in records(work)] == ["complete"] * 9
    assert all(record.values["latency_ms"].value > 0 for record in records(work))
    assert "What does patch_size do to tiny.yaml?" in (work / "reports/a/report.html").read_text()


def test_resuming_trains_nothing_and_the_document_has_the_documented_keys(work, ran, ablate):
    document = json.loads(ablate(*VALUES, "--seeds", 3, "--resume", "--json").out)
    assert all(record.spent.cached for record in records(work))
    assert [variant["value"] for variant in document["variants"]] == ["1", "4,2,1"]
    for part in (document, document["base"], *document["variants"]):
        for key in part:
            assert f"`{key}`" in DOCUMENTED, key
    base, one = document["base"], document["variants"][0]
    assert one["difference"] == pytest.approx(one["accuracy"] - base["accuracy"])
    assert one["macs"] > base["macs"]
    assert document["seeds"] == [0, 1, 2]


def test_runs_that_are_there_can_be_judged_by_balanced_accuracy(work, ran, ablate):
    ran_before = records(work)
    said = ablate(*VALUES, "--seeds", 3, "--resume", "--score", "balanced-accuracy", "--json")
    document = json.loads(said.out)
    assert document["score"] == "balanced_accuracy"
    base = [one for one in ran_before if one.candidate.labels["patch_size"] == "2"]
    values = [sure(one.value(BALANCED_ACCURACY)) for one in base]
    assert document["base"]["balanced_accuracy"] == pytest.approx(sum(values) / 3)
    assert "accuracy" not in document["base"]
    assert all(one.spent.cached for one in records(work))
    assert "Balanced accuracy against cost" in (work / "reports/a/report.html").read_text()


def test_the_settings_of_an_ablation_make_another_and_name_its_factors(work, ran, timed_quickly):
    config = ("ablate", "--config", "experiments/a/experiment.yaml", "--name", "b", "--dry-run", "--json")
    found = answer(*config, cwd=work, cache=work / "cache")
    document = json.loads(found.out)
    assert [variant["value"] for variant in document["variants"]] == ["2", "1", "4,2,1"]
    assert (document["runs"], document["known"]) == (9, 9)


def test_a_report_is_made_again_without_torch_or_optuna(work, ran):
    page = work / "reports/a/report.html"
    before = page.read_text()
    page.unlink()
    process("report", "a", cwd=work, PYTHONPATH=blocked(work, "torch", "optuna", "fvcore"))
    assert page.read_text() == before


def test_killed_and_resumed_no_finished_run_is_trained_again(tmp_path, cache, timed_quickly):
    work, line = furnished(tmp_path), ("ablate", "patch_size", "--values", "1", *COMMON, "--seeds", "2")
    killed(started(*line, cwd=work, until="2/4 ", first=TIMED_QUICKLY))
    found = answer(*line, "--resume", cwd=work, cache=cache)
    after = records(work)
    assert len(after) == 4
    # What was finished before the kill was in the cache, whatever of it was in the table by then; the one that was
    # running when the kill came may have been finished as well.
    cached = [record.spent.cached for record in after]
    assert cached in ([True, True, False, False], [True, True, True, False])
    assert found.err.count("from the cache") == sum(cached)


def test_a_dry_run_tells_the_runs_and_writes_nothing(work, ablate, ran):
    more = ("--name", "never")
    before = sorted((work / "reports").iterdir())
    out = ablate("depth", "--values", "1", "2", "--match", "macs", "--dry-run", *more).out
    assert re.search(r"^1 \(base\) .* parameters, .* MACs$", out, re.MULTILINE)
    assert re.search(r"^2 at equal macs ", out, re.MULTILINE)
    assert "runs      3 variants x 5 seeds = 15" in out
    assert re.search(r"estimate  .*, [\d.]+ GiB of memory", out)
    document = json.loads(ablate("dim", "--values", "24", "--dry-run", "--json").out)
    for part in (document, *document["variants"]):
        for key in part:
            assert f"`{key}`" in DOCUMENTED, key
    assert document["known"] == 3  # of the base
    assert sorted((work / "reports").iterdir()) == before


def test_values_end_at_the_next_flag_wherever_they_stand(ablate, monkeypatch):
    monkeypatch.setattr(job, "try_step", lambda training, arch: StepCost(step_seconds=0.1, peak_gib=0.1))
    for line in (
        ("patch_size", "--values", "1", "4,2,1", "--dry-run", "--json"),
        ("--dry-run", "--json", "patch_size", "--values", "1", "4,2,1"),
    ):
        document = json.loads(ablate(*line).out)
        assert [variant["value"] for variant in document["variants"]] == ["2", "1", "4,2,1"]
    more = ("depth", "heads", "--values", "2", "--values", "1", "2", "--dry-run", "--json")
    assert json.loads(ablate(*more).out)["runs"] == 6 * 5


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
        (("patch_size", "--score", "macs"), 2, "--score: unknown 'macs', known are accuracy, balanced-accuracy"),
        (("patch_size", "--match", "size"), 2, "--match: unknown 'size', known are params, macs, latency"),
        (("dim", "--values", "4000", "--match", "params"), 3, "no width from a quarter to four times lets 4000 cost what the base costs"),
        (("patch_size", "--base", "x:knee"), 2, "--base x:knee: no study 'x' in reports: known are "),
        (("patch_size", "--threads", "0"), 2, "--threads must be at least 1, got 0"),
        (("patch_size", "--name", "a/b"), 2, "--name 'a/b' cannot name a folder"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line_with_its_exit_code(work, ablate, more, code, message):
    # The last one of a flag counts.
    found = answer("ablate", *COMMON, "--name", "wrong", *more, cwd=work, cache=work / "cache", code=code)
    assert message in found.error
    assert found.out == ""
    assert not (work / "reports/wrong").exists()


def test_no_factor_at_all_is_told_how_to_name_one(work):
    found = answer("ablate", cwd=work, cache=work / "cache", code=2)
    assert found.error == "mvit-nas: FACTOR [FACTOR] is missing: name it, or give a --config that does"
