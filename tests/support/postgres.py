"""A real PostgreSQL server of one's own, in a folder, as Debian's package brings it."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

USER = "searcher"


def programs() -> Path | None:
    """The folder of the newest server's programs; None where none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Server:
    """The server in ``folder``, for anybody on this machine."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self._programs = folder, programs
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]

    @property
    def url(self) -> str:
        """Where a search finds it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """As after a boot."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300"
        self._control("start", "-o", options, "-l", str(self.folder / "log"))

    def stop(self, mode: str = "immediate") -> None:
        """As a crash does, by default."""
        self._control("stop", "-m", mode)

    def initialise(self) -> None:
        """Make its files."""
        self._run("initdb", "-D", str(self.folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8")

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-w", "-D", str(self.folder / "data"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if os.getuid() == 0:  # which the server refuses to run as
            command = ["runuser", "-u", "postgres", "--", *command]
        with (self.folder.parent / "server.log").open("ab") as log:  # a pipe would be held by the server
            done = subprocess.run(command, check=False, stdout=log, stderr=log, cwd=self.folder)
        assert done.returncode == 0, (self.folder.parent / "server.log").read_text()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server meanwhile."""
    found = programs()
    assert found is not None
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        shutil.chown(folder, pwd.getpwnam("postgres").pw_uid)
        for parent in folder.parents:  # pytest's own folders are closed to others
            if parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    server = Server(folder, found)
    server.initialise()
    server.start()
    try:
        yield server
    finally:
        server.stop()
