"""How often what ``mvit-nas confirm`` says to take is within a point of the truly best network, in simulated studies.

    python benchmarks/confirm_choice.py [--studies 300]

A study is a front of networks, the dearer ones better in the mean, each judged once on validation images after a short
training, whose ranks hold in part. Then the five best by that are confirmed: seeds that spread, images that are shared.
Truth is the mean accuracy over all seeds and images under the longer schedule, among the whole front.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from mvit_nas.maths.confirmed import Compared, accuracies, choose, comparisons

NETWORKS, CONFIRMED = 8, 5
VALIDATION, TEST = 1000, 1500
SEED_SPREAD = 0.015  # standard deviation of an accuracy over training seeds
_LATENT = 1.5  # standard deviation of ease and luck of an image, beside the network's level


def study(luck: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True accuracies after the longer schedule, what the search saw of them, and the costs."""
    costs = np.sort(luck.normal(0, 1, NETWORKS))
    truth = 0.7 + 0.015 * costs + luck.normal(0, 0.01, NETWORKS)
    noise = np.hypot(SEED_SPREAD, np.sqrt(0.7 * 0.3 / VALIDATION) / np.sqrt(2))  # images are shared in half of it
    return truth, truth + luck.normal(0, 0.008, NETWORKS) + luck.normal(0, noise, NETWORKS), costs


def answers(luck: np.random.Generator, truth: np.ndarray, seeds: int) -> np.ndarray:
    """Whether each network is right with each seed on each image [V, S, N]."""
    levels = stats.norm.ppf(truth) * _LATENT
    slope = stats.norm.pdf(stats.norm.ppf(truth)) / _LATENT  # of an accuracy by its level
    moved = luck.normal(0, 1, (len(truth), seeds)) * (SEED_SPREAD / slope)[:, None]
    ease = luck.normal(0, 1.2, TEST) + luck.normal(0, 0.6, (len(truth), 1, TEST))
    own = luck.normal(0, np.sqrt(_LATENT**2 - 1.2**2 - 0.6**2), (len(truth), seeds, TEST))
    return np.asarray(levels[:, None, None] + moved[..., None] + ease + own > 0)


Rule = Callable[[Sequence[float], Sequence[Compared], Sequence[float]], int]


def cheapest_tied(values: Sequence[float], pairs: Sequence[Compared], costs: Sequence[float]) -> int:
    """The cheapest of all that are not shown to be worse than the best: what was tried and left."""
    chosen = choose(values, pairs, costs)
    return min((chosen.take, *chosen.tied), key=costs.__getitem__)


RULES: dict[str, Rule] = {
    "what confirm takes": lambda values, pairs, costs: choose(values, pairs, costs).take,
    "the most accurate": lambda values, pairs, costs: int(np.argmax(values)),
    "the cheapest that is tied": cheapest_tied,
}


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=300)
    studies = parser.parse_args().studies
    luck = np.random.default_rng(0)
    before = 0
    found = {(seeds, name): 0 for seeds in (3, 5) for name in RULES}
    for _ in range(studies):
        truth, searched, costs = study(luck)
        enough = truth.max() - 0.01
        before += bool(truth[searched.argmax()] >= enough)
        chosen = np.argsort(-searched)[:CONFIRMED]
        for seeds in (3, 5):
            correct = answers(luck, truth[chosen], seeds)
            values, pairs = [one.value for one in accuracies(correct)], comparisons(correct)
            for name, rule in RULES.items():
                found[seeds, name] += bool(truth[chosen[rule(values, pairs, costs[chosen].tolist())]] >= enough)
    print(f"within a point of the truly best, of {studies} studies:")
    print(f"  the best of the search, not confirmed  {100 * before / studies:.0f} %")
    for (seeds, name), count in found.items():
        print(f"  {seeds} seeds, {name:<26} {100 * count / studies:.0f} %")


if __name__ == "__main__":
    main()
