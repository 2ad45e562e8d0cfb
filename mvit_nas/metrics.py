"""Every number that a network is judged by: its column, which way is better, its unit and its words.

A further metric is one entry of METRICS; the command line, tables, files and pages know none of them by name but what
they are about (a training has an accuracy, a measurement a latency).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mvit_nas.units import format_count


class Source(StrEnum):
    """Where a metric's values come from, which decides the conditions that are said with them."""

    TRAINED = "trained"
    COUNTED = "counted"
    TIMED = "timed"


class Form(StrEnum):
    """How a metric's values are written."""

    SHARE = "share"  # 0.716 is "71.6 %"
    COUNT = "count"  # 5578632 is "5.58M"
    QUANTITY = "quantity"  # three significant digits and the unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. ``name`` is its column; ``low`` and ``high`` are those of its 95 % interval, where it has one.

    ``option`` is its name on the command line, ``ideal`` the best that it could be. ``units`` are those in which a
    budget on it may be written, with what one of them is. ``noun`` stands in sentences ("50 % more MACs") and begins
    headings, there with ``note``; ``after`` stands behind a value with its unit where that does not say what it is
    ("12 ms latency"). ``aside`` metrics are shown, but no search is for them. ``runtime`` is the further runtime that a
    latency is by, "" for the search's own.
    """

    name: str
    option: str
    source: Source
    form: Form
    unit: str
    maximise: bool = False
    ideal: float = 0.0
    noun: str
    note: str = ""
    more: str = "higher"
    fewer: str = "lower"
    extreme: str
    after: str = ""
    low: str = ""
    high: str = ""
    units: Mapping[str, float] = field(default_factory=dict, hash=False)
    aside: bool = False
    runtime: str = ""

    @property
    def title(self) -> str:
        """The noun as a title: "Peak memory"."""
        return self.noun[0].upper() + self.noun[1:]

    @property
    def heading(self) -> str:
        """The title with what must be said of all values: "MACs (fvcore FLOPs)"."""
        return self.title + self.note

    @property
    def is_cost(self) -> bool:
        """Whether less of it is better."""
        return not self.maximise

    def format(self, value: float) -> str:
        """``value`` with its unit: "5.58M parameters", "1.05G MACs", "12.3 ms", "71.6 %"."""
        if self.form is Form.SHARE:
            return f"{100 * value:.1f} {self.unit}"
        return f"{format_count(value) if self.form is Form.COUNT else f'{value:.3g}'} {self.unit}"

    def cell(self, value: float) -> str:
        """``value`` where a heading has the unit: "5.58M", "12.30", "71.6"."""
        if self.form is Form.COUNT:
            return format_count(value)
        # "#" keeps zeros, and a point after whole numbers.
        return f"{100 * value:.1f}" if self.form is Form.SHARE else f"{value:#.3g}".rstrip(".")

    def interval(self, low: float, high: float) -> str:
        """An interval with its unit: "68.9 to 73.6 %"."""
        return f"{self.cell(low)} to {self.cell(high)} {self.unit}"

    def change(self, ratio: float) -> str:
        """How a value differs from another, ``ratio`` times as high: "50 % more MACs", "the same latency"."""
        percent = 100 * (ratio - 1)
        if not self.changes(ratio):
            return f"the same {self.noun}"
        return f"{abs(percent):.0f} % {self.more if percent > 0 else self.fewer} {self.noun}"

    def changes(self, ratio: float) -> bool:
        """Whether a value ``ratio`` times as high is said to be another."""
        return abs(100 * (ratio - 1)) >= 0.5

    def is_below_ideal(self, value: float) -> bool:
        """Whether ``value`` is worse than the best that it could be."""
        return value < self.ideal if self.maximise else value > self.ideal

    def by(self, runtime: str) -> "Metric":
        """The same metric as a further ``runtime`` has it, in columns of its own: "latency_ms.R"."""
        name, low, high = (f"{column}.{runtime}" for column in (self.name, self.low, self.high))
        return replace(self, name=name, low=low, high=high, runtime=runtime)


ACCURACY = Metric(
    name="accuracy",
    option="accuracy",
    source=Source.TRAINED,
    form=Form.SHARE,
    unit="%",
    maximise=True,
    ideal=1.0,
    noun="accuracy",
    more="more",
    fewer="less",
    extreme="Highest accuracy",
    after="accuracy",
    low="accuracy_low",
    high="accuracy_high",
)
BALANCED_ACCURACY = Metric(
    name="balanced_accuracy",
    option="balanced-accuracy",
    source=Source.TRAINED,
    form=Form.SHARE,
    unit="%",
    maximise=True,
    ideal=1.0,
    noun="balanced accuracy",
    more="more",
    fewer="less",
    extreme="Highest balanced accuracy",
    after="balanced accuracy",
    low="balanced_accuracy_low",
    high="balanced_accuracy_high",
)
PARAMS = Metric(
    name="params",
    option="params",
    source=Source.COUNTED,
    form=Form.COUNT,
    unit="parameters",
    noun="parameters",
    more="more",
    fewer="fewer",
    extreme="Fewest parameters",
    units={"params": 1.0},
)
MACS = Metric(
    name="macs",
    option="macs",
    source=Source.COUNTED,
    form=Form.COUNT,
    unit="MACs",
    noun="MACs",
    note=" (fvcore FLOPs)",
    more="more",
    fewer="fewer",
    extreme="Fewest MACs",
    units={"macs": 1.0},
)
LATENCY = Metric(
    name="latency_ms",
    option="latency",
    source=Source.TIMED,
    form=Form.QUANTITY,
    unit="ms",
    noun="latency",
    extreme="Lowest latency",
    after="latency",
    low="latency_low_ms",
    high="latency_high_ms",
    units={"ms": 1.0, "us": 1e-3, "s": 1e3},
)
SIZE = Metric(
    name="size_mib",
    option="size",
    source=Source.COUNTED,
    form=Form.QUANTITY,
    unit="MiB",
    noun="size",
    note=" of the weights (MiB, float32)",
    more="larger",
    fewer="smaller",
    extreme="Smallest weights",
    after="of weights",
    aside=True,
)
PEAK_MEMORY = Metric(
    name="peak_memory_mib",
    option="peak_memory",
    source=Source.COUNTED,
    form=Form.QUANTITY,
    unit="MiB",
    noun="peak memory",
    note=" of the activations (MiB, float32, counted)",
    extreme="Lowest peak memory",
    after="of activations",
    aside=True,
)
# In the order of a table's columns.
METRICS: Mapping[str, Metric] = {
    metric.name: metric for metric in (ACCURACY, BALANCED_ACCURACY, PARAMS, MACS, SIZE, PEAK_MEMORY, LATENCY)
}
# What a search can be for: one of SCORES, and of COSTS, which are spent, some.
OBJECTIVES: tuple[Metric, ...] = tuple(metric for metric in METRICS.values() if not metric.aside)
SCORES: tuple[Metric, ...] = tuple(metric for metric in OBJECTIVES if metric.source is Source.TRAINED)
COSTS: tuple[Metric, ...] = tuple(metric for metric in OBJECTIVES if metric.is_cost)


def score_of(objectives: Sequence[Metric]) -> Metric:
    """What networks are trained for by ``objectives``: the score among them, accuracy where all are costs."""
    return next((metric for metric in objectives if metric in SCORES), ACCURACY)


def metrics_of(names: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of these columns."""
    return tuple(METRICS[name] for name in names)
