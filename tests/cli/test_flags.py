"""Commands from settings: what is typed, what the file says, and what the help shows."""

import pytest
import typer.main
from commands import answer

from mvit_nas.cli import flags
from mvit_nas.cli.app import app
from mvit_nas.settings.commands import AblateSettings, LatencySettings, SearchSettings


@pytest.fixture
def settings(monkeypatch):
    """The settings that a line makes."""

    def made(kind, line):
        caught = []

        def run(settings: object) -> None:
            """Catch them."""
            caught.append(settings)

        run.__annotations__ = {"settings": kind}
        application = typer.Typer(rich_markup_mode=None, add_completion=False)
        flags.command(application, run)
        command = typer.main.get_command(application)
        command.main(line, standalone_mode=False)
        return caught[0]

    return made


def test_nothing_typed_is_the_defaults_of_the_fields(settings):
    assert settings(SearchSettings, []) == SearchSettings()
    assert settings(AblateSettings, ["depth"]) == AblateSettings(factors=("depth",))
    assert settings(LatencySettings, ["x", "y"]) == LatencySettings(choices=("x", "y"))


def test_what_is_typed_comes_before_what_the_file_says_and_that_before_the_defaults(settings, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("trials: 3\nseed: 7\nearly_stopping: true\nobjectives: accuracy,macs\n")
    found = settings(SearchSettings, ["--config", str(file), "--trials", "12", "--json"])
    assert (found.trials, found.seed, found.early_stopping, found.objectives) == (12, 7, True, ("accuracy", "macs"))
    assert found.sampler == SearchSettings().sampler
    assert found.as_json
    ablation = tmp_path / "a.yaml"
    ablation.write_text("factors: [depth]\nvalues: 1 2\nseeds: 3\n")
    found = settings(AblateSettings, ["--config", str(ablation)])
    assert (found.factors, found.values, found.seeds) == (("depth",), (("1", "2"),), (0, 1, 2))


def test_values_end_at_the_next_flag_wherever_they_stand(settings):
    line = ["--seeds", "2", "depth", "heads", "--values", "1", "8,4,2", "--resume", "--values", "2", "--base", "x"]
    found = settings(AblateSettings, line)
    assert found.values == (("1", "8,4,2"), ("2",))
    assert (found.factors, found.resume, found.base, found.seeds) == (("depth", "heads"), True, "x", (0, 1))


@pytest.mark.parametrize("name", ["search", "ablate", "confirm", "latency", "devices", "report", "compare"])
def test_the_help_fits_eighty_columns_and_shows_every_flag(name, tmp_path, cache):
    text = answer(name, "--help", cwd=tmp_path, cache=cache).out
    assert max(map(len, text.splitlines())) <= 80
    command = typer.main.get_group(app).commands[name]
    for parameter in command.params:
        assert parameter.opts[-1] in text or parameter.param_type_name == "argument"
    assert "--help" in text.splitlines()[-1]


def test_the_help_says_what_a_flag_is_without_it(tmp_path, cache):
    text = " ".join(answer("ablate", "--help", cwd=tmp_path, cache=cache).out.split())
    for words in (
        "[default: mobilevit_xxs]",
        "[default: 5]",
        "Without it: short; for scikit-learn's digits, digits.",
        "[default: .]",
        "interaction. [required]",
    ):
        assert words in text
    assert "[default: 1%]" in answer("latency", "--help", cwd=tmp_path, cache=cache).out
