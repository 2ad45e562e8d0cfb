"""Flags from text and back: each ``parse_x`` raises InputError in one line, each ``write_x`` is its inverse."""

import math
import re
import urllib.parse
from collections.abc import Sequence
from typing import Literal

from mvit_nas.budget import Budget, parse_budget
from mvit_nas.errors import InputError, unknown, visible
from mvit_nas.metrics import COSTS, METRICS, OBJECTIVES, PARAMS, SCORES, Form
from mvit_nas.settings.flag import Text
from mvit_nas.units import format_count, parse_seconds

_ALIASES = {metric.option: metric.name for metric in OBJECTIVES if metric.option != metric.name}
_OPTIONS = {metric.name: metric.option for metric in OBJECTIVES}
# The first is what "auto" means: it found more than the others (benchmarks/search_efficiency.py, docs/search.md).
SAMPLERS = ("cost-aware", "tpe", "nsga2", "gp", "random")
_BASELINE_SHARE = 0.25


def write_budget(budget: Budget) -> str:
    """ "6Mparams" or, where that would round, "6123456.0params"."""
    unit = next(iter(METRICS[budget.metric].units))
    short = "..".join(end + unit for end in _ends(budget))
    exact = "..".join(f"{end!r}{unit}" for end in (budget.low, budget.high) if end)
    return short if parse_budget(short) == budget else exact


def _ends(budget: Budget) -> list[str]:
    counts = METRICS[budget.metric].form is Form.COUNT
    return [format_count(end) if counts else f"{end:g}" for end in (budget.low, budget.high) if end]


def parse_cost(text: str) -> str:
    """The column of a cost by its name: "latency" is latency_ms."""
    options = {metric.option: metric.name for metric in COSTS}
    if text not in options and text not in options.values():
        raise InputError(f"--match: {unknown(text, options)}")
    return options.get(text, text)


def parse_score(text: str) -> str:
    """The column of a score by its name: "balanced-accuracy" is balanced_accuracy."""
    options = {metric.option: metric.name for metric in SCORES}
    if text not in options and text not in options.values():
        raise InputError(f"--score: {unknown(text, options)}")
    return options.get(text, text)


def write_option(name: str) -> str:
    """The name of a metric by its column."""
    return _OPTIONS[name]


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


def write_seeds(seeds: tuple[int, ...]) -> str:
    """ "5", or "3,7,11" where they are not the first ones."""
    return str(len(seeds)) if seeds == tuple(range(len(seeds))) else ",".join(map(str, seeds))


