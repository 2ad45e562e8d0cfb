"""This host and a real sshd on loopback: what is measured there, and what goes wrong."""

import importlib.metadata
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.artifacts.checked import export
from mvit_nas.cost.probe import LEAST_ROUNDS
from mvit_nas.cost.runtimes.registry import RUNTIMES
from mvit_nas.cost.targets import python as module
from mvit_nas.cost.targets.python import PythonTarget, over_ssh, this_host
from mvit_nas.cost.targets.registry import find_target
from mvit_nas.cost.targets.target import Job
from mvit_nas.errors import DeviceError, InputError, MeasurementError

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Artefacts of two small networks, and one that is none."""
    folder = tmp_path_factory.mktemp("artefacts")
    arch = with_values(PRESETS["mobilevit_xxs"], {"image_size": 32})
    for name, depth in (("reference", 1), ("candidate", 2)):
        export(
            RUNTIMES["onnxruntime"],
            with_values(arch, {"stages.*.mobilevit.depth": depth}),
            folder / f"{name}.onnx",
            classes=10,
        )
    (folder / "garbage.onnx").write_bytes(b"no network")
    return folder


def job(files, candidate="candidate", **options):
    settings: dict[str, Any] = {"runtime": "onnxruntime", "threads": 1, "precision": 0.02, "seconds": 0.2} | options
    return Job(
        candidate=files / f"{candidate}.onnx", reference=files / "reference.onnx",
        candidate_shape=(1, 3, 32, 32), reference_shape=(1, 3, 32, 32), **settings,
    )  # fmt: skip


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_this_host_tells_of_itself_and_measures(files):
    target = this_host()
    machine = target.machine("torch")
    assert machine.runtime_version == importlib.metadata.version("torch")
    assert machine.cores == os.cpu_count()
    rounds = target.measure(job(files))
    assert len(rounds) >= LEAST_ROUNDS
    bursts = [burst for one in rounds for burst in (one.candidate, one.reference)]
    assert all(ns > 0 for burst in bursts for ns in (*burst.wall_ns, *burst.cpu_ns))
    assert all(len(burst.wall_ns) == len(burst.cpu_ns) >= 3 for burst in bursts)
    assert all(not one.candidate.cpu_ns for one in target.measure(job(files, threads=2)))


def test_the_stages_of_a_network_are_told_apart(files):
    shares = this_host().stages(job(files))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert {"stem", "stages.0", "stages.4", "head", "classifier"} <= set(shares)
    assert shares["stages.2"] > shares["head"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo 'Segmentation fault' >&2; exit 139", r"host: the measuring program ended with 139: Segmentation fault"),
        ("kill -9 $$", r"was killed by signal 9; perhaps it ran out of memory: it said nothing"),
    ],
)
def test_a_program_that_dies_is_told_with_its_last_words(files, tmp_path, command, message):
    target = PythonTarget(name="host", command=(str(script(tmp_path / "python", command)),))
    with pytest.raises(MeasurementError, match=message):
        target.measure(job(files))


@pytest.mark.parametrize(
    "answer",
    [
        "hello",
        "[]",
        "{}",
        "[" * 5000,
        '{"facts": null, "rounds": [3]}',
        '{"facts": {"a": 1}, "rounds": []}',
        '{"facts": null, "rounds": null, "more": 1}',
    ],
)
def test_an_answer_that_is_none_is_told(files, tmp_path, answer):
    (tmp_path / "answer").write_text(f"ready\n{answer}\n")
    command = f"cat > /dev/null & cat {tmp_path / 'answer'}"
    target = PythonTarget(name="host", command=(str(script(tmp_path / "python", command)),))
    with pytest.raises(MeasurementError, match="host: its answer is not that of the measuring program"):
        target.measure(job(files))


def test_a_program_that_does_not_answer_is_given_up(files, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.3)
    target = PythonTarget(name="host", command=(str(script(tmp_path / "python", "exec sleep 60")),))
    start = time.monotonic()
    with pytest.raises(MeasurementError, match=r"host: no answer within 0 s|no answer within 1 s"):
        target.measure(job(files))
    assert time.monotonic() - start < 30


def test_a_file_that_the_runtime_refuses_is_told(files):
    with pytest.raises(MeasurementError, match=r"host: onnxruntime refuses the model: InvalidProtobuf"):
        this_host().measure(job(files, "garbage"))


@pytest.mark.parametrize(
    "text",
    [
        "ssh://",
        "ssh://-oProxyCommand=x",
        "ssh://u@-oProxyCommand=x",
        "ssh://-u@host",
        "ssh://u:secret@host",
        "ssh://a b",
        "ssh://a;b",
        "ssh://$(a)",
        "ssh://a\nb",
        "ssh://[::1",
        "ssh://[::1;x]",
        "ssh://host:port",
        "ssh://host:0",
        "ssh://host:65536",
        "ssh://host:²",
        "ssh://host?x=1",
        "ssh://host/\x1b[2J",
        "telnet://host",
        "phone",
    ],
)
def test_a_target_that_cannot_be_read_says_how_to_write_one(text):
    with pytest.raises(InputError, match=r"--target .*write (host, )?ssh://user@host"):
        find_target(text)


def test_a_url_of_ssh_is_taken_apart():
    target = over_ssh("ssh://pi@board:2222/opt/my env/bin/python")
    assert target.host == "pi@board"
    assert target.command[-5:] == ("-p", "2222", "--", "pi@board", "'/opt/my env/bin/python'")
    assert over_ssh("ssh://board").command[-2:] == ("board", "python3")
    assert "-p" not in over_ssh("ssh://board").command
    # OpenSSH takes brackets in a URL alone.
    sixth = over_ssh("ssh://pi@[fe80::1%eth0]:22/usr/bin/python3")
    assert (sixth.host, sixth.command[-2:]) == ("pi@fe80::1%eth0", ("pi@fe80::1%eth0", "/usr/bin/python3"))
    assert over_ssh("ssh://10.0.0.7").host == "10.0.0.7"


@pytest.fixture
def sshd(tmp_path, monkeypatch):
    """A server on loopback that lets this user in with a key; and an ssh that uses a configuration of its own."""
    if SSHD is None or shutil.which("ssh") is None:
        assert not os.environ.get("CI"), "CI needs openssh-server and openssh-client"
        pytest.skip("no OpenSSH")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host_key", "other_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    shutil.copy(tmp_path / "user_key.pub", tmp_path / "authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": tmp_path / "host_key", "PidFile": "none",
        "AuthorizedKeysFile": tmp_path / "authorized", "StrictModes": "no", "UsePAM": "no", "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
    }  # fmt: skip
    (tmp_path / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.DEVNULL)
    known = tmp_path / "known_hosts"
    (tmp_path / "ssh_config").write_text(
        f"Host *\n  IdentityFile {tmp_path / 'user_key'}\n  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n"
        f"Host board\n  HostName 127.0.0.1\n  Port {port}\n"
    )
    (tmp_path / "bin").mkdir()
    script(tmp_path / "bin" / "ssh", f'exec {shutil.which("ssh")} -F {tmp_path / "ssh_config"} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    knows(tmp_path, port, "host_key")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield tmp_path, port
    server.kill()
    server.wait()


def knows(folder, port, key):
    kind, public = (folder / f"{key}.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {public}\n")


def test_a_machine_over_ssh_tells_of_itself_and_measures(sshd, files):
    _, port = sshd
    target = find_target(f"ssh://127.0.0.1:{port}{sys.executable}")
    assert target.machine("onnxruntime").cores == os.cpu_count()
    assert len(target.measure(job(files))) >= LEAST_ROUNDS


def test_the_persons_own_configuration_counts(sshd):
    machine, versions = over_ssh(f"ssh://board{sys.executable}").survey()
    assert machine.cores == os.cpu_count()
    assert "onnxruntime" in versions


def test_a_host_key_that_changed_is_told_with_what_to_do(sshd):
    folder, port = sshd
    knows(folder, port, "other_key")
    with pytest.raises(DeviceError, match=r"its host key changed: .* `ssh-keygen -R 127\.0\.0\.1`") as caught:
        over_ssh(f"ssh://127.0.0.1:{port}").machine("torch")
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (
            lambda folder: (folder / "known_hosts").write_text(""),
            r"its host key is not known yet: connect once by hand",
        ),
        (lambda folder: (folder / "authorized").write_text(""), r"it refuses the login: `ssh 127\.0\.0\.1` must work"),
    ],
)
def test_a_connection_that_is_refused_says_why(sshd, prepare, message):
    folder, port = sshd
    prepare(folder)
    with pytest.raises(DeviceError, match=message):
        over_ssh(f"ssh://127.0.0.1:{port}").machine("torch")


def test_a_machine_that_is_not_there_says_so(sshd):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DeviceError, match=r"nothing listens for ssh there"):
        over_ssh(f"ssh://127.0.0.1:{port}").machine("torch")
    with pytest.raises(DeviceError, match=r"there is no such host"):
        over_ssh("ssh://no-such-host.invalid").machine("torch")


def test_a_machine_without_python_or_without_the_runtime_says_what_to_do(sshd, tmp_path):
    _, port = sshd
    with pytest.raises(DeviceError, match=r"there is no '/nowhere/python': name a Python, as in ssh://127\.0\.0\.1/"):
        over_ssh(f"ssh://127.0.0.1:{port}/nowhere/python").machine("torch")
    bare = script(tmp_path / "bare", f'exec {sys.executable} -I -S "$@"')
    with pytest.raises(DeviceError, match=r"its Python has no onnxruntime: pip install onnxruntime there"):
        over_ssh(f"ssh://127.0.0.1:{port}{bare}").machine("onnxruntime")


def test_a_machine_that_disappears_in_the_middle_is_told_and_nothing_is_left_running(sshd, files, tmp_path):
    _, port = sshd
    marked = script(tmp_path / "python", f'echo $$ > {tmp_path / "pid"}; exec {sys.executable} "$@"')
    target = over_ssh(f"ssh://127.0.0.1:{port}{marked}")
    caught = []

    def measure():
        try:
            target.measure(job(files, seconds=300.0, precision=1e-9))
        except DeviceError as error:
            caught.append(error)

    thread = threading.Thread(target=measure)
    thread.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)
    pid = int((tmp_path / "pid").read_text())
    # The sshd process of this connection: the parent of the program, or of its shell.
    session = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    while "sshd" not in Path(f"/proc/{session}/comm").read_text():
        session = int(Path(f"/proc/{session}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(session, 9)
    thread.join(timeout=60)
    assert "the connection was lost during the measurement" in str(caught[0])
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()


def test_nothing_that_a_url_holds_reaches_a_shell(sshd, tmp_path):
    _, port = sshd
    victim = tmp_path / "made"
    with pytest.raises((DeviceError, MeasurementError)):
        over_ssh(f"ssh://127.0.0.1:{port}/bin/true;touch {victim};").machine("torch")
    assert not victim.exists()
    assert shlex.split(over_ssh("ssh://h/a b;c").command[-1]) == ["/a b;c"]
