"""Where a study is kept: a file in its folder, or a database server for workers on several hosts."""

import contextlib
import functools
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import optuna
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from mvit_nas.errors import DeviceError, InputError
from mvit_nas.files import locked
from mvit_nas.metrics import Metric

P = ParamSpec("P")
T = TypeVar("T")
FILE = "study.db"
# Seconds that SQLite waits for another process, and for which a server that is away is waited for.
_LOCKED_SECONDS = 60
PATIENCE_SECONDS = 600.0
# A worker that stops in the middle of a transaction, as a frozen machine does, keeps others waiting for so long. On a
# machine with a load of 40 living ones took 20 s.
_IDLE_SECONDS = 60
# PostgreSQL's errors that pass: no resources left, somebody's intervention, an idle transaction, tables that another
# process made at the same moment.
_PASSING = ("53", "57", "25P03", "23505", "42P07")
_ATTEMPTS, _AGAIN_SECONDS = 5, 5.0


def open_file(folder: Path) -> RDBStorage:
    """The file of the study in ``folder``: SQLite in write-ahead mode, for any number of workers on one host.

    Raises InputError where it is damaged, or cannot be written.
    """
    path = folder / FILE
    try:
        with locked(folder / "tables.lock", wait=True):  # two that make the tables at once break each other
            _check(path)
            with sqlite3.connect(path, timeout=_LOCKED_SECONDS) as connection:
                connection.execute("PRAGMA journal_mode=WAL")  # kept in the file
            return RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": _LOCKED_SECONDS}})
    except (sqlite3.Error, OptunaError, SQLAlchemyError, OSError) as error:
        raise _damaged(str(path), error) from None


def open_server(url: str) -> RDBStorage:
    """The database at ``url``.

    Raises InputError where it cannot be reached, and DeviceError where its client is not installed.
    """
    options = f"-c idle_in_transaction_session_timeout={_IDLE_SECONDS}s"
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_AGAIN_SECONDS)
        try:
            return RDBStorage(
                f"postgresql+psycopg://{url.partition('://')[2]}",
                engine_kwargs={
                    # It needs two connections while it starts, and the thread of the beats one of its own.
                    "pool_size": 1,
                    "max_overflow": 2,
                    "pool_pre_ping": True,
                    "connect_args": {"options": options, "connect_timeout": 30, "application_name": "mvit-nas"},
                },
            )
        except ImportError:
            raise DeviceError("--storage postgresql needs psycopg: pip install 'mvit-nas[postgres]'") from None
        except Exception as error:  # SQLAlchemy's and Optuna's, whichever of them was asked
            failed = error
            if not _passes(error):
                break
    raise InputError(f"--storage {url} cannot be used: {_first_line(failed)}")


def _passes(error: Exception) -> bool:
    """Whether another attempt may succeed."""
    cause = error.__cause__ or error
    state = getattr(getattr(cause, "orig", cause), "sqlstate", None)
    return state is not None and state.startswith(_PASSING)


def open_study(storage: BaseStorage | None, objectives: Sequence[Metric], *, name: str = "search") -> optuna.Study:
    """The study ``name`` in ``storage``, begun where it is not there yet."""
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=["maximize" if metric.maximise else "minimize" for metric in objectives],
        load_if_exists=True,
    )
    names = [metric.name for metric in objectives]  # for whoever looks at it with other tools
    if study.metric_names != names:
        study.set_metric_names(names)
    return study


@contextlib.contextmanager
def closing(storage: RDBStorage) -> Iterator[RDBStorage]:
    """``storage``, whose connections are closed in the end."""
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _first_line(error: Exception) -> str:
    return (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0][:200]


def _check(path: Path) -> None:
    """Raise InputError, in one line, where ``path`` is no database or a damaged one; nothing where there is none yet.

    An empty file is damaged, too: SQLite would take it for a new database, and the trials would be gone unnoticed.
    """
    if not path.exists():
        return
    try:
        if not path.is_file() or not path.stat().st_size:
            raise sqlite3.DatabaseError("it is empty" if path.is_file() else "it is no regular file")
        with contextlib.closing(sqlite3.connect(path, timeout=_LOCKED_SECONDS)) as connection:
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
    # The disk is full, or the folder is another's.
    if isinstance(error, sqlite3.OperationalError | OperationalError | OSError):
        return InputError(f"cannot use {path} ({_first_line(error)}): make room, or choose another --out")
    remedy = "bring back a copy, or begin again with another --name: what was trained is in the cache"
    return InputError(f"the study in {path} is damaged ({' '.join(str(error).split())[:100]}): {remedy}")
