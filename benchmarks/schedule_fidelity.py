"""Do the ranks of a short schedule hold on a long one, and which short schedule keeps them best for its cost?

Networks spread over the space `mobilevit_small`, from the cheapest to the dearest within a budget, are trained by the
long schedule and by each short one on the same data and seed. Reported for each short one: Kendall's tau of its
accuracies with the long schedule's and its 95 % interval (bootstrap over networks), and the seconds of a training. The
interval is wide: it says which schedules cannot be told apart. Each training is kept in the cache, so the benchmark
goes on where it was stopped.

`inherited` is `short` where every network but the first starts from the weights of the one that differs from it in the
fewest choices, among those trained before it in a random order. In a search relatives are nearer. Below the schedules
stands what needs no training: counts, and NWOT of the untrained network.

    python benchmarks/schedule_fidelity.py ../shared/data/cifar10 [--networks 16] [--only short EMA]
"""

import argparse
import json
import random
import statistics
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn

from mvit_nas.arch.count import features
from mvit_nas.arch.space import Label, load_space
from mvit_nas.budget import parse_budget
from mvit_nas.cost.targets.machine import this_processor
from mvit_nas.data.find import find_data
from mvit_nas.data.store import Images
from mvit_nas.evaluate.cache import cache_folder
from mvit_nas.evaluate.estimator import Question
from mvit_nas.evaluate.short import ShortTraining, training_threads
from mvit_nas.jobs.setup import choose_device
from mvit_nas.nn.backbone import build
from mvit_nas.optimize.designs import Designs
from mvit_nas.optimize.within_budget import sample_feasible, spread
from mvit_nas.study.record import Record, State
from mvit_nas.tasks.crops import centre_crops
from mvit_nas.training.schedule import Schedule, find_schedule

_SHORT = find_schedule("short")
# `short` had this batch when the others were tried, and all of them are this with one thing changed.
_BATCH_32 = replace(_SHORT, name="batch 32", batch_size=32)
# Six times as many images.
_LONG = replace(_BATCH_32, name="long", epochs=12, images_per_epoch=4000)
_TRIED = {
    schedule.name: schedule
    for schedule in (
        _SHORT,
        _BATCH_32,
        replace(_BATCH_32, name="rate 0.002", learning_rate=0.002),
        replace(_BATCH_32, name="rate 0.002, not clipped", learning_rate=0.002, clip_norm=0.0),
        replace(_BATCH_32, name="crops from 0.7", min_crop=0.7),
        replace(_BATCH_32, name="twice the images", images_per_epoch=4000),
        replace(_SHORT, name="batch 16, half the images", images_per_epoch=1000),
        replace(_SHORT, name="EMA", ema=0.01),
        replace(_BATCH_32, name="inherited"),
    )
}
_SEED = 0
_DRAWS = 2000
_NWOT_IMAGES = 64


