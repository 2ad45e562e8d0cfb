"""Does it pay to begin many trainings, look at the loss of their first epoch, and end the promising ones?

Freeze-thaw (Swersky et al., "Freeze-Thaw Bayesian Optimization", 2014; ifBO and DyHPO choose likewise): each proposal
either begins a training, for one epoch, or ends one that was begun. What a frozen training will end with is foreseen by
a line through the finished ones, from the loss of the first epoch and the multiply-adds; the surrogate sees it with the
deviation of that line, as it sees stopped trainings. Of all candidates, new and frozen, that with the most expected
growth for what its training still costs is next: a whole unit for a new one, the epochs that are left for a frozen one.

On the table of this project's own trainings (`mobilevit_table.py`), whose learning curves are real, within 15 M
multiply-adds and its half, quarter and eighth, against the default, which trains each proposal whole. Both have the
same first designs. Paired by seed; the measures are those of `search_efficiency.py`.

    python benchmarks/freeze_thaw.py [--table benchmarks/mobilevit_table.parquet] [--seeds 20]
"""

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from contestants import DEFAULT
from known_spaces import MEASURES
from mobilevit_space import TABLE, MobileViTTable
from search_efficiency import found_by

from mvit_nas.budget import PARTS
from mvit_nas.maths.pareto import Floats
from mvit_nas.maths.statistics import paired_difference
from mvit_nas.metrics import ACCURACY
from mvit_nas.optimize import propose
from mvit_nas.optimize.acquisition import expected_growth
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.designs import Design
from mvit_nas.optimize.propose import Trained
from mvit_nas.optimize.surrogate import Surrogate
from mvit_nas.study.record import Measured, Record, State

