"""What Python computes and says, for the unit tests of the page's script: python tests/page_numbers.py writes it anew.

tests/test_page_bundle.py finds a file that is no longer what Python computes.
"""

import json
import math
import random
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from reports import environment, example_table, rows_of, trained, view
from scipy.special import log_ndtr

from mvit_nas.arch.config import to_dict
from mvit_nas.arch.paths import flat, with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.maths import pareto
from mvit_nas.metrics import ACCURACY, LATENCY, MACS, METRICS, PARAMS, Form
from mvit_nas.results.page import finite
from mvit_nas.results.search.document import document, history
from mvit_nas.results.search.findings import findings
from mvit_nas.results.search.letters import letters, names
from mvit_nas.results.table import make_table, table_of, write_table
from mvit_nas.units import format_count, format_seconds

FILE = Path(__file__).parents[2] / "page/test/python.json"
LIMITS = (
    {"params": 2_500_000},
    {"latency_ms": 9.5, "accuracy": 0.6},
    {"params": 4_000_000, "macs": 900_000_000},
    {"latency_ms": 0.001},
)


def numbers(folder):
    """All of it; ``folder`` is for the table as a file."""
    table = drawn_table()
    seen = view(table)
    write_table(table, folder / "results.csv")
    xxs, s = PRESETS["mobilevit_xxs"], PRESETS["mobilevit_s"]
    fewer = {"stages": to_dict(xxs)["stages"][:-1]}
    pairs = [
        (xxs, xxs),
        (xxs, s),
        (xxs, with_values(xxs, {"stages.2.mobilevit": None, "image_size": 192})),
        (with_values(xxs, fewer), xxs),
    ]
    return {
        "words": words(),
        "fronts": list(fronts()),
        "names": list(names(seen).values()),
        "document": document(seen, {}, history(seen)),
        "findings": finite([asdict(finding) for finding in findings(seen)]),
        "limited": [limited(table, limits) for limits in LIMITS],
        "sure": sure(seen),
        "csv": (folder / "results.csv").read_text(),
        "letters": letters(60),
        "commands": [
            f"mvit-nas confirm {shlex.quote(environment()['study'])} 1",
            f"mvit-nas latency {shlex.quote(environment()['study'] + ':1')}",
            f"mvit-nas ablate width --base {shlex.quote(environment()['study'] + ':1')}",
            " ".join(
                [
                    f"mvit-nas train {shlex.quote(environment()['study'] + ':1')}",
                    f"--test --name {shlex.quote(environment()['study'] + '-1-full')}",
                ]
            ),
            f"mvit-nas export models/{shlex.quote(environment()['study'] + '-1-full')} --format onnx,pte,tflite",
        ],
        "differences": [
            {"one": to_dict(one), "other": to_dict(other), "found": differences(one, other)} for one, other in pairs
        ],
    }


def sure(seen):
    """Who may be the best, by row, and the tails that it hangs on."""
    found = seen.sure
    return {
        "best": [[row, chance] for row, chance in found.best.items()],
        "tails": [[x, float(log_ndtr(x))] for x in (-8.0, -2.5, -0.1, 0.0, 0.7, 4.0)],
    }


def differences(one, other):
    """Every path at which ``one`` and ``other`` differ: "stages.2.mobilevit.dim", with both values.

    Where only one has a part (a stage, a MobileViT block), the part is one difference, and nothing below it.
    """
    mine, theirs = flat(to_dict(one)), flat(to_dict(other))
    found: list[dict[str, Any]] = []
    for path in dict.fromkeys([*mine, *theirs]):
        values = mine.get(path), theirs.get(path)
        below = any(path.startswith(f"{change['path']}.") for change in found)
        parts = all(isinstance(value, Mapping | tuple) for value in values)
        if values[0] != values[1] and not below and not parts:
            found.append({"path": path, "one": values[0], "other": values[1]})
    return found


def drawn_table():
    """The example's rows, some with an architecture and with text that a file must keep."""
    rows = rows_of(example_table())
    rows[1]["arch"] = json.dumps(to_dict(PRESETS["mobilevit_xs"]), sort_keys=True)
    rows[2]["arch"] = json.dumps(to_dict(PRESETS["mobilevit_s"]), sort_keys=True)
    rows[4]["reason"] = 'a "quoted" word,\na line and an <em>ü</em>'
    rows[5]["arch"] = "{}"
    rows.append(trained(36, 0.5, 10, 2**60, 1e-5, arch_id="tiny", seconds=1e16))
    return table_of(rows)


