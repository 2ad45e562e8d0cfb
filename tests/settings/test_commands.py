"""The command line is frozen: a new flag is one field, and a line here that says it was meant."""

import pytest

from mvit_nas.budget import parse_budget
from mvit_nas.errors import InputError
from mvit_nas.settings import commands, shipping
from mvit_nas.settings.flag import Decides, flags_of
from mvit_nas.settings.looking import CompareSettings, DevicesSettings, ReportSettings
from mvit_nas.settings.workers import CacheSettings, DoctorSettings, LaunchSettings, StatusSettings, WorkerSettings

TRAINING = "--schedule --epochs --batch-size --learning-rate --class-weights --device"
TIMING = "--runtime --target --threads --adb-benchmark"
START = "--init --init-colours"
WORKERS = "--storage --shared --grace"
STUDY = "--data --space --image-size --name --out --config --resume --dry-run --json"
FLAGS = {
    WorkerSettings: f"{WORKERS} name --data --device --out",
    LaunchSettings: f"{WORKERS} name -n --on --data --timeout --partition --gpus --out --json",
    DoctorSettings: "--storage --out --json",
    CacheSettings: "--older-than --at-most --remove --json",
    StatusSettings: "name --watch --storage --out --json",
    commands.SearchSettings: f"{STUDY} {TRAINING} {START} --partial {TIMING} {WORKERS} --jobs --jobs-per-gpu --budget --objectives --sampler --learn-from --baseline --trials --seeds-for-front "
    "--early-stopping --inherit --stop-when-settled --finish --timeout --seed --measure-front",
    commands.AblateSettings: f"{STUDY} {TRAINING} {START} --partial {TIMING} factors --base --values --score --seeds --precision --max-seeds --match "
    "--no-resize",
    commands.ConfirmSettings: f"{TRAINING} {START} name trials --top --no-presets --seeds --data --timeout --out --dry-run --json "
    "--no-images",
    shipping.ExportSettings: "model --format --int8 --dynamic-batch --data --check --out --json",
    commands.LatencySettings: f"{TRAINING} {TIMING} choices --precision --cap --image-size --int8 --data --by-stage --out "
    "--json",
    DevicesSettings: "targets --json",
    ReportSettings: "name --devices --out --runtime --target",
    shipping.ReproduceSettings: f"{START} trial --data --device --out --json",
    CompareSettings: "studies --name --out --json",
    shipping.PredictSettings: "model images --classes --size --top --json --csv",
}
# What a study means; all else may change from one run of it to the next.
DECIDING = {
    commands.SearchSettings: "--budget --data --space --image-size --objectives --sampler --learn-from --baseline --early-stopping --inherit --init --init-colours --storage "
    "--schedule --epochs --batch-size --learning-rate --class-weights --seed --runtime --target --threads --name",
    commands.AblateSettings: "factors --base --values --match --no-resize --data --space --image-size --init --init-colours "
    "--schedule --epochs --batch-size --learning-rate --class-weights --runtime --target --threads --name",
}


@pytest.mark.parametrize("kind", FLAGS)
def test_the_flags_of_a_command_stay_what_they_are(kind):
    assert sorted(one.option or one.name for one in flags_of(kind)) == sorted(FLAGS[kind].split())
    assert all(one.help for one in flags_of(kind))


@pytest.mark.parametrize("kind", DECIDING)
def test_what_decides_a_study_stays_what_it_is(kind):
    deciding = [one.option or one.name for one in flags_of(kind) if one.decides is not Decides.NO]
    assert sorted(deciding) == sorted(DECIDING[kind].split())


@pytest.mark.parametrize("kind", DECIDING)
def test_a_flag_that_decides_by_itself_stands_in_the_document_and_in_the_file(kind):
    for one in flags_of(kind):
        if one.decides is Decides.ITSELF:
            assert one.path, one.name
        if one.decides is not Decides.NO:
            assert one.kept, one.name


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="--trials must be at least 1, got 0"):
        commands.SearchSettings(trials=0)
    with pytest.raises(InputError, match="--seed must be 0 or more, got -1"):
        commands.SearchSettings(seed=-1)
    with pytest.raises(InputError, match="--threads must be at least 1, got 0"):
        commands.LatencySettings(choices=("x",), threads=0)
    with pytest.raises(InputError, match="--init and --inherit are two ways to start a training: give one"):
        commands.SearchSettings(init="m", inherit=True)
    with pytest.raises(InputError, match="--jobs and --jobs-per-gpu are two ways to say how many: give one"):
        commands.SearchSettings(jobs=2, jobs_per_gpu=2)
    with pytest.raises(InputError, match="--inherit needs one training after the other"):
        commands.SearchSettings(jobs_per_gpu=1, inherit=True)
    for kind, own in (
        (commands.SearchSettings, {}),
        (commands.AblateSettings, {"factors": ("x",)}),
        (commands.ConfirmSettings, {"name": "s"}),
    ):
        with pytest.raises(
            InputError, match="--init-colours says something of the weights of --init: give both, or neither"
        ):
            kind(**own, init_colours="rgb")
    with pytest.raises(InputError, match="--max-seeds adds seeds until --precision is reached"):
        commands.AblateSettings(factors=("depth",), max_seeds=9)
    with pytest.raises(InputError, match="--max-seeds must be at least the 5 of --seeds, got 2"):
        commands.AblateSettings(factors=("depth",), precision=0.01, max_seeds=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budgets": ()}, "--trials auto goes by the best within the budget: give a --budget, or a number of trials"),
        ({"sampler": "tpe"}, "--trials auto knows cost-aware alone: leave --sampler tpe out"),
        ({"stop_when_settled": True}, "--trials auto and --stop-when-settled are two ways to end a search: give one"),
        ({"seeds_for_front": 3}, "--seeds-for-front takes a quarter of --trials: give their number instead of auto"),
    ],
)
def test_an_open_number_of_trials_goes_by_what_was_simulated(changes, message):
    budgets = (parse_budget("6M"),)
    assert commands.SearchSettings(trials="auto", budgets=budgets).most_trials == 100
    assert commands.SearchSettings(trials=7).most_trials == 7
    with pytest.raises(InputError) as error:
        commands.SearchSettings(**{"trials": "auto", "budgets": budgets, **changes})
    assert str(error.value) == message


def test_a_precision_adds_seeds_up_to_twenty_or_as_many_as_were_given():
    seeds = tuple(range(30))
    assert commands.AblateSettings(factors=("depth",)).most_seeds == 5
    assert commands.AblateSettings(factors=("depth",), precision=0.01).most_seeds == 20
    assert commands.AblateSettings(factors=("depth",), precision=0.01, seeds=seeds).most_seeds == 30
