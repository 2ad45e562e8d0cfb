"""Search spaces: files, their errors, and what they hold."""

import itertools
import random
import re
from pathlib import Path
from typing import Any

import pytest
from sure import sure

from mvit_nas.arch.config import arch_id, to_dict
from mvit_nas.arch.paths import expand_path, with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import adapt_preset, fix_image_size, load_space, parse_space, shipped_spaces
from mvit_nas.errors import InvalidArchError, SpaceError

SMALL = """
base: mobilevit_xs
set: {image_size: 64}
factors:
  patch_size: {paths: [stages.*.mobilevit.patch_size], values: [1, 2, [4, 2, 2]]}
  depth: {paths: [stages.3.mobilevit.depth, stages.4.mobilevit.depth], values: [1, 2], each: true}
  placement: {values: {all: {}, last: {stages.2.mobilevit: null, stages.3.mobilevit: null}, none: {stages.2.mobilevit: null, stages.3.mobilevit: null, stages.4.mobilevit: null}}}
  width: {paths: [stem.channels, stages.0.channels], values: {narrow: [8, 16], wide: [16, 24]}}
"""


def small():
    return parse_space(SMALL, name="small", where="small.yaml")


def everything(space):
    names = [parameter.name for parameter in space.parameters]
    for labels in itertools.product(*(parameter.choices for parameter in space.parameters)):
        yield dict(zip(names, labels, strict=True))


def test_a_factor_with_each_becomes_one_parameter_for_each_path():
    assert [p.name for p in small().parameters] == [
        "patch_size",
        "depth.stages.3",
        "depth.stages.4",
        "placement",
        "width",
    ]
    assert {p.factor for p in small().parameters} == {"patch_size", "depth", "placement", "width"}


def test_labels_become_the_architecture_they_name():
    arch = small().arch(
        {"patch_size": "4,2,2", "depth.stages.3": 1, "depth.stages.4": 2, "placement": "all", "width": "wide"}
    )
    assert arch.image_size == 64
    assert [stage.mobilevit.patch_size for stage in arch.stages[2:]] == [4, 2, 2]
    assert [stage.mobilevit.depth for stage in arch.stages[2:]] == [2, 1, 2]
    assert (arch.stem.channels, arch.stages[0].channels) == (16, 24)


def test_the_number_of_networks_is_that_of_the_different_ids():
    space = small()
    ids = {arch_id(space.arch(labels)) for labels in everything(space)}
    assert space.settings() == 3 * 2 * 2 * 3 * 2
    assert space.networks() == len(ids) == 2 * (3 * 2 * 2 + 2 * 2 + 1)


def test_values_without_effect_do_not_make_a_second_network():
    space = small()
    labels = {"patch_size": 1, "depth.stages.3": 1, "depth.stages.4": 2, "placement": "last", "width": "wide"}
    assert arch_id(space.arch(labels)) == arch_id(space.arch({**labels, "depth.stages.3": 2}))
    assert arch_id(space.arch(labels)) != arch_id(space.arch({**labels, "depth.stages.4": 1}))


def test_neighbours_differ_in_one_parameter():
    space = small()
    labels = space.draw(random.Random(1))
    near = list(space.neighbours(labels, random.Random(1)))
    assert len(near) == 2 + 1 + 1 + 2 + 1
    assert all(sum(other[key] != labels[key] for key in labels) == 1 for other in near)


@pytest.mark.parametrize("name", ["mobilevit", "mobilevit_small"])
def test_a_shipped_space_holds_what_its_comment_says(name):
    space = load_space(name)
    said = int(sure(re.search(r"Holds ([\d,]+) networks", space.text))[1].replace(",", ""))
    assert space.networks() == said


@pytest.mark.parametrize("name", ["mobilevit", "mobilevit_small"])
def test_every_value_of_a_shipped_space_fits_some_others(name):
    space = load_space(name)
    for parameter in space.parameters:
        for label in parameter.choices:
            for attempt in range(100):
                labels = {**space.draw(random.Random(attempt)), parameter.name: label}
                try:
                    space.arch(labels)
                except InvalidArchError:
                    continue
                break
            else:
                pytest.fail(f"{parameter.name}={label} fits nothing")


@pytest.mark.parametrize("space_name", ["mobilevit", "mobilevit_small"])
@pytest.mark.parametrize("preset", PRESETS)
def test_the_presets_are_members_of_the_shipped_spaces(space_name, preset):
    space = load_space(space_name)
    adapted = sure(adapt_preset(PRESETS[preset], space))
    member = space.arch(space.nearest_labels(adapted))
    assert with_values(member, {"dropout": adapted.dropout}) == with_values(
        adapted, {"stages.*.expand_ratio": member.stages[0].expand_ratio}
    )
    assert arch_id(with_values(member, {"dropout": adapted.dropout})) == arch_id(adapted)


