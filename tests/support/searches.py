"""Searches around stand-ins for training and measuring, whose answers are formulas."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.count import count
from mvit_nas.arch.space import SearchSpace, load_space, parse_space
from mvit_nas.budget import Budget, parse_budget
from mvit_nas.cost.latency import Latency
from mvit_nas.errors import InterruptedCleanlyError
from mvit_nas.evaluate.estimator import AtRung, Estimate, Estimator, Question, never
from mvit_nas.evaluate.rungs import EarlyStopping
from mvit_nas.metrics import ACCURACY, LATENCY, MACS, PARAMS, Metric
from mvit_nas.optimize.candidates import Candidates, Goal
from mvit_nas.optimize.designs import Designs
from mvit_nas.optimize.loop import Limits, Search
from mvit_nas.optimize.samplers import open_store
from mvit_nas.optimize.within_budget import Feasible, sample_feasible
from mvit_nas.reporter import Reporter, TrainingStep
from mvit_nas.study.record import Measured, Record, Rung
from mvit_nas.study.storage import open_file
from mvit_nas.study.store import Store
from mvit_nas.training.loop import Score

CLASSES = 10
SPACE = load_space("mobilevit_small")
# Ten labels, 32 settings.
SMALL = parse_space(
    """
base: mobilevit_xxs
set: {image_size: 32}
factors:
  patch_size: {paths: [stages.*.mobilevit.patch_size], values: [1, 2]}
  depth: {paths: [stages.*.mobilevit.depth], values: [1, 2], each: true}
  fusion: {paths: [stages.*.mobilevit.fusion], values: [conv1x1, conv3x3]}
