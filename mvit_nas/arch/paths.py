"""Dotted paths into an architecture, and the one way to vary it: ``with_values``."""

from collections.abc import Iterable, Mapping
from typing import Any

from mvit_nas.arch.config import ArchConfig, from_dict, to_dict, whole_block
from mvit_nas.errors import ArchError, unknown


def with_values(arch: ArchConfig, values: Mapping[str, Any]) -> ArchConfig:
    """``arch`` with the value at each dotted path replaced: ``{"stages.2.mobilevit.dim": 72}``.

    Stages count from 0; ``*`` stands for every stage, or for every stage that has what the path goes on with.
    A mapping builds a whole part (``{"stages.1.mobilevit": {"dim": 64, "depth": 2}}``). A path below a part that
    the same call sets to None has no effect. Raises ArchError, naming the path and the nearest one, when a path
    leads nowhere.
    """
    plain, values = to_dict(arch), {str(key): value for key, value in values.items()}  # YAML has numbers for keys
    expanded = {path: value for key, value in values.items() for path in expand_path(arch, key, also=values)}
    removed = tuple(f"{path}." for path, value in expanded.items() if value is None)
    # Short paths first: a part is set before what lies inside it.
    for path in sorted(expanded, key=lambda path: path.count(".")):
        if not path.startswith(removed):
            value = expanded[path]
            if isinstance(value, Mapping) and path.endswith(".mobilevit"):
                # With its defaults filled in, so that deeper paths find them.
                value = whole_block(value, path)
            _set(plain, path, value)
    return from_dict(plain)


def expand_path(arch: ArchConfig, path: str, *, also: Iterable[str] = ()) -> list[str]:
    """``path`` with ``*`` replaced by each stage of ``arch`` that has such a value.

    ``also`` are paths that the caller sets as well: a stage that gets its MobileViT block from them counts.
    """
    before, star, after = path.partition("*")
    if not star:
        return [path]
    if before != "stages." or not after.startswith("."):
        raise ArchError(f"the path {path!r} leads nowhere: '*' stands for a stage, as in 'stages.*.channels'")
    inside = after.removeprefix(".")
    set_elsewhere = set(also)
    stages = [
        i
        for i, stage in enumerate(arch.stages)
        if not inside.startswith("mobilevit.")
        or stage.mobilevit is not None
        or f"stages.{i}.mobilevit" in set_elsewhere
    ]
    if not stages:
        raise ArchError(f"the path {path!r} leads nowhere: no stage has a MobileViT block")
    return [f"stages.{i}.{inside}" for i in stages]


def _set(plain: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    node: Any = plain
    for step, key in enumerate(parents):
        node = node[_key(node, key, path)]
        if node is None:
            absent = ".".join(parents[: step + 1])
            raise ArchError(f"the path {path!r} leads nowhere: there is nothing at {absent!r}")
    node[_key(node, last, path)] = value


def _key(node: object, key: str, path: str) -> str | int:
    """``key`` as an index of ``node``, or an ArchError that names the known keys nearest to it."""
    if isinstance(node, list | tuple):
        if key.isdecimal() and key.isascii() and int(key[:9]) < len(node):
            return int(key)
        raise ArchError(f"the path {path!r} leads nowhere: {key!r} is none of the stages 0 to {len(node) - 1}")
    if not isinstance(node, dict) or key not in node:
        known = list(node) if isinstance(node, dict) else []
        raise ArchError(f"the path {path!r} leads nowhere: {unknown(key, known)}")
    return key


def flat(plain: Any, prefix: str = "") -> dict[str, Any]:
    """Every path of nested mappings and lists with its value, parts included."""
    paths: dict[str, Any] = {}
    items = enumerate(plain) if isinstance(plain, list | tuple) else plain.items()
    for key, value in items:
        paths[f"{prefix}{key}"] = value
        if isinstance(value, dict | list | tuple):
            paths.update(flat(value, f"{prefix}{key}."))
    return paths
