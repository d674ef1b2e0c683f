"""What reaches the terminal: data on stdout, talk on stderr, and nothing that can steer either.

Tags, names and log lines are written by others, so every text passes `plain` before it is shown.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

import msgspec

from triggerfish.codec import to_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rich.console import Console

    from triggerfish.errors import Problem

UNFOLDED = 400
"""Columns of a table that goes into a pipe, where a folded line would split a value."""


def plain(text: object, *, keep: str = "") -> str:
    """`text` with every character a terminal could obey, but those in `keep`, as an escape."""
    return "".join(
        character if character.isprintable() or character in keep else ascii(character)[1:-1]
        for character in str(text)
    )


def say(text: str) -> None:
    """Tell the person something. Goes to stderr, so that stdout stays data."""
    sys.stderr.write(plain(text, keep="\n") + "\n")
    sys.stderr.flush()


def print_line(text: str) -> None:
    """Print one line of words on stdout."""
    sys.stdout.write(plain(text) + "\n")


def print_data(data: object) -> None:
    """Print `data` (dataclasses, msgspec structs, dates and plain values) as JSON on stdout."""
    plain_data = msgspec.to_builtins(data, enc_hook=to_text, str_keys=True)
    text = json.dumps(plain_data, indent=2, ensure_ascii=False)
    sys.stdout.write("".join(map(_json_character, text)) + "\n")


def _json_character(character: str) -> str:
    """JSON escapes the controls of ASCII; what else a terminal could obey is escaped here."""
    shown = character.isprintable() or character == "\n"
    return character if shown else json.dumps(character)[1:-1]


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under `columns` on stdout, folded to the terminal.

    None is an empty cell; a column of only those is left out.
    """
    from rich import box  # noqa: PLC0415  as in `console`
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    filled = [any(row[at] not in (None, "") for row in rows) for at in range(len(columns))]
    columns = [column for column, used in zip(columns, filled, strict=True) if used or not rows]
    rows = [[cell for cell, used in zip(row, filled, strict=True) if used] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else plain(cell)) for cell in row))
    console(sys.stdout).print(table)


def console(stream: TextIO) -> Console:
    """A rich console that honours NO_COLOR, TERM=dumb and the width of the terminal."""
    from rich.console import Console  # noqa: PLC0415  `--json` and `--help` don't pay for it

    width = None if stream.isatty() else UNFOLDED
    return Console(file=stream, highlight=False, markup=False, emoji=False, width=width)


def complain(message: str, hint: str | None = None) -> None:
    """Print an error on stderr as people and scripts read it: `error: ...`, `hint: ...` last."""
    sys.stderr.write(f"{_painted('error:', 31)} {plain(message, keep=chr(10))}\n")
    if hint:
        _hint(hint)
    sys.stderr.flush()


def _hint(text: str) -> None:
    sys.stderr.write(f"{_painted('hint:', 36)} {plain(text, keep=chr(10))}\n")


def complain_of(problems: Sequence[Problem], hint: str | None = None) -> None:
    """Print every problem of a config as a block: where, found, wanted, and what was meant."""
    for problem in problems:
        where = f"{problem.file}:{problem.line}" if problem.line else problem.file
        lines = [
            f"{where}: {problem.path}",
            *_wrapped("found", problem.found),
            *_wrapped("wanted", problem.wanted),
            *(_wrapped("hint", problem.hint) if problem.hint else ()),
        ]
        complain("\n".join(lines))
    if len(problems) > 1:
        complain(f"{len(problems)} problems in {problems[0].file}")
    if hint:
        _hint(hint)


def _wrapped(label: str, text: str) -> list[str]:
    """`text` behind its label, broken between words at the terminal's width."""
    columns = shutil.get_terminal_size().columns if sys.stderr.isatty() else UNFOLDED
    indent = " " * 9
    return textwrap.wrap(
        text,
        width=max(columns - 1, 40),
        initial_indent=f"  {label:<6} ",
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _painted(word: str, colour: int) -> str:
    """`word` in an ANSI colour where stderr shows one."""
    return f"\x1b[1;{colour}m{word}\x1b[0m" if shows_colour(sys.stderr) else word


def shows_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal with colours that nobody switched off (no-color.org)."""
    dumb = os.environ.get("TERM", "") in ("", "dumb")
    return stream.isatty() and not os.environ.get("NO_COLOR") and not dumb
