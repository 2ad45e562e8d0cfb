"""Exporters print, log and warn; none of it is for whoever searches."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from mvit_nas.errors import InputError, MeasurementError, MvitNasError


@contextlib.contextmanager
def refusals(title: str, doing: str) -> Iterator[None]:
    """Silence, and a MeasurementError that names the runtime and the cause for whatever fails inside."""
    try:
        with silence():
            yield
    except MvitNasError:
        raise
    except Exception as error:  # exporters raise anything, RuntimeError and their own exceptions alike
        raise MeasurementError(f"{title} cannot {doing} this network: {_cause(error)}") from error


@contextlib.contextmanager
def unreadable(path: Path, title: str) -> Iterator[None]:
    """Silence, and an InputError that names the file for whatever fails inside."""
    try:
        with silence():
            yield
    except Exception as error:  # each library raises its own for a file that it cannot read
        raise InputError(f"{path}: is no {title} file for one batch of images ({_cause(error)})") from error


def _cause(error: BaseException) -> str:
    """One line of the innermost error: what wraps it only says which step failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "without a message")
    return f"{type(error).__name__}: {line}"


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nothing reaches standard output and standard error, from C++ neither; warnings and logs are dropped."""
    sys.stdout.flush()
    sys.stderr.flush()
    level = logging.root.manager.disable
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123  (a device, not a path)
        for descriptor in (1, 2):
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, descriptor)
            os.dup2(nowhere.fileno(), descriptor)
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, level)
        yield
