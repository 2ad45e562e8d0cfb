"""Latencies of architectures: what is exported and measured, and what is known already."""

import json
from typing import Any, cast

import pytest

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.artifacts.checked import Artefact
from mvit_nas.cost.probe import Burst, Round
from mvit_nas.cost.runtimes.registry import RUNTIMES
from mvit_nas.cost.targets.machine import Machine
from mvit_nas.cost.targets.target import TargetKind
from mvit_nas.errors import DeviceError
from mvit_nas.evaluate import latency as meter_module
from mvit_nas.evaluate.latency import LatencyMeter

ARCH = with_values(PRESETS["mobilevit_xxs"], {"image_size": 64})
OTHER = with_values(ARCH, {"stages.2.mobilevit.depth": 1})


class Device:
    """A target whose reference takes 8 ms at first and 2 ms more each time, and candidates a fixed number of times."""

    def __init__(self, name="host", *, kind=TargetKind.HOST, version="1.0", ratio=3.0, itself=1.0, saturates=False):
        self.name = name
        self.kind = kind
        self.version = version
        self.ratio = ratio
        self.itself = itself
        self.saturates = saturates
        self.jobs = []

    def machine(self, runtime):
        return Machine(
            name="box", system="Linux", processor="chip", cores=4, governor=None, temperature_celsius=None,
            free_memory_gib=None, load=None, saturates_int8=self.saturates, runtime_version=self.version,
        )  # fmt: skip

    def measure(self, job):
        self.jobs.append((job.candidate.read_text(), job.threads))
        of_reference = job.candidate_shape == (1, 3, 128, 128)
        reference = 8_000_000 + 2_000_000 * ((len(self.jobs) - 1) // 2)
        ns = int(reference * (self.itself if of_reference else self.ratio))
        bursts = [Burst(wall_ns=[taken], cpu_ns=[taken]) for taken in (ns, reference)]
        return [Round(candidate=bursts[0], reference=bursts[1])] * 6


@pytest.fixture
def exported(monkeypatch):
    """Stands in for exporting; what was."""
    done = []

    def export(runtime, arch, path, *, classes, weight_bits=None):
        done.append((runtime.name, arch.image_size, classes, weight_bits))
        text = (
            f"{runtime.name} {arch.image_size} {arch.stages[2].mobilevit.depth} {classes} {weight_bits} {arch.dropout}"
        )
        path.write_text(text)
        return Artefact(
            digest=text.replace(" ", "-"), size_bytes=len(text), delegated=0.75, quantised=None, difference=1e-6
        )

    monkeypatch.setattr(meter_module, "export", export)
    return done


def make(device, *, runtime="torch", **options):
    settings = {"threads": 1, "precision": 0.01, "seconds": 2.0} | options
    return LatencyMeter(RUNTIMES[runtime], device, **settings)


def test_a_latency_is_exported_and_measured_once_and_known_ever_after(exported):
    device = Device()
    first = make(device).latency(ARCH, classes=10)
    assert first == make(device).latency(ARCH, classes=10)
    # The reference against itself, then the candidate, each twice.
    assert [text.split()[1:3] for text, _ in device.jobs] == [["128", "2"]] * 2 + [["64", "2"]] * 2
    assert sorted(exported) == [("torch", 64, 10, None), ("torch", 128, 1000, None)]
    assert first.latency.median_ms == pytest.approx(24.0)  # three times the 8 ms at first
    assert first.latency.reference_ms == 10.0
    assert first.artefact.delegated == 0.75


@pytest.mark.parametrize(
    "other",
    [
        lambda: (make(Device(), threads=2), ARCH, 10),
        lambda: (make(Device(), precision=0.02), ARCH, 10),
        lambda: (make(Device(version="1.1")), ARCH, 10),
        lambda: (make(Device("ssh://board")), ARCH, 10),
        lambda: (make(Device(), runtime="onnxruntime", int8=True), ARCH, 10),
        lambda: (make(Device()), OTHER, 10),
        lambda: (make(Device()), ARCH, 11),
    ],
    ids=["threads", "precision", "runtime version", "target", "int8", "network", "classes"],
)
def test_a_latency_is_known_for_its_own_question_only(exported, other):
    make(Device()).latency(ARCH, classes=10)
    one, arch, classes = other()
    one.latency(arch, classes=classes)
    assert one.target.jobs


def test_all_latencies_are_on_the_scale_of_the_first_look_at_the_reference_and_its_spread_is_told(exported):
    device = Device()
    meter = make(device)
    one, other = meter.latency(ARCH, classes=10), make(device).latency(OTHER, classes=10)
    assert one.latency.median_ms == pytest.approx(other.latency.median_ms)
    conditions = meter.conditions()
    assert (conditions.reference_ms, conditions.reference_low_ms, conditions.reference_high_ms) == (8, 8, 12)
    assert conditions.reference_measurements == 3
    assert (conditions.runtime, conditions.runtime_name, conditions.runtime_version) == ("PyTorch 1.0", "torch", "1.0")
    assert conditions.reliability == "1 measurements, 1 at another speed than the reference's own"
    assert make(Device()).conditions().reliability == "0 measurements, none of them under suspicion"
    assert conditions.target == "this host"
    board = make(Device("ssh://board", kind=TargetKind.SSH)).conditions()
    assert (board.target, board.target_kind) == ("ssh://board", TargetKind.SSH)


def test_the_scale_is_the_mean_of_both_bursts_of_the_reference_beside_itself(exported):
    assert make(Device(itself=1.5)).anchors_ms()[0] == pytest.approx(10.0)  # 8 and 12 ms


def test_the_first_look_at_the_reference_is_kept_however_many_follow(exported, monkeypatch):
    monkeypatch.setattr(meter_module, "_ANCHORS", 2)
    device = Device()
    for classes in range(10, 14):
        make(device).latency(ARCH, classes=classes)
    first, *last = make(device).anchors_ms()
    assert (first, len(last), max(last)) == (8.0, 2, 16.0)


def test_networks_that_differ_in_nothing_that_runs_are_one_latency(exported):
    make(Device()).latency(ARCH, classes=10)
    device = Device()
    for values in ({"dropout": 0.3}, {"head_dropout": 0.0}, {"dropout": 0.0, "head_dropout": 0.5}):
        make(device).latency(with_values(ARCH, values), classes=10)
    assert (device.jobs, len(exported)) == ([], 2)


def test_a_latency_of_another_protocol_is_not_taken_and_neither_is_its_scale(exported, monkeypatch):
    make(Device()).latency(ARCH, classes=10)
    monkeypatch.setattr(meter_module, "_PROTOCOL_VERSION", meter_module._PROTOCOL_VERSION + 1)
    device = Device()
    make(device).latency(ARCH, classes=10)
    assert len(device.jobs) == 4  # the reference and the candidate, twice each
    assert len(make(device).anchors_ms()) == 2


@pytest.mark.parametrize(
    ("runtime", "saturates", "bits"), [("onnxruntime", True, 7), ("onnxruntime", False, 8), ("litert", True, 8)]
)
def test_weights_of_int8_have_the_bits_that_the_targets_processor_multiplies_rightly(
    exported, monkeypatch, runtime, saturates, bits
):
    monkeypatch.setattr(meter_module, "require", lambda runtime: None)
    meter = make(Device(saturates=saturates), runtime=runtime, int8=True)
    meter.latency(ARCH, classes=10)
    assert {done[3] for done in exported} == {None, bits}  # the reference stays in float32
    assert meter.conditions().weight_bits == bits
    # Those for another processor are another artefact.
    other = make(Device(saturates=not saturates), runtime=runtime, int8=True)
    other.latency(ARCH, classes=10)
    assert bool(other.target.jobs) == (runtime == "onnxruntime")
    assert make(Device(), runtime=runtime).conditions().weight_bits is None


def test_the_raw_samples_are_kept_beside_the_result(exported, cache):
    make(Device()).latency(ARCH, classes=10)
    documents = [json.loads(path.read_text()) for path in (cache / "evaluations").glob("*.json")]
    (found,) = [document for document in documents if document["key"]["kind"] == "latency"]
    samples = found["value"]["samples"]
    assert [len(process) for process in samples] == [6, 6]
    assert samples[0][0]["candidate"] == {"cpu_ns": [30_000_000], "wall_ns": [30_000_000]}
    assert found["value"]["latency"]["wall_ms"] == 30.0


def test_a_runtime_that_is_not_installed_says_what_to_type(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"ONNX Runtime is not installed: pip install 'mvit-nas\[onnx\]'") as caught:
        LatencyMeter(RUNTIMES["onnxruntime"], cast(Any, Device()), threads=1, precision=0.01, seconds=1.0)
    assert caught.value.exit_code == 5
