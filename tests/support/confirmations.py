"""Confirmations that could have been, of the search in ``reports.example_table``."""

from mvit_nas.study.confirmation import (
    Calibrated,
    ClassScore,
    Confirmation,
    ConfirmedNetwork,
    KeptModel,
    Lead,
    Look,
    Mistake,
    Pair,
    Ranks,
    SeedScore,
)
from mvit_nas.study.record import Measured

LOOKS = (
    Look(date="2026-11-27T18:02:11+00:00", trials=(3, 9), seeds=(0,), schedule="medium", images=372),
    Look(
        date="2026-11-28T09:40:00+00:00",
        trials=(0, 8, 9, 5),
        seeds=(0, 1, 2),
        schedule="medium",
        images=372,
        command="confirm",
    ),
)
PIXEL = "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AN//Z"


def network(
    trial: int,
    *tests: float,
    arch_id: str = "",
    label: str = "",
    low: float = 0.03,
    classes: tuple[str, ...] = ("dress", "hat", "shoe"),
) -> ConfirmedNetwork:
    """One that was scored with as many seeds as there are ``tests``."""
    value = sum(tests) / len(tests)
    return ConfirmedNetwork(
        trial=trial,
        arch_id=arch_id,
        label=label or arch_id,
        seeds=tuple(
            SeedScore(seed=seed, test=test, validation=test + 0.01, seconds=61.5) for seed, test in enumerate(tests)
        ),
        accuracy=Measured(value=value, low=value - low, high=value + 0.025),
        classes=(
            *(
                ClassScore(
                    name=name,
                    images=120 + 6 * position,
                    recall=Measured(value=0.7 + 0.05 * position, low=0.6, high=0.9),
                    precision=Measured(value=0.8, low=0.7, high=0.86) if position else None,
                )
                for position, name in enumerate(classes[:-1])
            ),
            ClassScore(name=classes[-1], images=0, recall=None, precision=Measured(value=0.0, low=0.0, high=0.3)),
        ),
        confusion=((300, 40, 20), (30, 330, 18), (0, 0, 0)),
        mistakes=(
            Mistake(image=17, truth="dress", answer="hat", probability=0.97, thumbnail=PIXEL),
            Mistake(image=203, truth="hat", answer="shoe", probability=0.91, thumbnail=""),
        ),
        kept=KeptModel(
            folder=f"models/shirts-{trial}",
            seed=1,
            temperature=0.62,
            before=Calibrated(error=0.081, log_loss=0.73, confidence=0.62),
            after=Calibrated(error=0.024, log_loss=0.69, confidence=0.715),
        ),
    )


def pair(first: int, second: int, difference: float, *, p_holm: float, half: float = 0.02) -> Pair:
    measured = Measured(value=difference, low=difference - half, high=difference + half)
    return Pair(first=first, second=second, difference=measured, p_holm=p_holm, is_shown=p_holm < 0.05)


CONFIRMATION = Confirmation(
    study="shirts",
    created="2026-11-28T10:31:07+00:00",
    command="mvit-nas confirm shirts --top 3",
    fingerprint="sha256:4b0c9d31",
    schedule={"name": "medium", "epochs": 12, "images_per_epoch": 4000},
    seeds=(0, 1, 2),
    images=372,
    networks=(
        network(9, 0.74, 0.76, 0.75, arch_id="a9"),
        network(8, 0.73, 0.75, 0.74, arch_id="a8"),
        network(0, 0.66, 0.69, 0.66, arch_id="a0", label="mobilevit_xxs"),
        ConfirmedNetwork(
            trial=5,
            arch_id="a5",
            label="a5",
            seeds=(),
            failure="with seed 1 the training loss became nan in epoch 7 of 12",
        ),
    ),
    pairs=(pair(9, 8, 0.01, p_holm=0.41), pair(9, 0, 0.08, p_holm=0.002), pair(8, 0, 0.07, p_holm=0.004)),
    ranks=Ranks(networks=3, tau=None, low=None, high=None),
    lead=Lead(trial=8, rank=2, before=0.05, now=0.031),
    take=8,
    tied=(9,),
    looks=LOOKS,
    notes=("The schedule was shortened to 7 epochs, to fit into 2 h.",),
)
