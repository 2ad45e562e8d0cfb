import itertools
from dataclasses import replace
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import torch
from image_files import image_folder
from mobilevit_rows import RUNTIMES, Timing, read_table, read_timings, read_trainings, training_of
from mobilevit_space import networks, table_designs
from mobilevit_table import Task, interleaved, main, make, measure, pack, plan, repeated
from mobilevit_tables import all_made_up, made_up

from mvit_nas.arch.config import arch_id
from mvit_nas.arch.space import load_space, parse_space
from mvit_nas.cost.runtimes.registry import find_runtime
from mvit_nas.data.find import find_data
from mvit_nas.errors import InputError, MeasurementError, TrainingError
from mvit_nas.evaluate.estimator import Question
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.optimize.designs import Designs
from mvit_nas.study.record import Measured, Record, State
from mvit_nas.training.schedule import find_schedule

TINY = """
base: mobilevit_xxs
set: {image_size: 32, stages.*.channels: 8, stages.*.mobilevit.dim: 16}
factors:
  depth: {paths: [stages.*.mobilevit.depth], values: [1, 2]}
  patch_size: {paths: [stages.*.mobilevit.patch_size], values: [1, 2]}
"""
SCHEDULE = """
{epochs: 3, images_per_epoch: 64, batch_size: 32, resolution: 0.5, learning_rate: 0.001, warmup: 0.1, min_crop: 0.35,
 ema: 0.0}
"""
# What the fields of a line are, in their order.
DONE = "aaaaaaaaaa,short,0,1421,5000,2.26 2.13 2.05 2.02,1:104/500 2:136/500,24.5,AMD EPYC"


@pytest.fixture(scope="module")
def designs():
    return table_designs()


@pytest.fixture(scope="module")
def members(designs):
    return networks(designs)


@pytest.fixture(scope="module")
def planned(designs):
    return plan(designs)


def test_the_space_has_576_networks_of_which_a_hundred_meet_each_budget(members):
    macs = [design.cost.macs for design in members]
    assert len({design.arch_id for design in members}) == len(members) == 576
    assert (macs[0], macs[-1]) == (1_606_016, 24_672_640)
    assert [sum(one <= budget for one in macs) for budget in (3_750_000, 7_500_000, 15_000_000)] == [111, 380, 548]


def test_every_network_is_one_of_the_shipped_space(members):
    shipped = load_space("mobilevit_small")
    for design in members:
        assert arch_id(shipped.arch(shipped.nearest_labels(design.arch))) == design.arch_id


def test_the_plan_has_each_training_once_and_begins_with_every_network(designs, members, planned):
    first, rest = planned[:576], planned[576:]
    assert len({task.key for task in planned}) == len(planned) == 576 + 200 + 40 + 3 * 3 + 3
    assert {task.key for task in first} == {(design.arch_id, "short", 0) for design in members}
    again = {design.arch_id for design in repeated(designs)}
    assert {task.design.arch_id for task in rest[:200]} == again
    assert {(task.schedule, task.seed) for task in rest[:200]} == {("short", 1), ("short", 2)}
    longer = [task for task in rest if task.schedule == "medium"]
    assert len(longer) == 43
    assert {task.design.arch_id for task in longer[:40]} < again
    assert [task.design.name for task in longer[40:]] == ["mobilevit_xxs", "mobilevit_xs", "mobilevit_s"]


def test_what_comes_first_of_either_half_is_spread_over_the_costs(members, planned):
    rank = {design.arch_id: place for place, design in enumerate(members)}
    for part, number in itertools.product((0, 1), (100, 300)):
        ranks = sorted(rank[task.design.arch_id] for task in planned[part:number:2])
        steps = [after - before for before, after in zip([0, *ranks], [*ranks, 575], strict=True)]
        assert max(steps) <= 6 * 575 / number


def test_interleaving_keeps_all(members):
    assert sorted(design.arch_id for design in interleaved(members)) == sorted(design.arch_id for design in members)
    assert interleaved([]) == []


@pytest.fixture(scope="module")
def digits():
    return find_data(None)


@pytest.fixture
def tasks(tmp_path):
    """Four trainings of two tiny networks."""
    schedule = tmp_path / "tiny.yaml"
    schedule.write_text(SCHEDULE)
    found = networks(Designs(parse_space(TINY, name="tiny", where="tiny"), classes=10))
    return [
        Task(design=one, schedule=str(schedule), seed=seed)
        for one, seed in zip(found[:2] * 2, (0, 0, 1, 2), strict=True)
    ]


def training_on(digits, tasks, folder):
    return ShortTraining(digits, find_schedule(tasks[0].schedule), device=torch.device("cpu"), folder=folder)


