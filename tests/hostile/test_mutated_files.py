"""Thousands of mutated files: each is read, or refused in one line, in seconds and within a gigabyte.

``MVIT_NAS_HOSTILE`` is the number of files in all; `make hostile` asks for 10,000. To see a case again:
``PYTHONPATH=.:tests/support python tests/support/hostile.py KIND 1 FOLDER NUMBER``.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import hostile
import pytest

from mvit_nas.errors import InputError

CASES = int(os.environ.get("MVIT_NAS_HOSTILE", "1000"))
# Of a hundred files, by what each takes.
SHARES = {
    "space": 15, "architecture": 15, "experiment": 10, "study": 15, "database": 5, "table": 15, "image": 15, "parquet": 10,
}  # fmt: skip
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_a_mutated_file_is_read_or_refused_in_one_line(tmp_path, kind):
    program = [sys.executable, ROOT / "tests/support/hostile.py", kind, str(CASES * SHARES[kind] // 100), tmp_path]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests/support'}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["wrong"] == {}


def raise_key_error(folder):
    raise KeyError("arch")


def write_outside(folder):
    (folder.parent / "outside").write_text("x")


def say_much(folder):
    raise LongError("x" * 1000)


class LongError(InputError):
    def __str__(self):
        return self.args[0]


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (raise_key_error, "KeyError: \"'arch'\""),
        (write_outside, "outside: ['open "),
        (say_much, "a message of 1000 characters"),
        (lambda folder: None, ""),
    ],
)
def test_what_is_no_answer_is_found(tmp_path, monkeypatch, read, found):
    (tmp_path / "case").mkdir()
    outside = hostile.Outside(room=f"{tmp_path / 'case'}/")
    monkeypatch.setattr(hostile, "_watching", [outside])
    kind = hostile.Kind(write=lambda folder, luck: None, read=read)
    said = hostile.one_case(kind, tmp_path / "case", 0, outside)
    assert said.startswith(found)
    assert bool(said) == bool(found)


def test_a_seed_makes_the_same_file_again():
    whole = b"base: mobilevit_s\nfactors: {}\n" * 5
    made = [[hostile.mutated(whole, random.Random(seed)) for seed in range(40)] for _ in range(2)]
    assert made[0] == made[1]
    assert len({*made[0]}) > 35
