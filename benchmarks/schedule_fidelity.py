"""Do the ranks of a short schedule hold on a long one, and which short schedule keeps them best for its cost?

Three problems: networks of the space `mobilevit_small` below 15 M multiply-adds and of 15 to 100 M on CIFAR-10 at
32 px, and of 15 to 100 M on photos of clothing at 64 px, evenly spread over the multiply-adds. Each network is trained
by the long schedule, which sees six times the images of `short`, and by each short one, on the same seeds. Reported for
each short one: Kendall's tau of its accuracies with the long schedule's, with its 95 % interval (both are means over
seeds, the interval is over networks), and the seconds of a training. The interval is wide: it says which schedules
cannot be told apart. With several seeds also: tau of a schedule's seeds with each other, which says what one training
can rank at all, and the spread of seeds.

Each training is a line of ``--rows`` as soon as it ends, and is not repeated: the command goes on where it was stopped.
The first seed comes first, and of it every second network, so that a part of the rows says something already.

    python benchmarks/schedule_fidelity.py ../shared/data --rows experiments/schedule_fidelity/trainings.csv
"""

import argparse
import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lines import Lines

from mvit_nas.arch.space import fix_image_size, load_space
from mvit_nas.budget import parse_budget
from mvit_nas.cost.targets.machine import this_processor
from mvit_nas.data.find import find_data
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.jobs.setup import choose_device
from mvit_nas.maths.statistics import rank_correlation
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.optimize.within_budget import sample_feasible, spread
from mvit_nas.training.schedule import Schedule, find_schedule

# Which networks are drawn.
_SEED = 0
# `short` as it was when this was asked: batches of 16 whatever the network's size.
_BATCH_16 = replace(find_schedule("short"), name="batch 16", batch_size=16)
_BATCH_32 = replace(_BATCH_16, name="batch 32", batch_size=32)
# Six times as many images.
_LONG = replace(_BATCH_32, name="long", epochs=12, images_per_epoch=4000)


@dataclass(frozen=True)
class Problem:
    """Networks of ``budget`` at ``image_size``, trained on the data in the folder ``data``."""

    name: str
    data: str
    image_size: int
    budget: tuple[str, ...]
    networks: int


@dataclass(frozen=True)
class Tried:
    """A schedule as it is tried: with or without the dropout of the paper."""

    schedule: Schedule
    dropout: bool = True

    @property
    def name(self) -> str:
        """That of the schedule."""
        return self.schedule.name


_PROBLEMS = (
    Problem("above 15M", "cifar10", 32, ("15M..100M MACs",), 12),
    Problem("clothing", "clothing", 64, ("15M..100M MACs",), 6),
    Problem("below 15M", "cifar10", 32, ("6M", "15M MACs"), 16),
)
_TRIED = (
    Tried(_LONG),
    Tried(_BATCH_16),
    Tried(_BATCH_32),
    Tried(replace(_BATCH_16, name="batch 8", batch_size=8)),
    Tried(replace(_BATCH_16, name="batch 16, twice the images", images_per_epoch=4000)),
    Tried(replace(_BATCH_16, name="batch 16, hardly clipped", clip_norm=5.0)),
    Tried(replace(_BATCH_16, name="batch 16, rate 0.0005", learning_rate=0.0005)),
    Tried(replace(_BATCH_16, name="batch 16, no dropout"), dropout=False),
    Tried(replace(_BATCH_32, name="batch 32, no dropout"), dropout=False),
)


def _networks(problem: Problem, *, classes: int) -> list[Design]:
    """From the cheapest to the dearest."""
    space = fix_image_size(load_space("mobilevit_small"), problem.image_size)
    budgets = tuple(parse_budget(budget) for budget in problem.budget)
    feasible = sample_feasible(Designs(space, classes=classes), budgets, seed=_SEED)
    return spread(feasible.designs, problem.networks)


class Rows:
    """The trainings that are done: one line of a file each."""

    _FIELDS = ("problem", "network", "macs", "params", "schedule", "seed", "accuracy", "images", "seconds", "processor")

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path, self._FIELDS)

    def of(self, problem: Problem, schedule: str) -> dict[str, dict[int, dict[str, str]]]:
        """The trainings of each network by its id, by seed."""
        found: dict[str, dict[int, dict[str, str]]] = {}
        for row in self._lines.lines:
            if (row["problem"], row["schedule"]) == (problem.name, schedule):
                found.setdefault(row["network"], {})[int(row["seed"])] = row
        return found

    def train(self, problem: Problem, design: Design, tried: Tried, training: ShortTraining, *, seed: int) -> None:
        """Train ``design`` and keep the row, where it is not kept yet."""
        if seed in self.of(problem, tried.name).get(design.arch_id, {}):
            return
        assert design.arch is not None
        network = design.arch if tried.dropout else replace(design.arch, dropout=0.0, head_dropout=0.0)
        score, _ = training.with_schedule(tried.schedule).score(network, seed=seed)
        row = {
            "problem": problem.name,
            "network": design.arch_id,
            "macs": str(design.cost.macs),
            "params": str(design.cost.params),
            "schedule": tried.name,
            "seed": str(seed),
            "accuracy": f"{score.accuracy:.4f}",
            "images": str(score.images),
            "seconds": f"{score.seconds:.1f}",
            "processor": this_processor(),
        }
        self._lines.add(row)
        self._lines.lines.append(row)
        name = f"{problem.name}: {design.arch_id} {tried.name}, seed {seed}"
        print(f"{name}: {score.accuracy:.4f} in {score.seconds:.0f} s", flush=True)


