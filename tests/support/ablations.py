"""Ablations that could have been, as rows and environments, and what is made of them."""

import random
import sys
import zlib
from pathlib import Path

from reports import environment as search_environment
from reports import write_report

from mvit_nas.results.ablation import page
from mvit_nas.results.ablation.summary import summarise
from mvit_nas.results.table import table_of
from mvit_nas.study.origin_file import parse_origin


def variant(matched="", *, base=False, notes=(), **labels):
    return {
        "labels": labels,
        "matched": matched,
        "is_base": base,
        "arch_id": f"{zlib.crc32(repr((labels, matched)).encode()):08x}",
        "notes": list(notes),
    }


def environment(variants, *, seeds=range(5), left_out=(), precision=None, stopped="", **changes):
    """The environment of an ablation over ``variants``; the first one's labels name the factors."""
    document = search_environment()
    del document["hypervolume_reference"], document["space"], document["presets"]
    document |= {
        "study": "patch size",
        "command": "mvit-nas ablate patch_size=1,2,4 --data clothing",
        "experiment": {
            "schedule": {"name": "short", "epochs": 8},
            "seeds": list(seeds),
            "max_seeds": len(seeds),
            "precision": precision,
            "match": "macs",
        },
        "ablation": {
            "factors": list(variants[0]["labels"]),
            "base": "mobilevit_xxs",
            "variants": variants,
            "left_out": list(left_out),
            "seeds": list(seeds),
            "precision": precision,
            "stopped": stopped,
        },
    }
    return document | changes


def run(one, seed, accuracy, **more):
    return {
        "arch_id": one["arch_id"],
        "name": "",
        "state": "complete",
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.05,
        "accuracy_high": accuracy + 0.05,
        "params": 1_000_000,
        "macs": 200_000_000,
        "latency_ms": 5.0,
        "latency_low_ms": 4.9,
        "latency_high_ms": 5.1,
        "seconds": 40.0,
        "cached": False,
        "seed": seed,
        "reason": "",
        **{f"param.{name}": label for name, label in one["labels"].items()},
        "param.matched": one["matched"],
        **more,
    }


def failed(one, seed, reason, **more):
    lost = dict.fromkeys(
        ["accuracy", "accuracy_low", "accuracy_high", "latency_ms", "latency_low_ms", "latency_high_ms"]
    )
    return run(one, seed, 0.5) | lost | {"state": "failed", "reason": reason} | more


def example():
    """Patch sizes that could have been: one better, one worse, one that does not show, one with a failed run."""
    luck = random.Random(3)
    shift = [luck.gauss(0, 0.012) for _ in range(5)]
    resized = ("stage 4: a 7 px map is resized to 8 px for patch size 2",)
    effects = [
        (variant(patch_size="2", base=True, notes=resized), 0.0, 951, 261, 7.4),
        (variant(patch_size="1"), 0.021, 951, 334, 9.9),
        (variant(patch_size="1", matched="macs"), 0.004, 742, 262, 7.9),
        (
            variant(patch_size="4", notes=["stage 4: a 7 px map is resized to 8 px for patch size 4"]),
            -0.017,
            951,
            249,
            7.2,
        ),
        (variant(patch_size="4", matched="macs"), -0.012, 1013, 260, 7.5),
        (
            variant(patch_size="8", notes=["stage 5: a 4 px map is resized to 8 px for patch size 8"]),
            -0.03,
            951,
            262,
            7.5,
        ),
    ]
    rows = []
    for one, effect, params, macs, latency in effects:
        costs = {"params": params * 1000, "macs": macs * 1_000_000, "latency_ms": latency}
        costs |= {"latency_low_ms": 0.985 * latency, "latency_high_ms": 1.02 * latency}
        for seed in range(5):
            accuracy = 0.631 + shift[seed] + effect + luck.gauss(0, 0.005)
            more = {"seconds": 40 + 0.1 * macs + seed, "cached": one["is_base"] and seed == 0}
            if (one["labels"]["patch_size"], seed) == ("8", 3):
                rows.append(
                    failed(one, seed, "the loss is not finite at step 112")
                    | {"params": costs["params"], "macs": costs["macs"]}
                )
            else:
                rows.append(run(one, seed, accuracy, **costs, **more))
    left_out = [{"labels": {"patch_size": "3"}, "reason": "2 x 3 x 3 = 18 tokens do not tile a 7 px map"}]
    stopped = "precision not reached: the widest interval is ± 1.1 points, asked were ± 0.5"
    document = environment([one for one, *_ in effects], left_out=left_out, precision=0.005, stopped=stopped)
    return rows, document


