"""Flags and the experiment file: one frozen Experiment."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import yaml

from mvit_nas.budget import Budget
from mvit_nas.errors import InputError, unknown
from mvit_nas.metrics import METRICS, PARAMS, Form
from mvit_nas.units import format_count

OBJECTIVES = ("accuracy", "params", "macs", "latency_ms")
_ALIASES = {"latency": "latency_ms"}
# The first is what "auto" means. It found more than TPE, NSGA-II and random (benchmarks/search_efficiency.py); the
# Gaussian process sampler of Optuna has not been run there yet.
SAMPLERS = ("cost-aware", "tpe", "nsga2", "gp", "random")
_BASELINE_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySettings:
    """How latency is measured. ``runtime`` "" leaves the choice to what is installed.

    ``adb_benchmark`` is LiteRT's benchmark_model for the phone's processor, where the target is a phone.
    """

    runtime: str = ""
    target: str = "host"
    threads: int = 1
    adb_benchmark: Path | None = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise InputError(f"--threads must be at least 1, got {self.threads}")

    def to_dict(self) -> dict[str, Any]:
        """What decides a latency, as plain values."""
        return {"runtime": self.runtime, "target": self.target, "threads": self.threads}


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What one search is about. ``schedule`` and ``data`` hold everything that decides a result, spelt out.

    ``trials`` and ``timeout_seconds`` say when to stop, ``measure_front`` on which further runtimes the front is
    measured; they may change from one run to the next. All else is what the study means, and stays.
    """

    name: str
    data: Mapping[str, Any]
    space: str
    image_size: int
    budgets: tuple[Budget, ...]
    objectives: tuple[str, ...]
    schedule: Mapping[str, Any]
    seed: int
    latency: LatencySettings
    measure_front: tuple[str, ...]
    sampler: str
    baseline: float
    early_stopping: bool
    inherit: bool
    trials: int
    timeout_seconds: float | None

    may_change: ClassVar = frozenset({"trials", "timeout_seconds", "measure_front"})

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError(f"--trials must be at least 1, got {self.trials}")
        if self.seed < 0:
            raise InputError(f"--seed must be 0 or more, got {self.seed}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for YAML and JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["budgets"] = [asdict(budget) for budget in self.budgets]
        plain["objectives"] = list(self.objectives)
        plain["data"], plain["schedule"] = dict(self.data), dict(self.schedule)
        plain["latency"], plain["measure_front"] = self.latency.to_dict(), list(self.measure_front)
        return plain

    def to_yaml(self) -> str:
        """The text of ``experiment.yaml``."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationExperiment:
    """What one ablation is about: the base and the values of one or two factors, each on the same seeds.

    ``seeds`` and what adds to them (``max_seeds`` until the interval is as narrow as ``precision``, a share) may change
    from one run to the next; all else is what the ablation means, and stays. ``match`` is a cost or None.
    """

    name: str
    data: Mapping[str, Any]
    space: str
    base: str
    base_arch: Mapping[str, Any]
    factors: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    match: str | None
    resize: bool
    schedule: Mapping[str, Any]
    latency: LatencySettings
    seeds: tuple[int, ...]
    max_seeds: int
    precision: float | None

    may_change: ClassVar = frozenset({"seeds", "max_seeds", "precision"})

    def __post_init__(self) -> None:
        if self.precision is None and self.max_seeds != len(self.seeds):
            raise InputError("--max-seeds adds seeds until --precision is reached: give both, or neither")
        if self.max_seeds < len(self.seeds):
            raise InputError(f"--max-seeds must be at least the {len(self.seeds)} of --seeds, got {self.max_seeds}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for YAML and JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["data"], plain["schedule"] = dict(self.data), dict(self.schedule)
        plain["base_arch"], plain["latency"] = dict(self.base_arch), self.latency.to_dict()
        return plain | {"factors": list(self.factors), "values": [list(v) for v in self.values], "seeds": [*self.seeds]}

    def to_yaml(self) -> str:
        """The text of ``experiment.yaml``."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


def check_same(experiment: Experiment | AblationExperiment, path: Path) -> None:
    """Raise InputError that names what differs when ``path`` holds an experiment of other settings."""
    try:
        stored = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {' '.join(str(error).split())}") from None
    now = yaml.safe_load(experiment.to_yaml())
    if not isinstance(stored, dict):
        raise InputError(f"{path} is no experiment file; use another --name")
    differ = [key for key in now if key not in experiment.may_change and stored.get(key) != now[key]]
    if differ:
        words = ", ".join(f"{key} ({_short(stored.get(key))} then, {_short(now[key])} now)" for key in differ)
        raise InputError(f"the study {experiment.name!r} has other settings: {words}; use another --name")


def _short(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()
    return text if len(text) <= 60 else f"{text[:57]}..."


def parse_cost(text: str) -> str:
    """The column of a cost by its name: "latency" is latency_ms."""
    costs = OBJECTIVES[1:]
    name = _ALIASES.get(text, text)
    if name not in costs:
        raise InputError(f"--match: {unknown(text, ('params', 'macs', 'latency'))}")
    return name


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from how many there shall be ("5" is 0 to 4) or from the seeds themselves ("3,7,11")."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"cannot read --seeds {text!r}: write how many (5), or the seeds with commas (0,1,2)")
    seeds = tuple(map(int, parts)) if len(parts) > 1 else tuple(range(int(text)))
    twice = [seed for seed in seeds if seeds.count(seed) > 1]
    if twice:
        raise InputError(f"--seeds {text}: the seed {twice[0]} stands twice, and a run would count twice")
    if not seeds:
        raise InputError("--seeds must be at least 1")
    return seeds


def parse_precision(text: str) -> float:
    """A share from percent, or from accuracy points: "0.5%" is 0.005."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text.strip())
    if match is None or not 0 < float(match[1]) < 100:
        raise InputError(f"cannot read --precision {text!r}: write it in percent, such as 0.5%")
    return float(match[1]) / 100


def parse_front_runtimes(text: str) -> tuple[str, ...]:
    """The runtimes of "litert,executorch" or "litert@adb:SERIAL", each on a target of its own where one is named."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    names = [part.partition("@")[0] for part in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--measure-front {text}: {name} stands there twice")
    return found


def parse_objectives(text: str) -> tuple[str, ...]:
    """Objectives from "accuracy,macs,latency": accuracy is always among them."""
    names = [_ALIASES.get(part.strip(), part.strip()) for part in text.split(",") if part.strip()]
    for name in names:
        if name not in OBJECTIVES:
            raise InputError(f"--objectives: {unknown(name, (*OBJECTIVES, *_ALIASES))}")
    if "accuracy" not in names or len(names) < 2:
        raise InputError("--objectives needs accuracy and at least one cost, as in accuracy,macs,latency")
    return tuple(name for name in OBJECTIVES if name in names)


def parse_sampler(text: str) -> str:
    """The sampler that "auto" or a name means."""
    if text not in ("auto", *SAMPLERS):
        raise InputError(f"--sampler: {unknown(text, ('auto', *SAMPLERS))}")
    return SAMPLERS[0] if text == "auto" else text


def parse_baseline(text: str) -> float:
    """The share of the proposals that "random" or "random:0.4" draws at random; 0 for ""."""
    if not text:
        return 0.0
    name, colon, number = text.partition(":")
    try:
        share = float(number) if colon else _BASELINE_SHARE
    except ValueError:
        share = 0.0
    if name != "random" or not 0 < share < 1:
        raise InputError(f"--baseline {text}: give random, or random:SHARE with a share between 0 and 1")
    return share


def default_name(data: str, budgets: Sequence[Budget]) -> str:
    """The study's name where none is given: the data and the budgets."""
    parts = [data]
    for budget in budgets:
        metric = METRICS[budget.metric]
        unit = "" if metric is PARAMS else next(iter(metric.units))
        numbers = [
            format_count(end) if metric.form is Form.COUNT else f"{end:g}" for end in (budget.low, budget.high) if end
        ]
        parts.append("-".join(numbers) + unit)
    return joined_name(parts)


def joined_name(parts: Sequence[str]) -> str:
    """``parts`` as a folder's name, with what cannot stand in one replaced."""
    return check_name("-".join(re.sub(r"[^\w.-]+", "-", part) for part in parts).strip("-.")[:100] or "study")


def check_name(name: str) -> str:
    """``name`` if it can be a folder's; InputError otherwise."""
    if not name or len(name) > 100 or name in (".", "..") or re.search(r"[/\\\0\n]", name):
        raise InputError(f"--name {name!r} cannot name a folder: leave out slashes and use at most 100 characters")
    return name
