"""The command line: settings in, one function called, results on stdout, progress on stderr."""

import json
import os
import shlex
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mvit_nas import __version__
from mvit_nas.cli import documents, shipping, tables
from mvit_nas.cli.flags import command
from mvit_nas.cli.progress import interrupts, watched
from mvit_nas.cli.terminal import show
from mvit_nas.errors import MvitNasError, PartialError
from mvit_nas.settings import commands
from mvit_nas.settings.looking import CompareSettings, DevicesSettings, ReportSettings
from mvit_nas.settings.parse import joined_name
from mvit_nas.settings.shipping import ExportSettings, PredictSettings, ReproduceSettings
from mvit_nas.settings.train import TrainSettings
from mvit_nas.settings.workers import CacheSettings, DoctorSettings, LaunchSettings, StatusSettings, WorkerSettings

# Between two looks of mvit-nas status --watch.
_WATCHED_SECONDS = 5.0

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


def _fail(error: MvitNasError | None) -> None:
    """End with the error's line and exit code, where there is one."""
    if error is not None:
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


def search(settings: commands.SearchSettings) -> None:
    """Find the MobileViT networks worth having within a budget, and write a report to choose from."""
    # torch and optuna load here: a misspelt flag is answered at once.
    if settings.dry_run:
        from mvit_nas.jobs.search_plan import plan as make_plan

        with watched() as watch, interrupts():
            plan = make_plan(settings, reporter=watch)
        _print_json(asdict(plan)) if settings.as_json else tables.print_plan(plan, auto=settings.trials == "auto")
        return
    from mvit_nas.jobs import search as job

    with watched() as watch, interrupts() as should_stop:
        outcome = job.search(settings, reporter=watch, on_progress=watch.show, should_stop=should_stop)
    _print_json(documents.of_search(outcome)) if settings.as_json else tables.print_front(outcome)
    _fail(outcome.error)


def ablate(settings: commands.AblateSettings) -> None:
    """Say what one design choice does to accuracy and cost, and how sure that is."""
    from mvit_nas.jobs import ablate as job

    if settings.dry_run:
        with watched() as watch, interrupts():
            plan = job.plan(settings, reporter=watch)
        _print_json(asdict(plan)) if settings.as_json else tables.print_ablation_plan(plan)
        return
    with watched() as watch, interrupts() as should_stop:
        outcome = job.ablate(settings, reporter=watch, on_progress=watch.show_run, should_stop=should_stop)
    _print_json(documents.of_ablation(outcome)) if settings.as_json else tables.print_verdicts(outcome)
    _fail(outcome.error)


def confirm(settings: commands.ConfirmSettings) -> None:
    """Train the best of a search for longer, with several seeds, and say which to take by the test part."""
    from mvit_nas.jobs import confirm as job

    if settings.dry_run:
        with watched() as watch, interrupts():
            plan = job.plan(settings, reporter=watch)
        _print_json(documents.of_confirm_plan(plan)) if settings.as_json else tables.print_confirm_plan(plan)
        return
    with watched() as watch, interrupts() as should_stop:
        outcome = job.confirm(settings, reporter=watch, on_progress=watch.show_confirming, should_stop=should_stop)
    _print_json(documents.of_confirmation(outcome)) if settings.as_json else tables.print_confirmation(outcome)


def train(settings: TrainSettings) -> None:
    """Train a chosen network in full and keep it as a folder that can be exported and passed on."""
    from mvit_nas.jobs import train as job

    if settings.dry_run:
        with watched() as watch, interrupts():
            plan = job.plan(settings, reporter=watch)
        _print_json(asdict(plan)) if settings.as_json else tables.print_training_plan(plan)
        return
    with watched() as watch, interrupts() as should_stop:
        outcome = job.train(settings, reporter=watch, should_stop=should_stop)
    if outcome is not None:  # this is the first of several processes, or the only one
        _print_json(documents.of_training(outcome)) if settings.as_json else tables.print_training(outcome)


def export(settings: ExportSettings) -> None:
    """Make of a model the files that phones and servers run, and check each in its own runtime."""
    from mvit_nas.jobs import export as job

    with watched() as watch, interrupts() as should_stop:
        outcome = job.export(settings, reporter=watch, should_stop=should_stop)
    _print_json(shipping.of_export(outcome)) if settings.as_json else shipping.print_export(outcome)
    _fail(outcome.error)


def latency(settings: commands.LatencySettings) -> None:
    """Measure how long networks take on the CPU or the phone, and which are faster than which."""
    from mvit_nas.jobs import latency as job

    with watched() as watch, interrupts() as should_stop:
        outcome = job.measure(settings, reporter=watch, should_stop=should_stop)
    _print_json(documents.of_latencies(outcome)) if settings.as_json else tables.print_latencies(outcome)
    _fail(outcome.error)


def devices(settings: DevicesSettings) -> None:
    """List this host, the phones that adb sees and the machines you name, and whether to trust them now."""
    from mvit_nas.jobs import devices as job

    found, hint = job.devices(settings.targets)
    _print_json(documents.of_devices(found, hint)) if settings.as_json else tables.print_devices(found, hint)