def interval_of_tau(long: np.ndarray, short: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of Kendall's tau, by drawing the networks again."""
    generator = np.random.default_rng(0)
    draws = generator.integers(0, len(long), (_DRAWS, len(long)))
    taus = [float(kendalltau(long[draw], short[draw]).statistic) for draw in draws]
    low, high = np.nanquantile(taus, (0.025, 0.975))
    return float(low), float(high)


@torch.no_grad()
def nwot(model: nn.Module, images_BCHW: Tensor) -> float:
    """The logarithm of the determinant of how alike images light up the activations of an untrained network.

    Mellor et al., arXiv 2006.04647v3, section 3, with SiLU for ReLU: two images are as alike as the number of units
    that are positive for both or for neither. ``model`` is used up: its batch norm statistics move.
    """
    alike_BB = torch.zeros(len(images_BCHW), len(images_BCHW), dtype=torch.float64)

    def note(module: nn.Module, inputs: tuple[Tensor]) -> None:
        # Tokens come as [images * patch positions, tokens, width]; their first axis goes over the images first.
        code_BU = (inputs[0] > 0).reshape(len(images_BCHW), -1).float()
        other_BU = 1 - code_BU
        alike_BB.add_((code_BU @ code_BU.T + other_BU @ other_BU.T).double())

    for module in model.modules():
        if isinstance(module, nn.SiLU):
            module.register_forward_pre_hook(note)
    model.train()
    model(images_BCHW)
    return float(torch.linalg.slogdet(alike_BB).logabsdet)


def _some_images(part: Images, side: int) -> Tensor:
    chosen = np.sort(np.random.default_rng(_SEED).choice(len(part.labels_N), _NWOT_IMAGES, replace=False))
    pixels = torch.from_numpy(np.ascontiguousarray(part.pixels_NHWC[chosen]))
    return centre_crops(pixels, torch.from_numpy(part.aspects_N[chosen].astype(np.float32)), side=side)


def _differences(one: Mapping[str, Label], other: Mapping[str, Label]) -> int:
    return sum(one.get(name) != other.get(name) for name in one.keys() | other.keys())


def main() -> None:
    """Print a table, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--networks", type=int, default=16)
    parser.add_argument("--budget", nargs="+", default=["6M", "15M MACs"])
    parser.add_argument("--only", nargs="+", default=list(_TRIED), choices=list(_TRIED), metavar="SCHEDULE")
    parser.add_argument("--threads", type=int, default=training_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = choose_device("auto")
    data = find_data(arguments.data)
    alone = ShortTraining(data, _SHORT, device=device)
    relatives = ShortTraining(data, _SHORT, device=device, folder=cache_folder() / "inherited")
    space = load_space("mobilevit_small")
    budgets = tuple(parse_budget(budget) for budget in arguments.budget)
    feasible = sample_feasible(Designs(space, classes=alone.classes), budgets, seed=_SEED)
    designs = spread(feasible.designs, arguments.networks)
    archs = [design.arch for design in designs if design.arch is not None]

    def accuracies(schedule: Schedule) -> tuple[np.ndarray, list[float]]:
        inherits = schedule.name == "inherited"
        judge = (relatives if inherits else alone).with_schedule(schedule)
        found, seconds = np.zeros(len(designs)), []
        order = random.Random(_SEED).sample(range(len(designs)), len(designs)) if inherits else range(len(designs))
        names: dict[int, str] = {}
        for place in order:
            design = designs[place]
            apart = {other: _differences(design.labels, designs[other].labels) for other in names}
            nearest = min(apart, key=apart.__getitem__, default=None)
            parent = "" if nearest is None else names[nearest]
            record = Record(trial=None, state=State.COMPLETE, candidate=design.candidate, seed=_SEED)
            score = judge.estimate(Question(record=record), parent=parent, keep_weights=inherits)
            if score.accuracy is None or score.seconds is None:
                print(f"{schedule.name}: {design.arch_id}: {score.failure}", file=sys.stderr)
                continue
            if inherits:
                names[place] = judge.training_name(archs[place], seed=_SEED, parent=parent)
            found[place] = score.accuracy.value
            seconds.append(score.seconds)
            if not score.was_known:
                line = f"{schedule.name}: {design.arch_id} {score.accuracy.value:.4f} in {score.seconds:.0f} s"
                print(line, file=sys.stderr, flush=True)
        return found, seconds

    tried = {name: accuracies(_TRIED[name]) for name in arguments.only}
    long, long_seconds = accuracies(_LONG)
    within = ", ".join(arguments.budget)
    print(f"{len(designs)} networks of {space.name} within {within}, {data.name}, {device}, {this_processor()}")
    print(f"{'schedule':<26}{'tau':>7}{'95 % interval':>18}{'accuracy':>20}{'s each':>9}")
    rows = []
    for name, (short, seconds) in tried.items():
        tau = float(kendalltau(long, short).statistic)
        low, high = interval_of_tau(long, short)
        middle = statistics.median(seconds)
        rows.append(
            {
                "schedule": asdict(_TRIED[name]),
                "tau": tau,
                "interval": [low, high],
                "accuracies": short.tolist(),
                "seconds": middle,
            }
        )
        spread_text = f"{100 * short.min():.1f} to {100 * short.max():.1f} %"
        print(f"{name:<26}{tau:>7.2f}{f'{low:.2f} to {high:.2f}':>18}{spread_text:>20}{middle:>9.0f}")
    spread_text = f"{100 * long.min():.1f} to {100 * long.max():.1f} %"
    print(f"{'long':<26}{'':>25}{spread_text:>20}{statistics.median(long_seconds):>9.0f}")
    images_BCHW = _some_images(alone.part("train", space.base.image_size), space.base.image_size)
    sums = [features(arch, classes=alone.classes) for arch in archs]
    untrained = {
        "parameters": [design.cost.params for design in designs],
        "multiply-adds": [design.cost.macs for design in designs],
        "activations": [each["activation.values"] / 2 for each in sums],
        "pointwise multiply-adds": [each["pointwise.macs"] for each in sums],
        "NWOT": [nwot(build(arch, classes=alone.classes, seed=_SEED), images_BCHW) for arch in archs],
    }
    for name, values in untrained.items():
        low, high = interval_of_tau(long, np.array(values))
        tau = float(kendalltau(long, values).statistic)
        print(f"{name:<26}{tau:>7.2f}{f'{low:.2f} to {high:.2f}':>18}")
    document = {
        "data": data.name,
        "device": str(device),
        "processor": this_processor(),
        "budget": arguments.budget,
        "networks": [design.arch_id for design in designs],
        "long": {"schedule": asdict(_LONG), "accuracies": long.tolist(), "seconds": statistics.median(long_seconds)},
        "short": rows,
        "untrained": untrained,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
