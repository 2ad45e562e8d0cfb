"""Where numbers come from."""

import subprocess
from types import SimpleNamespace
from typing import cast

import pytest

from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.jobs.provenance import commit_of, seed_spread


def test_the_commit_is_that_of_the_checkout_that_tracks_the_code(tmp_path):
    def git(*arguments):
        return subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout  # fmt: skip

    git("init")
    for name in ("tracked.py", "other.py"):
        (tmp_path / name).write_text("")
    git("add", "tracked.py")
    git("commit", "-m", "m")
    assert commit_of(tmp_path / "tracked.py") == git("rev-parse", "HEAD").strip()
    assert commit_of(tmp_path / "other.py") is None


def test_the_spread_of_seeds_is_pooled_over_the_networks_and_unknown_from_few():
    def known(*networks):
        training = SimpleNamespace(by_seed=lambda: [list(one) for one in networks])
        return seed_spread(cast(ShortTraining, training))

    spread = known((0.50, 0.52, 0.54), (0.70, 0.73))
    assert spread is not None
    # The squares within are 0.0008 and 0.00045, with two degrees of freedom and one.
    assert spread.deviation == pytest.approx((0.00125 / 3) ** 0.5)
    assert spread.freedom == 3
    assert spread.source == "2 networks trained 5 times in all on these images"
    assert known((0.50, 0.52, 0.54)) is None
    assert known() is None
