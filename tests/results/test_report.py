import base64
import gzip
import json
import random
import re
from pathlib import Path

import pandas as pd
import pytest

from mvit_nas.errors import InputError
from mvit_nas.results.page import axis_label, provenance
from mvit_nas.results.report import remake_report, render, write_report
from mvit_nas.results.search.findings import STATE_WORDS, Finding, findings, front_rows, headline
from mvit_nas.results.search.page import MOST_ROWS, candidates, glossary, outcomes, page_data
from mvit_nas.results.table import make_table, read_table

PRESETS = [
    ("mobilevit_xxs", 0.631, 951_000, 261_000_000, 7.4),
    ("mobilevit_xs", 0.668, 1_934_000, 706_000_000, 14.1),
    ("mobilevit_s", 0.689, 4_938_000, 1_421_000_000, 22.8),
]


def environment(**changes):
    document = {
        "study": "Shirts and shoes within six million",
        "command": "mvit-nas search --data clothing --budget 6M --trials 36 --seed 0",
        "created": "2026-11-21T09:21:48+00:00",
        "mvit_nas": "0.1.0",
        "python": "3.12.3",
        "packages": {"torch": "2.12.0+cpu", "optuna": "5.0.1", "numpy": "2.4.6"},
        "commit": None,
        "hardware": {
            "processor": "AMD EPYC 7B13",
            "cores": 2,
            "memory_gib": 7.8,
            "gpu": None,
            "system": "Linux 6.8",
        },
        "device": "cpu",
        "data": {
            "name": "clothing",
            "source": "clothing/",
            "fingerprint": "sha256:4b0c9d31",
            "classes": ["dress", "hat", "<script>alert(1)</script>"],
            "images": {"train": 2463, "validation": 341, "test": 372},
            "skipped": ["train/hat/broken.jpg: truncated"],
            "notes": [],
        },
        "space": {
            "name": "mobilevit_small",
            "settings": 46656,
            "networks": 31104,
            "text": "base: mobilevit_xs\nfactors:\n  width: [0.5, 0.75, 1.0]\n  patch_size: [1, 2, 4]\n",
        },
        "experiment": {
            "budgets": [{"metric": "params", "low": 0.0, "high": 6e6}],
            "objectives": ["accuracy", "params", "latency_ms"],
            "schedule": {"name": "short", "epochs": 8, "image_size": 64, "learning_rate": 0.002},
            "seed": 0,
            "latency": {"runtime": "onnxruntime", "target": "host", "threads": 1},
            "measure_front": ["executorch"],
        },
        "latency": {
            "runtime": "ONNX Runtime 1.31.1",
            "target": "this host",
            "machine": "bench; AMD EPYC 7B13; 2 cores; Linux 6.8",
            "threads": 1,
            "precision": 0.02,
            "reference": "mobilevit_xxs at 128 px",
            "reference_ms": 4.2,
            "reference_low_ms": 3.4,
            "reference_high_ms": 4.61,
            "reference_measurements": 14,
        },
        "hypervolume_reference": {"accuracy": 0.1, "params": 6e6, "latency_ms": 40.0},
        "presets": [name for name, *_ in PRESETS],
        "elapsed_seconds": 2710.4,
    }
    return {**document, **changes}


def trained(trial, accuracy, params, macs, latency, **more):
    """A complete row as the search writes it, with intervals around its numbers."""
    return {
        "trial": trial,
        "arch_id": f"{(trial + 3) * 2654435761 % 2**32:08x}",
        "name": "",
        "state": "complete",
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.026,
        "accuracy_high": accuracy + 0.024,
        "params": params,
        "macs": macs,
        "latency_ms": latency,
        "latency_low_ms": latency * 0.985,
        "latency_high_ms": latency * 1.02,
        "latency_runs": 60 + trial,
        "latency_threads": 1,
        "seconds": 40.0 + trial,
        "cached": False,
        "seed": trial,
        **more,
    }