def parse_precision(text: str) -> float:
    """A share from percent, or from accuracy points: "0.5%" is 0.005."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text.strip())
    if match is None or not 0 < float(match[1]) < 100:
        raise InputError(f"cannot read --precision {text!r}: write it in percent, such as 0.5%")
    return float(match[1]) / 100


def write_precision(share: float) -> str:
    """ "0.5%"."""
    return f"{100 * share:.12g}%"


def parse_names(text: str) -> tuple[str, ...]:
    """Names with commas between them, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def parse_front_runtimes(text: str) -> tuple[str, ...]:
    """The runtimes of "litert,executorch" or "litert@adb:SERIAL", each on a target of its own where one is named."""
    found = parse_names(text)
    names = [part.partition("@")[0] for part in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--measure-front {text}: {name} stands there twice")
    return found


def parse_objectives(text: str) -> tuple[str, ...]:
    """Objectives from "accuracy,macs,latency": one score and the costs that are asked for."""
    names = [_ALIASES.get(name, name) for name in parse_names(text)]
    for name in names:
        if name not in _OPTIONS:
            raise InputError(f"--objectives: {unknown(name, (*_OPTIONS, *_ALIASES))}")
    scores = [metric.option for metric in SCORES if metric.name in names]
    if len(scores) > 1:
        raise InputError(f"--objectives needs one of {' and '.join(scores)}: the other is shown beside it")
    if not scores or len(names) < 2:
        raise InputError("--objectives needs accuracy and at least one cost, as in accuracy,macs,latency")
    return tuple(name for name in _OPTIONS if name in names)


def write_objectives(names: tuple[str, ...]) -> str:
    """ "accuracy,macs,latency"."""
    return ",".join(_OPTIONS[name] for name in names)


def parse_colours(text: str) -> str:
    """The colours that weights were trained on: "rgb" or "bgr"."""
    if text not in ("rgb", "bgr"):
        raise InputError(f"--init-colours must be rgb or bgr, got {text!r}")
    return text


def parse_trials(text: str) -> int | Literal["auto"]:
    """A number, or "auto"."""
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--trials must be a whole number or auto, got {text!r}") from None


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


def write_baseline(share: float) -> str:
    """ "random:0.25", or "" for none."""
    return f"random:{share!r}" if share else ""


def parse_rate(text: str) -> float:
    """A learning rate above 0."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        raise InputError(f"--learning-rate {text}: give a number above 0")
    return rate


def default_name(data: str, budgets: Sequence[Budget]) -> str:
    """The study's name where none is given: the data and the budgets."""
    parts = [data]
    for budget in budgets:
        unit = "" if budget.metric == PARAMS.name else next(iter(METRICS[budget.metric].units))
        parts.append("-".join(_ends(budget)) + unit)
    return joined_name(parts)


def joined_name(parts: Sequence[str]) -> str:
    """``parts`` as a folder's name, with what cannot stand in one replaced."""
    return check_name("-".join(re.sub(r"[^\w.-]+", "-", part) for part in parts).strip("-.")[:100] or "study")


def parse_bytes(text: str) -> int:
    """A size on disk: 20GB, 500 MB, 1GiB. Raises InputError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B", text.strip())
    if found is None:
        raise InputError(f"{text!r} is no size: write 20GB, 500MB or 1GiB")
    number, prefix, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kMGT".index(prefix or " "))


SCHEDULERS = ("slurm", "ray", "local")


def parse_scheduler(text: str) -> str:
    """The name of a scheduler. Raises InputError for any other."""
    if text not in SCHEDULERS:
        raise InputError(f"--on: {unknown(text, SCHEDULERS)}")
    return text


def parse_storage(text: str) -> str:
    """The address of a database that keeps studies. Raises InputError for any other, and for one with a password."""
    parts = urllib.parse.urlsplit(text)
    if parts.password is not None:
        raise InputError("--storage: leave the password out of the address: put it into PGPASSWORD or ~/.pgpass")
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise InputError(f"--storage {text!r} is no database: use postgresql://USER@HOST/DATABASE")
    return text


def check_name(name: str) -> str:
    """``name`` if it can be a folder's; InputError otherwise."""
    if not name or len(name) > 100 or name in (".", "..") or re.search(r"[/\\]", name) or visible(name) != name:
        raise InputError(f"--name {name!r} cannot name a folder: leave out slashes and use at most 100 characters")
    return name


BUDGET = Text(parse_budget, write_budget, "LIMIT")
COST = Text(parse_cost, write_option, "COST")
SCORE = Text(parse_score, write_option, "SCORE")
SEEDS = Text(parse_seeds, write_seeds, "N|LIST")
PRECISION = Text(parse_precision, write_precision, "POINTS")
SECONDS = Text(parse_seconds, lambda seconds: f"{seconds:.12g}s", "TIME")
NAMES = Text(parse_names, ",".join, "LIST")
FRONT_RUNTIMES = Text(parse_front_runtimes, ",".join, "LIST")
OBJECTIVE_NAMES = Text(parse_objectives, write_objectives, "LIST")
TRIALS = Text(parse_trials, lambda trials: trials, "N|auto")
SAMPLER = Text(parse_sampler, str, "NAME")
COLOURS = Text(parse_colours, str, "rgb|bgr")
BASELINE = Text(parse_baseline, write_baseline, "random[:SHARE]")
RATE = Text(parse_rate, repr, "RATE")
VALUES = Text(lambda text: tuple(text.split()), " ".join, "VALUE...")
NAME = Text(check_name, str)
BYTES = Text(parse_bytes, lambda size: f"{size}B", "SIZE")
SCHEDULER = Text(parse_scheduler, str, "|".join(SCHEDULERS))
STORAGE = Text(parse_storage, str, "URL")
