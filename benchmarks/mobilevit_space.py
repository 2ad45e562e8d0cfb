"""The table of the MobileViT family as a space whose accuracies are known: real trainings, real curves, in no time.

    space = MobileViTTable()                  # within 15 M multiply-adds
    space = MobileViTTable(macs=3_750_000)

What a sampler's settings are chosen by is the simulation of `known_spaces.py`; what they are worth is reported here.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from known_spaces import KnownSpace
from mobilevit_rows import Training, read_table

from mvit_nas.arch.count import StaticCost
from mvit_nas.arch.space import load_space
from mvit_nas.errors import InputError
from mvit_nas.evaluate.estimator import AtRung, Estimate, Question
from mvit_nas.maths.share import wilson
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.study.record import Candidate, Measured, Rung

SPACE = Path(__file__).parent / "spaces" / "mobilevit_table.yaml"
TABLE = Path(__file__).parent / "mobilevit_table.parquet"
CLASSES = 10
SHORT, MEDIUM = "short", "medium"


def table_designs() -> Designs:
    """The space of the table."""
    return Designs(load_space(SPACE), classes=CLASSES)


def networks(designs: Designs) -> list[Design]:
    """All networks of the space, by rising multiply-adds."""
    names = [parameter.name for parameter in designs.space.parameters]
    choices = [tuple(parameter.choices) for parameter in designs.space.parameters]
    found = [designs.describe(dict(zip(names, labels, strict=True))) for labels in itertools.product(*choices)]
    return sorted(found, key=lambda design: (design.cost.macs, design.arch_id))


class _MembersAlone(Designs):
    """Designs that propose no preset: the paper's networks are beside the space."""

    @property
    def presets(self) -> dict[str, Design]:
        """None."""
        return {}


class MobileViTTable(KnownSpace):
    """The networks of the table of at most so many ``macs``.

    A network that was trained with three seeds has the first one for the seeds 0, 3, 6, ..., the second one for 1, 4,
    7, ...; most have one training, which is then their true accuracy as well. Raises InputError where the table lacks
    a network.
    """

    name = "mobilevit"

    def __init__(self, path: Path = TABLE, *, designs: Designs | None = None, macs: int = 15_000_000) -> None:
        self.table = read_table(path)
        known = designs or table_designs()
        self.designs = _MembersAlone(known.space, classes=known.classes)
        self._trainings: dict[tuple[str, str], list[Training]] = {}
        for one in self.table.trainings:
            self._trainings.setdefault((one.network, one.schedule), []).append(one)
        members = networks(self.designs)
        if lacking := [one.arch_id for one in members if not self.trainings(one.arch_id)]:
            raise InputError(f"{path} lacks {len(lacking)} of {len(members)} networks, {lacking[0]} among them")
        within = [one for one in members if one.cost.macs <= macs]
        if not within:
            raise InputError(f"no network of {path} has at most {macs:,} multiply-adds")
        self.largest = StaticCost(params=max(one.cost.params for one in within), macs=macs)
        self.epochs = len(self.trainings(members[0].arch_id)[0].losses)

    def trainings(self, network: str, schedule: str = SHORT) -> Sequence[Training]:
        """Those of the network of that arch_id by ``schedule``, by rising seeds; also of a preset."""
        return self._trainings.get((network, schedule), ())

    def true_accuracy(self, candidate: Candidate) -> float:
        """The mean of its trainings."""
        return float(np.mean([one.accuracy for one in self.trainings(candidate.arch_id)]))

    def trained_accuracy(self, candidate: Candidate, seed: int) -> float:
        """One of its trainings."""
        return self._training(candidate, seed).accuracy

    def rungs(self, question: Question) -> tuple[Rung, ...]:
        """Those of the training."""
        assert question.record.seed is not None
        return self._training(question.record.candidate, question.record.seed).rungs

    def estimate(self, question: Question, *, at_rung: AtRung, should_stop: Callable[[], bool]) -> Estimate:
        """One of its trainings, with the interval over images."""
        found = super().estimate(question, at_rung=at_rung, should_stop=should_stop)
        if found.accuracy is None:
            return found
        assert question.record.seed is not None
        training = self._training(question.record.candidate, question.record.seed)
        low, high = wilson(training.accuracy, training.images)
        return replace(found, accuracy=Measured(value=training.accuracy, low=low, high=high))

    def _training(self, candidate: Candidate, seed: int) -> Training:
        trainings = self.trainings(candidate.arch_id)
        return trainings[seed % len(trainings)]
