"""The README's commands exist with the flags that it shows; CI runs its two main commands as they stand."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer.main
import yaml

from mvit_nas import figures
from mvit_nas.cli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


SCALING = ROOT / "docs/scaling"


def commands():
    names = "search|ablate|confirm|train|export|reproduce|report|latency|devices|compare|predict"
    text = re.findall(rf"mvit-nas (?:{names})[^`\n|]*", README)
    text += re.findall(r"^mvit-nas [^#\n]*", (ROOT / "docs/scaling.md").read_text(), re.MULTILINE)
    text += [line.strip() for line in yaml.safe_load((SCALING / "skypilot.yaml").read_text())["run"].splitlines()]
    (worker,) = yaml.safe_load((SCALING / "kubernetes.yaml").read_text())["spec"]["template"]["spec"]["containers"]
    text.append(shlex.join([*worker["command"], *worker["args"]]))
    return sorted({line.split(" && ")[0].strip() for line in text})


@pytest.mark.parametrize("line", commands())
def test_a_command_in_the_documents_parses(line):
    _, name, *arguments = shlex.split(line)
    command = typer.main.get_group(app).commands[name]
    if arguments == ["--help"]:
        return
    if name == "search" or arguments:
        command.make_context(name, arguments)


@pytest.mark.slow
def test_the_files_for_schedulers_are_what_those_take():
    kubernetes = pytest.importorskip("kubernetes_validate", reason="its schemas are 108 MB, and CI leaves them out")
    kubernetes.validate(yaml.safe_load((SCALING / "kubernetes.yaml").read_text()), kubernetes.latest_version())
    sky = pytest.importorskip(
        "sky", reason="skypilot wants a click before 8.2, which others here do not: an environment of its own"
    )
    document = yaml.safe_load((SCALING / "skypilot.yaml").read_text())
    task = sky.Task.from_yaml_config(document, secrets_overrides={"PGPASSWORD": "x"})
    assert "mvit-nas worker" in task.run


def test_every_command_is_in_the_readme():
    for name in typer.main.get_group(app).commands:
        assert f"mvit-nas {name}" in README


def test_the_two_commands_that_ci_runs_are_there():
    assert "\npip install . && mvit-nas search --budget 6M\n" in README
    assert "\npip install '.[test]' && pytest -n auto --dist worksteal\n" in README


def test_the_python_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})


def test_the_example_of_the_figures_runs_and_each_function_is_explained(tmp_path, monkeypatch):
    text = (ROOT / "docs/figures.md").read_text()
    shutil.copytree(ROOT / "experiments/search_efficiency/cost-aware-1", tmp_path / "reports/digits-6M")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "figures.md", "exec"), {})
    assert (tmp_path / "front.html").is_file()
    assert set(re.findall(r"^\| `(\w+)\(", text, re.MULTILINE)) == {*figures.__all__} - {"open_study"}


def test_links_in_the_documents_lead_to_files():
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links {target}"
