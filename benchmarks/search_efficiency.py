"""How much does each way of searching find for its compute, and does the default of `mvit-nas search` find the most?

The objectives are accuracy, parameters and multiply-adds, with a budget on both costs. In the *table* all networks were
trained for real (NAS-Bench-Macro, Su et al., CVPR 2021: 6,561 networks on CIFAR-10, three trainings each): a trial sees
one of the three trainings, and what is found is judged by their mean. The *simulations* are the space
`benchmarks/spaces/with_stem_stride.yaml` with accuracies from a formula; in the rough one seeds spread as measured,
three networks in a hundred stay at chance, and four factors do nothing (`known_spaces.py`). *mobilevit* is the table of
this project's own trainings, where it is (`mobilevit_table.py`). The default's settings were chosen on the simulations
for tuning, none of which is reported here.

The loop is that of `mvit-nas search`, in memory and with these as estimators. A whole training costs one unit, a
stopped one the share of its epochs. All begin with the same designs. Reported after 12, 25, 50 and 100 units, in the
mean over the seeds: the true accuracy of the network that a person would take within the budget and within 1/2, 1/4
and 1/8 of it; and the hypervolume as pages have it, with logarithmic costs and accuracy from chance. Beside each by
how much the default is ahead, seed by seed, with the 95 % interval; a star where that is shown by Holm's rule over
all differences of the space. Then the units after which each has what random sampling has in the end. Slow
contestants run with five seeds to 50 units. Runs are kept in the folder --keep, so that the benchmark goes on where
it was stopped.

    make search-benchmark
    python benchmarks/search_efficiency.py ../shared/reference/bench/nas-bench-macro_cifar10.json [--seeds 20]
"""

import argparse
import json
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import optuna
from contestants import CONTESTANTS, DEFAULT, make_sampler, missing
from known_spaces import MEASURES, KnownSpace, TableSpace, simulations
from mobilevit_space import TABLE, MobileViTTable
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler

from mvit_nas.arch.space import Label
from mvit_nas.maths.seeds import derive_seed
from mvit_nas.maths.statistics import Difference, holm, paired_difference
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.loop import Limits, Search
from mvit_nas.optimize.samplers import CostAwareSampler
from mvit_nas.reporter import Reporter
from mvit_nas.study.record import Record
from mvit_nas.study.store import Store
from mvit_nas.study.trial import Proposal

UNITS, SLOW_UNITS, SLOW_SEEDS = 100, 50, 5
MARKS = (12, 25, 50, 100)
_ALPHA = 0.05
# What "the units after which" is asked for.
_REACHED = ("best within the budget", "log hypervolume")
# Trials of the study in which the time of a proposal is taken.
_MANY = 1000


class TimedStore(Store):
    """A store that adds up the ``seconds`` of its proposals."""

    seconds = 0.0

    def propose(self, sampler: str, *, lost: int = 0) -> Proposal:
        """As the store does."""
        start = time.perf_counter()
        proposal = super().propose(sampler, lost=lost)
        self.seconds += time.perf_counter() - start
        return proposal


