"""Do the numbers of an ablation keep their word?

On simulated runs whose true differences are known: how often the 95 % interval holds the true difference (coverage),
how often any variant is called better or worse when none is (family-wise error after Holm's correction), and how
often a difference of exactly the reported ``detectable`` is then shown by a new experiment of the same size (power).
A run's accuracy is an effect of its seed, which all variants share, plus the variant's effect, plus noise; the noise
is normal with one spread, normal with a spread for each variant, or normal and then rounded to a number of right
answers out of 360 validation images. Each number comes with its Monte Carlo standard error and its bar.

A bar that is missed is measured again with ten times the repetitions, and that decides: of 54 numbers with a
standard error of half a percent to one, some miss by chance alone. Both are printed.

Without a bar, because the method does not promise it: noise smaller than one image of the validation set; and
stopping early, where seeds are added one by one until the interval of the largest difference is as narrow as was asked
for. There the coverage is given for the variant that the rule looks at, which by its choice is likely to be too large,
for one that is named beforehand, and, for comparison, for both without stopping.

One scenario goes through the table and the summary from end to end, the others call the functions below them; that
both give the same to the last bit is checked on a sample of each scenario.

    python benchmarks/ablation_statistics.py [--repetitions 2000] [--seed 0]
"""

import argparse
import gc
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mvit_nas import metrics
from mvit_nas.maths.pareto import Floats
from mvit_nas.maths.statistics import Difference, holm, paired_difference
from mvit_nas.results.ablation.summary import Summary, Verdict, summarise, verdict
from mvit_nas.results.table import table_of
from mvit_nas.study.origin import Ablated, PlannedVariant
from mvit_nas.study.table import MATCHED, PARAM, Row

