import random
from pathlib import Path

from test_report import environment as search_environment

from mvit_nas.results.report import write_report
from mvit_nas.results.table import make_table


def variant(matched="", *, base=False, notes=(), **labels):
    return {
        "labels": labels,
        "matched": matched,
        "is_base": base,
        "arch_id": f"{abs(hash((matched, *labels.values()))) % 16**8:08x}",
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
    return make_table(rows), document


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
    return make_table(rows), environment(variants)


if __name__ == "__main__":  # example pages, to look at: python tests/test_ablation_page.py FOLDER
    import sys

    print(write_report(*example(), Path(sys.argv[1]) / "ablation"))
    print(write_report(*example_of_two(), Path(sys.argv[1]) / "ablation-of-two"))
