"""Makes the table of the MobileViT family: all networks of a small space, trained on CIFAR-10 for real.

The space is `spaces/mobilevit_table.yaml`, 576 networks of `mobilevit_small`. Each is trained by `short` with seed 0, a
hundred of them, evenly over the multiply-adds, with the seeds 1 and 2 too, and forty of those by `medium` with seed 0.
Beside them are the paper's XXS, XS and S, by `short` with the three seeds and by `medium` with seed 0. Of the hundred
and of those three the latency is measured, by ONNX Runtime and by PyTorch on one thread of this host.

    python benchmarks/mobilevit_table.py make ../shared/data/cifar10 --rows rows-0.csv --part 0/2
    python benchmarks/mobilevit_table.py make ../shared/data/cifar10 --rows rows-1.csv --part 1/2
    python benchmarks/mobilevit_table.py latency --rows latencies.csv
    python benchmarks/mobilevit_table.py pack rows-0.csv rows-1.csv --latencies latencies.csv

Each training and each latency is a line of ``--rows`` as soon as it is there, and is not repeated: the command goes on
where it was stopped. Beside the rows of trainings lie their own evaluations, so that what other commands trained does
not answer for them. Two processes with a part each and rows of their own may train side by side; latencies want the
machine for themselves. What comes first is spread over the costs, so that a part of the rows says something already.
All trainings are about six core-hours, by an estimate. `mobilevit_table.md` is the table's card, `mobilevit_space.py`
its loader.
"""

import argparse
import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lines import Lines
from mobilevit_rows import (
    RUNTIMES,
    TIMING_FIELDS,
    TRAINING_FIELDS,
    Key,
    Timing,
    Training,
    read_timings,
    read_trainings,
    timing_of,
    training_of,
    write_table,
)
from mobilevit_space import CLASSES, MEDIUM, SHORT, TABLE, networks, table_designs

from mvit_nas.cost.runtimes.registry import find_runtime
from mvit_nas.cost.targets.machine import this_processor
from mvit_nas.cost.targets.python import this_host
from mvit_nas.data.find import find_data
from mvit_nas.errors import InputError, MeasurementError, MvitNasError, TrainingError
from mvit_nas.evaluate.estimator import Question
from mvit_nas.evaluate.latency import LatencyMeter
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.jobs.setup import choose_device
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.optimize.within_budget import spread
from mvit_nas.study.record import Measured, Record, State
from mvit_nas.training.loop import Score
from mvit_nas.training.schedule import find_schedule

