"""Is the memory of a training step level over the sides of multi-scale training?

    python benchmarks/multi_scale_memory.py

Counts the bytes of all tensors that the forward pass of each preset keeps for the backward pass, by hooks, at the five
sides that a network for 256 px is trained at, with batches of as many pixels: exact, and the same on every machine.
"""

import json
from dataclasses import replace

import torch

from mvit_nas.arch.presets import PRESETS
from mvit_nas.nn.backbone import build
from mvit_nas.training.schedule import find_schedule

SIDE, IMAGES = 256, 8


def saved_bytes(model: torch.nn.Module, batch: int, side: int) -> int:
    """Bytes of the distinct tensors, other than parameters, that a forward pass keeps."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}
    held = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        held.append(tensor)  # so that no other tensor gets its memory meanwhile
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(torch.rand(batch, 3, side, side)).sum()
    return sum(kept.values())


def main() -> None:
    """Print a line for each preset, then one JSON document."""
    # Batches of a whole number of images have not quite as many pixels: what is compared is the memory of a pixel.
    schedule = replace(find_schedule("paper"), multi_scale=True, batch_size=IMAGES)
    batches = {batch.side: batch.size for batch in schedule.batches(10**6, SIDE)}
    found: dict[str, dict[int, float]] = {}
    for name in ("mobilevit_xxs", "mobilevit_xs", "mobilevit_s"):
        model = build(PRESETS[name], classes=1000)
        found[name] = {
            side: saved_bytes(model, batch, side) / (batch * side**2) * IMAGES * SIDE**2 / 2**20
            for side, batch in sorted(batches.items())
        }
        ends = max(found[name].values()) / min(found[name].values()) - 1
        words = ", ".join(f"{side} px {mib:.0f}" for side, mib in found[name].items())
        print(
            f"{name}: MiB of {IMAGES} images of {SIDE} px: {words}; the largest is {100 * ends:.1f} % above the least"
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
