"""What the commands that ship a trained network print: for people, and as the documents that docs/json.md explains."""

import csv
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from mvit_nas.cli.documents import Document
from mvit_nas.cli.tables import add_row, new_table
from mvit_nas.cli.terminal import Terminal, show
from mvit_nas.metrics import ACCURACY, METRICS
from mvit_nas.units import format_seconds

if TYPE_CHECKING:
    from mvit_nas.artifacts.parity import Scored
    from mvit_nas.jobs import export, predict, reproduce


def print_predictions(outcome: "predict.Outcome") -> None:
    """One line an image, and the accuracy where there is one."""
    for one in outcome.predictions:
        if one.top:
            show(f"{one.image}: {', '.join(f'{name} {100 * probability:.1f} %' for name, probability in one.top)}")
    counted = outcome.counted
    if counted is not None:
        low, high = counted.interval
        share = f"accuracy {100 * counted.accuracy:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        show(f"\n{share}: {counted.correct} of {counted.images} images whose folder names their class")


def print_predictions_csv(outcome: "predict.Outcome") -> None:
    """A table with a row for each image: where it lies, what its folder says, the likeliest classes."""
    most = max((len(one.top) for one in outcome.predictions), default=0)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    ranks = range(1, most + 1)
    writer.writerow(
        ["image", "label", *(f"{what}_{rank}" for rank in ranks for what in ("class", "probability")), "error"]
    )
    for one in outcome.predictions:
        cells = [cell for name, probability in one.top for cell in (name, f"{probability:.6f}")]
        padded = [*cells, *[""] * (2 * most - len(cells))]
        writer.writerow([one.image, one.label or "", *padded, one.reason])


def of_predictions(outcome: "predict.Outcome") -> Document:
    """What ``predict`` found."""
    counted = outcome.counted
    return {
        "model": outcome.model,
        "images": [
            {
                "image": one.image,
                "label": one.label,
                "top": [{"class": name, "probability": probability} for name, probability in one.top],
                "error": one.reason or None,
            }
            for one in outcome.predictions
        ],
        "accuracy": None if counted is None else counted.accuracy,
        "interval": None if counted is None else list(counted.interval),
        "correct": None if counted is None else counted.correct,
        "labelled": 0 if counted is None else counted.images,
    }


def of_export(outcome: "export.Outcome") -> Document:
    """What ``export`` made or checked."""
    return {
        "photos": outcome.photos,
        "files": [one.record() for one in outcome.files],
        "error": None if outcome.error is None else str(outcome.error),
    }


def print_export(outcome: "export.Outcome") -> None:
    """The files as a table, what to know of them, on stdout."""
    console = Terminal(highlight=False)
    console.print(Text(f"\nBeside PyTorch on {outcome.photos}:"))
    table = new_table("file", "size", "delegated", "difference", "same class", "accuracy", "time")
    table.columns[0].no_wrap = True
    for one in outcome.files:
        add_row(table, *_cells(one))
    console.print(table)
    for line in _lines(outcome):
        console.print(Text(line))


def _label(one: "export.ExportedFile") -> str:
    return one.format + " int8" * one.int8


def _cells(one: "export.ExportedFile") -> list[str]:
    artefact, parity, ratio = one.artefact, one.parity, one.ratio
    scored = None if parity is None else parity.scored
    return [
        _label(one),
        f"{artefact.size_bytes / 1e6:.2f} MB",
        "-" if artefact.delegated is None else f"{100 * artefact.delegated:.0f} %",
        "not run" if parity is None else f"{parity.difference:.1g}",
        "-" if parity is None else f"{100 * parity.agreement:.1f} %",
        "-" if scored is None else ACCURACY.format(scored.accuracy),
        "-" if ratio is None else f"{ratio.value:.2f}",
    ]


def _lines(outcome: "export.Outcome") -> Iterator[str]:
    if any(one.ratio is not None for one in outcome.files):
        yield "time: int8's as a share of float32's, one thread, in turns"
    for one in outcome.files:
        parity = one.parity
        if parity is not None and parity.sample_difference is not None:
            yield f"{_label(one)}: the model's {parity.samples} samples within {parity.sample_difference:.1g}"
        if parity is not None and parity.scored is not None:
            yield f"{_label(one)}: {_accuracy(parity.scored, int8=one.int8)}"
    for note in dict.fromkeys(note for one in outcome.files for note in one.notes):
        yield f"note: {note}"
    for processor in dict.fromkeys(one.processor for one in outcome.files):
        yield f"checked on {processor}"
    for one in outcome.files:
        yield str(one.path)


def print_reproduced(outcome: "reproduce.Outcome") -> None:
    """The scores then and now, and what to think of it."""
    took = format_seconds(outcome.seconds)
    show(f"{outcome.trial}: {outcome.network}, seed {outcome.seed}, {outcome.schedule} schedule, {took}\n")
    for name, then in outcome.then.items():
        show(f"{METRICS[name].noun}: {100 * then:.10g} % then, {100 * outcome.now[name]:.10g} % now")
    for one in outcome.differing:
        show(f"differs: {one.what}: {one.then} then, {one.now} now")
    show(f"\n{_verdict(outcome)}")


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


def _accuracy(scored: "Scored", *, int8: bool) -> str:
    """ "47.6 % (42.6 to 52.7 %, over images alone)", and how its answers differ from PyTorch's."""
    words = f"{ACCURACY.format(scored.accuracy)} ({ACCURACY.interval(scored.low, scored.high)}, over images alone)"
    if not int8:
        return words
    turned = f"{scored.to_wrong} images turned wrong and {scored.to_right} right"
    return f"{words}; PyTorch has {ACCURACY.format(scored.torch_accuracy)}; {turned}"
