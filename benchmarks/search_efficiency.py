"""How much does each sampler find for its compute, and does the default of `mvit-nas search` find the most?

Two spaces, the objectives accuracy, parameters and multiply-adds, a budget on both costs. In the *table* all networks
were trained for real (NAS-Bench-Macro, Su et al., CVPR 2021: 6,561 networks on CIFAR-10, three trainings each): a trial
sees one of the three trainings, and what is found is judged by their mean. The *simulation* is the space
`mobilevit_small` with accuracies from a formula (`SimulatedSpace`), trainings that scatter, and random effects of all
pairs of choices, which no feature shows. Learning curves are simulated in both, so that trainings can be stopped
(`learning_curve`).

A whole training costs one unit, a stopped one the share of its epochs. What is over the budget is never trained, and
nothing twice. TPE learns from what was refused; GPSampler does not, so its proposals are moved within the budget, as
the project does it (`RepairingSampler`). All samplers start with the same designs. Reported: the hypervolume after 25,
50 and 100 units, in the table as a share of that of all networks, its mean over the seeds with its standard error;
after how many units the default has what others have at the end; and the seconds that 100 units' proposals took. Runs
are kept in the folder --keep, so that the benchmark goes on where it was stopped.

    make search-benchmark
    python benchmarks/search_efficiency.py ../shared/reference/bench/nas-bench-macro_cifar10.json [--seeds 20]
"""

import argparse
import hashlib
import importlib.util
import json
import math
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.count import StaticCost, count
from mvit_nas.arch.space import Label, load_space
from mvit_nas.errors import InvalidArchError
from mvit_nas.evaluate.rungs import Curve, Guess, foresee, is_hopeless
from mvit_nas.maths.pareto import hypervolume, hypervolume_history
from mvit_nas.optimize.candidates import SpacePool
from mvit_nas.optimize.propose import Candidate
from mvit_nas.optimize.samplers import EXPECTED, GUESSED, SAMPLERS, STARTUP_TRIALS, CostAwareSampler
from mvit_nas.optimize.within_budget import Feasible, describe, sample_feasible, spread
from mvit_nas.training.outcome import Rung
from mvit_nas.units import Budget

UNITS = 100
MARKS = (25, 50, 100)
OBJECTIVES = ("accuracy", "params", "macs")
# A training of 8 epochs, judged after 1, 2 and 4.
EPOCHS, RUNGS = 8, (1, 2, 4)
DEFAULT = "cost-aware"
# Trials of the study in which the time of a proposal is taken.
_MANY = 1000