""",
    name="small",
    where="small",
)
REFERENCE = {"accuracy": 0.0, "params": 6e6, "macs": 1.5e8, "latency_ms": 150.0}


def depth(arch: ArchConfig) -> float:
    """Deeper is better: an accuracy from 0.5."""
    return (500 + 20 * sum(stage.mobilevit.depth for stage in arch.stages if stage.mobilevit)) / 1000


class Formula:
    """An estimator whose accuracy is a formula. Every training is counted, and a repeated one is known.

    ``rungs`` are the epochs after which it is scored, at a share of what it ends with.
    """

    def __init__(
        self,
        accuracy: Callable[[ArchConfig], float] = depth,
        *,
        rungs: Sequence[int] = (),
        fail: Callable[[ArchConfig], str] = lambda arch: "",
    ) -> None:
        self.epochs = 4
        self.trained: list[str] = []
        self.accuracy = accuracy
        self.rungs = rungs
        self.fail = fail
        self._known: dict[str, Estimate] = {}

    def estimate(
        self, question: Question, *, at_rung: AtRung = never, should_stop: Callable[[], bool] = never
    ) -> Estimate:
        arch = question.record.candidate.arch
        assert arch is not None
        name = arch_id(arch)
        if name in self._known:
            return self._known[name]
        if should_stop():
            raise InterruptedCleanlyError("stopped")
        final = self.accuracy(arch)
        rungs: tuple[Rung, ...] = ()
        for epoch in self.rungs:
            rungs += (Rung(epoch=epoch, loss=2.0, correct=round(500 * final * epoch / 3), images=500),)
            if at_rung(rungs):
                return Estimate(rungs=rungs, epochs=epoch, seconds=float(epoch))
        self.trained.append(name)
        failure = self.fail(arch)
        if failure:
            return Estimate(failure=failure)
        low, high = Score(correct_K=(round(1000 * final),), images_K=(1000,), losses=(), seconds=0.0).interval
        accuracy = Measured(value=round(1000 * final) / 1000, low=low, high=high)
        found = Estimate(accuracy=accuracy, rungs=rungs, epochs=4, seconds=4.0 if self.rungs else 0.1)
        if not self.rungs:
            self._known[name] = Estimate(
                accuracy=accuracy, rungs=rungs, epochs=4, seconds=found.seconds, was_known=True
            )
        return found


def latency(milliseconds: float) -> Latency:
    """A latency that was measured without any doubt."""
    return Latency(
        median_ms=milliseconds, low_ms=milliseconds, high_ms=milliseconds, runs=20, threads=1, wall_ms=milliseconds,
        contended=False, drifted=False, rounds=6, clock="cpu", p90_ms=9.0, reference_ms=4.0, agreed=True,
    )  # fmt: skip


@dataclass
class Heard(Reporter):
    """A reporter that remembers."""

    said: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    steps: list[TrainingStep] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.said.append(line)

    def doing(self, activity: str) -> None:
        self.done.append(activity)

    def training(self, step: TrainingStep) -> None:
        self.steps.append(step)


@dataclass
class Running:
    """A search with what it is made of; ``measured`` are the networks that were, in order."""

    search: Search
    store: Store
    estimator: Estimator
    heard: Heard
    measured: list[str]


def goal(*budgets: str, objectives: Sequence[Metric] = (ACCURACY, PARAMS, MACS, LATENCY)) -> Goal:
    """A goal with ``budgets`` as people write them."""
    return Goal(budgets=tuple(map(parse_budget, budgets)), objectives=tuple(objectives), reference=REFERENCE)


_DRAWN: dict[tuple[object, ...], tuple[Designs, Feasible]] = {}


def drawn(space: SearchSpace, budgets: tuple[Budget, ...], *, seed: int, samples: int) -> tuple[Designs, Feasible]:
    """What of ``space`` meets ``budgets``, drawn once for all tests that ask the same: a draw takes 0.4 ms."""
    key = (space.text, budgets, seed, samples)
    if key not in _DRAWN:
        designs = Designs(space, classes=CLASSES)
        _DRAWN[key] = designs, sample_feasible(designs, budgets, seed=seed, samples=samples)
    return _DRAWN[key]


def candidates_of(
    *budgets: str,
    objectives: Sequence[Metric] = (ACCURACY, PARAMS, MACS, LATENCY),
    space: SearchSpace | None = None,
    seed: int = 0,
    samples: int = 300,
) -> Candidates:
    """The candidates of a search."""
    aim = goal(*budgets, objectives=objectives)
    designs, feasible = drawn(space or SPACE, aim.budgets, seed=seed, samples=samples)
    return Candidates(designs, feasible, aim)


def searching(
    folder: Path | None,
    *budgets: str,
    trials: int = 20,
    objectives: Sequence[Metric] = (ACCURACY, PARAMS, MACS, LATENCY),
    seed: int = 0,
    sampler: str = "random",
    baseline: float = 0.0,
    early_stopping: bool = False,
    space: SearchSpace | None = None,
    samples: int = 300,
    estimator: Estimator | None = None,
    milliseconds: Callable[[ArchConfig], float] = lambda arch: count(arch).macs / 1e6,
    on_record: Callable[[Record], None] = lambda record: None,
    should_stop: Callable[[], bool] = never,
    is_done: Callable[[Sequence[Record]], bool] = never,
) -> Running:
    """A search, begun or resumed in ``folder``, or in memory."""
    candidates = candidates_of(*budgets, objectives=objectives, space=space, seed=seed, samples=samples)
    store = open_store(None if folder is None else open_file(folder), candidates, seed=seed)
    inner = estimator or Formula()
    heard, measured = Heard(), []

    def latency_of(arch: ArchConfig) -> Latency:
        measured.append(arch_id(arch))
        return latency(milliseconds(arch))

    search = Search(
        store,
        EarlyStopping(inner, costs=candidates.goal.costs) if early_stopping else inner,
        candidates,
        Limits(trials=trials, seed=seed, sampler=sampler, baseline=baseline),
        latency_of=latency_of,
        reporter=heard,
        on_record=on_record,
        should_stop=should_stop,
        is_done=is_done,
    )
    return Running(search=search, store=store, estimator=inner, heard=heard, measured=measured)