def open_store(candidates: Candidates, seed: int) -> TimedStore:
    """A store in memory, as `mvit_nas.optimize.samplers` makes them, with the samplers of `contestants.py` besides."""

    def sampler(name: str, number: int, lost: int) -> BaseSampler:
        return make_sampler(name, candidates, derive_seed(seed, "sampler", number) % 2**32)

    return TimedStore(None, objectives=candidates.goal.objectives, choices=candidates.choices, samplers=sampler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What each of MEASURES was ``at_unit`` 1, 2, ..., and the seconds of the proposals."""

    at_unit: Mapping[str, Sequence[float]]
    seconds: float


def found_by(space: KnownSpace, name: str, seed: int, units: int) -> tuple[list[Record], np.ndarray, float]:
    """What a search by the contestant ``name`` trained to the end, the units at each, and the proposals' seconds."""
    contestant, candidates = CONTESTANTS[name], space.candidates(seed)
    store = open_store(candidates, seed)
    search = Search(
        store,
        contestant.wrap(space),
        candidates,
        Limits(trials=units, seed=seed, sampler=contestant.sampler),
        latency_of=_not_measured,
        reporter=Reporter(),
    )
    records = search.run()
    found = [record for record in records if record.is_complete]
    spent_at = np.cumsum([record.spent.trainings for record in records])[[record.is_complete for record in records]]
    return found, spent_at, store.seconds


def run(space: KnownSpace, name: str, seed: int, units: int = UNITS) -> Run:
    """What such a search has after each unit."""
    found, spent_at, seconds = found_by(space, name, seed, units)
    done = [int((spent_at <= unit + 1e-9).sum()) for unit in range(1, units + 1)]
    measured = {name: np.append(0.0, values) for name, values in space.measures(found).items()}
    at_unit = {name: [round(float(values[number]), 6) for number in done] for name, values in measured.items()}
    return Run(at_unit=at_unit, seconds=round(seconds, 2))


def _not_measured(arch: object) -> NoReturn:
    raise AssertionError("no latency is asked for")


def proposal_seconds(space: KnownSpace) -> float:
    """The median seconds of a proposal by the default in a study of 1,000 finished trials."""
    candidates = space.candidates(0)
    generator = random.Random("a thousand trials")
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    distributions: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(choices) for name, choices in candidates.choices.items()
    }

    def values(labels: Mapping[str, Label]) -> list[float]:
        design = candidates.designs.describe(labels)
        return [space.trained_accuracy(design.candidate, 0), float(design.cost.params), float(design.cost.macs)]

    while len(study.get_trials(deepcopy=False)) < _MANY:
        labels = {name: generator.choice(choices) for name, choices in candidates.choices.items()}
        if candidates.candidate(labels) is not None:
            known = optuna.trial.create_trial(values=values(labels), params=labels, distributions=distributions)
            study.add_trial(known)
    study.sampler = CostAwareSampler(candidates, accuracy=0, seed=0)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        trial = study.ask(distributions)
        seconds.append(time.perf_counter() - start)
        study.tell(trial, values(trial.params))
    return statistics.median(seconds)


def spaces(table: Path) -> dict[str, Callable[[], KnownSpace]]:
    """All by name, those for tuning too."""
    known: dict[str, Callable[[], KnownSpace]] = {**simulations(), "table": lambda: TableSpace(table)}
    return known | ({"mobilevit": MobileViTTable} if TABLE.exists() else {})


def main() -> None:
    """Print the tables of each space, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="nas-bench-macro_cifar10.json")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS), metavar="NAME")
    parser.add_argument("--spaces", nargs="+", metavar="SPACE", help="without it: all but those for tuning")
    parser.add_argument("--keep", type=Path, help="where finished runs are kept, and read from")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    left_out = list(missing(arguments.only))
    for name in left_out:
        print(f"{name} is left out: pip install {CONTESTANTS[name].needs.replace('_', '-')}", file=sys.stderr)
    names = [name for name in arguments.only if name not in left_out]
    known = spaces(arguments.table)
    document: dict[str, object] = {}
    for title in arguments.spaces or [name for name in known if not name.startswith("tuning")]:
        space = known[title]()
        results = {name: dict(_runs(space, name, arguments.seeds, arguments.keep)) for name in names}
        document[title] = _show(title, results) | {"proposal_seconds": proposal_seconds(space)}
    print(json.dumps({"seeds": arguments.seeds, "marks": MARKS, "spaces": document}))


def _runs(space: KnownSpace, name: str, seeds: int, folder: Path | None) -> Iterator[tuple[int, Run]]:
    slow = CONTESTANTS[name].slow
    for seed in range(min(seeds, SLOW_SEEDS) if slow else seeds):
        yield seed, _kept(space, name, seed, SLOW_UNITS if slow else UNITS, folder)


def _kept(space: KnownSpace, name: str, seed: int, units: int, folder: Path | None) -> Run:
    path = folder / f"{space.name}-{name}-{seed}.json".replace(", ", "-").replace(" ", "_") if folder else None
    if path is not None and path.exists():
        return Run(**json.loads(path.read_text()))
    found = run(space, name, seed, units)
    print(f"{space.name}, {name}, seed {seed}: {found.at_unit[MEASURES[0]][-1]:.4f}", file=sys.stderr, flush=True)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"at_unit": found.at_unit, "seconds": found.seconds}))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A contestant after so many units: its mean and by how much the default is ahead of it, seed by seed."""

    measure: str
    contestant: str
    mark: int
    by_seed: Sequence[float]
    ahead: Difference | None


