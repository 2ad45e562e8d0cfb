"""A trial on its way: what is wished, who claimed it, how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
class Proposal:
    """What is to be tried next, with what its sampler guessed of its accuracy, if it did.

    ``notes`` are what the sampler keeps with a trial.
    """

    wish: Wish
    guess: Guess | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The trial ``number``, which ``worker`` is running, of the network ``arch_id``."""

    number: int
    wish: Wish
    arch_id: str
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """A network whose trials all came to nothing, and how often its worker died without the training getting on."""

    wish: Wish
    arch_id: str
    deaths: int


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
