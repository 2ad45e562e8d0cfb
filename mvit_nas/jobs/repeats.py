"""Which network of a search's front is worth training with one more seed."""

from collections.abc import Collection, Sequence

from mvit_nas.metrics import score_of
from mvit_nas.results.sure import sureness
from mvit_nas.results.view import front
from mvit_nas.study.origin import SearchOrigin
from mvit_nas.study.record import Record


def to_repeat(
    records: Sequence[Record], origin: SearchOrigin, *, most: int, without: Collection[int] = ()
) -> int | None:
    """The position of the likeliest best network on the front that was trained with fewer than ``most`` seeds.

    None where there is none. Those ``without`` are left out. Trained again it may leave the front, and the next time
    another one is asked for: most seeds go to where the choice is.
    """
    objectives = origin.experiment.objectives
    score = score_of(objectives)
    sure = sureness(tuple(records), origin, score=score, objectives=objectives)
    rows = [
        row
        for row in front(records, objectives, first=score)
        if row in sure.best and row not in without and records[row].seeds < most
    ]
    return max(rows, key=lambda row: sure.best[row], default=None)
