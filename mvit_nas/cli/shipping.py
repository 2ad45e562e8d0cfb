"""What the commands that ship a trained network print: for people, and as the documents that docs/json.md explains."""

import csv
import sys
from typing import TYPE_CHECKING

from mvit_nas.cli.documents import Document

if TYPE_CHECKING:
    from mvit_nas.jobs import predict


def print_predictions(outcome: "predict.Outcome") -> None:
    """One line an image, and the accuracy where there is one."""
    for one in outcome.predictions:
        if one.top:
            print(f"{one.image}: {', '.join(f'{name} {100 * probability:.1f} %' for name, probability in one.top)}")
    counted = outcome.counted
    if counted is not None:
        low, high = counted.interval
        share = f"accuracy {100 * counted.accuracy:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        print(f"\n{share}: {counted.correct} of {counted.images} images whose folder names their class")


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
