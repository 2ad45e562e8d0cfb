"""Do the ranks of a short schedule hold on a long one, and which short schedule keeps them best for its cost?

Networks spread over the space `mobilevit_small`, from the cheapest to the dearest, are trained by the long schedule and
by each short one on the same data and seed. Reported for each short one: Kendall's tau of its accuracies with the long
schedule's and its 95 % interval (bootstrap over networks), and the seconds of a training. The interval is wide: it says
which schedules cannot be told apart. Each training is kept in the cache, so the benchmark goes on where it was stopped.

    python benchmarks/schedule_fidelity.py ../shared/data/cifar10 [--networks 16] [--only short ema]
"""

import argparse
import json
import statistics
import sys
from dataclasses import asdict, replace

import numpy as np
import torch
from scipy.stats import kendalltau

from mvit_nas.arch.space import load_space
from mvit_nas.errors import TrainingError
from mvit_nas.jobs.setup import COARSE, choose_device, make_meter
from mvit_nas.search.evaluate import Evaluator, processor, training_threads
from mvit_nas.search.feasible import sample_feasible, spread
from mvit_nas.settings import LatencySettings
from mvit_nas.train.data import find_data
from mvit_nas.train.loop import Score
from mvit_nas.train.schedule import SCHEDULES, Schedule
from mvit_nas.units import parse_budget

_SHORT = SCHEDULES["short"]
# Six times as many steps as `short`.
_LONG = replace(_SHORT, name="long", epochs=12, images_per_epoch=4000)
# What was tried. All see the 8,000 images of `short` in all, but for those whose name says otherwise.
_TRIED = {
    schedule.name: schedule
    for schedule in (
        _SHORT,
        replace(_SHORT, name="half", images_per_epoch=1000),
        replace(_SHORT, name="double", images_per_epoch=4000),
        replace(_SHORT, name="batch 64", batch_size=64),
        replace(_SHORT, name="batch 16", batch_size=16),
        replace(_SHORT, name="rate 0.004", learning_rate=0.004),
        replace(_SHORT, name="rate 0.001", learning_rate=0.001),
        replace(_SHORT, name="crops from 0.7", min_crop=0.7),
        replace(_SHORT, name="EMA", ema=0.02),
        replace(_SHORT, name="8 passes of 1,000", epochs=8, images_per_epoch=1000),
    )
}
_SEED = 0
_DRAWS = 2000


def interval_of_tau(long: np.ndarray, short: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of Kendall's tau, by drawing the networks again."""
    generator = np.random.default_rng(0)
    draws = generator.integers(0, len(long), (_DRAWS, len(long)))
    taus = [float(kendalltau(long[draw], short[draw]).statistic) for draw in draws]
    low, high = np.nanquantile(taus, (0.025, 0.975))
    return float(low), float(high)


def main() -> None:
    """Print a table, then one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--networks", type=int, default=16)
    parser.add_argument("--only", nargs="+", default=list(_TRIED), choices=list(_TRIED), metavar="SCHEDULE")
    parser.add_argument("--threads", type=int, default=training_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = choose_device("auto")
    data = find_data(arguments.data)
    evaluator = Evaluator(data, _SHORT, device=device, meter=make_meter(LatencySettings(), precision=COARSE, say=print))
    space = load_space("mobilevit_small")
    feasible = sample_feasible(space, (parse_budget("6M"),), evaluator.static_cost, seed=_SEED)
    designs = spread(feasible.designs, arguments.networks)

    def accuracies(schedule: Schedule) -> tuple[np.ndarray, list[float]]:
        found, seconds = [], []
        for design in designs:
            try:
                score, known = evaluator.with_schedule(schedule).score_by_rungs(
                    design.arch, seed=_SEED, at_rung=lambda rungs: False, should_stop=lambda: False
                )
            except TrainingError as error:
                print(f"{schedule.name}: {design.arch_id}: {error}", file=sys.stderr)
                found.append(0.0)
                continue
            assert isinstance(score, Score), "nothing stops it"
            found.append(score.accuracy)
            seconds.append(score.seconds)
            if not known:
                line = f"{schedule.name}: {design.arch_id} {score.accuracy:.4f} in {score.seconds:.0f} s"
                print(line, file=sys.stderr, flush=True)
        return np.array(found), seconds

    tried = {name: accuracies(_TRIED[name]) for name in arguments.only}
    long, long_seconds = accuracies(_LONG)
    print(f"{len(designs)} networks of {space.name}, {data.name}, {device}, {processor()}")
    print(f"{'schedule':<20}{'tau':>7}{'95 % interval':>18}{'accuracy':>20}{'s each':>9}")
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
        print(f"{name:<20}{tau:>7.2f}{f'{low:.2f} to {high:.2f}':>18}{spread_text:>20}{middle:>9.0f}")
    spread_text = f"{100 * long.min():.1f} to {100 * long.max():.1f} %"
    print(f"{'long':<20}{'':>25}{spread_text:>20}{statistics.median(long_seconds):>9.0f}")
    document = {
        "data": data.name,
        "device": str(device),
        "processor": processor(),
        "networks": [design.arch_id for design in designs],
        "long": {"schedule": asdict(_LONG), "accuracies": long.tolist(), "seconds": statistics.median(long_seconds)},
        "short": rows,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