def test_a_training_is_kept_with_its_losses_and_rungs_as_a_search_has_them(digits, tasks, tmp_path):
    training, (task, *_) = training_on(digits, tasks, tmp_path / "own"), tasks
    make([task], training, tmp_path / "rows.csv")
    (found,) = read_trainings(tmp_path / "rows.csv")
    record = Record(trial=None, state=State.COMPLETE, candidate=task.design.candidate, seed=task.seed)
    elsewhere = training_on(digits, tasks, tmp_path / "other")
    searched = elsewhere.estimate(Question(record=record))
    assert searched.accuracy is not None
    assert (found.key, found.accuracy) == (task.key, searched.accuracy.value)
    assert [(rung.epoch, rung.correct, rung.images) for rung in found.rungs] == [
        (rung.epoch, rung.correct, rung.images) for rung in searched.rungs
    ]
    assert [rung.epoch for rung in found.rungs] == [1, 2]
    assert [rung.loss for rung in found.rungs] == list(found.losses[:2])
    score, _ = elsewhere.score(task.design.arch, seed=task.seed)
    assert found.losses == pytest.approx(score.losses, abs=1e-6)
    assert (len(found.losses), found.images) == (3, score.images)
    assert found.losses[0] != found.losses[2]


@pytest.fixture
def asked(monkeypatch):
    """Every training that was asked for; the number that is in ``killed_at`` kills the process."""
    known = SimpleNamespace(runs=[], killed_at=None, fails=None)
    estimate = ShortTraining.estimate

    def counting(self, question, **options):
        run = (question.record.candidate.arch_id, question.record.seed)
        if len(known.runs) == known.killed_at:
            raise KeyboardInterrupt
        known.runs.append(run)
        if run == known.fails:
            raise TrainingError("the training loss became nan in epoch 1 of 3")
        return estimate(self, question, **options)

    monkeypatch.setattr(ShortTraining, "estimate", counting)
    return known


def test_what_was_killed_goes_on_where_it_was(digits, tasks, tmp_path, asked):
    rows, training = tmp_path / "rows.csv", training_on(digits, tasks, tmp_path / "own")
    asked.killed_at = 2
    with pytest.raises(KeyboardInterrupt):
        make(tasks, training, rows)
    with rows.open("a") as file:
        file.write("aaaaaaaaaa,short,0,14")
    assert len(asked.runs) == 2
    asked.killed_at = None
    make(tasks, training, rows)
    make(tasks, training, rows)
    assert asked.runs == [(task.design.arch_id, task.seed) for task in tasks]
    assert [one.key for one in read_trainings(rows)] == [task.key for task in tasks]


def test_a_training_that_fails_is_named_and_the_others_go_on(digits, tasks, tmp_path, asked, capsys):
    asked.fails = (tasks[1].design.arch_id, tasks[1].seed)
    make(tasks[:3], training_on(digits, tasks, tmp_path / "own"), tmp_path / "rows.csv")
    assert [one.key for one in read_trainings(tmp_path / "rows.csv")] == [tasks[0].key, tasks[2].key]
    line = f"2 of 3: {tasks[1].design.arch_id} by {tasks[1].schedule}, seed 0: failed: the training loss became nan"
    assert capsys.readouterr().err.startswith(line)


@pytest.mark.parametrize(
    ("before", "after"), [("1421", "many"), ("2.26", "two"), ("1:104/500", "1:104"), ("2:136", "5:136")]
)
def test_a_line_that_is_no_training_is_shown(before, after):
    fields = ("network", "schedule", "seed", "correct", "images", "losses", "rungs", "seconds", "processor")
    assert training_of(dict(zip(fields, DONE.split(","), strict=True))).accuracy == 0.2842
    line = DONE.replace(before, after, 1)
    with pytest.raises(InputError) as refused:
        training_of(dict(zip(fields, line.split(","), strict=True)))
    assert str(refused.value) == f"no line of a training: {line}"


def meter(name, asked, *, fails=""):
    """Stands in for one that measures by the runtime of that ``name``."""

    def latency(arch, *, classes):
        asked.append((name, arch_id(arch)))
        if arch_id(arch) == fails:
            raise MeasurementError("the runtime refused it")
        return SimpleNamespace(latency=SimpleNamespace(median_ms=2.0, low_ms=1.9, high_ms=2.2, runs=70 + classes))

    return SimpleNamespace(runtime=SimpleNamespace(name=name), latency=latency)


def test_a_latency_is_measured_once_and_one_that_fails_is_named(members, tmp_path, capsys):
    (one, two, *_), rows = members, tmp_path / "rows.csv"
    asked: list[tuple[str, str]] = []
    measure([one], [meter("onnxruntime", asked)], rows)
    meters = [meter("onnxruntime", asked), meter("torch", asked, fails=one.arch_id)]
    measure([one, two], meters, rows)
    first, second = one.arch_id, two.arch_id
    assert asked == [("onnxruntime", first), ("torch", first), ("onnxruntime", second), ("torch", second)]
    timings = read_timings(rows)
    assert [(timing.runtime, timing.network) for timing in timings] == [asked[0], asked[2], asked[3]]
    assert (timings[0].latency, timings[0].runs) == (Measured(value=2.0, low=1.9, high=2.2), 80)
    assert capsys.readouterr().err == f"{first} by torch: not measured: the runtime refused it\n"


def test_the_latencies_are_by_runtimes_that_there_are():
    assert len([find_runtime(name) for name in RUNTIMES]) == 2


