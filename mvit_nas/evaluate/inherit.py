"""Trainings that start from the weights of the nearest network that was trained before."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from mvit_nas.arch.config import ArchConfig, to_dict
from mvit_nas.arch.paths import flat
from mvit_nas.evaluate.estimator import AtRung, Estimate, Question
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.study.record import Record


class Inheriting:
    """``training`` whose networks inherit from one another, and whose weights are kept for that."""

    def __init__(self, training: ShortTraining) -> None:
        self._training = training
        # By trial: what its training is called, and the settings of its network by path.
        self._names: dict[int | None, str] = {}
        self._settings: dict[int | None, dict[str, object]] = {}

    @property
    def epochs(self) -> int:
        """Of a whole training."""
        return self._training.epochs

    def estimate(self, question: Question, *, at_rung: AtRung, should_stop: Callable[[], bool]) -> Estimate:
        """The answer of a training that starts from what the nearest relative has in common with the network."""
        assert question.record.candidate.arch is not None
        parent = self._nearest(question.record.candidate.arch, question.before)
        found = self._training.estimate(
            question,
            at_rung=at_rung,
            should_stop=should_stop,
            parent="" if parent is None else self._names[parent],
            keep_weights=True,
        )
        return replace(found, parent=parent)

    def _nearest(self, arch: ArchConfig, before: Sequence[Record]) -> int | None:
        """The trial of the trained network that differs from ``arch`` least; None where no weights were kept."""
        mine = flat(to_dict(arch))
        nearest, least = None, math.inf
        for record in before:
            if not record.is_complete:
                continue
            self._learn(record)
            theirs = self._settings[record.trial]
            apart = sum(mine.get(path) != theirs.get(path) for path in mine.keys() | theirs.keys())
            if apart < least and self._training.has_weights(self._names[record.trial]):
                nearest, least = record.trial, apart
        return nearest

    def _learn(self, record: Record) -> None:
        if record.trial in self._names:
            return
        arch, parent = record.candidate.arch, self._names.get(record.inherited_from, "")
        assert arch is not None, "what was trained is a network"
        assert record.seed is not None, "and has a seed"
        self._names[record.trial] = self._training.training_name(arch, seed=record.seed, parent=parent)
        self._settings[record.trial] = flat(to_dict(arch))
