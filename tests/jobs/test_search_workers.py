"""Several workers on one search: real processes on the digits, on a file and on a real PostgreSQL server."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from postgres import programs, serving

from mvit_nas.errors import InputError
from mvit_nas.jobs import launch as launching
from mvit_nas.jobs.cores import own_core
from mvit_nas.jobs.folders import folders_of
from mvit_nas.jobs.joined import published
from mvit_nas.results.table import read_table
from mvit_nas.settings.workers import LaunchSettings

SPACE = """
base: mobilevit_xxs
set: {image_size: 16}
factors:
  depth: {paths: [stages.*.mobilevit.depth], values: [1, 2], each: true}
  patch_size: {paths: [stages.*.mobilevit.patch_size], values: [1, 2]}
"""
FLAGS = "--space space.yaml --schedule smoke --objectives accuracy,params --name s"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "space.yaml").write_text(SPACE)
    monkeypatch.setenv("MVIT_NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server(tmp_path):
    if programs() is None:
        pytest.skip("PostgreSQL is not installed")
    with serving(tmp_path / "server") as one:
        yield one


def start(*arguments):
    command = [sys.executable, "-m", "mvit_nas", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(process):
    text, _ = process.communicate(timeout=300)
    return process.returncode, text


def trained(folder):
    return [one for one in read_table(folder / "reports/s/results.csv").records if one.is_complete]


def until(asked, process=None, seconds=120.0):
    """What ``asked`` gives as soon as it gives something, as long as ``process`` runs."""
    end = time.monotonic() + seconds
    while not (found := asked()):
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "it never came"
        time.sleep(0.2)
    return found


def running(folder, storage=None):
    """What is claimed now; nothing where the study has not begun."""
    try:
        return published(folders_of("s", folder), storage).trials.running
    except InputError:
        return ()


def is_there(worker):
    """Whether its process runs, on this machine."""
    try:
        return Path(f"/proc/{pid_of(worker)}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pid_of(worker):
    return int(worker.split("-")[-2])


def test_workers_share_a_search_and_one_that_is_killed_is_started_again(folder):
    search = start("search", *FLAGS.split(), "--trials", "9", "--jobs", "2")
    claimed = until(lambda: running(folder), search)
    os.kill(pid_of(claimed[0][0].worker), signal.SIGKILL)
    code, text = finished(search)
    assert code == 0, text
    assert "was killed (SIGKILL) and is started again; its trial is tried again" in text
    records = trained(folder)
    assert len(records) == len({one.candidate.arch_id for one in records}) == 9
    assert not list((folder / "experiments/s/workers").glob("*.lock"))
    origin = json.loads((folder / "reports/s/environment.json").read_text())
    assert (origin["workers"], origin["given_back"]) == (3, 1)
    page = (folder / "reports/s/report.html").read_text()
    assert "3 processes worked on it" in page
    assert "1 trial tried again, since a process ended" in page
    assert running(folder) == ()


def test_ctrl_c_stops_all_workers_and_resume_goes_on(folder):
    search = start("search", *FLAGS.split(), "--trials", "9", "--jobs", "2")
    claimed = until(lambda: running(folder), search)
    search.send_signal(signal.SIGINT)
    code, text = finished(search)
    assert (code, running(folder)) == (130, ()), text
    assert not any(is_there(one.worker) for one, _ in claimed)
    code, text = finished(start("search", *FLAGS.split(), "--trials", "4", "--resume"))
    assert code == 0, text
    assert len(trained(folder)) == 4


def test_workers_of_a_search_that_was_killed_end(folder):
    search = start("search", *FLAGS.split(), "--trials", "9", "--jobs", "2", "--epochs", "200")
    claimed = until(lambda: running(folder), search)
    search.kill()
    search.communicate()
    until(lambda: not any(is_there(one.worker) for one, _ in claimed))


def test_a_worker_joins_through_a_database_and_the_database_may_go_away(folder, server):
    search = start(
        "search", *FLAGS.split(), "--trials", "9", "--storage", server.url, "--grace", "5s", "--shared", "shared"
    )
    until(lambda: running(folder, server.url), search)
    worker = start(
        "worker", "s", "--storage", server.url, "--out", str(folder / "other"), "--grace", "5s", "--shared", "shared"
    )
    server.stop()
    time.sleep(2.0)
    server.start()
    (code, text), (worker_code, worker_text) = finished(search), finished(worker)
    assert (code, worker_code) == (0, 0), text + worker_text
    assert worker_text.splitlines()[-1] == "s has what it was asked for"
    records = trained(folder)
    assert len(records) == len({one.candidate.arch_id for one in records}) == 9
    assert len(list((folder / "shared/evaluations").glob("*.json"))) == 9
    assert not (folder / "cache").exists()
    assert "postgresql" in (folder / "experiments/s/experiment.yaml").read_text()
    code, text = finished(start("status", "s", "--storage", server.url))
    assert (code, text.splitlines()[0]) == (0, "s: 9 of 9 trainings; trials: 9 complete")


def test_a_worker_that_would_give_other_numbers_is_refused(folder):
    assert finished(start("search", *FLAGS.split(), "--trials", "1"))[0] == 0
    change = "import mvit_nas.jobs.joined as j; j.TRAINING_VERSION = 99; from mvit_nas.cli.app import main; main()"
    command = [sys.executable, "-c", change, "worker", "s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mvit-nas: this worker would give other numbers than the search 's': training (")
    file = folder / "experiments/s/experiment.yaml"
    file.write_text(file.read_text().replace("fingerprint: ", "fingerprint: x"))
    code, text = finished(start("worker", "s"))
    assert (code, "the study 's' has other settings: data" in text) == (2, True), text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("worker", "none"), "there is no search 'none' in experiments/none: begin it with mvit-nas search"),
        (("status", "none"), "there is no search 'none' in experiments/none: begin it with mvit-nas search"),
        (("worker", "s", "--storage", "postgresql://me:secret@db/x"), "leave the password out of the address"),
        (("worker", "s", "--storage", "mysql://db/x"), "is no database: use postgresql://USER@HOST/DATABASE"),
        (("worker", "s", "--storage", "postgresql://me@127.0.0.1:1/x"), "cannot be used: connection failed"),
        (
            ("search", "--jobs", "2", "--inherit"),
            "--inherit needs one training after the other: leave --jobs and --jobs-per-gpu out",
        ),
    ],
)
def test_what_cannot_be_worked_on_is_one_line(folder, arguments, words):
    code, text = finished(start(*arguments))
    assert code == 2
    assert words in text.splitlines()[-1]
    assert "secret" not in text.replace("me:secret@db", "") or "password" in text


def test_a_file_that_is_no_study_is_one_line(folder):
    state = folder / "experiments/s"
    state.mkdir(parents=True)
    (state / "study.db").write_bytes(b"no database" * 100)
    code, text = finished(start("search", *FLAGS.split(), "--trials", "1"))
    assert code == 2
    assert "study.db is damaged (file is not a database): bring back a copy, or begin again with another --name" in text


def test_each_worker_has_a_core_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    before = os.sched_getaffinity(0)
    with own_core() as one:
        assert os.sched_getaffinity(0) == {one}
        os.sched_setaffinity(0, before)
        with own_core() as other:
            assert other != one
    assert os.sched_getaffinity(0) == before


def test_settings_that_are_gone_come_back_from_the_study_and_refuse_others(folder):
    assert finished(start("search", *FLAGS.split(), "--trials", "1"))[0] == 0
    file = folder / "experiments/s/experiment.yaml"
    begun = file.read_text()
    file.unlink()
    code, text = finished(start("search", *FLAGS.split(), "--trials", "2", "--seed", "7", "--resume"))
    assert (code, "the study 's' has other settings: seed (0 then, 7 now)" in text) == (2, True), text
    assert file.read_text() == begun


def test_a_scheduler_starts_workers(folder):
    search = start("search", *FLAGS.split(), "--trials", "9")
    until(lambda: running(folder), search)
    code, text = finished(start("launch", "s", "-n", "2", "--on", "local", "--timeout", "10min", "--json"))
    assert code == 0, text
    jobs = json.loads(text)["jobs"]
    assert len(jobs) == 2
    assert finished(search)[0] == 0
    logs = folder / "experiments/s/workers"
    until(lambda: all((logs / f"{job}_0_result.pkl").exists() for job in jobs))
    assert all("s has what it was asked for" in (logs / f"{job}_0_log.out").read_text() for job in jobs)


@pytest.mark.slow
def test_a_ray_cluster_starts_workers_that_outlive_the_command(folder, monkeypatch):
    pytest.importorskip("ray", reason="ray is 240 MB, an extra that CI leaves out")
    ray = Path(sys.executable).parent / "ray"
    for variable, value in (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")):
        monkeypatch.setenv(variable, value)
    head = "start --head --num-cpus 4 --include-dashboard false --disable-usage-stats --port 0"
    assert finished(start("search", *FLAGS.split(), "--trials", "1"))[0] == 0
    code, text = finished(start("launch", "s", "-n", "2", "--on", "ray"))
    assert (code, text.splitlines()[-1][:37]) == (5, "mvit-nas: --on ray: there is no clust"), text
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"):
        with monkeypatch.context() as patch:
            patch.setenv("RAY_ADDRESS", address)
            code, text = finished(start("launch", "s", "-n", "2", "--on", "ray"))
        assert (code, text.splitlines()[-1][:37]) == (5, "mvit-nas: --on ray: there is no clust"), text
    subprocess.run([ray, *head.split()], check=True, capture_output=True, timeout=120)
    try:
        search = start("search", *FLAGS.split(), "--trials", "9", "--resume")
        until(lambda: running(folder), search)
        code, text = finished(start("launch", "s", "-n", "2", "--on", "ray", "--json"))
        assert code == 0, text
        logs = [folder / f"experiments/s/workers/{job}.log" for job in json.loads(text)["jobs"]]
        assert len(logs) == 2
        assert finished(search)[0] == 0
        until(lambda: all("s has what it was asked for" in log.read_text() for log in logs if log.exists()))
        assert all(log.exists() for log in logs)
    finally:
        subprocess.run([ray, "stop", "--force"], check=False, capture_output=True, timeout=120)


def test_workers_of_a_scheduler_are_given_all_that_was_asked(folder, monkeypatch):
    begun: list[list[str]] = []

    def submit(command, settings, logs):
        begun.append(command)
        return ("1",)

    monkeypatch.setattr(launching, "published", lambda folders, storage: None)
    monkeypatch.setattr(launching, "_submit", submit)
    settings = LaunchSettings(
        name="s", number=1, data="photos", shared=Path("all"), grace_seconds=7.0, storage="postgresql://me@db/x"
    )
    launching.launch(settings)
    (command,) = begun
    assert command[3:] == [
        "worker", "s", "--out", str(folder.resolve()), "--grace=7.0s", "--storage=postgresql://me@db/x", "--shared=all",
        "--data=photos",
    ]  # fmt: skip


def test_a_scheduler_that_is_not_here_is_one_line(folder):
    assert finished(start("search", *FLAGS.split(), "--trials", "1"))[0] == 0
    code, text = finished(start("launch", "s", "-n", "2"))
    assert (code, len(text.splitlines())) == (5, 1)
    assert text.startswith("mvit-nas: --on slurm: ")
