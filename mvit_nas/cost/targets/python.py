"""This host, and machines over ssh: the measuring program goes over standard input to a Python there."""

import json
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, cast

from mvit_nas.cost import probe
from mvit_nas.cost.probe import Answer, Burst, Facts, Request, Round
from mvit_nas.cost.targets.machine import FILES, Machine, read_machine
from mvit_nas.cost.targets.target import Job, TargetKind
from mvit_nas.documents import parse_json
from mvit_nas.errors import DeviceError, InputError, MeasurementError

_CONNECTING_SECONDS = 15
# Beyond the measurement itself: to send, to load the runtime and to warm up.
_GRACE_SECONDS = 120.0
_LONGEST_LINE = 16 << 20
_SSH = ("-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECTING_SECONDS}")
_ALIVE = ("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")
# What begins with a dash would be an option of ssh; its configuration can put a host into a shell's command.
_URL = re.compile(
    r"ssh://(?P<user>\w[\w.-]*@)?(?P<host>\w[\w.-]*|\[[\da-f:.]+(?:%\w+)?\])"
    r"(?::(?P<port>\d{1,5}))?(?P<path>(?:/[^\x00-\x1f\x7f?#]*)?)",
    re.ASCII | re.IGNORECASE,
)
# What OpenSSH says, and what to do about it.
_SSH_PROBLEMS = {
    r"REMOTE HOST IDENTIFICATION HAS CHANGED": "its host key changed: make sure that it is the same machine, then "
    "forget the old key with `ssh-keygen -R {host}`",
    r"Host key verification failed": "its host key is not known yet: connect once by hand with `ssh {host}`",
    r"Permission denied": "it refuses the login: `ssh {host}` must work without a password",
    r"Could not resolve hostname": "there is no such host: check the name",
    r"Connection refused": "nothing listens for ssh there",
    r"timed out|No route to host|unreachable": "it does not answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonTarget:
    """A machine on which ``command`` starts a Python. ``host`` is what ssh connects to, "" for this host."""

    name: str
    command: tuple[str, ...]
    host: str = ""

    @property
    def kind(self) -> TargetKind:
        """What it is."""
        return TargetKind.SSH if self.host else TargetKind.HOST

    def machine(self, runtime: str) -> Machine:
        """The machine as it is now. Raises DeviceError where it cannot be reached, or lacks the runtime."""
        machine, versions = self.survey()
        if runtime not in versions:
            package = probe.LOADERS[runtime][0]
            raise DeviceError(f"{self.name}: its Python has no {package}: pip install {package} there")
        return replace(machine, runtime_version=versions[runtime])

    def survey(self) -> tuple[Machine, Mapping[str, str]]:
        """The machine as it is now, and its runtimes' versions by name. Raises DeviceError where it is out of reach."""
        answer = self._ask(Request(files=FILES), {}, seconds=0.0)
        return read_machine(cast(Facts, answer.facts)), answer.versions  # it was asked for no more

    def measure(self, job: Job) -> list[Round]:
        """The rounds of one process, both artefacts loaded afresh in each; at least 8.

        Raises DeviceError where the machine is gone or lacks the runtime, and MeasurementError where this one artefact
        could not be measured.
        """
        request = Request(
            runtime=job.runtime,
            threads=job.threads,
            precision=job.precision,
            seconds=job.seconds,
            shapes={"candidate": job.candidate_shape, "reference": job.reference_shape},
        )
        blobs = {"candidate": job.candidate.read_bytes(), "reference": job.reference.read_bytes()}
        return list(self._ask(request, blobs, seconds=job.seconds).rounds)

    def stages(self, job: Job) -> dict[str, float]:
        """The share of the candidate's time that each stage takes; raises as ``measure``."""
        request = Request(runtime=job.runtime, threads=job.threads, shapes={"candidate": job.candidate_shape})
        answer = self._ask(request, {"candidate": job.candidate.read_bytes()}, seconds=job.seconds)
        return shares_by_stage(answer.operators_ns)

    def _ask(self, request: Request, blobs: Mapping[str, bytes], *, seconds: float) -> Answer:
        """The measuring program's answer to ``request``."""
        program = Path(probe.__file__).read_bytes()
        request = replace(request, sizes={name: len(blob) for name, blob in blobs.items()})
        head = json.dumps(asdict(request)).encode() + b"\n"
        start = f"import sys;exec(compile(sys.stdin.buffer.read({len(program)}),'probe.py','exec'))"
        argv = [*self.command, "-c", shlex.quote(start) if self.host else start]
        try:
            with tempfile.TemporaryFile() as complaints:
                # In a session of its own: Ctrl-C is this process's to handle.
                process = subprocess.Popen(
                    argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, start_new_session=True
                )
                lines, late = _converse(process, [program, head, *blobs.values()], seconds + _GRACE_SECONDS)
                complaints.seek(0)
                said = complaints.read().decode(errors="replace")
        except FileNotFoundError:
            raise DeviceError(f"{self.name}: there is no command {self.command[0]!r}: install OpenSSH") from None
        if late:
            raise MeasurementError(f"{self.name}: no answer within {seconds + _GRACE_SECONDS:.0f} s")
        if len(lines) < 2:
            raise self._failure(process.returncode, said, started=bool(lines))
        try:
            answer = _read_answer(lines[1])
        except (InputError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MeasurementError(f"{self.name}: its answer is not that of the measuring program ({error})") from None
        if answer.is_missing:
            package = probe.LOADERS[request.runtime][0]
            raise DeviceError(f"{self.name}: its Python cannot load {package} ({answer.reason}): pip install it there")
        if answer.reason:
            raise MeasurementError(f"{self.name}: {request.runtime} refuses the model: {answer.reason}")
        return answer

    def _failure(self, code: int, said: str, *, started: bool) -> DeviceError | MeasurementError:
        """Why there was no answer: ``code`` and what was ``said`` on standard error."""
        last = " ".join(said.strip().splitlines()[-1:])
        if self.host and code == 255:
            if started:
                return DeviceError(f"{self.name}: the connection was lost during the measurement ({last})")
            for pattern, words in _SSH_PROBLEMS.items():
                if re.search(pattern, said):
                    return DeviceError(f"{self.name}: {words.format(host=self.host)}")
            return DeviceError(f"{self.name}: ssh failed: {last or 'it said nothing'}")
        if self.host and code in (126, 127):
            return DeviceError(
                f"{self.name}: there is no {self.command[-1]!r}: name a Python, as in ssh://{self.host}/usr/bin/python3"
            )
        died = f"ended with {code}" if code > 0 else f"was killed by signal {-code}"
        memory = "; perhaps it ran out of memory" if code in (-9, 137) else ""
        return MeasurementError(f"{self.name}: the measuring program {died}{memory}: {last or 'it said nothing'}")


def _read_answer(line: bytes) -> Answer:
    """The answer that a machine gave, which is not ours. Raises InputError and the errors of values that do not fit."""
    plain = parse_json(line.decode("utf-8"), where="its answer")
    facts, rounds = plain.pop("facts"), plain.pop("rounds")
    return Answer(
        facts=None if facts is None else Facts(**facts),
        rounds=[Round(**{name: Burst(**burst) for name, burst in one.items()}) for one in rounds],
        **plain,
    )


def shares_by_stage(operators_ns: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """The share of the time by stage, of each operator's median; "other" is what no stage can be told of."""
    totals: dict[str, float] = {}
    for name, times in operators_ns.items():
        found = re.search(r"\b(stem|stages\.\d+|head|classifier)\b", name)
        stage = found[1] if found else "other"
        totals[stage] = totals.get(stage, 0.0) + statistics.median(times)
    return {stage: total / sum(totals.values()) for stage, total in totals.items()}


def _converse(process: "subprocess.Popen[bytes]", parts: list[bytes], seconds: float) -> tuple[list[bytes], bool]:
    """Send ``parts``; what comes back, line by line, and whether the process was killed for being late."""
    late = threading.Event()

    def kill() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    with process:  # closes standard input, at which the program ends, and waits for it
        try:
            stdin = cast(IO[bytes], process.stdin)
            with suppress(BrokenPipeError):  # it ended early; what it said tells why
                stdin.write(b"".join(parts))
                stdin.flush()
            stdout = cast(IO[bytes], process.stdout)
            lines = [
                line
                for line in (stdout.readline(_LONGEST_LINE), stdout.readline(_LONGEST_LINE))
                if line.endswith(b"\n")
            ]
        finally:
            timer.cancel()
    return lines, late.is_set()


def this_host() -> PythonTarget:
    """The machine that this process runs on."""
    # -P: a file in the working folder must not stand in for a module.
    return PythonTarget(name="host", command=(sys.executable, "-P"))


def over_ssh(url: str) -> PythonTarget:
    """The target of "ssh://user@host:port/path/to/python"; user, port and path are optional, the Python is python3.

    OpenSSH connects by the person's own configuration, so ``host`` may be an alias of it.
    """
    found = _URL.fullmatch(url)
    if found is None or not 0 < int(found["port"] or 22) < 65536:
        raise InputError(f"--target {url}: write ssh://user@host, ssh://host:2222 or ssh://host/path/to/python")
    host = (found["user"] or "") + found["host"].strip("[]")  # which OpenSSH takes in a URL alone
    ports = ("-p", found["port"]) if found["port"] else ()
    python = shlex.quote(found["path"]) if found["path"].strip("/") else "python3"
    return PythonTarget(name=url, command=("ssh", *_SSH, *_ALIVE, *ports, "--", host, python), host=host)
