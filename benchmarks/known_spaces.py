"""Spaces whose accuracies are known without training: estimators for the search's own loop.

`TableSpace` has networks that others trained, `SimulatedSpace` this project's with accuracies from a formula. In both
learning curves are simulated, so that trainings can be stopped. `mobilevit_space.py` has this project's networks with
real trainings.
"""

import functools
import hashlib
import json
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.count import StaticCost
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import Label, Parameter, SearchSpace, load_space
from mvit_nas.budget import PARTS, Budget, part_words
from mvit_nas.evaluate.estimator import AtRung, Estimate, Question
from mvit_nas.maths.hypervolume import Box, hypervolume_history
from mvit_nas.metrics import ACCURACY, MACS, PARAMS
from mvit_nas.optimize.candidates import Candidates, Goal
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.optimize.within_budget import sample_feasible
from mvit_nas.results.view import box_of
from mvit_nas.study.record import Candidate, Measured, Record, Rung

# `mobilevit_small` with the stride of the stem as a factor, as kept experiments have it.
OLD_SPACE = Path(__file__).parent / "spaces" / "with_stem_stride.yaml"
# A training of 8 epochs, judged after 1, 2 and 4.
EPOCHS, RUNGS = 8, (1, 2, 4)
OBJECTIVES = (ACCURACY, PARAMS, MACS)
_RUNG_IMAGES = 500
MEASURES = ("log hypervolume", *(f"best within {part_words(part)}" for part in PARTS))
_CLASSES = 10


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
        correct = round(_RUNG_IMAGES * min(max(accuracy, 0.05), 1.0))
        rungs.append(Rung(epoch=epoch, loss=0.0, correct=correct, images=_RUNG_IMAGES))
    return tuple(rungs)


class KnownSpace:
    """Designs within two budgets, and an estimator of them. What a search finds is judged by true accuracies."""

    name: str
    designs: Designs
    largest: StaticCost  # of a network within the budget
    epochs = EPOCHS

    def true_accuracy(self, candidate: Candidate) -> float:
        """What it is judged by."""
        raise NotImplementedError

    def trained_accuracy(self, candidate: Candidate, seed: int) -> float:
        """What a training with ``seed`` gives."""
        raise NotImplementedError

    def rungs(self, question: Question) -> tuple[Rung, ...]:
        """How far a training is on the way: simulated."""
        candidate, seed = question.record.candidate, question.record.seed
        assert seed is not None
        size = question.record.values[MACS.name].value / self.largest.macs
        return learning_curve(self.trained_accuracy(candidate, seed), size, self.name, candidate.arch_id, seed)

    def estimate(self, question: Question, *, at_rung: AtRung, should_stop: Callable[[], bool]) -> Estimate:
        """A training that takes no time."""
        assert question.record.seed is not None
        rungs = self.rungs(question)
        for i, rung in enumerate(rungs, start=1):
            if at_rung(rungs[:i]):
                return Estimate(rungs=rungs[:i], epochs=rung.epoch, seconds=0.0)
        accuracy = self.trained_accuracy(question.record.candidate, question.record.seed)
        return Estimate(accuracy=Measured(value=accuracy), rungs=rungs, epochs=self.epochs, seconds=0.0)

    def candidates(self, seed: int) -> Candidates:
        """What a search with ``seed`` may propose."""
        goal = Goal(
            budgets=(
                Budget(metric=PARAMS.name, low=0.0, high=self.largest.params),
                Budget(metric=MACS.name, low=0.0, high=self.largest.macs),
            ),
            objectives=OBJECTIVES,
            reference={ACCURACY.name: 0.0, PARAMS.name: self.largest.params, MACS.name: self.largest.macs},
        )
        return Candidates(self.designs, sample_feasible(self.designs, goal.budgets, seed=seed), goal)

    @property
    def box(self) -> Box:
        """Where hypervolume is measured, as pages do."""
        return box_of(OBJECTIVES, (1 / self.designs.classes, self.largest.params, self.largest.macs))

    def measures(self, found: Sequence[Record]) -> dict[str, np.ndarray]:
        """What each of MEASURES is after each of ``found``, which are trained.

        The best within a part of the budget is the network that a person would take, that of the highest trained
        accuracy, with its true accuracy; chance where nothing is within.
        """
        chance = 1 / self.designs.classes
        trained = np.array([one.values[ACCURACY.name].value for one in found])
        true = np.array([self.true_accuracy(one.candidate) for one in found])
        costs = np.array([[one.values[PARAMS.name].value, one.values[MACS.name].value] for one in found], dtype=float)
        measures = {"log hypervolume": hypervolume_history(np.column_stack([true, costs]), self.box)}
        needed = (costs / [self.largest.params, self.largest.macs]).max(axis=1)
        for part in PARTS:
            within = np.where(needed <= part, trained, -np.inf)
            taken = np.array([int(within[: i + 1].argmax()) for i in range(len(within))])
            has_any = np.logical_or.accumulate(needed <= part)
            measures[f"best within {part_words(part)}"] = np.where(has_any, true[taken], chance)
        return measures