def timing_of(design, runtime, milliseconds):
    latency = Measured(value=milliseconds, low=milliseconds - 0.25, high=milliseconds + 0.5)
    return Timing(network=design.arch_id, runtime=runtime, latency=latency, runs=80, processor="a processor")


def test_a_packed_table_says_what_was_made_and_measured(members, planned, tmp_path):
    path, trainings = tmp_path / "table.parquet", all_made_up(planned)
    timings = [timing_of(members[3], "onnxruntime", 1.5), timing_of(members[3], "torch", 4.0)]
    pack(planned, list(reversed(trainings)), timings, path)
    table = read_table(path)
    assert {one.key: one for one in table.trainings} == {one.key: one for one in trainings}
    assert len(table.trainings) == len(trainings)
    assert table.latencies[members[3].arch_id] == {
        "onnxruntime": Measured(value=1.5, low=1.25, high=2.0),
        "torch": Measured(value=4.0, low=3.75, high=4.5),
    }
    assert table.latencies[members[4].arch_id] == {}
    assert path.stat().st_size <= 1_000_000


def test_a_packed_table_has_the_columns_of_its_networks_by_rising_costs(designs, planned, tmp_path):
    path = tmp_path / "table.parquet"
    pack(planned, all_made_up(planned), [], path)
    rows = pq.read_table(path).to_pylist()
    assert [row["macs"] for row in rows] == sorted(task.design.cost.macs for task in planned)
    for row in rows:
        if row["name"]:
            design = designs.presets[row["name"]]
            assert row["width"] is row["depth"] is None
        else:
            design = designs.describe({name: row[name] for name in designs.space.sample(lambda name, _: name)})
        assert (row["network"], row["params"], row["macs"]) == (design.arch_id, design.cost.params, design.cost.macs)
    xxs = [(row["schedule"], row["seed"]) for row in rows if row["name"] == "mobilevit_xxs"]
    assert xxs == [("short", 0), ("short", 1), ("short", 2), ("medium", 0)]


def test_the_same_trainings_make_the_same_file(planned, tmp_path):
    trainings = all_made_up(planned)
    pack(planned, trainings, [], tmp_path / "one.parquet")
    again = replace(trainings[5], correct=0)  # made twice
    pack(planned, [*trainings, again], [], tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_a_table_with_a_gap_is_not_packed(planned, tmp_path):
    trainings = all_made_up(planned)
    gap = " ".join(map(str, planned[580].key))
    with pytest.raises(InputError, match=f"^2 of 828 trainings are missing, the first one {gap}: make them$"):
        pack(planned, trainings[:580] + trainings[582:], [], tmp_path / "table.parquet")
    strange = replace(made_up(planned[0]), seed=7)
    with pytest.raises(InputError, match=f"^{strange.network} short 7 is no training of the table: remove its line$"):
        pack(planned, [*trainings, strange], [], tmp_path / "table.parquet")
    assert not (tmp_path / "table.parquet").exists()


def test_the_command_packs_what_two_processes_made(planned, tmp_path, capsys):
    for part in (0, 1):
        lines = [",".join(made_up(task).to_line().values()) for task in planned[part::2]]
        header = ",".join(made_up(planned[0]).to_line())
        (tmp_path / f"rows-{part}.csv").write_text("\n".join([header, *lines, ""]))
    out = tmp_path / "table.parquet"
    main(["pack", *(str(tmp_path / f"rows-{part}.csv") for part in (0, 1)), "--out", str(out)])
    assert capsys.readouterr().out == f"{out}: 828 trainings, {out.stat().st_size:,} bytes\n"
    assert len(read_table(out).trainings) == 828


def ended(capsys, *arguments):
    """How the command ends that shall refuse, and the last line that it says."""
    with pytest.raises(SystemExit) as ending:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert out == ""
    return ending.value.code, err.splitlines()[-1]


def test_what_a_user_can_get_wrong_is_one_line(tmp_path, capsys):
    rows, photos = tmp_path / "rows.csv", image_folder(tmp_path / "photos", {"cat": 20, "dog": 20})
    words = f"mobilevit_table: the table is of 10 classes, {photos} has 2: give CIFAR-10"
    assert ended(capsys, "make", photos, "--rows", rows) == (2, words)
    code, line = ended(capsys, "make", tmp_path / "nothing", "--rows", rows)
    assert (code, line.startswith("mobilevit_table: there is no folder")) == (2, True)
    for part in ("2/2", "1", "a/2", "-1/2"):
        code, line = ended(capsys, "make", photos, "--rows", rows, f"--part={part}")
        assert (code, line.endswith(f"{part!r} is no part: give 0/2 and 1/2 for halves")) == (2, True)
    code, line = ended(capsys, "pack", rows)
    assert (code, line.startswith(f"mobilevit_table: cannot read {rows}: ")) == (2, True)
    code, line = ended(capsys, "pack", tmp_path)
    assert (code, line.startswith(f"mobilevit_table: cannot read {tmp_path}: ")) == (2, True)
