"""Measures an artefact beside a reference, wherever it is sent. Imports nothing of this package.

Standard input carries one line of JSON, a ``Request``, then the bytes of the artefacts that its ``sizes`` names, in
that order; standard output gets a line that says ready and a line of JSON, an ``Answer``. Nothing is kept on disk. When
standard input closes whoever asked is gone, and the program ends. It needs Python 3.10 and the runtime's own package.
"""

import collections
import contextlib
import copy
import functools
import glob
import importlib.metadata
import io
import json
import math
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import torch

LEAST_ROUNDS = 8
# A burst of runs takes so long, but has these runs at least, after as many that are not measured.
_BURST_SECONDS, _LEAST_RUNS = 0.02, 3
# Rounds that are not kept, while the processor's clock rises.
_WARM_UP_SECONDS = 0.3
# A round counts that is at most so much slower than the faster quarter; and in any case so many of the fastest.
_CALM, _LEAST_CALM = 1.1, 4
# Loaded networks that are kept while others are loaded, so that a new one does not get an old one's memory.
_KEPT = 6
_STAGE_RUNS = 20

Call = Callable[[], object]
Clock = Callable[[], int]
# [N, 3, H, W] -> [N, classes], both numpy arrays of float32.
Network = Callable[["numpy.ndarray"], object]
# Gives a network of the artefact that shares no memory with those it gave before.
Fresh = Callable[[], Network]


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Nanoseconds of neighbouring runs of one network, by the wall and, unless empty, by the process's CPU time."""

    wall_ns: Sequence[int]
    cpu_ns: Sequence[int] = ()

    @property
    def median_ns(self) -> float:
        """The median run, by CPU time where it was read."""
        return statistics.median(self.cpu_ns or self.wall_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A burst of each, one right after the other, both loaded afresh."""

    candidate: Burst
    reference: Burst


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked. ``sizes`` are bytes of the artefacts, ``shapes`` those of their images, by the same names.

    With a "candidate" and a "reference" the answer has rounds, without a reference operators, without either it tells
    of the machine alone: the texts of the ``files``, which are patterns of paths.
    """

    runtime: str = ""
    threads: int = 1
    files: Sequence[str] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    precision: float = 1.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a machine says of itself: the texts of ``files`` by path, and what Python knows."""

    files: Mapping[str, str]
    name: str
    system: str
    processor: str
    cores: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found. ``versions`` are those of the installed runtimes, ``operators_ns`` as in ``STAGES``.

    Where ``reason`` says why there is no answer, ``is_missing`` tells whether for want of the runtime's package.
    """

    facts: Facts | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    rounds: Sequence[Round] = ()
    operators_ns: Mapping[str, Sequence[int]] = field(default_factory=dict)
    reason: str = ""
    is_missing: bool = False


def measure(
    candidate: Callable[[], Call],
    reference: Callable[[], Call],
    *,
    precision: float,
    seconds: float,
    by_cpu: bool,
    cpu: Clock = time.process_time_ns,
    wall: Clock = time.perf_counter_ns,
) -> list[Round]:
    """Rounds of a burst of each, in nanoseconds of wall time and, ``by_cpu``, of the process's CPU time.

    Bursts, not single runs in turns: those empty each other's caches, which made a small network 18 % slower and its
    ratio vary by 5 % from one process to the next, not by 0.7 %. Each round loads both afresh: where its memory happens
    to lie moves a network's time by a percent or two, as much as what shall be told apart. At least 8 rounds, then
    until ``half_width`` is within ``precision``, or ``seconds`` have passed.
    """
    kept: collections.deque[Mapping[str, Call]] = collections.deque(maxlen=_KEPT)

    def one_round(number: int) -> Round:
        calls = {"candidate": candidate(), "reference": reference()}
        kept.append(calls)
        # They take turns at going first, so that what changes within a round favours neither.
        order = sorted(calls, reverse=number % 2 == 1)
        return Round(**{name: _burst(calls[name], cpu if by_cpu else None, wall) for name in order})

    warm = wall() + _WARM_UP_SECONDS * 1e9
    one_round(0)
    while wall() < warm:
        one_round(0)
    rounds: list[Round] = []
    end = wall() + seconds * 1e9
    while len(rounds) < LEAST_ROUNDS or not (half_width(rounds) <= precision or wall() >= end):
        rounds.append(one_round(len(rounds)))
    return rounds


def _burst(call: Call, cpu: Clock | None, wall: Clock) -> Burst:
    for _ in range(_LEAST_RUNS):
        call()
    walls: list[int] = []
    cpus: list[int] = []
    end = wall() + _BURST_SECONDS * 1e9
    while len(walls) < _LEAST_RUNS or wall() < end:
        wall_start, start = wall(), cpu() if cpu else 0
        call()
        if cpu:
            cpus.append(cpu() - start)
        walls.append(wall() - wall_start)
    return Burst(wall_ns=walls, cpu_ns=cpus)


def calm_rounds(rounds: Sequence[Round]) -> list[Round]:
    """Those of ``rounds`` in which the machine was as fast as in their faster quarter, within 10 %, in their order.

    Whoever else uses the core and its caches slows one network more than the other, in CPU time too. Fast is a round by
    the sum of both medians, the candidate's as a share of its usual one, so that neither is favoured.
    """
    usual = statistics.median(one.candidate.median_ns / one.reference.median_ns for one in rounds)
    times = [one.candidate.median_ns / usual + one.reference.median_ns for one in rounds]
    ordered = sorted(times)
    limit = max(ordered[min(_LEAST_CALM, len(ordered)) - 1], _CALM * ordered[(len(ordered) - 1) // 4])
    return [one for one, taken in zip(rounds, times, strict=True) if taken <= limit]


def calm_ratios(rounds: Sequence[Round]) -> list[float]:
    """Candidate to reference, of their medians in each of the ``calm_rounds``."""
    return [one.candidate.median_ns / one.reference.median_ns for one in calm_rounds(rounds)]


def half_width(rounds: Sequence[Round]) -> float:
    """Half of the 95 % interval of the mean of their ``calm_ratios``, as a share of it.

    Student's quantile by its expansion around the normal one (Abramowitz and Stegun, 26.7.5), within 4 % from 4 ratios
    on: scipy is not everywhere.
    """
    ratios = calm_ratios(rounds)
    z, freedom = 1.96, len(ratios) - 1
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return t * statistics.stdev(ratios) / math.sqrt(len(ratios)) / statistics.mean(ratios)


def pin(threads: int) -> None:
    """Keep this process on the ``threads`` fastest of its cores, always the same, where that can be done.

    Not on the idlest: equal cores of one machine gave ratios 3 % apart, and each by itself the same within 1 %.
    """
    if hasattr(os, "sched_setaffinity"):
        ordered = sorted(os.sched_getaffinity(0), key=lambda core: (-_top_speed(core), core))
        os.sched_setaffinity(0, sorted(ordered[:threads]))


def _top_speed(core: int) -> float:
    return float(_text(f"/sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq") or 0)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - the fewest imports
            return file.read()
    except OSError:
        return ""


def _facts(patterns: Sequence[str]) -> Facts:
    return Facts(
        files={path: _text(path) for pattern in patterns for path in glob.glob(pattern)},  # noqa: PTH207
        name=platform.node(),
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        processor=platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
    )


def _load_torch(artefact: bytes, threads: int) -> Fresh:
    import torch

    torch.set_num_threads(threads)
    module = _program(artefact)

    def fresh() -> Network:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own: what it copies holds a class that it deprecates
            copied = copy.deepcopy(module)

        def network(images: "numpy.ndarray") -> object:
            with torch.inference_mode():
                return copied(torch.from_numpy(images)).numpy()

        return network

    return fresh


def _program(artefact: bytes) -> "torch.nn.Module":
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        return torch.export.load(io.BytesIO(artefact)).module()


def _load_onnxruntime(artefact: bytes, threads: int) -> Fresh:
    # To optimise the graph takes three quarters of loading. It is done once, and its result is what is loaded afresh.
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "prepared.onnx")  # noqa: PTH118
        _session(artefact, threads, optimized_model_filepath=path)
        with open(path, "rb") as file:  # noqa: PTH123
            prepared = file.read()

    def fresh() -> Network:
        session = _session(prepared, threads, is_prepared=True)
        name = session.get_inputs()[0].name
        return lambda images: session.run(None, {name: images})[0]

    return fresh


def _session(artefact: bytes, threads: int, *, is_prepared: bool = False, **paths: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # not that a prepared graph is for this machine only
    # Threads that spin while they wait take the core from whatever else is measured.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if is_prepared:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = "profile_file_prefix" in paths
    for name, path in paths.items():
        setattr(options, name, path)
    return onnxruntime.InferenceSession(artefact, options, providers=["CPUExecutionProvider"])


def _load_litert(artefact: bytes, threads: int) -> Fresh:
    from ai_edge_litert.interpreter import Interpreter

    def fresh() -> Network:
        # The interpreter reads weights where they lie, so each gets its own.
        interpreter = Interpreter(model_content=bytes(bytearray(artefact)), num_threads=threads)
        interpreter.allocate_tensors()
        (images_index,) = (detail["index"] for detail in interpreter.get_input_details())
        (logits_index,) = (detail["index"] for detail in interpreter.get_output_details())

        def network(images: "numpy.ndarray") -> object:
            interpreter.set_tensor(images_index, images)
            interpreter.invoke()
            return interpreter.get_tensor(logits_index)

        return network

    return fresh


def _load_executorch(artefact: bytes, threads: int) -> Fresh:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "This API is experimental and subject to change"
        from executorch.extension.pybindings import portable_lib

    portable_lib._unsafe_reset_threadpool(threads)

    def fresh() -> Network:
        # The program reads constants where they lie, so each gets its own.
        own = bytes(bytearray(artefact))
        module = portable_lib._load_for_executorch_from_buffer(own)

        def network(images: "numpy.ndarray", keep: bytes = own) -> object:
            return module.forward((torch.from_numpy(images),))[0].numpy()

        return network

    return fresh


# By the runtime's name: the package whose version counts, and what makes networks of an artefact's bytes.
LOADERS: dict[str, tuple[str, Callable[[bytes, int], Fresh]]] = {
    "torch": ("torch", _load_torch),
    "onnxruntime": ("onnxruntime", _load_onnxruntime),
    "litert": ("ai-edge-litert", _load_litert),
    "executorch": ("executorch", _load_executorch),
}


def _stages_torch(artefact: bytes, threads: int, images: "numpy.ndarray") -> dict[str, list[int]]:
    import torch

    torch.set_num_threads(threads)
    module = _program(artefact)
    found: dict[str, list[int]] = {}

    class Timed(torch.fx.Interpreter):
        def run_node(self, n: "torch.fx.Node") -> object:
            start = time.perf_counter_ns()
            result = super().run_node(n)
            # (path, class) of the modules that the node came from, the innermost last.
            within = list(n.meta.get("nn_module_stack", {}).values())
            name = f"{within[-1][0] if within else ''}#{n.name}"
            found.setdefault(name, []).append(time.perf_counter_ns() - start)
            return result

    with torch.inference_mode():
        for _ in range(_STAGE_RUNS):
            Timed(module).run(torch.from_numpy(images))
    return found


def _stages_onnxruntime(artefact: bytes, threads: int, images: "numpy.ndarray") -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        session = _session(artefact, threads, profile_file_prefix=os.path.join(folder, "profile"))  # noqa: PTH118
        for _ in range(_STAGE_RUNS):
            session.run(None, {session.get_inputs()[0].name: images})
        events = json.loads(_text(session.end_profiling()))
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            found.setdefault(event["name"], []).append(event["dur"] * 1000)
    return found


# By the runtime's name: nanoseconds of each operator in each run, by a name that holds the path of its module.
STAGES: dict[str, Callable[[bytes, int, "numpy.ndarray"], dict[str, list[int]]]] = {
    "torch": _stages_torch,
    "onnxruntime": _stages_onnxruntime,
}


def main() -> None:
    """Answer the one request on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints is not mixed with the answer
    request = Request(**json.loads(sys.stdin.buffer.readline()))
    blobs = {name: sys.stdin.buffer.read(size) for name, size in request.sizes.items()}
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    print("ready", file=answers, flush=True)
    try:
        answer = _answer(request, blobs)
    except ModuleNotFoundError as error:
        answer = Answer(reason=str(error), is_missing=True)
    except Exception as error:  # Whoever asked says it in a line.
        answer = Answer(reason=" ".join(f"{type(error).__name__}: {error}".split()))
    print(json.dumps(asdict(answer)), file=answers, flush=True)
    # Some runtimes take long to tear down, or crash over it.
    os._exit(0)


def _end_with_standard_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def _answer(request: Request, blobs: Mapping[str, bytes]) -> Answer:
    os.environ["OMP_NUM_THREADS"] = str(request.threads)
    if not blobs:
        return Answer(facts=_facts(request.files), versions=_versions())
    pin(request.threads)
    if "reference" in blobs:
        load = LOADERS[request.runtime][1]
        calls = [
            _caller(load(blobs[name], request.threads), request.shapes[name]) for name in ("candidate", "reference")
        ]
        rounds = measure(*calls, precision=request.precision, seconds=request.seconds, by_cpu=request.threads == 1)
        return Answer(rounds=rounds)
    if request.runtime not in STAGES:
        raise ValueError(f"no stages can be told apart; they can with {' and '.join(STAGES)}")
    images = _images(request.shapes["candidate"])
    return Answer(operators_ns=STAGES[request.runtime](blobs["candidate"], request.threads, images))


def _versions() -> dict[str, str]:
    found = {}
    for name, (package, _) in LOADERS.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(package)
    return found


def _caller(fresh: Fresh, shape: Sequence[int]) -> Callable[[], Call]:
    images = _images(shape)
    return lambda: functools.partial(fresh(), images)


def _images(shape: Sequence[int]) -> "numpy.ndarray":
    import numpy

    # Noise: constant images could make subnormal activations, which are slow.
    return numpy.random.default_rng(0).random(tuple(shape), numpy.float32)


if __name__ == "__main__":
    main()
