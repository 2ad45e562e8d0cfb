"""A phone over adb, where LiteRT's own ``benchmark_model`` does the timing.

The plain ``adb`` client is the connection, so the user's own keys and settings hold. ``benchmark_model`` is a file that
the user gives: Google publishes it for Android, and there is no Python to run on a phone.
"""

import hashlib
import re
import secrets
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mvit_nas.cost.probe import LEAST_ROUNDS, Burst, Facts, Round, half_width
from mvit_nas.cost.targets.machine import FILES, Machine, read_machine
from mvit_nas.cost.targets.target import Job, TargetKind
from mvit_nas.errors import DeviceError, InputError, MeasurementError

# Of one run of benchmark_model: at least these, and no new inference after _MOST_SECONDS.
_RUNS, _SECONDS, _WARMUP_RUNS, _WARMUP_SECONDS, _MOST_SECONDS = 10, 0.5, 3, 0.3, 30
# Warm-up and runs each end by _MOST_SECONDS; the rest is for loading, and for one inference that was under way.
_RUN_SECONDS = 120.0
_PUSH_SECONDS = 300.0
_ANSWER_SECONDS = 20.0
# A device that is unplugged ends a command with exit code 0 and half its output, so the end must say that it is one;
# adbd before Android 7 passes no exit code at all.
_END = "mvit-nas-end "
_FILE = "mvit-nas-file "
_PROPERTIES = (
    "ro.product.manufacturer",
    "ro.product.model",
    "ro.build.fingerprint",
    "ro.soc.manufacturer",
    "ro.soc.model",
)
_ADVICE = {
    "unauthorized": "allow USB debugging on its screen",
    "authorizing": "wait, or allow USB debugging on its screen",
    "offline": "plug it in again, or run `adb reconnect`",
    "no permissions": "let this user open it, by udev rules (Debian: android-sdk-platform-tools-common)",
}
_NO_ADB = "adb is not there: install the package adb (Debian, Ubuntu) or Android's platform tools"
# A serial may hold spaces (a phone found over Wi-Fi), and so may a state.
_DEVICE = re.compile(
    r"^(\S.*?)\s+(device|unauthorized|authorizing|offline|no permissions|connecting|bootloader|recovery|rescue"
    r"|sideload|host|detached|unknown)\b",
    re.MULTILINE,
)
# How shells put it: Android's, mksh, ends with exit code 1 where others end with 126.
_NOT_EXECUTABLE = re.compile(r"benchmark_model: (?:not executable|Exec format error|cannot execute)")
# Printed by C++ streams, so 1.5 s is 1.5e+06.
_NUMBER = r"(\d[\d.]*(?:e[+-]?\d+)?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """A device that adb lists. Where it cannot be used, ``machine`` is None and ``advice`` says what to do."""

    serial: str
    advice: str
    machine: Machine | None


def phones() -> tuple[list[Phone], str]:
    """Every device that adb lists, and a hint for people: "" unless adb is not installed."""
    try:
        listed = _listed()
    except _NoAdbError as error:
        return [], str(error)
    return [_phone(serial, state) for serial, state in listed.items()], ""


def _phone(serial: str, state: str) -> Phone:
    try:
        _require_usable(serial, state)
        return Phone(serial=serial, advice="", machine=_machine(serial, runtime_version=""))
    except DeviceError as error:
        return Phone(serial=serial, advice=str(error), machine=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdbTarget:
    """A phone. ``serial`` is "" for the only one, ``benchmark`` LiteRT's ``benchmark_model`` for its processor.

    Each measurement makes a folder of its own within ``folder``, on the phone, and removes it. What
    ``benchmark_model`` printed is kept in ``log_folder`` where it was of no use.
    """

    serial: str
    benchmark: Path | None
    folder: str = "/data/local/tmp"
    log_folder: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))

    @property
    def name(self) -> str:
        """What people type."""
        return f"adb:{self.serial}" if self.serial else "adb"

    @property
    def kind(self) -> TargetKind:
        """What it is."""
        return TargetKind.ADB

    def machine(self, runtime: str) -> Machine:
        """The phone as it is now. The program that times is the runtime there, so its hash is the version."""
        if runtime != "litert":
            raise InputError(f"only litert runs on a phone over adb, not {runtime}")
        digest = hashlib.sha256(self._benchmark().read_bytes()).hexdigest()
        return _machine(_choose(self.serial), runtime_version=f"benchmark_model {digest[:12]}")

    def measure(self, job: Job) -> list[Round]:
        """Rounds of wall times: benchmark_model's average inference, one for each artefact; at least 8 rounds.

        They go on until the 95 % interval of the mean ratio is within the job's precision or its time is over. Raises
        as ``PythonTarget.measure``.
        """
        if job.runtime != "litert":
            raise InputError(f"only litert runs on a phone over adb, not {job.runtime}")
        benchmark, serial = self._benchmark(), _choose(self.serial)
        with _remote_folder(serial, self.folder) as folder:
            files = {"benchmark_model": benchmark, "reference.tflite": job.reference, "candidate.tflite": job.candidate}
            for name, path in files.items():
                _push(serial, path, f"{folder}/{name}")
            _must(serial, f"chmod 755 {shlex.quote(folder)}/benchmark_model")
            rounds: list[Round] = []
            end = time.monotonic() + job.seconds
            while len(rounds) < LEAST_ROUNDS or not (half_width(rounds) <= job.precision or time.monotonic() >= end):
                # First one, then the other goes first, so that a phone that grows hotter favours neither.
                order = ("reference", "candidate") if len(rounds) % 2 == 0 else ("candidate", "reference")
                bursts = {name: Burst(wall_ns=[self._run(serial, folder, name, job)]) for name in order}
                rounds.append(Round(**bursts))
        return rounds

    def _benchmark(self) -> Path:
        if self.benchmark is None or not self.benchmark.is_file():
            missing = "is missing" if self.benchmark is None else f"{self.benchmark} is no file"
            raise InputError(
                f"--adb-benchmark {missing}: give LiteRT's benchmark_model for the phone's processor; docs/latency.md "
                "says where Google publishes it"
            )
        return self.benchmark

    def _run(self, serial: str, folder: str, name: str, job: Job) -> int:
        """Nanoseconds of an average inference of the "reference" or the "candidate"."""
        command = [
            "./benchmark_model",
            f"--graph={folder}/{name}.tflite",
            f"--num_threads={job.threads}",
            f"--num_runs={_RUNS}",
            f"--min_secs={_SECONDS}",
            f"--max_secs={_MOST_SECONDS}",
            f"--warmup_runs={_WARMUP_RUNS}",
            f"--warmup_min_secs={_WARMUP_SECONDS}",
        ]
        # The process number is for whoever removes the folder: a run that was given up goes on by itself.
        started = shlex.quote(f"echo $$ >pid; exec {shlex.join(command)}")
        script = f"cd {shlex.quote(folder)} || exit; sh -c {started}; code=$?; rm -f pid; exit $code"
        path = job.reference if name == "reference" else job.candidate
        try:
            code, output = _shell(serial, script, seconds=_RUN_SECONDS)
        except _NoAnswerError as error:
            _require_usable(serial, _listed().get(serial, "gone"))
            raise MeasurementError(f"{path}: benchmark_model did not end within {_RUN_SECONDS:.0f} s") from error
        average = average_us(output)
        if code == 0 and average:
            return round(average * 1000)
        saved = self._save(output)
        if code in (126, 127) or _NOT_EXECUTABLE.search(output):
            raise DeviceError(
                f"{serial} cannot run {self.benchmark}: {_last(output)}; give --adb-benchmark a build for its "
                f"processor, see docs/latency.md (whole output: {saved})"
            )
        problem = "printed no average inference time" if code == 0 else f"ended with exit code {code}"
        raise MeasurementError(
            f"{path.name}: benchmark_model {problem}: {_last(output, lines=3)} (whole output: {saved})"
        )

    def _save(self, output: str) -> Path:
        with tempfile.NamedTemporaryFile(
            "w", prefix="benchmark_model-", suffix=".txt", dir=self.log_folder, delete=False, encoding="utf-8"
        ) as file:
            file.write(output)
        return Path(file.name)


def average_us(output: str) -> float | None:
    """Microseconds of an average inference in what benchmark_model printed; None where it is not there.

    There are two programs of that name. The one for the interpreter prints all in microseconds; the one for LiteRT's
    CompiledModel prints milliseconds with two digits, too few for a fast network, but also the same statistics as the
    other, after the warm-up and at the end: "count=50 first=... avg=33209.4 std=450".
    """
    if found := re.search(rf"Inference timings in us:.*Inference \(avg\): {_NUMBER}", output):
        return float(found[1])
    if found := re.search(rf"Inference \(avg\):\s+{_NUMBER} ms", output):
        fine = re.findall(rf"count=.* avg={_NUMBER}", output)
        return float(fine[-1]) if fine else float(found[1]) * 1000
    return None


@contextmanager
def _remote_folder(serial: str, parent: str) -> Iterator[str]:
    """A new folder on the phone, removed with the process whose number is in its file ``pid``, whatever happens."""
    folder = f"{parent}/mvit-nas-{secrets.token_hex(6)}"
    quoted = shlex.quote(folder)
    try:
        _must(serial, f"mkdir {quoted}")
        yield folder
    finally:
        # Where the phone is gone, the error that is under way says so.
        with suppress(DeviceError):
            _shell(serial, f"kill $(cat {quoted}/pid 2>/dev/null) 2>/dev/null; rm -rf {quoted}")


def _machine(serial: str, *, runtime_version: str) -> Machine:
    script = "; ".join(
        [
            f"for file in {' '.join(FILES)}; do echo; echo {_FILE}$file; cat $file 2>/dev/null; done",
            f"for name in {' '.join(_PROPERTIES)}; do echo; echo {_FILE}$name; getprop $name 2>/dev/null; done",
            f"echo {_FILE}nproc; nproc 2>/dev/null",
            f"echo; echo {_FILE}uname; uname -srm",
        ]
    )
    _, output = _shell(serial, script)
    parts = (part.partition("\n") for part in output.split(_FILE)[1:])
    found = {path.strip(): text.strip() for path, _, text in parts if text.strip()}
    uname = found.get("uname", "")
    maker, model = (found.get(f"ro.product.{name}", "") for name in ("manufacturer", "model"))
    soc = f"{found.get('ro.soc.manufacturer', '')} {found.get('ro.soc.model', '')}".strip()
    processors = len(re.findall(r"^processor\s*:", found.get("/proc/cpuinfo", ""), re.MULTILINE))
    facts = Facts(
        files=found,
        name=f"{maker} {model}".strip() or serial,
        system=found.get("ro.build.fingerprint", uname),
        processor=soc or uname.rpartition(" ")[2],
        cores=int(found["nproc"]) if found.get("nproc", "").isdigit() else processors,
    )
    return read_machine(facts, runtime_version=runtime_version)


def _choose(serial: str) -> str:
    """The serial of the phone that is meant and can be used."""
    listed = _listed()
    there = ", ".join(f"{name} ({state})" for name, state in listed.items()) or "none"
    if serial and serial not in listed:
        raise DeviceError(f"adb knows no device {serial}; connected: {there}")
    if not listed:
        raise DeviceError("adb sees no phone: plug one in and switch on USB debugging, or run `adb connect HOST:PORT`")
    if not serial and len(listed) > 1:
        raise DeviceError(f"there are several phones, name one as adb:SERIAL; connected: {there}")
    chosen = serial or next(iter(listed))
    _require_usable(chosen, listed[chosen])
    return chosen


def _listed() -> dict[str, str]:
    """The state of every device by its serial."""
    done = _adb("devices", "-l")
    if done.returncode:
        raise DeviceError(f"adb devices failed: {_last(done.stdout + done.stderr)}")
    return dict(_DEVICE.findall(done.stdout.partition("List of devices attached")[2]))


def _require_usable(serial: str, state: str) -> None:
    if state != "device":
        raise DeviceError(f"the phone {serial} is {state}: {_ADVICE.get(state, 'connect it, with Android running')}")


def _push(serial: str, path: Path, remote: str) -> None:
    done = _adb("-s", serial, "push", str(path), remote, seconds=_PUSH_SECONDS)
    if done.returncode:
        output = done.stdout + done.stderr
        full = "the phone's storage is full: " if "No space left on device" in output else ""
        raise DeviceError(f"{serial}: {full}{_last(output)}")


def _must(serial: str, script: str) -> None:
    code, output = _shell(serial, script)
    if code:
        raise DeviceError(f"{serial}: {_last(output)}")


def _shell(serial: str, script: str, *, seconds: float = _ANSWER_SECONDS) -> tuple[int, str]:
    """(exit code, standard output and errors) of a script of the phone's shell."""
    # Errors join the output there, since adbd before Android 7 has one stream; and some builds of benchmark_model log
    # to standard error.
    done = _adb(
        "-s", serial, "shell", f"( {script}\n) 2>&1; code=$?; echo; echo {shlex.quote(_END)}$code", seconds=seconds
    )
    output, found, code = done.stdout.rpartition(_END)
    if not found or not code.strip().isdigit():
        raise DeviceError(f"the phone {serial} went away: {_last(done.stderr) or 'its answer ended half-way'}")
    return int(code), output


class _NoAdbError(DeviceError):
    pass


class _NoAnswerError(DeviceError):
    pass


def _adb(*arguments: str, seconds: float = _ANSWER_SECONDS) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["adb", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise _NoAdbError(_NO_ADB) from error
    except subprocess.TimeoutExpired as error:
        raise _NoAnswerError(f"`adb {shlex.join(arguments[:3])}` gave no answer within {seconds:.0f} s") from error


def _last(output: str, lines: int = 1) -> str:
    """The last lines that say something, as one."""
    return " / ".join([line.strip() for line in output.splitlines() if line.strip()][-lines:])
