"""What a confirmation trains, by which schedule, and when it looks at the test part. Training is stood in for."""

import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from commands import TINY, furnished
from reports import environment
from safetensors.torch import load_file
from searches import Heard

from mvit_nas.arch.config import arch_id, from_dict
from mvit_nas.arch.paths import with_values
from mvit_nas.data.contract import InputContract
from mvit_nas.data.find import find_data
from mvit_nas.errors import InputError, InterruptedCleanlyError, TrainingError
from mvit_nas.evaluate import short
from mvit_nas.evaluate.confirm import has_outputs, outputs
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.jobs import confirm as job
from mvit_nas.jobs import confirm_plan
from mvit_nas.jobs.estimate import StepCost
from mvit_nas.results.report import write_search
from mvit_nas.settings.commands import ConfirmSettings, SearchSettings
from mvit_nas.settings.study_file import Found, study_text
from mvit_nas.study.confirmation_file import read_confirmation, read_looks
from mvit_nas.study.origin import SearchOrigin
from mvit_nas.study.origin_file import parse_origin
from mvit_nas.study.record import Candidate, Measured, Record, State
from mvit_nas.training.loop import Score
from mvit_nas.training.schedule import find_schedule

# Three on the front, a preset within the budget and one outside, one that was not trained to the end.
ARCHS = [with_values(TINY, {"stages.*.mobilevit.dim": dim}) for dim in (16, 24, 32, 40, 48, 56)]
NUMBERS = [
    (0, 0.50, 1e5, ""),
    (1, 0.60, 2e5, ""),
    (2, 0.70, 3e5, ""),
    (3, 0.55, 3.5e5, "mobilevit_xxs"),
    (4, 0.9, 9e5, "mobilevit_xs"),
]


def record(trial, accuracy, params, name):
    arch = ARCHS[trial]
    values = {"accuracy": accuracy, "params": params}
    return Record(
        trial=trial,
        state=State.COMPLETE,
        candidate=Candidate(arch=arch, arch_id=arch_id(arch), name=name),
        values={key: Measured(value=value) for key, value in values.items()},
    )


def origin_of(document):
    origin = parse_origin(document, where="environment.json")
    assert isinstance(origin, SearchOrigin)
    return origin


