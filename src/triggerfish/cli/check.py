"""`triggerfish check`: every problem of the config, its JSON Schema, and advice from AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from triggerfish.cli.context import Context
from triggerfish.errors import ConfigError
from triggerfish.triggers import TRIGGERS, room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triggerfish.config.model import Config
    from triggerfish.errors import Problem


class Advice(Protocol):
    """What a trigger's `commands.advice(context)` yields, read here and nowhere else."""

    @property
    def severity(self) -> str:
        """`error`: it will not work. Anything else: it will hurt some day."""

    @property
    def where(self) -> str: ...
    @property
    def found(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def do(self) -> str: ...


def register(app: typer.Typer) -> None:
    app.command()(check)


def check(
    ctx: typer.Context,
    *,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of triggerfish.toml.")
    ] = False,
    aws: Annotated[
        bool, typer.Option("--aws", help="Also look at what is in AWS, and say what will hurt.")
    ] = False,
) -> None:
    """Check triggerfish.toml: every problem at once."""
    context = Context.of(ctx)
    if schema:
        from triggerfish.config.schema import schema as schema_of_config  # noqa: PLC0415  as below

        context.print_data(schema_of_config())
        return
    config = _config(context)
    advice = list(_advice(context)) if aws else []
    if context.json:
        context.print_data({"file": str(context.config_file), "problems": [], "advice": advice})
    else:
        context.say(_summary(context, config))
        for each in advice:
            context.say(_worded(each))
    if any(each.severity == "error" for each in advice):
        raise typer.Exit(1)


def _config(context: Context) -> Config:
    try:
        return context.config
    except ConfigError as error:
        if context.json:
            file = error.problems[0].file if error.problems else None
            problems = [_plain(problem) for problem in error.problems]
            context.print_data({"file": file, "problems": problems, "advice": []})
        raise


def _plain(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "path": problem.path,
        "found": problem.found,
        "wanted": problem.wanted,
        "hint": problem.hint,
    }


def _advice(context: Context) -> Iterator[Advice]:
    """What the triggers say. One that has nothing to look at in AWS has no `advice`."""
    for trigger in TRIGGERS:
        advise = getattr(room(trigger, "commands"), "advice", None)
        if advise is not None:
            yield from advise(context)


def _summary(context: Context, config: Config) -> str:
    found = {trigger: getattr(config, trigger, None) for trigger in TRIGGERS}
    parts = [
        f"{len(part)} {trigger}" if isinstance(part, tuple) else trigger
        for trigger, part in found.items()
        if part
    ]
    has = f" ({', '.join(parts)})" if parts else ""
    return f"{context.config_file.name}: no problem for stage {context.stage}{has}"


def _worded(advice: Advice) -> str:
    return (
        f"\n{advice.severity}: {advice.where}: {advice.found}\n"
        f"  why    {advice.why}\n"
        f"  do     {advice.do}"
    )
