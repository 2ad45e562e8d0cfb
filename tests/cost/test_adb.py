"""A phone over adb: what is measured, and the one line that each thing ends with that can go wrong.

The fast tests have a fake client (tests/fake_adb), the slow ones Debian's adb and adbd. Both run a stand-in for
LiteRT's benchmark_model, whose times are known.
"""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from sure import sure

from mvit_nas.cost.probe import LEAST_ROUNDS, Burst, Round, half_width
from mvit_nas.cost.targets import adb
from mvit_nas.cost.targets.adb import AdbTarget, average_us, phones
from mvit_nas.cost.targets.target import Job
from mvit_nas.errors import DeviceError, InputError, MeasurementError

STAND_IN = Path(__file__).parents[1] / "support/stand_in_benchmark_model"
FAKE = Path(__file__).parents[1] / "support/fake_adb"
PIXEL = "1A2B3C device usb:1-1 product:oriole model:Pixel_6 device:oriole transport_id:1\n"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """The folder that decides what adb does; one phone is plugged in."""
    folder, programs = tmp_path / "fake", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    (programs / "adb").symlink_to(FAKE)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # nproc would count by it
    monkeypatch.setenv("FAKE_ADB", str(folder))
    (folder / "devices").write_text(PIXEL)
    return folder


@pytest.fixture
def phone(tmp_path):
    """The phone's folder for files, with a name that a shell would take apart."""
    folder = tmp_path / "local tmp; $(exit)"
    folder.mkdir()
    return folder


@pytest.fixture
def job(tmp_path):
    """A candidate that takes 0.4 of its reference's time."""

    def make(word="", **values):
        candidate, reference = tmp_path / "candidate.tflite", tmp_path / "reference.tflite"
        candidate.write_text(f"{word}\n".ljust(400))
        reference.write_text("".ljust(1000))
        shape = (1, 3, 256, 256)
        common = {"runtime": "litert", "threads": 2, "candidate": candidate, "reference": reference}
        shapes = {"candidate_shape": shape, "reference_shape": shape}
        return Job(**(common | shapes | {"precision": 0.02, "seconds": 0.0} | values))

    return make


@pytest.fixture
def target(tmp_path, phone):
    logs = tmp_path / "logs"
    logs.mkdir()

    def make(serial="", benchmark=STAND_IN):
        return AdbTarget(serial=serial, benchmark=benchmark, folder=str(phone), log_folder=logs)

    return make


def check_rounds(rounds):
    assert len(rounds) == LEAST_ROUNDS
    once = Round(candidate=Burst(wall_ns=[4000_500]), reference=Burst(wall_ns=[10000_500]))
    assert all(one == once for one in rounds)


def test_a_round_is_one_average_of_each_in_nanoseconds_and_the_phone_is_left_as_it_was(fake, target, job, phone):
    check_rounds(target().measure(job()))
    assert list(phone.iterdir()) == []
    # Whatever has to do with one device names it.
    calls = (fake / "calls").read_text().splitlines()
    assert calls[0] == "devices -l"
    assert all(call.startswith("-s 1A2B3C ") for call in calls[1:] if call.startswith("-"))