def example_of_two():
    """Two factors that get in each other's way."""
    luck = random.Random(8)
    shift = [luck.gauss(0, 0.01) for _ in range(5)]
    variants = [
        variant(patch_size=size, depth=depth, base=(size, depth) == ("2", "2 4 3"))
        for size in ("1", "2", "4")
        for depth in ("1 2 1", "2 4 3", "4 6 5")
    ]
    rows = []
    for one in variants:
        size, depth = one["labels"].values()
        effect = {"1": 0.01, "2": 0.0, "4": -0.015}[size] + {"1": -0.02, "2": 0.0, "4": 0.012}[depth[0]]
        effect -= 0.03 * (size == "4" and depth[0] == "4")
        macs = int(261e6 * {"1": 1.3, "2": 1, "4": 0.94}[size] * (0.7 + 0.1 * int(depth[0])))
        for seed in range(5):
            accuracy = 0.63 + shift[seed] + effect + luck.gauss(0, 0.003)
            rows.append(run(one, seed, accuracy, macs=macs, params=700_000 + 120_000 * int(depth[0])))
    return rows, environment(variants)


def by_hand(**changes):
    """One value against the base over three seeds: 3, 2 and 4 points better, for 8 % more MACs."""
    base, four = variant(patch_size="2", base=True), variant(patch_size="4", notes=["stage 4: resized"])
    rows = [run(base, seed, accuracy, arch_id="aa") for seed, accuracy in enumerate([0.60, 0.62, 0.64])]
    rows += [
        run(four, seed, accuracy, arch_id="bb", macs=216_000_000) for seed, accuracy in enumerate([0.63, 0.64, 0.68])
    ]
    return rows, environment([base, four], seeds=range(3), **changes)


def two_seeds():
    rows, document = example()
    return [row for row in rows if row["seed"] < 2], document


def all_equal():
    base, four = variant(patch_size="2", base=True), variant(patch_size="4")
    rows = [run(one, seed, 0.5) for one in (base, four) for seed in range(5)]
    return rows, environment([base, four])


def all_failed():
    base, four = variant(patch_size="2", base=True), variant(patch_size="4")
    rows = [failed(one, seed, "no memory") for one in (base, four) for seed in range(5)]
    return rows, environment([base, four])


def base_missing():
    rows, document = example()
    return [row for row in rows if row["param.patch_size"] != "2"], document


def no_runs():
    return [], example()[1]


def without_latency():
    rows, document = by_hand(latency=None)
    return [row | dict.fromkeys(["latency_ms", "latency_low_ms", "latency_high_ms"]) for row in rows], document


HOSTILE = "<img src=x onerror=alert(3)></script><script>alert(2)</script>"


def hostile():
    base, other = variant(**{HOSTILE: "2"}, base=True, notes=[HOSTILE]), variant(**{HOSTILE: HOSTILE}, notes=[HOSTILE])
    rows = [run(one, seed, 0.5 + 0.01 * seed * seed) for one in (base, other) for seed in range(3)]
    rows += [failed(other, 3, HOSTILE), run(base, 3, 0.52)]
    left_out = [{"labels": {HOSTILE: HOSTILE}, "reason": HOSTILE}]
    document = environment([base, other], seeds=range(4), left_out=left_out, stopped=HOSTILE, study=HOSTILE)
    document["ablation"]["base"] = HOSTILE
    return rows, document


def records_of(rows):
    """The runs that a table of ``rows`` holds."""
    return table_of(rows).records


def origin_of(document):
    return parse_origin(document, where="environment.json")


def page_of(rows, document):
    return page.page_data(records_of(rows), origin_of(document))


def summary_of(rows, document):
    origin = origin_of(document)
    return summarise(records_of(rows), origin.plan, origin.experiment.score)


if __name__ == "__main__":  # example pages, to look at: python tests/support/ablations.py FOLDER
    for made, name in ((example(), "example-ablation"), (example_of_two(), "example-ablation-of-two")):
        rows, document = made
        print(write_report(rows, document, Path(sys.argv[1]) / name))
