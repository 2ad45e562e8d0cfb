"""What a job tells a person who watches it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """Where a running training is: ``step`` of ``steps`` in all, in ``epoch`` of ``epochs``, both counted from 1."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    images_per_second: float
    seconds_left: float


class Reporter:
    """Takes what there is to show, here for nobody to see; none of it decides anything."""

    def say(self, line: str) -> None:
        """A line that stays."""

    def doing(self, activity: str) -> None:
        """What is being done now; replaced by the next."""

    def watching(self, activity: str) -> None:
        """What others are doing now, told again and again: for who has a line that moves."""

    def training(self, step: TrainingStep) -> None:
        """Moves the running line."""
