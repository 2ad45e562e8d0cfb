"""The settings of each command: one frozen dataclass, whose fields are its flags."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mvit_nas.budget import Budget
from mvit_nas.errors import InputError
from mvit_nas.maths import forecast
from mvit_nas.metrics import ACCURACY, COSTS, SCORES, metrics_of, score_of
from mvit_nas.settings import parse
from mvit_nas.settings.shared import (
    FOUND,
    ITSELF,
    Kept,
    Printed,
    Start,
    Starting,
    Target,
    Timing,
    Training,
    data_flag,
    image_size_flag,
    name_flag,
    output,
    proposals,
    question,
    reports_flag,
    space_flag,
    study,
    timing,
    training,
)
from mvit_nas.settings.working import Working

# With --precision and without --max-seeds.
_MAX_SEEDS = 20
# The share of a search's trainings that --seeds-for-front takes.
_REPEATED = 0.25
_COSTS = ", ".join(metric.option for metric in COSTS)
_SCORES = " or ".join(metric.option for metric in SCORES)
_OBJECTIVES = tuple(metric.name for metric in (ACCURACY, *COSTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings(Timing, Training, Starting, Working, Kept):
    """The flags of ``mvit-nas search``.

    ``trials``, ``timeout_seconds`` and ``stop_when_settled`` say when to stop, ``measure_front`` on which further
    runtimes the front is measured; they may change from one run to the next.
    """

    budgets: tuple[Budget, ...] = question(
        "A limit that every candidate must meet: 6M (parameters), 1.2GMACs, 10ms, 4M..6M. Repeatable.",
        (),
        option="--budget",
        text=parse.BUDGET,
        many=True,
        decides=ITSELF,
    )
    data: str | None = data_flag(
        "Image folder, or folder of Parquet files as the Hugging Face hub serves them, or a named set (digits). "
        "Without it: scikit-learn's handwritten digits."
    )
    space: str | None = space_flag("mobilevit, mobilevit_small or a YAML file. Without it: by the size of the images.")
    image_size: int | None = image_size_flag("One image size instead of the space's.")
    objectives: tuple[str, ...] = question(
        f"{_SCORES}, and at least one of {_COSTS}.", _OBJECTIVES, text=parse.OBJECTIVE_NAMES, decides=ITSELF
    )
    sampler: str = proposals(
        f"auto, which is {parse.SAMPLERS[0]}, or {', '.join(parse.SAMPLERS[1:])}.",
        parse.SAMPLERS[0],
        text=parse.SAMPLER,
        decides=ITSELF,
    )
    learn_from: tuple[str, ...] = proposals(
        "Learn from an earlier search as long as it ranks the networks of this one alike. Repeatable.",
        (),
        metavar="STUDY",
        many=True,
        decides=FOUND,
    )
    baseline: float = proposals(
        "Draw a share of the candidates (0.25) at random, so that the report can say whether the search beats that.",
        0.0,
        text=parse.BASELINE,
        decides=ITSELF,
    )
    trials: int | Literal["auto"] = proposals(
        "Candidates to train, in all; one that is stopped counts as its share. auto: until "
        f"{forecast.MORE} more are expected to bring less than a point, {forecast.MOST} at most.",
        12,
        text=parse.TRIALS,
        key="trials",
    )
    seeds_for_front: int = proposals(
        "Keep a quarter of the trials to train the front again, up to so many seeds each, the likeliest best first.",
        1,
        metavar="N",
        least=1,
        key="seeds_for_front",
    )
    early_stopping: bool = proposals(
        "Stop a training that is foreseen to end behind a candidate that costs no more.", False, decides=ITSELF
    )
    inherit: bool = proposals(
        "Start each training from the weights of the nearest one that was finished.", False, decides=ITSELF
    )
    stop_when_settled: bool = proposals("End when the front has hardly grown for a third of the trials.", False)
    finish: tuple[int, ...] = proposals(
        "With --resume: train this stopped trial to the end. Repeatable.", (), metavar="TRIAL", many=True, kept=False
    )
    timeout_seconds: float | None = proposals(
        "Start no trial after this: 90s, 15min, 8h.",
        None,
        option="--timeout",
        text=parse.SECONDS,
        key="timeout_seconds",
    )
    seed: int = training("Decides proposals, weights and data order.", 0, decides=ITSELF)
    measure_front: tuple[str, ...] = timing(
        "Further runtimes on which the front is timed, each with its own target where need be: "
        "executorch,litert@adb:SERIAL.",
        (),
        text=parse.FRONT_RUNTIMES,
        key="measure_front",
    )
    name: str | None = name_flag("Name of the study. Without it: from data and budget.")

    def __post_init__(self) -> None:
        Target.__post_init__(self)
        Start.__post_init__(self)
        if self.init is not None and self.inherit:
            raise InputError("--init and --inherit are two ways to start a training: give one")
        self._check_trials()
        if self.jobs > 1 and self.jobs_per_gpu is not None:
            raise InputError("--jobs and --jobs-per-gpu are two ways to say how many: give one")
        if (self.jobs > 1 or self.jobs_per_gpu is not None) and self.inherit:
            raise InputError("--inherit needs one training after the other: leave --jobs and --jobs-per-gpu out")
        if self.seed < 0:
            raise InputError(f"--seed must be 0 or more, got {self.seed}")
        if self.learn_from and self.sampler != parse.SAMPLERS[0]:
            raise InputError(f"--learn-from teaches {parse.SAMPLERS[0]} alone: leave --sampler {self.sampler} out")
        score = score_of(metrics_of(self.objectives))
        if self.early_stopping and score is not ACCURACY:
            raise InputError(f"--early-stopping foresees accuracy alone, not {score.noun}: leave it out")
        if self.seeds_for_front > 1 and self.inherit:
            raise InputError("--seeds-for-front trains from weights of its own: leave --inherit out")
        if self.seeds_for_front > 1 and not self.repeats:
            raise InputError(f"--seeds-for-front takes a quarter of --trials, and {self.trials} are too few: give 4")

    def _check_trials(self) -> None:
        if self.trials != "auto":
            if self.trials < 1:
                raise InputError(f"--trials must be at least 1, got {self.trials}")
        elif not self.budgets:
            raise InputError("--trials auto goes by the best within the budget: give a --budget, or a number of trials")
        elif self.sampler != parse.SAMPLERS[0]:
            raise InputError(f"--trials auto knows {parse.SAMPLERS[0]} alone: leave --sampler {self.sampler} out")
        elif self.stop_when_settled:
            raise InputError("--trials auto and --stop-when-settled are two ways to end a search: give one")
        elif self.seeds_for_front > 1:
            raise InputError("--seeds-for-front takes a quarter of --trials: give their number instead of auto")

    @property
    def most_trials(self) -> int:
        """How many there may be."""
        return forecast.MOST if self.trials == "auto" else self.trials

    @property
    def repeats(self) -> int:
        """How many of the trials are kept to train the front again."""
        return int(self.most_trials * _REPEATED) if self.seeds_for_front > 1 else 0

    @property
    def searching_seconds(self) -> float | None:
        """How much of the time is for new candidates."""
        if self.timeout_seconds is None or not self.repeats:
            return self.timeout_seconds
        return self.timeout_seconds * (1 - _REPEATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AblateSettings(Timing, Training, Starting, Kept):
    """The flags of ``mvit-nas ablate``.

    ``seeds`` and what adds to them (``max_seeds`` until the interval is as narrow as ``precision``, a share) may change
    from one run to the next, and so may ``score``, the column of what variants are judged by: every run has all scores.
    ``match`` is the column of a cost or None.
    """

    factors: tuple[str, ...] = question(
        "A factor of the space (patch_size, depth, width, placement, ...) or a choice of the training "
        "(label_smoothing, ema, augmentation). Two give the grid and their interaction.",
        option="",
        metavar="FACTOR [FACTOR]",
        many=True,
        decides=ITSELF,
    )
    base: str = question(
        "What is varied: a preset, a trial of a study (NAME:37, NAME:best, NAME:knee: the cheapest within a point of "
        "the best) or an architecture file.",
        "mobilevit_xxs",
        metavar="PRESET|NAME:TRIAL|FILE",
        decides=ITSELF,
    )
    values: tuple[tuple[str, ...], ...] = question(
        "Values instead of the space's own, up to the next flag: 2 4 8,4,2 (with commas one for each MobileViT stage). "
        "Once for each factor.",
        (),
        text=parse.VALUES,
        many=True,
        greedy=True,
        key="values",
        decides=FOUND,
    )
    score: str = question(f"{_SCORES}: what the variants are judged by.", ACCURACY.name, text=parse.SCORE, key="score")
    seeds: tuple[int, ...] = question(
        "How many seeds each variant is run with, or which: 0,1,2.", (0, 1, 2, 3, 4), text=parse.SEEDS, key="seeds"
    )
    precision: float | None = question(
        "Add seeds until the largest difference is known to plus or minus this: 0.5% (accuracy points).",
        None,
        text=parse.PRECISION,
        key="precision",
    )
    max_seeds: int | None = question(
        f"At most so many seeds for --precision; without it {_MAX_SEEDS}.", None, metavar="N", key="max_seeds"
    )
    match: str | None = question(
        "params, macs or latency: also run each variant at the base's cost.", None, text=parse.COST, decides=ITSELF
    )
    no_resize: bool = question(
        "Refuse patch sizes that do not tile a map instead of resizing it.", False, decides=FOUND
    )
    data: str | None = data_flag("Images, as for search. Without it: the digits.")
    space: str | None = space_flag("Whose factors and values. Without it: as for search.")
    image_size: int | None = image_size_flag("Another image size than the base's.")
    name: str | None = name_flag("Name of the ablation. Without it: from factor, base, data.")

    def __post_init__(self) -> None:
        Target.__post_init__(self)
        Start.__post_init__(self)
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

    choices: tuple[str, ...] = question(
        "A preset, a trial of a study (NAME:37, NAME:best, NAME:knee), its whole front (NAME:front), an architecture "
        "file (.yaml) or an artefact (.onnx, .tflite, .pte).",
        option="",
        metavar="CHOICE...",
        many=True,
    )
    image_size: int | None = image_size_flag("Another image size than the network's own.")
    int8: bool = question("Also with int8 weights and activations: trains first, to say what accuracy it costs.", False)
    by_stage: bool = question("Also where the time goes (torch and onnxruntime).", False)
    data: str | None = training(
        "Images for --int8, as for search. Without it: the digits.", None, metavar="FOLDER|NAME"
    )
    runtimes: tuple[str, ...] = timing(
        "What executes them: torch, onnxruntime, litert, executorch, several with commas. Without it: onnxruntime "
        "where it is installed, else torch.",
        (),
        option="--runtime",
        text=parse.NAMES,
    )
    precision: float = timing(
        "Measure until the latency is known to plus or minus this.", 0.01, metavar="PERCENT", text=parse.PRECISION
    )
    seconds: float = timing("But no longer than this for each.", 6.0, option="--cap", text=parse.SECONDS)
    out: Path = reports_flag()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmSettings(Training, Start, Printed):
    """The flags of ``mvit-nas confirm``. ``trials`` empty leaves the choice to ``top`` and the presets."""

    name: str = question("Name of the search.", option="", metavar="NAME")
    trials: tuple[int, ...] = question(
        "Trials to confirm, and no others. Without them: the top of the front, and the presets within the budget.",
        (),
        option="",
        metavar="[TRIAL...]",
        many=True,
    )
    top: int = question("How many networks of the front.", 5, metavar="N", least=1)
    no_presets: bool = question("Leave out the presets.", False)
    seeds: tuple[int, ...] = question(
        "How many seeds each network is trained with, or which: 0,1,2.", (0, 1, 2), text=parse.SEEDS
    )
    data: str | None = question("The images of the search, where they lie elsewhere now.", None, metavar="FOLDER|NAME")
    schedule: str | None = training(
        "smoke, digits, digits_medium, short, medium, long or paper, or a YAML file. Without it: medium, six times the "
        "images of short; for scikit-learn's digits, digits_medium.",
        None,
        metavar="NAME|FILE",
    )
    timeout_seconds: float = training(
        "What does not fit into this time shortens the schedule for all, then the list: 90s, 15min, 8h.",
        7200.0,
        option="--timeout",
        text=parse.SECONDS,
    )
    out: Path = study("Where experiments/, reports/ and models/ lie.", Path(), metavar="FOLDER")
    dry_run: bool = output("Say what it would do and take, and stop.", False)
    no_images: bool = output("Leave the pictures of mistakes out of the page.", False)


# By name, in the order of the help.
COMMANDS: dict[str, type] = {
    "search": SearchSettings,
    "ablate": AblateSettings,
    "confirm": ConfirmSettings,
    "latency": LatencySettings,
}
