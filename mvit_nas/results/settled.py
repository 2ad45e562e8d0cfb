"""Whether a search has settled: its hypervolume has hardly grown over the last part of its trainings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mvit_nas.maths.hypervolume import Box
from mvit_nas.metrics import Metric
from mvit_nas.results.view import volume
from mvit_nas.study.record import Record

# A search is settled when over the last third of at least 15 trainings the hypervolume grew by less than 1 %.
SETTLED_SHARE, SETTLED_GROWTH, SETTLED_LEAST = 1 / 3, 0.01, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The hypervolume ``now``, after so many ``trainings``, and ``before`` the last third of them."""

    trainings: float
    now: float
    before: float

    @property
    def share(self) -> float:
        """By how much it grew, relative; infinite where it was nothing."""
        return self.now / self.before - 1 if self.before else math.inf

    @property
    def is_settled(self) -> bool:
        """Whether that is little, after trainings enough to tell."""
        return self.trainings >= SETTLED_LEAST and self.share <= SETTLED_GROWTH


def growth(records: Sequence[Record], metrics: Sequence[Metric], box: Box) -> Growth:
    """The growth over the last third of the trainings of ``records``, which are in the order of their trials."""
    spent = np.cumsum([record.spent.trainings for record in records])
    total = float(spent[-1]) if len(spent) else 0.0
    earlier = [record for record, so_far in zip(records, spent, strict=True) if so_far <= (1 - SETTLED_SHARE) * total]
    return Growth(trainings=total, now=volume(records, metrics, box), before=volume(earlier, metrics, box))
