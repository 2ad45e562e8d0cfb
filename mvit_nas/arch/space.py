"""A search space: a base architecture and, for named factors, the values to try at one or several paths.

The file (YAML)::

    base: mobilevit_s                 # a preset
    set: {image_size: 192}            # optional: paths and values that change the base
    factors:
      patch_size:                     # one value at all paths, or a list with one value for each path
        paths: [stages.*.mobilevit.patch_size]
        values: [2, 4, [8, 4, 2]]
      depth:
        paths: [stages.*.mobilevit.depth]
        values: [1, 2, 3, 4]
        each: true                    # chosen for each path on its own
      placement:                      # named values; a mapping sets paths of its own
        values:
          "3,4,5": {}
          "4,5": {stages.2.mobilevit: null}
"""

import functools
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from mvit_nas.arch.config import ArchConfig, arch_id, to_dict
from mvit_nas.arch.paths import expand_path, flat, with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.documents import parse_yaml, read_text
from mvit_nas.errors import ArchError, InvalidArchError, SpaceError, unknown

# Far beyond what can be searched, and counted in seconds.
_MOST_VALUES = 4096

Label = str | int | float
Suggest = Callable[[str, Sequence[Label]], Label]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One choice of a space: the label of each value, and what the value sets."""

    name: str
    factor: str
    choices: Mapping[Label, Mapping[str, Any]]

    @property
    def paths(self) -> set[str]:
        """Every path that a value of the parameter sets."""
        return {path for values in self.choices.values() for path in values}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """A base architecture and what varies in it. ``text`` is the file that it was read from."""

    name: str
    text: str
    base: ArchConfig
    parameters: tuple[Parameter, ...]

    def arch(self, labels: Mapping[str, Label]) -> ArchConfig:
        """The architecture for one label of each parameter. Raises InvalidArchError where they do not fit together."""
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            values.update(parameter.choices[labels[parameter.name]])
        return with_values(self.base, values)

    def effective(self, labels: Mapping[str, Label]) -> dict[str, Label]:
        """Those of ``labels`` that have an effect beside the others: another choice would make another network."""
        identity = arch_id(self.arch(labels))
        return {p.name: labels[p.name] for p in self.parameters if self._acts(p, labels, identity)}

    def _acts(self, parameter: Parameter, labels: Mapping[str, Label], identity: str) -> bool:
        """Whether a choice of ``parameter`` other than that of ``labels`` makes another network than ``identity``."""
        others = []
        for label in parameter.choices:
            if label != labels[parameter.name]:
                with suppress(InvalidArchError):
                    others.append(arch_id(self.arch({**labels, parameter.name: label})))
                    if others[-1] != identity:
                        return True
        return not others  # the only choice that makes a network

    def sample(self, suggest: Suggest) -> dict[str, Label]:
        """A label for each parameter, chosen by ``suggest(name, labels)``."""
        return {p.name: suggest(p.name, tuple(p.choices)) for p in self.parameters}

    def draw(self, generator: random.Random) -> dict[str, Label]:
        """Labels drawn uniformly."""
        return self.sample(lambda _, labels: generator.choice(labels))

    def neighbours(self, labels: Mapping[str, Label], generator: random.Random) -> Iterator[dict[str, Label]]:
        """All labels that differ from ``labels`` in one parameter, in random order."""
        steps = [(p.name, label) for p in self.parameters for label in p.choices if label != labels[p.name]]
        generator.shuffle(steps)
        for name, label in steps:
            yield {**labels, name: label}

    def nearest_labels(self, arch: ArchConfig) -> dict[str, Label]:
        """The labels that agree with ``arch`` at most paths: exact for an architecture of the space."""
        known = flat(to_dict(arch))
        absent = object()

        def agreement(values: Mapping[str, Any]) -> int:
            return sum(1 if known.get(path, absent) == value else -1 for path, value in values.items())

        return {
            p.name: max(p.choices, key=lambda label, p=p: agreement(p.choices[label]))  # type: ignore[misc]
            for p in self.parameters
        }

    def settings(self) -> int:
        """The number of settings of the parameters."""
        return math.prod(len(parameter.choices) for parameter in self.parameters)

    def networks(self) -> int:
        """The number of networks: settings that differ only where they have no effect count once.

        Settings whose values do not fit together (a width that the heads do not divide) are still counted.
        """
        # Only parameters that remove a part decide which others have an effect; they are few.
        removing = _removing(self.parameters)
        others = [p for p in self.parameters if p not in removing]

        @functools.cache
        def settings_beside(removed: frozenset[str]) -> int:
            return math.prod(len({_effect(choice, removed) for choice in p.choices.values()}) for p in others)

        counts: dict[frozenset[tuple[str, str]], int] = {}
        for values in itertools.product(*(p.choices.values() for p in removing)):
            merged = {path: value for part in values for path, value in part.items()}
            removed = frozenset(path for path, value in merged.items() if value is None)
            counts[frozenset((path, repr(value)) for path, value in merged.items())] = settings_beside(removed)
        return sum(counts.values())


def shipped_spaces() -> list[str]:
    """The names of the spaces that come with the package."""
    folder = resources.files("mvit_nas") / "search_spaces"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_space(name_or_path: str | Path) -> SearchSpace:
    """The search space of a YAML file, or a shipped one by its name.

    Raises SpaceError, in one line with the file and the nearest known word, for anything that is not a space.
    """
    path = Path(name_or_path)
    names = shipped_spaces()
    if str(name_or_path) in names:
        text = (resources.files("mvit_nas") / "search_spaces" / f"{name_or_path}.yaml").read_text("utf-8")
    elif path.exists():
        text = read_text(path, raises=SpaceError)
    else:
        raise SpaceError(f"no search space {str(name_or_path)!r}: give a YAML file or one of {', '.join(names)}")
    return parse_space(text, name=path.stem, where=str(name_or_path))


def parse_space(text: str, *, name: str, where: str) -> SearchSpace:
    """The search space that ``text`` describes; ``where`` names it in errors."""
    plain = _mapping(parse_yaml(text, where=where, raises=SpaceError), {"base", "set", "factors"}, where)
    if "base" not in plain or "factors" not in plain:
        raise SpaceError(f"{where} lacks {'base' if 'base' not in plain else 'factors'!r}")
    if not isinstance(plain["base"], str) or plain["base"] not in PRESETS:
        raise SpaceError(f"{where}: base: {unknown(plain['base'], PRESETS)}")
    try:
        base = with_values(PRESETS[plain["base"]], _mapping(plain.get("set", {}), None, f"{where}: set"))
    except ArchError as error:
        raise SpaceError(f"{where}: set: {error}") from None
    factors = _mapping(plain["factors"], None, f"{where}: factors")
    if not factors:
        raise SpaceError(f"{where}: factors: there is none")
    parameters = tuple(p for key, value in factors.items() for p in _factor(base, str(key), value, where))
    if (values := sum(len(p.choices) for p in parameters)) > _MOST_VALUES:
        raise SpaceError(f"{where}: the factors have {values:,} values, {_MOST_VALUES:,} are the most")
    if math.prod(len(p.choices) for p in _removing(parameters)) > _MOST_VALUES:
        raise SpaceError(f"{where}: factors that remove parts have over {_MOST_VALUES:,} settings together")
    _check(base, parameters, where)
    return SearchSpace(name=name, text=text, base=base, parameters=parameters)


def fix_image_size(space: SearchSpace, side: int) -> SearchSpace:
    """``space`` at one image size: a factor that varies it is left out."""
    return SearchSpace(
        name=space.name,
        text=space.text,
        base=with_values(space.base, {"image_size": side}),
        parameters=tuple(p for p in space.parameters if p.paths != {"image_size"}),
    )


def adapt_preset(preset: ArchConfig, space: SearchSpace) -> ArchConfig | None:
    """``preset`` at the image size and strides of the space's base, or None where the base has other stages."""
    if len(preset.stages) != len(space.base.stages):
        return None
    strides = {f"stages.{i}.stride": stage.stride for i, stage in enumerate(space.base.stages)}
    return with_values(preset, {"image_size": space.base.image_size, "stem.stride": space.base.stem.stride, **strides})


