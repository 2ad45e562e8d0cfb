"""A search that times its front on further runtimes."""

import json

import pytest

from mvit_nas.arch.config import arch_id
from mvit_nas.arch.count import count
from mvit_nas.artifacts.checked import Artefact
from mvit_nas.cost.latency import Latency
from mvit_nas.errors import DeviceError, InputError, MeasurementError
from mvit_nas.evaluate import latency as meter
from mvit_nas.evaluate import short as evaluate
from mvit_nas.jobs import search as job
from mvit_nas.jobs.named_networks import find_choices
from mvit_nas.maths.pareto import front, near_front
from mvit_nas.results.table import read_table
from mvit_nas.settings import LatencySettings, parse_front_runtimes
from mvit_nas.training.loop import Score


@pytest.fixture
def stand_ins(monkeypatch):
    """Training and measuring by formula: torch is slower and, where it is told to, refuses or is gone."""
    state = {"refuse": set(), "gone": False, "measured": []}

    def fit(model, train, validation, schedule, **options):
        return Score(
            correct=50 + sum(p.numel() for p in model.parameters()) % 100, images=225, losses=(1.0,), seconds=1.0
        )

    def latency(self, arch, *, classes):
        name = arch_id(arch)
        state["measured"].append((self.runtime.name, name))
        if self.runtime.name == "torch" and state["gone"]:
            raise DeviceError("the phone is gone")
        if self.runtime.name == "torch" and name in state["refuse"]:
            raise MeasurementError("PyTorch cannot export this network")
        ms = count(arch).macs / 1e7 * (3 if self.runtime.name == "torch" else 1)
        found = Latency(
            median_ms=ms, low_ms=0.9 * ms, high_ms=1.1 * ms, runs=60, rounds=12, threads=1, clock="cpu", wall_ms=ms,
            p90_ms=ms, reference_ms=4.0, contended=False, drifted=False, agreed=True,
        )  # fmt: skip
        return meter.Measured(
            latency=found, artefact=Artefact(digest=name, size_bytes=1, delegated=None, quantised=None, difference=0.0)
        )

    monkeypatch.setattr(evaluate, "fit_by_rungs", fit)
    monkeypatch.setattr(evaluate.Evaluator, "check_static_cost", lambda self, arch: None)
    monkeypatch.setattr(meter.LatencyMeter, "latency", latency)
    monkeypatch.setattr(
        meter.LatencyMeter,
        "conditions",
        lambda self: {
            "runtime": self.runtime.title, "target": "this host", "machine": "m", "threads": 1,
            "precision": self.precision, "reference": "r", "reference_ms": 4.0, "reference_low_ms": 4.0,
            "reference_high_ms": 5.0, "reference_measurements": 2, "reliability": "",
        },
    )  # fmt: skip
    return state


def search(tmp_path, **changes):
    settings = {
        "data": None, "space": "mobilevit_small", "image_size": 32, "budgets": (), "trials": 6,
        "objectives": ("accuracy", "params", "macs", "latency_ms"), "timeout_seconds": None, "schedule": "smoke",
        "seed": 0, "device": "cpu", "latency": LatencySettings(runtime="onnxruntime"), "measure_front": ("torch",),
        "sampler": "cost-aware", "baseline": 0.0, "early_stopping": True, "inherit": False, "stop_when_settled": False, "finish": (),
        "name": "s", "out": tmp_path, "resume": False,
    } | changes  # fmt: skip
    return job.search(
        job.SearchOptions(**settings),
        say=lambda message: None,
        on_progress=lambda progress: None,
        should_stop=lambda: False,
    )


def test_the_front_and_what_is_near_it_is_timed_on_the_further_runtime(tmp_path, stand_ins):
    outcome = search(tmp_path)
    assert outcome.error is None
    table = read_table(tmp_path / "reports" / "s" / "results.csv")
    timed = table[table["latency_ms.torch"].notna()]
    assert set(timed["arch_id"]) >= {row["arch_id"] for row in outcome.front}
    assert timed["latency_ms.torch"].tolist() == pytest.approx((3 * timed["latency_ms"]).tolist())
    assert timed["latency_low_ms.torch"].tolist() == pytest.approx((2.7 * timed["latency_ms"]).tolist())
    environment = json.loads((tmp_path / "reports" / "s" / "environment.json").read_text())
    assert environment["front_latency"]["torch"]["runtime"] == "PyTorch"
    # Candidates coarsely, the front, of which neighbours shall be told apart, finely.
    assert (environment["latency"]["precision"], environment["front_latency"]["torch"]["precision"]) == (0.02, 0.01)
    assert "The front as PyTorch runs it" in outcome.report.read_text()


def test_a_network_that_the_further_runtime_refuses_is_noted_and_the_others_go_on(tmp_path, stand_ins):
    first = search(tmp_path).front
    refused = first[0]["arch_id"]
    stand_ins["refuse"].add(refused)
    outcome = search(tmp_path, name="t")
    table = read_table(tmp_path / "reports" / "t" / "results.csv").set_index("arch_id")
    assert outcome.error is None
    assert table.loc[refused, "latency_note.torch"] == "PyTorch cannot export this network"
    assert table.loc[refused].isna()["latency_ms.torch"]
    assert table["latency_ms.torch"].notna().any()


def test_a_device_that_is_gone_keeps_the_search_and_the_rest_is_measured_on_resume(tmp_path, stand_ins):
    stand_ins["gone"] = True
    outcome = search(tmp_path)
    assert isinstance(outcome.error, DeviceError)
    assert outcome.front
    stand_ins["gone"] = False
    stand_ins["measured"].clear()
    outcome = search(tmp_path, resume=True)
    assert outcome.error is None
    table = read_table(tmp_path / "reports" / "s" / "results.csv")
    assert table["latency_ms.torch"].notna().any()
    # But for the dearest network, which bounds the hypervolume, nothing is measured again.
    assert [runtime for runtime, _ in stand_ins["measured"]].count("onnxruntime") == 1


def test_the_runtime_of_all_candidates_is_no_further_one(tmp_path, stand_ins):
    with pytest.raises(
        InputError, match="--measure-front onnxruntime: every candidate is timed on onnxruntime already"
    ):
        search(tmp_path, measure_front=("onnxruntime",))


def test_a_further_runtime_may_have_a_target_of_its_own():
    assert parse_front_runtimes(" executorch, litert@adb:1234 ,executorch") == ("executorch", "litert@adb:1234")
    assert parse_front_runtimes("") == ()
    with pytest.raises(InputError, match="--measure-front litert,litert@adb: litert stands there twice"):
        parse_front_runtimes("litert,litert@adb")


def test_a_front_is_a_choice_of_several_networks(tmp_path, stand_ins):
    outcome = search(tmp_path)
    found = find_choices("s:front", tmp_path, where="CHOICE")
    assert [arch_id(choice.arch) for choice in found] == [row["arch_id"] for row in outcome.front]
    assert {choice.classes for choice in found} == {10}


def test_near_the_front_is_what_5_percent_less_cost_would_bring_onto_it():
    import numpy as np

    # accuracy up, cost down
    values = np.array([[0.9, 100.0], [0.8, 50.0], [0.8, 52.0], [0.8, 53.0], [0.7, 51.0], [np.nan, 1.0], [0.9, 106.0]])
    assert front(values, [True, False]).tolist() == [True, True, False, False, False, False, False]
    assert near_front(values, [True, False], 0.05).tolist() == [True, True, True, False, True, False, False]
    assert near_front(values, [True, False], 0.0).tolist() == front(values, [True, False]).tolist()
