"""What ``mvit-nas confirm`` found: networks of a search, trained for longer with several seeds, and scored on test.

``confirmation.json`` holds it, beside the search's table; ``confirmation_file.py`` reads it by the fields here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mvit_nas.study.record import Measured

# Of confirmation.json.
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at the ``images`` of the test part: which ``trials``, with which ``seeds``, by what ``schedule``.

    ``command`` is empty in the lines of versions that did not say it.
    """

    date: str
    trials: tuple[int, ...]
    seeds: tuple[int, ...]
    schedule: str
    images: int
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedScore:
    """One training: its accuracies on the ``test`` and the search-``validation`` part, and its seconds."""

    seed: int
    test: float
    validation: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """How well one class is told from the others, over all seeds; the intervals are over images alone.

    ``recall`` is the share of its ``images`` that are found, ``precision`` that of the answers with its name that are
    right. None where the test part has no image of it, or where it was never answered.
    """

    name: str
    images: int
    recall: Measured | None
    precision: Measured | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """An image of the test part that a network takes for another: by the mean over its seeds, with that probability.

    ``image`` is its position in the part, ``thumbnail`` a JPEG as a data URI, "" where pictures were left out.
    """

    image: int
    truth: str
    answer: str
    probability: float
    thumbnail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """How well a model's probabilities fit what comes true (``maths/calibration.py``)."""

    error: float
    log_loss: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptModel:
    """The model that was kept: the ``folder``, the ``seed`` with the best validation accuracy, and its calibration.

    ``temperature`` was fitted on the validation part; ``before`` and ``after`` are what the test part says of it.
    """

    folder: str
    seed: int
    temperature: float
    before: Calibrated
    after: Calibrated


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedNetwork:
    """One network: its ``accuracy`` on the test part with the interval over seeds and images.

    ``failure`` says why there is nothing more to say of it, such as a training that diverged; "" where there is.
    ``confusion`` counts, over all seeds, images by true class and then by answer.
    """

    trial: int
    arch_id: str
    label: str
    seeds: tuple[SeedScore, ...]
    failure: str = ""
    accuracy: Measured | None = None
    classes: tuple[ClassScore, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    kept: KeptModel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Trial ``first`` minus trial ``second`` in test accuracy, paired; ``p_holm`` is over all pairs, None unknown."""

    first: int
    second: int
    difference: Measured
    p_holm: float | None
    is_shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Kendall's tau of the search's accuracies and the confirmed ones; None where there are too few networks."""

    networks: int
    tau: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """What became of the search's best: its trial, its rank now, and its lead over the others' mean then and now."""

    trial: int
    rank: int
    before: float
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Everything, the best network first, those that failed last.

    ``schedule`` is what all were trained by, as its file has it; ``take`` is the trial to take, ``tied`` those that it
    is not shown to differ from. ``looks`` are all those at the test part so far.
    """

    study: str
    created: str
    command: str
    fingerprint: str
    schedule: Mapping[str, Any]
    seeds: tuple[int, ...]
    images: int
    networks: tuple[ConfirmedNetwork, ...]
    pairs: tuple[Pair, ...]
    ranks: Ranks
    lead: Lead | None
    take: int | None
    tied: tuple[int, ...]
    looks: tuple[Look, ...]
    notes: tuple[str, ...] = ()

    @property
    def scored(self) -> Sequence[ConfirmedNetwork]:
        """Those that have an accuracy."""
        return [one for one in self.networks if one.accuracy is not None]

    def network(self, trial: int) -> ConfirmedNetwork:
        """That of a trial."""
        return next(one for one in self.networks if one.trial == trial)
