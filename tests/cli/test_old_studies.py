"""A study that was begun by an earlier version goes on, with the same settings alone."""

import functools
import re
import shutil
from pathlib import Path

from commands import answer

from mvit_nas.jobs import prepare as preparing
from mvit_nas.optimize.within_budget import sample_feasible
from mvit_nas.results.table import read_table
from mvit_nas.settings.study_file import FORMAT

OLD = Path(__file__).parents[1] / "support/studies/old"
SEARCH = (
    "search", "--name", "old", "--schedule", "smoke", "--objectives", "accuracy,params,macs", "--seed", 3, "--image-size", 32,
    "--runtime", "onnxruntime",
)  # fmt: skip


def test_a_study_of_the_first_format_goes_on(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(preparing, "sample_feasible", functools.partial(sample_feasible, samples=200))  # for speed
    shutil.copytree(OLD, tmp_path / "experiments/old")
    at = {"cwd": tmp_path, "cache": cache}
    refused = answer(*SEARCH, "--space", "mobilevit_small", "--resume", "--seed", 4, code=2, **at)
    assert refused.error.endswith("has other settings: seed (3 then, 4 now); use another --name")
    found = answer(*SEARCH, "--trials", 4, "--resume", **at)
    assert re.findall(r"^ *(\d+)/4 ", found.err, re.MULTILINE) == ["4"]
    records = read_table(tmp_path / "reports/old/results.csv").records
    assert [record.is_complete for record in records] == [True] * 4
    # From now on it is kept as studies are.
    assert (tmp_path / "experiments/old/experiment.yaml").read_text().startswith(f"format: {FORMAT}\ncommand: search\n")
    config = ("search", "--config", "experiments/old/experiment.yaml", "--trials", 4, "--resume")
    assert "report: reports/old/report.html" in answer(*config, **at).out
