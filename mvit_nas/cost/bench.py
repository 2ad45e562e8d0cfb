"""Measures an artefact beside a reference, wherever it is sent. Imports nothing of this package.

Standard input carries one line of JSON, the request, then the artefacts' bytes in the order of its ``sizes``; standard
output gets one line of JSON, the answer. Nothing is written to disk, so nothing can be left behind. When standard
input closes, whoever asked is gone, and the program ends. It needs Python 3.10 and the runtime's own package.
"""

import copy
import importlib.metadata
import io
import json
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LEAST_PAIRS = 20
_MOST_PAIRS = 2000
_LEAST_WARMUPS = 3
_LEAST_WARMUP_SECONDS = 0.5
_MOST_WARMUP_SECONDS = 3.0
# Times have levelled off when two neighbouring blocks of runs differ by less than this.
_LEVEL = 0.02

Call = Callable[[], object]
Clock = Callable[[], int]
# [images] -> [logits], both numpy arrays [N, ...] of float32.
Network = Callable[[Any], Any]


def median_interval(values: list[float]) -> tuple[float, float, float]:
    """(low, median, high): the median with its 95 % interval from the order statistics, free of any distribution.

    Uses the normal approximation of the binomial ranks, for 20 values or more (Conover, "Practical Nonparametric
    Statistics", 3rd edition, section 3.2).
    """
    ordered = sorted(values)
    n = len(ordered)
    reach = 1.96 * n**0.5 / 2
    low = max(0, int(n / 2 - reach) - 1)  # the formula's ranks count from 1
    return ordered[low], statistics.median(ordered), ordered[n - 1 - low]


def pairs(
    candidate: Call,
    reference: Call,
    *,
    precision: float,
    seconds: float,
    cpu: Clock = time.process_time_ns,
    wall: Clock = time.perf_counter_ns,
    by_cpu: bool = True,
) -> dict[str, list[int]]:
    """Nanoseconds of neighbouring runs, CPU time of the process and wall time, after a warm-up.

    At least 20 pairs, then until the interval of the median ratio is within ``precision`` on both sides or ``seconds``
    have passed. The ratio is of CPU times, or of wall times where not ``by_cpu``.
    """
    warm_up(reference, wall)
    warm_up(candidate, wall)
    names = ("reference_cpu", "reference_wall", "candidate_cpu", "candidate_wall")
    samples: dict[str, list[int]] = {name: [] for name in names}
    clock = "cpu" if by_cpu else "wall"
    end = wall() + seconds * 1e9
    while True:
        for name, call in (("reference", reference), ("candidate", candidate)):
            wall_start, start = wall(), cpu()
            call()
            elapsed = cpu() - start
            samples[f"{name}_wall"].append(wall() - wall_start)
            samples[f"{name}_cpu"].append(elapsed)
        done = len(samples["candidate_cpu"])
        if done < LEAST_PAIRS:
            continue
        low, median, high = median_interval(ratios(samples, clock))
        narrow = high - median <= precision * median and median - low <= precision * median
        if narrow or wall() >= end or done >= _MOST_PAIRS:
            return samples


def ratios(samples: dict[str, list[int]], clock: str) -> list[float]:
    """Candidate over reference, pair by pair, by the "cpu" or the "wall" clock."""
    of = zip(samples[f"candidate_{clock}"], samples[f"reference_{clock}"], strict=True)
    return [candidate / max(reference, 1) for candidate, reference in of]


def warm_up(call: Call, wall: Clock) -> None:
    """Run ``call`` until its times level off, for half a second at least and three at most."""
    start = wall()
    before = float("inf")
    while True:
        block, begin = [], wall()
        while len(block) < _LEAST_WARMUPS or wall() - begin < _LEAST_WARMUP_SECONDS * 1e9 / 2:
            now = wall()
            call()
            block.append(wall() - now)
        middle = statistics.median(block)
        if wall() - start >= _LEAST_WARMUP_SECONDS * 1e9 and abs(middle - before) <= _LEVEL * before:
            return
        if wall() - start >= _MOST_WARMUP_SECONDS * 1e9:
            return
        before = middle


# Gives a network of the artefact that shares no memory with those it gave before.
Fresh = Callable[[], Network]


def _load_torch(artefact: bytes, threads: int) -> Fresh:
    import warnings

    import torch

    torch.set_num_threads(threads)
    module = torch.export.load(io.BytesIO(artefact)).module()

    def fresh() -> Network:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own: what it copies holds a class that it deprecates
            copied = copy.deepcopy(module)

        def network(images: Any) -> Any:
            with torch.inference_mode():
                return copied(torch.from_numpy(images)).numpy()

        return network

    return fresh


def _load_onnxruntime(artefact: bytes, threads: int) -> Fresh:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the core from whatever else is measured.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def fresh() -> Network:
        session = onnxruntime.InferenceSession(artefact, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda images: session.run(None, {name: images})[0]

    return fresh


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
    import warnings

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
