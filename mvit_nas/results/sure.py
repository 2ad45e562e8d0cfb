"""How sure a search is of its networks: their intervals, and the probability of each to be the best or on the front."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from mvit_nas.maths.pareto import Floats
from mvit_nas.maths.statistics import ALPHA
from mvit_nas.maths.sure import Believed, believe, half_width, p_above, p_best, p_front, reaching_front
from mvit_nas.metrics import MACS, PARAMS, Metric
from mvit_nas.study.origin import SearchOrigin
from mvit_nas.study.record import Measured, Record

# Of two networks' right answers over the images of one part: what one gets wrong the other gets wrong more often, too.
# What is common cancels in a comparison. Networks trained on photos had 0.42 to 0.75 (experiments/confirm): with less,
# chances are too careful and not too bold.
_CORRELATION = 0.4
_TWO_SIDED = float(stats.norm.isf(ALPHA / 2))


@dataclass(frozen=True, kw_only=True)
class Sureness:
    """What is believed of the scored networks of a search, by their ``rows`` in its table.

    ``costs_NC`` are their costs, ``intervals`` the 95 % intervals of their scores. ``covers`` says in words what they
    cover, and ``words`` where the spread of seeds is from, or what its lack means.
    """

    rows: tuple[int, ...]
    believed: Believed
    intervals: Mapping[int, tuple[float, float]]
    costs_NC: Floats
    covers: str
    words: str

    @cached_property
    def front(self) -> Mapping[int, float]:
        """The probability of each that none which costs no more is better."""
        return dict(zip(self.rows, p_front(self.believed, self.costs_NC).tolist(), strict=True))

    def near(self, front: Collection[int]) -> Mapping[int, float]:
        """The same of the rows near the ``front`` alone: no member that costs no more is shown to be better."""
        members = np.flatnonzero([row in front for row in self.rows])
        asked = reaching_front(self.believed, self.costs_NC, members)
        chances = p_front(self.believed, self.costs_NC, asked)
        return {self.rows[place]: chance for place, chance in zip(asked.tolist(), chances.tolist(), strict=True)}

    def is_tied(self, one: int, other: int) -> bool:
        """Whether no difference between two rows is shown: 95 % of what is believed of it holds zero."""
        apart = p_above(self.believed, self.rows.index(one), self.rows.index(other))
        return ALPHA / 2 < apart < 1 - ALPHA / 2

    def chances(self, among: Collection[int]) -> Mapping[int, float]:
        """The probability of each row ``among`` some to be the best of them."""
        places = [place for place, row in enumerate(self.rows) if row in among]
        chosen = Believed(mean_N=self.believed.mean_N[places], deviation_N=self.believed.deviation_N[places])
        return dict(zip((self.rows[place] for place in places), p_best(chosen).tolist(), strict=True))

    @property
    def most_likely(self) -> int | None:
        """The row that is the best with the highest probability."""
        return max(self.best, key=self.best.__getitem__, default=None)

    @cached_property
    def best(self) -> Mapping[int, float]:
        """The probability of each to be the best of all."""
        return self.chances(self.rows)

    def tied(self, row: int) -> tuple[int, ...]:
        """The other rows which are better than ``row`` with a probability of 5 % or more, the likeliest first."""
        place = self.rows.index(row)
        chances = {other: p_above(self.believed, at, place) for at, other in enumerate(self.rows) if at != place}
        return tuple(sorted((one for one, p in chances.items() if p >= ALPHA), key=lambda one: -chances[one]))


def sureness(
    records: tuple[Record, ...], origin: SearchOrigin, *, score: Metric, objectives: tuple[Metric, ...]
) -> Sureness:
    """How sure the scores of ``records`` are; of a network that is there twice the first counts."""
    spread = origin.seed_spread
    deviation = 0.0 if spread is None else spread.deviation
    rows, measured = _measured(records, score)
    accuracy_N = np.array([one.value for one in measured])
    images_N = np.array([_image_variance(one) for one in measured])
    seeds_N = np.array([deviation**2 / records[row].seeds for row in rows])
    believed = believe(accuracy_N, seeds_N + (1 - _CORRELATION) * images_N, _sizes(records, rows))
    costs = [metric for metric in objectives if metric.is_cost]
    costs_NC = np.array([[records[row].value(metric) for metric in costs] for row in rows], dtype=float)
    freedom = 0 if spread is None else spread.freedom
    halves = [
        half_width(seeds + images, seeds_variance=seeds, freedom=freedom)
        for seeds, images in zip(seeds_N.tolist(), images_N.tolist(), strict=True)
    ]
    return Sureness(
        rows=rows,
        believed=believed,
        intervals={
            row: _interval(one, None if spread is None else half)
            for row, one, half in zip(rows, measured, halves, strict=True)
        },
        costs_NC=costs_NC.reshape(len(rows), len(costs)),
        covers="over images alone, one seed" if spread is None else "over seeds and images",
        words=_words(origin),
    )


def _words(origin: SearchOrigin) -> str:
    spread = origin.seed_spread
    if spread is None:
        return (
            "Intervals cover the choice of images alone. How far accuracies differ from seed to seed is not known "
            "here, so the intervals are a lower bound."
        )
    return (
        f"Intervals cover the choice of images and of the seed. From seed to seed accuracies differ by "
        f"{100 * spread.deviation:.1f} points (standard deviation), known from {spread.source} "
        f"by the {origin.schedule} schedule."
    )


def _measured(records: tuple[Record, ...], score: Metric) -> tuple[tuple[int, ...], list[Measured]]:
    """The rows of the trained networks whose score has an interval, each network once, and those scores."""
    found: dict[object, int] = {}
    for row, record in enumerate(records):
        one = record.measured(score) if record.is_complete else None
        if one is not None and one.low is not None and one.high is not None:
            found.setdefault(record.candidate.arch_id or row, row)
    scores = [records[row].measured(score) for row in found.values()]
    return tuple(found.values()), [one for one in scores if one is not None]


def _interval(one: Measured, half: float | None) -> tuple[float, float]:
    """As wide as ``half`` to either side; its own, over images, where that is not known."""
    if half is not None:
        return max(0.0, one.value - half), min(1.0, one.value + half)
    assert one.low is not None, "it has an interval"
    assert one.high is not None, "it has an interval"
    return one.low, one.high


def _image_variance(one: Measured) -> float:
    assert one.low is not None, "it has an interval"
    assert one.high is not None, "it has an interval"
    return ((one.high - one.low) / 2 / _TWO_SIDED) ** 2


def _sizes(records: tuple[Record, ...], rows: tuple[int, ...]) -> Floats:
    """The logarithms of what is counted of each, where it is of all: accuracies rise with size."""
    known = [[records[row].value(metric) for metric in (PARAMS, MACS)] for row in rows]
    if any(not value for values in known for value in values):
        return np.zeros((len(rows), 0))
    return np.asarray(np.log(np.array(known, dtype=float).reshape(len(rows), 2)))
