"""Imports point down, a library has one owner, and importing the package is instant and silent."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mvit_nas

PACKAGE = Path(mvit_nas.__file__).parent
LEAVES = {"errors", "units", "files", "documents", "silence", "reporter", "metrics", "budget", "maths"}
# What each layer may import of the package, beside itself and the leaves.
ALLOWED = {
    "errors": set(),
    "units": set(),
    "files": set(),
    "documents": set(),
    "silence": set(),
    "reporter": set(),
    "metrics": set(),
    "budget": set(),
    "maths": set(),
    "arch": set(),
    "study": {"arch"},
    "nn": {"arch"},
    "cost": set(),
    "data": set(),
    "tasks": set(),
    "training": {"study", "tasks"},
    "models": {"data", "nn", "arch", ""},
    "hf": {"models", "nn"},
    "artifacts": {"models", "data", "cost", "nn", "arch"},
    "evaluate": {"study", "artifacts", "training", "tasks", "data", "cost", "nn", "arch"},
    "optimize": {"study", "evaluate", "training", "data", "cost", "nn", "arch"},
    "ablation": {"study", "training", "tasks", "arch"},
    "results": {"study", "arch"},
    "figures": {"results", "study"},
    "settings": {"arch"},
    "jobs": {
        *(
            "study",
            "results",
            "optimize",
            "ablation",
            "evaluate",
            "models",
            "artifacts",
            "training",
            "tasks",
            "data",
            "cost",
            "nn",
            "arch",
        ),
        *("settings", ""),
    },
    "cli": {"artifacts", "jobs", "study", "results", "settings", "arch", ""},
}
OWNERS = {
    "optuna": {"study/storage.py", "study/store.py", "optimize/samplers.py"},
    "sklearn": {"optimize/surrogate.py", "artifacts/checked.py", "data/digits.py"},
    "fvcore": {"cost/static.py"},
    "typer": {"cli/app.py", "cli/flags.py"},
    "rich": {"cli/progress.py", "cli/tables.py", "cli/shipping.py", "cli/terminal.py", "cli/workers.py"},
    "jinja2": {"results/report.py"},
    "statsmodels": {"maths/statistics.py"},
    "onnx": {"cost/runtimes/onnx.py", "models/embedded.py"},
    "onnxruntime": {"cost/runtimes/onnx.py", "cost/probe.py", "models/executed.py"},
    "litert_torch": {"cost/runtimes/litert.py"},
    "ai_edge_quantizer": {"cost/runtimes/litert.py"},
    "ai_edge_litert": {"cost/runtimes/litert.py", "cost/probe.py", "models/executed.py"},
    "executorch": {"cost/runtimes/executorch.py", "cost/probe.py", "models/embedded.py", "models/executed.py"},
    "transformers": {"hf.py"},
    "torchao": {"cost/runtimes/executorch.py"},
    "coremltools": {"artifacts/coreml.py"},
    "yaml": {"documents.py", "settings/study_file.py"},
    "filelock": {"files.py", "data/store.py"},
    "submitit": {"jobs/launch.py"},
    "ray": {"jobs/ray_cluster.py"},
    "huggingface_hub": {"models/sources.py"},
}
FOLDERS = {"pandas": "results/", "plotly": "figures/"}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or not path.name.startswith("__"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down_and_libraries_have_owners(path):
    relative = path.relative_to(PACKAGE)
    layer = relative.parts[0].removesuffix(".py")
    for name in imports(path):
        library, _, rest = name.partition(".")
        if library == "mvit_nas":
            other = rest.split(".")[0]
            assert other == layer or other in LEAVES | ALLOWED[layer], f"{relative} imports {name}"
        if library in OWNERS:
            assert str(relative) in OWNERS[library], f"{relative} imports {library}"
        if library in FOLDERS:
            assert str(relative).startswith(FOLDERS[library]), f"{relative} imports {library}"
        if library in ("torch", "optuna"):
            assert layer not in ("arch", "results", "figures", "settings", "units", "metrics", "budget", "errors"), (
                f"{relative} imports {library}"
            )
        assert library != "torchvision", f"{relative} imports torchvision"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_the_package_and_the_command_line_loads_nothing_heavy():
    heavy = "{'torch', 'optuna', 'pandas', 'plotly', 'numpy', 'fvcore', 'sklearn', 'pyarrow'}"
    assert run(f"import sys, mvit_nas, mvit_nas.cli.app; print(sorted({heavy} & set(sys.modules)))") == "[]\n"


def test_only_figures_load_plotly():
    """Neither help, nor a page, nor a search pays for it."""
    code = """
import contextlib, sys
import mvit_nas.cli.app, mvit_nas.jobs.ablate, mvit_nas.jobs.search, mvit_nas.results.report
sys.argv = ["mvit-nas", "--help"]
with contextlib.suppress(SystemExit):
    mvit_nas.cli.app.main()
print("plotly" in sys.modules)
from mvit_nas import figures
print("plotly" in sys.modules)
"""
    *shown, without, with_figures = run(code).splitlines()
    assert any("search" in line for line in shown)
    assert (without, with_figures) == ("False", "True")


def test_knowing_the_runtimes_loads_none():
    heavy = "{'onnx', 'onnxruntime', 'litert_torch', 'ai_edge_litert', 'executorch', 'torchao', 'jax'}"
    code = f"import sys, mvit_nas.cost.runtimes.registry as k; [k.is_installed(r) for r in k.RUNTIMES.values()]; print(sorted({heavy} & set(sys.modules)))"
    assert run(code) == "[]\n"


def test_the_public_names_are_there_and_others_are_not():
    assert run("import mvit_nas; [getattr(mvit_nas, name) for name in mvit_nas.__all__]") == ""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mvit_nas.nothing  # noqa: B018


def test_reports_and_figures_need_neither_torch_nor_optuna():
    # Comparisons are made by the same module.
    assert run("import sys, mvit_nas.results.report; print(sorted({'torch', 'optuna'} & set(sys.modules)))") == "[]\n"
    assert run("import sys, mvit_nas.figures; print(sorted({'torch', 'optuna'} & set(sys.modules)))") == "[]\n"
