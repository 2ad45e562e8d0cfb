"""The table of the MobileViT family: all networks of a small space, trained on CIFAR-10 for real.

The space is `spaces/mobilevit_table.yaml`, 576 networks of `mobilevit_small`. Each is trained by `short` with seed 0, a
hundred of them, evenly over the multiply-adds, with the seeds 1 and 2 too, and forty of those by `medium` with seed 0.
Beside them are the paper's XXS, XS and S, by `short` with the three seeds and by `medium` with seed 0.

Each training is a line of ``--rows`` as soon as it ends, and is not repeated: the command goes on where it was stopped.
Beside the rows lie its own evaluations, so that what other commands trained does not answer for it. Two processes with
a part each and rows of their own may work side by side. What comes first is spread over the costs, so that a part of
the rows says something already. Six core-hours on a calm AMD EPYC with AVX-512:

    python benchmarks/mobilevit_table.py make ../shared/data/cifar10 --rows rows-0.csv --part 0/2
    python benchmarks/mobilevit_table.py make ../shared/data/cifar10 --rows rows-1.csv --part 1/2
"""

import argparse
import csv
import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mvit_nas.arch.space import load_space
from mvit_nas.cost.targets.machine import this_processor
from mvit_nas.data.find import find_data
from mvit_nas.errors import InputError, MvitNasError, TrainingError
from mvit_nas.evaluate.estimator import Question
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.files import write_text
from mvit_nas.jobs.setup import choose_device
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.optimize.within_budget import spread
from mvit_nas.study.record import Record, Rung, State
from mvit_nas.training.loop import Score
from mvit_nas.training.schedule import find_schedule

SPACE = Path(__file__).parent / "spaces" / "mobilevit_table.yaml"
CLASSES = 10
SHORT, MEDIUM = "short", "medium"
# Of the networks that are trained more than once, and of the presets.
SEEDS = (0, 1, 2)
_REPEATED, _LONGER = 100, 40
_GOLDEN = (math.sqrt(5) - 1) / 2

# Which network, by which schedule, from which seed.
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A training that the table has."""

    design: Design
    schedule: str
    seed: int

    @property
    def key(self) -> Key:
        """What its row is found by."""
        return self.design.arch_id, self.schedule, self.seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A training that is done: ``correct`` of ``images`` at the end, ``losses`` the mean training loss of each epoch.

    ``rungs`` are scored on 500 of the images.
    """

    network: str
    schedule: str
    seed: int
    correct: int
    images: int
    losses: tuple[float, ...]
    rungs: tuple[Rung, ...]
    seconds: float
    processor: str

    @property
    def key(self) -> Key:
        """Which training it is."""
        return self.network, self.schedule, self.seed

    @property
    def accuracy(self) -> float:
        """Share of correct answers."""
        return self.correct / self.images

    def to_line(self) -> dict[str, str]:
        """As a line of a file: losses by spaces, rungs as EPOCH:CORRECT/IMAGES."""
        return {
            "network": self.network,
            "schedule": self.schedule,
            "seed": str(self.seed),
            "correct": str(self.correct),
            "images": str(self.images),
            "losses": " ".join(f"{loss:.6f}" for loss in self.losses),
            "rungs": " ".join(f"{rung.epoch}:{rung.correct}/{rung.images}" for rung in self.rungs),
            "seconds": f"{self.seconds:.1f}",
            "processor": self.processor,
        }


_FIELDS = ("network", "schedule", "seed", "correct", "images", "losses", "rungs", "seconds", "processor")


def of_line(line: Mapping[str, str]) -> Row:
    """The row that ``to_line`` wrote. Raises ValueError for anything else."""
    losses = tuple(float(loss) for loss in line["losses"].split())
    rungs = []
    for word in line["rungs"].split():
        epoch, correct, images = (int(number) for number in word.replace("/", ":").split(":"))
        rungs.append(Rung(epoch=epoch, loss=losses[epoch - 1], correct=correct, images=images))
    return Row(
        network=line["network"],
        schedule=line["schedule"],
        seed=int(line["seed"]),
        correct=int(line["correct"]),
        images=int(line["images"]),
        losses=losses,
        rungs=tuple(rungs),
        seconds=float(line["seconds"]),
        processor=line["processor"],
    )


