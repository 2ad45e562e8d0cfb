"""The command line: parse, call one function, print. Results on stdout, progress on stderr."""

import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from mvit_nas import __version__
from mvit_nas.budget import parse_budget
from mvit_nas.errors import InputError, InterruptedCleanlyError, MvitNasError
from mvit_nas.metrics import format_metric
from mvit_nas.settings import (
    LatencySettings,
    check_name,
    joined_name,
    parse_baseline,
    parse_cost,
    parse_front_runtimes,
    parse_objectives,
    parse_precision,
    parse_sampler,
    parse_seeds,
)
from mvit_nas.units import format_count, format_seconds, parse_seconds

if TYPE_CHECKING:
    from mvit_nas.jobs.ablate import AblationPlan
    from mvit_nas.jobs.ablate import Outcome as AblationOutcome
    from mvit_nas.jobs.ablate import Progress as RunProgress
    from mvit_nas.jobs.latency import Measurement
    from mvit_nas.jobs.latency import Outcome as LatencyOutcome
    from mvit_nas.jobs.search import Outcome, Plan, Progress, TriedDesign
    from mvit_nas.maths.statistics import Difference
    from mvit_nas.results.ablation.summary import Variant
    from mvit_nas.results.comparison.comparison import Comparison

# With --precision and without --max-seeds.
_MAX_SEEDS = 20

_MOST_VERDICTS = 12

_RuntimeOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What executes the network when it is timed: torch, onnxruntime, litert or executorch. Without it: "
        "onnxruntime where it is installed, else torch.",
    ),
]
_TargetOption = Annotated[
    str, typer.Option(metavar="TARGET", help="Where it is timed: host, ssh://user@host or adb:SERIAL.")
]
_ThreadsOption = Annotated[int, typer.Option(help="CPU threads for the latency measurement.")]
_BenchmarkOption = Annotated[
    Path | None,
    typer.Option("--adb-benchmark", metavar="FILE", help="LiteRT's benchmark_model for the phone, for adb."),
]