def example_table():
    """36 trials of a search that could have been, in every state."""
    luck = random.Random(5)
    rows = []
    for trial, (name, *numbers) in enumerate(PRESETS):
        rows.append(trained(trial, *numbers, name=name))
    for trial in range(3, 36):
        width, depth = luck.choice([0.5, 0.75, 1.0, 1.25]), luck.choice([1, 2, 3, 4])
        patch_size, placement = luck.choice([1, 2, 4]), luck.choice(["3 4 5", "4 5", "5"])
        params = int(1_700_000 * width**1.8 * (0.6 + 0.25 * depth) * luck.uniform(0.85, 1.2))
        macs = int(params * luck.uniform(250, 420))
        latency = macs / 7e7 * luck.uniform(0.8, 1.3) + 2
        accuracy = 0.72 - 0.13 / (params / 1e6 + 0.35) + luck.gauss(0, 0.012)
        row = trained(trial, accuracy, params, macs, latency)
        row |= {
            "param.width": width,
            "param.depth": depth,
            "param.patch_size": patch_size,
            "param.placement": placement,
        }
        if trial % 9 == 4:
            row |= dict.fromkeys(["accuracy", "accuracy_low", "accuracy_high"])
            row |= dict.fromkeys(["latency_ms", "latency_low_ms", "latency_high_ms", "latency_runs"])
            row |= {"state": "over_budget", "params": 6_300_000 + 90_000 * trial, "macs": 2_100_000_000}
            row |= {"seconds": 0.01, "reason": f"{row['params'] / 1e6:.2f}M parameters, at most 6M"}
        elif trial in (10, 17, 24, 34):
            state = {10: "failed", 17: "duplicate", 24: "invalid", 34: "failed"}[trial]
            reason = {
                10: "the loss is not finite at step 112",
                24: "dim must be divisible by heads, got 90, 4",
            }
            row |= dict.fromkeys(["accuracy", "accuracy_low", "accuracy_high"])
            row |= {"state": state, "reason": reason.get(trial, "")}
        elif trial == 29:
            row |= dict.fromkeys(["accuracy", "accuracy_low", "accuracy_high"])
            row |= {"state": "stopped", "seconds": 12.0, "epochs": 2, "trainings": 0.25}
            row |= {"reason": "after epoch 2 of 8 at 31.4 %: 52.0 % ± 3.1 % foreseen, behind what costs no more"}
        elif trial == 20:
            row |= {"cached": True, "seconds": 0.0}
        rows.append(row)
    return make_table(rows)


EXECUTORCH = {
    "runtime": "ExecuTorch 1.5.2",
    "target": "adb:R5CX10ABCDE",
    "machine": "SM-S921B; Exynos 2400; 4 cores; Android 16",
    "threads": 1,
    "precision": 0.02,
    "reference": "mobilevit_xxs at 128 px",
    "reference_ms": 6.5,
    "reference_low_ms": 6.5,
    "reference_high_ms": 6.5,
    "reference_measurements": 1,
}


def with_further(table, **changes):
    """The example with its front, and what is near it, measured by ExecuTorch too, and the environment of both."""
    luck = random.Random(2)
    document = environment(front_latency={"executorch": EXECUTORCH}, **changes)
    document["experiment"] |= {"objectives": ["accuracy", "latency_ms"]}
    best = front_rows(table, document["experiment"]["objectives"])
    trained_rows = table[table["state"] == "complete"].sort_values("accuracy", ascending=False)
    near = [*best.index, *[index for index in trained_rows.index if index not in best.index][:5]]
    rows = []
    for index, row in zip(table.index, table.to_dict("records"), strict=True):
        if index == near[-1]:
            row["latency_note.executorch"] = "the runtime refuses the model: missing operator aten::roll.out"
        elif index in near:
            latency = 1.6 * row["latency_ms"] * luck.uniform(0.72, 1.25)
            row |= {"latency_ms.executorch": latency, "latency_low_ms.executorch": 0.99 * latency}
            row |= {"latency_high_ms.executorch": 1.012 * latency}
        rows.append({name: None if pd.isna(value) else value for name, value in row.items()})
    return make_table(rows), document


def three_rows(**changes):
    """A table small enough to work out by hand."""
    rows = [
        trained(0, 0.60, 1_000_000, 200_000_000, 5.0, name="mobilevit_xxs", arch_id="aa"),
        trained(1, 0.70, 2_000_000, 300_000_000, 6.0, arch_id="bb"),
        trained(2, 0.73, 4_000_000, 900_000_000, 15.0, arch_id="cc"),
    ]
    return make_table(row | changes for row in rows)


# The findings


def test_the_front_has_the_best_accuracy_first_and_each_architecture_once():
    table = pd.concat([three_rows(), three_rows()], ignore_index=True)
    assert front_rows(table, ["accuracy", "params"])["arch_id"].tolist() == ["cc", "bb", "aa"]
    assert front_rows(table, ["accuracy"])["arch_id"].tolist() == ["cc"]
    assert front_rows(table, ["params", "latency_ms"])["arch_id"].tolist() == ["aa"]


