"""From factors to variants: the base, and the base with one choice changed and everything else as it was."""

import difflib
import itertools
import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mvit_nas.arch.blocks import Block
from mvit_nas.arch.config import ArchConfig, arch_id, to_dict
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.space import Label, Parameter, SearchSpace
from mvit_nas.documents import parse_yaml
from mvit_nas.errors import ArchError, InputError, InvalidArchError, unknown
from mvit_nas.study.origin import LeftOut
from mvit_nas.tasks.crops import Augmentation
from mvit_nas.training.schedule import Schedule

# Choices of the training, by the field of the schedule that they set.
_TRAINING: dict[str, tuple[float | str, ...]] = {
    "label_smoothing": (0.0, 0.1, 0.2),
    "ema": (0.0, 0.02, 0.1),  # the paper's 0.0005 is for 375,000 steps: a short schedule needs a faster average
    "augmentation": typing.get_args(Augmentation),
}
_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One network and schedule to run on every seed.

    ``labels`` has the value of each factor in words. ``matched`` is the cost that the width was rescaled to match,
    "" for none. ``notes`` say what a reader must know of it.
    """

    labels: Mapping[str, str]
    arch: ArchConfig
    schedule: Schedule
    is_base: bool
    matched: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The variants of an ablation, the base first. ``paths`` are those that its factors set."""

    factors: tuple[str, ...]
    variants: tuple[Variant, ...]
    left_out: tuple[LeftOut, ...]
    paths: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What one value sets in the architecture and in the schedule."""

    arch: Mapping[str, Any] = field(default_factory=dict)
    schedule: Mapping[str, Any] = field(default_factory=dict)


def known_factors(space: SearchSpace) -> list[str]:
    """Every factor that can be ablated in ``space``."""
    return list(dict.fromkeys([*(p.factor for p in space.parameters), "image_size", *_TRAINING]))


def make_plan(
    space: SearchSpace,
    base: ArchConfig,
    schedule: Schedule,
    factors: Sequence[str],
    values: Sequence[Sequence[str]] = (),
    *,
    resize: bool = True,
) -> Plan:
    """The variants of ``factors``, one or two of them: with ``values`` (texts, for each factor) or the space's own.

    Raises InputError for an unknown factor or value, for two values that mean the same network, and for a given value
    that cannot be built; values of the space that cannot be built are left out, with the reason. Without ``resize``
    a map that the patches do not tile counts as one that cannot be built.
    """
    _check_factors(space, factors, values)
    given: Sequence[Sequence[str] | None] = values or [None] * len(factors)
    options = [_options(space, base, schedule, *pair) for pair in zip(factors, given, strict=True)]
    # The first combination is the base: its choices change nothing.
    combinations = itertools.product(*(choices.items() for choices in options))
    labels = {factor: label for factor, (label, _) in zip(factors, next(combinations), strict=True)}
    first = Variant(labels=labels, arch=base, schedule=schedule, is_base=True, notes=_notes(base, schedule))
    _check_tiled(first, resize=resize)
    seen, left_out = {(arch_id(base), schedule): first}, []
    for combination in combinations:
        labels = {factor: label for factor, (label, _) in zip(factors, combination, strict=True)}
        try:
            variant = _vary(first, labels, [change for _, change in combination])
            _check_tiled(variant, resize=resize)
            identity = arch_id(variant.arch), variant.schedule
            if identity in seen:
                raise InvalidArchError(f"the same network and training as {_words(seen[identity].labels)}")
        except ArchError as error:
            if values:
                raise InputError(f"{_words(labels)} is no variant: {error}; leave it out of --values") from None
            left_out.append(LeftOut(labels=labels, reason=str(error)))
        else:
            seen[identity] = variant
    if len(seen) == 1:
        reasons = "; ".join(dict.fromkeys(f"{_words(one.labels)}: {one.reason}" for one in left_out))
        raise InputError(
            f"nothing to compare with the base, {_words(first.labels)}: give other --values"
            + (f" ({reasons})" if reasons else "")
        )
    return Plan(
        factors=tuple(factors),
        variants=tuple(seen.values()),
        left_out=tuple(left_out),
        paths=frozenset(path for choices in options for change in choices.values() for path in change.arch),
    )


def _check_factors(space: SearchSpace, factors: Sequence[str], values: Sequence[Sequence[str]]) -> None:
    if not 1 <= len(factors) <= 2 or len(set(factors)) != len(factors):
        raise InputError(f"name one factor or two different ones, got {', '.join(factors)}: run a third on its own")
    if values and len(values) != len(factors):
        raise InputError(f"--values must stand once for each of {', '.join(factors)}, in their order, or not at all")
    known = known_factors(space)
    for factor in factors:
        if factor not in known:
            near = difflib.get_close_matches(factor, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ":"
            raise InputError(f"no factor {factor!r} in {space.name}{hint} known are {', '.join(known)}")


def _words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{factor} {label}" for factor, label in labels.items())


def _vary(base: Variant, labels: Mapping[str, str], changes: Sequence[_Change]) -> Variant:
    arch = with_values(base.arch, {path: value for change in changes for path, value in change.arch.items()})
    fields = {name: value for change in changes for name, value in change.schedule.items()}
    schedule = replace(base.schedule, **fields)
    return Variant(labels=labels, arch=arch, schedule=schedule, is_base=False, notes=_notes(arch, schedule))


def _options(
    space: SearchSpace, base: ArchConfig, schedule: Schedule, factor: str, texts: Sequence[str] | None
) -> dict[str, _Change]:
    """The values of a factor, the base's own first, which changes nothing."""
    if factor in _TRAINING:
        known = texts or map(str, _TRAINING[factor])
        changes = {text: _Change(schedule={factor: _training_value(factor, text)}) for text in known}
        own = str(asdict(schedule)[factor])
        same = [text for text, change in changes.items() if replace(schedule, **change.schedule) == schedule]
    else:
        changes = _arch_changes(space, base, factor, texts)
        alike = [text for text, change in _arch_changes(space, base, factor, None).items() if _is_base(base, change)]
        own = alike[0] if alike else _own_label(space, base, factor)
        same = [text for text, change in changes.items() if _is_base(base, change)]
    if texts is not None and len(set(texts)) != len(texts):
        raise InputError(f"--values: a value of {factor} stands twice in {' '.join(texts)}")
    if len(same) > 1:
        raise InputError(f"--values: {' and '.join(same)} are the same {factor}, the base's")
    label = same[0] if same else own
    return {label: _Change()} | {text: change for text, change in changes.items() if text != label}