app = typer.Typer(
    name="mvit-nas",
    help="Neural architecture search and ablation for MobileViT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line; an error that the user can understand becomes one line and its exit code."""
    # Threads of libgomp that wait spin, and starve each other where another process wants a core. Two trainings at once
    # on two cores: over 96 s each as it is, 31 s with 2,000 spins; one alone: 9 to 11 s and 9 to 13 s. A policy of the
    # user's own counts.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        app()
    except MvitNasError as error:
        _fail(error)


def _fail(error: MvitNasError) -> None:
    print(f"mvit-nas: {error}", file=sys.stderr)
    sys.exit(error.exit_code)


def _version(value: bool) -> None:
    if value:
        print(f"mvit-nas {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Neural architecture search and ablation for MobileViT."""


@app.command()
def search(
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIMIT",
            help="A limit that every candidate must meet: 6M (parameters), 1.2GMACs, 10ms, 4M..6M. Repeatable.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|NAME",
            help="Image folder, or folder of Parquet files as the Hugging Face hub serves them, or a named set "
            "(digits). Without it: scikit-learn's handwritten digits.",
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="mobilevit, mobilevit_small or a YAML file. Without it: by the size of the images.",
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(metavar="PIXELS", min=8, help="One image size instead of the space's.")
    ] = None,
    objectives: Annotated[
        str, typer.Option(metavar="LIST", help="accuracy and at least one of params, macs, latency.")
    ] = "accuracy,params,macs,latency",
    sampler: Annotated[
        str, typer.Option(metavar="NAME", help="auto, which is cost-aware, or tpe, nsga2, gp, random.")
    ] = "auto",
    baseline: Annotated[
        str,
        typer.Option(
            metavar="random[:SHARE]",
            help="Draw a share of the candidates (0.25) at random, so that the report can say whether the search "
            "beats that.",
        ),
    ] = "",
    trials: Annotated[
        int, typer.Option(help="Candidates to train, in all; one that is stopped counts as its share.")
    ] = 12,
    early_stopping: Annotated[
        bool,
        typer.Option(
            "--early-stopping", help="Stop a training that is foreseen to end behind a candidate that costs no more."
        ),
    ] = False,
    inherit: Annotated[
        bool,
        typer.Option("--inherit", help="Start each training from the weights of the nearest one that was finished."),
    ] = False,
    stop_when_settled: Annotated[
        bool, typer.Option("--stop-when-settled", help="End when the front has hardly grown for a third of the trials.")
    ] = False,
    finish: Annotated[
        list[int] | None,
        typer.Option(metavar="TRIAL", help="With --resume: train this stopped trial to the end. Repeatable."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start no trial after this: 90s, 15min, 8h.")
    ] = None,
    schedule: Annotated[str, typer.Option(metavar="NAME", help="smoke, short or paper.")] = "short",
    seed: Annotated[int, typer.Option(help="Decides proposals, weights and data order.")] = 0,
    device: Annotated[str, typer.Option(help="Training device: auto, cpu, cuda or cuda:N.")] = "auto",
    runtime: _RuntimeOption = "",
    target: _TargetOption = "host",
    threads: _ThreadsOption = 1,
    adb_benchmark: _BenchmarkOption = None,
    measure_front: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Further runtimes on which the front is timed, each with its own target where need be: "
            "executorch,litert@adb:SERIAL.",
        ),
    ] = "",
    name: Annotated[str | None, typer.Option(help="Name of the study. Without it: from data and budget.")] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where experiments/ and reports/ are written.")] = Path(),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the study of this name.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the search would do and take, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Find the MobileViT networks worth having within a budget, and write a report to choose from."""
    limits = tuple(parse_budget(text) for text in budget or [])
    goals = parse_objectives(objectives)
    seconds = None if timeout is None else parse_seconds(timeout)
    timing = LatencySettings(runtime=runtime, target=target, threads=threads, adb_benchmark=adb_benchmark)
    further = parse_front_runtimes(measure_front)
    share = parse_baseline(baseline)
    proposer = parse_sampler(sampler)
    # torch and optuna load here: a misspelt flag is answered at once.
    from mvit_nas.jobs import search as job

    settings = job.SearchOptions(
        data=data,
        space=space,
        image_size=image_size,
        budgets=limits,
        objectives=goals,
        trials=trials,
        timeout_seconds=seconds,
        schedule=schedule,
        seed=seed,
        device=device,
        latency=timing,
        measure_front=further,
        sampler=proposer,
        baseline=share,
        early_stopping=early_stopping,
        inherit=inherit,
        stop_when_settled=stop_when_settled,
        finish=tuple(finish or ()),
        name=name,
        out=out,
        resume=resume,
    )
    with _watch() as watch, _interrupts() as should_stop:
        if dry_run:
            plan = job.plan(settings, say=watch.say)
        else:
            outcome = job.search(settings, say=watch.say, on_progress=watch.show, should_stop=should_stop)
    if dry_run:
        print(json.dumps(_plan_document(plan), indent=2)) if as_json else _print_plan(plan, settings.trials)
        return
    if as_json:
        print(json.dumps(_search_document(outcome), indent=2, allow_nan=False))
    else:
        _print_front(outcome, goals)
    if outcome.error is not None:
        _fail(outcome.error)


class _ValuesCommand(TyperCommand):
    """A command whose ``--values`` takes everything up to the next flag, as in ``--values 2 4 8,4,2``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        joined: list[str] = []
        for argument in args:
            if not argument.startswith("-") and len(joined) > 1 and joined[-2] == "--values":
                joined[-1] = f"{joined[-1]} {argument}".strip()
            else:
                joined += ["--values", ""] if argument == "--values" else [argument]
        return super().parse_args(ctx, joined)


@app.command(cls=_ValuesCommand)
def ablate(
    factors: Annotated[
        list[str],
        typer.Argument(
            metavar="FACTOR [FACTOR]",
            help="A factor of the space (patch_size, depth, width, placement, ...) or a choice of the training "
            "(label_smoothing, ema, augmentation). Two give the grid and their interaction.",
            show_default=False,
        ),
    ],
    base: Annotated[
        str,
        typer.Option(
            metavar="PRESET|NAME:TRIAL|FILE",
            help="What is varied: a preset, a trial of a study (NAME:37, NAME:knee) or an architecture file.",
        ),
    ] = "mobilevit_xxs",
    values: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VALUE...",
            help="Values instead of the space's own, up to the next flag: 2 4 8,4,2 (with commas one for each "
            "MobileViT stage). Once for each factor.",
        ),
    ] = None,
    seeds: Annotated[
        str, typer.Option(metavar="N|LIST", help="How many seeds each variant is run with, or which: 0,1,2.")
    ] = "5",
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="POINTS",
            help="Add seeds until the largest difference is known to plus or minus this: 0.5% (accuracy points).",
        ),
    ] = None,
    max_seeds: Annotated[
        int | None, typer.Option(metavar="N", help="At most so many seeds for --precision; without it 20.")
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(metavar="COST", help="params, macs or latency: also run each variant at the base's cost."),
    ] = None,
    no_resize: Annotated[
        bool, typer.Option("--no-resize", help="Refuse patch sizes that do not tile a map instead of resizing it.")
    ] = False,
    data: Annotated[
        str | None, typer.Option(metavar="FOLDER|NAME", help="Images, as for search. Without it: the digits.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Whose factors and values. Without it: as for search.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(metavar="PIXELS", min=8, help="Another image size than the base's.")
    ] = None,
    schedule: Annotated[str, typer.Option(metavar="NAME", help="smoke, short or paper.")] = "short",
    device: Annotated[str, typer.Option(help="Training device: auto, cpu, cuda or cuda:N.")] = "auto",
    runtime: _RuntimeOption = "",
    target: _TargetOption = "host",
    threads: _ThreadsOption = 1,
    adb_benchmark: _BenchmarkOption = None,
    name: Annotated[str | None, typer.Option(help="Name of the ablation. Without it: from factor, base, data.")] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where experiments/ and reports/ are written.")] = Path(),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the ablation of this name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which runs it would take and how long.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Say what one design choice does to accuracy and cost, and how sure that is."""
    chosen = parse_seeds(seeds)
    narrow = None if precision is None else parse_precision(precision)
    cost = None if match is None else parse_cost(match)
    if max_seeds is None:
        max_seeds = len(chosen) if narrow is None else max(_MAX_SEEDS, len(chosen))
    timing = LatencySettings(runtime=runtime, target=target, threads=threads, adb_benchmark=adb_benchmark)
    from mvit_nas.jobs import ablate as job

    settings = job.AblateOptions(
        factors=tuple(factors),
        base=base,
        values=tuple(tuple(text.split()) for text in values or []),
        seeds=chosen,
        max_seeds=max_seeds,
        precision=narrow,
        match=cost,
        resize=not no_resize,
        data=data,
        space=space,
        image_size=image_size,
        schedule=schedule,
        device=device,
        latency=timing,
        name=name,
        out=out,
        resume=resume,
    )
    with _watch() as watch, _interrupts() as should_stop:
        if dry_run:
            plan = job.plan(settings, say=watch.say)
        else:
            outcome = job.ablate(settings, say=watch.say, on_progress=watch.show_run, should_stop=should_stop)
    if dry_run:
        document = _ablation_plan_document(plan)
        print(json.dumps(document, indent=2)) if as_json else _print_ablation_plan(document)
        return
    if as_json:
        print(json.dumps(_ablation_document(outcome), indent=2, allow_nan=False))
    else:
        _print_verdicts(outcome)
    if outcome.error is not None:
        _fail(outcome.error)


@app.command()
def latency(
    choices: Annotated[
        list[str],
        typer.Argument(
            metavar="CHOICE...",
            help="A preset, a trial of a study (NAME:37, NAME:knee), its whole front (NAME:front), an architecture "
            "file (.yaml) or an artefact (.onnx, .tflite, .pte).",
            show_default=False,
        ),
    ],
    runtime: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="What executes them: torch, onnxruntime, litert, executorch, several with commas. Without it: "
            "onnxruntime where it is installed, else torch.",
        ),
    ] = "",
    target: _TargetOption = "host",
    threads: _ThreadsOption = 1,
    adb_benchmark: _BenchmarkOption = None,
    precision: Annotated[
        str, typer.Option(metavar="PERCENT", help="Measure until the latency is known to plus or minus this.")
    ] = "1%",
    cap: Annotated[str, typer.Option(metavar="TIME", help="But no longer than this for each.")] = "6s",
    image_size: Annotated[
        int | None, typer.Option(metavar="PIXELS", min=8, help="Another image size than the network's own.")
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Also with int8 weights and activations: trains first, to say what accuracy it costs."
        ),
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(metavar="FOLDER|NAME", help="Images for --int8, as for search. Without it: the digits."),
    ] = None,
    schedule: Annotated[str, typer.Option(metavar="NAME", help="How --int8 trains: smoke, short or paper.")] = "short",
    by_stage: Annotated[
        bool, typer.Option("--by-stage", help="Also where the time goes (torch and onnxruntime).")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where reports/ lies.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Measure how long networks take on the CPU or the phone, and which are faster than which."""
    timing = LatencySettings(target=target, threads=threads, adb_benchmark=adb_benchmark)
    share, seconds = parse_precision(precision), parse_seconds(cap)
    from mvit_nas.jobs import latency as job

    settings = job.LatencyOptions(
        choices=tuple(choices),
        runtimes=tuple(dict.fromkeys(name.strip() for name in runtime.split(",") if name.strip())),
        latency=timing,
        precision=share,
        seconds=seconds,
        image_size=image_size,
        int8=int8,
        data=data,
        schedule=schedule,
        by_stage=by_stage,
        out=out,
    )
    with _watch() as watch, _interrupts() as should_stop:
        outcome = job.measure(settings, say=watch.say, should_stop=should_stop)
    if as_json:
        print(json.dumps(_latency_document(outcome), indent=2, allow_nan=False))
    else:
        _print_latencies(outcome)
    if outcome.error is not None:
        _fail(outcome.error)


@app.command()
def devices(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TARGET...]", help="Machines to ask as well: ssh://user@host.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """List this host, the phones that adb sees and the machines you name, and whether to trust them now."""
    from mvit_nas.jobs import devices as job

    found, hint = job.devices(tuple(targets or []))
    if as_json:
        print(json.dumps({"devices": [device.to_dict() for device in found], "hint": hint}, indent=2, allow_nan=False))
        return
    for device in found:
        print(device.target)
        for line in device.lines():
            print(f"  {line}")
    if hint:
        print(hint)


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="Name of the study, or the folder of its report.")],
    runtime: Annotated[
        str | None,
        typer.Option(help="Show the latencies by this runtime, in a page of its own. Without it: the search's."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Refuse the report unless its latencies were measured on this target.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where reports/ lies.")] = Path(),
) -> None:
    """Write a study's report again, from its table alone."""
    from mvit_nas.results.report import remake_report

    print(remake_report(_report_folder(name, out), runtime=runtime, target=target))


@app.command()
def compare(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY...", help="Names of searches, or folders of their reports; two or more.", show_default=False
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="Folder of the page in reports/. Without it: the names, joined.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where reports/ lies.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Say which way of searching finds more for its compute, over seeds, from the tables of searches alone."""
    folders = [_report_folder(study, out) for study in studies]
    folder = joined_name([path.resolve().name for path in folders]) if name is None else check_name(name)
    from mvit_nas.results.comparison.comparison import compare_studies, document
    from mvit_nas.results.report import read_study, write_comparison

    comparison = compare_studies([read_study(path, study) for path, study in zip(folders, studies, strict=True)])
    conditions = {
        "command": shlex.join(["mvit-nas", *sys.argv[1:]]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "mvit_nas": __version__,
    }
    page = write_comparison(comparison, conditions, out / "reports" / folder)
    if as_json:
        print(json.dumps(document(comparison) | {"report": str(page)}, indent=2, allow_nan=False))
    else:
        _print_comparison(comparison, page)


def _report_folder(name: str, out: Path) -> Path:
    """The folder of the report that ``name`` is, in reports/ or as a path. Raises InputError where there is none."""
    folder = out / "reports" / name
    if not folder.is_dir() and Path(name).is_dir():
        folder = Path(name)
    if not folder.is_dir():
        known = sorted(path.parent.name for path in (out / "reports").glob("*/results.csv"))
        raise InputError(f"no report {name!r} in {out / 'reports'}: known are {', '.join(known) or 'none'}")
    return folder


class _Watch:
    """Progress on stderr: one line that changes where there is a terminal, else one line for each trial."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._status = ""
        self._doing = ""

    def say(self, message: str) -> None:
        """Show what is being done."""
        passing = message.startswith(("training ", "measuring ", "decoding "))
        if self._live is None or not passing:
            self._print(message)
        if passing:
            self._doing = message
            self._refresh()

    def show(self, progress: "Progress") -> None:
        """Show a finished trial and where the search stands."""
        last = progress.last
        if last["state"] in ("complete", "failed", "stopped"):
            self._print(_trial_line(progress))
        parts = [f"{_number(progress.done)}/{progress.trials} trials"]
        if progress.stopped:
            parts.append(f"{progress.stopped} stopped")
        if progress.best is not None:
            parts.append(f"best {format_metric('accuracy', progress.best['accuracy'])}")
            parts.append(f"front {progress.front}")
            parts.append(f"hypervolume {progress.hypervolume:.3f}")
        if progress.seconds_left is not None:
            parts.append(f"about {format_seconds(progress.seconds_left)} left")
        self._status = " · ".join(parts)
        self._refresh()

    def show_run(self, progress: "RunProgress") -> None:
        """Show a finished run of an ablation and where it stands."""
        last = progress.last
        failed = last["state"] == "failed"
        result = f"failed: {last['reason']}" if failed else format_metric("accuracy", last["accuracy"])
        spent = "from the cache" if last["cached"] else format_seconds(last["seconds"])
        self._print(f"{progress.done:>3}/{progress.runs} {progress.variant}, seed {last['seed']}  {result}  {spent}")
        self._status = f"{progress.done}/{progress.runs} runs"
        if progress.seconds_left is not None:
            self._status += f" · about {format_seconds(progress.seconds_left)} left"
        self._refresh()

    def _print(self, line: str) -> None:
        # Where there is no terminal a line stays one line, for grep.
        self._console.print(Text(line), soft_wrap=self._live is None)

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(Text(" · ".join(part for part in (self._status, self._doing) if part)))


def _trial_line(progress: "Progress") -> str:
    last = progress.last
    label = last["name"] or last["arch_id"]
    head = f"{_number(progress.done):>4}/{progress.trials} {label:<13}"
    if last["state"] != "complete":
        return f"{head} {last['state']}: {last['reason']}"
    parts = [
        f"{head} {format_metric('accuracy', last['accuracy']):>6}",
        f"{format_count(last['params'])} params",
    ]
    parts.append(f"{format_count(last['macs'])} MACs")
    if last.get("latency_ms") is not None:
        parts.append(format_metric("latency_ms", last["latency_ms"]))
    parts.append("from the cache" if last["cached"] else format_seconds(last["seconds"]))
    return "  ".join(parts)


def _number(trainings: float) -> str:
    """ "12", or "12.5" where a stopped training left a part."""
    return f"{trainings:.1f}".removesuffix(".0")


@contextmanager
def _watch() -> Iterator[_Watch]:
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Watch(console, None)
        return
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield _Watch(console, live)


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask the work to stop at the next safe place; a second one stops it at once."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise InterruptedCleanlyError("stopped at once; the trial that was running starts again with --resume")
        asked.set()
        print("\nstopping after this step; once more to stop at once", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_front(outcome: "Outcome", objectives: tuple[str, ...]) -> None:
    """The front as a table, and where the report lies, on stdout."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("network", no_wrap=True)
    table.add_column("accuracy", justify="right", no_wrap=True)
    table.add_column("params", justify="right", no_wrap=True)
    table.add_column("MACs", justify="right", no_wrap=True)
    if "latency_ms" in objectives:
        table.add_column("latency", justify="right", no_wrap=True)
    further = _further(outcome.front)
    for runtime in further:
        table.add_column(runtime, justify="right", no_wrap=True)
    for row in outcome.front:
        low, high = row["accuracy_low"], row["accuracy_high"]
        cells = [
            f"{row['arch_id']} {row['name']}".strip(),
            f"{100 * row['accuracy']:.1f} % ({100 * low:.1f} to {100 * high:.1f})",
            format_count(row["params"]),
            format_count(row["macs"]),
        ]
        if "latency_ms" in objectives:
            cells.append(format_metric("latency_ms", row["latency_ms"]))
        for runtime in further:
            ms = row[f"latency_ms.{runtime}"]
            cells.append("-" if ms is None else format_metric("latency_ms", ms))
        table.add_row(*(Text(cell) for cell in cells))
    console = Console(highlight=False)
    console.print(f"\nThe front, {len(outcome.front)} networks (search-validation accuracy after the short training):")
    console.print(table)
    console.print(f"\nreport: {outcome.report}", soft_wrap=True)


def _further(front: list[dict[str, Any]]) -> list[str]:
    """The runtimes beside its own that a search timed its front on."""
    return [name.removeprefix("latency_ms.") for name in front[0] if name.startswith("latency_ms.")] if front else []


def _print_verdicts(outcome: "AblationOutcome") -> None:
    """The verdict table, what to know of it, and where the report lies, on stdout."""
    summary = outcome.summary
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(" x ".join(summary.factors))
    for title in ("accuracy", "difference (95 %)", "p Holm"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict")
    same_params = len({variant.params for variant in summary.variants}) == 1
    for title in ("params", "MACs", "ms")[same_params:]:
        table.add_column(title, justify="right", no_wrap=True)
    for variant in summary.variants:
        cells = [
            variant.value,
            _accuracy_words(variant),
            _difference_words(variant.difference),
            _p_words(variant.p_holm),
            variant.verdict,
            *[
                "-" if value is None else words(value)
                for value, words in (
                    (variant.params, format_count),
                    (variant.macs, format_count),
                    (variant.latency_ms, lambda ms: f"{ms:#.3g}"),
                )
            ][same_params:],
        ]
        table.add_row(*(Text(cell) for cell in cells))
    seeds = len(summary.seeds)
    console.print(f"\nDifferences from {outcome.base}, in accuracy points, over {seeds} paired seeds:")
    console.print(table)
    for line in _verdict_lines(outcome, same_params=same_params):
        console.print(Text(line))
    console.print(f"\nreport: {outcome.report}", soft_wrap=True)


def _verdict_lines(outcome: "AblationOutcome", *, same_params: bool) -> Iterator[str]:
    summary = outcome.summary
    if same_params and summary.base.params is not None:
        yield f"parameters: {format_count(summary.base.params)} in every variant"
    shown = [v.difference.detectable for v in summary.others if v.difference and v.difference.detectable is not None]
    if shown:
        ends = list(dict.fromkeys(f"{100 * value:.1f}" for value in (min(shown), max(shown))))
        yield (
            f"smallest difference that {len(summary.seeds)} seeds would show with 80 % power: "
            f"{' to '.join(ends)} points{', by variant' * (len(ends) > 1)}"
        )
    for one in summary.interactions:
        yield f"interaction {one.value}: {_difference_words(one.difference)}, p {_p_words(one.p_holm)}: {one.verdict}"
    for left_out in outcome.left_out:
        yield f"left out: {', '.join(left_out.labels.values())}: {left_out.reason}"
    if outcome.stopped:
        yield outcome.stopped


def _accuracy_words(variant: "Variant") -> str:
    if variant.accuracy is None:
        return "-"
    return f"{100 * variant.accuracy:.1f}" + ("" if variant.spread is None else f" ± {100 * variant.spread:.1f}")


def _difference_words(difference: "Difference | None") -> str:
    if difference is None or difference.mean is None:
        return "-"
    words = f"{100 * difference.mean:+.1f}"
    if difference.low is None or difference.high is None:
        return words
    return f"{words} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"


def _p_words(p: float | None) -> str:
    if p is None:
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _print_comparison(comparison: "Comparison", page: Path) -> None:
    """The methods as a table, what was left out, and where the page lies, on stdout."""
    from mvit_nas.results.comparison.page import gain_words, trainings_words

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("method")
    table.add_column("seeds", justify="right", no_wrap=True)
    table.add_column("hypervolume", justify="right", no_wrap=True)
    table.add_column("difference (95 %)", justify="right")
    for method in comparison.methods:
        difference = "-" if method.gain is None else gain_words(method.gain)
        cells = [method.label, str(len(method.studies)), f"{method.mean:.3f}", difference]
        table.add_row(*map(Text, cells))
    console = Console(highlight=False)
    console.print(f"\nHypervolume after {trainings_words(comparison.trainings)} each:")
    console.print(table)
    for note in comparison.notes:
        console.print(Text(note))
    console.print(f"\npage: {page}", soft_wrap=True)


def _print_latencies(outcome: "LatencyOutcome") -> None:
    """The measured latencies as a table, what to know of them, and the verdicts, on stdout."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("network")
    table.add_column("runtime", no_wrap=True)
    with_accuracy = any(one.accuracy is not None for one in outcome.measurements)
    for title in ("ms (95 % interval)", "accuracy" if with_accuracy else "p90", "size", "delegated"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in outcome.measurements:
        table.add_row(*(Text(cell) for cell in _latency_cells(one, with_accuracy=with_accuracy)))
    for line in _condition_lines(outcome):
        console.print(Text(line))
    console.print(table)
    if any(one.stages is not None for one in outcome.measurements):
        console.print(_stages_table(outcome))
    # Of many networks the neighbours say enough; the document has all.
    few = len(outcome.verdicts) <= _MOST_VERDICTS
    for verdict in outcome.verdicts:
        if not (few or verdict.neighbours):
            continue
        times = f"{verdict.ratio:.2f} of its time ({verdict.low:.2f} to {verdict.high:.2f})"
        console.print(Text(f"{verdict.runtime}: {verdict.words}: {times}"))


def _stages_table(outcome: "LatencyOutcome") -> Table:
    """Milliseconds by stage."""
    rows = [one for one in outcome.measurements if one.stages is not None]
    names = list(dict.fromkeys(name for one in rows for name in one.stages or {}))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="ms by stage", title_justify="left")
    table.add_column("network")
    table.add_column("runtime", no_wrap=True)
    for name in names:
        table.add_column(name.removeprefix("stages."), justify="right", no_wrap=True)
    for one in rows:
        stages = one.stages or {}
        cells = [one.model, one.runtime, *(f"{stages[name]:.2f}" if name in stages else "-" for name in names)]
        table.add_row(*map(Text, cells))
    return table


def _latency_cells(one: "Measurement", *, with_accuracy: bool) -> list[str]:
    """A row of the table."""
    runtime = one.runtime + " int8" * one.int8
    if one.measured is None:
        return [one.model, runtime, "not measured", "-", "-", "-"]
    latency, artefact = one.measured.latency, one.measured.artefact
    marks = "*" * (latency.contended or latency.drifted or not latency.agreed)
    share = artefact.quantised if one.int8 else artefact.delegated
    accuracy = "-" if one.accuracy is None else f"{100 * one.accuracy:.1f} %"
    return [
        one.model,
        runtime,
        f"{latency.median_ms:#.3g}{marks} ({latency.low_ms:#.3g} to {latency.high_ms:#.3g})",
        accuracy if with_accuracy else f"{latency.p90_ms:#.3g}",
        f"{artefact.size_bytes / 1e6:.1f} MB",
        "-" if share is None else f"{100 * share:.0f} %" + " int8" * one.int8,
    ]


def _condition_lines(outcome: "LatencyOutcome") -> Iterator[str]:
    """What the numbers of the table hang on."""
    measured = [one for one in outcome.measurements if one.measured is not None]
    first = measured[0].conditions
    clocks = {one.measured.latency.clock for one in measured if one.measured is not None}
    runtimes = ", ".join(dict.fromkeys(str(one.conditions["runtime"]) for one in measured))
    threads = first["threads"]
    yield f"{runtimes} on {first['target']} ({first['machine'].partition(';')[2].strip()})"
    yield (
        f"{threads} thread{'s' * (threads != 1)}, {' and '.join(sorted(clocks))} time, measured to ±"
        f"{100 * first['precision']:g} %; p90 is of the wall time"
    )
    for name in dict.fromkeys(one.runtime for one in measured):
        scale = next(one.conditions for one in measured if one.runtime == name)
        yield (
            f"scale of {name}: {scale['reference']} took {scale['reference_low_ms']:#.3g} to "
            f"{scale['reference_high_ms']:#.3g} ms here; {scale['reference_ms']:#.3g} is taken"
        )
    latencies = [one.measured.latency for one in measured if one.measured is not None]
    flags = {
        "others held the core at times": any(latency.contended for latency in latencies),
        "the machine ran at another speed than before": any(latency.drifted for latency in latencies),
        "repetitions did not agree": not all(latency.agreed for latency in latencies),
    }
    if any(flags.values()):
        yield f"* {'; '.join(words for words, holds in flags.items() if holds)}"
    if any(one.int8 for one in measured):
        yield "int8 under delegated: the share of the convolutions and products that run in integers"


def _latency_document(outcome: "LatencyOutcome") -> dict[str, Any]:
    """What ``latency --json`` prints; the keys are documented in docs/json.md and kept."""

    def plain(one: "Measurement") -> dict[str, Any]:
        document: dict[str, Any] = {"model": one.model, "runtime": one.runtime, "int8": one.int8, "target": one.target}
        document |= {"accuracy": one.accuracy, "stages_ms": one.stages, "error": str(one.error) if one.error else None}
        keys = ("median_ms", "interval_ms", "runs", "rounds", "clock", "wall_ms", "p90_ms", "threads")
        flags = ("contended", "drifted", "agreed")
        sizes = ("size_bytes", "delegated", "quantised", "difference")
        if one.measured is None:
            return document | dict.fromkeys((*keys, *flags, *sizes, "conditions"))
        latency, artefact = one.measured.latency, one.measured.artefact
        document |= {key: getattr(latency, key) for key in (*keys, *flags) if key != "interval_ms"}
        document |= {key: getattr(artefact, key) for key in sizes}
        return document | {"interval_ms": [latency.low_ms, latency.high_ms], "conditions": one.conditions}

    return {
        "measurements": [plain(one) for one in outcome.measurements],
        "verdicts": [
            {"runtime": one.runtime, "one": one.one, "other": one.other, "ratio": one.ratio}
            | {"interval": [one.low, one.high], "verdict": one.words}
            for one in outcome.verdicts
        ],
        "error": None if outcome.error is None else str(outcome.error),
    }


def _ablation_document(outcome: "AblationOutcome") -> dict[str, Any]:
    """What ``ablate --json`` prints; the keys are documented in docs/json.md and kept."""

    def compared(difference: "Difference | None") -> dict[str, Any]:
        if difference is None:
            return dict.fromkeys(("difference", "interval", "effect_size", "p", "detectable", "pairs"))
        return {
            "difference": difference.mean,
            "interval": None if difference.low is None else [difference.low, difference.high],
            "effect_size": difference.effect_size,
            "p": difference.p,
            "detectable": difference.detectable,
            "pairs": difference.pairs,
        }

    def plain(variant: "Variant") -> dict[str, Any]:
        return {
            "value": variant.value,
            "labels": dict(variant.labels),
            "matched": variant.matched or None,
            "arch_id": variant.arch_id,
            "runs": variant.runs,
            "failed": variant.failed,
            "accuracy": variant.accuracy,
            "spread": variant.spread,
            **compared(variant.difference),
            "p_holm": variant.p_holm,
            "verdict": variant.verdict,
            "params": variant.params,
            "macs": variant.macs,
            "latency_ms": variant.latency_ms,
            "latency_low_ms": variant.latency_low_ms,
            "latency_high_ms": variant.latency_high_ms,
            "notes": list(variant.notes),
        }

    summary = outcome.summary
    return {
        "ablation": outcome.name,
        "factors": list(summary.factors),
        "base": {"name": outcome.base, **plain(summary.base)},
        "variants": [plain(variant) for variant in summary.others],
        "interactions": [
            {"value": one.value, "labels": dict(one.labels), **compared(one.difference)}
            | {"p_holm": one.p_holm, "verdict": one.verdict}
            for one in summary.interactions
        ],
        "left_out": [{"labels": dict(one.labels), "reason": one.reason} for one in outcome.left_out],
        "seeds": list(summary.seeds),
        "precision": outcome.stopped or None,
        "report": str(outcome.report),
        "error": None if outcome.error is None else str(outcome.error),
    }


def _ablation_plan_document(plan: "AblationPlan") -> dict[str, Any]:
    """What ``ablate --dry-run --json`` prints."""
    from mvit_nas.results.ablation.summary import value_words

    evaluator = plan.prepared.setup.evaluator
    return {
        "variants": [
            {
                "value": value_words(variant.labels, variant.matched),
                "labels": dict(variant.labels),
                "matched": variant.matched or None,
                "base": variant.is_base,
                **{key: getattr(evaluator.static_cost(variant.arch), key) for key in ("params", "macs")},
                "notes": list(variant.notes),
            }
            for variant in plan.prepared.plan.variants
        ],
        "left_out": [{"labels": dict(one.labels), "reason": one.reason} for one in plan.prepared.plan.left_out],
        "seeds": list(plan.prepared.experiment.seeds),
        "runs": plan.runs,
        "known": plan.known,
        "hours": plan.hours,
        "memory_gib": plan.memory_gib,
    }


def _print_ablation_plan(document: Mapping[str, Any]) -> None:
    for variant in document["variants"]:
        words = variant["value"] + " (base)" * variant["base"]
        print(f"{words:<24} {format_metric('params', variant['params'])}, {format_metric('macs', variant['macs'])}")
    seeds = len(document["seeds"])
    print(f"runs      {len(document['variants'])} variants x {seeds} seeds = {document['runs']}")
    print(f"known     {document['known']} of them, from earlier runs")
    print(f"estimate  {format_seconds(document['hours'] * 3600)}, {document['memory_gib']:.1f} GiB of memory")


def _search_document(outcome: "Outcome") -> dict[str, Any]:
    """What ``search --json`` prints; the keys are documented in docs/json.md and kept."""
    keys = [
        "trial",
        "arch_id",
        "name",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "params",
        "macs",
        "latency_ms",
        "latency_low_ms",
        "latency_high_ms",
        "seconds",
        "arch",
    ]
    front = [{key: row[key] for key in keys} for row in outcome.front]
    for row, known in zip(front, outcome.front, strict=True):
        row["arch"] = json.loads(row["arch"])
        row["further"] = {
            runtime: {name: known[f"latency_{name}.{runtime}"] for name in ("ms", "low_ms", "high_ms", "note")}
            for runtime in _further(outcome.front)
        }
    return {
        "study": outcome.name,
        "front": front,
        "trials": outcome.counts,
        "hypervolume": outcome.hypervolume,
        "report": str(outcome.report),
        "error": None if outcome.error is None else str(outcome.error),
    }


def _print_plan(plan: "Plan", trials: int) -> None:
    print(f"space      {plan.settings:,} settings, {plan.networks:,} networks")
    print(f"in budget  {100 * plan.share_within_budget:.3g} % of the settings")
    for label, tried in (("smallest", plan.smallest), ("largest", plan.largest)):
        cost = tried.design.cost
        parts = [format_metric("params", cost.params), format_metric("macs", cost.macs)]
        if tried.latency_ms is not None:
            parts.append(format_metric("latency_ms", tried.latency_ms))
        parts.append(f"{1000 * tried.step.step_seconds:.0f} ms a training step")
        print(f"{label:<10} {', '.join(parts)}")
    print(f"training   {plan.steps} steps for a candidate")
    print(f"estimate   {format_seconds(plan.hours * 3600)} for {trials} trials, {plan.memory_gib:.1f} GiB of memory")


def _plan_document(plan: "Plan") -> dict[str, Any]:
    """What ``search --dry-run --json`` prints."""

    def plain(tried: "TriedDesign") -> dict[str, Any]:
        return {
            "arch_id": tried.design.arch_id,
            "params": tried.design.cost.params,
            "macs": tried.design.cost.macs,
            "latency_ms": tried.latency_ms,
            "step_seconds": tried.step.step_seconds,
        }

    return {
        "settings": plan.settings,
        "networks": plan.networks,
        "share_within_budget": plan.share_within_budget,
        "smallest": plain(plan.smallest),
        "largest": plain(plan.largest),
        "steps": plan.steps,
        "hours": plan.hours,
        "memory_gib": plan.memory_gib,
    }