def normal(*parts: object) -> float:
    """A standard normal number that belongs to ``parts``, the same on every machine (Box and Muller)."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    one, two = ((int.from_bytes(digest[i : i + 8], "big") + 0.5) / 2**64 for i in (0, 8))
    return math.sqrt(-2 * math.log(one)) * math.cos(2 * math.pi * two)


def learning_curve(final: float, size: float, *key: object) -> tuple[Rung, ...]:
    """Simulated: what a network that ends at ``final`` has at each rung.

    The gap to the end closes as a power of the epochs, slower for a dear network (``size`` from 0 to 1) and at a pace
    of each network's own; a rung is scored on few images, so it scatters.
    """
    pace = 0.75 - 0.25 * size + 0.06 * normal("pace", *key)
    rungs = []
    for epoch in RUNGS:
        left = (EPOCHS / epoch) ** pace - 1
        accuracy = final - 0.18 * left + 0.012 * normal("rung", epoch, *key)
        images = 500
        correct = round(images * min(max(accuracy, 0.05), 1.0))
        rungs.append(Rung(epoch=epoch, loss=0.0, correct=correct, images=images))
    return tuple(rungs)


class Space:
    """What both spaces have: candidates with costs, accuracies and curves."""

    name: str
    pool: Any
    reference: Mapping[str, float]
    best = 1.0

    def costs(self, candidate: Candidate) -> tuple[float, float]:
        """Parameters and multiply-adds."""
        raise NotImplementedError

    def true_accuracy(self, candidate: Candidate) -> float:
        """What it is judged by."""
        raise NotImplementedError

    def accuracy(self, candidate: Candidate, seed: int) -> float:
        """What a training with ``seed`` gives."""
        raise NotImplementedError

    def constraints(self, labels: Mapping[str, Label]) -> tuple[float, float] | None:
        """By how much ``labels`` break the budget, relative; None where they are no network."""
        raise NotImplementedError

    def curve(self, candidate: Candidate, seed: int) -> tuple[Rung, ...]:
        """The rungs of that training."""
        size = self.costs(candidate)[1] / self.reference["macs"]
        return learning_curve(self.accuracy(candidate, seed), size, self.name, candidate.identity, seed)

    def volumes(self, found: Sequence[Candidate]) -> np.ndarray:
        """The hypervolume after each of ``found``."""
        values = np.array([[self.true_accuracy(one), *self.costs(one)] for one in found])
        box = [self.reference[name] for name in OBJECTIVES]
        history = hypervolume_history(values, box, maximise=[True, False, False], ideal=[1.0, 0.0, 0.0])
        return np.asarray(history) / self.best


class TableSpace(Space):
    """NAS-Bench-Macro: eight layers with three choices each, within half of the largest costs."""

    name = "table"

    def __init__(self, path: Path) -> None:
        self._table: dict[str, dict[str, Any]] = json.loads(path.read_text())
        largest = [max(one[cost] for one in self._table.values()) for cost in ("params", "flops")]
        self.reference = {"accuracy": 0.0, "params": largest[0] / 2, "macs": largest[1] / 2}
        self.pool = self
        self.choices = {f"layer{i}": ("0", "1", "2") for i in range(8)}
        within = [self._candidate(key) for key in sorted(self._table)]
        self._within = [one for one in within if one is not None]
        self.drawn = self._within
        self.best = 1.0
        distinct = list({one.identity: one for one in self._within}.values())
        values = np.array([[self.true_accuracy(one), *self.costs(one)] for one in distinct])
        box = [self.reference[name] for name in OBJECTIVES]
        self.best = hypervolume(values, box, maximise=[True, False, False], ideal=[1.0, 0.0, 0.0])

    def draw_pool(self, seed: int) -> None:
        """Draw the uniform part of the pool, as a search draws it once."""
        self.drawn = random.Random(f"pool {seed}").sample(self._within, 700)

    def candidate(self, labels: Mapping[str, Label]) -> Candidate | None:
        """The network of ``labels``, None where it is over the budget."""
        return self._candidate("".join(str(labels[name]) for name in self.choices))

    def repaired(self, labels: Mapping[str, Label]) -> Candidate | None:
        """What steps of one layer each towards the budget lead to; the last leaves least of it."""
        here = dict(labels)
        while (found := self.candidate(here)) is None:
            steps = [{**here, name: known} for name, choices in self.choices.items() for known in choices]
            excess = [max(self.constraints(step)) for step in steps]
            here = steps[min(range(len(steps)), key=lambda i: (max(excess[i], 0.0), -excess[i]))]
        return found

    def _candidate(self, key: str) -> Candidate | None:
        one = self._table[key]
        if one["params"] > self.reference["params"] or one["flops"] > self.reference["macs"]:
            return None
        labels = dict(zip((f"layer{i}" for i in range(8)), key, strict=True))
        # The first layer of each stage (layers 0, 2 and 5) halves the map, whatever it is; behind it an identity may
        # stand anywhere and means the same. What the network is has them at the end.
        built = key[:3] + _identities_last(key[3:5]) + key[5] + _identities_last(key[6:])
        features = [float(layer == choice) for layer in built for choice in "012"]
        logs = (math.log(one["params"]), math.log(one["flops"]))
        return Candidate(labels=labels, identity=built, features=(*features, *logs))

    def _row(self, candidate: Candidate) -> dict[str, Any]:
        return self._table["".join(str(label) for label in candidate.labels.values())]

    def costs(self, candidate: Candidate) -> tuple[float, float]:
        """As the class above says."""
        row = self._row(candidate)
        return float(row["params"]), float(row["flops"])

    def savings(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """What each cost leaves of the budget."""
        box = np.array([self.reference["params"], self.reference["macs"]])
        return 1.0 - np.array([self.costs(one) for one in candidates]).reshape(-1, 2) / box

    def true_accuracy(self, candidate: Candidate) -> float:
        """As the class above says."""
        return float(self._row(candidate)["mean_acc"]) / 100

    def accuracy(self, candidate: Candidate, seed: int) -> float:
        """As the class above says."""
        runs = self._row(candidate)["test_acc"]
        return float(runs[random.Random(f"{candidate.identity} {seed}").randrange(len(runs))]) / 100

    def constraints(self, labels: Mapping[str, Label]) -> tuple[float, float]:
        """As the class above says."""
        row = self._table["".join(str(labels[name]) for name in self.choices)]
        return row["params"] / self.reference["params"] - 1, row["flops"] / self.reference["macs"] - 1


def _identities_last(layers: str) -> str:
    rest = layers.replace("0", "")
    return rest + "0" * (len(layers) - len(rest))


class SimulatedSpace(Space):
    """`mobilevit_small` within 0.5 M parameters and 30 M multiply-adds, which a third of its networks meet."""

    name = "simulation"
    _BUDGETS = (Budget(metric="params", low=0.0, high=5e5), Budget(metric="macs", low=0.0, high=3e7))

    def __init__(self) -> None:
        self._space = load_space("mobilevit_small")
        self.reference = {"accuracy": 0.0, "params": 5e5, "macs": 3e7}
        self.choices = {parameter.name: tuple(parameter.choices) for parameter in self._space.parameters}
        self._known: dict[tuple[Label, ...], tuple[ArchConfig, StaticCost] | None] = {}
        self._accuracy: dict[str, float] = {}

    def draw_pool(self, seed: int) -> None:
        """Draw the uniform part of the pool, as a search draws it once."""
        feasible: Feasible = sample_feasible(self._space, self._BUDGETS, _cost, seed=seed)
        self.pool = SpacePool(
            self._space,
            feasible,
            budgets=self._BUDGETS,
            objectives=OBJECTIVES,
            reference=self.reference,
            classes=10,
        )

    def _design(self, labels: Mapping[str, Label]) -> tuple[ArchConfig, StaticCost] | None:
        key = tuple(labels[name] for name in self.choices)
        if key not in self._known:
            try:
                design = describe(self._space, dict(labels), _cost)
                self._known[key] = (design.arch, design.cost)
            except InvalidArchError:
                self._known[key] = None
        return self._known[key]

    def costs(self, candidate: Candidate) -> tuple[float, float]:
        """As the class above says."""
        design = self._design(candidate.labels)
        assert design is not None
        return float(design[1].params), float(design[1].macs)

    def true_accuracy(self, candidate: Candidate) -> float:
        """As the class above says."""
        if candidate.identity not in self._accuracy:
            design = self._design(candidate.labels)
            assert design is not None
            self._accuracy[candidate.identity] = _formula(design[0], design[1], candidate.labels)
        return self._accuracy[candidate.identity]

    def accuracy(self, candidate: Candidate, seed: int) -> float:
        """As the class above says."""
        return self.true_accuracy(candidate) + 0.006 * normal("training", candidate.identity, seed)

    def constraints(self, labels: Mapping[str, Label]) -> tuple[float, float] | None:
        """As the class above says."""
        design = self._design(labels)
        if design is None:
            return None
        return design[1].params / self.reference["params"] - 1, design[1].macs / self.reference["macs"] - 1


def _cost(arch: ArchConfig) -> StaticCost:
    return count(arch, classes=10)


def _formula(arch: ArchConfig, cost: StaticCost, labels: Mapping[str, Label]) -> float:
    """Invented, in the shape of what is known: more compute saturates, coarse patches cost most on small maps, heads
    of about 22 channels are best, depth pays less and less, and so on."""
    accuracy = 0.86 - 0.30 * math.exp(6.6 - math.log10(cost.macs))
    accuracy -= 0.05 * math.exp(1.2 * (4.8 - math.log10(cost.params)))
    side, attention = arch.image_size // arch.stem.stride, 0
    for stage in arch.stages:
        side = math.ceil(side / stage.stride)
        block = stage.mobilevit
        if stage.kernel_size == 5:
            accuracy += 0.006 if block is None else -0.003
        if block is None:
            continue
        attention += 1
        accuracy -= 0.010 * math.log2(block.patch_size) * math.sqrt(4 / side)
        accuracy += 0.010 * math.log(block.depth) - 0.004 * max(0, block.depth - 3) * (block.dim > 100)
        accuracy -= 0.004 * (math.log2(block.dim / block.heads) - 4.5) ** 2
        accuracy += 0.004 * math.log2(block.mlp_width / block.dim)
        accuracy -= 0.02 * (math.log(block.dim / stage.channels) - 0.4) ** 2
        accuracy += {"none": -0.006, "conv1x1": 0.0, "conv3x3": 0.006}[block.fusion]
    accuracy += 0.012 * (attention - 1)
    names = sorted(labels)
    pairs = ((one, two) for i, one in enumerate(names) for two in names[:i])
    return accuracy + 0.003 * sum(normal("pair", one, labels[one], two, labels[two]) for one, two in pairs)


class ParetoAware:
    """The project's own rule; what it stops teaches the sampler as the guess that it returns."""

    def stops(self, number: int, rungs: Sequence[Rung], costs: Sequence[float], known: "Known") -> Guess | None:
        """What is foreseen for the training ``number`` if it is to be stopped at the last of ``rungs``."""
        foreseen = foresee(rungs, costs, known.curves, known.before)
        return foreseen if foreseen is not None and is_hopeless(foreseen, costs, known.curves) else None

    def finished(self, number: int, accuracy: float, costs: Sequence[float]) -> None:
        """Nothing: the curves tell."""


