"""Measures an artefact beside a reference, wherever it is sent. Imports nothing of this package.

Standard input carries one line of JSON, the request, then the bytes of the artefacts that its ``sizes`` names, in that
order; standard output gets a line that says ready and a line of JSON, the answer. Nothing is kept on disk, so nothing
is left behind. When standard input closes whoever asked is gone, and the program ends. It needs Python 3.10 or newer
and the runtime's own package.

The request has ``runtime``, ``threads`` and, with a "candidate" among ``sizes``, ``shapes`` of the images by the same
names. With a "reference" beside it and ``precision`` and ``seconds``, the answer has ``rounds``; without one,
``stages``; without either it tells of the ``machine`` and its runtimes' ``versions`` alone. Or it has an ``error``.
"""

import collections
import contextlib
import copy
import glob
import importlib.metadata
import io
import json
import math
import os
import platform
import re
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

LEAST_ROUNDS = 8
_MOST_ROUNDS = 60
# A round at a precision of 1 % or finer; coarser ones are shorter.
_ROUND_SECONDS = 0.25
_LEAST_PAIRS = 5
_MOST_PAIRS = 50
# Loaded networks that are kept while others are loaded, so that a new one does not get an old one's memory.
_KEPT = 6
_LEAST_WARMUPS = 3
_LEAST_WARMUP_SECONDS = 0.3
_MOST_WARMUP_SECONDS = 3.0
# Times have levelled off when two neighbouring blocks of runs differ by less than this.
_LEVEL = 0.02
_STAGE_RUNS = 20

Call = Callable[[], object]
Clock = Callable[[], int]
# [N, 3, H, W] -> [N, classes], both numpy arrays of float32.
Network = Callable[[Any], Any]
# Gives a network of the artefact that shares no memory with those it gave before.
Fresh = Callable[[], Network]
# Nanoseconds of neighbouring runs by "reference_wall", "candidate_wall" and, by CPU time, "reference_cpu" and so on.
Round = Mapping[str, Sequence[int]]


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
    """Rounds of neighbouring runs, in nanoseconds of wall time and, ``by_cpu``, of the process's CPU time.

    Each round loads both afresh: where its memory happens to lie moves a network's time by a percent or two, as much
    as what shall be told apart. At least 8 rounds, then until the 95 % interval of the mean of ``calm_ratios`` is
    within ``precision`` on both sides, or ``seconds`` have passed. The ratio is of CPU times, or of wall times where
    not ``by_cpu``.
    """
    kept: collections.deque[tuple[Call, Call]] = collections.deque(maxlen=_KEPT)
    rounds: list[Round] = []
    clock = "cpu" if by_cpu else "wall"
    end = wall() + seconds * 1e9
    while True:
        calls = (candidate(), reference())
        kept.append(calls)
        if not rounds:
            for call in calls:
                warm_up(call, wall)
            end = wall() + seconds * 1e9
        length = _ROUND_SECONDS * min(1.0, 0.01 / precision)
        rounds.append(_round(*calls, cpu if by_cpu else None, wall, seconds=length))
        if len(rounds) < LEAST_ROUNDS:
            continue
        if half_width(rounds, clock) <= precision or wall() >= end or len(rounds) >= _MOST_ROUNDS:
            return rounds


def _round(candidate: Call, reference: Call, cpu: Clock | None, wall: Clock, *, seconds: float) -> Round:
    for call in (candidate, reference):
        for _ in range(_LEAST_WARMUPS - 1):
            call()
    samples: dict[str, list[int]] = collections.defaultdict(list)
    end = wall() + seconds * 1e9
    for pair in range(_MOST_PAIRS):
        if pair >= _LEAST_PAIRS and wall() >= end:
            break
        for name, call in (("reference", reference), ("candidate", candidate)):
            wall_start, start = wall(), cpu() if cpu else 0
            call()
            if cpu:
                samples[f"{name}_cpu"].append(cpu() - start)
            samples[f"{name}_wall"].append(wall() - wall_start)
    return samples