def test_the_two_take_turns_at_going_first(fake, target, job):
    target().measure(job())
    runs = re.findall(r"/(reference|candidate)\.tflite'\S* --num_threads", (fake / "calls").read_text())
    assert runs == ["reference", "candidate", "candidate", "reference"] * (LEAST_ROUNDS // 2)


def test_the_flags_are_the_jobs_threads_and_bounds(fake, target, job):
    target().measure(job(threads=3))
    assert "--num_threads=3 --num_runs=10 --min_secs=0.5 --max_secs=30 --warmup_runs=3" in (fake / "calls").read_text()


def test_the_other_benchmark_model_prints_to_standard_error_in_milliseconds(fake, target, job):
    check_rounds(target().measure(job("compiled")))


def test_rounds_go_on_until_the_interval_is_narrow(fake, target, job, monkeypatch):
    times = iter([*[100, 104, 100, 96, 102, 96, 104, 100] * 2, *[100] * 200])
    monkeypatch.setattr(AdbTarget, "_run", lambda *_: next(times))
    rounds = target().measure(job(precision=0.02, seconds=1e9))
    ratios = [one.candidate.median_ns / one.reference.median_ns for one in rounds]
    assert LEAST_ROUNDS < len(rounds) < 30
    assert half_width(rounds) <= 0.02
    assert half_width(rounds[:-1]) > 0.02
    assert max(ratios) > 1.03


def test_rounds_end_when_the_time_is_over(fake, target, job, monkeypatch):
    times = iter([100, 200, 300, 400, 500, 700] * 100)
    monkeypatch.setattr(AdbTarget, "_run", lambda *_: next(times))
    assert len(target().measure(job(precision=1e-9, seconds=0.0))) == LEAST_ROUNDS
    began = time.monotonic()
    assert len(target().measure(job(precision=1e-9, seconds=0.05))) > LEAST_ROUNDS
    assert 0.05 <= time.monotonic() - began < 5


def test_a_phone_says_what_it_is(fake, target, tmp_path, monkeypatch):
    properties = tmp_path / "bin" / "getprop"
    properties.write_text(
        "#!/bin/sh\ncase $1 in *manufacturer) echo Google;; *product.model) echo Pixel 6;; *fingerprint) echo "
        "google/oriole/oriole:13/TQ3A:user/release-keys;; esac\n"
    )
    properties.chmod(0o755)
    machine = target().machine("litert")
    assert machine.name == "Google Pixel 6"
    assert machine.system == "google/oriole/oriole:13/TQ3A:user/release-keys"
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.load is not None
    assert machine.free_memory_gib > 0.1
    assert re.fullmatch(r"benchmark_model [0-9a-f]{12}", machine.runtime_version)


def test_without_getprop_a_phone_is_known_by_its_serial(fake, target):
    machine = target().machine("litert")
    assert machine.name == "1A2B3C"
    assert machine.system == f"Linux {os.uname().release} {os.uname().machine}"


def test_another_benchmark_binary_is_another_runtime(fake, target, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(STAND_IN.read_bytes() + b"\n")
    versions = [target(benchmark=path).machine("litert").runtime_version for path in (STAND_IN, other)]
    assert versions[0] != versions[1]


@pytest.mark.parametrize(("serial", "name"), [("", "adb"), ("1A2B3C", "adb:1A2B3C")])
def test_a_target_is_named_as_it_is_typed(target, serial, name):
    assert target(serial).name == name


def test_only_litert_runs_there(target, job):
    message = "only litert runs on a phone over adb, not onnxruntime"
    with pytest.raises(InputError, match=message):
        target().machine("onnxruntime")
    with pytest.raises(InputError, match=message):
        target().measure(job(runtime="onnxruntime"))


def test_a_missing_benchmark_binary_says_what_to_give(target, job):
    with pytest.raises(InputError, match=r"--adb-benchmark is missing: give .* docs/latency.md says where"):
        target(benchmark=None).measure(job())
    with pytest.raises(InputError, match=r"--adb-benchmark /nowhere is no file"):
        target(benchmark=Path("/nowhere")).machine("litert")


def test_no_adb_names_the_package(target, job, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="install the package adb"):
        target().measure(job())
    found, hint = phones()
    assert found == []
    assert "install the package adb" in hint


TWO = "1A2B3C device usb:1-1\nemulator-5554 offline transport_id:2\n"
STATES = {
    "": "adb sees no phone: plug one in and switch on USB debugging",
    "1A2B3C unauthorized usb:1-1\n": "1A2B3C is unauthorized: allow USB debugging on its screen",
    "1A2B3C offline\n": "1A2B3C is offline: plug it in again",
    "1A2B3C authorizing\n": "1A2B3C is authorizing: wait",
    "1A2B3C recovery\n": "1A2B3C is recovery: connect it, with Android running",
    "1A2B3C no permissions (missing udev rules? user is in the plugdev group); see [http://x] usb:1-1\n": (
        "1A2B3C is no permissions: let this user open it, by udev rules"
    ),
    TWO: r"several phones, name one as adb:SERIAL; connected: 1A2B3C \(device\), emulator-5554 \(offline\)",
}


@pytest.mark.parametrize(("listed", "message"), STATES.items(), ids=["none", *list(STATES)[1:6], "two"])
def test_a_phone_that_cannot_be_used_says_why(fake, target, listed, message):
    (fake / "devices").write_text(listed)
    with pytest.raises(DeviceError, match=message):
        target().machine("litert")


def test_a_serial_chooses_among_several(fake, target):
    (fake / "devices").write_text(TWO)
    assert target("1A2B3C").machine("litert").name == "1A2B3C"
    with pytest.raises(DeviceError, match="emulator-5554 is offline"):
        target("emulator-5554").machine("litert")
    with pytest.raises(DeviceError, match=r"no device 9Z9Z; connected: 1A2B3C \(device\), emulator-5554 \(offline\)"):
        target("9Z9Z").machine("litert")


def test_a_phone_found_over_wifi_has_spaces_in_its_serial(fake, target):
    (fake / "devices").write_text("adb-1A2B3C-xYz (2)._adb-tls-connect._tcp device product:oriole\n")
    assert target().machine("litert").name == "adb-1A2B3C-xYz (2)._adb-tls-connect._tcp"


def test_all_phones_are_listed_with_what_to_do(fake):
    (fake / "devices").write_text("1A2B3C device usb:1-1\nFFFF unauthorized usb:1-2\n")
    (usable, unauthorised), hint = phones()
    assert (usable.serial, usable.advice) == ("1A2B3C", "")
    assert sure(usable.machine).name == "1A2B3C"
    assert sure(usable.machine).runtime_version == ""
    assert (unauthorised.serial, unauthorised.machine) == ("FFFF", None)
    assert "allow USB debugging on its screen" in unauthorised.advice
    assert hint == ""


def test_a_phone_that_goes_away_while_it_is_asked_is_listed_all_the_same(fake):
    (fake / "gone_after").write_text("0")
    [phone], _ = phones()
    assert phone.machine is None
    assert "1A2B3C went away" in phone.advice


def test_a_server_that_does_not_start_is_said(fake, target):
    (fake / "server_dead").touch()
    with pytest.raises(DeviceError, match="adb devices failed: adb: cannot connect to daemon"):
        target().machine("litert")


def test_an_adb_that_gives_no_answer_is_not_waited_for(fake, target, monkeypatch):
    (fake / "silent").touch()
    monkeypatch.setattr(adb._adb, "__kwdefaults__", {"seconds": 0.3})
    with pytest.raises(DeviceError, match="`adb devices -l` gave no answer within 0 s"):
        target().machine("litert")


@pytest.mark.parametrize("commands", range(6))
def test_a_phone_that_goes_away_in_the_middle_is_said_wherever_it_was(fake, target, job, commands):
    (fake / "gone_after").write_text(str(commands))
    with pytest.raises(DeviceError, match="the phone 1A2B3C went away: its answer ended half-way"):
        target().measure(job())


def test_a_full_phone_is_said_and_left_as_it_was(fake, target, job, phone):
    error = "adb: error: failed to copy 'a' to '/data/local/tmp/b': remote write failed: No space left on device"
    (fake / "push_error").write_text(f"{error}\n")
    with pytest.raises(DeviceError, match=r"1A2B3C: the phone's storage is full: .*No space left on device"):
        target().measure(job())
    assert list(phone.iterdir()) == []


def test_a_push_that_fails_otherwise_says_its_own_words(fake, target, job):
    (fake / "push_error").write_text("adb: error: remote secure_mkdirs failed: Read-only file system\n")
    with pytest.raises(DeviceError, match="1A2B3C: adb: error: remote secure_mkdirs failed: Read-only file system"):
        target().measure(job())


def test_a_folder_that_is_not_there_is_said(fake, target, job, phone):
    phone.rmdir()
    with pytest.raises(DeviceError, match=r"1A2B3C: mkdir: .*No such file or directory"):
        target().measure(job())


def wrong_binary(folder):
    """A 64-bit ELF header for the machine 0xffff."""
    binary = folder / "wrong"
    binary.write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0\xff\xff\x01\0\0\0" + b"\0" * 100)
    return binary


def test_a_binary_for_another_processor_is_the_devices_error(fake, target, job, tmp_path, phone):
    message = r"cannot run .*/wrong: .*Exec format error; give --adb-benchmark a build for its processor"
    with pytest.raises(DeviceError, match=message):
        target(benchmark=wrong_binary(tmp_path)).measure(job())
    assert list(phone.iterdir()) == []


def test_androids_own_shell_does_the_same(fake, target, job, phone, tmp_path):
    mksh = shutil.which("mksh")
    if mksh is None:
        pytest.skip("no mksh")
    (tmp_path / "bin" / "sh").symlink_to(mksh)
    check_rounds(target().measure(job()))
    assert target().machine("litert").cores == len(os.sched_getaffinity(0))
    with pytest.raises(DeviceError, match=r"cannot run .*/wrong: .*not executable: 64-bit ELF file; give"):
        target(benchmark=wrong_binary(tmp_path)).measure(job())
    with pytest.raises(MeasurementError, match=r"ended with exit code 1: .*Benchmarking failed"):
        target().measure(job("refuse"))
    assert list(phone.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (126, "./benchmark_model: not executable: 64-bit ELF file"),
        (127, "./benchmark_model: No such file or directory"),
    ],
)
def test_androids_words_for_a_wrong_binary_are_kept(fake, target, job, tmp_path, code, words):
    binary = tmp_path / "wrong"
    binary.write_text(f"#!/bin/sh\necho '/system/bin/sh: {words}' >&2\nexit {code}\n")
    with pytest.raises(DeviceError, match=f"cannot run .*{words}"):
        target(benchmark=binary).measure(job())


def test_a_model_that_the_runtime_refuses_is_this_measurements_error(fake, target, job, phone):
    words = "Encountered unresolved custom op: Peculiar."
    with pytest.raises(MeasurementError, match=f"candidate.tflite: benchmark_model ended with exit code 1: .*{words}"):
        target().measure(job("refuse"))
    assert list(phone.iterdir()) == []


def test_a_run_that_crashes_after_its_result_counts_for_nothing(fake, target, job):
    with pytest.raises(MeasurementError, match="benchmark_model ended with exit code 139"):
        target().measure(job("crash"))


def test_a_process_that_has_the_number_of_one_that_ended_is_left_alone(fake, target, job, tmp_path):
    with subprocess.Popen(["sleep", "60"]) as bystander:
        binary = tmp_path / "binary"
        binary.write_text(f"#!/bin/sh\necho {bystander.pid} >pid\nexit 1\n")
        with pytest.raises(MeasurementError, match="exit code 1"):
            target(benchmark=binary).measure(job())
        assert bystander.poll() is None
        bystander.kill()


def test_what_does_not_parse_is_shown_and_kept(fake, target, job, tmp_path):
    with pytest.raises(MeasurementError, match=r"no average inference time: .*another program") as caught:
        target().measure(job("babble"))
    (saved,) = (tmp_path / "logs").iterdir()
    assert str(caught.value).endswith(f"{saved.name})")
    assert saved.read_text().startswith("INFO: STARTING!\nINFO: this is another program's output\n")


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def hanging(phone):
    """The process numbers of benchmarks that were given up, or run."""
    return [path.read_text().strip() for path in phone.glob("mvit-nas-*/pid")]


def alive(pid):
    # A process that nobody waited for is a zombie.
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
def test_a_benchmark_that_does_not_end_is_stopped(fake, target, job, phone, monkeypatch, gone):
    monkeypatch.setattr(adb, "_RUN_SECONDS", 1.0)
    started = []

    def watch():
        wait_for(lambda: hanging(phone) and hanging(phone)[0])
        started.extend(hanging(phone))
        if gone:
            (fake / "devices").write_text("")

    watcher = threading.Thread(target=watch)
    slow = job()
    slow.reference.write_text("hang\n")
    watcher.start()
    if gone:
        with pytest.raises(DeviceError, match="the phone 1A2B3C is gone"):
            target().measure(slow)
    else:
        with pytest.raises(MeasurementError, match=r"reference.tflite: benchmark_model did not end within 1 s"):
            target().measure(slow)
    watcher.join()
    assert list(phone.iterdir()) == []
    wait_for(lambda: not alive(started[0]))


# Python does not wait for the client that it stopped, which is right where a hand waits at the keyboard.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_ctrl_c_stops_the_phone_too(fake, target, job, phone):
    started = []

    def interrupt():
        wait_for(lambda: hanging(phone) and hanging(phone)[0])
        started.extend(hanging(phone))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    slow = job()
    slow.reference.write_text("hang\n")
    # A shell starts what runs in the background with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            target().measure(slow)
    finally:
        signal.signal(signal.SIGINT, before)
    thread.join()
    assert list(phone.iterdir()) == []
    wait_for(lambda: not alive(started[0]))


OUTPUTS = {
    # The documentation's own line.
    "tflite  : Inference timings in us: Init: 5685, First inference: 18535, Warmup (avg): 14462.3, "
    "Inference (avg): 14575.2": 14575.2,
    # Streams print six digits, so beyond a second there is an exponent.
    "INFO: Inference timings in us: Init: 1, First inference: 2, Warmup (avg): 3, Inference (avg): 1.23457e+06": 1234570,
    "INFO: [benchmark_litert_model.h:98] Warmup (avg):         7441.04 ms (1 runs)\n"
    "INFO: [benchmark_litert_model.h:100] Inference (avg):      7430.20 ms (10 runs)": 7430200,
    "INFO: count=1 first=9 curr=9 min=9 max=9 avg=9999 std=0\n"
    "INFO: count=50 first=32891 curr=33978 min=32641 max=34005 avg=33209.4 std=450 p5=1 median=33000 p95=34000\n"
    "INFO: [benchmark_litert_model.h:100] Inference (avg):      33.21 ms (50 runs)": 33209.4,
    "INFO: count=5 curr=2000 (all same)\nInference (avg):      2.00 ms (5 runs)": 2000,
    # A warm-up alone is no measurement.
    "INFO: count=50 first=32891 curr=33978 min=32641 max=34005 avg=33209.4 std=450\n": None,
    "INFO: Inference timings in us: Init: 1, First inference: 2, Warmup (avg): 3, Inference (avg): nan": None,
    "": None,
}


@pytest.mark.parametrize(("output", "microseconds"), OUTPUTS.items(), ids=range(len(OUTPUTS)))
def test_the_average_is_read_from_both_programs(output, microseconds):
    assert average_us(output) == microseconds


# Debian's adb and adbd.


@pytest.fixture
def real(tmp_path, phone, monkeypatch):
    """A device of Debian's adbd in a network of its own, since adbd lets everyone in; as (serial, its process)."""
    for program in ("adb", "adbd", "unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}")
    unshare = ["unshare", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"no right to {' '.join(unshare)}")
    # The phone's storage is small; like all that runs on the phone, it ends with the namespace.
    script = 'ip link set lo up && mount -t tmpfs -o size=1m none "$1" && touch "$2" && cd / && exec adbd'
    ready, programs = tmp_path / "ready", tmp_path / "real"
    with (tmp_path / "adbd.log").open("w") as log:
        daemon = subprocess.Popen([*unshare, "sh", "-c", script, "sh", phone, ready], stdout=log, stderr=log)
    try:
        # Before that, adb would start its server outside, where it stays.
        wait_for(ready.exists)
        # nsenter needs a process in the namespace even after adbd has ended.
        keeper = subprocess.Popen(["nsenter", "-t", str(daemon.pid), "--net", "sleep", "300"])
        programs.mkdir()
        client = programs / "adb"
        client.write_text(f'#!/bin/sh\nexec nsenter -t {keeper.pid} --net {shutil.which("adb")} "$@"\n')
        client.chmod(0o755)
        monkeypatch.setenv("PATH", str(programs), prepend=":")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "5099")
        serial = "127.0.0.1:5555"
        # The keeper is in the namespace when nsenter has become sleep.
        wait_for(lambda: Path(f"/proc/{keeper.pid}/comm").read_text() == "sleep\n")
        wait_for(lambda: connect(serial))
        yield serial, daemon
        subprocess.run(["adb", "kill-server"], capture_output=True, check=False)
        keeper.kill()
        keeper.wait()
    finally:
        daemon.kill()
        daemon.wait()


