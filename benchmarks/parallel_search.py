"""What does a search find for as many trainings when several workers share it?

With W workers the first designs and W - 1 proposals are out before anything is known of them, and each further proposal
knows W - 1 results less. Workers are played here in one process on spaces that are known: each begins what the search's
own loop tells it, and ends it after a time that grows with the multiply-adds. Reported, for each number of workers:
hypervolume (halvings of costs, accuracy above guessing) and the best within the budget after 50 and 100 trainings,
their means over seeds, and the paired differences from one worker with 95 % intervals.

    python benchmarks/parallel_search.py ../shared/reference/bench/nas-bench-macro_cifar10.json --runs runs.csv
"""

import argparse
import heapq
import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from known_spaces import MEASURES, KnownSpace, SimulatedSpace, TableSpace
from lines import Lines
from search_efficiency import open_store

from mvit_nas.maths.statistics import paired_difference
from mvit_nas.metrics import MACS
from mvit_nas.optimize.loop import Begun, Limits, Search
from mvit_nas.reporter import Reporter
from mvit_nas.study.record import Record
from mvit_nas.study.trial import Proposal

MARKS = (50, 100)
_FIELDS = ("space", "workers", "seed", "trainings", *MEASURES)


def found_by(space: KnownSpace, workers: int, seed: int) -> list[Record]:
    """What so many workers trained, in the order in which it ended."""
    candidates = space.candidates(seed)
    limits = Limits(trials=max(MARKS), seed=seed, sampler="cost-aware")
    store = open_store(candidates, seed)
    search = Search(store, space, candidates, limits, latency_of=_not_measured, reporter=Reporter())
    dearest = candidates.goal.reference[MACS.name]
    running: list[tuple[float, int, Proposal, Begun]] = []
    found: list[Record] = []
    now, order = 0.0, itertools.count()
    while True:
        while len(running) < workers and len(found) + len(running) < max(MARKS):
            proposal = search.next()
            if proposal is None:
                break
            begun = search.begin(proposal)
            if isinstance(begun, Begun):
                value = begun.told.record.value(MACS)
                assert value is not None
                heapq.heappush(running, (now + 0.2 + value / dearest, next(order), proposal, begun))
        if not running:
            return found
        now, _, proposal, begun = heapq.heappop(running)
        record = search.complete(begun, search.evaluate(proposal, begun.told))
        if record is not None and record.is_complete:
            found.append(record)


def _not_measured(arch: object) -> NoReturn:
    raise AssertionError("no latency is asked for")


def _report(lines: Sequence[dict[str, str]], workers: Sequence[int]) -> None:
    at = {(line["space"], line["workers"], line["seed"], line["trainings"]): line for line in lines}
    for space, mark, measure in itertools.product(dict.fromkeys(line["space"] for line in lines), MARKS, MEASURES[:2]):
        for number in workers:
            seeds = [key[2] for key in at if key[:2] == (space, str(number)) and key[3] == str(mark)]
            values = [float(at[space, str(number), seed, str(mark)][measure]) for seed in seeds]
            alone = [float(at[space, "1", seed, str(mark)][measure]) for seed in seeds]
            words = f"{space}, {mark} trainings, {measure}: {number:>2} workers {statistics.mean(values):.4f}"
            if number > 1 and len(seeds) > 2:
                found = paired_difference(values, alone)
                share = 100 * statistics.mean(values) / statistics.mean(alone) - 100
                words += f", {found.mean:+.4f} (± {found.half_width or 0:.4f}), {share:+.1f} %"
            print(words)


def main() -> None:
    """Run what is not in the rows yet, then report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="the table of NAS-Bench-Macro")
    parser.add_argument("--runs", type=Path, required=True, help="a line for each search, kept and gone on with")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    lines = Lines(arguments.runs, _FIELDS)
    known = list(lines.lines)
    for space in (TableSpace(arguments.table), SimulatedSpace()):
        for seed, workers in itertools.product(range(arguments.seeds), arguments.workers):
            key = space.name, str(workers), str(seed)
            if any((line["space"], line["workers"], line["seed"]) == key for line in known):
                continue
            found = found_by(space, workers, seed)
            measured = space.measures(found)
            for mark in MARKS:
                place = min(mark, len(found)) - 1
                values = {name: f"{measured[name][place]:.6f}" for name in MEASURES}
                line = dict(zip(_FIELDS, (*key, str(mark)), strict=False)) | values
                lines.add(line)
                known.append(line)
            print(f"{space.name}, {workers} workers, seed {seed}", flush=True)
    _report(known, arguments.workers)


if __name__ == "__main__":
    main()
