"""What the commands for several workers print: for people, and as the documents that docs/json.md explains."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from mvit_nas.cli.tables import add_row, new_table, print_networks
from mvit_nas.cli.terminal import Terminal
from mvit_nas.metrics import OBJECTIVES
from mvit_nas.units import format_seconds

if TYPE_CHECKING:
    from mvit_nas.jobs.cache import Kind
    from mvit_nas.jobs.doctor import Finding
    from mvit_nas.jobs.status import Status


def print_status(status: "Status") -> None:
    """How far the search is, who is at what, and its front so far."""
    console = Terminal(highlight=False)
    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in status.states.items()) or "none yet"
    console.print(f"{status.name}: {status.done:g} of {status.trials} trainings; trials: {states}", soft_wrap=True)
    if status.given_back:
        trials = f"{status.given_back} trial{'s' * (status.given_back != 1)}"
        console.print(f"{trials} more came to nothing, since the worker died or was stopped, and are tried again")
    if status.trainings_per_hour is not None and status.seconds_left is not None:
        rate = f"{status.trainings_per_hour:.3g} trainings an hour"
        left = f", about {format_seconds(status.seconds_left)} left" if status.seconds_left else ""
        console.print(f"{rate} over the last ones{left}")
    table = new_table("worker", "trial", "network", "for")
    for one in status.workers:
        add_row(table, one.worker, str(one.trial), one.arch_id, format_seconds(one.seconds))
    console.print()
    console.print(table if status.workers else "nobody works on it now")
    if status.front:
        print_networks("The front so far", status.front, status.objectives)


def print_findings(findings: Sequence["Finding"]) -> None:
    """One line each, and below it what to do where something is wrong."""
    console = Terminal(highlight=False)
    for one in findings:
        console.print(Text(f"{one.part:<8} {one.found}"), soft_wrap=True)
        if one.remedy:
            console.print(Text(f"{'':<8} -> {one.remedy}"), soft_wrap=True)


def print_cache(folder: Path, kinds: Sequence["Kind"], *, removed: bool) -> None:
    """What each part holds and is, and what of it was chosen."""
    console = Terminal(highlight=False)
    console.print(Text(str(folder)), soft_wrap=True)
    for one in kinds:
        console.print(Text(f"{one.name:<12}{one.entries:>7} entries{_size(one.size_bytes):>11}   {one.meaning}"))
    console.print("What is removed is computed again when it is asked for.")
    chosen = sum(one.chosen for one in kinds)
    if chosen:
        words = f"{chosen} entries, {_size(sum(one.chosen_bytes for one in kinds))}"
        console.print(f"removed: {words}" if removed else f"chosen: {words}; --remove removes them")


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def of_status(status: "Status") -> dict[str, Any]:
    """The same as a document."""
    return {
        "study": status.name,
        "where": status.where,
        "trainings": status.done,
        "trainings_asked_for": status.trials,
        "trials": {str(state): count for state, count in status.states.items()},
        "given_back": status.given_back,
        "workers": [
            {"worker": one.worker, "trial": one.trial, "arch_id": one.arch_id, "seconds": round(one.seconds, 1)}
            for one in status.workers
        ],
        "trainings_per_hour": status.trainings_per_hour,
        "seconds_left": status.seconds_left,
        "front": [
            {"trial": record.trial, "arch_id": record.candidate.arch_id, "name": record.candidate.name}
            | {metric.name: record.value(metric) for metric in OBJECTIVES}
            for record in status.front
        ],
    }
