"""A command of typer from a settings dataclass: its parameters, its help by group, and what was typed as settings."""

import inspect
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand

from mvit_nas.errors import InputError
from mvit_nas.settings.flag import Flag, Group, flags_of, made
from mvit_nas.settings.shared import Kept
from mvit_nas.settings.study_file import read_config


def command(app: typer.Typer, run: Callable[[Any], None]) -> None:
    """Add to ``app`` a command that calls ``run`` with its one argument, a settings dataclass, from what was typed."""
    (kind,) = (hint for name, hint in typing.get_type_hints(run).items() if name != "return")

    def callback(context: typer.Context, **typed: object) -> None:
        given = {name: value for name, value in typed.items() if _is_typed(context, name)}
        run(_settings(kind, given))

    parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    parameters += [_parameter(one, optional=issubclass(kind, Kept)) for one in flags_of(kind)]
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {one.name: one.annotation for one in parameters}
    callback.__doc__ = run.__doc__
    cls = type(kind.__name__, (_Command,), {"flags": flags_of(kind)})
    app.command(run.__name__, cls=cls)(callback)


def _settings(kind: type[Any], typed: dict[str, object]) -> Any:
    """The settings ``kind``: what was typed, else what the file of ``--config`` has, else the defaults."""
    config = typed.get("config")
    fields = read_config(config, kind) if isinstance(config, Path) else {}
    fields |= {one.name: one.value(typed[one.name]) for one in flags_of(kind) if one.name in typed}
    for one in flags_of(kind):
        if one.required and one.name not in fields:
            raise InputError(f"{one.metavar} is missing: name it, or give a --config that does")
    return made(kind, fields)


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _parameter(one: Flag, *, optional: bool) -> inspect.Parameter:
    """What typer makes the flag's parameter of; with ``optional`` a required one may stand in a file instead."""
    kind: Any = list[one.raw] if one.many else one.raw  # type: ignore[name-defined]
    help_text, default = one.help + "  [required]" * (one.required and optional), _default(one)
    if one.option:
        info = typer.Option(one.option, metavar=one.metavar, help=help_text, min=one.least)
    else:
        info = typer.Argument(metavar=one.metavar, help=help_text, show_default=False)
    must_be_typed = one.required and not optional
    return inspect.Parameter(
        one.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if must_be_typed else default,
        annotation=Annotated[kind if must_be_typed or default is not None else kind | None, info],
    )


def _default(one: Flag) -> object:
    """What the help shows and typer takes for the default: the text of it."""
    if one.many or one.default is None:
        return None
    return one.default if isinstance(one.default, Path) else one.written(one.default)


class _Command(TyperCommand):
    """A command whose help has its flags by group, and of whose flags the greedy ones take all up to the next flag."""

    flags: ClassVar[tuple[Flag, ...]] = ()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        greedy = {one.option for one in self.flags if one.greedy}
        joined: list[str] = []
        for argument in args:
            if not argument.startswith("-") and len(joined) > 1 and joined[-2] in greedy:
                joined[-1] = f"{joined[-1]} {argument}".strip()
            else:
                joined += [argument, ""] if argument in greedy else [argument]
        return super().parse_args(ctx, joined)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for group, records in self._records(ctx):
            with formatter.section(group):
                formatter.write_dl(records)

    def _records(self, ctx: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        groups = {one.name: one.group for one in self.flags}
        shown = [(groups.get(one.name, Group.OUTPUT), one.get_help_record(ctx)) for one in self.get_params(ctx)]
        for group in Group:
            if records := [record for its, record in shown if its is group and record is not None]:
                yield str(group), records
