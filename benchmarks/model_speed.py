"""Is this the fastest MobileViT in PyTorch?

Compares the model with Hugging Face transformers' (and timm's, where timm can be imported) in one process,
alternating, one thread, CPU time: inference (batch 1, 256 px) and a training step (batch 32; 64 px and 256 px).
The result is the median of the ratios of neighbouring runs, with the quartiles, so a noisy machine shows up as
width and not as a shifted ratio. Weights are equal where the layouts allow.

    python benchmarks/model_speed.py [--network mobilevit_s] [--seconds 20]
"""

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from typing import TypedDict

import torch
from torch import nn
from transformers import MobileViTConfig, MobileViTForImageClassification

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.presets import PRESETS
from mvit_nas.nn.backbone import build
from mvit_nas.nn.inference import for_inference
from mvit_nas.nn.weights.hugging_face import from_huggingface


class Ratio(TypedDict):
    """Milliseconds of a call, and its ratio to another one's."""

    ms: float
    ratio: float
    quartiles: tuple[float, float]
    rounds: int


class Logits(nn.Module):
    """A transformers model that returns its logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of ``images``."""
        logits: torch.Tensor = self.model(images).logits
        return logits


def transformers_model(arch: ArchConfig) -> Logits:
    """transformers' network of ``arch`` with a usual initialisation."""
    blocks = [stage.mobilevit for stage in arch.stages if stage.mobilevit is not None]
    config = MobileViTConfig(  # type: ignore[call-arg]  # its base class takes num_labels
        hidden_sizes=[block.dim for block in blocks],
        neck_hidden_sizes=[
            arch.stem.channels,
            *(stage.channels for stage in arch.stages),
            arch.head_channels,
        ],
        expand_ratio=arch.stages[0].expand_ratio,
        num_labels=1000,
    )
    model = MobileViTForImageClassification(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return Logits(model)


def timm_model(name: str) -> nn.Module | None:
    """timm's network, or None where timm does not import."""
    try:
        import timm  # type: ignore[import-not-found,unused-ignore]  # not everywhere
    except Exception:
        return None
    model: nn.Module = timm.create_model(name)
    return model


def training_step(model: nn.Module, batch: int, side: int) -> Callable[[], None]:
    """One step of AdamW on random images."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    images, labels = torch.rand(batch, 3, side, side), torch.randint(1000, (batch,))

    def step() -> None:
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return step


def inference(model: nn.Module) -> Callable[[], None]:
    """One image of 256 px."""
    model.eval()
    image = torch.rand(1, 3, 256, 256)

    @torch.inference_mode()
    def call() -> None:
        model(image)

    return call


def ratios(calls: dict[str, Callable[[], None]], base: str, seconds: float) -> dict[str, Ratio]:
    """For each call: median CPU milliseconds, and median and quartiles of its ratio to ``base`` in the same round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times[base]) < 8:
        for name, call in calls.items():
            start = time.thread_time_ns()
            call()
            times[name].append((time.thread_time_ns() - start) / 1e6)
    result: dict[str, Ratio] = {}
    for name, values in times.items():
        quartiles = statistics.quantiles([x / y for x, y in zip(values, times[base], strict=True)], n=4)
        result[name] = {
            "ms": round(statistics.median(values), 2),
            "ratio": round(quartiles[1], 3),
            "quartiles": (round(quartiles[0], 3), round(quartiles[2], 3)),
            "rounds": len(values),
        }
    return result


def main() -> None:
    """Print a table, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="mobilevit_s", choices=PRESETS)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    arch = PRESETS[arguments.network]
    theirs = transformers_model(arch)
    ours = build(arch)
    ours.load_state_dict(from_huggingface(arch, theirs.model.state_dict()))
    rivals: dict[str, nn.Module] = {"transformers": theirs}
    if (timm := timm_model(arguments.network)) is not None:
        rivals["timm"] = timm
    results = {
        "inference, batch 1, 256 px": ratios(
            {name: inference(model) for name, model in rivals.items()}
            | {
                "ours": inference(ours),
                "ours, folded": inference(for_inference(ours.eval())),
                "ours, packed": inference(for_inference(ours.eval(), packed_for=(1, 3, 256, 256))),
            },
            "transformers",
            arguments.seconds,
        )
    }
    for side in (64, 256):
        results[f"training step, batch 32, {side} px"] = ratios(
            {name: training_step(model, 32, side) for name, model in (rivals | {"ours": ours}).items()},
            "transformers",
            arguments.seconds,
        )
    for title, rows in results.items():
        print(f"\n{title} ({arguments.network}, one thread, CPU time)")
        for name, row in rows.items():
            low, high = row["quartiles"]
            print(f"  {name:<14} {row['ms']:9.2f} ms   {row['ratio']:.3f} of transformers ({low:.3f} to {high:.3f})")
    print(json.dumps({"torch": torch.__version__, "network": arguments.network, "results": results}))


if __name__ == "__main__":
    main()