class _AllLabels(Designs):
    """Designs whose records keep every label, also those without effect: the accuracies are made of all."""

    def effective(self, labels: Mapping[str, Label]) -> Mapping[str, Label]:
        """All of them."""
        return labels


class _TableDesigns(_AllLabels):
    """Eight layers with three choices each."""

    def __init__(self, costs: Mapping[str, StaticCost]) -> None:
        layers = tuple(
            Parameter(name=f"layer{i}", factor=f"layer{i}", choices={"0": {}, "1": {}, "2": {}}) for i in range(8)
        )
        # The base is no network of the table; only the layers are used of this space.
        space = SearchSpace(name="table", text="", base=PRESETS["mobilevit_xxs"], parameters=layers)
        super().__init__(space, classes=_CLASSES)
        self._costs = costs

    @property
    def presets(self) -> dict[str, Design]:
        """None."""
        return {}

    def describe(self, labels: Mapping[str, Label]) -> Design:
        """The network of ``labels``.

        The first layer of each stage (layers 0, 2 and 5) halves the map, whatever it is; behind it an identity may
        stand anywhere and means the same. What the network is has them at the end.
        """
        key = table_key(labels)
        built = key[:3] + _identities_last(key[3:5]) + key[5] + _identities_last(key[6:])
        return Design(labels=labels, arch=None, arch_id=built, cost=self._costs[key])

    def values(self, design: Design) -> dict[str, Measured]:
        """Parameters and multiply-adds."""
        return {
            PARAMS.name: Measured(value=design.cost.params),
            MACS.name: Measured(value=design.cost.macs),
        }

    def features(self, design: Design) -> tuple[float, ...]:
        """Which layer is which, and the sizes."""
        layers = [float(layer == choice) for layer in design.arch_id for choice in "012"]
        return (*layers, math.log(design.cost.params), math.log(design.cost.macs))

    @property
    def groups(self) -> tuple[int, ...]:
        """Three columns for each layer, one for each size."""
        return (*(layer for layer in range(8) for _ in range(3)), 8, 9)


def table_key(labels: Mapping[str, Label]) -> str:
    """How the table names the network of ``labels``."""
    return "".join(str(labels[f"layer{i}"]) for i in range(8))


def _identities_last(layers: str) -> str:
    rest = layers.replace("0", "")
    return rest + "0" * (len(layers) - len(rest))


class TableSpace(KnownSpace):
    """NAS-Bench-Macro: 6,561 networks, within half of the largest costs."""

    name = "table"

    def __init__(self, path: Path) -> None:
        table = json.loads(path.read_text())
        costs = {key: StaticCost(params=one["params"], macs=one["flops"]) for key, one in table.items()}
        self._means = {key: float(one["mean_acc"]) / 100 for key, one in table.items()}
        self._runs = {key: tuple(float(run) / 100 for run in one["test_acc"]) for key, one in table.items()}
        self.designs = _TableDesigns(costs)
        self.largest = StaticCost(
            params=max(one.params for one in costs.values()) // 2, macs=max(one.macs for one in costs.values()) // 2
        )

    def true_accuracy(self, candidate: Candidate) -> float:
        """The mean of its trainings."""
        return self._means[table_key(candidate.labels)]

    def trained_accuracy(self, candidate: Candidate, seed: int) -> float:
        """One of its trainings."""
        runs = self._runs[table_key(candidate.labels)]
        return runs[random.Random(f"{candidate.arch_id} {seed}").randrange(len(runs))]