def _is_base(base: ArchConfig, change: _Change) -> bool:
    try:
        return arch_id(with_values(base, change.arch)) == arch_id(base)
    except ArchError:
        return False


def schedule_with(schedule: Schedule, labels: Mapping[str, Label]) -> Schedule:
    """``schedule`` as the variant with these ``labels`` has it: those of factors of the training set its fields."""
    own = {factor: _training_value(factor, str(label)) for factor, label in labels.items() if factor in _TRAINING}
    return replace(schedule, **own)  # type: ignore[arg-type]


def _training_value(factor: str, text: str) -> float | str:
    if factor == "augmentation":
        if text not in _TRAINING[factor]:
            raise InputError(f"--values: augmentation: {unknown(text, map(str, _TRAINING[factor]))}")
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise InputError(f"--values: {factor} takes numbers from 0 to below 1, got {text!r}")
    return value


def _parameters(space: SearchSpace, factor: str) -> list[Parameter]:
    parameters = [parameter for parameter in space.parameters if parameter.factor == factor]
    if parameters or factor != "image_size":
        return parameters
    # A space at one image size still has a larger and a smaller one.
    side = space.base.image_size
    sides = sorted({max(8, round(share * side / 8) * 8) for share in (0.75, 1.25)} | {side})
    choices: dict[Label, dict[str, int]] = {side: {"image_size": side} for side in sides}
    return [Parameter(name=factor, factor=factor, choices=choices)]


def _arch_changes(space: SearchSpace, base: ArchConfig, factor: str, texts: Sequence[str] | None) -> dict[str, _Change]:
    parameters = _parameters(space, factor)
    # A factor that is chosen for each stage on its own is ablated in all of them at once.
    named = {
        str(label): {path: value for p in parameters for path, value in p.choices[label].items()}
        for label in parameters[0].choices
    }
    paths = list(dict.fromkeys(path for chosen in named.values() for path in chosen))
    by_path = all(len(chosen) == len(paths) for chosen in named.values())
    changes = {}
    for text in texts if texts is not None else named:
        if text in named:
            chosen = named[text] | _restored(space, base, parameters, text, paths)
        elif by_path:
            chosen = _by_path(base, factor, text, paths)
        else:
            raise InputError(f"--values: {factor}: {unknown(text, named)}")
        changes[text] = _Change(arch={p: v for p, v in chosen.items() if _at(base, p) is not _ABSENT})
    return changes


