"""Does a search with several workers lose anything when they are killed, frozen, or lose their database?

Workers search the digits on this machine while one of them, or the search that started them, gets SIGKILL at random
moments, SIGSTOP for longer than the grace period, or the database is stopped at once as in a crash. A search that was
killed is started again with ``--resume``. Afterwards: every trial that was ever seen finished is there, no network was
trained twice, none is left running, and every network that an uninterrupted search evaluated, too, has its accuracy.

    python benchmarks/kills.py --kills 50
    python benchmarks/kills.py --kills 50 --freezes 20 --outages 3 --postgres
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import optuna

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))
from postgres import Server, serving

from mvit_nas.study.storage import open_file, open_server

_NAME = "kills"
_GRACE_SECONDS = 6.0
_SPACE = """
base: mobilevit_xxs
set: {image_size: 16}
factors:
  depth: {paths: [stages.*.mobilevit.depth], values: [1, 2], each: true}
  fusion: {paths: [stages.*.mobilevit.fusion], values: [conv1x1, conv3x3]}
  patch_size: {paths: [stages.*.mobilevit.patch_size], values: [1, 2]}
"""


class Kills:
    """A search in ``folder``, and what is done to it."""

    def __init__(
        self, folder: Path, server: Server | None, *, workers: int, trials: int, seconds: float, seed: int
    ) -> None:
        self._folder, self._server = folder, server
        self._random = random.Random(seed)
        self._seconds = seconds
        self._seen: dict[int, str] = {}
        flags = f"--space space.yaml --schedule smoke --objectives accuracy,params --trials {trials} --jobs {workers}"
        flags += f" --resume --name {_NAME} --grace {_GRACE_SECONDS:g}s"
        self._command = [sys.executable, "-m", "mvit_nas", "search", *flags.split()]
        self._command += [] if server is None else ["--storage", server.url]
        (folder / "space.yaml").write_text(_SPACE)
        self._search: subprocess.Popen[bytes] | None = None
        self._study: optuna.Study | None = None

    def run(self, kills: int, freezes: int, outages: int) -> None:
        """Begin the search, do that many things to it at random moments, and let it end."""
        what = ["kill"] * kills + ["freeze"] * freezes + ["outage"] * outages
        self._random.shuffle(what)
        for number, name in enumerate(what, start=1):
            self._begin()
            time.sleep(self._random.uniform(0.0, 2 * self._seconds))
            getattr(self, f"_{name}")()
            self._look()
            print(f"{number} of {len(what)}: {name}; {len(self._seen)} finished", flush=True)
        while self._begin().wait() < 0:
            pass
        self._look()

    def _begin(self) -> "subprocess.Popen[bytes]":
        if self._search is None or self._search.poll() is not None:
            log = (self._folder / "search.log").open("ab")
            environment = {**os.environ, "MVIT_NAS_CACHE": str(self._folder / "cache")}
            self._search = subprocess.Popen(self._command, cwd=self._folder, env=environment, stdout=log, stderr=log)
        return self._search

    def _processes(self) -> list[int]:
        """The search and its workers, as far as they are there."""
        found = subprocess.run(["pgrep", "-f", f"mvit_nas .*{_NAME}"], capture_output=True, text=True, check=False)
        return [int(line) for line in found.stdout.split()]

    def _kill(self) -> None:
        if there := self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._random.choice(there), signal.SIGKILL)

    def _freeze(self) -> None:
        if there := self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(chosen := self._random.choice(there), signal.SIGSTOP)
                time.sleep(1.5 * _GRACE_SECONDS)
                os.kill(chosen, signal.SIGCONT)

    def _outage(self) -> None:
        assert self._server is not None, "a file is never away"
        self._server.stop("immediate")
        time.sleep(5.0)
        self._server.start()

    def _trials(self) -> list[optuna.trial.FrozenTrial]:
        if self._study is None:
            state = self._folder / "experiments" / _NAME
            if self._server is None and not (state / "study.db").exists():
                return []
            storage = open_file(state) if self._server is None else open_server(self._server.url)
            name = "search" if self._server is None else _NAME
            with contextlib.suppress(KeyError):
                self._study = optuna.load_study(study_name=name, storage=storage)
        return [] if self._study is None else self._study.get_trials(deepcopy=False)

    def _look(self) -> None:
        for trial in self._trials():
            if trial.state == optuna.trial.TrialState.COMPLETE:
                self._seen[trial.number] = trial.user_attrs["arch_id"]

    def judged(self, accuracies: dict[str, float]) -> list[str]:
        """What is wrong, against the ``accuracies`` of an uninterrupted search."""
        trials = self._trials()
        complete = [one for one in trials if one.state == optuna.trial.TrialState.COMPLETE]
        networks = Counter(one.user_attrs["arch_id"] for one in complete)
        wrong = [f"{name} was trained {count} times" for name, count in networks.items() if count > 1]
        wrong += [f"trial {number} is gone" for number in self._seen if number not in {one.number for one in complete}]
        wrong += [f"trial {one.number} still runs" for one in trials if one.state == optuna.trial.TrialState.RUNNING]
        common = [one for one in complete if one.user_attrs["arch_id"] in accuracies]
        wrong += [
            f"{name} has {one.values[0]:.4f}, uninterrupted {accuracies[name]:.4f}"
            for one in common
            if one.values[0] != accuracies[name := one.user_attrs["arch_id"]]
        ]
        left = Counter(one.user_attrs["left"] for one in trials if "left" in one.user_attrs)
        states = Counter(one.user_attrs.get("state", "") for one in trials if "left" not in one.user_attrs)
        print(f"{len(trials)} trials: {dict(states)}; came to nothing: {dict(left)}")
        print(f"{len(common)} of {len(complete)} networks are those of the uninterrupted search, too")
        return wrong


def main() -> None:
    """Do it and say what is wrong; exit code 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--freezes", type=int, default=0)
    parser.add_argument("--outages", type=int, default=0, help="of the database")
    parser.add_argument("--postgres", action="store_true", help="on a server of its own instead of a file")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=15.0, help="from one to the next, on average")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="kills-"))
    options = {name: getattr(arguments, name) for name in ("workers", "trials", "seconds", "seed")}
    try:
        whole, broken = top / "whole", top / "broken"
        whole.mkdir()
        broken.mkdir()
        uninterrupted = Kills(whole, None, **options)
        uninterrupted.run(0, 0, 0)
        accuracies = {one.user_attrs["arch_id"]: one.values[0] for one in uninterrupted._trials() if one.values}
        with serving(top / "server") if arguments.postgres else contextlib.nullcontext() as server:
            tried = Kills(broken, server, **options)
            tried.run(arguments.kills, arguments.freezes, arguments.outages)
            wrong = tried.judged(accuracies)
        assert (broken / "reports" / _NAME / "report.html").exists(), (broken / "search.log").read_text()
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print("\n".join(wrong) or "nothing was lost, nothing trained twice, nothing is stuck")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