def _factor(base: ArchConfig, factor: str, plain: object, where: str) -> Iterator[Parameter]:
    where = f"{where}: {factor}"
    plain = _mapping(plain, {"paths", "values", "each"}, where)
    values = plain.get("values")
    if not isinstance(values, list | dict) or not values:
        raise SpaceError(f"{where}: values must be a list or a mapping with at least one value")
    named = values if isinstance(values, dict) else {_label(value): value for value in values}
    if len(named) != len(values):
        raise SpaceError(f"{where}: a value stands twice in {values}")
    if any(not isinstance(label, str | int | float) or isinstance(label, bool) for label in named):
        raise SpaceError(f"{where}: the names of values must be text or numbers, got {list(named)}")
    given = plain.get("paths", [])
    if not isinstance(given, list) or any(not isinstance(path, str) for path in given):
        raise SpaceError(f"{where}: paths must be a list of paths, got {given!r}")
    try:
        paths = [path for short in given for path in expand_path(base, short)]
    except ArchError as error:
        raise SpaceError(f"{where}: {error}") from None
    if len(set(paths)) != len(paths):
        raise SpaceError(f"{where}: a path stands twice in {paths}")
    if plain.get("each", False) is True:
        for path in paths:
            choices = {label: _values(value, [path], where) for label, value in named.items()}
            # "depth.stages.2": which stage, not the whole path, tells the parameters of a factor apart.
            place = ".".join(path.split(".")[:2]) if path.startswith("stages.") else path
            yield Parameter(name=f"{factor}.{place}", factor=factor, choices=choices)
    else:
        choices = {label: _values(value, paths, where) for label, value in named.items()}
        yield Parameter(name=factor, factor=factor, choices=choices)


