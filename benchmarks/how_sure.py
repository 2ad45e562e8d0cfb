"""Does what a search says of its best hold, and is a seed better spent on another network or on the front again?

    python benchmarks/how_sure.py [--searches 100] [--trials 12 25]

The searches are `mvit-nas search`'s own loop in the simulation of `known_spaces.py`, whose true accuracies are known.
A training scatters by 1.5 points from seed to seed; it is scored on 1,000 images, of whose noise a part is common to
all networks. The spread of seeds is as an ablation of ten trainings more than networks would have estimated it.

Reported of searches that train each network once: of the networks that are given a probability to be the best of
their search, in bins, how many are; how often an interval holds the true accuracy. And for three ways to spend the same
trainings, how often the network that is the likeliest best is within one point of the truly best of all that the search
without repeats has trained, and its true accuracy: each network once, a quarter of the trainings for the front again
(--seeds-for-front 3 and 5). The searches' seeds begin at 100: with those below it was tried out.
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import optuna
from known_spaces import OBJECTIVES, KnownSpace, SimulatedSpace, normal
from search_efficiency import open_store

from mvit_nas.evaluate.estimator import AtRung, Estimate, Question
from mvit_nas.jobs.repeats import to_repeat
from mvit_nas.metrics import ACCURACY
from mvit_nas.optimize.loop import Limits, Search
from mvit_nas.reporter import Reporter
from mvit_nas.results.sure import Sureness, sureness
from mvit_nas.study.origin import SeedSpread
from mvit_nas.study.record import Candidate, Measured, Record

SEED_SPREAD, FREEDOM, IMAGES, COMMON = 0.015, 10, 1000, 0.4
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0)
WAYS = {"each network once": 1, "--seeds-for-front 3": 3, "--seeds-for-front 5": 5}


class NoisySpace(SimulatedSpace):
    """The simulation with the noise of seeds and of images, which is the same for all trainings of a search."""

    def __init__(self, search: int) -> None:
        super().__init__()
        self._search = search

    def trained_accuracy(self, candidate: Candidate, seed: int) -> float:
        """The true one with what blurs it."""
        true, identity = self.true_accuracy(candidate), candidate.arch_id
        images = _deviation(true)
        common = np.sqrt(COMMON) * normal("images", self._search)
        own = np.sqrt(1 - COMMON) * normal("images", self._search, identity)
        return float(true + SEED_SPREAD * normal("seed", identity, seed) + images * (common + own))

    def estimate(self, question: Question, *, at_rung: AtRung, should_stop: Any) -> Estimate:
        """With the interval over images that a real one has."""
        found = super().estimate(question, at_rung=at_rung, should_stop=should_stop)
        assert found.accuracy is not None
        value = found.accuracy.value
        half = 1.96 * _deviation(value)
        return replace(found, accuracy=Measured(value=value, low=value - half, high=value + half))


def _deviation(accuracy: float) -> float:
    """Of an accuracy over the choice of images."""
    share = min(max(accuracy, 0.05), 0.95)  # the formula gives the smallest networks less than nothing
    return float(np.sqrt(share * (1 - share) / IMAGES))


def origin_of(search: int) -> Any:
    """What a search knows of the spread of seeds: an estimate."""
    squares = sum(normal("freedom", search, one) ** 2 for one in range(FREEDOM))
    spread = SeedSpread(deviation=SEED_SPREAD * float(np.sqrt(squares / FREEDOM)), freedom=FREEDOM, source="")
    return SimpleNamespace(seed_spread=spread, schedule="short", experiment=SimpleNamespace(objectives=OBJECTIVES))


def searched(space: KnownSpace, seed: int, trials: int) -> list[Record]:
    """The records of a search."""
    candidates = space.candidates(seed)
    search = Search(
        open_store(candidates, seed),
        space,
        candidates,
        Limits(trials=trials, seed=seed, sampler="cost-aware"),
        latency_of=_not_measured,
        reporter=Reporter(),
    )
    return [record for record in search.run() if record.is_complete]


def repeated(space: NoisySpace, records: Sequence[Record], origin: Any, *, repeats: int, seeds: int) -> list[Record]:
    """``records`` after ``repeats`` further trainings of the front."""
    found = list(records)
    for _ in range(repeats):
        index = to_repeat(found, origin, most=seeds)
        if index is None:
            break
        seed = (found[index].seed or 0) + 1000 * found[index].seeds
        answer = space.estimate(
            Question(record=replace(found[index], seed=seed)), at_rung=lambda _: False, should_stop=lambda: False
        )
        assert answer.accuracy is not None
        found[index] = found[index].with_seed(seed, {ACCURACY.name: answer.accuracy}, seconds=0.0)
    return found


def said(records: Sequence[Record], origin: Any) -> Sureness:
    """What a search says of its networks."""
    return sureness(tuple(records), origin, score=ACCURACY, objectives=OBJECTIVES)


def _not_measured(arch: object) -> NoReturn:
    raise AssertionError("no latency is asked for")


def study(seed: int, trials: int) -> dict[str, Any]:
    """One search, and the same with repeats: what each said, and what is true."""
    space, origin = NoisySpace(seed), origin_of(seed)
    records = searched(space, seed, trials)
    sure = said(records, origin)
    true = {row: space.true_accuracy(records[row].candidate) for row in sure.rows}
    best = max(true, key=true.__getitem__)
    repeats = trials // 4
    picks = {}
    for name, seeds in WAYS.items():
        # The proposals do not know how many follow: a shorter search is the beginning of a longer one.
        begun = records if seeds == 1 else records[: trials - repeats]
        found = begun if seeds == 1 else repeated(space, begun, origin, repeats=repeats, seeds=seeds)
        row = said(found, origin).most_likely
        assert row is not None
        picks[name] = space.true_accuracy(found[row].candidate)
    return {
        "chances": [(sure.best[row], row == best) for row in sure.rows],
        "covered": [bool(low <= true[row] <= high) for row, (low, high) in sure.intervals.items()],
        "picks": picks,
        "best": true[best],
    }


def main() -> None:
    """Print the tables for each number of trials, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--trials", type=int, nargs="+", default=[12, 25])
    parser.add_argument("--first-seed", type=int, default=100)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    document = {}
    for trials in arguments.trials:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.searches)
        document[trials] = _show([study(seed, trials) for seed in seeds], trials)
    print(json.dumps(document))


