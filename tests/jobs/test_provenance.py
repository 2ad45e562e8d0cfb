"""Where numbers come from."""

import subprocess

from mvit_nas.jobs.provenance import commit_of


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