def _report(rows: Rows, problem: Problem, tried: Sequence[Tried]) -> None:
    """Kendall's tau of each short schedule over the networks that it and the long one have trained."""
    print(f"\n{problem.name}: {problem.data}, {problem.image_size} px, {', '.join(problem.budget)}")
    print(
        f"{'schedule':<26}{'networks':>9}{'seeds':>6}{'tau':>7}{'95 % interval':>18}{'of two seeds':>14}"
        f"{'sd of seeds':>13}{'accuracy':>20}{'s each':>9}"
    )
    long = rows.of(problem, _LONG.name)
    for each in tried:
        short = rows.of(problem, each.name)
        both = [name for name in long if name in short]
        if not both:
            continue
        accuracies = [_mean(short[name]) for name in both]
        tau = rank_correlation([_mean(long[name]) for name in both], accuracies)
        words = "" if tau.tau is None or each.name == _LONG.name else f"{tau.tau:.2f}"
        interval = f"{tau.low:.2f} to {tau.high:.2f}" if words else ""
        again, spread = _agreement([short[name] for name in both])
        seeds = statistics.mean(len(short[name]) for name in both)
        reached = f"{100 * min(accuracies):.1f} to {100 * max(accuracies):.1f} %"
        seconds = statistics.median(float(row["seconds"]) for name in both for row in short[name].values())
        print(
            f"{each.name:<26}{len(both):>9}{seeds:>6.1f}{words:>7}{interval:>18}{again:>14}{spread:>13}{reached:>20}"
            f"{seconds:>9.0f}"
        )


def _mean(trainings: Mapping[int, Mapping[str, str]]) -> float:
    return statistics.mean(float(row["accuracy"]) for row in trainings.values())


def _agreement(networks: Sequence[Mapping[int, Mapping[str, str]]]) -> tuple[str, str]:
    """Mean tau of two seeds over all pairs of seeds, and the pooled standard deviation over seeds in points."""
    several = [network for network in networks if len(network) > 1]
    if len(several) < 3:
        return "", ""
    taus = []
    for one, other in itertools.combinations(sorted({seed for network in several for seed in network}), 2):
        pairs = [(network[one], network[other]) for network in several if one in network and other in network]
        if len(pairs) > 2:
            sides = [[float(row["accuracy"]) for row in side] for side in zip(*pairs, strict=True)]
            taus.append(rank_correlation(*sides).tau or 0.0)
    variance = statistics.mean(statistics.variance(float(row["accuracy"]) for row in one.values()) for one in several)
    return f"{statistics.mean(taus):.2f}", f"{100 * variance**0.5:.1f} points"


def main() -> None:
    """Train what is not in the rows yet, then print a table for each problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with cifar10 and clothing")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--problems", nargs="+", default=[one.name for one in _PROBLEMS[:2]], metavar="PROBLEM")
    parser.add_argument("--only", nargs="+", default=[each.name for each in _TRIED], metavar="SCHEDULE")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows, tried = Rows(arguments.rows), [each for each in _TRIED if each.name in arguments.only]
    problems = [one for one in _PROBLEMS if one.name in arguments.problems]
    trainings = {
        one: ShortTraining(find_data(str(arguments.data / one.data)), _LONG, device=choose_device("cpu"))
        for one in problems
    }
    designs = {one: _networks(one, classes=trainings[one].classes) for one in problems}
    # Every second one first.
    orders = {one: [*range(0, one.networks, 2), *range(1, one.networks, 2)] for one in problems}
    turns = itertools.zip_longest(*([(one, place) for place in orders[one]] for one in problems))
    order = [turn for group in turns for turn in group if turn is not None]
    if not arguments.report:
        for seed, (one, place), each in itertools.product(range(arguments.seeds), order, tried):
            rows.train(one, designs[one][place], each, trainings[one], seed=seed)
    for one in problems:
        _report(rows, one, tried)


if __name__ == "__main__":
    main()
