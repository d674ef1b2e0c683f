"""Typer apps all of whose commands take `--stage` and `--json`, before or after their name.

Each module with commands has `register(app: typer.Typer) -> None`. A group of commands
(`dead list`, `dead show`) is a `new_app(name="dead")` of its own, added with `app.add_typer`.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triggerfish.cli.context import LOCAL, Context

if TYPE_CHECKING:
    from collections.abc import Callable

Stage = Annotated[
    str | None,
    typer.Option(
        "--stage",
        metavar="NAME",
        help=f"Which deployment: {LOCAL} (the default), or one from the config.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.", show_default=False)]


class OutputClosed(Exception):
    """Nobody reads stdout any more. Typer would end the process by itself on a BrokenPipeError."""


def new_app(**settings: Any) -> typer.Typer:
    """A typer app that leaves errors to `main`."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        **settings,
    )


def add_global_options(app: typer.Typer) -> None:
    """Give every command of `app`, and of the apps in it, `--stage` and `--json`."""
    for command in app.registered_commands:
        if command.callback is not None:
            command.callback = with_global_options(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_global_options(group.typer_instance)


def with_global_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with `--stage` and `--json` among its options; they change its `Context`."""
    signature = inspect.signature(function, eval_str=True)
    wants_context = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.annotation is typer.Context
    ]

    @functools.wraps(function)
    def command(
        global_context: typer.Context, global_stage: Stage, global_json: Json, **arguments: Any
    ) -> Any:
        context = Context.of(global_context)
        global_context.obj = replace(
            context,
            stage=global_stage or context.stage,
            json=global_json or context.json,
        )
        try:
            return function(**arguments, **dict.fromkeys(wants_context, global_context))
        except BrokenPipeError as error:
            raise OutputClosed from error

    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [
        parameter.replace(kind=keyword)
        for name, parameter in signature.parameters.items()
        if name not in wants_context
    ]
    parameters = [
        *own,
        inspect.Parameter("global_context", keyword, annotation=typer.Context),
        inspect.Parameter("global_stage", keyword, default=None, annotation=Stage),
        inspect.Parameter("global_json", keyword, default=False, annotation=Json),
    ]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    del command.__dict__["__wrapped__"]  # typer would read the parameters of `function` instead
    return command