def test_only_trained_candidates_are_on_the_front():
    table = make_table([{"state": "failed", "accuracy": 0.9, "params": 5}, {"state": "complete", "params": 9}])
    assert front_rows(table, ["accuracy", "params"]).empty
    assert front_rows(table, ["params"]).index.tolist() == [1]
    assert front_rows(make_table([]), ["accuracy", "params"]).empty


def test_the_headline_says_best_and_knee_against_the_presets():
    assert headline(three_rows(), environment(presets=["mobilevit_xxs", "mobilevit_s"])) == [
        (
            "Best within the budget (at most 6M parameters): cc, 73.0 % validation accuracy, short schedule "
            "(95 % interval 70.4 to 75.4 %), 4M parameters, 900M MACs, 15 ms latency."
        ),
        ("Against mobilevit_xxs: +13.0 accuracy points, 300 % more parameters, 350 % more MACs, 200 % higher latency."),
        (
            "Knee of the front (accuracy against parameters): bb, 70.0 % validation accuracy, short schedule "
            "(95 % interval 67.4 to 72.4 %), 2M parameters, 300M MACs, 6 ms latency."
        ),
        ("Against mobilevit_xxs: +10.0 accuracy points, 100 % more parameters, 50 % more MACs, 20 % higher latency."),
        "Presets not compared: mobilevit_s (not tried).",
    ]


def test_intervals_that_overlap_are_said_to():
    table = make_table(
        [
            trained(0, 0.60, 1_000_000, 200, 5.0, name="mobilevit_xxs"),
            trained(1, 0.62, 900_000, 200, 4.0, arch_id="bb"),
            {"state": "over_budget", "name": "mobilevit_s"},
        ]
    )
    found = findings(table, environment(presets=["mobilevit_xxs", "mobilevit_s"]))
    assert found[0].comparisons == (
        (
            "Against mobilevit_xxs: +2.0 accuracy points (the intervals overlap), 10 % fewer parameters, "
            "the same MACs, 20 % lower latency"
        ),
    )
    assert found[1] == Finding(
        title="Presets not compared", subject="", facts=("mobilevit_s (over budget)",), comparisons=()
    )


def test_of_two_as_accurate_the_cheaper_is_the_best():
    rows = [
        trained(0, 0.7, 3_000_000, 2, 1.0, arch_id="aa"),
        trained(1, 0.7, 2_000_000, 3, 2.0, arch_id="bb"),
    ]
    assert findings(make_table(rows), environment(presets=[]))[0].subject == "bb"


def test_nothing_complete_is_said():
    table = make_table([{"state": "failed"}, {"state": "over_budget"}, {"state": "over_budget"}])
    assert headline(table, environment()) == ["No candidate was trained to the end: 3 tried: 2 over budget, 1 failed."]
    assert headline(make_table([]), environment()) == ["No candidate was trained to the end: no trial has ended yet."]


def only_costs():
    """A search without training: complete rows that have no accuracy."""
    document = environment(presets=["mobilevit_xxs"])
    document["experiment"] = document["experiment"] | {"objectives": ["params", "latency_ms"], "budgets": []}
    return three_rows(accuracy=None, accuracy_low=None, accuracy_high=None), document


def test_a_search_over_costs_alone_names_the_smallest():
    assert headline(*only_costs()) == [
        "Fewest parameters: mobilevit_xxs, 1M parameters, 200M MACs, 5 ms latency.",
        "Lowest latency: mobilevit_xxs, 1M parameters, 200M MACs, 5 ms latency.",
    ]


# The page as data


def test_the_front_is_first_among_the_candidates():
    table = example_table()
    rows = candidates(table, environment())
    front = front_rows(table, ["accuracy", "params", "latency_ms"])
    assert len(rows) == len(table)
    assert [row["front"] for row in rows] == [True] * len(front) + [False] * (len(table) - len(front))
    states = [row["state"] for row in rows]
    assert states == sorted(states, key=lambda state: state != "complete")