def _restored(
    space: SearchSpace, base: ArchConfig, parameters: Sequence[Parameter], text: str, paths: Sequence[str]
) -> dict[str, Any]:
    """Parts that the base lacks and the value ``text`` has, such as a MobileViT block: as the space builds them."""
    (label,) = (label for label in parameters[0].choices if str(label) == text)
    lacking = [p for p in paths if _at(base, p) is None and all(p not in q.choices[label] for q in parameters)]
    if not lacking:
        return {}
    whole = space.arch(space.nearest_labels(base) | {parameter.name: label for parameter in parameters})
    return {path: _at(whole, path) for path in lacking}


def _by_path(base: ArchConfig, factor: str, text: str, paths: Sequence[str]) -> dict[str, Any]:
    """ "4" everywhere, or "8,4,2" with one value for each place."""
    there = [path for path in paths if _at(base, path) is not _ABSENT]
    parts = [parse_yaml(part, where=f"--values: {text!r}, a value of {factor},") for part in text.split(",")]
    if len(parts) == 1:
        return dict.fromkeys(there, parts[0])
    for places in (paths, there):
        if len(parts) == len(places):
            return dict(zip(places, parts, strict=True))
    raise InputError(f"--values: {text} has {len(parts)} values; {factor} takes 1, or {len(there)} with commas")


def _own_label(space: SearchSpace, base: ArchConfig, factor: str) -> str:
    choices = [choice for parameter in _parameters(space, factor) for choice in parameter.choices.values()]
    paths = dict.fromkeys(path for choice in choices for path in choice)
    values = [value for path in paths if not isinstance(value := _at(base, path), dict) and value is not _ABSENT]
    if not values or None in values:
        return "base"
    return str(values[0]) if len(set(values)) == 1 else ",".join(map(str, values))


def _at(arch: ArchConfig, path: str) -> object:
    """The value at ``path`` of ``arch``; _ABSENT where the part that it lies in is not there."""
    node: Any = to_dict(arch)
    for key in path.split("."):
        if node is None:
            return _ABSENT
        if isinstance(node, list | tuple):
            if int(key) >= len(node):
                return _ABSENT
            node = node[int(key)]
        else:
            node = node[key]
    return node


def _check_tiled(variant: Variant, *, resize: bool) -> None:
    if resize:
        return
    if untiled := [note for side in _sides(variant.arch, variant.schedule) if (note := _resized(variant.arch, side))]:
        words = f"{_words(variant.labels)} does not tile every map ({'; '.join(untiled)})"
        if variant.is_base:
            raise InputError(f"the base, {words}: leave out --no-resize to resize maps as the reference does")
        raise InvalidArchError(f"{words}, and --no-resize was given")


def _notes(arch: ArchConfig, schedule: Schedule) -> tuple[str, ...]:
    """Where patches do not tile a map, or leave attention a single token, at the sides that matter."""
    notes = [find(arch, side) for side in _sides(arch, schedule) for find in (_resized, _covered)]
    return tuple(note for note in notes if note)


def _sides(arch: ArchConfig, schedule: Schedule) -> tuple[int, ...]:
    """The side of the images in training, and that which the network is for."""
    return tuple(dict.fromkeys((schedule.side(arch.image_size), arch.image_size)))


def _blocks(arch: ArchConfig, side: int) -> Iterator[tuple[int, Block, int]]:
    """Each MobileViT block with the number of its stage and the side of its map, for images of ``side``."""
    for number, (stage, map_side) in enumerate(arch.sides_before_blocks(side), start=1):
        if stage.mobilevit is not None:
            yield number, stage.mobilevit, map_side


def _resized(arch: ArchConfig, side: int) -> str:
    """What patches do not tile in images of ``side``; "" where they tile everything."""
    found = [
        f"{before} to {after} px in stage {number}"
        for number, block, before in _blocks(arch, side)
        if (after := block.tiled_side(before)) != before
    ]
    return f"at {side} px maps are resized: {', '.join(found)}" if found else ""


def _covered(arch: ArchConfig, side: int) -> str:
    """The stages in which a patch is the whole map of images of ``side``; "" where there is none."""
    found = [str(number) for number, block, map_side in _blocks(arch, side) if block.tokens(map_side) == 1]
    stages = ", ".join(found)
    return f"at {side} px one patch covers the map, so attention sees one token: stage {stages}" if found else ""