def test_at_the_papers_size_a_preset_is_the_papers_network():
    adapted = sure(adapt_preset(PRESETS["mobilevit_s"], load_space("mobilevit")))
    assert arch_id(adapted) == arch_id(PRESETS["mobilevit_s"])


def test_a_preset_does_not_fit_a_base_with_other_stages():
    space = small()
    fewer = with_values(space.base, {"stages": [{"channels": 8}]})
    assert adapt_preset(PRESETS["mobilevit_s"], parse_space(SMALL, name="s", where="s")) is not None
    object.__setattr__(space, "base", fewer)
    assert adapt_preset(PRESETS["mobilevit_s"], space) is None


def test_one_image_size_takes_the_place_of_the_factor():
    space = fix_image_size(load_space("mobilevit"), 128)
    assert "image_size" not in [p.name for p in space.parameters]
    assert space.arch(space.draw(random.Random(0))).image_size == 128


def test_a_file_works_like_a_shipped_space(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL)
    assert load_space(path).name == "mine"
    assert load_space(str(path)).parameters == small().parameters


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("base: mobilevit_xs", "base: mobilevit_xl", "my.yaml: base: unknown 'mobilevit_xl', did you mean 'mobilevit_xs'"),
        ("base: mobilevit_xs", "", "my.yaml lacks 'base'"),
        ("base: mobilevit_xs", "bass: mobilevit_xs", "my.yaml: unknown 'bass', did you mean 'base'"),
        ("factors:", "factor:", "my.yaml: unknown 'factor', did you mean 'factors'"),
        ("image_size: 64", "imagesize: 64", "my.yaml: set: the path 'imagesize' leads nowhere: unknown 'imagesize', did"),
        ("{paths: [stages.*.mobilevit.patch_size]", "{path: [x]", "my.yaml: patch_size: unknown 'path', did you mean 'paths'"),
        ("mobilevit.patch_size", "mobilevit.patchsize", "unknown 'patchsize', did you mean 'patch_size'"),
        ("stages.3.mobilevit.depth", "stages.3.mobilvit.depth", "unknown 'mobilvit', did you mean 'mobilevit'"),
        ("[4, 2, 2]", "[4, 2]", "my.yaml: patch_size: [4, 2] has 2 values for 3 paths"),
        ("values: [1, 2, [4, 2, 2]]", "values: []", "values must be a list or a mapping with at least one value"),
        ("values: [1, 2, [4, 2, 2]]", "values: [1, 1]", "my.yaml: patch_size: a value stands twice in [1, 1]"),
        ("values: [1, 2, [4, 2, 2]]", "values: [1, 2.5]", "patch_size must be a whole number, got 2.5"),
        ("paths: [stem.channels, stages.0.channels], ", "", "needs 'paths' that say where it goes"),
        ("paths: [stem.channels, stages.0.channels]", "paths: stem.channels", "paths must be a list of paths"),
        ("narrow: [8, 16]", "[1]: [8, 16]", "is no YAML"),
        ("narrow: [8, 16]", "true: [8, 16]", "the names of values must be text or numbers"),
        ("stem.channels, stages.0", "stages.1.channels, stages.1", "my.yaml: width: a path stands twice in ['stages.1.channels', 'stages.1.channels']"),
        ("[stem.channels, stages.0.channels]", "[stages.3.mobilevit.depth, stages.0.channels]", "both set stages.3.mobilevit.depth"),
        ("stages.*.mobilevit.patch_size", "'*.patch_size'", "'*' stands for a stage"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_what_is_wrong(old, new, message):
    assert old in SMALL
    with pytest.raises(SpaceError) as raised:
        parse_space(SMALL.replace(old, new), name="my", where="my.yaml")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_documented_example_and_its_paths_load():
    text = (Path(__file__).parents[2] / "docs/spaces.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    space = parse_space(example, name="example", where="docs/spaces.md")
    assert [p.factor for p in space.parameters] == ["patch_size", "depth", "depth", "depth", "placement"]
    for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE):
        first, *more = re.findall(r"`([^`]+)`", row)
        paths = [first] + [m if not m.startswith(".") else first.rpartition(".")[0] + m for m in more]
        for path in paths:
            expanded = expand_path(space.base, path.replace("stages.N", "stages.2"))
            assert all(with_values(space.base, {p: _get(space.base, p)}) == space.base for p in expanded), path


def _get(arch, path):
    value: Any = to_dict(arch)
    for key in path.split("."):
        value = value[int(key)] if key.isdigit() else value[key]
    return value


DEPTH = "factors: {depth: {paths: [stages.*.mobilevit.depth], values: [1, 2]}}"
# 2^13 ways to leave parts out.
REMOVING = "base: mobilevit_s\nfactors:\n" + "".join(
    f"  f{i}: {{values: {{a: {{}}, b: {{stages.{i}.mobilevit: null}}}}}}\n" for i in range(13)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: [", "is no YAML"),
        ("- 1", "must be a mapping, got [1]"),
        ("base: mobilevit_s\nfactors: {}", "factors: there is none"),
        ("base: mobilevit_s\nfactors: 3", "factors must be a mapping"),
        ("!!python/object/apply:os.system ['true']", "is no YAML"),
        ("base: [a]\nfactors: {}", "base: unknown \"['a']\""),
        ("base: 2020-99-99\nfactors: {}", "base: unknown '2020-99-99'"),
        (f"base: mobilevit_s\nset: {{1: 2}}\n{DEPTH}", "set: the path '1' leads nowhere"),
        (f"base: mobilevit_s\nset: {{stages.².channels: 8}}\n{DEPTH}", "'²' is none of the stages 0 to 4"),
        (f"base: mobilevit_s\nset: {{stages.{'9' * 50}.channels: 8}}\n{DEPTH}", "is none of the stages 0 to 4"),
        (f"base: mobilevit_s\nset: {{stages.2.blocks: 1000000000}}\n{DEPTH}", "blocks must be 1 to 256, got 1000000000"),
        (f"base: mobilevit_s\nset: {{stages.2.mobilevit.mlp_ratio: .inf}}\n{DEPTH}", "mlp_ratio must be 0 to 256, got inf"),
        (f"base: mobilevit_s\nset: {{stages.2.expand_ratio: .inf}}\n{DEPTH}", "expand_ratio must be 1 to 256, got inf"),
        (f"base: mobilevit_s\nset: {{head_expansion: .nan}}\n{DEPTH}", "head_expansion must be 0 to 256, got nan"),
        (f"base: mobilevit_s\nfactors: {{a: {{paths: [image_size], values: {[*range(5000)]}}}}}", "the factors have 5,000 values, 4,096"),
        (REMOVING, "factors that remove parts have over 4,096 settings together"),
    ],
)  # fmt: skip
def test_what_is_no_space_is_refused(text, message):
    with pytest.raises(SpaceError) as raised:
        parse_space(text, name="my", where="my.yaml")
    assert message in str(raised.value)


def test_an_unknown_name_lists_the_shipped_spaces(tmp_path):
    with pytest.raises(SpaceError, match="give a YAML file or one of mobilevit, mobilevit_small"):
        load_space("mobilvit")
    binary = tmp_path / "space.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpaceError, match=r"cannot read .*space.yaml: it is no text in UTF-8"):
        load_space(binary)


@pytest.mark.parametrize("name", shipped_spaces())
def test_every_block_of_a_shipped_space_has_tokens_to_share_at_its_image_size(name):
    space = load_space(name)
    labels, choices = space.nearest_labels(space.base), {one.name: one.choices for one in space.parameters}
    for placement, patch in itertools.product(*(choices[one] for one in ("placement", "patch_size"))):
        arch = space.arch({**labels, "placement": placement, "patch_size": patch})
        assert min(arch.tokens(arch.image_size)) >= 4, (placement, patch)


def test_labels_have_an_effect_where_another_choice_makes_another_network():
    space = load_space("mobilevit_small")
    labels = space.nearest_labels(space.base)
    assert space.effective(labels) == labels
    # Without the block of stage 2 its depth says nothing.
    without = {**labels, "placement": "4,5"}
    assert without.keys() - space.effective(without).keys() == {"depth.stages.2"}
    # Heads of a single token do not, and those of other blocks do.
    coarse = parse_space(
        """
base: mobilevit_xs
set: {image_size: 64}
factors:
  patch_size: {paths: [stages.*.mobilevit.patch_size], values: [4, 8]}
  early: {paths: [stages.2.mobilevit.heads], values: [2, 4]}
  late: {paths: [stages.3.mobilevit.heads, stages.4.mobilevit.heads], values: [2, 4, 7]}
""",
        name="coarse",
        where="coarse",
    )
    assert coarse.effective({"patch_size": 4, "early": 2, "late": 4}) == {"patch_size": 4, "early": 2}
    assert coarse.effective({"patch_size": 8, "early": 2, "late": 2}) == {"patch_size": 8}


def test_the_only_choice_that_makes_a_network_has_an_effect():
    text = "base: mobilevit_xs\nfactors:\n  heads: {paths: [stages.*.mobilevit.heads], values: [4, 7]}\n"
    space = parse_space(text, name="narrow", where="narrow")
    assert space.effective({"heads": 4}) == {"heads": 4}
