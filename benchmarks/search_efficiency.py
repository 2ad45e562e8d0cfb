"""How much does each sampler find for its compute, and does the default of `mvit-nas search` find the most?

Two spaces, the objectives accuracy, parameters and multiply-adds, a budget on both costs. In the *table* all networks
were trained for real (NAS-Bench-Macro, Su et al., CVPR 2021: 6,561 networks on CIFAR-10, three trainings each): a trial
sees one of the three trainings, and what is found is judged by their mean. The *simulation* is the space
`benchmarks/spaces/with_stem_stride.yaml` with accuracies from a formula, trainings that scatter, and random effects of
all pairs of choices, which no feature shows. Learning curves are simulated in both, so that trainings can be stopped
(`known_spaces.py`).

The loop is that of `mvit-nas search`, in memory and with these two as estimators. A whole training costs one unit, a
stopped one the share of its epochs. All samplers start with the same designs. Reported: the hypervolume after 25,
50 and 100 units, in the table as a share of that of all networks, its mean over the seeds with its standard error;
after how many units the default has what others have at the end; and the seconds that 100 units' proposals took. Runs
are kept in the folder --keep, so that the benchmark goes on where it was stopped.

    make search-benchmark
    python benchmarks/search_efficiency.py ../shared/reference/bench/nas-bench-macro_cifar10.json [--seeds 20]
"""

import argparse
import importlib.util
import json
import math
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import numpy as np
import optuna
from known_spaces import EPOCHS, KnownSpace, SimulatedSpace, TableSpace
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler

from mvit_nas.arch.space import Label
from mvit_nas.evaluate.estimator import AtRung, Estimate, Estimator, Question
from mvit_nas.evaluate.rungs import EarlyStopping
from mvit_nas.maths.seeds import derive_seed
from mvit_nas.metrics import MACS, PARAMS
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.loop import Limits, Search
from mvit_nas.optimize.samplers import SAMPLERS, CostAwareSampler
from mvit_nas.reporter import Reporter
from mvit_nas.study.record import Guess, Record, Rung, State
from mvit_nas.study.store import Asked, Store

UNITS = 100
MARKS = (25, 50, 100)
DEFAULT = "cost-aware"
# Trials of the study in which the time of a proposal is taken.
_MANY = 1000


class Moasha:
    """Syne Tune's MOASHA (Schmucker et al., 2021), which halves at the same rungs; it knows nothing of the costs."""

    epochs = EPOCHS

    def __init__(self, estimator: Estimator) -> None:
        from syne_tune.optimizer.schedulers.multiobjective.moasha import (  # type: ignore[import-not-found,unused-ignore]
            MOASHA,
        )

        self._estimator = estimator
        self._scheduler = MOASHA(
            {}, metrics=["error", "params", "macs"], time_attr="epoch", max_t=EPOCHS, grace_period=1, reduction_factor=2
        )

    def estimate(self, question: Question, *, at_rung: AtRung, should_stop: Callable[[], bool]) -> Estimate:
        """The other's answer until the scheduler stops it; random draws do not look at what is expected."""
        record = question.record
        trial = SimpleNamespace(trial_id=record.trial)
        self._scheduler.on_trial_add(trial)

        def is_behind(rungs: tuple[Rung, ...]) -> bool:
            result = _result(record, rungs[-1].epoch, rungs[-1].accuracy)
            return bool(self._scheduler.on_trial_result(trial, result) == "STOP")

        found = self._estimator.estimate(question, at_rung=is_behind, should_stop=should_stop)
        if found.accuracy is None:
            return replace(found, expected=Guess(accuracy=found.rungs[-1].accuracy, deviation=1.0))
        self._scheduler.on_trial_complete(trial, _result(record, EPOCHS, found.accuracy.value))
        return found


def _result(record: Record, epoch: int, accuracy: float) -> dict[str, float]:
    costs = {name: record.values[name].value for name in (PARAMS.name, MACS.name)}
    return {"epoch": epoch, "error": 1 - accuracy, **costs}


def _stopping(estimator: Estimator) -> Estimator:
    return EarlyStopping(estimator, costs=(PARAMS, MACS))


def _plain(estimator: Estimator) -> Estimator:
    return estimator


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Who proposes, one of SAMPLERS or "independent", and what wraps the estimator."""

    sampler: str
    wrap: Callable[[Estimator], Estimator] = _plain


CONTESTANTS: Mapping[str, Contestant] = {
    DEFAULT: Contestant(sampler="cost-aware"),
    "cost-aware, stopping": Contestant(sampler="cost-aware", wrap=_stopping),
    "TPE, multivariate": Contestant(sampler="tpe"),
    "TPE, independent": Contestant(sampler="independent"),
    "NSGA-II": Contestant(sampler="nsga2"),
    "random": Contestant(sampler="random"),
    "random, stopping": Contestant(sampler="random", wrap=_stopping),
    "MOASHA": Contestant(sampler="random", wrap=Moasha),
    "GPSampler": Contestant(sampler="gp"),
}


class TimedStore(Store):
    """A store that adds up the ``seconds`` of its proposals."""

    seconds = 0.0

    def ask(self, sampler: str) -> Asked:
        """As the store does."""
        start = time.perf_counter()
        asked = super().ask(sampler)
        self.seconds += time.perf_counter() - start
        return asked


def open_store(candidates: Candidates, seed: int) -> TimedStore:
    """A store in memory, as `mvit_nas.optimize.samplers` makes them, with one sampler more."""

    def sampler(name: str, number: int) -> BaseSampler:
        own = derive_seed(seed, "sampler", number) % 2**32
        return optuna.samplers.TPESampler(seed=own) if name == "independent" else SAMPLERS[name](candidates, 0, own)

    return TimedStore(None, objectives=candidates.goal.objectives, choices=candidates.choices, samplers=sampler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The hypervolume ``at_unit`` 1, 2, ..., the seconds of the proposals, and how many trainings ended how."""

    at_unit: tuple[float, ...]
    seconds: float
    stopped: int
    finished: int


