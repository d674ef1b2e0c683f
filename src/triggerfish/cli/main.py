"""The command line: gathers the commands, and turns errors into words and exit codes.

Design: exit codes are 0 done, 1 failed or refused, 2 usage or config, 3 unavailable, try later.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from triggerfish import __version__
from triggerfish.cli import output
from triggerfish.cli.app import Json, OutputClosed, Stage, add_global_options, new_app
from triggerfish.cli.context import LOCAL, Context
from triggerfish.errors import ConfigError, Error
from triggerfish.triggers import TRIGGERS

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: tuple[str, ...] = (
    "triggerfish.cli.init",
    "triggerfish.cli.check",
    "triggerfish.cli.cloud",
    "triggerfish.cli.send",
    "triggerfish.cli.status",
    *(f"{package}.commands" for package in TRIGGERS.values()),
    "triggerfish.deploy.commands",
)
"""Modules with a `register(app)`, in the order of `--help`. Importing one must be quick."""

UsageError = cast("type[Any]", typer.BadParameter.__base__)
"""What typer raises for a wrong command line: click's class or typer's copy of it, by version."""

INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 and the number of the signal, as a shell reports them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        code = run(build_app(COMMANDS), argv)
        sys.stdout.flush()
    except (BrokenPipeError, OutputClosed):
        return _after_broken_pipe()
    return code


def build_app(modules: Sequence[str]) -> typer.Typer:
    """The app with the commands of `modules`."""
    app = new_app(
        name="triggerfish",
        help="Ready-made AWS Lambda triggers for operations teams.",
        callback=_root,
        invoke_without_command=True,
        epilog="Exit codes: 0 done, 1 failed or refused, 2 usage or config, 3 try later.",
    )
    for name in modules:
        importlib.import_module(name).register(app)
    add_global_options(app)
    return app


def run(app: typer.Typer, argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: this process's) and say what went wrong."""
    try:
        result = typer.main.get_command(app).main(
            args=list(sys.argv[1:] if argv is None else argv),
            prog_name="triggerfish",
            standalone_mode=False,
        )
    except Error as error:
        _report(error)
        return _exit_code(error)
    except UsageError as error:
        _report_usage(error)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _root(
    ctx: typer.Context,
    *,
    stage: Stage = None,
    json: Json = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    ctx.obj = Context(stage=stage or LOCAL, json=json)
    if version:
        sys.stdout.write(f"triggerfish {__version__}\n")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        output.say(ctx.get_help())
        raise typer.Exit(2)


def _report(error: Error) -> None:
    if isinstance(error, ConfigError):
        output.complain_of(error.problems, error.hint)
    else:
        output.complain(error.message, error.hint)


def _report_usage(error: Any) -> None:
    """Say what is wrong with the command line, in the form of every other error."""
    command = error.ctx.command_path if error.ctx is not None else "triggerfish"
    output.complain(error.format_message(), f"{command} --help lists what it takes")


def _exit_code(error: Error) -> int:
    from triggerfish.runtime.entry import exit_code  # noqa: PLC0415  only a failure pays for it

    return exit_code(error)


def _after_broken_pipe() -> int:
    """Nobody reads stdout any more: keep Python from complaining of that while it exits.

    Source: https://docs.python.org/3/library/signal.html#note-on-sigpipe, 2025-06.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return BROKEN_PIPE