class Trainer:
    """Stands in for training: gives the model a bias for a class that follows from its width and the seed."""

    def __init__(self):
        self.runs = []
        self.fail = lambda dim, seed: False

    def __call__(self, model, train, validation, schedule, *, seed, should_stop, **options):
        dim = model.stages[2][1].norm.normalized_shape[0]
        if should_stop():
            raise InterruptedCleanlyError("stopped in the middle of a training run")
        self.runs.append((dim, seed, schedule.epochs))
        if self.fail(dim, seed):
            raise TrainingError("the training loss became nan in epoch 2 of 12")
        with torch.no_grad():
            model.classifier.bias[(dim // 8 + seed) % 3] += 100.0
        return Score(correct_K=(dim + seed, 0), images_K=(200, 25), losses=(1.0,), seconds=2.0)


@pytest.fixture
def trainer(monkeypatch):
    stand_in = Trainer()
    monkeypatch.setattr(short, "fit", stand_in)
    monkeypatch.setattr(confirm_plan, "try_step", lambda training, arch: StepCost(step_seconds=0.1, peak_gib=0.5))
    return stand_in


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A search of photos, whose report and settings lie in a folder."""
    furnished(tmp_path)
    for i in range(14):  # more dogs than others, or whoever always gives the same answer would be right as often
        shutil.copy(tmp_path / "photos/dog/3.png", tmp_path / f"photos/dog/more{i}.png")
    monkeypatch.chdir(tmp_path)
    images = find_data("photos")
    document = environment(
        study="s",
        presets=["mobilevit_xxs", "mobilevit_xs", "mobilevit_s"],
        data={"name": "photos", "fingerprint": images.fingerprint, "classes": list(images.classes), "images": {"validation": 3}},
        experiment={"budgets": [{"metric": "params", "low": 0.0, "high": 5e5}], "objectives": ["accuracy", "params"], "schedule": {"name": "short"}},
        latency=None,
    )  # fmt: skip
    write_search([record(*numbers) for numbers in NUMBERS], origin_of(document), tmp_path / "reports/s")
    searched = find_schedule("smoke").to_dict()
    found = Found(data={"name": "photos"}, space_name="x", space="base: mobilevit_xxs", schedule=searched)
    (tmp_path / "experiments/s").mkdir(parents=True)
    (tmp_path / "experiments/s/experiment.yaml").write_text(study_text(SearchSettings(data="photos", name="s"), found))
    return ConfirmSettings(name="s", out=tmp_path, device="cpu", trials=(2, 1, 0))


def run(settings, *, should_stop=lambda: False, **changes):
    heard = Heard()
    progress: list[job.Progress] = []
    outcome = job.confirm(
        replace(settings, **changes), reporter=heard, on_progress=progress.append, should_stop=should_stop
    )
    return outcome, heard.said, progress


def looks(settings):
    return read_looks(settings.out / "experiments/s/test_reads.jsonl")


def test_every_network_has_every_seed_round_by_round_and_no_one_always_begins(study, trainer):
    outcome, _, progress = run(study)
    assert [seed for _, seed, _ in trainer.runs] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert sorted(dim for dim, _, _ in trainer.runs[:3]) == [16, 24, 32]
    assert len({trainer.runs[0][0], trainer.runs[3][0], trainer.runs[6][0]}) == 3
    assert {epochs for _, _, epochs in trainer.runs} == {12}  # of medium, which is the default
    assert [one.done for one in progress] == [*range(1, 10)]
    assert outcome.confirmation.schedule["name"] == "medium"
    assert outcome.confirmation == read_confirmation(study.out / "reports/s")
    assert "<h2>Confirmed</h2>" in outcome.report.read_text()


def test_the_front_is_chosen_with_the_presets_within_the_budget(study, trainer):
    chosen = job.plan(replace(study, trials=()), reporter=Heard())
    # The best of all is a preset over the budget: it is on the front of the table, and there for that reason alone.
    assert chosen.trials == (4, 2, 1, 0, 3)
    assert job.plan(replace(study, trials=(), top=2), reporter=Heard()).trials == (4, 2, 3)
    assert job.plan(replace(study, trials=(), top=2, no_presets=True), reporter=Heard()).trials == (4, 2)
    assert job.plan(study, reporter=Heard()).trials == (2, 1, 0)


def test_the_test_part_is_looked_at_once_and_that_is_written_down_before(study, trainer, monkeypatch):
    read = []
    whole = ShortTraining.scored_part

    def watched(self, name, side):
        if name == "test":
            read.append(len(looks(study)))
        return whole(self, name, side)

    monkeypatch.setattr(ShortTraining, "scored_part", watched)
    run(study, seeds=(0, 1))
    assert set(read) == {1}
    (first,) = looks(study)
    assert (first.trials, first.seeds, first.schedule, first.images) == ((2, 1, 0), (0, 1), "medium", 5)
    run(study, seeds=(0, 1))  # all of it is known
    assert len(looks(study)) == 1
    outcome, _, _ = run(study, seeds=(0, 1, 2))
    assert [one.seeds for one in outcome.confirmation.looks] == [(0, 1), (2,)]


def test_stopped_it_has_not_looked_at_the_test_part_and_goes_on_where_it_was(study, trainer):
    with pytest.raises(
        InterruptedCleanlyError, match="the test part was not looked at; 4 of 9 trainings are kept: the same"
    ):
        run(study, should_stop=lambda: len(trainer.runs) >= 4)
    assert looks(study) == ()
    assert read_confirmation(study.out / "reports/s") is None
    trainer.runs.clear()
    _, _, progress = run(study)
    assert len(trainer.runs) == 5
    assert [one.was_known for one in progress] == [True] * 4 + [False] * 5


def test_a_network_that_diverges_is_a_result_and_the_others_go_on(study, trainer):
    trainer.fail = lambda dim, seed: (dim, seed) == (24, 1)
    outcome, _, _ = run(study)
    found = outcome.confirmation
    assert [one.trial for one in found.scored] != []
    lost = found.network(1)
    assert lost.failure == "with seed 1 the training loss became nan in epoch 2 of 12"
    assert found.networks[-1] is lost
    assert {one.trial for one in found.scored} == {0, 2}
    assert [(pair.first, pair.second) for pair in found.pairs] == [(2, 0)]
    assert (24, 2, 12) not in trainer.runs  # its further seeds would be for nothing
    trainer.runs.clear()
    run(study)
    assert trainer.runs == []


def test_where_all_diverge_that_is_said_and_the_test_part_is_left_alone(study, trainer):
    trainer.fail = lambda dim, seed: True
    outcome, _, _ = run(study)
    assert outcome.confirmation.take is None
    assert outcome.verdict.startswith("Nothing was confirmed")
    assert looks(study) == ()


def test_what_does_not_fit_shortens_the_schedule_for_all_then_the_list(study, trainer):
    # 36 images make one batch an epoch: by medium 12 steps of 0.1 s, for each of 3 networks with 3 seeds.
    whole = job.plan(study, reporter=Heard())
    assert (whole.epochs, whole.notes) == (12, ())
    shorter = job.plan(replace(study, timeout_seconds=0.6 * whole.hours * 3600), reporter=Heard())
    assert 6 <= shorter.epochs <= 8
    assert shorter.trials == (2, 1, 0)
    assert shorter.hours < 0.6 * whole.hours
    assert shorter.notes[0].startswith(f"The schedule was shortened from 12 to {shorter.epochs} epochs, to fit into ")
    fewer = job.plan(replace(study, timeout_seconds=0.7), reporter=Heard())
    assert (fewer.epochs, fewer.trials) == (1, (2, 1))
    assert fewer.notes[1].endswith(f": {arch_id(ARCHS[0])}.")
    with pytest.raises(InputError, match=r"--timeout 0 s: one network takes about .* give more time or fewer --seeds"):
        job.plan(replace(study, timeout_seconds=0.1), reporter=Heard())


def test_the_schedule_is_not_shortened_below_the_images_of_the_search(study, trainer):
    path = study.out / "experiments/s/experiment.yaml"
    kept = yaml.safe_load(path.read_text())
    kept["found"]["schedule"]["epochs"] = 9
    path.write_text(yaml.safe_dump(kept))
    fewer = job.plan(replace(study, timeout_seconds=6.0), reporter=Heard())
    assert (fewer.epochs, fewer.trials) == (9, (2, 1))


def test_a_plan_stands_although_the_machine_is_slower_the_next_time(study, trainer, monkeypatch):
    limits = replace(study, timeout_seconds=2.0)
    _, _, _ = run(limits)
    epochs = {one for _, _, one in trainer.runs}
    assert len(epochs) == 1 < epochs.copy().pop() < 12
    trainer.runs.clear()
    monkeypatch.setattr(confirm_plan, "try_step", lambda training, arch: StepCost(step_seconds=9.0, peak_gib=0.5))
    run(limits)
    assert trainer.runs == []


def test_when_the_time_is_up_only_whole_rounds_count(study, trainer, monkeypatch):
    clock = iter(range(0, 10_000, 50))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    outcome, _, _ = run(study, timeout_seconds=600.0)
    seeds = outcome.confirmation.seeds
    assert 1 <= len(seeds) < 3
    assert len(trainer.runs) == 3 * len(seeds)
    assert f"The time was up after {len(seeds)} of 3 seeds." in outcome.confirmation.notes
    assert {len(one.seeds) for one in outcome.confirmation.networks} == {len(seeds)}


def test_the_model_of_the_best_seed_by_validation_is_kept_and_predicts_what_was_scored(study, trainer):
    outcome, _, _ = run(study)
    one = outcome.confirmation.network(2)
    assert one.kept is not None
    folder = study.out / one.kept.folder
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    assert len({each.validation for each in one.seeds}) > 1
    best = max(one.seeds, key=lambda each: each.validation)
    assert config["provenance"]["seed"] == one.kept.seed == best.seed
    assert from_dict(config["architecture"]) == ARCHS[2]
    assert config["classes"] == ["cat", "dog", "fish"]
    assert config["temperature"] == one.kept.temperature
    assert config["input"] == InputContract(side=32).to_dict()
    assert int(weights["classifier.bias"].argmax()) == (32 // 8 + best.seed) % 3
    assert config["provenance"]["test_accuracy"] == best.test
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == (folder / "config.json").stat().st_mode & 0o777


def test_what_is_said_of_a_network_adds_up(study, trainer):
    outcome, _, _ = run(study, seeds=(0, 1))
    one = outcome.confirmation.scored[0]
    assert one.accuracy is not None
    table = np.array(one.confusion)
    assert table.sum() == 2 * 5
    assert one.accuracy.value == pytest.approx(np.trace(table) / 10)
    assert one.accuracy.value == pytest.approx(np.mean([each.test for each in one.seeds]))
    assert [each.images for each in one.classes] == [1, 3, 1]
    for index, each in enumerate(one.classes):
        assert each.recall is not None
        assert each.recall.value == pytest.approx(table[index, index] / table[index].sum())
        assert (each.precision is None) == (table[:, index].sum() == 0)
    assert all(each.truth != each.answer for each in one.mistakes)
    assert all(each.thumbnail.startswith("data:image/jpeg;base64,") for each in one.mistakes)
    without, _, _ = run(study, seeds=(0, 1), no_images=True)
    assert {each.thumbnail for each in without.confirmation.scored[0].mistakes} == {""}


def test_outputs_are_computed_once_and_a_file_that_is_broken_again(study, trainer):
    run(study)
    training = ShortTraining(find_data("photos"), replace(find_schedule("medium")), device=torch.device("cpu"))
    assert has_outputs(training, ARCHS[2], seed=1, part="test")
    assert not has_outputs(training, ARCHS[2], seed=7, part="test")
    first = outputs(training, ARCHS[2], seed=1, part="test")
    (path,) = [
        one
        for one in (training.folder / "outputs").glob("*-test.npz")
        if training.training_name(ARCHS[2], seed=1) in one.name
    ]
    path.write_bytes(path.read_bytes()[:100])
    assert not has_outputs(training, ARCHS[2], seed=1, part="test")
    again = outputs(training, ARCHS[2], seed=1, part="test")
    assert np.array_equal(first.logits_NK, again.logits_NK)
    assert (first.logits_NK.argmax(1) == (32 // 8 + 1) % 3).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "t"}, r"no study 't' in .*reports: known are s"),
        ({"trials": (7,)}, "s has no trained network of trial 7; it has those of 0, 1, 2, 3, 4"),
        (
            {"data": "digits"},
            r"the images are not those of the search: s was searched on photos \(\w+\), and digits is \w+ now",
        ),
    ],
)
def test_wrong_input_is_said_before_anything_is_trained(study, trainer, changes, message):
    with pytest.raises(InputError, match=message) as raised:
        run(study, **changes)
    assert "\n" not in str(raised.value)
    assert trainer.runs == []


def test_images_that_changed_since_the_search_are_refused_by_their_fingerprint(study, trainer):
    (study.out / "photos/cat/0.png").unlink()
    with pytest.raises(InputError, match="the images are not those of the search"):
        run(study)


def test_a_search_without_a_trained_network_has_nothing_to_confirm(study, trainer):
    document = json.loads((study.out / "reports/s/environment.json").read_text())
    failed = replace(record(*NUMBERS[0]), state=State.FAILED, values={})
    write_search([failed], origin_of(document), study.out / "reports/s")
    with pytest.raises(InputError, match="s has nothing to confirm: none of its networks was trained to the end"):
        run(study, trials=())
