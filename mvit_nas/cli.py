"""The command line: parse, call one function, print. Results on stdout, progress on stderr."""

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mvit_nas import __version__
from mvit_nas.errors import InputError, InterruptedCleanlyError, MvitNasError
from mvit_nas.settings import parse_objectives
from mvit_nas.units import format_count, format_metric, format_seconds, parse_budget, parse_seconds

if TYPE_CHECKING:
    from mvit_nas.jobs.search import Outcome, Plan, Progress, TriedDesign

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
    trials: Annotated[int, typer.Option(help="Candidates to train, in all.")] = 12,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start no trial after this: 90s, 15min, 8h.")
    ] = None,
    schedule: Annotated[str, typer.Option(metavar="NAME", help="smoke, short or paper.")] = "short",
    seed: Annotated[int, typer.Option(help="Decides proposals, weights and data order.")] = 0,
    device: Annotated[str, typer.Option(help="Training device: auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads for the latency measurement.")] = 1,
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
        threads=threads,
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


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="Name of the study, or the folder of its report.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where reports/ lies.")] = Path(),
) -> None:
    """Write a study's report again, from its table alone."""
    from mvit_nas.results.report import remake_report

    folder = out / "reports" / name
    if not folder.is_dir() and Path(name).is_dir():
        folder = Path(name)
    if not folder.is_dir():
        known = sorted(path.parent.name for path in (out / "reports").glob("*/results.csv"))
        raise InputError(f"no report {name!r} in {out / 'reports'}: known are {', '.join(known) or 'none'}")
    print(remake_report(folder))


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
        if last["state"] in ("complete", "failed"):
            self._print(_trial_line(progress))
        parts = [f"{progress.done}/{progress.trials} trials"]
        if progress.best is not None:
            parts.append(f"best {format_metric('accuracy', progress.best['accuracy'])}")
            parts.append(f"front {progress.front}")
            parts.append(f"hypervolume {progress.hypervolume:.3f}")
        if progress.seconds_left is not None:
            parts.append(f"about {format_seconds(progress.seconds_left)} left")
        self._status = " · ".join(parts)
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
    head = f"{progress.done:>3}/{progress.trials} {label:<13}"
    if last["state"] == "failed":
        return f"{head} failed: {last['reason']}"
    parts = [
        f"{head} {format_metric('accuracy', last['accuracy']):>6}",
        f"{format_count(last['params'])} params",
    ]
    parts.append(f"{format_count(last['macs'])} MACs")
    if last.get("latency_ms") is not None:
        parts.append(format_metric("latency_ms", last["latency_ms"]))
    parts.append("from the cache" if last["cached"] else format_seconds(last["seconds"]))
    return "  ".join(parts)


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
        table.add_row(*(Text(cell) for cell in cells))
    console = Console(highlight=False)
    console.print(f"\nThe front, {len(outcome.front)} networks (search-validation accuracy after the short training):")
    console.print(table)
    console.print(f"\nreport: {outcome.report}", soft_wrap=True)


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
    for row in front:
        row["arch"] = json.loads(row["arch"])
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
