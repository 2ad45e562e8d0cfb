"""How much do 12 more trainings bring, can a search foresee it, and what is stopping by that worth?

Searches of 100 trainings by the default, in spaces whose accuracies are known (`known_spaces.py`): eight of each
simulation for tuning, on which the forecasts are fitted, and 20 of each that is reported. What is gained is the best
within the budget and within those parts of it that had a network before, in the mean over them: the true accuracy of
the network that a person would take. A forecast sees what a search has trained so far.

Printed: how much the gains of searches differ, by this measure and by the best within the budget alone; what each
forecast is fitted to; for each kind of space the mean forecast, the mean gain and their correlation between searches
after 12, 25 and 50 trainings, and of the three kept searches on CIFAR-10 after 12; and what a search has that ends as
soon as less than a bar is expected, beside those of always 12, 25, 50 and 100 trainings and those of always as many
as it had in the mean. At last one JSON document. Runs are kept in --runs, a line for each training, so that the
benchmark goes on where it was stopped (half an hour).

    python benchmarks/how_many_trainings.py ../shared/reference/bench/nas-bench-macro_cifar10.json
"""

import argparse
import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import optuna
from contestants import DEFAULT
from known_spaces import KnownSpace, TableSpace, simulations
from lines import Lines
from search_efficiency import found_by

from mvit_nas.budget import PARTS, needed_part
from mvit_nas.maths import forecast
from mvit_nas.maths.pareto import Floats
from mvit_nas.metrics import ACCURACY, MACS, METRICS, PARAMS
from mvit_nas.results.reading import open_study
from mvit_nas.results.view import StudyView

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
RUNS = EXPERIMENTS / "how_many_trainings" / "runs.csv"
KINDS = ("tuning", "rough simulation", "simulation", "table")
_FIELDS = ("space", "seed", "training", "trained", "true", "needed")
_UNITS, _MARKS, _BARS = 100, (12, 25, 50), (0.005, 0.01, 0.02)
# After so many trainings forecasts are fitted.
_FITTED = range(forecast.FEWEST, _UNITS - forecast.MORE + 1)
# No other measurement searched with these seeds.
_FIRST_SEED, _TUNING_SEEDS, _SEEDS = 700, 8, 20
# Of a part of the budget within which nothing was found.
_CHANCE = 0.1


@dataclass(frozen=True, kw_only=True)
class Run:
    """A search: by training the accuracy, the true one, and the part of the budget that the network needs."""

    space: str
    trained: Floats
    true: Floats
    needed: Floats

    @cached_property
    def best(self) -> Floats:
        """[parts, trainings]: the true accuracy of the network to take within each part, NaN where there is none."""
        return self._best(self.true)

    @cached_property
    def seen(self) -> Floats:
        """The same as the search sees it."""
        return self._best(self.trained)

    def _best(self, accuracy: Floats) -> Floats:
        found = np.full((len(PARTS), len(self.trained)), np.nan)
        for place, part in enumerate(PARTS):
            within = np.where(self.needed <= part, self.trained, -np.inf)
            taken = [int(within[: i + 1].argmax()) for i in range(len(within))]
            found[place] = np.where(np.logical_or.accumulate(self.needed <= part), accuracy[taken], np.nan)
        return found

    def gain(self, after: int, more: int = forecast.MORE) -> float:
        """What ``more`` trainings brought."""
        return float(np.nanmean(self.best[:, after + more - 1] - self.best[:, after - 1]))

    def value(self, after: int) -> float:
        """The best in the mean over all parts."""
        return float(np.nan_to_num(self.best[:, after - 1], nan=_CHANCE).mean())

    def spread(self, after: int) -> float:
        """The median distance of accuracies from their median."""
        so_far = self.trained[:after]
        return float(np.median(np.abs(so_far - np.median(so_far))))

    def last(self, after: int) -> float:
        """What the last 12 trainings brought, as the search sees it."""
        before = max(after - forecast.MORE, 5)
        return float(np.nanmean(self.seen[:, after - 1] - self.seen[:, before - 1]))

    def orders(self, after: int) -> float:
        """What 12 more would bring if the best of the trainings in random order grew on with their logarithm.

        It is the mean over the parts; the growth is that from half of the trainings in a part to all of them.
        """
        growths = []
        for part in PARTS:
            within = np.sort(self.trained[:after][self.needed[:after] <= part])
            if len(within) > 1:
                half = len(within) // 2
                draws = [math.comb(i, half - 1) for i in range(len(within))]
                of_half = float(np.dot(within, draws)) / math.comb(len(within), half)
                growths.append((within[-1] - of_half) / math.log(len(within) / half))
        return float(np.mean(growths)) * math.log((after + forecast.MORE) / after) if growths else 0.0


