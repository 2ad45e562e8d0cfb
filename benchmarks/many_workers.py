"""What the store costs when many workers share a search: training is replaced by a sleep, all else is real.

Each worker is a process that asks the search's own loop what to do, claims it, sleeps, and tells; proposals are the
default sampler's. Reported: trials, networks trained twice, the time of a claim (median and 95 %), the share of the
workers' time that is spent in trainings, commits and rows for each trial as PostgreSQL counts them, and the processor
time of the clients. A worker
begins each second.

    python benchmarks/many_workers.py --workers 16
    python benchmarks/many_workers.py --workers 64 --trials 2000 --seconds 60 --postgres
"""

import argparse
import contextlib
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from known_spaces import SimulatedSpace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))
from postgres import Server, serving

from mvit_nas.evaluate.estimator import AtRung, Estimate, Question
from mvit_nas.optimize.loop import Limits, Search
from mvit_nas.optimize.samplers import open_store
from mvit_nas.reporter import Reporter
from mvit_nas.study.life import Beats, Life, Locks
from mvit_nas.study.storage import PATIENCE_SECONDS, closing, open_file, open_server
from mvit_nas.study.store import Store
from mvit_nas.study.trial import Claimed, Proposal


class Sleeping(SimulatedSpace):
    """A training that takes ``seconds``."""

    seconds = 60.0
    slept = 0.0

    def estimate(self, question: Question, *, at_rung: AtRung, should_stop: Callable[[], bool]) -> Estimate:
        """As the simulation, later."""
        start = time.monotonic()
        time.sleep(self.seconds)
        found = super().estimate(question, at_rung=at_rung, should_stop=should_stop)
        self.slept += time.monotonic() - start
        return found


class Timed(Store):
    """A store that keeps how long its claims took."""

    claims: list[float]

    def claim(
        self, proposal: Proposal, arch_id: str, *, constraints: Mapping[str, float], steps: int
    ) -> Claimed | None:
        """As the store does."""
        start = time.monotonic()
        claimed = super().claim(proposal, arch_id, constraints=constraints, steps=steps)
        self.claims.append(time.monotonic() - start)
        return claimed


def work(number: int, url: str | None, folder: Path, trials: int, seconds: float) -> None:
    """Be one of the workers, and write what it cost."""
    space = Sleeping()
    space.seconds = seconds
    candidates = space.candidates(0)
    lives: list[Beats | Locks] = []

    def life(study: Any) -> Life:
        lives.append(Locks(folder / "workers") if url is None else Beats(study))
        return lives[0]

    storage = open_file(folder) if url is None else open_server(url)
    store = open_store(
        storage, candidates, seed=0, life=life, patience_seconds=0.0 if url is None else PATIENCE_SECONDS
    )
    store.__class__, store.claims = Timed, []  # type: ignore[attr-defined]
    limits = Limits(trials=trials, seed=0, sampler="cost-aware")
    with closing(storage), lives[0].living():
        search = Search(store, space, candidates, limits, latency_of=_not_measured, reporter=Reporter())
        start, cpu = time.monotonic(), time.process_time()
        search.run()
        found = {
            "claims": store.claims,  # type: ignore[attr-defined]
            "seconds": time.monotonic() - start,
            "slept": space.slept,
            "cpu": time.process_time() - cpu,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    (folder / f"worker-{number}.json").write_text(json.dumps(found))


def _not_measured(arch: object) -> Any:
    raise AssertionError("no latency is asked for")


def _counts(server: Server | None) -> tuple[int, int]:
    """Commits and rows written so far, as the server counts them."""
    if server is None:
        return 0, 0
    import psycopg

    with psycopg.connect(server.url) as connection:
        connection.execute("select pg_stat_clear_snapshot()")
        row = connection.execute(
            "select xact_commit, tup_inserted + tup_updated from pg_stat_database where datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def main() -> None:
    """Run the workers and say what it cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a training")
    parser.add_argument("--postgres", action="store_true", help="on a server of its own instead of a file")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="many-") as top,
        serving(Path(top) / "server") if arguments.postgres else contextlib.nullcontext() as server,
    ):
        folder = Path(top) / "study"
        folder.mkdir()
        url = None if server is None else server.url
        with closing(open_file(folder) if url is None else open_server(url)) as storage:
            open_store(storage, SimulatedSpace().candidates(0), seed=0)  # begun by one
        context = multiprocessing.get_context("fork")
        processes = [
            context.Process(target=work, args=(one, url, folder, arguments.trials, arguments.seconds))
            for one in range(arguments.workers)
        ]
        before = _counts(server)
        for one in processes:
            one.start()
            time.sleep(1.0)
        for one in processes:
            one.join()
        time.sleep(1.5)  # the server's counters follow
        commits, rows = (later - earlier for later, earlier in zip(_counts(server), before, strict=True))
        found = [json.loads(path.read_text()) for path in sorted(folder.glob("worker-*.json"))]
        with closing(open_file(folder) if url is None else open_server(url)) as storage:
            store = open_store(storage, SimulatedSpace().candidates(0), seed=0)
            trials = store.study.get_trials(deepcopy=False)
    _report(arguments, found, trials, commits, rows)


def _report(arguments: Any, found: list[dict[str, Any]], trials: list[Any], commits: int, rows: int) -> None:
    networks = Counter(one.user_attrs["arch_id"] for one in trials if one.user_attrs.get("state") == "complete")
    claims = np.array([each for one in found for each in one["claims"]])
    inside = sum(one["slept"] for one in found) / sum(one["seconds"] for one in found)
    done = sum(networks.values())
    where = "PostgreSQL" if arguments.postgres else "SQLite"
    print(f"{arguments.workers} workers on {where}, trainings of {arguments.seconds:g} s")
    print(f"{done} trainings in {len(trials)} trials; {sum(count > 1 for count in networks.values())} networks twice")
    median, high = 1000 * np.quantile(claims, [0.5, 0.95])
    print(f"claims: {len(claims)}, median {median:.0f} ms, 95 % {high:.0f} ms")
    print(f"in training: {100 * inside:.1f} % of the workers' time")
    print(f"clients: {1000 * sum(one['cpu'] for one in found) / len(trials):.0f} ms of processor time a trial")
    print(f"peak memory of a worker: {max(one['peak_mib'] for one in found):.0f} MiB")
    if arguments.postgres:
        print(f"server: {commits / len(trials):.1f} commits and {rows / len(trials):.0f} rows a trial, beats included")


if __name__ == "__main__":
    main()
