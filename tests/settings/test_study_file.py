"""experiment.yaml: read again it makes the same settings, and it knows another study from its own."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from sure import sure

from mvit_nas.budget import parse_budget
from mvit_nas.errors import InputError
from mvit_nas.settings.commands import AblateSettings, SearchSettings
from mvit_nas.settings.flag import made
from mvit_nas.settings.study_file import Found, check_same, described, found_in, read_config, study_text

ROOT = Path(__file__).parents[2]
SEARCH = SearchSettings(
    name="s", data="photos", budgets=(parse_budget("6M"), parse_budget("3ms..10.123456789ms")), objectives=("accuracy", "macs"),
    sampler="tpe", baseline=0.3, trials=7, early_stopping=True, timeout_seconds=5400.0, schedule="smoke", learning_rate=1e-5,
    seed=3, runtime="torch", measure_front=("litert", "executorch@adb:1"), threads=2,
)  # fmt: skip
ABLATE = AblateSettings(
    name="a", factors=("depth", "heads"), base="s:knee", values=(("1", "2"), ("8,4,2",)), score="balanced_accuracy", seeds=(3, 7), precision=0.005,
    match="latency_ms", no_resize=True, image_size=32,
)  # fmt: skip
FOUND = Found(
    data={"name": "photos", "fingerprint": "ab12"},
    space_name="mobilevit_small",
    space="base: mobilevit_xxs\nfactors: {}\n",
    schedule={"name": "smoke", "learning_rate": 1e-5},
    more={"image_size": 32},
)


def kept(tmp_path, settings, found=FOUND):
    path = tmp_path / "experiment.yaml"
    path.write_text(study_text(settings, found))
    return path


@pytest.mark.parametrize(
    "settings",
    [
        SEARCH,
        ABLATE,
        SearchSettings(name="d"),
        SearchSettings(name="d", trials="auto", budgets=SEARCH.budgets),
        AblateSettings(name="d", factors=("ema",)),
    ],
)
def test_settings_that_are_kept_are_the_same_when_they_are_read(tmp_path, settings):
    path = kept(tmp_path, settings)
    assert made(type(settings), read_config(path, type(settings))) == settings
    assert found_in(path) == FOUND
    check_same(settings, FOUND, path)


def test_how_a_study_is_run_is_not_kept(tmp_path):
    run = replace(SEARCH, out=tmp_path, resume=True, dry_run=True, as_json=True, finish=(1,), config=tmp_path / "x")
    assert study_text(run, FOUND) == study_text(SEARCH, FOUND)


@pytest.mark.parametrize(
    "change",
    [
        {"trials": 99}, {"timeout_seconds": 1.0}, {"measure_front": ()}, {"stop_when_settled": True}, {"device": "cpu"},
        {"data": "./photos"}, {"space": "mobilevit_small"}, {"adb_benchmark": Path("b")},
    ],
)  # fmt: skip
def test_what_may_change_is_the_same_study(tmp_path, change):
    check_same(replace(SEARCH, **change), FOUND, kept(tmp_path, SEARCH))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, "seed (3 then, 4 now)"),
        ({"objectives": ("accuracy", "params")}, "objectives ([accuracy, macs] then, [accuracy, params] now)"),
        ({"sampler": "random"}, "sampler (tpe then, random now)"),
        ({"baseline": 0.0}, "baseline (0.3 then, 0.0 now)"),
        ({"early_stopping": False}, "early_stopping (true then, false now)"),
        ({"inherit": True}, "inherit (false then, true now)"),
        ({"threads": 1}, "latency ({runtime: torch, target: host, threads: 2} then, "),
        ({"target": "ssh://a@b"}, "latency ("),
        ({"runtime": "litert"}, "latency ("),
        ({"budgets": ()}, "budgets ("),
    ],
)
def test_another_study_is_told_by_what_differs_then_and_now(tmp_path, change, words):
    with pytest.raises(InputError) as caught:
        check_same(replace(SEARCH, **change), FOUND, kept(tmp_path, SEARCH))
    message = str(caught.value)
    assert message.startswith("the study 's' has other settings: " + words)
    assert message.endswith("; use another --name")


@pytest.mark.parametrize(
    "change",
    [{"data": {"name": "photos", "fingerprint": "other"}}, {"space": "base: mobilevit_s\n"}, {"schedule": {"name": "short"}},
     {"more": {"image_size": 64}}],
)  # fmt: skip
def test_what_the_flags_came_to_decides_too(tmp_path, change):
    with pytest.raises(InputError, match="has other settings"):
        check_same(SEARCH, replace(FOUND, **change), kept(tmp_path, SEARCH))


# Files of the first format


def test_an_ablation_of_other_values_is_another_study(tmp_path):
    one, other = (replace(FOUND, more={"values": [["1", value]]}) for value in ("2", "4"))
    path = kept(tmp_path, ABLATE, one)
    check_same(ABLATE, one, path)
    with pytest.raises(InputError, match="has other settings: values "):
        check_same(ABLATE, other, path)


def old(tmp_path, settings, found=FOUND, **changes):
    """The file as it was written before it had a number: what the settings came to, and nothing else."""
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump({**described(settings, found), **changes}, sort_keys=False))
    return path


def test_a_study_of_the_first_format_goes_on_with_the_same_settings_alone(tmp_path):
    path = old(tmp_path, SEARCH)
    check_same(SEARCH, FOUND, path)
    assert found_in(path) == replace(FOUND, space_name=None, more={})
    with pytest.raises(InputError, match=r"other settings: seed \(3 then, 4 now\); use"):
        check_same(replace(SEARCH, seed=4), FOUND, path)
    with pytest.raises(InputError, match=r"other settings: image_size \(32 then, 64 now\); use"):
        check_same(SEARCH, replace(FOUND, more={"image_size": 64}), path)


def test_a_flag_that_an_old_file_does_not_know_was_not_given(tmp_path):
    document = described(SEARCH, FOUND)
    del document["inherit"]
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(document))
    check_same(SEARCH, FOUND, path)
    with pytest.raises(InputError, match=r"other settings: inherit \(false then, true now\); use"):
        check_same(replace(SEARCH, inherit=True), FOUND, path)


def test_what_an_old_file_does_not_say_of_its_schedule_is_as_the_schedule_has_it(tmp_path):
    now = replace(FOUND, schedule={**FOUND.schedule, "class_weights": False})
    for path in (kept(tmp_path, SEARCH), old(tmp_path, SEARCH)):
        check_same(SEARCH, now, path, begun_with=now.schedule)
        other = replace(now, schedule={**now.schedule, "class_weights": True})
        with pytest.raises(InputError, match="has other settings: schedule "):
            check_same(SEARCH, other, path, begun_with=now.schedule)


def test_an_old_file_is_settings_to_begin_with(tmp_path):
    path = old(tmp_path, SEARCH)
    read = made(SearchSettings, read_config(path, SearchSettings))
    assert read == replace(
        SEARCH, space=FOUND.space, schedule="learning_rate: 1.0e-05\n", learning_rate=None, image_size=32
    )


def test_the_ablation_that_is_published_with_the_project_can_be_read():
    read = made(AblateSettings, read_config(ROOT / "experiments/patch_size/experiment.yaml", AblateSettings))
    assert (read.name, read.factors, read.base, read.data) == (
        "patch_size",
        ("patch_size",),
        "mobilevit_xxs",
        "cifar10",
    )
    assert read.values == (("2", "1", "3", "4", "8,4,2"),)
    assert read.seeds == tuple(range(10))
    assert read.no_resize is False
    assert sure(read.space).startswith("# Which MobileViT is worth having")


# Files that people write


def test_a_file_that_a_person_wrote_needs_nothing_but_flags(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("budget: 6M\nearly-stopping: true\ntrials: 3\nimage-size: 32\nlearning_rate: 0.5\ntimeout: 90\n")
    read = made(SearchSettings, read_config(path, SearchSettings))
    assert read == SearchSettings(
        budgets=(parse_budget("6M"),),
        early_stopping=True,
        trials=3,
        image_size=32,
        learning_rate=0.5,
        timeout_seconds=90.0,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trails: 3", "unknown 'trails', did you mean 'trials'?"),
        ("factors: [depth]", "unknown 'factors'"),
        ("trials: many", "--trials must be a whole number or auto, got 'many'"),
        ("trials: true", "--trials must be a whole number or auto, got 'True'"),
        ("trials: [1, 2]", "--trials must be one value, got [1, 2]"),
        ("early_stopping: 1", "--early-stopping must be true or false, got 1"),
        ("image_size: 4", "--image-size must be at least 8, got 4"),
        ("budget: 6X", "cannot read the budget '6X'"),
        ("budget: [6M, 6X]", "cannot read the budget '6X'"),
        ("sampler: rnadom", "--sampler: unknown 'rnadom', did you mean 'random'?"),
        ("command: ablate", "holds settings of mvit-nas ablate, not of mvit-nas search"),
        ("format: 3", "is of the format 3, which a later version wrote; this one reads 2"),
        ("[1]", "is no experiment file"),
        ("data: {}\nschedule: {}", "is no experiment file of an early version ('name')"),
        ("data: {name: x}\nspace: y\nschedule: {}\nbudgets: [{metric: params}]", "is no experiment file of an early"),
        ('data: 2020-99-99\nname: "a\\0b"', "--name must be text in UTF-8, got a\\x00b"),
        ('name: "\\ud800"', "is no YAML: '\\ud800' is no str in line 1"),
        ("a: b: c", "is no YAML: mapping values are not allowed here in line 1"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_what_is_wrong(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_config(path, SearchSettings)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("found: 3", "found must be a mapping"),
        ("found: {data: 3}", "found.data must be a mapping"),
        ("found: {schedule: []}", "found.schedule must be a mapping"),
        ("found: {space: {}}", "found.space must be text"),
    ],
)
def test_what_a_study_came_to_must_fit(tmp_path, text, words):
    path = tmp_path / "experiment.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        found_in(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*gone\.yaml"):
        read_config(tmp_path / "gone.yaml", SearchSettings)
    assert found_in(tmp_path / "gone.yaml") is None
