"""What the commands that come after a choice print: for people, and as the documents that docs/json.md explains."""

from typing import TYPE_CHECKING

from mvit_nas.cli.documents import Document
from mvit_nas.metrics import METRICS
from mvit_nas.units import format_seconds

if TYPE_CHECKING:
    from mvit_nas.jobs import reproduce


def print_reproduced(outcome: "reproduce.Outcome") -> None:
    """The scores then and now, and what to think of it."""
    took = format_seconds(outcome.seconds)
    print(f"{outcome.trial}: {outcome.network}, seed {outcome.seed}, {outcome.schedule} schedule, {took}\n")
    for name, then in outcome.then.items():
        print(f"{METRICS[name].noun}: {100 * then:.10g} % then, {100 * outcome.now[name]:.10g} % now")
    for one in outcome.differing:
        print(f"differs: {one.what}: {one.then} then, {one.now} now")
    print(f"\n{_verdict(outcome)}")


def _verdict(outcome: "reproduce.Outcome") -> str:
    if outcome.is_equal:
        return "It came back, equal to the last digit."
    points = f"{100 * abs(outcome.difference):.2f} points of accuracy"
    if not outcome.differing:
        return f"It did not come back, though machine, versions and threads are the same: {points} apart."
    if outcome.farthest is None or outcome.spread is None:
        return f"It did not come back: {points} apart; how far seeds spread is not known here."
    seeds = f"two seeds lie up to {100 * outcome.farthest:.2f} apart (95 %; {outcome.spread.source})"
    if outcome.is_explained:
        return f"Not equal, where something differs: {points} apart, and {seeds}: no more than another seed."
    return f"It did not come back: {points} apart, and {seeds}."


def of_reproduced(outcome: "reproduce.Outcome") -> Document:
    """What ``reproduce`` found."""
    return {
        "trial": outcome.trial,
        "network": outcome.network,
        "seed": outcome.seed,
        "schedule": outcome.schedule,
        "then": dict(outcome.then),
        "now": dict(outcome.now),
        "equal": outcome.is_equal,
        "explained": outcome.is_explained,
        "difference": outcome.difference,
        "seeds_apart": outcome.farthest,
        "differing": [{"what": one.what, "then": one.then, "now": one.now} for one in outcome.differing],
        "seconds": outcome.seconds,
    }
