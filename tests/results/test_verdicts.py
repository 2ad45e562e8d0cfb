"""Which of two networks is faster, and when nobody can say."""

from mvit_nas.artifacts.checked import Artefact
from mvit_nas.cost.latency import Latency
from mvit_nas.evaluate.latency import Measured
from mvit_nas.jobs.latency import Measurement, _verdicts


def measurement(model, ms, half, *, runtime="onnxruntime", int8=False):
    latency = Latency(
        median_ms=ms, low_ms=ms - half, high_ms=ms + half, runs=60, rounds=12, threads=1, clock="cpu", wall_ms=ms, p90_ms=ms,
        reference_ms=4.0, contended=False, drifted=False, agreed=True,
    )  # fmt: skip
    artefact = Artefact(digest=model, size_bytes=1, delegated=None, quantised=None, difference=0.0)
    return Measurement(
        model=model, runtime=runtime, int8=int8, target="host", machine=None, conditions=None, accuracy=None, stages=None, error=None,
        measured=Measured(latency=latency, artefact=artefact),
    )  # fmt: skip


def verdicts(*measurements):
    return list(_verdicts(list(measurements)))


def test_faster_is_said_only_where_the_interval_says_so():
    found = verdicts(measurement("a", 10.0, 0.1), measurement("b", 10.1, 0.1), measurement("c", 9.0, 0.1))
    assert [verdict.words for verdict in found] == [
        "c is faster than a",
        "c is faster than b",
        "a and b cannot be told apart",
    ]
    assert [verdict.neighbours for verdict in found] == [True, False, True]
    assert found[0].low < found[0].ratio == 0.9 < found[0].high < 1


def test_runtimes_are_not_compared_with_each_other_and_int8_only_with_its_own_float():
    found = verdicts(
        measurement("a", 10.0, 0.1),
        measurement("a", 6.0, 0.1, int8=True),
        measurement("b", 20.0, 0.1),
        measurement("b", 11.0, 0.1, int8=True),
        measurement("a", 1.0, 0.1, runtime="litert"),
    )
    assert {verdict.runtime for verdict in found} == {"onnxruntime"}
    assert {(verdict.one, verdict.other) for verdict in found} == {
        ("a int8", "a"),
        ("b int8", "b"),
        ("a", "b"),
        ("a int8", "b int8"),
    }