# The forecasts that are fitted: what each is, but for a factor, of a search after so many trainings.
Shape = Callable[[Run, int], float]


def shapes(tuning: Sequence[Run]) -> dict[str, Shape]:
    """All by name, with what the ``tuning`` searches are like."""
    spread = float(np.median([run.spread(n) for run in tuning for n in _FITTED]))
    last = {n: float(np.mean([run.last(n) for run in tuning])) for n in _FITTED}
    print(f"the median spread of the accuracies of a search: {100 * spread:.1f} points")
    return {
        "mean curve": lambda run, n: 1 / n,
        "curve x spread": lambda run, n: run.spread(n) / spread / n,
        "curve, less where it spreads less": lambda run, n: min(1.0, run.spread(n) / spread) / n,
        "curve x last gain": lambda run, n: run.last(n) / last[min(n, _FITTED[-1])] / n,
        "random orders": lambda run, n: run.orders(n),
    }


def fitted(shape: Shape, tuning: Sequence[Run]) -> float:
    """The factor of the least squares, relative to the mean curve."""
    pairs = np.array([(n * shape(run, n), n * run.gain(n)) for run in tuning for n in _FITTED])
    return float((pairs[:, 0] * pairs[:, 1]).sum() / (pairs[:, 0] ** 2).sum())


def searched(space: KnownSpace, seed: int) -> Iterator[dict[str, str]]:
    """A line for each training of a search."""
    found, _, _ = found_by(space, DEFAULT, seed, _UNITS)
    for number, one in enumerate(found, start=1):
        needed = max(
            one.values[PARAMS.name].value / space.largest.params, one.values[MACS.name].value / space.largest.macs
        )
        yield {
            "space": space.name,
            "seed": str(seed),
            "training": str(number),
            "trained": f"{one.values[ACCURACY.name].value:.4f}",
            "true": f"{space.true_accuracy(one.candidate):.4f}",
            "needed": f"{needed:.4f}",
        }


def make_runs(table: Path, path: Path) -> list[Run]:
    """All searches, those that are not in the file ``path`` made and added to it."""
    spaces: dict[str, Callable[[], KnownSpace]] = {**simulations(), "table": lambda: TableSpace(table)}
    kept = Lines(path, _FIELDS)
    lines = {(line["space"], line["seed"], line["training"]): line for line in kept.lines}
    made: dict[str, KnownSpace] = {}
    plan = [(name, seed) for seed in range(_SEEDS) for name in spaces if seed < _TUNING_SEEDS or "tuning" not in name]
    found = []
    for name, number in plan:
        seed = str(_FIRST_SEED + number)
        if (name, seed, str(_UNITS)) not in lines:
            made.setdefault(name, spaces[name]())
            for line in searched(made[name], int(seed)):
                key = (name, seed, line["training"])
                if key not in lines:
                    lines[key] = line
                    kept.add(line)
        rows = [lines[name, seed, str(n)] for n in range(1, _UNITS + 1)]
        trained, true, needed = (np.array([float(row[key]) for row in rows]) for key in ("trained", "true", "needed"))
        found.append(Run(space=name, trained=trained, true=true, needed=needed))
    return found


def real_run(folder: Path) -> Run:
    """A search that trained on CIFAR-10, by the sampler of before, with what it saw for the truth."""
    view = open_study(folder)
    assert isinstance(view, StudyView)
    budgets = view.origin.experiment.budgets
    records = [record for record in view.ordered if record.is_complete]
    needed = [needed_part(budgets, [one.value(METRICS[budget.metric]) for budget in budgets]) for one in records]
    trained = np.array([record.value(view.score) for record in records], dtype=float)
    return Run(space="real", trained=trained, true=trained, needed=np.array(needed))


def show_measures(kinds: dict[str, list[Run]]) -> None:
    """How much the gains of searches differ, by the measure and by the best within the budget alone."""
    print("\nthe gain of 12 more trainings in points, mean (standard deviation between searches)")
    for kind, runs in kinds.items():
        for mark in _MARKS:
            mean = 100 * np.array([run.gain(mark) for run in runs])
            alone = 100 * np.array([run.best[0, mark + forecast.MORE - 1] - run.best[0, mark - 1] for run in runs])
            words = f"{mean.mean():5.2f} ({mean.std():.2f}), the budget alone {alone.mean():5.2f} ({alone.std():.2f})"
            print(f"{kind:<18}{mark:>3}: {words}")


