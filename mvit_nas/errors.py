"""What a user can cause. Each error becomes one line and an exit code in ``cli/app.py``; anything else is a bug."""

import difflib
from collections.abc import Iterable


class MvitNasError(Exception):
    """The base: a failure that the user can understand from its one-line message."""

    exit_code = 1


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


def unknown(key: object, known: Iterable[str]) -> str:
    """Words for an unknown key: the nearest of ``known`` where one is near, else all of them."""
    known = list(known)
    near = difflib.get_close_matches(str(key), known, n=1)
    if near:
        return f"unknown {str(key)!r}, did you mean {near[0]!r}?"
    return f"unknown {str(key)!r}, known are {', '.join(known)}"
