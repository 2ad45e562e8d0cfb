"""What keeps the trials of a search: what is to be tried next, and how each of them ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mvit_nas.arch.space import Label
from mvit_nas.study.record import Guess, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be tried: the ``labels`` of the space that ``proposed_by`` names, or the preset ``name``.

    Where ``is_outside``, the preset is no network of the space, and the labels are only the nearest to it.
    ``must_measure``: its latency is measured whatever is predicted. ``must_finish``: it is trained to the end whatever
    is foreseen, also where it was tried before.
    """

    labels: Mapping[str, Label]
    proposed_by: str
    name: str = ""
    is_outside: bool = False
    must_measure: bool = False
    must_finish: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The trial ``number``, which is running now, with what its sampler guessed of its accuracy, if it did."""

    number: int
    wish: Wish
    guess: Guess | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a trial ended, with what samplers learn from it beside its record.

    ``constraints`` say by how much each budget is broken, relative; met where 0 or below. ``expected`` is what a
    training that was stopped would have reached. ``traceback`` is that of an error in this program.
    """

    record: Record
    constraints: Mapping[str, float] = field(default_factory=dict)
    expected: Guess | None = None
    traceback: str = ""


class Store(Protocol):
    """Keeps trials, so that a process that dies loses the running one at most.

    All that write raise PartialError where nothing can be written; what was told before is kept.
    """

    def records(self) -> list[Record]:
        """Every finished trial, in order."""

    def is_new(self) -> bool:
        """Whether nothing was asked or queued yet."""

    def queue(self, wish: Wish) -> None:
        """Try ``wish`` before any sampler proposes another."""

    def ask(self, sampler: str) -> Asked:
        """Begin the next trial: what is queued, else what ``sampler`` proposes."""

    def tell(self, asked: Asked, told: Told) -> None:
        """End a trial that was asked for."""

    def recover(self) -> int:
        """Queue again what ran when the last process died; how many there were."""

    def retry(self) -> list[int]:
        """Queue again what could not be measured, each network once; the numbers of those trials."""

    def finish_stopped(self, number: int) -> str:
        """Queue the stopped trial ``number`` again, to be trained to the end; its arch_id.

        Raises InputError for any other trial.
        """
