"""Where a study is kept: a file in its folder, or a database server for workers on several hosts."""

import sqlite3
import urllib.parse
from pathlib import Path

from optuna.storages import RDBStorage

from mvit_nas.errors import DeviceError, InputError

FILE = "study.db"
_SERVERS = ("postgresql",)
# Seconds that SQLite waits for another process, and for which a server that is away is waited for.
_LOCKED_SECONDS = 60
PATIENCE_SECONDS = 600.0
# A worker that stops in the middle of a transaction, as a frozen machine does, keeps others waiting for so long.
_IDLE_SECONDS = 20


def check_url(url: str) -> str:
    """``url``, if it names a server that holds studies and no password. Raises InputError."""
    parts = urllib.parse.urlsplit(url)
    kind = parts.scheme.partition("+")[0]
    if kind not in _SERVERS or not parts.hostname or not parts.path.strip("/"):
        raise InputError(f"--storage {_shown(url)!r} is no database: use postgresql://USER@HOST/DATABASE")
    if parts.password is not None:
        raise InputError("--storage: leave the password out of the address: put it into PGPASSWORD or ~/.pgpass")
    return url


def open_file(folder: Path) -> RDBStorage:
    """The file of the study in ``folder``: SQLite in write-ahead mode, for any number of workers on one host."""
    path = folder / FILE
    storage = RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": _LOCKED_SECONDS}})
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # kept in the file
    return storage


def open_server(url: str) -> RDBStorage:
    """The database at ``url``.

    Raises InputError where it cannot be reached, and DeviceError where its client is not installed.
    """
    rest = check_url(url).partition("://")[2]
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
        reason = str(error.__cause__ or error).splitlines()[0][:200]
        raise InputError(f"--storage {_shown(url)}: cannot be used: {reason}") from None


def _shown(url: str) -> str:
    """``url`` without a password."""
    parts = urllib.parse.urlsplit(url)
    return url if parts.password is None else url.replace(f":{parts.password}@", ":***@")
