"""Two processes that train one network do what one process does."""

import socket

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.nn.backbone import build
from mvit_nas.tasks.classify import Classification
from mvit_nas.training.loop import fit
from mvit_nas.training.schedule import find_schedule
from mvit_nas.training.workers import ALONE, Workers

CPU = torch.device("cpu")


class Part:
    def __init__(self, images, side):
        luck = np.random.default_rng(0)
        self.labels_N = np.arange(images) % 3
        self.pixels_NHWC = luck.integers(0, 120, (images, side, side, 3), np.uint8)
        self.pixels_NHWC[np.arange(images), :, :, self.labels_N] += 120
        self.aspects_N = np.ones(images, np.float32)


def losses(workers, *, frozen):
    """The loss of each of twenty steps, the mean over the processes."""
    from dataclasses import replace

    torch.set_num_threads(1)
    arch = with_values(
        PRESETS["mobilevit_xxs"],
        {"image_size": 32, "stem.stride": 1, "stages.*.channels": 8, "stages.*.mobilevit.dim": 16, "dropout": 0.0,
         "stages.*.mobilevit.depth": 1, "head_dropout": 0.0},
    )  # fmt: skip
    model = build(arch, classes=3)
    if frozen:
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
                module.register_forward_pre_hook(lambda one, _: one.eval() and None)
    schedule = replace(find_schedule("smoke"), batch_size=8, images_per_epoch=160, learning_rate=0.002, clip_norm=1.0)
    found = []

    def on_step(step, loss):
        told = loss.clone()
        workers.average([told])
        found.append(float(told))

    fit(
        model, Part(160, 36), Part(9, 32), schedule, task=Classification(classes=3), side=32, seed=0, device=CPU,
        workers=workers, on_step=on_step,
    )  # fmt: skip
    statistics = torch.cat([buffer.flatten() for name, buffer in model.named_buffers() if "running" in name])
    return found, statistics


def _process(rank, port, answers, frozen):
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    found, statistics = losses(Workers(rank=rank, count=2), frozen=frozen)
    answers.put((rank, found, statistics.tolist()))
    dist.barrier()
    dist.destroy_process_group()


def of_two(*, frozen):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.get_context("spawn")
    answers = context.Queue()
    running = [context.Process(target=_process, args=(rank, port, answers, frozen)) for rank in range(2)]
    for process in running:
        process.start()
    found = sorted(answers.get(timeout=300) for _ in running)
    for process in running:
        process.join()
    return found


def test_with_frozen_statistics_two_halves_are_one_whole():
    alone, _ = losses(ALONE, frozen=True)
    (_, one, _), (_, other, _) = of_two(frozen=True)
    assert len(alone) == 20
    assert one == other
    assert one == pytest.approx(alone, abs=1e-4)


def test_statistics_are_averaged_before_a_model_is_scored():
    (_, _, one), (_, _, other) = of_two(frozen=False)
    assert one == other


if __name__ == "__main__":  # how far two processes are from one with live statistics, which no test asks
    alone, whole = losses(ALONE, frozen=False)
    (_, one, halves), _ = of_two(frozen=False)
    apart = np.abs(np.array(one) - np.array(alone))
    print(
        f"loss of 20 steps: at most {apart.max():.3f} apart, {apart.mean():.3f} in the mean, from {alone[0]:.2f} down"
    )
    print(f"statistics: {float((torch.tensor(halves) - whole).norm() / whole.norm()):.3f} of their norm apart")
