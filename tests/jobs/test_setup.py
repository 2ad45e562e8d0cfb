"""What a job begins with."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import yaml
from commands import SPACE, photos
from searches import Heard

from mvit_nas.arch.space import fix_image_size, load_space
from mvit_nas.data.find import find_data
from mvit_nas.errors import InputError
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.jobs.setup import Setup, find_images, find_space, runtime_for, schedule_for
from mvit_nas.reporter import Reporter
from mvit_nas.settings.commands import SearchSettings
from mvit_nas.training.schedule import find_schedule


def found(asked=None, *, side=8, image_size=None, known=None):
    images = replace(find_data(None), median_side=side)
    heard = Heard()
    return find_space(asked, images, image_size=image_size, known=known, reporter=heard), heard.said[-1]


def trains_at(resolution):
    schedule = replace(find_schedule("smoke"), resolution=resolution)
    return ShortTraining(find_data(None), schedule, device=torch.device("cpu"))


@pytest.mark.parametrize(("side", "name", "size"), [(8, "mobilevit_small", 32), (47, "mobilevit_small", 32), (48, "mobilevit_small", 64), (96, "mobilevit_small", 64), (97, "mobilevit", 256)])  # fmt: skip
def test_the_space_goes_with_the_size_of_the_images(side, name, size):
    space, said = found(side=side)
    assert (space.name, space.base.image_size) == (name, size)
    assert said.endswith(f"networks at {size} px, since the images are about {side} px")


def test_a_space_that_is_asked_for_needs_no_reason():
    space, said = found("mobilevit", side=8, image_size=64)
    assert (space.name, space.base.image_size) == ("mobilevit", 64)
    assert said.endswith("networks at 64 px")


def test_the_text_that_a_study_was_begun_with_is_for_the_shipped_space_of_its_name_alone(tmp_path):
    (tmp_path / "mine.yaml").write_text(SPACE)
    path, shipped = str(tmp_path / "mine.yaml"), load_space("mobilevit_small")
    assert found(known=("mobilevit_small", SPACE))[0].text == SPACE
    assert found("mobilevit_small", known=("mobilevit_small", SPACE))[0].text == SPACE
    assert found(known=("mobilevit", SPACE))[0].text == shipped.text
    assert found(known=(None, SPACE))[0].text == SPACE
    assert found(path, known=("mine", "base: mobilevit_s"))[0].text == SPACE
    assert found(shipped, known=("mobilevit_small", SPACE))[0].text == shipped.text


def test_a_space_may_stand_in_the_settings_as_it_is():
    assert found(SPACE)[0].networks() == 32
    assert found(SPACE)[0].name == "space"
    assert found(load_space("mobilevit").text)[0].name == "mobilevit"
    with pytest.raises(InputError, match="the space of --config"):
        found("base: mobilevit_xxs\nfactors: 1\n")


def test_images_are_said_with_what_was_not_asked_for(tmp_path):
    heard = Heard()
    find_images(None, reporter=heard)
    assert heard.said[0].endswith(", since no --data was given")
    find_images(str(photos(tmp_path / "photos")), reporter=heard)
    assert not any("no --data" in line for line in heard.said[4:])
    assert any("3 classes, " in line and line.endswith("images; the test part is not read") for line in heard.said)


def test_how_images_are_seen_for_scoring_is_one_sentence():
    photographs = found("mobilevit", side=300)[0]
    digits, several = (
        found(side=8)[0],
        "shortest edge to 128 px by Pillow's bilinear filter, centre crop 128, RGB, 0 to 1",
    )
    sentences = [
        Setup(space=space, training=trains_at(resolution), meter=None).scored_on  # type: ignore[arg-type]
        for space, resolution in ((digits, 1.0), (photographs, 0.5), (fix_image_size(photographs, 256), 0.5))
    ]
    assert sentences == [
        "Scored on: shortest edge to 32 px by Pillow's bilinear filter, centre crop 32, RGB, 0 to 1.",
        f"Scored on: {several}; other image sizes likewise at theirs.",
        f"Scored on: {several}.",
    ]


def test_each_override_changes_one_field_and_the_name_says_so(tmp_path):
    mirrored = find_data(str(photos(tmp_path / "photos")))
    short = find_schedule("short")
    assert schedule_for(SearchSettings(), mirrored) == short
    changes: tuple[tuple[str, Any], ...] = (("epochs", 9), ("batch_size", 64), ("learning_rate", 0.5))
    for name, value in changes:
        words = f"short ({name.replace('_', ' ')} {value})"
        assert schedule_for(SearchSettings(**{name: value}), mirrored) == replace(short, name=words, **{name: value})


def test_class_weights_are_one_more_override_and_a_file_that_has_them_keeps_them(tmp_path):
    mirrored, short = find_data(str(photos(tmp_path / "photos"))), find_schedule("short")
    weighed = replace(short, name="short (epochs 9, class weights)", epochs=9, class_weights=True)
    assert schedule_for(SearchSettings(epochs=9, class_weights=True), mirrored) == weighed
    own = {name: value for name, value in replace(short, class_weights=True).to_dict().items() if name != "name"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own))
    found = schedule_for(SearchSettings(schedule=str(tmp_path / "mine.yaml")), mirrored)
    assert (found.name, found.class_weights) == ("mine", True)


def test_a_schedule_may_stand_in_the_settings_and_has_its_name_where_it_is_shipped(tmp_path):
    mirrored, short = find_data(str(photos(tmp_path / "photos"))), find_schedule("short")
    text = yaml.safe_dump({name: value for name, value in short.to_dict().items() if name != "name"})
    assert schedule_for(SearchSettings(schedule=text), mirrored) == short
    other = schedule_for(SearchSettings(schedule=text.replace("epochs: 4", "epochs: 7")), mirrored)
    assert other == replace(short, name="schedule", epochs=7)
    with pytest.raises(InputError, match="the schedule of --config: unknown 'epoch', did you mean 'epochs'"):
        schedule_for(SearchSettings(schedule=text.replace("epochs:", "epoch:")), mirrored)


def test_a_schedule_of_a_file_has_the_name_of_the_file(tmp_path):
    mirrored = find_data(str(photos(tmp_path / "photos")))
    text = yaml.safe_dump({name: value for name, value in find_schedule("smoke").to_dict().items() if name != "name"})
    (tmp_path / "mine.yaml").write_text(text)
    found = schedule_for(SearchSettings(schedule=str(tmp_path / "mine.yaml"), epochs=2), mirrored)
    assert found == replace(find_schedule("smoke"), name="mine (epochs 2)", epochs=2)


def test_digits_are_not_mirrored():
    assert schedule_for(SearchSettings(), find_images(None, reporter=Reporter())).augmentation == "crop"


def test_a_phone_runs_litert_where_nothing_else_is_said():
    assert runtime_for(SearchSettings(target="adb:1"), "").name == "litert"
    assert runtime_for(SearchSettings(target="adb:1"), "torch").name == "torch"


def test_the_digits_have_a_schedule_of_their_own(tmp_path):
    digits = find_images(None, reporter=Reporter())
    assert schedule_for(SearchSettings(), digits).name == "digits"
    assert schedule_for(SearchSettings(schedule="short"), digits).name == "short"
    # A folder of that name is a folder.
    assert schedule_for(SearchSettings(), find_data(str(photos(tmp_path / "digits")))).name == "short"


def test_a_study_goes_on_with_its_schedule_where_no_other_is_asked_for(tmp_path):
    mirrored = find_data(str(photos(tmp_path / "photos")))
    known = replace(find_schedule("short"), name="as it was", min_crop=0.9)
    assert schedule_for(SearchSettings(), mirrored, known) == known
    assert schedule_for(SearchSettings(epochs=known.epochs), mirrored, known) == known
    assert schedule_for(SearchSettings(epochs=9), mirrored, known).name == "short (epochs 9)"
    assert schedule_for(SearchSettings(schedule="smoke"), mirrored, known).name == "smoke"
