"""What does `--learn-from` gain, where the earlier search was on like data, and where it was not?

On each simulation for tuning (`known_spaces.py`) a search of 25 trainings runs alone, after a search of 50 trainings in
a simulation that is alike (each effect of the formula stronger or weaker by a factor of about 1.35, other effects of
pairs, another noise), and after one in another simulation for tuning, which shares only the formula's shape. Reported:
the differences from the search alone, in points, mean over spaces and seeds with its standard error.

    python benchmarks/learn_from.py [--seeds 3]
"""

import argparse
import math
import random
from dataclasses import fields, replace

import numpy as np
import optuna
from contestants import DEFAULT
from known_spaces import MEASURES, SimulatedSpace, Traits, other_traits, simulations
from search_efficiency import found_by, run

from mvit_nas.metrics import ACCURACY
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.earlier import Earlier

_EARLIER, _UNITS, _MARKS = 50, 25, (12, 25)
_SPREAD = math.log(1.35)
_SPACES = 8
_NO_EFFECT = {"largest", "scatter", "pairs", "diverging"}


def _alike(number: int) -> SimulatedSpace:
    """Like the simulation for tuning of that number, on other data."""
    traits, generator = other_traits(number), random.Random(f"alike {number}")
    effects = [field.name for field in fields(Traits) if field.name not in _NO_EFFECT]
    changed = {name: getattr(traits, name) * math.exp(generator.gauss(0, _SPREAD)) for name in effects}
    return SimulatedSpace(f"alike {number}", replace(traits, **changed), (f"alike {number}",))


class _Taught(SimulatedSpace):
    """A simulation whose searches have learned from one in another space."""

    def __init__(self, number: int, other: SimulatedSpace) -> None:
        name = f"tuning {number}"
        super().__init__(name, other_traits(number), (name,))
        trained = [
            (self.designs.describe(one.candidate.labels), one.values[ACCURACY.name].value)
            for one in found_by(other, DEFAULT, 55, _EARLIER)[0]
        ]
        self._earlier = Earlier(self.designs, [trained])

    def candidates(self, seed: int) -> Candidates:
        """With what was learned."""
        candidates = super().candidates(seed)
        candidates.earlier = self._earlier
        return candidates


def main() -> None:
    """Print a table of differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(300, 300 + parser.parse_args().seeds)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    gains: dict[str, list[list[float]]] = {"alike": [], "another": []}
    for number in range(_SPACES):
        alone = simulations()[f"tuning {number}"]()
        others = {"alike": _alike(number), "another": simulations()[f"tuning {(number + 3) % _SPACES}"]()}
        taught = {name: _Taught(number, other) for name, other in others.items()}
        for seed in seeds:
            base = run(alone, DEFAULT, seed, _UNITS).at_unit
            for name, space in taught.items():
                at = run(space, DEFAULT, seed, _UNITS).at_unit
                gains[name].append([at[m][mark - 1] - base[m][mark - 1] for mark in _MARKS for m in MEASURES])
    titles = [f"{measure}, {mark} trainings" for mark in _MARKS for measure in MEASURES]
    print(f"points gained over {len(gains['alike'])} searches, with the standard error")
    for place, title in enumerate(titles):
        columns = {name: 100 * np.array(rows)[:, place] for name, rows in gains.items()}
        cells = [
            f"{name} {one.mean():+.1f} ({one.std(ddof=1) / math.sqrt(len(one)):.1f})" for name, one in columns.items()
        ]
        print(f"{title:<42}{'   '.join(cells)}")


if __name__ == "__main__":
    main()
