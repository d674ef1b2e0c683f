"""What every command is given: the stage, how to answer, and the project it was started in.

A command takes `ctx: typer.Context` and reads `Context.of(ctx)`. It doesn't declare `--stage` and
`--json`: `triggerfish.cli.app` adds them to every command.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from triggerfish.cli import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

    from triggerfish.config.model import Config

LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Context:
    stage: str = LOCAL
    json: bool = False
    """Answer with JSON on stdout."""
    start: Path = field(default_factory=Path.cwd)
    """The folder the command was started in."""

    @classmethod
    def of(cls, ctx: typer.Context) -> Context:
        found = ctx.find_object(cls)
        return found if found is not None else cls()

    @property
    def is_local(self) -> bool:
        return self.stage == LOCAL

    @cached_property
    def config_file(self) -> Path:
        """The nearest triggerfish.toml at or above `start`; `ConfigError` when there is none."""
        from triggerfish.config.load import find  # noqa: PLC0415  `--help` doesn't pay for it

        return find(self.start)

    @property
    def project(self) -> Path:
        """The folder that holds triggerfish.toml."""
        return self.config_file.parent

    @cached_property
    def config(self) -> Config:
        """The config for this stage, loaded once. Raises `ConfigError` with every problem."""
        from triggerfish.config.load import load  # noqa: PLC0415  `--help` doesn't pay for it

        return load(self.config_file, self.stage)

    @staticmethod
    def say(text: str) -> None:
        """Talk: stderr."""
        output.say(text)

    @staticmethod
    def print_line(text: str) -> None:
        """One line of words on stdout."""
        output.print_line(text)

    @staticmethod
    def print_data(data: object) -> None:
        """JSON on stdout, whatever `json` says."""
        output.print_data(data)

    def show(
        self, data: object, *, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """`data` as JSON with `--json`, the rows as a table without."""
        if self.json:
            output.print_data(data)
        else:
            output.print_table(columns, rows)