def connect(serial):
    subprocess.run(["adb", "connect", serial], capture_output=True, check=False)
    done = subprocess.run(["adb", "-s", serial, "shell", "echo there"], capture_output=True, text=True, check=False)
    return done.stdout == "there\n"


def files_of(serial, folder):
    done = subprocess.run(
        ["adb", "-s", serial, "shell", f"ls -A '{folder}'"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.slow
def test_a_real_adbd_measures_and_is_left_as_it_was(real, target, job, phone):
    serial, _ = real
    check_rounds(target(serial).measure(job()))
    assert files_of(serial, phone) == []
    machine = target(serial).machine("litert")
    assert machine.name == serial  # there is no getprop
    assert machine.system.startswith("Linux ")
    assert machine.free_memory_gib > 0.1
    # The same adbd is seen twice, as an emulator too.
    found, _ = phones()
    assert serial in {one.serial for one in found if one.machine}
    with pytest.raises(DeviceError, match="several phones"):
        target().measure(job())


@pytest.mark.slow
def test_a_real_adbd_refuses_and_fills_up_as_a_phone_does(real, target, job, phone, tmp_path):
    serial, _ = real
    with pytest.raises(MeasurementError, match="Failed to initialize"):
        target(serial).measure(job("refuse"))
    with pytest.raises(DeviceError, match=r"cannot run .*Exec format error"):
        target(serial, wrong_binary(tmp_path)).measure(job())
    big = job()
    big.candidate.write_bytes(b"0" * 2_000_000)
    with pytest.raises(DeviceError, match=r"storage is full: .*No space left on device"):
        target(serial).measure(big)
    assert files_of(serial, phone) == []


@pytest.mark.slow
def test_a_real_adbd_stops_what_does_not_end(real, target, job, phone, monkeypatch):
    serial, _ = real
    monkeypatch.setattr(adb, "_RUN_SECONDS", 2.0)
    slow = job()
    slow.reference.write_text("hang\n")
    with pytest.raises(MeasurementError, match="did not end within 2 s"):
        target(serial).measure(slow)
    assert files_of(serial, phone) == []
    running = subprocess.run(["adb", "-s", serial, "shell", "ps ax"], capture_output=True, text=True, check=True).stdout
    assert "sleep 60" not in running


@pytest.mark.slow
def test_a_real_adbd_that_ends_in_the_middle_is_gone(real, target, job):
    serial, daemon = real
    slow = job()
    slow.reference.write_text("hang\n")
    timer = threading.Timer(3, daemon.kill)
    timer.start()
    with pytest.raises(DeviceError, match=f"the phone {serial} went away"):
        target(serial).measure(slow)
