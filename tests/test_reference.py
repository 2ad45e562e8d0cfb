"""The parts of the documentation that are made of the code are fresh."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_reference_and_layout_are_what_the_code_says():
    command = [sys.executable, str(ROOT / "docs/make_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_architecture_names_every_module():
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    for path in (ROOT / "mvit_nas").rglob("*.py"):
        assert path.name in text or path.name.startswith("__"), path
