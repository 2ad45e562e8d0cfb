"""Trainings that were never made, for a table of the MobileViT family: accuracies from a formula."""

import math
from collections.abc import Sequence

from mobilevit_rows import Training
from mobilevit_table import Task

from mvit_nas.study.record import Rung


def made_up(task: Task) -> Training:
    """A training of ``task``, which ends higher the more the network costs, the longer it is and the higher its seed."""
    epochs = 4 if task.schedule == "short" else 12
    losses = tuple(2.3 - 0.1 * epoch for epoch in range(1, epochs + 1))
    correct = round(500 * math.log10(task.design.cost.macs)) - 1500 + 10 * epochs + 7 * task.seed
    return Training(
        network=task.design.arch_id,
        schedule=task.schedule,
        seed=task.seed,
        correct=correct,
        images=5000,
        losses=losses,
        rungs=tuple(
            Rung(epoch=epoch, loss=losses[epoch - 1], correct=correct // 20 + epoch, images=500) for epoch in (1, 2)
        ),
        seconds=12.5,
        processor="a processor",
    )


def all_made_up(tasks: Sequence[Task]) -> list[Training]:
    """Trainings of all ``tasks``."""
    return [made_up(task) for task in tasks]
