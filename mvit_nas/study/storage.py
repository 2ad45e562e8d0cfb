"""Where a study is kept: a file in its folder, or a database server for workers on several hosts."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import sqlalchemy.exc
from optuna.storages import RDBStorage

from mvit_nas.errors import DeviceError, InputError

FILE = "study.db"
# Seconds that SQLite waits for another process, and for which a server that is away is waited for.
_LOCKED_SECONDS = 60
PATIENCE_SECONDS = 600.0
# A worker that stops in the middle of a transaction, as a frozen machine does, keeps others waiting for so long.
_IDLE_SECONDS = 20


def open_file(folder: Path) -> RDBStorage:
    """The file of the study in ``folder``: SQLite in write-ahead mode, for any number of workers on one host.

    Raises InputError where it is no such file, or cannot be written.
    """
    path = folder / FILE
    try:
        with sqlite3.connect(path, timeout=_LOCKED_SECONDS) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # kept in the file
        return RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": _LOCKED_SECONDS}})
    except (sqlite3.Error, optuna.exceptions.OptunaError, sqlalchemy.exc.SQLAlchemyError, AssertionError) as error:
        reason = _first_line(error)
        raise InputError(f"{path} cannot be used ({reason}): move it away, or use another --name") from None


def open_server(url: str) -> RDBStorage:
    """The database at ``url``.

    Raises InputError where it cannot be reached, and DeviceError where its client is not installed.
    """
    rest = url.partition("://")[2]
    options = f"-c idle_in_transaction_session_timeout={_IDLE_SECONDS}s"
    try:
        return RDBStorage(
            f"postgresql+psycopg://{rest}",
            engine_kwargs={
                # It needs two connections while it starts, and the thread of the beats one of its own.
                "pool_size": 1,
                "max_overflow": 2,
                "pool_pre_ping": True,
                "connect_args": {"options": options, "connect_timeout": 10, "application_name": "mvit-nas"},
            },
        )
    except ImportError:
        raise DeviceError("--storage postgresql needs psycopg: pip install 'mvit-nas[postgres]'") from None
    except Exception as error:  # SQLAlchemy's and Optuna's, whichever of them was asked
        raise InputError(f"--storage {url} cannot be used: {_first_line(error)}") from None


@contextmanager
def closing(storage: RDBStorage) -> Iterator[RDBStorage]:
    """``storage``, whose connections are closed in the end."""
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _first_line(error: Exception) -> str:
    return (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0][:200]