def run(space: KnownSpace, name: str, seed: int) -> Run:
    """A search by the contestant ``name``."""
    contestant, candidates = CONTESTANTS[name], space.candidates(seed)
    store = open_store(candidates, seed)
    search = Search(
        store,
        contestant.wrap(space),
        candidates,
        Limits(trials=UNITS, seed=seed, sampler=contestant.sampler),
        latency_of=_not_measured,
        reporter=Reporter(),
    )
    records = search.run()
    found = [record for record in records if record.is_complete]
    spent_at = np.cumsum([record.spent.trainings for record in records])[[record.is_complete for record in records]]
    volumes = np.append(0.0, space.volumes(found))
    done = [int((spent_at <= unit + 1e-9).sum()) for unit in range(1, UNITS + 1)]
    return Run(
        at_unit=tuple(float(volumes[number]) for number in done),
        seconds=store.seconds,
        stopped=sum(record.state is State.STOPPED for record in records),
        finished=len(found),
    )


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


def main() -> None:
    """Print a table for each space, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="nas-bench-macro_cifar10.json")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS), metavar="NAME")
    parser.add_argument("--keep", type=Path, help="where finished runs are kept, and read from")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if "MOASHA" in arguments.only and importlib.util.find_spec("syne_tune") is None:
        arguments.only.remove("MOASHA")
        print("MOASHA is left out: pip install syne-tune", file=sys.stderr)
    spaces: dict[str, dict[str, object]] = {}
    for space in (SimulatedSpace(), TableSpace(arguments.table)):
        results = {
            name: [_kept(space, name, seed, arguments.keep) for seed in range(arguments.seeds)]
            for name in arguments.only
        }
        seconds = proposal_seconds(space)
        spaces[space.name] = {**_show(space.name, results), "proposal_seconds": seconds}
        print(f"a proposal in a study of {_MANY:,} trials: {seconds:.2f} s")
    print(json.dumps({"seeds": arguments.seeds, "spaces": spaces}))


def _kept(space: KnownSpace, name: str, seed: int, folder: Path | None) -> Run:
    path = folder / f"{space.name}-{name.replace(', ', '-')}-{seed}.json" if folder else None
    if path is not None and path.exists():
        known = json.loads(path.read_text())
        return Run(**{**known, "at_unit": tuple(known["at_unit"])})
    found = run(space, name, seed)
    print(f"{space.name}, {name}, seed {seed}: {found.at_unit[-1]:.4f}", file=sys.stderr, flush=True)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(found)))
    return found


def _show(title: str, results: Mapping[str, Sequence[Run]]) -> dict[str, object]:
    means = {name: np.mean([one.at_unit for one in runs], axis=0) for name, runs in results.items()}
    print(f"\n{title}: hypervolume at {', '.join(map(str, MARKS))} units (standard error at the end)")
    print(f"{'sampler':<24}{''.join(f'{mark:>9}' for mark in MARKS)}{'error':>9}{'stopped':>9}{'seconds':>9}")
    rows = {}
    for name, runs in results.items():
        error = statistics.stdev(one.at_unit[-1] for one in runs) / math.sqrt(len(runs)) if len(runs) > 1 else 0.0
        stopped, seconds = (
            statistics.mean(values) for values in zip(*((r.stopped, r.seconds) for r in runs), strict=True)
        )
        marks = [float(means[name][mark - 1]) for mark in MARKS]
        numbers = "".join(f"{value:>9.4f}" for value in marks)
        print(f"{name:<24}{numbers}{error:>9.4f}{stopped:>9.0f}{seconds:>9.1f}")
        rows[name] = {"at": marks, "error": error, "stopped": stopped, "seconds": seconds}
    reached = {}
    if DEFAULT in means:
        for name, mean in means.items():
            above = np.flatnonzero(means[DEFAULT] >= mean[-1])
            reached[name] = int(above[0]) + 1 if len(above) else None
        others = ", ".join(f"{name} {units}" for name, units in reached.items() if name != DEFAULT)
        print(f"units after which the default has what others have at the end: {others}")
    worse = None
    if DEFAULT in means and "random" in means:
        worse = [unit for unit in range(20, UNITS) if means[DEFAULT][unit] < means["random"][unit]]
        print(f"units beyond 20 at which the default is worse than random: {worse or 'none'}")
    return {"samplers": rows, "units_to_reach": reached, "worse_than_random": worse}


if __name__ == "__main__":
    main()