def _show(studies: Sequence[dict[str, Any]], trials: int) -> dict[str, Any]:
    chances = [one for study in studies for one in study["chances"]]
    print(f"\n{trials} trainings, {len(studies)} searches")
    print("said P(best)       networks   are the best")
    bins = {}
    for low, high in itertools.pairwise(BINS):
        right = [is_best for chance, is_best in chances if low <= chance < high or chance == high == 1.0]
        share = float(np.mean(right)) if right else None
        bins[f"{low:g} to {high:g}"] = {"networks": len(right), "share": share}
        print(f"{100 * low:>3.0f} to {100 * high:>3.0f} %{len(right):>14}{'' if share is None else f'{share:>14.0%}'}")
    covered = [one for study in studies for one in study["covered"]]
    print(f"intervals that hold the true accuracy: {np.mean(covered):.1%} of {len(covered)}")
    print(f"{'the likeliest best':<24}{'within a point':>15}{'true accuracy':>15}{'against once':>22}")
    ways = {}
    once = np.array([study["picks"]["each network once"] for study in studies])
    best = np.array([study["best"] for study in studies])
    for name in WAYS:
        found = np.array([study["picks"][name] for study in studies])
        within = float((found >= best - 0.01).mean())
        gain, error = float((found - once).mean()), float((found - once).std(ddof=1) / np.sqrt(len(found)))
        ways[name] = {"within": within, "accuracy": float(found.mean()), "gain": gain, "standard_error": error}
        words = "" if name == "each network once" else f"{100 * gain:+.2f} ± {100 * error:.2f} points"
        print(f"{name:<24}{within:>15.0%}{found.mean():>15.1%}{words:>22}")
    return {"bins": bins, "covered": float(np.mean(covered)), "ways": ways}


if __name__ == "__main__":
    main()