def test_a_candidate_shows_intervals_choices_and_what_was_not_measured():
    table = make_table(
        [
            trained(7, 0.7, 2_000_000, 300_000_000, 6.0, name="mobilevit_xs", arch_id="aa")
            | {"cached": True, "param.width": 0.75},
            {"trial": 8, "arch_id": "bb", "state": "failed", "reason": "no memory", "param.depth": 3},
        ]
    )
    rows = [
        [(cell["text"], cell["detail"], cell["sort"]) for cell in row["cells"]]
        for row in candidates(table, environment())
    ]
    assert rows == [
        [
            ("mobilevit_xs", "aa", "mobilevit_xs"),
            ("front", "", 0),
            ("70.0", "67.4 to 72.4 %", 0.7),
            ("2M", "", 2_000_000),
            ("300M", "", 300_000_000),
            ("6.00", "5.91 to 6.12 ms", 6.0),
            ("0.75", "", 0.75),
            ("-", "", ""),
            ("trained (earlier)", "", "trained (earlier)"),
            ("47.0", "", 47.0),
            ("7", "", 7),
        ],
        [
            ("bb", "", "bb"),
            ("", "", 1),
            *[("-", "", "")] * 4,
            ("-", "", ""),
            ("3", "", 3),
            ("failed", "no memory", "failed"),
            ("-", "", ""),
            ("8", "", 8),
        ],
    ]


def test_provenance_tells_all_of_the_environment():
    sections = dict(provenance(environment(extra={"new": [1, {"a": True}]})))
    assert list(sections) == [
        "Run",
        "packages",
        "hardware",
        "data",
        "space",
        "experiment",
        "latency",
        "hypervolume reference",
        "extra",
    ]
    assert ("commit", "none") in sections["Run"]
    assert ("elapsed", "45 min 10 s") in sections["Run"]
    assert ("images: validation", "341") in sections["data"]
    assert ("budgets", "at most 6M parameters") in sections["experiment"]
    assert ("schedule: epochs", "8") in sections["experiment"]
    assert ("params", "6\u202f000\u202f000") in sections["hypervolume reference"]
    assert sections["extra"] == [("new", "1, a yes")]


def test_numbers_that_are_not_finite_are_never_written(tmp_path):
    document = environment(elapsed_seconds=12.0)
    document["latency"] = document["latency"] | {"reference_ms": float("nan")}
    page = write_report(example_table(), document, tmp_path)
    assert json.loads((tmp_path / "environment.json").read_text())["latency"]["reference_ms"] is None
    assert not re.search(r"\b(NaN|Infinity)\b", data_of(page.read_text()))


# The files


def data_of(page):
    """What the script of a page draws, as JSON."""
    packed = re.search(r'<script type="application/gzip" id="data">(.*?)</script>', page, re.DOTALL)[1]
    return gzip.decompress(base64.b64decode(packed)).decode()


def without_libraries(page):
    return re.sub(r"<script>.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)


def test_a_report_is_three_files(tmp_path):
    table = example_table()
    page = write_report(table, environment(), tmp_path / "deep" / "report")
    assert page == tmp_path / "deep" / "report" / "report.html"
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "environment.json",
        "report.html",
        "results.csv",
    ]
    pd.testing.assert_frame_equal(read_table(page.parent / "results.csv"), table)
    assert json.loads((page.parent / "environment.json").read_text()) == environment()


def test_a_report_is_made_again_from_its_files(tmp_path):
    first = write_report(example_table(), environment(), tmp_path).read_text()
    (tmp_path / "report.html").unlink()
    assert remake_report(tmp_path).read_text() == first


def test_text_from_outside_stays_text():
    table = three_rows(reason="</script><script>alert(2)</script>", name="<img src=x onerror=alert(3)>")
    page = render(table, environment(study="<script>alert(1)</script>"))
    own = without_libraries(page)
    assert "<script>alert" not in own
    assert "<img" not in own
    assert "&lt;script&gt;alert(1)" in own
    json.loads(data_of(page))


def _broken(tmp_path, change):
    write_report(three_rows(), environment(), tmp_path)
    document = environment()
    change(document)
    (tmp_path / "environment.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.pop("study"), "'study' is missing"),
        (lambda document: document["experiment"].pop("objectives"), "'experiment.objectives' is missing"),
        (lambda document: document.update(experiment=3), "'experiment' must be an object"),
        (lambda document: document.update(presets="all"), "'presets' has the wrong type, str"),
        (
            lambda document: document["experiment"].update(objectives=["size"]),
            "'experiment.objectives' must be some of accuracy, params, macs, latency_ms",
        ),
        (
            lambda document: document["experiment"].update(objectives=[]),
            "'experiment.objectives' must be some of accuracy, params, macs, latency_ms",
        ),
        (
            lambda document: document["experiment"].update(budgets=[{"metric": "params"}]),
            "'experiment.budgets' must hold metric, low and high",
        ),
        (
            lambda document: document["hypervolume_reference"].update(params="big"),
            "'hypervolume_reference' must hold numbers by objective",
        ),
        (
            lambda document: document["experiment"].update(budgets=[{"metric": "params", "low": 0, "high": "6M"}]),
            "'experiment.budgets' must hold metric, low and high",
        ),
        (lambda document: document["data"].pop("name"), "'data.name' is missing"),
        (
            lambda document: document["experiment"].update(sampler=3),
            "'experiment.sampler' has the wrong type, int",
        ),
        (lambda document: document["latency"].pop("threads"), "'latency.threads' is missing"),
    ],
)
def test_an_environment_that_lacks_something_is_an_error(tmp_path, change, message):
    _broken(tmp_path, change)
    with pytest.raises(InputError) as error:
        remake_report(tmp_path)
    assert str(error.value) == f"{tmp_path / 'environment.json'}: {message}"