def limited(table, limits):
    """The best and the cheapest within a point of it, and the front, of the trained records within ``limits``."""
    kept = [index for index, record in enumerate(table.records) if record.is_complete]
    for name, limit in limits.items():
        metric, values = METRICS[name], [record.value(METRICS[name]) for record in table.records]
        kept = [
            i for i in kept if values[i] is not None and (values[i] >= limit if metric.maximise else values[i] <= limit)
        ]
    seen = view(make_table(table.records[index] for index in kept), environment(presets=[]))
    # The letters are of the whole study's front, and so is what is tied: the page's stay while a slider moves.
    found = [{"detail": one.detail, "numbers": one.facts[0]} for one in findings(seen) if one.subject]
    scored = sum(record.is_complete for record in table.records)
    found = found or [{"detail": "", "numbers": f"none of the {scored} trained ones does"}]
    return {"limits": limits, "found": found, "front": [kept[position] for position in seen.front]}


def words():
    luck = random.Random(0)
    values = [0.0, 0.125, 0.5, 2.5, 72.25, 72.35, 0.045, 1e-5, 123.5, 1234.0, 99.95, 0.0004, 5578632.0, 1e21]
    values += [luck.random() * 10 ** luck.randint(-5, 9) for _ in range(60)]
    shares = [k / n for n in (341, 400, 1000) for k in (0, n // 3, n // 2 + 1, n)] + [0.7225, 0.7235]
    return {
        "fixed": [[[value, digits], f"{value:.{digits}f}"] for value in values if value < 1e20 for digits in (0, 1, 2)],
        "significant": [
            [[value, zeros], f"{value:#.3g}".rstrip(".") if zeros else f"{value:.3g}"]
            for value in values
            for zeros in (False, True)
        ],
        "count": [[[value], format_count(value)] for value in values],
        "metric": [
            [[metric.name, value], metric.format(value)]
            for metric in METRICS.values()
            for value in (shares if metric.form is Form.SHARE else values)
        ],
        "seconds": [[[value], format_seconds(value)] for value in (0.4, 0.5, 1.5, 59.5, 61, 3599.5, 3600, 86399.0)],
        "interval": [
            [[metric.name, low, high], "" if low is None else metric.interval(low, high)]
            for metric in (ACCURACY, LATENCY)
            for low, high in ((0.1, 0.2), (0.7225, 0.7635), (0.689, 0.736), (None, 0.5))
        ],
        "change": [
            [[cost.name, ratio], cost.change(ratio)]
            for cost in (PARAMS, MACS, LATENCY)
            for ratio in (0.5, 0.996, 1.0, 1.004, 1.005, 1.125, 3.14159)
        ],
        "float": [[[value], str(value)] for value in [*values, -2.0, 1e16, 123456789012345680.0, 1e-4, 0.00009999]],
        "shell": [[[text], shlex.quote(text)] for text in ("a", "a b", "it's", "a/b:37", "$x", "ü", "a;b")],
    }


def fronts():
    luck = random.Random(1)
    for objectives in (2, 3, 4):
        for rows in (1, 7, 40, 120):
            # Few different values, so that there are ties and copies.
            columns: list[list[float | None]] = [
                [luck.choice([luck.randint(0, 9), luck.random() * 9]) for _ in range(rows)] for _ in range(objectives)
            ]
            for row in range(0, rows, 11):
                columns[row % objectives][row] = None
            maximise = [luck.random() < 0.5 for _ in range(objectives)]
            values = np.array([[math.nan if v is None else v for v in column] for column in columns]).T
            yield {
                "columns": columns,
                "maximise": maximise,
                "front": np.flatnonzero(pareto.front(values, maximise)).tolist(),
            }


def text(folder):
    """The file's text."""
    return json.dumps(numbers(folder), indent=None, ensure_ascii=False, allow_nan=False) + "\n"


if __name__ == "__main__":
    import tempfile

    FILE.write_text(text(Path(tempfile.mkdtemp())), "utf-8")