def report(settings: ReportSettings) -> None:
    """Write a study's report again, from its table alone."""
    from mvit_nas.results.report import remake_report

    folder = _report_folder(settings.name, settings.out)
    show(str(remake_report(folder, runtime=settings.runtime, target=settings.target, devices=settings.devices)))


def compare(settings: CompareSettings) -> None:
    """Say which way of searching finds more for its compute, over seeds, from the tables of searches alone."""
    folders = [_report_folder(study, settings.out) for study in settings.studies]
    folder = settings.name or joined_name([path.resolve().name for path in folders])
    from mvit_nas.results.comparison.comparison import compare_studies, document
    from mvit_nas.results.report import read_study, write_comparison

    comparison = compare_studies(
        [read_study(path, study) for path, study in zip(folders, settings.studies, strict=True)]
    )
    conditions = {
        "command": shlex.join(["mvit-nas", *sys.argv[1:]]),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "mvit_nas": __version__,
    }
    page = write_comparison(comparison, conditions, settings.out / "reports" / folder)
    if settings.as_json:
        _print_json({**document(comparison), "report": str(page)})
    else:
        tables.print_comparison(comparison, page)


def predict(settings: PredictSettings) -> None:
    """Say what a model sees in images, from its folder or from a file of a runtime."""
    from mvit_nas.jobs import predict as job

    with watched() as watch:
        outcome = job.predict(settings, reporter=watch)
    if settings.as_json:
        _print_json(shipping.of_predictions(outcome))
    elif settings.as_csv:
        shipping.print_predictions_csv(outcome)
    else:
        shipping.print_predictions(outcome)
    if outcome.unreadable:  # each of them was said
        sys.exit(PartialError.exit_code)


def reproduce(settings: ReproduceSettings) -> None:
    """Train a trial again from its record, and say whether its number came back."""
    from mvit_nas.jobs import reproduce as job

    with watched() as watch, interrupts() as should_stop:
        outcome = job.reproduce(settings, reporter=watch, should_stop=should_stop)
    _print_json(shipping.of_reproduced(outcome)) if settings.as_json else shipping.print_reproduced(outcome)
    if not outcome.is_explained:  # which was said
        sys.exit(1)


def worker(settings: WorkerSettings) -> None:
    """Work on a search that was begun: one more process, on this machine or another."""
    from mvit_nas.jobs import worker as job

    with watched() as watch, interrupts() as should_stop:
        done = job.work(settings, reporter=watch, should_stop=should_stop)
    print(f"{done.name} has what it was asked for")


def launch(settings: LaunchSettings) -> None:
    """Start workers of a search as the jobs of a scheduler."""
    from mvit_nas.jobs import launch as job

    launched = job.launch(settings)
    if settings.as_json:
        _print_json({"jobs": launched.jobs, "logs": str(launched.logs)})
    else:
        show(f"{len(launched.jobs)} workers: {', '.join(launched.jobs)}\nwhat they say: {launched.logs}")


def status(settings: StatusSettings) -> None:
    """Say what the workers of a search do, how far it is, and what it has found so far."""
    from mvit_nas.cli import workers
    from mvit_nas.jobs import status as job

    while True:
        found = job.status(settings)
        _print_json(workers.of_status(found)) if settings.as_json else workers.print_status(found)
        if not settings.watch or (found.done >= found.trials and not found.workers):
            return
        time.sleep(_WATCHED_SECONDS)
        print()


def doctor(settings: DoctorSettings) -> None:
    """Say what this machine has for a search, and what to type where something is wrong."""
    from mvit_nas.cli import workers
    from mvit_nas.jobs import doctor as job

    findings = job.examine(settings)
    _print_json({"findings": [asdict(one) for one in findings]}) if settings.as_json else workers.print_findings(
        findings
    )


def cache(settings: CacheSettings) -> None:
    """Say what the cache holds, and remove what is old or too much of it."""
    from mvit_nas.cli import workers
    from mvit_nas.jobs import cache as job

    folder, kinds = job.look(settings)
    if settings.as_json:
        _print_json({"folder": str(folder), "kinds": [asdict(one) for one in kinds], "removed": settings.remove})
    else:
        workers.print_cache(folder, kinds, removed=settings.remove)


_FOR_STUDIES = (search, worker, launch, status, ablate, confirm, report, compare)
_FOR_NETWORKS = (train, export, predict, reproduce)
_FOR_MACHINES = (latency, devices, doctor, cache)
for run in (*_FOR_STUDIES, *_FOR_NETWORKS, *_FOR_MACHINES):
    command(app, run)


def _print_json(document: documents.Document) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


def _report_folder(name: str, out: Path) -> Path:
    """The folder of the report that ``name`` is, in reports/ or as a path. Raises InputError where there is none."""
    from mvit_nas.results.reading import report_folder  # loads pandas

    return report_folder(name, out)