def test_a_broken_or_missing_file_is_an_error_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"results.csv: there is no such file$"):
        remake_report(tmp_path)
    write_report(three_rows(), environment(), tmp_path)
    path = tmp_path / "environment.json"
    path.write_text("{")
    with pytest.raises(InputError, match=r"environment.json: is no JSON document \(Expecting property name"):
        remake_report(tmp_path)
    path.write_text("[]")
    with pytest.raises(InputError, match=r"environment.json: must hold one JSON object$"):
        remake_report(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match=r"environment.json: there is no such file$"):
        remake_report(tmp_path)
    path.mkdir()
    with pytest.raises(InputError, match=r"environment.json: cannot be read \(Is a directory\)$"):
        remake_report(tmp_path)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*results.csv: (Not a directory|File exists)$"):
        write_report(three_rows(), environment(), tmp_path / "file")


@pytest.mark.parametrize(
    "table", [make_table([]), make_table([{"trial": 0, "state": "failed"}])], ids=["no trial", "one failed"]
)
def test_a_page_is_written_when_nothing_is_complete(tmp_path, table):
    page = write_report(table, environment(), tmp_path).read_text()
    assert "No candidate was trained to the end" in page
    assert remake_report(tmp_path).read_text() == page


def test_every_state_has_its_word():
    rows = page_data(example_table(), environment())["outcomes"]
    assert [row["outcome"] for row in rows] == list(STATE_WORDS.values())


def test_without_scripts_a_long_table_is_cut_and_says_so():
    table = make_table([trained(trial, 0.5, 1, 1, 1.0) for trial in range(MOST_ROWS + 7)])
    page = render(table, environment())
    assert "7 candidates after the first 200; results.csv beside this page has them" in re.sub(r"\s+", " ", page)
    assert "Left out here" not in render(example_table(), environment())


def test_what_the_trials_cost_is_summed_by_outcome():
    rows = [
        {"state": "complete", "seconds": 30.0},
        {"state": "complete", "seconds": 30.0},
        {"state": "failed", "seconds": 40.0},
    ]
    assert outcomes(make_table([*rows, {"state": "over_budget", "seconds": None}])) == [
        {"state": "complete", "outcome": "trained", "trials": 2, "seconds": 60.0, "percent": 60.0},
        {"state": "over_budget", "outcome": "over budget", "trials": 1, "seconds": 0.0, "percent": 0.0},
        {"state": "failed", "outcome": "failed", "trials": 1, "seconds": 40.0, "percent": 40.0},
    ]
    assert outcomes(make_table([{"state": "failed"}]))[0]["percent"] == 0.0


def test_the_glossary_explains_the_words_of_the_page():
    words = dict(glossary())
    assert {"Budget", "Front", "Knee", "MACs", "Hypervolume", "Training"} <= set(words)
    assert words["Front"] == "the trained candidates that no other dominates."
    assert not any("*" in text or "\n" in text for text in words.values())


def test_an_axis_names_schedule_and_conditions():
    latency = environment()["latency"]
    label = "Latency (ms; ONNX Runtime 1.31.1, this host, 1 thread"
    assert axis_label("latency_ms", environment()) == f"{label}, ±2 %)"
    assert axis_label("latency_ms", environment(latency={**latency, "precision": None})) == f"{label})"
    two = {**latency, "threads": 2, "precision": 0.015}
    assert axis_label("latency_ms", environment(latency=two)) == f"{label}s, ±1.5 %)".replace(", 1 ", ", 2 ")
    assert axis_label("latency_ms", environment(latency=None)) == "Latency (ms)"
    document = environment(experiment={"schedule": {"name": "<long>"}})
    assert axis_label("accuracy", document) == "Validation accuracy, <long> schedule (%)"


if __name__ == "__main__":  # the example page, to look at: python tests/test_report.py FOLDER
    import sys

    print(write_report(*with_further(example_table()), Path(sys.argv[1])))
