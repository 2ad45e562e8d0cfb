"""Do two checkouts of this project compute the same? The question of every refactor.

Runs a search and an ablation on the digits and a comparison of kept searches by both, and makes the pages of kept
studies again. Equal must be: every column of the tables but the measured times, the documents that ``compare`` prints,
and the words of the pages. The older checkout's answers are kept in FOLDER, so that only the newer one runs again.

    python benchmarks/compare_checkouts.py OLD [NEW] [--keep FOLDER] [--only search ablate compare pages]

Takes a few minutes for each checkout. Exits with 1 and names what differs, else with 0.
"""

import argparse
import csv
import html
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Times, and what hangs on the machine; latency is off in the search and cannot be in the ablation.
_MEASURED = re.compile(r"(training_)?seconds|latency_.*")
_SEARCH = "search --trials 4 --seed 3 --objectives accuracy,params,macs --budget 6M --name it"
_ABLATION = "ablate patch_size --values 1 2 --seeds 2 --schedule smoke --name it"
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)


def main() -> int:
    """Compare, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path, nargs="?", default=ROOT)
    parser.add_argument("--keep", type=Path, help="where the answers of the older checkout are kept")
    parser.add_argument("--only", nargs="*", default=["search", "ablate", "compare", "pages"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        old = answers(options.old.resolve(), options.keep or Path(scratch) / "old", options.only)
        new = answers(options.new.resolve(), Path(scratch) / "new", options.only)
    differences = [line for name in options.only for line in differing(name, old[name], new[name])]
    print("\n".join(differences) or f"equal: {', '.join(options.only)}")
    print(json.dumps({"compared": options.only, "differences": len(differences)}))
    return 1 if differences else 0


def answers(checkout: Path, folder: Path, parts: list[str]) -> dict[str, dict[str, list[str]]]:
    """What ``checkout`` computes, by part and file, as lines."""
    found = {}
    for part in parts:
        kept = folder / f"{part}.json"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            print(f"{part} by {checkout.name}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory() as scratch:
                lines = {"compare": compared, "pages": pages}.get(part, tables)(checkout, Path(scratch), part)
            kept.write_text(json.dumps(lines))
        found[part] = json.loads(kept.read_text())
    return found


def tables(checkout: Path, scratch: Path, part: str) -> dict[str, list[str]]:
    """The table of a search or an ablation, a line for each cell that is not a measured time."""
    run(checkout, scratch, *(_SEARCH if part == "search" else _ABLATION).split())
    with (scratch / "reports/it/results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if not _MEASURED.fullmatch(name)]
    return {"results.csv": [f"row {i}, {name}: {row[name]}" for i, row in enumerate(rows) for name in columns]}


def compared(checkout: Path, scratch: Path, part: str) -> dict[str, list[str]]:
    """What ``compare`` says of the kept searches."""
    studies = sorted(str(path.parent) for path in (ROOT / "experiments/search_efficiency").glob("*/results.csv"))
    text = run(checkout, scratch, "compare", *studies, "--name", "it", "--json")
    document = {key: value for key, value in json.loads(text).items() if key != "report"}
    return {"comparison": json.dumps(document, indent=1).splitlines(), **page(scratch / "reports/it/compare.html")}


def pages(checkout: Path, scratch: Path, part: str) -> dict[str, list[str]]:
    """The words of the pages of all kept studies."""
    found: dict[str, list[str]] = {}
    for table in sorted((ROOT / "experiments").rglob("results.csv")):
        folder = scratch / table.parent.name
        folder.mkdir()
        for name in ("results.csv", "environment.json"):
            (folder / name).write_bytes((table.parent / name).read_bytes())
        run(checkout, scratch, "report", str(folder))
        found |= page(folder / "report.html")
    return found


def page(path: Path) -> dict[str, list[str]]:
    """The words of a page; the command and the time at which it was made are left out."""
    words = (" ".join(html.unescape(part).split()) for part in _TAGS.split(path.read_text()) if part)
    lines = [line for line in words if line and "mvit-nas compare" not in line]
    return {f"{path.parent.name}/{path.name}": [line for line in lines if not re.match(r"20\d\d-\d\d-\d\d", line)]}


def run(checkout: Path, scratch: Path, *arguments: str) -> str:
    """What a command of ``checkout`` prints, run in ``scratch`` with a cache of its own."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "MVIT_NAS_CACHE": str(scratch / "cache")}
    command = [sys.executable, "-m", "mvit_nas", *arguments]
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{checkout}: mvit-nas {' '.join(arguments)} failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def differing(part: str, old: dict[str, list[str]], new: dict[str, list[str]]) -> Iterator[str]:
    """What differs, a line each."""
    for file in {**old, **new}:
        before, after = old.get(file, []), new.get(file, [])
        if len(before) != len(after):
            yield f"{part}, {file}: {len(before)} entries before, {len(after)} now"
        for one, other in zip(before, after, strict=False):
            if one != other:
                yield f"{part}, {file}: {one!r} before, {other!r} now"


if __name__ == "__main__":
    sys.exit(main())
