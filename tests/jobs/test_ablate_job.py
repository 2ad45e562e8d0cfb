"""The runs of an ablation: which, in which order, on which seeds, and what is kept. Training is stood in for."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from commands import TINY
from latencies import make_conditions
from searches import Heard

from mvit_nas.arch.config import arch_id, to_dict
from mvit_nas.arch.paths import with_values
from mvit_nas.artifacts.checked import Artefact
from mvit_nas.cost.latency import Latency
from mvit_nas.errors import InputError, InterruptedCleanlyError, MeasurementError, NothingFeasibleError, TrainingError
from mvit_nas.evaluate import latency as meter
from mvit_nas.evaluate import short
from mvit_nas.evaluate.latency import Measured as MeasuredLatency
from mvit_nas.jobs import ablate as job
from mvit_nas.jobs.estimate import StepCost
from mvit_nas.metrics import LATENCY, METRICS
from mvit_nas.reporter import Reporter
from mvit_nas.results.ablation.summary import Verdict
from mvit_nas.results.table import make_table, read_table, table_of, write_table
from mvit_nas.settings.commands import AblateSettings
from mvit_nas.study.table import Row
from mvit_nas.training.loop import Score


class Trainer:
    """Stands in for training: accuracy falls with the patch size, and moves with the seed for all variants alike."""

    def __init__(self):
        self.runs = []
        self.score = lambda patch, seed: 150 + 3 * seed - 2 * patch + (patch * 7 + seed * 5) % 3
        self.fail = lambda patch, seed: False

    def __call__(self, model, train, validation, schedule, *, seed, should_stop, **options):
        patch = model.stages[2][1].patch_size
        self.runs.append((patch, seed))
        if self.fail(patch, seed):
            raise TrainingError("the training loss became nan in epoch 1 of 1")
        if should_stop():
            raise InterruptedCleanlyError("stopped in the middle of a training run")
        return Score(correct_K=(self.score(patch, seed),), images_K=(225,), losses=(1.0,), seconds=2.0)


@pytest.fixture
def timed(monkeypatch):
    """Lets latencies be what a function says; at first they go with the channels."""

    def by(milliseconds):
        def latency_of(self, arch, *, classes):
            return MeasuredLatency(latency=latency(milliseconds(arch)), artefact=ARTEFACT)

        monkeypatch.setattr(meter.LatencyMeter, "latency", latency_of)

    by(count_ms)
    return by


@pytest.fixture
def trainer(monkeypatch, timed):
    stand_in = Trainer()
    monkeypatch.setattr(short, "fit", stand_in)
    monkeypatch.setattr(meter.LatencyMeter, "conditions", lambda self: CONDITIONS)
    monkeypatch.setattr(job, "check_static_cost", lambda arch, classes: None)
    return stand_in


CONDITIONS = make_conditions()
ARTEFACT = Artefact(digest="x", size_bytes=1, delegated=None, quantised=None, difference=0.0)


def count_ms(arch):
    return sum(stage.channels for stage in arch.stages) / 10


def latency(ms):
    return Latency(
        median_ms=ms, low_ms=0.9 * ms, high_ms=1.1 * ms, runs=20, threads=1, wall_ms=ms, contended=False, drifted=False,
        rounds=6, clock="cpu", p90_ms=9.0, reference_ms=4.0, agreed=True,
    )  # fmt: skip


@pytest.fixture
def options(tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(to_dict(TINY), sort_keys=False))
    return AblateSettings(
        factors=("patch_size",), base=str(tmp_path / "tiny.yaml"), values=(("2", "1", "4"),), seeds=(0, 1, 2),
        schedule="smoke", device="cpu", runtime="torch", name="a", out=tmp_path,
    )  # fmt: skip


def run(options, *, should_stop=lambda: False, **changes):
    heard = Heard()
    progress: list[job.Progress] = []
    outcome = job.ablate(
        replace(options, **changes), reporter=heard, on_progress=progress.append, should_stop=should_stop
    )
    return outcome, heard.said, progress


def results(options, name="a"):
    return read_table(options.out / f"reports/{name}/results.csv").records


def test_every_variant_has_every_seed_and_no_variant_always_comes_first(options, trainer):
    outcome, _, progress = run(options)
    assert sorted(trainer.runs) == [(patch, seed) for patch in (1, 2, 4) for seed in (0, 1, 2)]
    # Seed by seed, so that an interruption leaves no variant more than one run behind.
    assert [seed for _, seed in trainer.runs] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert {trainer.runs[0][0], trainer.runs[3][0], trainer.runs[6][0]} == {1, 2, 4}
    assert [one.done for one in progress] == [*range(1, 10)]
    assert {one.runs for one in progress} == {9}
    one, four = outcome.summary.others
    assert [variant.value for variant in (outcome.summary.base, one, four)] == ["2", "1", "4"]
    found = results(options)
    assert [record.seed for record in found] == [0] * 3 + [1] * 3 + [2] * 3
    by_hand = [trainer.score(4, seed) / 225 - trainer.score(2, seed) / 225 for seed in range(3)]
    assert four.difference.mean == pytest.approx(sum(by_hand) / 3)
    assert {record.latency_runs for record in found} == {20}
    assert {record.candidate.matched for record in found} == {""}


def test_a_run_that_diverges_is_a_result_and_is_not_tried_again(options, trainer):
    trainer.fail = lambda patch, seed: (patch, seed) == (4, 1)
    outcome, _, _ = run(options)
    assert outcome.error is None
    four = outcome.summary.others[1]
    assert (four.runs, four.failed, four.verdict_words) == (3, 1, "failed in 1 of 3 runs")
    assert four.difference.pairs == 2
    (failed,) = [record for record in results(options) if not record.is_complete]
    assert failed.reason == "the training loss became nan in epoch 1 of 1"
    assert (failed.seed, failed.candidate.labels) == (1, {"patch_size": "4"})
    assert "failed in 1 of 3 runs" in (options.out / "reports/a/report.html").read_text()
    trainer.runs.clear()
    again, _, _ = run(options, resume=True)
    assert trainer.runs == []
    assert again.summary.others[1].failed == 1


def test_a_bug_in_one_variant_is_a_failed_run_with_its_traceback_kept(options, trainer, monkeypatch):
    def broken(patch, seed):
        if patch == 1:
            raise RuntimeError("shapes do not fit\nmore")
        return False

    trainer.fail = broken
    outcome, _, _ = run(options)
    assert outcome.summary.others[0].verdict is Verdict.FAILED
    assert {record.reason for record in results(options)} == {"", "RuntimeError: shapes do not fit"}
    assert "Traceback (most recent call last)" in (options.out / "experiments/a/failures.log").read_text()


def test_stopped_and_resumed_nothing_finished_is_trained_again(options, trainer):
    outcome, _, _ = run(options, should_stop=lambda: len(trainer.runs) >= 5)
    assert isinstance(outcome.error, InterruptedCleanlyError)
    assert outcome.report.exists()
    finished = results(options)
    assert len(finished) == 4
    outcome, _, _ = run(options, resume=True)
    assert outcome.error is None
    # The run in which the stop came is the one that is run twice.
    assert len(trainer.runs) == 9 + 1
    after = results(options)
    assert [record.spent.cached for record in after] == [True] * 4 + [False] * 5
    assert [record.values["accuracy"] for record in after[:4]] == [record.values["accuracy"] for record in finished]
    assert [record.spent.seconds for record in after] == [2.0] * 9


def test_a_stop_before_the_first_run_is_an_error(options, trainer):
    with pytest.raises(InterruptedCleanlyError, match="before the first run"):
        run(options, should_stop=lambda: True)


def test_seeds_are_added_until_the_interval_is_narrow(options, trainer):
    trainer.score = lambda patch, seed: 150 + 3 * seed - 2 * patch + (seed % 2 if patch == 4 else seed % 3)
    outcome, _, progress = run(options, precision=0.0035, max_seeds=20)
    seeds = len(outcome.summary.seeds)
    assert 3 < seeds < 20
    assert outcome.stopped == f"the precision of 0.35 points was reached with {seeds} seeds"
    assert outcome.summary.largest.difference.half_width <= 0.0035
    assert {one.runs for one in progress} == {60}
    environment = json.loads((options.out / "reports/a/environment.json").read_text())
    assert environment["ablation"]["seeds"] == list(range(seeds))
    page = (options.out / "reports/a/report.html").read_text()
    assert outcome.stopped in page.replace("\N{NO-BREAK SPACE}", " ")


def test_a_precision_that_is_not_reached_says_so(options, trainer):
    outcome, _, _ = run(options, seeds=(3, 0), precision=0.0001, max_seeds=5)
    assert outcome.stopped.startswith(
        "the precision of 0.01 points was not reached with 5 seeds: the largest difference "
    )
    # The given seeds first, then the smallest that are not among them.
    assert list(dict.fromkeys(seed for _, seed in trainer.runs)) == [3, 0, 1, 2, 4]
    trainer.score = lambda patch, seed: 150 - patch
    outcome, _, _ = run(options, precision=0.0001, max_seeds=4, name="b", schedule="short")
    assert outcome.stopped.endswith("with 4 seeds: the largest difference has no interval")


def test_more_seeds_go_on_with_the_same_ablation(options, trainer):
    run(options)
    trainer.runs.clear()
    outcome, _, _ = run(options, seeds=(0, 1, 2, 3), resume=True)
    assert {seed for _, seed in trainer.runs} == {3}
    assert outcome.summary.seeds == (0, 1, 2, 3)
    with pytest.raises(InputError, match=r"the study 'a' has other settings: values \(.*; use another --name"):
        run(options, values=(("1", "3"),), resume=True)
    with pytest.raises(InputError, match=r"exists in .*: go on with --resume"):
        run(options)


def test_what_a_search_trained_is_not_trained_again(options, trainer):
    job.prepare(options, reporter=Reporter()).setup.training.score(TINY, seed=1)
    trainer.runs.clear()
    run(options)
    assert (2, 1) not in trainer.runs
    assert len(trainer.runs) == 8
    cached = [record for record in results(options) if record.spent.cached]
    assert [(record.seed, record.candidate.labels["patch_size"]) for record in cached] == [(1, "2")]


def test_two_factors_report_their_interaction(options, trainer):
    outcome, _, _ = run(options, factors=("patch_size", "label_smoothing"), values=(("1", "2"), ("0", "0.1")))
    assert [v.value for v in outcome.summary.variants] == [
        "patch_size 2, label_smoothing 0.1",
        "patch_size 2, label_smoothing 0",
        "patch_size 1, label_smoothing 0.1",
        "patch_size 1, label_smoothing 0",
    ]
    (interaction,) = outcome.summary.interactions
    assert interaction.labels == {"patch_size": "1", "label_smoothing": "0"}
    assert interaction.difference.mean == 0
    assert outcome.report.exists()


# Matching


@pytest.mark.parametrize("match", ["params", "macs", "latency_ms"])
def test_matched_variants_cost_what_the_base_costs_and_the_free_ones_stay(options, trainer, match):
    wide = with_values(TINY, {"stages.*.channels": 32, "stages.*.mobilevit.dim": 32})
    (options.out / "wide.yaml").write_text(yaml.safe_dump(to_dict(wide), sort_keys=False))
    base = str(options.out / "wide.yaml")
    outcome, _, _ = run(options, base=base, factors=("depth",), values=(("1", "2", "4"),), match=match)
    values = [variant.value for variant in outcome.summary.variants]
    word = match.removesuffix("_ms")
    if match == "latency_ms":  # the stand-in's latency does not know the depth
        assert values == ["1", "2", "4"]
        assert "costs what the base costs: no rescaling for equal latency" in outcome.summary.others[0].notes
        return
    assert values == ["1", "2", f"2 at equal {word}", "4", f"4 at equal {word}"]
    cost = METRICS[match]
    for variant in outcome.summary.others:
        near = abs(variant.cost(cost) / outcome.summary.base.cost(cost) - 1) <= 0.02
        assert near == bool(variant.matched)
    assert any(note.startswith("width times 0.") for note in outcome.summary.others[1].notes)
    assert len(results(options)) == 5 * 3


def test_a_variant_without_a_latency_still_has_its_accuracies(options, trainer, timed):
    def refuse(arch):
        if arch.stages[2].mobilevit.patch_size == 4:
            raise MeasurementError("no answer within 128 s")
        return 5.0

    timed(refuse)
    outcome, said, _ = run(options)
    assert [variant.cost(LATENCY) for variant in outcome.summary.variants] == [5.0, 5.0, None]
    assert all(variant.runs == 3 for variant in outcome.summary.variants)
    assert "no latency of 4: no answer within 128 s" in said


def test_a_latency_is_matched_by_measuring(options, trainer, timed):
    timed(lambda arch: count_ms(arch) * sum(s.mobilevit.depth for s in arch.stages if s.mobilevit))
    outcome, _, _ = run(options, factors=("depth",), values=(("1", "2"),), match="latency_ms")
    base, free, matched = outcome.summary.variants
    assert matched.value == "2 at equal latency"
    assert free.cost(LATENCY) == 2 * base.cost(LATENCY)
    assert matched.cost(LATENCY) == pytest.approx(base.cost(LATENCY), rel=0.02)


def test_a_matching_without_a_solution_ends_before_anything_is_trained(options, trainer):
    wide = with_values(TINY, {"stages.*.channels": 64})
    (options.out / "wide.yaml").write_text(yaml.safe_dump(to_dict(wide), sort_keys=False))
    changes = {"base": str(options.out / "wide.yaml"), "factors": ("dim",), "match": "params"}
    with pytest.raises(NothingFeasibleError, match=r"no width from a quarter to four times lets 500 cost what"):
        run(options, values=(("500",),), **changes)
    assert trainer.runs == []
    # A value of the space's own stays free, and the report says why it is not matched.
    space = options.out / "space.yaml"
    space.write_text("base: mobilevit_xxs\nfactors: {dim: {paths: [stages.*.mobilevit.dim], values: [16, 24, 500]}}")
    trainer.score = lambda patch, seed: 100
    outcome, _, _ = run(options, values=(), space=str(space), **changes)
    assert [variant.value for variant in outcome.summary.variants] == ["16", "24", "24 at equal params", "500"]
    assert outcome.left_out[0].reason.startswith("at equal params: no width")


# The base


@pytest.fixture
def study(options):
    """The report of a search: the trials 0 to 3, of which 1 is no network, 3 the best and 2 within a point of it."""
    folder = options.out / "reports/s"
    folder.mkdir(parents=True)
    archs = [with_values(TINY, {"stages.4.mobilevit.depth": depth}) for depth in (1, 2, 3)]
    rows: list[Row] = [
        {"trial": number, "state": "complete", "accuracy": accuracy, "params": params, "name": "",
         "arch_id": arch_id(arch), "arch": json.dumps(to_dict(arch))}
        for number, accuracy, params, arch in ((0, 0.5, 100, archs[0]), (2, 0.8, 150, archs[1]), (3, 0.805, 400, archs[2]))
    ]  # fmt: skip
    rows.insert(1, {"trial": 1, "state": "invalid", "reason": "dim must be divisible", "arch": "", "arch_id": ""})
    write_table(table_of(rows), folder / "results.csv")
    space = "base: mobilevit_xxs\nfactors: {patch_size: {paths: [stages.*.mobilevit.patch_size], values: [1, 2]}}"
    fingerprint = job.prepare(options, reporter=Reporter()).setup.training.data.fingerprint
    environment: dict[str, Any] = {
        "study": "s", "command": "mvit-nas search", "created": "2026-11-21", "mvit_nas": "0.1.0",
        "hardware": {"processor": "x", "gpu": None}, "data": {"name": "digits", "fingerprint": fingerprint, "classes": ["a", "b"]},
        "space": {"name": "mine", "text": space},
        "experiment": {"budgets": [], "objectives": ["accuracy", "params"], "schedule": {"name": "smoke"}},
        "latency": None, "hypervolume_reference": {}, "presets": [], "elapsed_seconds": 1.0,
    }  # fmt: skip
    (folder / "environment.json").write_text(json.dumps(environment))
    return archs, environment


def base_of(options, **changes):
    heard = Heard()
    prepared = job.prepare(replace(options, values=(), **changes), reporter=heard)
    return prepared, heard.said


def test_a_trial_the_best_the_knee_and_a_name_are_bases_with_the_space_of_their_study(options, study):
    archs, environment = study
    for base, expected in (
        ("s:0", archs[0]),
        ("s:knee", archs[1]),
        ("s:best", archs[2]),
        ("s:3", archs[2]),
        (f"s:{arch_id(archs[2])}", archs[2]),
    ):
        prepared, said = base_of(options, base=base)
        assert prepared.plan.variants[0].arch == expected
        assert [v.labels["patch_size"] for v in prepared.plan.variants] == ["2", "1"]
        assert not any("not the images" in line for line in said)
    environment["data"]["fingerprint"] = "other"
    (options.out / "reports/s/environment.json").write_text(json.dumps(environment))
    assert "note: these are not the images of the study that s:0 is from" in base_of(options, base="s:0")[1]


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("s:7", "--base s:7: s has no such trial; it has the trials 0 to 3"),
        ("s:1", "--base s:1: that trial is no network (dim must be divisible)"),
        ("t:1", "--base t:1: no study 't' in "),
        ("mobilevit_xss", "--base: unknown 'mobilevit_xss', did you mean 'mobilevit_xs'?"),
        ("list.yaml", "architecture must be a mapping, got [1]"),
        ("broken.yaml", "broken.yaml: architecture: unknown 'stags', did you mean 'stages'?"),
    ],
)
def test_a_base_that_is_not_there_is_one_line(options, study, base, message):
    (options.out / "list.yaml").write_text("[1]")
    (options.out / "broken.yaml").write_text("stags: []")
    with pytest.raises(InputError) as caught:
        base_of(options, base=str(options.out / base) if base.endswith("yaml") else base)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_images_of_the_base_have_to_be_given(options, study):
    _, environment = study
    environment["data"]["name"] = "clothing"
    (options.out / "reports/s/environment.json").write_text(json.dumps(environment))
    with pytest.raises(InputError, match="--base s:0 was searched on 'clothing': give its images with --data"):
        base_of(options, base="s:0")


def test_the_knee_does_not_move_when_others_are_left_out(options, study):
    archs, _ = study
    path = options.out / "reports/s/results.csv"
    write_table(make_table([record for record in read_table(path).records if record.trial != 0]), path)
    assert base_of(options, base="s:knee")[0].plan.variants[0].arch == archs[1]


def test_a_study_without_a_score_has_no_best(options, study):
    path = options.out / "reports/s/results.csv"
    write_table(make_table([record for record in read_table(path).records if record.trial == 1]), path)
    with pytest.raises(InputError, match=r"s:best: s has no network that was scored"):
        base_of(options, base="s:best")


def test_the_plan_counts_what_is_known(options, trainer, monkeypatch):
    monkeypatch.setattr(job, "try_step", lambda training, arch: StepCost(step_seconds=0.1, peak_gib=0.5))
    made = job.plan(options, reporter=Reporter())
    assert (made.runs, made.known) == (9, 0)
    assert made.hours > 0
    run(options)
    made = job.plan(options, reporter=Reporter())
    assert (made.runs, made.known) == (9, 9)
