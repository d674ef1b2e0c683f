"""`triggerfish init`: a commented triggerfish.toml that passes `check`."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Annotated

import typer

from triggerfish.cli.context import Context
from triggerfish.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE_NAME = "shop"
LONGEST_NAME = 20


def register(app: typer.Typer) -> None:
    app.command()(init)


def init(
    ctx: typer.Context,
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a commented triggerfish.toml into this folder."""
    context = Context.of(ctx)
    path = context.start / "triggerfish.toml"
    write(path, force=force)
    if context.json:
        context.print_data({"file": str(path)})
    else:
        context.say(f"wrote {path}; triggerfish check tells what is wrong in it, up runs it here")


def write(path: Path, *, force: bool) -> None:
    """Write the sample to `path`, never through a link or over a file unless forced."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(sample(path.absolute().parent.name))
    except FileExistsError as error:
        raise Refused(f"{path} exists", hint="triggerfish init --force overwrites it") from error
    except OSError as error:
        raise Refused(f"{path} can't be written: {error.strerror}") from error


def sample(folder: str) -> str:
    """The file `init` writes, named after the folder it's in."""
    text = files("triggerfish.config").joinpath("sample.toml").read_text("utf-8")
    return text.replace(f'name = "{SAMPLE_NAME}"', f'name = "{stack_name(folder)}"', 1)


def stack_name(folder: str) -> str:
    """A valid `name` that resembles the name of a folder."""
    spelled = "".join(each if each.isascii() and each.isalnum() else "-" for each in folder.lower())
    return spelled.lstrip("-0123456789")[:LONGEST_NAME].rstrip("-") or SAMPLE_NAME
