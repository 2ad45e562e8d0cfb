"""Do ranks after a short training hold better where networks start from inherited weights?

A network is trained on one data set (CIFAR-10). Then networks of the space `mobilevit_small`, evenly spread over the
multiply-adds, are trained on another one (photos of clothing) by a short and by a long schedule, each from weights of
their own and from what fits of that network. Who has pre-trained weights ships what the long training makes of them.
Reported: Kendall's tau of the accuracies after that with those after the short one, from inherited and from own
weights, with its 95 % interval; the same for the long one from own weights; and what the inherited weights are worth.

Each training is a line of ``--rows`` as soon as it ends, and is not repeated: the command goes on where it was stopped.
The first network's weights are kept in the cache. Every second network comes first.

    python benchmarks/init_ranks.py ../shared/data/cifar10 ../shared/data/clothing --rows init_ranks.csv
"""

import argparse
import itertools
import statistics
from dataclasses import replace
from pathlib import Path

import torch
from schedule_fidelity import Problem, Rows, Tried

from mvit_nas.arch.space import fix_image_size, load_space
from mvit_nas.budget import parse_budget
from mvit_nas.data.find import find_data
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.jobs.setup import choose_device
from mvit_nas.maths.statistics import rank_correlation
from mvit_nas.nn.weights.inherit import Source
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.optimize.within_budget import sample_feasible, spread
from mvit_nas.training.schedule import Schedule, find_schedule

_SEED = 0
_STARTS = ("own", "inherited")


def _networks(problem: Problem, *, classes: int) -> list[Design]:
    """From the cheapest to the dearest."""
    space = fix_image_size(load_space("mobilevit_small"), problem.image_size)
    budgets = tuple(parse_budget(budget) for budget in problem.budget)
    feasible = sample_feasible(Designs(space, classes=classes), budgets, seed=_SEED)
    return spread(feasible.designs, problem.networks)


def _pretrained(data: str, schedule: Schedule, problem: Problem) -> Source:
    """The dearest of the networks, trained on ``data``: from it the others take most."""
    training = ShortTraining(find_data(data), schedule, device=choose_device("cpu"))
    arch = _networks(problem, classes=training.classes)[-1].arch
    assert arch is not None, "what is within a budget is a network"
    score, _ = training.kept(arch, seed=_SEED)
    print(f"pre-trained on {data}: {score.accuracy:.4f} after {schedule.epochs} epochs", flush=True)
    name = training.training_name(arch, seed=_SEED)
    return Source(name=data, weights=training.weights(name), classes=training.data.classes)


def _named(start: str, schedule: Schedule) -> Tried:
    return Tried(replace(schedule, name=f"{schedule.name}, {start} weights"))


def _report(rows: Rows, problem: Problem, short: Schedule, long: Schedule) -> None:
    """Kendall's tau of each short training with each long one, then what each start reaches."""

    def found(start: str, schedule: Schedule) -> dict[str, float]:
        trainings = rows.of(problem, _named(start, schedule).name)
        return {name: float(seeds[_SEED]["accuracy"]) for name, seeds in trainings.items()}

    print(f"\n{'ranks after':<28}{'with those after':<28}{'networks':>9}{'tau':>7}{'95 % interval':>18}")
    for after, truth in itertools.product(_STARTS, _STARTS[::-1]):
        first, second = found(after, short), found(truth, long)
        both = [name for name in first if name in second]
        tau = rank_correlation([second[name] for name in both], [first[name] for name in both])
        words = "" if tau.tau is None else f"{tau.tau:.2f}"
        interval = "" if tau.low is None or tau.high is None else f"{tau.low:.2f} to {tau.high:.2f}"
        names = _named(after, short).name, _named(truth, long).name
        print(f"{names[0]:<28}{names[1]:<28}{len(both):>9}{words:>7}{interval:>18}")
    print()
    for start, schedule in itertools.product(_STARTS, (short, long)):
        if accuracies := found(start, schedule).values():
            low, middle, high = min(accuracies), statistics.median(accuracies), max(accuracies)
            reached = f"{100 * low:.1f} to {100 * high:.1f} %, median {100 * middle:.1f} %"
            print(f"{_named(start, schedule).name:<28}{reached}")


def main() -> None:
    """Train what is not in the rows yet, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", help="the data that the weights are from")
    parser.add_argument("data", help="the data that networks are wanted for")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--budget", nargs="+", default=["15M..100M MACs"])
    parser.add_argument("--first-schedule", default="long", help="the longer it is, the more there is to inherit")
    parser.add_argument("--short", default="short")
    parser.add_argument("--long", default="medium")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows, short, long = Rows(arguments.rows), find_schedule(arguments.short), find_schedule(arguments.long)
    problem = Problem(
        name=Path(arguments.data).name,
        data=arguments.data,
        image_size=arguments.image_size,
        budget=tuple(arguments.budget),
        networks=arguments.networks,
    )
    images = find_data(arguments.data)
    designs = _networks(problem, classes=len(images.classes))
    if not arguments.report:
        source = _pretrained(arguments.first, find_schedule(arguments.first_schedule), problem)
        starts = {"own": None, "inherited": source}
        for design in (*designs[::2], *designs[1::2]):
            for schedule, (start, weights) in itertools.product((short, long), starts.items()):
                training = ShortTraining(images, schedule, device=choose_device("cpu"), source=weights)
                rows.train(problem, design, _named(start, schedule), training, seed=_SEED)
    _report(rows, problem, short, long)


if __name__ == "__main__":
    main()