def calm_ratios(rounds: Sequence[Round], clock: str) -> list[float]:
    """The median ratio of candidate to reference, by the "cpu" or the "wall" clock, of the faster half of the rounds.

    Of each round only the faster half of the pairs counts. Whoever else uses the machine's caches and memory slows one
    network more than the other, in CPU time too: bursts moved ratios by up to 5 %. Over the same samples of two
    networks, repetitions varied by 0.40 and 0.15 % without this and by 0.11 % with it. Fast is a pair by the sum of
    both times, the candidate's as a share of its usual one, so that neither is favoured.
    """
    pairs = [list(zip(one[f"candidate_{clock}"], one[f"reference_{clock}"], strict=True)) for one in rounds]
    usual = statistics.median(candidate / max(reference, 1) for one in pairs for candidate, reference in one)
    found = []
    for one in pairs:
        timed = sorted((candidate / usual + reference, candidate / max(reference, 1)) for candidate, reference in one)
        fast = timed[: (len(timed) + 1) // 2]
        found.append((statistics.median(time for time, _ in fast), statistics.median(ratio for _, ratio in fast)))
    return [ratio for _, ratio in sorted(found)[: (len(found) + 1) // 2]]


def half_width(rounds: Sequence[Round], clock: str) -> float:
    """Half of the 95 % interval of the mean of their ``calm_ratios``, as a share of it.

    Student's quantile by its expansion around the normal one (Abramowitz and Stegun, 26.7.5), within 4 % from 4 ratios
    on: scipy is not everywhere.
    """
    ratios = calm_ratios(rounds, clock)
    z, freedom = 1.96, len(ratios) - 1
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return t * statistics.stdev(ratios) / math.sqrt(len(ratios)) / statistics.mean(ratios)


def warm_up(call: Call, wall: Clock) -> None:
    """Run ``call`` until its times level off, for 0.3 seconds at least and three at most."""
    start = wall()
    before = 0.0
    while True:
        block: list[int] = []
        begin = wall()
        while len(block) < _LEAST_WARMUPS or wall() - begin < _LEAST_WARMUP_SECONDS * 1e9 / 2:
            now = wall()
            call()
            block.append(wall() - now)
        middle = statistics.median(block)
        spent = wall() - start
        if spent >= _LEAST_WARMUP_SECONDS * 1e9 and abs(middle - before) <= _LEVEL * before:
            return
        if spent >= _MOST_WARMUP_SECONDS * 1e9:
            return
        before = middle


def pin(threads: int) -> list[int]:
    """Keep this process on the ``threads`` fastest of its cores, always the same; which, or [] where it cannot be done.

    Not on the idlest: equal cores of one machine gave ratios 3 % apart, and each by itself the same within 1 %.
    """
    if not hasattr(os, "sched_setaffinity"):
        return []
    chosen = sorted(sorted(os.sched_getaffinity(0), key=lambda core: (-_top_speed(core), core))[:threads])
    os.sched_setaffinity(0, chosen)
    return chosen


def _top_speed(core: int) -> float:
    return float(_text(f"/sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq") or 0)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - the fewest imports
            return file.read()
    except OSError:
        return ""


def about_machine(patterns: list[str]) -> dict[str, Any]:
    """What this machine says of itself: the texts of the files of ``patterns`` and what Python knows."""
    return {
        "files": {path: _text(path) for pattern in patterns for path in glob.glob(pattern)},  # noqa: PTH207
        "name": platform.node(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
    }


def _load_torch(artefact: bytes, threads: int) -> Fresh:
    import warnings

    import torch

    torch.set_num_threads(threads)
    module = _program(artefact)

    def fresh() -> Network:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own: what it copies holds a class that it deprecates
            copied = copy.deepcopy(module)

        def network(images: Any) -> Any:
            with torch.inference_mode():
                return copied(torch.from_numpy(images)).numpy()

        return network

    return fresh


def _program(artefact: bytes) -> Any:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        return torch.export.load(io.BytesIO(artefact)).module()


def _load_onnxruntime(artefact: bytes, threads: int) -> Fresh:
    import onnxruntime

    options = _session_options(threads)

    def fresh() -> Network:
        session = onnxruntime.InferenceSession(artefact, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda images: session.run(None, {name: images})[0]

    return fresh


def _session_options(threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the core from whatever else is measured.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _load_litert(artefact: bytes, threads: int) -> Fresh:
    from ai_edge_litert.interpreter import Interpreter

    def fresh() -> Network:
        # The interpreter reads weights where they lie, so each gets its own.
        interpreter = Interpreter(model_content=bytes(bytearray(artefact)), num_threads=threads)
        interpreter.allocate_tensors()
        (images_index,) = (detail["index"] for detail in interpreter.get_input_details())
        (logits_index,) = (detail["index"] for detail in interpreter.get_output_details())

        def network(images: Any) -> Any:
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

        def network(images: Any, keep: bytes = own) -> Any:
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


def _stages_torch(artefact: bytes, threads: int, images: Any) -> dict[str, list[int]]:
    import torch

    torch.set_num_threads(threads)
    module = _program(artefact)
    found: dict[str, list[int]] = {}

    class Timed(torch.fx.Interpreter):
        def run_node(self, n: Any) -> Any:
            start = time.perf_counter_ns()
            result = super().run_node(n)
            # (path, class) of the modules that the node came from, the innermost last.
            within = list(n.meta.get("nn_module_stack", {}).values())
            name = f"{within[-1][0] if within else ''}#{n.name}"
            found.setdefault(name, []).append(time.perf_counter_ns() - start)
            return result

    inputs = torch.from_numpy(images)
    with torch.inference_mode():
        for _ in range(_STAGE_RUNS):
            Timed(module).run(inputs)
    return found


def _stages_onnxruntime(artefact: bytes, threads: int, images: Any) -> dict[str, list[int]]:
    import onnxruntime

    found: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        options = _session_options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = os.path.join(folder, "profile")  # noqa: PTH118
        session = onnxruntime.InferenceSession(artefact, options, providers=["CPUExecutionProvider"])
        for _ in range(_STAGE_RUNS):
            session.run(None, {session.get_inputs()[0].name: images})
        events = json.loads(_text(session.end_profiling()))
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            found.setdefault(event["name"], []).append(event["dur"] * 1000)
    return found


# By the runtime's name: nanoseconds of each operator in each run, by a name that holds the path of its module.
STAGES: dict[str, Callable[[bytes, int, Any], dict[str, list[int]]]] = {
    "torch": _stages_torch,
    "onnxruntime": _stages_onnxruntime,
}


def shares_by_stage(operators: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """The share of the time by stage, of each operator's median; "other" is what no stage can be told of."""
    totals: dict[str, float] = {}
    for name, times in operators.items():
        found = re.search(r"\b(stem|stages\.\d+|head|classifier)\b", name)
        stage = found[1] if found else "other"
        totals[stage] = totals.get(stage, 0.0) + statistics.median(times)
    return {stage: total / sum(totals.values()) for stage, total in totals.items()}


def main() -> None:
    """Answer the one request on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints is not mixed with the answer
    request = json.loads(sys.stdin.buffer.readline())
    blobs = {name: sys.stdin.buffer.read(size) for name, size in request["sizes"].items()}
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    print("ready", file=answers, flush=True)
    try:
        answer = _answer(request, blobs)
    except ModuleNotFoundError as error:
        answer = {"error": "missing", "reason": str(error)}
    except Exception as error:  # Whoever asked says it in a line.
        answer = {"error": "refused", "reason": " ".join(f"{type(error).__name__}: {error}".split())}
    print(json.dumps(answer), file=answers, flush=True)
    # Some runtimes take long to tear down, or crash over it.
    os._exit(0)


def _end_with_standard_input() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def _answer(request: dict[str, Any], blobs: dict[str, bytes]) -> dict[str, Any]:
    answer: dict[str, Any] = {"machine": about_machine(request["files"])}
    threads = request["threads"]
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "candidate" in blobs:
        answer["pinned"] = pin(threads)
    answer["versions"] = _versions()
    if blobs:
        load = LOADERS[request["runtime"]][1]
    if "reference" in blobs:
        calls = [_caller(load(blobs[name], threads), request["shapes"][name]) for name in ("candidate", "reference")]
        answer["rounds"] = measure(
            *calls, precision=request["precision"], seconds=request["seconds"], by_cpu=threads == 1
        )
    elif "candidate" in blobs:
        if request["runtime"] not in STAGES:
            raise ValueError(f"no stages can be told apart; they can with {' and '.join(STAGES)}")
        images = _images(request["shapes"]["candidate"])
        answer["stages"] = shares_by_stage(STAGES[request["runtime"]](blobs["candidate"], threads, images))
    return answer


def _versions() -> dict[str, str]:
    """The runtimes that are installed here, with their versions."""
    found = {}
    for name, (package, _) in LOADERS.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(package)
    return found


def _caller(fresh: Fresh, shape: list[int]) -> Callable[[], Call]:
    """Gives a fresh network's call on one image."""
    images = _images(shape)

    def make() -> Call:
        network = fresh()
        return lambda: network(images)

    return make


def _images(shape: list[int]) -> Any:
    """Noise in [0, 1]: constant images could make subnormal activations, which are slow."""
    import numpy

    return numpy.random.default_rng(0).random(shape, numpy.float32)


if __name__ == "__main__":
    main()
