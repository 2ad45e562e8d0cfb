"""One trial of a study, or one run of an ablation: which network, what is known of it, what that cost, how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.space import Label
from mvit_nas.metrics import Metric


class State(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"  # trained to the end
    STOPPED = "stopped"  # early, since it was foreseen to end behind another
    OVER_BUDGET = "over_budget"
    DUPLICATE = "duplicate"  # of an earlier trial
    FAILED = "failed"
    INVALID = "invalid"  # its values make no network

    @property
    def is_training(self) -> bool:
        """Whether such a trial cost a training, or a part of one."""
        return self in (State.COMPLETE, State.FAILED, State.STOPPED)


class Cause(StrEnum):
    """Why a trial ended as it did, where something is decided by it; its reason says the same for people."""

    UNKNOWN = ""
    NOT_MEASURED = "latency_not_measured"  # tried again when the study is resumed
    FORESEEN = "latency_foreseen"  # another is tried in its place


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number, and its 95 % interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None

    def averaged(self, other: "Measured", count: int) -> "Measured":
        """The mean of ``count`` numbers, whose mean this is, and an ``other``."""

        def mean(one: float | None, two: float | None) -> float | None:
            return None if one is None or two is None else (count * one + two) / (count + 1)

        value = (count * self.value + other.value) / (count + 1)
        return Measured(value=value, low=mean(self.low, other.low), high=mean(self.high, other.high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """An accuracy that was not measured, and the standard deviation of its error."""

    accuracy: float
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """How far a training run was after ``epoch`` epochs, the last at a mean training ``loss``.

    ``correct`` of ``images``, which are a part of the search-validation part, the same for every run.
    """

    epoch: int
    loss: float
    correct: int
    images: int

    @property
    def accuracy(self) -> float:
        """Share of correct answers."""
        return self.correct / self.images


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The network of a trial.

    ``labels`` are its choices by factor, but those without effect beside the others (the depth of a block that is not
    there); a network outside the space has none.

    ``arch`` is None where the labels make no network, ``arch_id`` is "" then, and ``name`` is that of a preset or "".
    ``matched`` is the cost that an ablation's variant was rescaled to equal, "" where it was not, None in a search.
    """

    arch: ArchConfig | None
    arch_id: str
    name: str = ""
    labels: Mapping[str, Label] = field(default_factory=dict)
    matched: str | None = None

    @property
    def tokens(self) -> tuple[int, ...]:
        """How many tokens attention sees in each of its MobileViT blocks, at its image size."""
        return () if self.arch is None else self.arch.tokens(self.arch.image_size)

    @property
    def label(self) -> str:
        """What people call it: the name of the preset or else its arch_id."""
        return self.name or self.arch_id or "unnamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """The latency by a further runtime, or the ``note`` why it could not be measured.

    ``artefact_mib`` is the size of the file that the runtime executes, ``delegated`` the share of its operators that
    the runtime's delegate takes, None where there is none.
    """

    latency: Measured | None = None
    note: str = ""
    artefact_mib: float | None = None
    delegated: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a trial cost: ``seconds`` in all, ``training_seconds`` of training alone, also where it was known before.

    ``trainings`` are whole ones; what was stopped counts as the share of its epochs. ``cached``: taken from an earlier
    evaluation.
    """

    seconds: float = 0.0
    training_seconds: float | None = None
    epochs: int | None = None
    trainings: float = 0.0
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedScore:
    """What the training with one ``seed`` gave, by the name of the metric."""

    seed: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One trial. ``values`` are what was counted and measured, by the name of the metric; what was not is not there.

    Where the network was trained with several seeds, ``by_seed`` has the scores of each, and those in ``values`` are
    their means.

    ``further`` are latencies by further runtimes. ``seed`` decided its training, ``proposed_by`` is a sampler, "preset"
    or "first design", ``inherited_from`` the trial whose weights it started from. ``latency_runs`` of
    ``latency_threads`` are behind the latency. ``reason`` says for people why it ended so.
    """

    trial: int | None
    state: State
    candidate: Candidate
    values: Mapping[str, Measured] = field(default_factory=dict)
    further: Mapping[str, Further] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    rungs: tuple[Rung, ...] = ()
    by_seed: tuple[SeedScore, ...] = ()
    latency_runs: int | None = None
    latency_threads: int | None = None
    seed: int | None = None
    proposed_by: str = ""
    inherited_from: int | None = None
    reason: str = ""
    cause: Cause = Cause.UNKNOWN

    @property
    def label(self) -> str:
        """What people call the candidate."""
        return self.candidate.label

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to the end."""
        return self.state is State.COMPLETE

    @property
    def seeds(self) -> int:
        """With how many seeds it was trained to the end, where it was."""
        return max(1, len(self.by_seed))

    def with_seed(self, seed: int, scores: Mapping[str, Measured], *, seconds: float) -> "Record":
        """The record with the ``scores`` of one more training, which took ``seconds``.

        The mean's interval is the mean of the intervals: all are scored on the same images.
        """
        assert self.seed is not None, "it was trained"
        own = {name: self.values[name].value for name in scores if name in self.values}
        before = self.by_seed or (SeedScore(seed=self.seed, values=own),)
        further = SeedScore(seed=seed, values={name: one.value for name, one in scores.items()})
        means = {
            name: self.values[name].averaged(one, len(before)) for name, one in scores.items() if name in self.values
        }
        return replace(
            self,
            values={**self.values, **means},
            by_seed=(*before, further),
            spent=replace(self.spent, seconds=self.spent.seconds + seconds),
        )

    def has(self, metric: Metric) -> bool:
        """Whether ``metric`` is known of it."""
        return self.measured(metric) is not None

    def measured(self, metric: Metric) -> Measured | None:
        """What is known of ``metric``, a further runtime's latency among them; None for what was not measured."""
        if metric.runtime:
            further = self.further.get(metric.runtime)
            return None if further is None else further.latency
        return self.values.get(metric.name)

    def value(self, metric: Metric) -> float | None:
        """The number of ``metric``; None for what was not measured."""
        found = self.measured(metric)
        return None if found is None else found.value