_BUDGET = StaticCost(params=500_000, macs=30_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a simulation is like: a budget, and how strong each effect of its formula is.

    ``scatter`` is the deviation of trainings, ``pairs`` that of the random effects of pairs of choices, which no
    feature shows. So large a share of the networks is ``diverging`` and stays at chance.
    """

    largest: StaticCost = _BUDGET
    scatter: float = 0.006
    pairs: float = 0.003
    diverging: float = 0.0
    compute: float = 1.0
    size: float = 1.0
    kernel: float = 1.0
    patch: float = 1.0
    depth: float = 1.0
    heads: float = 1.0
    mlp: float = 1.0
    width: float = 1.0
    fusion: float = 1.0
    blocks: float = 1.0


# The seeds of measured trainings spread by 1.1 to 2.4 points (experiments/patch_size and experiments/confirm).
_ROUGH = Traits(
    largest=StaticCost(params=1_000_000, macs=15_000_000),
    scatter=0.015, pairs=0.004, diverging=0.03, kernel=0.0, heads=0.0, mlp=0.0, fusion=0.0,
)  # fmt: skip


def other_traits(number: int) -> Traits:
    """Those of a simulation to tune on: drawn, each effect from a third to three times what it is."""
    generator = random.Random(f"traits {number}")
    effects = ("compute", "size", "kernel", "patch", "depth", "heads", "mlp", "width", "fusion", "blocks")
    return Traits(
        largest=StaticCost(
            params=generator.choice((300_000, 1_000_000, 3_000_000)),
            macs=generator.choice((8_000_000, 15_000_000, 60_000_000)),
        ),
        scatter=generator.choice((0.006, 0.01, 0.015)),
        pairs=generator.choice((0.002, 0.003, 0.005)),
        **{effect: 3 ** generator.uniform(-1, 1) for effect in effects},
    )


class SimulatedSpace(KnownSpace):
    """Networks for 32 px with accuracies from a formula. ``key`` decides what is random in them.

    As it is reported, a third of its networks are within the budget. Trainings scatter, and random effects of all pairs
    of choices are in the accuracy, which no feature shows.
    """

    def __init__(self, name: str = "simulation", traits: Traits = Traits(), key: tuple[object, ...] = ()) -> None:
        self.name = name
        self.largest = traits.largest
        self.designs = _AllLabels(load_space(OLD_SPACE), classes=_CLASSES)
        self._traits = traits
        self._key = key
        self._true: dict[str, float] = {}

    def true_accuracy(self, candidate: Candidate) -> float:
        """As the formula says."""
        if candidate.arch_id not in self._true:
            assert candidate.arch is not None
            cost = self.designs.describe(candidate.labels).cost
            accuracy = _formula(self._traits, candidate.arch, cost) + self._of_pairs(candidate.labels)
            below = statistics.NormalDist().cdf(normal("diverges", candidate.arch_id)) < self._traits.diverging
            self._true[candidate.arch_id] = 1 / _CLASSES if below else accuracy
        return self._true[candidate.arch_id]

    def trained_accuracy(self, candidate: Candidate, seed: int) -> float:
        """The true one with the scatter of a training."""
        scatter = self._traits.scatter * normal("training", candidate.arch_id, seed)
        return self.true_accuracy(candidate) + scatter

    def _of_pairs(self, labels: Mapping[str, Label]) -> float:
        names = sorted(labels)
        pairs = ((one, two) for i, one in enumerate(names) for two in names[:i])
        effects = (normal("pair", one, labels[one], two, labels[two], *self._key) for one, two in pairs)
        return self._traits.pairs * sum(effects)


def simulations() -> dict[str, Callable[[], SimulatedSpace]]:
    """Those that are reported, "simulation" and "rough simulation", and those for tuning, "tuning 0" and so on."""
    spaces: dict[str, Callable[[], SimulatedSpace]] = {
        "simulation": SimulatedSpace,
        "rough simulation": lambda: SimulatedSpace("rough simulation", _ROUGH, ("rough",)),
    }
    for number in range(8):
        name = f"tuning {number}"
        spaces[name] = functools.partial(SimulatedSpace, name, other_traits(number), (name,))
    return spaces


def _formula(traits: Traits, arch: ArchConfig, cost: StaticCost) -> float:
    """Invented, in the shape of what is known: more compute saturates, coarse patches cost most on small maps, heads
    of about 22 channels are best, depth pays less and less, and so on."""
    accuracy = 0.86 - 0.30 * traits.compute * math.exp(6.6 - math.log10(cost.macs))
    accuracy -= 0.05 * traits.size * math.exp(1.2 * (4.8 - math.log10(cost.params)))
    side, attention = arch.image_size // arch.stem.stride, 0
    for stage in arch.stages:
        side = math.ceil(side / stage.stride)
        block = stage.mobilevit
        if stage.kernel_size == 5:
            accuracy += traits.kernel * (0.006 if block is None else -0.003)
        if block is None:
            continue
        attention += 1
        accuracy -= traits.patch * 0.010 * math.log2(block.patch_size) * math.sqrt(4 / side)
        accuracy += traits.depth * (0.010 * math.log(block.depth) - 0.004 * max(0, block.depth - 3) * (block.dim > 100))
        accuracy -= traits.heads * 0.004 * (math.log2(block.dim / block.heads) - 4.5) ** 2
        accuracy += traits.mlp * 0.004 * math.log2(block.mlp_width / block.dim)
        accuracy -= traits.width * 0.02 * (math.log(block.dim / stage.channels) - 0.4) ** 2
        accuracy += traits.fusion * {"none": -0.006, "conv1x1": 0.0, "conv3x3": 0.006}[block.fusion]
    return accuracy + traits.blocks * 0.012 * (attention - 1)