class Moasha:
    """Syne Tune's MOASHA (Schmucker et al., 2021), which halves at the same rungs; it knows nothing of the costs."""

    def __init__(self) -> None:
        from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

        self._scheduler = MOASHA(
            {}, metrics=["error", "params", "macs"], time_attr="epoch", max_t=EPOCHS, grace_period=1, reduction_factor=2
        )
        self._added: set[int] = set()

    def stops(self, number: int, rungs: Sequence[Rung], costs: Sequence[float], known: "Known") -> Guess | None:
        """As the class above says; random draws do not look at the guess."""
        trial = SimpleNamespace(trial_id=number)
        if number not in self._added:
            self._added.add(number)
            self._scheduler.on_trial_add(trial)
        decision = self._scheduler.on_trial_result(trial, self._result(rungs[-1].epoch, rungs[-1].accuracy, costs))
        return Guess(accuracy=rungs[-1].accuracy, deviation=1.0) if decision == "STOP" else None

    def finished(self, number: int, accuracy: float, costs: Sequence[float]) -> None:
        """Tell it the end."""
        self._scheduler.on_trial_complete(SimpleNamespace(trial_id=number), self._result(EPOCHS, accuracy, costs))

    def _result(self, epoch: int, accuracy: float, costs: Sequence[float]) -> dict[str, float]:
        return {"epoch": epoch, "error": 1 - accuracy, "params": costs[0], "macs": costs[1]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known when a training is judged: the finished ones, and what was guessed for it before it began."""

    curves: Sequence[Curve]
    before: Guess | None


def _optuna(name: str) -> Callable[[Any, int], BaseSampler]:
    return lambda pool, seed: SAMPLERS[name](pool, 0, seed)


# By name: what makes the sampler, and what makes the rule by which trainings are stopped, if any.
CONTESTANTS: dict[str, tuple[Callable[[Any, int], BaseSampler], Callable[[], ParetoAware | Moasha] | None]] = {
    DEFAULT: (lambda pool, seed: CostAwareSampler(pool, accuracy=0, seed=seed), None),
    "cost-aware, stopping": (lambda pool, seed: CostAwareSampler(pool, accuracy=0, seed=seed), ParetoAware),
    "TPE, multivariate": (_optuna("tpe"), None),
    "TPE, independent": (lambda pool, seed: optuna.samplers.TPESampler(seed=seed), None),
    "NSGA-II": (_optuna("nsga2"), None),
    "random": (_optuna("random"), None),
    "random, stopping": (_optuna("random"), ParetoAware),
    "MOASHA": (_optuna("random"), Moasha),
    "GPSampler": (_optuna("gp"), None),
}


def run(space: Space, name: str, seed: int) -> dict[str, Any]:
    """The hypervolume at each mark, at each whole unit, and the seconds of the proposals."""
    make, make_rule = CONTESTANTS[name]
    rule = make_rule() if make_rule is not None else None
    space.draw_pool(seed)  # type: ignore[attr-defined]
    pool = space.pool
    generator = random.Random(f"{space.name} {seed}")
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=make(pool, seed))
    first = sorted(pool.drawn, key=lambda one: space.costs(one)[1])
    for one in spread(first, STARTUP_TRIALS):
        study.enqueue_trial(dict(one.labels))
    spent, seconds = 0.0, 0.0
    found: list[Candidate] = []
    spent_at: list[float] = []
    curves: list[Curve] = []
    seen: set[str] = set()
    stopped = 0
    while spent < UNITS:
        start = time.perf_counter()
        trial = study.ask()
        labels = {name: trial.suggest_categorical(name, choices) for name, choices in pool.choices.items()}
        seconds += time.perf_counter() - start
        excess = space.constraints(labels)
        if excess is None:
            study.tell(trial, state=TrialState.FAIL)
            continue
        for i, value in enumerate(excess):
            trial.set_constraint(f"cost{i}", value)
        if max(excess) > 0:
            study.tell(trial, state=TrialState.PRUNED)
            continue
        candidate = pool.candidate(labels)
        if candidate.identity in seen:
            study.tell(trial, state=TrialState.FAIL)
            unseen = _unseen(pool, labels, seen, generator)
            if unseen is None:
                break
            study.enqueue_trial(dict(unseen.labels))
            continue
        seen.add(candidate.identity)
        costs = space.costs(candidate)
        rungs = space.curve(candidate, seed)
        hopeless = None
        guessed = trial.user_attrs.get(GUESSED)
        known = Known(
            curves=curves, before=None if guessed is None else Guess(accuracy=guessed[0], deviation=guessed[1])
        )
        for i in range(1, len(rungs) + 1) if rule is not None else ():
            hopeless = rule.stops(trial.number, rungs[:i], costs, known)
            if hopeless is not None:
                spent += rungs[i - 1].epoch / EPOCHS
                break
        if hopeless is not None:
            trial.set_user_attr(EXPECTED, (hopeless.accuracy, hopeless.deviation))
            study.tell(trial, state=TrialState.PRUNED)
            stopped += 1
            continue
        spent += 1.0
        accuracy = space.accuracy(candidate, seed)
        study.tell(trial, [accuracy, *costs])
        if rule is not None:
            rule.finished(trial.number, accuracy, costs)
        curves.append(Curve(rungs=rungs, costs=costs, accuracy=accuracy))
        found.append(candidate)
        spent_at.append(spent)
    volumes = space.volumes(found)
    at_unit = []
    for unit in range(1, UNITS + 1):
        done = sum(one <= unit + 1e-9 for one in spent_at)
        at_unit.append(float(volumes[done - 1]) if done else 0.0)
    return {"at_unit": at_unit, "seconds": seconds, "stopped": stopped, "finished": len(found)}


def proposal_seconds(space: Space) -> float:
    """The median seconds of a proposal by the default in a study of 1,000 finished trials."""
    space.draw_pool(0)  # type: ignore[attr-defined]
    pool = space.pool
    generator = random.Random("a thousand trials")
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
    distributions = {name: CategoricalDistribution(choices) for name, choices in pool.choices.items()}
    while len(study.get_trials(deepcopy=False)) < _MANY:
        labels = {name: generator.choice(choices) for name, choices in pool.choices.items()}
        candidate = pool.candidate(labels)
        if candidate is not None:
            values = [space.accuracy(candidate, 0), *space.costs(candidate)]
            study.add_trial(optuna.trial.create_trial(values=values, params=labels, distributions=distributions))
    study.sampler = CostAwareSampler(pool, accuracy=0, seed=0)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        trial = study.ask(distributions)
        seconds.append(time.perf_counter() - start)
        candidate = pool.candidate(trial.params)
        study.tell(trial, [space.accuracy(candidate, 0), *space.costs(candidate)])
    return statistics.median(seconds)


def _unseen(pool: Any, labels: Mapping[str, Label], seen: set[str], generator: random.Random) -> Candidate | None:
    """An unseen neighbour of ``labels`` within the budget, one or two steps away, else any."""
    names = list(pool.choices)
    for _ in range(1000):
        near = dict(labels)
        for name in generator.sample(names, generator.choice((1, 2))):
            near[name] = generator.choice(pool.choices[name])
        candidate = pool.candidate(near)
        if candidate is not None and candidate.identity not in seen:
            found: Candidate = candidate
            return found
    left = [one for one in pool.drawn if one.identity not in seen]
    return generator.choice(left) if left else None


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
    document: dict[str, Any] = {"seeds": arguments.seeds, "spaces": {}}
    for space in (SimulatedSpace(), TableSpace(arguments.table)):
        results = {
            name: [_kept(space, name, seed, arguments.keep) for seed in range(arguments.seeds)]
            for name in arguments.only
        }
        document["spaces"][space.name] = _show(space.name, results)
        document["spaces"][space.name]["proposal_seconds"] = proposal_seconds(space)
        print(f"a proposal in a study of {_MANY:,} trials: {document['spaces'][space.name]['proposal_seconds']:.2f} s")
    print(json.dumps(document))


def _kept(space: Space, name: str, seed: int, folder: Path | None) -> dict[str, Any]:
    path = folder / f"{space.name}-{name.replace(', ', '-')}-{seed}.json" if folder else None
    if path is not None and path.exists():
        known: dict[str, Any] = json.loads(path.read_text())
        return known
    found = run(space, name, seed)
    print(f"{space.name}, {name}, seed {seed}: {found['at_unit'][-1]:.4f}", file=sys.stderr, flush=True)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return found


def _show(title: str, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    means = {name: np.mean([one["at_unit"] for one in runs], axis=0) for name, runs in results.items()}
    print(f"\n{title}: hypervolume at {', '.join(map(str, MARKS))} units (standard error at the end)")
    print(f"{'sampler':<24}{''.join(f'{mark:>9}' for mark in MARKS)}{'error':>9}{'stopped':>9}{'seconds':>9}")
    rows = {}
    for name, runs in results.items():
        error = statistics.stdev(one["at_unit"][-1] for one in runs) / math.sqrt(len(runs)) if len(runs) > 1 else 0.0
        stopped, seconds = (statistics.mean(one[key] for one in runs) for key in ("stopped", "seconds"))
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