def read_rows(path: Path) -> list[Row]:
    """The trainings in the file ``path``. Raises InputError where it is no such file."""
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != _FIELDS:
                raise InputError(f"{path} holds no trainings: its columns are not {', '.join(_FIELDS)}")
            rows = []
            for line in reader:
                try:
                    rows.append(of_line(line))
                except (AttributeError, IndexError, ValueError):
                    raise InputError(f"{path} line {reader.line_num} is no training: remove it") from None
            return rows
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from None


class Rows:
    """The trainings that are done, a line of the file ``path`` each. What a kill left of a line is taken back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_bytes().decode(errors="replace") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1] or ",".join(_FIELDS) + "\n"
        if whole != text:
            write_text(path, whole)
        self.done = {row.key: row for row in read_rows(path)}

    def add(self, row: Row) -> None:
        """Keep ``row``."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, _FIELDS, lineterminator="\n").writerow(row.to_line())
        self.done[row.key] = row


def table_designs() -> Designs:
    """The space of the table."""
    return Designs(load_space(SPACE), classes=CLASSES)


def networks(designs: Designs) -> list[Design]:
    """All networks of the space, by rising multiply-adds."""
    names = [parameter.name for parameter in designs.space.parameters]
    choices = [tuple(parameter.choices) for parameter in designs.space.parameters]
    found = [designs.describe(dict(zip(names, labels, strict=True))) for labels in itertools.product(*choices)]
    return sorted(found, key=lambda design: (design.cost.macs, design.arch_id))


def repeated(designs: Designs) -> list[Design]:
    """Those that are trained with several seeds, and whose latency is measured."""
    return spread(networks(designs), _REPEATED)


def plan(designs: Designs) -> list[Task]:
    """All trainings of the table, in the order in which they are made."""
    again = repeated(designs)
    presets = sorted(designs.presets.values(), key=lambda design: design.cost.macs)
    first, *others = SEEDS
    return [
        *(Task(design=one, schedule=SHORT, seed=first) for one in interleaved(networks(designs))),
        *(Task(design=one, schedule=SHORT, seed=seed) for one in interleaved(again) for seed in others),
        *(Task(design=one, schedule=MEDIUM, seed=first) for one in interleaved(spread(again, _LONGER))),
        *(Task(design=one, schedule=SHORT, seed=seed) for one in presets for seed in SEEDS),
        *(Task(design=one, schedule=MEDIUM, seed=first) for one in presets),
    ]


def interleaved(designs: Sequence[Design]) -> list[Design]:
    """The same, so that any first ones of them, and every second one of those, are spread over all."""
    shares = [place * _GOLDEN % 1 for place in range(len(designs))]
    of_share = dict(zip(sorted(shares), designs, strict=True))
    return [of_share[share] for share in shares]


def make(tasks: Sequence[Task], training: ShortTraining, rows: Rows) -> None:
    """Train what is not in ``rows`` yet. A training that fails has no row, and is named."""
    for number, task in enumerate(tasks, start=1):
        if task.key in rows.done:
            continue
        design, where = task.design, f"{number} of {len(tasks)}: {task.design.candidate.label} {task.schedule}"
        try:
            score = _trained(training.with_schedule(find_schedule(task.schedule)), design, seed=task.seed)
        except TrainingError as error:
            print(f"{where}, seed {task.seed}: failed: {error}", file=sys.stderr, flush=True)
            continue
        rows.add(
            Row(
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
        )
        print(f"{where}, seed {task.seed}: {score.accuracy:.4f} in {score.seconds:.0f} s", flush=True)


def _trained(training: ShortTraining, design: Design, *, seed: int) -> Score:
    """The score with its rungs, which there are where a search asks, and with the losses, which a search does not."""
    assert design.arch is not None
    training.estimate(Question(record=Record(trial=None, state=State.COMPLETE, candidate=design.candidate, seed=seed)))
    score, _ = training.score(design.arch, seed=seed)
    return score


def _make(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    data = find_data(str(arguments.data))
    if len(data.classes) != CLASSES:
        raise InputError(f"the table is of {CLASSES} classes, {arguments.data} has {len(data.classes)}: give CIFAR-10")
    part, parts = arguments.part
    rows = Rows(arguments.rows)
    training = ShortTraining(data, find_schedule(SHORT), device=choose_device("cpu"))
    make(plan(table_designs())[part::parts], training.outside(arguments.rows.with_suffix(".trainings")), rows)


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
