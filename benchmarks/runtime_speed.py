"""How fast are the runtimes, in float32 and int8, beside what a user has without them?

Compares every installed runtime's artefact with Hugging Face transformers' eager model in one process, alternating,
one thread, CPU time of the process, one image. The result is the median of the ratios of neighbouring runs, with the
quartiles. Weights are fresh and int8 is calibrated on noise: neither changes the time.

    python benchmarks/runtime_speed.py [--network mobilevit_s] [--seconds 60] [--runtimes litert executorch]
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from model_speed import inference, transformers_model

from mvit_nas.arch.presets import PRESETS
from mvit_nas.cost.probe import LOADERS
from mvit_nas.cost.runtimes.registry import RUNTIMES, is_installed
from mvit_nas.cost.runtimes.runtime import BITS, Runtime
from mvit_nas.nn.backbone import build
from mvit_nas.nn.inference import for_inference


def artefacts(runtime: Runtime, network: str, folder: Path) -> dict[str, Path]:
    """The files of ``network`` by precision, written to ``folder``."""
    arch = PRESETS[network]
    model = for_inference(build(arch, fused_attention=runtime.fused_attention))
    images = torch.rand(4, 3, arch.image_size, arch.image_size, generator=torch.Generator().manual_seed(0))
    exact = folder / f"float32{runtime.suffix}"
    runtime.export(model, images[:1], exact)
    if not runtime.quantise:
        return {"float32": exact}
    rounded = folder / f"int8{runtime.suffix}"
    runtime.quantise[BITS](model, images, rounded)
    return {"float32": exact, "int8": rounded}


def loaded(runtime: Runtime, path: Path, side: int) -> Callable[[], object]:
    """One image through the artefact at ``path``."""
    network = LOADERS[runtime.name][1](path.read_bytes(), 1)()
    image = torch.rand(1, 3, side, side).numpy()
    return lambda: network(image)


def process_times(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """CPU milliseconds of the process, a run of every call in each round: a runtime may use threads of its own."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(3):
            call()
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(next(iter(times.values()))) < 20:
        for name, call in calls.items():
            start = time.process_time_ns()
            call()
            times[name].append((time.process_time_ns() - start) / 1e6)
    return times


def ratio(times: list[float], base: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the ratios of neighbouring runs."""
    low, middle, high = statistics.quantiles([x / y for x, y in zip(times, base, strict=True)], n=4)
    return low, middle, high


def main() -> None:
    """Print a table, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="mobilevit_s", choices=PRESETS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--runtimes", nargs="+", default=list(RUNTIMES), choices=RUNTIMES)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    arch = PRESETS[arguments.network]
    calls: dict[str, Callable[[], object]] = {"transformers": inference(transformers_model(arch))}
    shares: dict[str, dict[str, float | None]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.runtimes:
            runtime = RUNTIMES[name]
            if not is_installed(runtime):
                print(f"{runtime.title} is not installed")
                continue
            for precision, path in artefacts(runtime, arguments.network, Path(folder)).items():
                row = f"{name} {precision}"
                calls[row] = loaded(runtime, path, arch.image_size)
                shares[row] = {"delegated": runtime.delegated(path), "quantised": runtime.quantised(path)}
    times = process_times(calls, arguments.seconds)
    print(f"\n{arguments.network}, {arch.image_size} px, batch 1, one thread, CPU time; ratios with quartiles")
    results = {}
    for row, values in times.items():
        low, middle, high = ratio(values, times["transformers"])
        print(
            f"  {row:<20} {statistics.median(values):8.2f} ms   {middle:.3f} of transformers ({low:.3f} to {high:.3f})"
        )
        results[row] = {
            "ms": round(statistics.median(values), 2),
            "ratio": round(middle, 3),
            "quartiles": [round(low, 3), round(high, 3)],
            "rounds": len(values),
            **shares.get(row, {}),
        }
        if row.endswith("int8"):
            of_float = ratio(values, times[row.replace("int8", "float32")])
            print(f"  {'':<20} {'':>11}   {of_float[1]:.3f} of its float32 ({of_float[0]:.3f} to {of_float[2]:.3f})")
            results[row]["of_float32"] = [round(value, 3) for value in of_float]
    packages = {name: version(LOADERS[name][0]) for name in arguments.runtimes if is_installed(RUNTIMES[name])}
    print(json.dumps({"network": arguments.network, "packages": packages, "results": results}))


if __name__ == "__main__":
    main()