MARKS = (12, 25, 50)
_BUDGET = 15_000_000
# Designs that both ways train whole before anything is proposed.
_FIRST = 5
# Held against the slopes of the line, whose columns have unit variance.
_RIDGE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A training after its first epoch."""

    design: Design
    loss: float


class FreezeThaw:
    """A search that begins and ends trainings. ``found`` are those that were ended, each ``at`` so many units."""

    def __init__(self, space: MobileViTTable, seed: int) -> None:
        self._space, self._seed = space, seed
        self._pool: Candidates = space.candidates(seed)
        self._generator = random.Random(f"freeze-thaw {seed}")
        first, spent, _ = found_by(space, DEFAULT, seed, _FIRST)
        self.found: list[Record] = list(first)
        self.at: list[float] = [float(one) for one in spent]
        self._ended = [self._begun(self._design(one)) for one in first]
        self._frozen: list[Begun] = []
        self.spent = self.at[-1]

    def run(self, units: float) -> None:
        """Go on until so many units are spent, or nothing is left."""
        while self.spent < units and self._step():
            pass

    def _step(self) -> bool:
        """Begin a training, or end one."""
        taken = {one.design.arch_id for one in (*self._ended, *self._frozen)}
        finished = [
            Trained(design=one.design, accuracy=record.values[ACCURACY.name].value)
            for one, record in zip(self._ended, self.found, strict=True)
        ]
        trained = [*finished, *self._foreseen(finished)]
        new = propose._candidates(self._pool, trained, taken, self._generator)
        candidates = [*new, *(one.design for one in self._frozen)]
        if not candidates:
            return False
        begun_share = 1 / self._space.epochs
        price_C = np.array([1.0] * len(new) + [1 - begun_share] * len(self._frozen))
        best = int((self._growth(trained, finished, candidates) / price_C).argmax())
        if best < len(new):
            self._frozen.append(self._begun(new[best]))
            self.spent += begun_share
            return True
        ended = self._frozen.pop(best - len(new))
        self.spent += 1 - begun_share
        self._ended.append(ended)
        self.found.append(self._record(ended.design))
        self.at.append(self.spent)
        return True

    def _growth(self, trained: Sequence[Trained], finished: Sequence[Trained], candidates: Sequence[Design]) -> Floats:
        pool, known = self._pool, [one.design for one in finished]
        surrogate = Surrogate(
            pool.features([one.design for one in trained]),
            np.array([one.accuracy for one in trained]),
            np.array([one.deviation for one in trained]),
            groups_F=pool.groups,
        )
        accuracy_C, deviation_C = surrogate.predict(pool.features(candidates))
        return expected_growth(
            accuracy_C,
            deviation_C,
            pool.savings(candidates),
            pool.needed(candidates),
            known_accuracy_K=np.array([one.accuracy for one in finished]),
            known_savings_KD=pool.savings(known),
            known_needed_K=pool.needed(known),
            within_budget=propose._WITHIN_BUDGET,
        )

    def _foreseen(self, finished: Sequence[Trained]) -> list[Trained]:
        """The frozen trainings with what they are expected to end with."""
        if not self._frozen:
            return []
        accuracy_N = np.array([one.accuracy for one in finished])
        rows_NF, asked_MF = _columns(self._ended, self._frozen)
        guess_M = asked_MF @ _line(rows_NF, accuracy_N)
        left_out_N = [
            accuracy_N[place] - rows_NF[place] @ _line(np.delete(rows_NF, place, 0), np.delete(accuracy_N, place))
            for place in range(len(accuracy_N))
        ]
        deviation = float(np.sqrt(np.mean(np.square(left_out_N))))
        return [
            Trained(design=one.design, accuracy=float(guess), deviation=deviation)
            for one, guess in zip(self._frozen, guess_M, strict=True)
        ]

    def _begun(self, design: Design) -> Begun:
        training = self._space._training(design.candidate, self._seed)
        return Begun(design=design, loss=training.losses[0])

    def _record(self, design: Design) -> Record:
        accuracy = Measured(value=self._space.trained_accuracy(design.candidate, self._seed))
        values = {**self._space.designs.values(design), ACCURACY.name: accuracy}
        return Record(
            trial=len(self.found), state=State.COMPLETE, candidate=design.candidate, values=values, seed=self._seed
        )

    def _design(self, record: Record) -> Design:
        return self._space.designs.describe(record.candidate.labels)


def _columns(known: Sequence[Begun], asked: Sequence[Begun]) -> tuple[Floats, Floats]:
    """[N, 3] and [M, 3]: one, the loss and the logarithm of the multiply-adds, as the known ones spread."""

    def rows(some: Sequence[Begun]) -> Floats:
        return np.array([[one.loss, np.log(one.design.cost.macs)] for one in some])

    middle_F, spread_F = rows(known).mean(axis=0), rows(known).std(axis=0) + 1e-9
    known_NF, asked_MF = ((rows(some) - middle_F) / spread_F for some in (known, asked))
    return np.insert(known_NF, 0, 1.0, axis=1), np.insert(asked_MF, 0, 1.0, axis=1)


def _line(rows_NF: Floats, accuracy_N: Floats) -> Floats:
    """The weights of the columns, by ridge regression."""
    held_FF = _RIDGE * np.diag([0.0, *np.ones(rows_NF.shape[1] - 1)])
    return np.asarray(np.linalg.solve(rows_NF.T @ rows_NF + held_FF, rows_NF.T @ accuracy_N), dtype=float)


def at_marks(space: MobileViTTable, found: Sequence[Record], at: Sequence[float]) -> dict[str, list[float]]:
    """Each of the measures at each of the marks."""
    done = [int((np.asarray(at) <= mark + 1e-9).sum()) for mark in MARKS]
    return {name: [float(values[number - 1]) for number in done] for name, values in space.measures(found).items()}


def main() -> None:
    """Print the differences, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    document = {}
    for part in PARTS:
        space = MobileViTTable(arguments.table, macs=round(part * _BUDGET))
        whole, thawed = [], []
        for seed in range(arguments.seeds):
            search = FreezeThaw(space, seed)
            search.run(MARKS[-1])
            thawed.append(at_marks(space, search.found, search.at))
            records, spent, _ = found_by(space, DEFAULT, seed, MARKS[-1])
            whole.append(at_marks(space, records, [float(one) for one in spent]))
        print(f"within {part * _BUDGET / 1e6:g} M multiply-adds, freeze-thaw minus whole trainings:")
        for name in MEASURES[:2]:
            for place, mark in enumerate(MARKS):
                one, other = ([run[name][place] for run in runs] for runs in (thawed, whole))
                found = paired_difference(one, other)
                document[f"{part:g}, {name}, {mark}"] = [
                    np.mean(one),
                    np.mean(other),
                    found.mean,
                    found.low,
                    found.high,
                ]
                interval = "" if found.low is None else f" ({100 * found.low:+.2f} to {100 * (found.high or 0.0):+.2f})"
                print(f"  {name:>24} after {mark:>2}: {100 * (found.mean or 0.0):+.2f}{interval}")
    print(json.dumps(document))


if __name__ == "__main__":
    main()