# Of the networks that are trained more than once, and of the presets.
SEEDS = (0, 1, 2)
_REPEATED, _LONGER = 100, 40
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A training that the table has."""

    design: Design
    schedule: str
    seed: int

    @property
    def key(self) -> Key:
        """What its training is found by."""
        return self.design.arch_id, self.schedule, self.seed


def presets(designs: Designs) -> list[Design]:
    """The paper's networks at the space's strides, by rising multiply-adds."""
    return sorted(designs.presets.values(), key=lambda design: design.cost.macs)


def repeated(designs: Designs) -> list[Design]:
    """The networks that are trained with several seeds, and whose latency is measured."""
    return spread(networks(designs), _REPEATED)


def plan(designs: Designs) -> list[Task]:
    """All trainings of the table, in the order in which they are made."""
    again = repeated(designs)
    first, *others = SEEDS
    return [
        *(Task(design=one, schedule=SHORT, seed=first) for one in interleaved(networks(designs))),
        *(Task(design=one, schedule=SHORT, seed=seed) for one in interleaved(again) for seed in others),
        *(Task(design=one, schedule=MEDIUM, seed=first) for one in interleaved(spread(again, _LONGER))),
        *(Task(design=one, schedule=SHORT, seed=seed) for one in presets(designs) for seed in SEEDS),
        *(Task(design=one, schedule=MEDIUM, seed=first) for one in presets(designs)),
    ]


def interleaved(designs: Sequence[Design]) -> list[Design]:
    """The same, so that any first ones of them, and every second one of those, are spread over all."""
    shares = [place * _GOLDEN % 1 for place in range(len(designs))]
    of_share = dict(zip(sorted(shares), designs, strict=True))
    return [of_share[share] for share in shares]


def make(tasks: Sequence[Task], training: ShortTraining, rows: Path) -> None:
    """Train what is not in the file ``rows`` yet. A training that fails has no line, and is named."""
    lines = Lines(rows, TRAINING_FIELDS)
    done = {training_of(line).key for line in lines.lines}
    for number, task in enumerate(tasks, start=1):
        if task.key in done:
            continue
        design = task.design
        where = f"{number} of {len(tasks)}: {design.candidate.label} by {task.schedule}, seed {task.seed}"
        try:
            score = _trained(training.with_schedule(find_schedule(task.schedule)), design, seed=task.seed)
        except TrainingError as error:
            print(f"{where}: failed: {error}", file=sys.stderr, flush=True)
            continue
        found = Training(
            network=design.arch_id,
            schedule=task.schedule,
            seed=task.seed,
            correct=score.correct,
            images=score.images,
            losses=score.losses,
            rungs=score.rungs,
            seconds=score.seconds,
            processor=this_processor(),
        )
        lines.add(found.to_line())
        print(f"{where}: {score.accuracy:.4f} in {score.seconds:.0f} s", flush=True)


def _trained(training: ShortTraining, design: Design, *, seed: int) -> Score:
    """The score with its rungs, which there are where a search asks, and with the losses, which a search does not."""
    assert design.arch is not None
    training.estimate(Question(record=Record(trial=None, state=State.COMPLETE, candidate=design.candidate, seed=seed)))
    score, _ = training.score(design.arch, seed=seed)
    return score


def measure(designs: Sequence[Design], meters: Sequence[LatencyMeter], rows: Path) -> None:
    """Measure the latencies that are not in the file ``rows`` yet. One that cannot be measured is named."""
    lines = Lines(rows, TIMING_FIELDS)
    timings = [timing_of(line) for line in lines.lines]
    done = {(one.network, one.runtime) for one in timings}
    for design, meter in itertools.product(designs, meters):
        runtime = meter.runtime.name
        if (design.arch_id, runtime) in done:
            continue
        assert design.arch is not None
        try:
            latency = meter.latency(design.arch, classes=CLASSES).latency
        except MeasurementError as error:
            print(f"{design.candidate.label} by {runtime}: not measured: {error}", file=sys.stderr, flush=True)
            continue
        found = Timing(
            network=design.arch_id,
            runtime=runtime,
            latency=Measured(value=latency.median_ms, low=latency.low_ms, high=latency.high_ms),
            runs=latency.runs,
            processor=this_processor(),
        )
        lines.add(found.to_line())
        print(f"{design.candidate.label} by {runtime}: {latency.median_ms:.3f} ms", flush=True)


def pack(tasks: Sequence[Task], trainings: Sequence[Training], timings: Sequence[Timing], path: Path) -> None:
    """Write the table, by rising multiply-adds. Raises InputError where a training is missing or is none of it."""
    known = {one.key: one for one in reversed(trainings)}  # of two that were made twice the first one counts
    if strange := known.keys() - {task.key for task in tasks}:
        raise InputError(f"{' '.join(map(str, min(strange)))} is no training of the table: remove its line")
    if missing := [task for task in tasks if task.key not in known]:
        first = " ".join(map(str, missing[0].key))
        raise InputError(f"{len(missing)} of {len(tasks)} trainings are missing, the first one {first}: make them")

    def order(task: Task) -> tuple[int, str, bool, int]:
        return task.design.cost.macs, task.design.arch_id, task.schedule != SHORT, task.seed

    write_table(path, [(task.design, known[task.key]) for task in sorted(tasks, key=order)], timings)


def _make(arguments: argparse.Namespace) -> None:
    data = find_data(str(arguments.data))
    if len(data.classes) != CLASSES:
        raise InputError(f"the table is of {CLASSES} classes, {arguments.data} has {len(data.classes)}: give CIFAR-10")
    torch.set_num_threads(1)
    part, parts = arguments.part
    training = ShortTraining(data, find_schedule(SHORT), device=choose_device("cpu"))
    own = training.outside(arguments.rows.with_suffix(".trainings"))
    make(plan(table_designs())[part::parts], own, arguments.rows)


def _latency(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    designs = table_designs()
    meters = [
        LatencyMeter(find_runtime(name), this_host(), threads=1, precision=0.01, seconds=6.0) for name in RUNTIMES
    ]
    measure([*interleaved(repeated(designs)), *presets(designs)], meters, arguments.rows)
    for meter in meters:
        print(f"{meter.conditions().runtime}: {meter.conditions().reliability}")


def _pack(arguments: argparse.Namespace) -> None:
    trainings = [one for path in arguments.rows for one in read_trainings(path)]
    timings = [] if arguments.latencies is None else read_timings(arguments.latencies)
    pack(plan(table_designs()), trainings, timings, arguments.out)
    print(f"{arguments.out}: {len({one.key for one in trainings})} trainings, {arguments.out.stat().st_size:,} bytes")


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and int(part) < int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part: give 0/2 and 1/2 for halves")
    return int(part), int(parts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make", help="train what is missing")
    making.add_argument("data", type=Path, help="the folder of CIFAR-10")
    making.add_argument("--rows", type=Path, required=True, help="where the trainings are kept, a .csv file")
    making.add_argument("--part", type=_part, default=(0, 1), metavar="K/N", help="every N-th training, from the K-th")
    making.set_defaults(run=_make)
    timing = commands.add_parser("latency", help="measure the latencies that are missing")
    timing.add_argument("--rows", type=Path, required=True, help="where the latencies are kept, a .csv file")
    timing.set_defaults(run=_latency)
    packing = commands.add_parser("pack", help="write the table of all that was made")
    packing.add_argument("rows", type=Path, nargs="+", help="what was made")
    packing.add_argument("--latencies", type=Path, help="what was measured")
    packing.add_argument("--out", type=Path, default=TABLE)
    packing.set_defaults(run=_pack)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command says. A failure that its user can understand is one line."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except (MvitNasError, OSError) as error:
        print(f"mobilevit_table: {error}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, MvitNasError) else 1)


if __name__ == "__main__":
    main()