IMAGES = 360
ACCURACY = 0.4  # of the base: far enough from 1 for the difference that 3 seeds can show
SEED_SPREAD = 0.02
NOISE = 0.01  # 3.6 of the 360 images
PRECISION = 0.01
MOST_SEEDS = 20
AGAIN = 10  # times the repetitions where a bar was missed
CHECKED = 20  # repetitions of a scenario that are compared with the summary
COVERAGE, ERROR, POWER = (0.93, 0.97), 0.06, 0.78


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """``noise`` is one spread for the base and one for each variant; ``images`` is the grid, None for no rounding."""

    name: str
    seeds: int
    noise: tuple[float, ...]
    images: int | None = None
    promised: bool = True

    @property
    def variants(self) -> int:
        """How many are compared with the base."""
        return len(self.noise) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What an ablation says of one variant."""

    difference: Difference
    p_holm: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Share:
    """``hits`` of ``trials``."""

    hits: int
    trials: int

    @property
    def value(self) -> float:
        """The share."""
        return self.hits / self.trials if self.trials else math.nan

    @property
    def error(self) -> float:
        """Its Monte Carlo standard error."""
        return math.sqrt(self.value * (1 - self.value) / self.trials) if self.trials else math.nan

    @property
    def words(self) -> str:
        """The share and its error in percent."""
        return f"{100 * self.value:5.1f} +- {100 * self.error:.1f}"

    def json(self) -> dict[str, float | int]:
        """For the last line."""
        return {"share": round(self.value, 4), "standard_error": round(self.error, 4), "trials": self.trials}


def scenarios() -> list[Scenario]:
    """All but the sequential ones."""
    found = []
    for variants in (1, 4):
        unequal = (0.005, 0.01) if variants == 1 else (0.005, 0.0025, 0.005, 0.0075, 0.01)
        for seeds in (3, 5, 10):
            equal = (NOISE,) * (variants + 1)
            found += [
                Scenario(name="equal spread", seeds=seeds, noise=equal),
                Scenario(name="unequal spread", seeds=seeds, noise=unequal),
                Scenario(name="360 images", seeds=seeds, noise=equal, images=IMAGES),
                Scenario(
                    name="noise of 0.7 images",
                    seeds=seeds,
                    noise=(0.7 / IMAGES,) * (variants + 1),
                    images=IMAGES,
                    promised=False,
                ),
            ]
    return found


def simulate(generator: np.random.Generator, scenario: Scenario, effects: Sequence[float]) -> Floats:
    """Accuracies, a row for the base and each variant, a column for each seed."""
    shared = ACCURACY + generator.normal(0, SEED_SPREAD, scenario.seeds)
    noise = generator.normal(0, 1, (len(scenario.noise), scenario.seeds)) * np.array(scenario.noise)[:, None]
    accuracies: Floats = shared + np.array([0.0, *effects])[:, None] + noise
    return accuracies if scenario.images is None else np.round(accuracies * scenario.images) / scenario.images


def by_functions(accuracies: Floats) -> list[Judged]:
    """Every variant judged by the functions that the summary calls."""
    base, *others = accuracies
    differences = [paired_difference(values, base, comparisons=len(others)) for values in others]
    corrected = holm([difference.p for difference in differences])
    return [
        Judged(difference=difference, p_holm=p, verdict=verdict(difference, p))
        for difference, p in zip(differences, corrected, strict=True)
    ]


def summary_of(accuracies: Floats) -> Summary:
    """The summary that the command makes of the same runs."""
    labels = [str(index) for index in range(len(accuracies))]
    rows: list[Row] = [
        {"state": "complete", "accuracy": float(accuracy), "seed": seed, MATCHED: "", PARAM + "depth": label}
        for label, values in zip(labels, accuracies, strict=True)
        for seed, accuracy in enumerate(values)
    ]
    variants = tuple(
        PlannedVariant(labels={"depth": label}, matched="", is_base=label == "0", arch_id=label, notes=())
        for label in labels
    )
    plan = Ablated(factors=("depth",), base="0", variants=variants, left_out=(), seeds=(), precision=None, stopped="")
    return summarise(table_of(rows).records, plan, metrics.ACCURACY)


def by_summary(accuracies: Floats) -> list[Judged]:
    """Every variant judged by the command, through a table."""
    judged = []
    for variant in summary_of(accuracies).others:
        assert variant.difference is not None
        judged.append(Judged(difference=variant.difference, p_holm=variant.p_holm, verdict=variant.verdict))
    return judged


def holds(difference: Difference, effect: float) -> bool:
    """Whether there is an interval that holds ``effect``."""
    return difference.low is not None and difference.high is not None and difference.low <= effect <= difference.high


def promises(generator: np.random.Generator, scenario: Scenario, repetitions: int, *, whole: bool) -> dict[str, Share]:
    """Coverage, family-wise error and power of ``scenario``; ``whole`` takes all of it through the summary.

    A pilot without any effect counts towards the error and reports what is detectable for one variant, each in turn.
    In a new experiment that variant has exactly this effect, the others none. An interval or a ``detectable`` that
    is not reported, since all pairs differ by the same, counts neither for nor against; ``reported`` is their share.
    """
    judge: Callable[[Floats], list[Judged]] = by_summary if whole else by_functions
    errors = held = intervals = shown = reported = 0
    for repetition in range(repetitions):
        pilot = simulate(generator, scenario, [0.0] * scenario.variants)
        judged = judge(pilot)
        errors += any(one.verdict in (Verdict.BETTER, Verdict.WORSE) for one in judged)
        varied = repetition % scenario.variants
        effect = judged[varied].difference.detectable
        if effect is None:
            continue
        reported += 1
        runs = simulate(generator, scenario, [effect * (index == varied) for index in range(scenario.variants)])
        again = judge(runs)
        shown += again[varied].verdict is Verdict.BETTER
        intervals += again[varied].difference.low is not None
        held += holds(again[varied].difference, effect)
        if repetition < CHECKED and not (by_summary(pilot) == by_functions(pilot) and by_summary(runs) == again):
            raise AssertionError(f"the summary and its functions disagree in {scenario}")
    return {
        "coverage": Share(held, intervals),
        "error": Share(errors, repetitions),
        "power": Share(shown, reported),
        "reported": Share(reported, repetitions),
    }


def missed(shares: dict[str, Share]) -> list[str]:
    """The names of the bars that ``shares`` do not reach."""
    bars = {
        "coverage": COVERAGE[0] <= shares["coverage"].value <= COVERAGE[1],
        "error": shares["error"].value <= ERROR,
        "power": shares["power"].value >= POWER,
    }
    return [name for name, reached in bars.items() if not reached]


def one_by_one(
    generator: np.random.Generator, first: int, precision: float, effects: Sequence[float], repetitions: int
) -> tuple[Share, Share, float]:
    """Where the rule stops: coverage of the interval it looks at and of the first variant's, and the mean seeds.

    From ``first`` seeds on it looks at the variant whose mean difference is the largest at that time, and stops when
    half the width of that interval is at most ``precision``.
    """
    scenario = Scenario(name="one by one", seeds=MOST_SEEDS, noise=(NOISE,) * (len(effects) + 1))
    held = held_first = seeds = 0
    for repetition in range(repetitions):
        accuracies = simulate(generator, scenario, effects)
        for count in range(first, MOST_SEEDS + 1):
            runs = accuracies[:, :count]
            largest = int(np.abs((runs[1:] - runs[0]).mean(axis=1)).argmax())
            difference = paired_difference(runs[1 + largest], runs[0], comparisons=len(effects))
            if repetition < CHECKED:
                variant = summary_of(runs).largest
                if variant is None or (variant.value, variant.difference) != (str(1 + largest), difference):
                    raise AssertionError(f"the summary and its functions disagree one by one at {count} seeds")
            assert difference.half_width is not None
            if difference.half_width <= precision:
                break
        held += holds(difference, effects[largest])
        held_first += holds(paired_difference(runs[1], runs[0], comparisons=len(effects)), effects[0])
        seeds += count
    return Share(held, repetitions), Share(held_first, repetitions), seeds / repetitions


def main() -> int:
    """Print a table, then one JSON document; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # statsmodels' multipletests collects garbage at every call: 45 ms while it looks through torch and all the rest.
    gc.freeze()
    generator, start = np.random.default_rng(options.seed), time.process_time()

    results, failures = [], []
    print(f"in percent of {options.repetitions} repetitions, with standard errors")
    print(f"{'':<20} seeds variants  coverage 93 to 97  error at most 6  power at least 78  reported")
    for scenario in scenarios():
        whole = scenario.promised and (scenario.name, scenario.seeds, scenario.variants) == ("equal spread", 5, 4)
        for repetitions in (options.repetitions, AGAIN * options.repetitions):
            shares = promises(generator, scenario, repetitions, whole=whole)
            bad = missed(shares) if scenario.promised else []
            remarks = [
                *([] if scenario.promised else ["no bar"]),
                *(["through the summary"] if whole else []),
                *([f"{repetitions} repetitions"] if repetitions != options.repetitions else []),
                *(f"MISSED: {name}" for name in bad),
            ]
            print(f"{scenario.name:<20} {scenario.seeds:>5} {scenario.variants:>8}  {shares['coverage'].words:>17}  "
                  f"{shares['error'].words:>15}  {shares['power'].words:>17}  {100 * shares['reported'].value:>8.1f}"
                  f"  {', '.join(remarks)}".rstrip(), flush=True)  # fmt: skip
            results.append(
                {"scenario": scenario.name, "seeds": scenario.seeds, "variants": scenario.variants}
                | {"promised": scenario.promised, "through_summary": whole, "missed": bad}
                | {name: share.json() for name, share in shares.items()}
            )
            if not bad:
                break
        failures += [f"{name}: {scenario.name}, {scenario.seeds} seeds, {scenario.variants} variants" for name in bad]

    sequential = []
    print(
        f"seeds one by one up to {MOST_SEEDS}, until the interval of the largest difference is +- {PRECISION}; no bar"
    )
    for effects in ((0.0,), (0.0,) * 4, (0.02, 0.0, 0.0, 0.0)):
        for first, precision in ((3, PRECISION), (5, PRECISION), (10, math.inf)):
            largest, chosen, seeds = one_by_one(generator, first, precision, effects, options.repetitions)
            rule = f"from {first} seeds" if math.isfinite(precision) else f"always {first}"
            print(f"effects {' '.join(f'{effect:g}' for effect in effects):<12} {rule:<12}  {seeds:4.1f} seeds  "
                  f"coverage of the largest {largest.words}, of the first {chosen.words}", flush=True)  # fmt: skip
            sequential.append(
                {"effects": effects, "first": first, "stops": math.isfinite(precision), "mean_seeds": round(seeds, 2)}
                | {"coverage_of_largest": largest.json(), "coverage_of_first": chosen.json()}
            )

    for failure in failures:
        print(f"bar missed: {failure}")
    print(f"{time.process_time() - start:.0f} s")
    print(
        json.dumps(
            {"repetitions": options.repetitions, "seed": options.seed, "seconds": round(time.process_time() - start)}
            | {"bars": {"coverage": COVERAGE, "error": ERROR, "power": POWER}, "missed": failures}
            | {"precision": PRECISION, "results": results, "one_by_one": sequential}
        )
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
