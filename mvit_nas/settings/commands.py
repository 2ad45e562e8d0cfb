"""The settings of each command: one frozen dataclass, whose fields are its flags."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.budget import Budget, parse_budget
from mvit_nas.errors import InputError
from mvit_nas.metrics import COSTS, OBJECTIVES
from mvit_nas.settings.flag import Decides, Group, flag
from mvit_nas.settings.parse import (
    SAMPLERS,
    check_name,
    parse_baseline,
    parse_cost,
    parse_front_runtimes,
    parse_names,
    parse_objectives,
    parse_precision,
    parse_rate,
    parse_sampler,
    parse_seeds,
    parse_values,
    write_baseline,
    write_budget,
    write_cost,
    write_names,
    write_objectives,
    write_precision,
    write_seconds,
    write_seeds,
    write_values,
)
from mvit_nas.units import parse_seconds

# With --precision and without --max-seeds.
_MAX_SEEDS = 20
_COSTS = ", ".join(metric.option for metric in COSTS)
_OBJECTIVES = tuple(metric.name for metric in OBJECTIVES)


# What several commands share has no slots: a class cannot have two bases with slots.


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where latency is measured. ``adb_benchmark`` is LiteRT's benchmark_model for the phone, where it is one."""

    target: str = flag(
        "Where it is timed: host, ssh://user@host or adb:SERIAL.",
        Group.TIMING,
        default="host",
        metavar="TARGET",
        key="latency.target",
        decides=Decides.ITSELF,
    )
    threads: int = flag(
        "CPU threads for the latency measurement.",
        Group.TIMING,
        default=1,
        key="latency.threads",
        decides=Decides.ITSELF,
    )
    adb_benchmark: Path | None = flag(
        "LiteRT's benchmark_model for the phone, for adb.", Group.TIMING, default=None, metavar="FILE"
    )

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise InputError(f"--threads must be at least 1, got {self.threads}")


@dataclass(frozen=True, kw_only=True)
class Timing(Target):
    """How latency is measured. ``runtime`` "" leaves the choice to what is installed."""

    runtime: str = flag(
        "What executes the network when it is timed: torch, onnxruntime, litert or executorch. Without it: onnxruntime "
        "where it is installed, else torch.",
        Group.TIMING,
        default="",
        metavar="NAME",
        key="latency.runtime",
        decides=Decides.WHAT_IS_FOUND,
    )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a candidate is trained. ``epochs``, ``batch_size`` and ``learning_rate`` override the schedule's."""

    schedule: str = flag(
        "smoke, short or paper, or a YAML file.",
        Group.TRAINING,
        default="short",
        metavar="NAME|FILE",
        decides=Decides.WHAT_IS_FOUND,
    )
    epochs: int | None = flag(
        "Instead of the schedule's.",
        Group.TRAINING,
        default=None,
        metavar="N",
        least=1,
        decides=Decides.WHAT_IS_FOUND,
    )
    batch_size: int | None = flag(
        "Instead of the schedule's.",
        Group.TRAINING,
        default=None,
        metavar="N",
        least=1,
        decides=Decides.WHAT_IS_FOUND,
    )
    learning_rate: float | None = flag(
        "The peak, instead of the schedule's.",
        Group.TRAINING,
        default=None,
        metavar="RATE",
        parse=parse_rate,
        write=repr,
        decides=Decides.WHAT_IS_FOUND,
    )
    device: str = flag("Training device: auto, cpu, cuda or cuda:N.", Group.TRAINING, default="auto")


@dataclass(frozen=True, kw_only=True)
class Printed:
    """What is printed."""

    as_json: bool = flag("Print one JSON document on stdout.", Group.OUTPUT, default=False, option="--json", kept=False)


