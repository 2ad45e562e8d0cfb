"""What the settings of several commands share: how a flag of each group is made, and the flags that they have alike."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.errors import InputError
from mvit_nas.settings import parse
from mvit_nas.settings.flag import Decides, Group

# What makes a flag of each group, and whether a flag decides what a study means.
question, proposals, training = Group.QUESTION.flag, Group.PROPOSALS.flag, Group.TRAINING.flag
timing, study, output = Group.TIMING.flag, Group.STUDY.flag, Group.OUTPUT.flag
ITSELF, FOUND = Decides.ITSELF, Decides.WHAT_IS_FOUND


def data_flag(words: str) -> str | None:
    """The images."""
    return question(words, None, metavar="FOLDER|NAME", decides=FOUND)


def space_flag(words: str) -> str | None:
    """The search space."""
    return question(words, None, metavar="NAME|FILE", decides=FOUND)


def image_size_flag(words: str) -> int | None:
    """Another size of the images."""
    return question(words, None, metavar="PIXELS", least=8, decides=FOUND)


def name_flag(words: str) -> str | None:
    """What it is called."""
    return study(words, None, text=parse.NAME, key="name", decides=FOUND)


def reports_flag() -> Path:
    """The folder of reports/."""
    return study("Where reports/ lies.", Path(), metavar="FOLDER")


# What several commands share has no slots: a class cannot have two bases with slots.


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where latency is measured. ``adb_benchmark`` is LiteRT's benchmark_model for the phone, where it is one."""

    target: str = timing(
        "Where it is timed: host, ssh://user@host or adb:SERIAL.",
        "host",
        metavar="TARGET",
        key="latency.target",
        decides=ITSELF,
    )
    threads: int = timing("CPU threads for the latency measurement.", 1, key="latency.threads", decides=ITSELF)
    adb_benchmark: Path | None = timing("LiteRT's benchmark_model for the phone, for adb.", None, metavar="FILE")

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise InputError(f"--threads must be at least 1, got {self.threads}")


@dataclass(frozen=True, kw_only=True)
class Timing(Target):
    """How latency is measured. ``runtime`` "" leaves the choice to what is installed."""

    runtime: str = timing(
        "What executes the network when it is timed: torch, onnxruntime, litert or executorch. Without it: onnxruntime "
        "where it is installed, else torch.",
        "",
        metavar="NAME",
        key="latency.runtime",
        decides=FOUND,
    )


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a candidate is trained. A field with the name of one of the schedule's overrides that."""

    schedule: str | None = training(
        "smoke, digits, short, medium, long or paper, or a YAML file. Without it: short; for scikit-learn's digits, "
        "digits.",
        None,
        metavar="NAME|FILE",
        decides=FOUND,
    )
    epochs: int | None = training("Instead of the schedule's.", None, metavar="N", least=1, decides=FOUND)
    batch_size: int | None = training("Instead of the schedule's.", None, metavar="N", least=1, decides=FOUND)
    learning_rate: float | None = training("The peak, instead of the schedule's.", None, text=parse.RATE, decides=FOUND)
    class_weights: bool | None = training(
        "Weigh images in the loss so that all classes count alike, however many images each has.", None, decides=FOUND
    )
    device: str = training("Training device: auto, cpu, cuda or cuda:N.", "auto")


@dataclass(frozen=True, kw_only=True)
class Start:
    """Which weights a training starts from, instead of weights of its own."""

    init: str | None = training(
        "Start every network from what fits of these weights: a model folder, a folder or file of Hugging Face's or "
        "timm's, an id of the hub.",
        None,
        metavar="FOLDER|FILE|ID",
        decides=FOUND,
    )
    init_colours: str | None = training(
        "rgb or bgr: what those weights were trained on, where they do not say it.",
        None,
        text=parse.COLOURS,
        decides=FOUND,
    )

    def __post_init__(self) -> None:
        if self.init is None and self.init_colours is not None:
            raise InputError("--init-colours says something of the weights of --init: give both, or neither")


@dataclass(frozen=True, kw_only=True)
class Starting(Start):
    """The same for who begins something from them."""

    partial: bool = training("Start from --init although less than a tenth of the network fits.", False)


@dataclass(frozen=True, kw_only=True)
class Printed:
    """What is printed."""

    as_json: bool = output("Print one JSON document on stdout.", False, option="--json", kept=False)


@dataclass(frozen=True, kw_only=True)
class Kept(Printed):
    """Where a study is kept and how it is run: what ``search`` and ``ablate`` share."""

    out: Path = study("Where experiments/ and reports/ are written.", Path(), metavar="FOLDER", kept=False)
    config: Path | None = study(
        "Settings from a YAML file, such as a study's experiment.yaml; flags override it.",
        None,
        metavar="FILE",
        kept=False,
    )
    resume: bool = study("Go on with the study of this name.", False, kept=False)
    dry_run: bool = output("Say what it would do and take, and stop.", False, kept=False)
