"""Whether the database of a study can be read, before anything is made of it."""

import functools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import ParamSpec, TypeVar

from optuna.exceptions import OptunaError
from sqlalchemy.exc import SQLAlchemyError

from mvit_nas.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")
_BUSY_SECONDS = 60


def check_database(path: Path) -> None:
    """Raise InputError, in one line, where ``path`` is no database or a damaged one; nothing where there is none yet.

    An empty file is damaged, too: SQLite would take it for a new database, and the trials would be gone unnoticed.
    """
    if not path.exists():
        return
    try:
        if not path.is_file() or not path.stat().st_size:
            raise sqlite3.DatabaseError("it is empty" if path.is_file() else "it is no regular file")
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise _damaged(str(path), error) from None


def reads_database(read: Callable[P, T]) -> Callable[P, T]:
    """``read``, which raises InputError where the content of the study is damaged although its database can be read.

    A bit that flipped in a text ends in whatever error its parser has.
    """

    @functools.wraps(read)
    def wrapped(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return read(*arguments, **options)
        except (ValueError, KeyError, TypeError, AttributeError, SQLAlchemyError, OptunaError) as error:
            raise _damaged("study.db", error) from error

    return wrapped


def _damaged(path: str, error: Exception) -> InputError:
    remedy = "bring back a copy, or begin again with another --name: what was trained is in the cache"
    return InputError(f"the study in {path} is damaged ({' '.join(str(error).split())[:100]}): {remedy}")
