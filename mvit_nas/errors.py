"""What a user can cause. Each error becomes one line and an exit code in ``cli/app.py``; anything else is a bug."""

import difflib
import re
from collections.abc import Iterable

# What a terminal obeys instead of showing it: control characters, ends of lines, what turns the direction of writing.
# And what no file can hold: halves of surrogate pairs, which stand for bytes that are not UTF-8.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST = 300


class MvitNasError(Exception):
    """The base: a failure that the user can understand from its message.

    That is one line of at most 300 characters, whatever names and values of strangers it shows: what is longer lacks
    its middle, since it begins with the place and ends with the remedy.
    """

    exit_code = 1

    def __str__(self) -> str:
        text = visible(super().__str__())
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 105]} ... {text[-100:]}"


class InputError(MvitNasError):
    """A flag, a file or a folder that the user gave is wrong."""

    exit_code = 2


class ArchError(InputError):
    """A description that is no architecture."""


class InvalidArchError(ArchError):
    """Values that each make sense and together do not, such as a width that the heads do not divide."""


class SpaceError(InputError):
    """A search space file that does not describe a search space."""


class DataError(InputError):
    """Images that cannot be read as a data set."""


class NothingFeasibleError(MvitNasError):
    """No candidate of the space meets the budget."""

    exit_code = 3


class PartialError(MvitNasError):
    """The work ended before it was done; what had been computed is kept."""

    exit_code = 4


class DeviceError(MvitNasError):
    """A device that was asked for is not there."""

    exit_code = 5


class MeasurementError(MvitNasError):
    """One measurement that could not be made: a model that the runtime refuses, an answer that does not parse."""


class CostError(MvitNasError):
    """A cost that would have come out wrong."""


class TrainingError(MvitNasError):
    """A training run that cannot go on, such as one whose loss is not finite."""


class InterruptedCleanlyError(MvitNasError):
    """Stopped by Ctrl-C or SIGTERM after everything was saved."""

    exit_code = 130


def visible(text: str) -> str:
    """``text`` with what a terminal would obey, or no file can hold, written out: "\\x1b"."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def unknown(key: object, known: Iterable[str]) -> str:
    """Words for an unknown key: the nearest of ``known`` where one is near, else all of them."""
    known, shown = list(known), str(key)[:_LONGEST]  # comparing takes the square of the length
    near = difflib.get_close_matches(shown, known, n=1)
    if near:
        return f"unknown {shown!r}, did you mean {near[0]!r}?"
    return f"unknown {shown!r}, known are {', '.join(known)}"