@dataclass(frozen=True, kw_only=True)
class Kept(Printed):
    """Where a study is kept and how it is run: what ``search`` and ``ablate`` share."""

    out: Path = flag(
        "Where experiments/ and reports/ are written.",
        Group.STUDY,
        default=Path(),
        metavar="FOLDER",
        kept=False,
    )
    config: Path | None = flag(
        "Settings from a YAML file, such as a study's experiment.yaml; flags override it.",
        Group.STUDY,
        default=None,
        metavar="FILE",
        kept=False,
    )
    resume: bool = flag("Go on with the study of this name.", Group.STUDY, default=False, kept=False)
    dry_run: bool = flag("Say what it would do and take, and stop.", Group.OUTPUT, default=False, kept=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings(Timing, Training, Kept):
    """The flags of ``mvit-nas search``.

    ``trials``, ``timeout_seconds`` and ``stop_when_settled`` say when to stop, ``measure_front`` on which further
    runtimes the front is measured; they may change from one run to the next.
    """

    budgets: tuple[Budget, ...] = flag(
        "A limit that every candidate must meet: 6M (parameters), 1.2GMACs, 10ms, 4M..6M. Repeatable.",
        Group.QUESTION,
        default=(),
        option="--budget",
        metavar="LIMIT",
        parse=parse_budget,
        write=write_budget,
        many=True,
        key="budgets",
        decides=Decides.ITSELF,
    )
    data: str | None = flag(
        "Image folder, or folder of Parquet files as the Hugging Face hub serves them, or a named set (digits). "
        "Without it: scikit-learn's handwritten digits.",
        Group.QUESTION,
        default=None,
        metavar="FOLDER|NAME",
        decides=Decides.WHAT_IS_FOUND,
    )
    space: str | None = flag(
        "mobilevit, mobilevit_small or a YAML file. Without it: by the size of the images.",
        Group.QUESTION,
        default=None,
        metavar="NAME|FILE",
        decides=Decides.WHAT_IS_FOUND,
    )
    image_size: int | None = flag(
        "One image size instead of the space's.",
        Group.QUESTION,
        default=None,
        metavar="PIXELS",
        least=8,
        decides=Decides.WHAT_IS_FOUND,
    )
    objectives: tuple[str, ...] = flag(
        f"accuracy and at least one of {_COSTS}.",
        Group.QUESTION,
        default=_OBJECTIVES,
        metavar="LIST",
        parse=parse_objectives,
        write=write_objectives,
        key="objectives",
        decides=Decides.ITSELF,
    )
    sampler: str = flag(
        f"auto, which is {SAMPLERS[0]}, or {', '.join(SAMPLERS[1:])}.",
        Group.PROPOSALS,
        default=SAMPLERS[0],
        metavar="NAME",
        parse=parse_sampler,
        key="sampler",
        decides=Decides.ITSELF,
    )
    baseline: float = flag(
        "Draw a share of the candidates (0.25) at random, so that the report can say whether the search beats that.",
        Group.PROPOSALS,
        default=0.0,
        metavar="random[:SHARE]",
        parse=parse_baseline,
        write=write_baseline,
        key="baseline",
        decides=Decides.ITSELF,
    )
    trials: int = flag(
        "Candidates to train, in all; one that is stopped counts as its share.",
        Group.PROPOSALS,
        default=12,
        key="trials",
    )
    early_stopping: bool = flag(
        "Stop a training that is foreseen to end behind a candidate that costs no more.",
        Group.PROPOSALS,
        default=False,
        key="early_stopping",
        decides=Decides.ITSELF,
    )
    inherit: bool = flag(
        "Start each training from the weights of the nearest one that was finished.",
        Group.PROPOSALS,
        default=False,
        key="inherit",
        decides=Decides.ITSELF,
    )
    stop_when_settled: bool = flag(
        "End when the front has hardly grown for a third of the trials.", Group.PROPOSALS, default=False
    )
    finish: tuple[int, ...] = flag(
        "With --resume: train this stopped trial to the end. Repeatable.",
        Group.PROPOSALS,
        default=(),
        metavar="TRIAL",
        many=True,
        kept=False,
    )
    timeout_seconds: float | None = flag(
        "Start no trial after this: 90s, 15min, 8h.",
        Group.PROPOSALS,
        default=None,
        option="--timeout",
        metavar="TIME",
        parse=parse_seconds,
        write=write_seconds,
        key="timeout_seconds",
    )
    seed: int = flag(
        "Decides proposals, weights and data order.",
        Group.TRAINING,
        default=0,
        key="seed",
        decides=Decides.ITSELF,
    )
    measure_front: tuple[str, ...] = flag(
        "Further runtimes on which the front is timed, each with its own target where need be: "
        "executorch,litert@adb:SERIAL.",
        Group.TIMING,
        default=(),
        metavar="LIST",
        parse=parse_front_runtimes,
        write=write_names,
        key="measure_front",
    )
    name: str | None = flag(
        "Name of the study. Without it: from data and budget.",
        Group.STUDY,
        default=None,
        parse=check_name,
        key="name",
        decides=Decides.WHAT_IS_FOUND,
    )

    def __post_init__(self) -> None:
        Target.__post_init__(self)
        if self.trials < 1:
            raise InputError(f"--trials must be at least 1, got {self.trials}")
        if self.seed < 0:
            raise InputError(f"--seed must be 0 or more, got {self.seed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AblateSettings(Timing, Training, Kept):
    """The flags of ``mvit-nas ablate``.

    ``seeds`` and what adds to them (``max_seeds`` until the interval is as narrow as ``precision``, a share) may change
    from one run to the next. ``match`` is the column of a cost or None.
    """

    factors: tuple[str, ...] = flag(
        "A factor of the space (patch_size, depth, width, placement, ...) or a choice of the training "
        "(label_smoothing, ema, augmentation). Two give the grid and their interaction.",
        Group.QUESTION,
        option="",
        metavar="FACTOR [FACTOR]",
        many=True,
        key="factors",
        decides=Decides.ITSELF,
    )
    base: str = flag(
        "What is varied: a preset, a trial of a study (NAME:37, NAME:knee) or an architecture file.",
        Group.QUESTION,
        default="mobilevit_xxs",
        metavar="PRESET|NAME:TRIAL|FILE",
        key="base",
        decides=Decides.ITSELF,
    )
    values: tuple[tuple[str, ...], ...] = flag(
        "Values instead of the space's own, up to the next flag: 2 4 8,4,2 (with commas one for each MobileViT stage). "
        "Once for each factor.",
        Group.QUESTION,
        default=(),
        metavar="VALUE...",
        parse=parse_values,
        write=write_values,
        many=True,
        greedy=True,
        key="values",
        decides=Decides.WHAT_IS_FOUND,
    )
    seeds: tuple[int, ...] = flag(
        "How many seeds each variant is run with, or which: 0,1,2.",
        Group.QUESTION,
        default=(0, 1, 2, 3, 4),
        metavar="N|LIST",
        parse=parse_seeds,
        write=write_seeds,
        key="seeds",
    )
    precision: float | None = flag(
        "Add seeds until the largest difference is known to plus or minus this: 0.5% (accuracy points).",
        Group.QUESTION,
        default=None,
        metavar="POINTS",
        parse=parse_precision,
        write=write_precision,
        key="precision",
    )
    max_seeds: int | None = flag(
        f"At most so many seeds for --precision; without it {_MAX_SEEDS}.",
        Group.QUESTION,
        default=None,
        metavar="N",
        key="max_seeds",
    )
    match: str | None = flag(
        "params, macs or latency: also run each variant at the base's cost.",
        Group.QUESTION,
        default=None,
        metavar="COST",
        parse=parse_cost,
        write=write_cost,
        key="match",
        decides=Decides.ITSELF,
    )
    no_resize: bool = flag(
        "Refuse patch sizes that do not tile a map instead of resizing it.",
        Group.QUESTION,
        default=False,
        decides=Decides.WHAT_IS_FOUND,
    )
    data: str | None = flag(
        "Images, as for search. Without it: the digits.",
        Group.QUESTION,
        default=None,
        metavar="FOLDER|NAME",
        decides=Decides.WHAT_IS_FOUND,
    )
    space: str | None = flag(
        "Whose factors and values. Without it: as for search.",
        Group.QUESTION,
        default=None,
        metavar="NAME|FILE",
        decides=Decides.WHAT_IS_FOUND,
    )
    image_size: int | None = flag(
        "Another image size than the base's.",
        Group.QUESTION,
        default=None,
        metavar="PIXELS",
        least=8,
        decides=Decides.WHAT_IS_FOUND,
    )
    name: str | None = flag(
        "Name of the ablation. Without it: from factor, base, data.",
        Group.STUDY,
        default=None,
        parse=check_name,
        key="name",
        decides=Decides.WHAT_IS_FOUND,
    )

    def __post_init__(self) -> None:
        Target.__post_init__(self)
        if self.precision is None and self.most_seeds != len(self.seeds):
            raise InputError("--max-seeds adds seeds until --precision is reached: give both, or neither")
        if self.most_seeds < len(self.seeds):
            raise InputError(f"--max-seeds must be at least the {len(self.seeds)} of --seeds, got {self.max_seeds}")

    @property
    def most_seeds(self) -> int:
        """How many seeds there may be in the end."""
        if self.max_seeds is not None:
            return self.max_seeds
        return len(self.seeds) if self.precision is None else max(_MAX_SEEDS, len(self.seeds))


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySettings(Target, Training, Printed):
    """The flags of ``mvit-nas latency``. ``precision`` is a share; the training is that of ``--int8``."""

    choices: tuple[str, ...] = flag(
        "A preset, a trial of a study (NAME:37, NAME:knee), its whole front (NAME:front), an architecture file (.yaml) "
        "or an artefact (.onnx, .tflite, .pte).",
        Group.QUESTION,
        option="",
        metavar="CHOICE...",
        many=True,
    )
    image_size: int | None = flag(
        "Another image size than the network's own.", Group.QUESTION, default=None, metavar="PIXELS", least=8
    )
    int8: bool = flag(
        "Also with int8 weights and activations: trains first, to say what accuracy it costs.",
        Group.QUESTION,
        default=False,
    )
    by_stage: bool = flag("Also where the time goes (torch and onnxruntime).", Group.QUESTION, default=False)
    data: str | None = flag(
        "Images for --int8, as for search. Without it: the digits.",
        Group.TRAINING,
        default=None,
        metavar="FOLDER|NAME",
    )
    runtimes: tuple[str, ...] = flag(
        "What executes them: torch, onnxruntime, litert, executorch, several with commas. Without it: onnxruntime "
        "where it is installed, else torch.",
        Group.TIMING,
        default=(),
        option="--runtime",
        metavar="LIST",
        parse=parse_names,
        write=write_names,
    )
    precision: float = flag(
        "Measure until the latency is known to plus or minus this.",
        Group.TIMING,
        default=0.01,
        metavar="PERCENT",
        parse=parse_precision,
        write=write_precision,
    )
    seconds: float = flag(
        "But no longer than this for each.",
        Group.TIMING,
        default=6.0,
        option="--cap",
        metavar="TIME",
        parse=parse_seconds,
        write=write_seconds,
    )
    out: Path = flag("Where reports/ lies.", Group.STUDY, default=Path(), metavar="FOLDER")


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesSettings(Printed):
    """The flags of ``mvit-nas devices``."""

    targets: tuple[str, ...] = flag(
        "Machines to ask as well: ssh://user@host.",
        Group.QUESTION,
        default=(),
        option="",
        metavar="[TARGET...]",
        many=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """The flags of ``mvit-nas report``."""

    name: str = flag("Name of the study, or the folder of its report.", Group.QUESTION, option="")
    runtime: str | None = flag(
        "Show the latencies by this runtime, in a page of its own. Without it: the search's.",
        Group.QUESTION,
        default=None,
    )
    target: str | None = flag(
        "Refuse the report unless its latencies were measured on this target.", Group.QUESTION, default=None
    )
    out: Path = flag("Where reports/ lies.", Group.STUDY, default=Path(), metavar="FOLDER")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings(Printed):
    """The flags of ``mvit-nas compare``."""

    studies: tuple[str, ...] = flag(
        "Names of searches, or folders of their reports; two or more.",
        Group.QUESTION,
        option="",
        metavar="STUDY...",
        many=True,
    )
    name: str | None = flag(
        "Folder of the page in reports/. Without it: the names, joined.", Group.STUDY, default=None, parse=check_name
    )
    out: Path = flag("Where reports/ lies.", Group.STUDY, default=Path(), metavar="FOLDER")


# By name, in the order of the help.
COMMANDS: dict[str, type] = {
    "search": SearchSettings,
    "ablate": AblateSettings,
    "latency": LatencySettings,
    "devices": DevicesSettings,
    "report": ReportSettings,
    "compare": CompareSettings,
}