def _cells(results: Mapping[str, Mapping[int, Run]]) -> Iterator[Cell]:
    base = results.get(DEFAULT, {})
    for measure in MEASURES:
        for name, runs in results.items():
            for mark in MARKS:
                at = {
                    seed: one.at_unit[measure][mark - 1]
                    for seed, one in runs.items()
                    if mark <= len(one.at_unit[measure])
                }
                shared = [seed for seed in at if seed in base]
                ahead = None
                if name != DEFAULT and shared:
                    ours = [base[seed].at_unit[measure][mark - 1] for seed in shared]
                    ahead = paired_difference(ours, [at[seed] for seed in shared])
                if at:
                    yield Cell(measure=measure, contestant=name, mark=mark, by_seed=list(at.values()), ahead=ahead)


def _show(title: str, results: Mapping[str, Mapping[int, Run]]) -> dict[str, object]:
    cells = list(_cells(results))
    p_values = dict(zip(map(id, cells), holm([one.ahead.p if one.ahead else None for one in cells]), strict=True))
    shown = {id(one) for one in cells if (p := p_values[id(one)]) is not None and p < _ALPHA}
    for measure in MEASURES:
        print(f"\n{title}, {measure}, in percent, after {', '.join(map(str, MARKS))} units (the default ahead by)")
        for name in results:
            own = [one for one in cells if (one.measure, one.contestant) == (measure, name)]
            print(f"{name:<24}" + "".join(f"{_words(one, is_shown=id(one) in shown):>28}" for one in own))
    behind = [one for one in cells if one.ahead and id(one) in shown and (one.ahead.mean or 0.0) < 0]
    compared = [one for one in cells if one.ahead is not None and one.ahead.mean is not None]
    worst = min(compared, key=lambda one: one.ahead.mean if one.ahead and one.ahead.mean else 0.0, default=None)
    print(f"\n{title}: the default is shown to be behind in {len(behind)} of {len(compared)} differences")
    for one in behind:
        print(f"  {one.measure}, {one.contestant}, {one.mark} units: {_words(one, is_shown=True)}")
    if worst is not None:
        print(f"the worst: {worst.measure}, {worst.contestant}, {worst.mark} units: {_words(worst, is_shown=False)}")
    reached = {measure: dict(_reached(results, measure)) for measure in _REACHED if "random" in results}
    for measure, units in reached.items():
        print(f"units to what random sampling has in the end, {measure}: {units}")
    return {
        "cells": [
            {
                "measure": one.measure,
                "contestant": one.contestant,
                "units": one.mark,
                "by_seed": one.by_seed,
                "ahead": one.ahead and {"mean": one.ahead.mean, "low": one.ahead.low, "high": one.ahead.high},
                "p_holm": p_values[id(one)],
            }
            for one in cells
        ],
        "units_to_random": reached,
        "seconds": {name: statistics.mean(one.seconds for one in runs.values()) for name, runs in results.items()},
    }


def _words(cell: Cell, *, is_shown: bool) -> str:
    """ "43.2 (+1.2, +0.3 to +2.1)*"."""
    mean, ahead = f"{100 * statistics.mean(cell.by_seed):.1f}", cell.ahead
    if ahead is None or ahead.mean is None:
        return mean
    interval = "" if ahead.low is None or ahead.high is None else f", {100 * ahead.low:+.1f} to {100 * ahead.high:+.1f}"
    return f"{mean} ({100 * ahead.mean:+.1f}{interval}){'*' if is_shown else ' '}"


def _reached(results: Mapping[str, Mapping[int, Run]], measure: str) -> Iterator[tuple[str, int | None]]:
    """After how many units the mean of each is at least that of random sampling in the end; None where never."""
    means = {name: np.mean([one.at_unit[measure] for one in runs.values()], axis=0) for name, runs in results.items()}
    for name, mean in means.items():
        above = np.flatnonzero(mean >= means["random"][-1])
        yield name, int(above[0]) + 1 if len(above) else None


if __name__ == "__main__":
    main()