def show_forecasts(kinds: dict[str, list[Run]], forecasts: dict[str, Shape]) -> list[dict[str, object]]:
    """Each forecast against what was gained."""
    print("\nforecast / gain in points, and their correlation between searches")
    cells: list[dict[str, object]] = []
    for name, expected in forecasts.items():
        for kind, runs in kinds.items():
            words = []
            for mark in _MARKS:
                if mark + forecast.MORE > len(runs[0].trained):
                    break
                foreseen, gained = (
                    100 * np.array([what(run) for run in runs])
                    for what in (lambda run: expected(run, mark), lambda run: run.gain(mark))  # noqa: B023
                )
                varies = foreseen.std() > 1e-9 and gained.std() > 0
                tied = float(np.corrcoef(foreseen, gained)[0, 1]) if varies else None
                tie = "" if tied is None else f"{tied:+.2f}"
                words.append(f"{foreseen.mean():5.2f} / {gained.mean():5.2f} {tie:>5}")
                cells.append(
                    {
                        "forecast": name, "kind": kind, "trainings": mark, "correlation": tied,
                        "foreseen": float(foreseen.mean()), "gained": float(gained.mean()),
                    }
                )  # fmt: skip
            print(f"{name:<34}{kind:<18}{' | '.join(words)}")
    return cells


def end_of(run: Run, expected: Shape, bar: float) -> int:
    """After how many trainings a search ends that goes on while at least ``bar`` is expected."""
    return next((n for n in range(forecast.FEWEST, _UNITS) if expected(run, n) < bar), _UNITS)


def show_ends(kinds: dict[str, list[Run]], forecasts: dict[str, Shape]) -> list[dict[str, object]]:
    """What a search has that ends by a forecast, and what one has of as many trainings as that has in the mean."""
    cells: list[dict[str, object]] = []
    for kind, runs in kinds.items():
        always = np.array([np.mean([run.value(n) for run in runs]) for n in range(1, _UNITS + 1)])
        print(f"\n{kind}, always: " + ", ".join(f"{n}: {100 * always[n - 1]:.1f}" for n in (*_MARKS, _UNITS)))
        for name, expected in forecasts.items():
            for bar in _BARS:
                ends = [end_of(run, expected, bar) for run in runs]
                value = float(np.mean([run.value(end) for run, end in zip(runs, ends, strict=True)]))
                same = float(np.interp(np.mean(ends), range(1, _UNITS + 1), always))
                print(
                    f"  {name:<34}below {100 * bar:g}: {np.mean(ends):5.1f} trainings ({min(ends)} to {max(ends)}), "
                    f"{100 * value:.1f} %, {100 * (value - same):+.1f} against always as many"
                )
                cells.append(
                    {
                        "forecast": name, "kind": kind, "bar": bar, "trainings": float(np.mean(ends)),
                        "value": value, "always_as_many": same,
                    }
                )  # fmt: skip
    return cells


def main() -> None:
    """Search what is not kept, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="nas-bench-macro_cifar10.json")
    parser.add_argument("--runs", type=Path, default=RUNS)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    runs = make_runs(arguments.table, arguments.runs)
    kinds = {kind: [run for run in runs if run.space.split(" ")[0] == kind or run.space == kind] for kind in KINDS}
    show_measures(kinds)
    known = shapes(kinds["tuning"])
    factors = {name: fitted(shape, kinds["tuning"]) for name, shape in known.items()}
    factors["random orders"] = 1.0  # it is in points by itself
    print("\n".join(f"{name}: {factor:.3f}" for name, factor in factors.items()))
    forecasts: dict[str, Shape] = {
        name: lambda run, n, shape=shape, factor=factors[name]: factor * shape(run, n)  # type: ignore[misc]
        for name, shape in known.items()
    }
    curve, orders = forecasts["mean curve"], forecasts["random orders"]
    forecasts["curve and orders, the mean"] = lambda run, n: (curve(run, n) + orders(run, n)) / 2
    forecasts["of the package"] = lambda run, n: _of_the_package(run, n).gain
    ratios = [run.gain(n) / _of_the_package(run, n).gain for run in kinds["tuning"] for n in _FITTED]
    kinds["real"] = [real_run(folder) for folder in sorted(EXPERIMENTS.glob("search_efficiency/cost-aware-?"))]
    print(f"nine in ten gain at most {np.quantile(ratios, 0.9):.2f} times what the package expects")
    shown = show_forecasts(kinds, forecasts)
    del kinds["real"]  # of 25 trainings: too short to end early
    print(json.dumps({"forecasts": shown, "ends": show_ends(kinds, forecasts)}))


def _of_the_package(run: Run, after: int) -> forecast.Forecast:
    found = forecast.forecast(after, run.trained[:after].tolist())
    assert found is not None, "it knows searches of so many trainings"
    return found


if __name__ == "__main__":
    main()
