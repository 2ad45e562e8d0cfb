"""What the documentation says of the code, made of the code: docs/reference.md, and the layout in docs/architecture.md.

    python docs/make_reference.py [--check]

``--check`` writes nothing, and exits with 1 where a file is no longer what the code says.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from mvit_nas.metrics import METRICS
from mvit_nas.settings.commands import COMMANDS
from mvit_nas.settings.flag import Flag, Group, flags_of
from mvit_nas.settings.looking import LOOKING
from mvit_nas.settings.shipping import SHIPPING
from mvit_nas.settings.workers import WORKERS
from mvit_nas.study.table import COLUMNS, FURTHER
from mvit_nas.training.schedule import NAMES, Schedule, find_schedule

ROOT = Path(__file__).parents[1]
_BEGIN, _END = "<!-- layout: made by docs/make_reference.py -->\n```\n", "```\n<!-- layout ends -->\n"


def main() -> int:
    """Write the files, or say which are stale."""
    architecture = ROOT / "docs/architecture.md"
    text = architecture.read_text("utf-8")
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    made = {
        ROOT / "docs/reference.md": "\n".join(reference()) + "\n",
        architecture: before + _BEGIN + "\n".join(layout()) + "\n" + _END + after,
    }
    stale = [path for path, content in made.items() if not path.exists() or path.read_text("utf-8") != content]
    if "--check" not in sys.argv:
        for path in stale:
            path.write_text(made[path], "utf-8")
        return 0
    print("\n".join(f"{path.relative_to(ROOT)} is stale: run make reference" for path in stale))
    return 1 if stale else 0


def layout() -> Iterator[str]:
    """Every module of the package with the first sentence of its docstring."""
    package = ROOT / "mvit_nas"
    paths = [path for path in package.rglob("*.py") if path.name != "__main__.py"]
    # The files of a folder before its folders, both by name.
    paths.sort(key=lambda path: [(part.endswith(".py"), part) for part in path.relative_to(package).parts])
    folders = sorted({path.parent for path in paths}, key=lambda path: path.relative_to(package).parts)
    yield "mvit_nas/"
    for folder in folders:
        own = sorted(path for path in paths if path.parent == folder)
        depth = len(folder.relative_to(package).parts)
        if depth:
            yield f"{'  ' * depth}{folder.name + '/':<{22 - 2 * depth}} {_sentence(folder / '__init__.py')}"
        for path in own:
            if path.name != "__init__.py":
                yield f"{'  ' * (depth + 1)}{path.name:<{20 - 2 * depth}} {_sentence(path)}"


def _sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").rstrip(".")


def reference() -> Iterator[str]:
    """The commands with their flags, the schedules, and the columns of tables."""
    yield "# Reference"
    yield ""
    yield "Made of the code by `make reference`. What `--json` prints is in [json.md](json.md)."
    for command, settings in {**COMMANDS, **LOOKING, **WORKERS, **SHIPPING}.items():
        yield from ("", f"## `mvit-nas {command}`", "", "| flag | default | what it does |", "|---|---|---|")
        flags = flags_of(settings)
        for group in Group:
            yield from (_row(one) for one in flags if one.group is group)
    yield from ("", "## Schedules", "")
    names = [one.name for one in fields(Schedule) if one.name != "name"]
    schedules = [find_schedule(name) for name in NAMES]
    yield f"| field | {' | '.join(f'`{one.name}`' for one in schedules)} |"
    yield "|---" * (1 + len(schedules)) + "|"
    for name in names:
        yield f"| `{name}` | {' | '.join(str(getattr(one, name)) for one in schedules)} |"
    yield from ("", "## Columns of `results.csv`", "", "| column | type | what it holds |", "|---|---|---|")
    for name, kind in COLUMNS.items():
        yield f"| `{name}` | {kind} | {_meaning(name)} |"
    yield ""
    yield (
        f"And by each further runtime R of `--measure-front`: {', '.join(f'`{name}.R`' for name in FURTHER)}; for each "
        "factor of the space `param.NAME`."
    )


def _row(one: Flag) -> str:
    flag = f"`{one.option} {one.metavar}`" if one.option and one.metavar else f"`{one.words}`"
    flag = flag.replace("|", chr(92) + "|")
    default = "" if one.required or one.default in (None, (), "", False) else f"`{one.written(one.default)}`"
    return f"| {flag} | {default} | {one.help.replace('|', chr(92) + '|')} |"


def _meaning(name: str) -> str:
    for metric in METRICS.values():
        if name == metric.name:
            return f"{metric.title}, in {metric.unit}" if metric.unit != "%" else f"{metric.title}, a share"
        if name in (metric.low, metric.high):
            return f"{'low' if name == metric.low else 'high'} end of the 95 % interval of `{metric.name}`"
    return _MEANINGS[name]


_MEANINGS = {
    "trial": "number of the trial, from 0",
    "arch_id": "name of the network; equal networks have equal ids",
    "name": "of a published preset, else empty",
    "state": "how it ended: complete, stopped, over_budget, duplicate, failed, invalid",
    "latency_runs": "runs behind the latency",
    "latency_threads": "threads that they had",
    "seconds": "what the trial cost",
    "proposed_by": "the sampler, `preset` or `first design`",
    "epochs": "epochs of training",
    "trainings": "the same as a share of the schedule's",
    "training_seconds": "seconds of the training alone, also where it was known before",
    "inherited_from": "the trial whose weights it started from",
    "rungs": "JSON: what the training was scored at on its way",
    "by_seed": "JSON: the scores with each seed, where there were several; the columns of scores hold their means",
    "cached": "taken from an earlier evaluation",
    "seed": "of weights, order and crops",
    "reason": "why it failed, or which budget it broke",
    "arch": "JSON: the architecture",
    "tokens": "how many tokens attention sees in each MobileViT block, stage after stage, at the image size",
}


if __name__ == "__main__":
    sys.exit(main())
