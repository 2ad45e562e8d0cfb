"""``--init`` as a user meets it: studies that start from a model folder, and what is confirmed of them."""

import json
import shutil

import pytest
import yaml
from commands import TINY, answer, furnished
from small_model import small_model

from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.data.contract import InputContract
from mvit_nas.models.document import ModelDocument
from mvit_nas.models.folder import Model, write_model
from mvit_nas.nn.backbone import build

# One of the space.
LIKE = with_values(
    PRESETS["mobilevit_xxs"],
    {
        "image_size": 32,
        "stem.stride": 1,
        "stages.4.stride": 1,
        "stem.channels": 8,
        "stages.*.mobilevit.dim": 40,
        "stages.*.mobilevit.depth": 2,
        **{f"stages.{stage}.channels": channels for stage, channels in enumerate((8, 16, 16, 24, 24))},
    },
)
LINE = ("--data", "photos", "--space", "space.yaml", "--schedule", "quick.yaml")
SEARCH = ("search", *LINE, "--objectives", "accuracy,params", "--budget", "500K", "--trials", 2, "--init")


def write(folder, arch, *, classes=("cat", "dog", "fish"), seed=3):
    document = ModelDocument(arch=arch, classes=classes, contract=InputContract(side=32))
    weights = build(arch, classes=len(classes), seed=seed).state_dict()
    write_model(folder, Model(document=document, weights=weights), photos=[], facts=[])


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with models, and a search that started from one of them."""
    work = furnished(tmp_path_factory.mktemp("starting"))
    write(work / "like", LIKE)
    write(work / "tiny", TINY)
    write(work / "other", LIKE, seed=4)
    write_model(work / "far", small_model(), photos=[], facts=[])
    answer(*SEARCH, "like", "--name", "s", cwd=work, cache=work / "cache")
    return work


def ask(work, *line, code=0):
    return answer(*line, cwd=work, cache=work / "cache", code=code)


def test_the_study_says_from_what_it_started_and_how_well_that_fits(work):
    environment = json.loads((work / "reports/s/environment.json").read_text())
    digest = environment["experiment"]["init"]
    (note,) = [one for one in environment["data"]["notes"] if one.startswith("Networks start")]
    assert note.startswith(f"Networks start from what fits of like ({digest}); of a network of middling cost ")
    assert note.endswith("% of the numbers taken.")
    kept = yaml.safe_load((work / "experiments/s/experiment.yaml").read_text())
    assert (kept["init"], kept["found"]["init"]) == ("like", digest)


def test_it_goes_on_with_the_same_weights_alone(work):
    again = ask(work, *SEARCH, "like", "--name", "s", "--resume")
    assert "start: Networks start from what fits of like" in again.err
    refused = ask(work, *SEARCH, "other", "--name", "s", "--resume", code=2)
    assert "the study 's' has other settings: init (" in refused.error
    without = ask(work, *SEARCH[:-1], "--name", "s", "--resume", code=2)
    assert "the study 's' has other settings: init (" in without.error
    shutil.copytree(work / "like", work / "moved")
    ask(work, *SEARCH, "moved", "--name", "s", "--resume")


def test_other_weights_give_other_numbers(work):
    ask(work, *SEARCH, "other", "--name", "o")
    ask(work, *SEARCH[:-1], "--name", "own")
    losses: dict[str, dict[str | None, float]] = {}
    for path in (work / "cache/evaluations").glob("*.json"):
        document = json.loads(path.read_text())
        if document["key"]["kind"] == "score":
            losses.setdefault(document["key"]["arch_id"], {})[document["key"].get("init")] = document["value"][
                "losses"
            ][0]
    assert max(len(set(by_start.values())) for by_start in losses.values()) == 3


def test_weights_that_hardly_fit_are_refused_before_anything_is_trained(work):
    refused = ask(work, *SEARCH, "far", "--name", "f", code=2)
    assert "--init far has " in refused.error
    assert "--partial starts from it all the same" in refused.error
    assert not (work / "experiments/f").exists()
    planned = ask(work, *SEARCH, "far", "--partial", "--name", "f", "--dry-run")
    assert "Networks start from what fits of far" in planned.err


def test_a_confirmation_starts_from_the_same_weights(work):
    line = ("confirm", "s", 0, "--schedule", "quick.yaml", "--seeds", 1)
    found = ask(work, *line)
    assert "start:    from what fits of moved, as in the search" in found.err
    refused = ask(work, *line, "--init", "other", code=2)
    assert "--init other is not what s started from: those weights are " in refused.error
    refused = ask(work, "confirm", "own", 0, "--init", "like", code=2)
    assert "the networks of own started from weights of their own: leave --init out" in refused.error
    shutil.copytree(work / "reports/s", work / "reports/alone")
    refused = ask(work, "confirm", "alone", 0, "--data", "photos", code=2)
    assert "the networks of alone started from other weights: give those with --init" in refused.error


def test_a_trial_that_started_from_them_comes_back(work):
    assert "It came back, equal to the last digit." in ask(work, "reproduce", "s:0").out


def test_an_ablation_starts_from_them_too(work):
    line = ("ablate", "depth", "--base", "tiny.yaml", *LINE, "--seeds", 1, "--init")
    found = ask(work, *line, "tiny", "--dry-run")
    assert "start: Networks start from what fits of tiny" in found.err
    assert ", 0 drawn anew, 100% of the numbers taken.\n" in found.err
    write(work / "heads", with_values(TINY, {"stages.2.mobilevit.heads": 2, "stages.3.mobilevit.heads": 8}))
    found = ask(work, *line, "heads", "--dry-run")
    words = "2 attention layers of it took weights of another number of heads."
    assert f", 0 drawn anew, 100% of the numbers taken. {words}\n" in found.err
    assert "--init far has" in ask(work, *line, "far", code=2).error


def test_colours_that_are_none_are_one_line(work):
    refused = ask(work, *SEARCH, "like", "--init-colours", "grb", code=2)
    assert "--init-colours must be rgb or bgr, got 'grb'" in refused.error