def _label(value: object) -> Label:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return str(value)
    return value


def _values(value: Any, paths: list[str], where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(path): part for path, part in value.items()}
    if not paths:
        raise SpaceError(f"{where}: the value {value!r} needs 'paths' that say where it goes")
    if isinstance(value, list):
        if len(value) != len(paths):
            raise SpaceError(f"{where}: {value} has {len(value)} values for {len(paths)} paths")
        return dict(zip(paths, value, strict=True))
    return dict.fromkeys(paths, value)


def _check(base: ArchConfig, parameters: tuple[Parameter, ...], where: str) -> None:
    """Every path leads somewhere and is set by one parameter; every value alone has the right type."""
    owner: dict[str, str] = {}
    for parameter in parameters:
        for path in parameter.paths:
            if path in owner:
                raise SpaceError(f"{where}: {parameter.name} and {owner[path]} both set {path}")
            owner[path] = parameter.name
        for label, values in parameter.choices.items():
            try:
                with_values(base, values)
            except InvalidArchError:
                pass  # It may fit other values of the space than the base's.
            except ArchError as error:
                raise SpaceError(f"{where}: {parameter.factor}: {label!r}: {error}") from None


def _mapping(plain: Any, known: set[str] | None, where: str) -> dict[str, Any]:
    if not isinstance(plain, dict):
        raise SpaceError(f"{where} must be a mapping, got {plain!r}")
    for key in plain:
        if known is not None and key not in known:
            raise SpaceError(f"{where}: {unknown(key, sorted(known))}")
    return plain


def _removing(parameters: Sequence[Parameter]) -> list[Parameter]:
    return [p for p in parameters if any(None in values.values() for values in p.choices.values())]


def _effect(values: Mapping[str, Any], removed: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """What ``values`` still set where the parts at ``removed`` are gone."""
    below = tuple(f"{path}." for path in removed)
    return tuple(sorted((path, repr(value)) for path, value in values.items() if not path.startswith(below)))
