"""The words of a config error: what was found at which key path, what was wanted, what was meant.

Pure, and below every trigger: a trigger's rules speak in these, and `triggerfish.config` adds the
file and the line. Functions don't import this.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KeyPath = tuple[str | int, ...]
"""Keys and, in arrays, positions from 0."""

_SHOWN = 60
"""Characters of a found value that are shown; the line number leads to the rest."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong. `found` holds no secret: it's printed as it is."""

    path: KeyPath
    found: str
    wanted: str
    hint: str | None = None


def show(path: KeyPath) -> str:
    """`provision[0].tags."a key"`, as TOML writes keys."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{key(part)}" if text else key(part)
    return text


def key(name: str) -> str:
    """A TOML key, quoted when it has to be."""
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else quoted(name)


def quoted(text: str) -> str:
    """`text` between quotes, on one line, cut when long, with nothing a terminal could obey."""
    if len(text) > _SHOWN:
        text = text[: _SHOWN - 1] + "…"
    written = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in written)


def described(value: object) -> str:
    """A TOML value as an error shows it: short values as they are, tables and arrays by kind."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int() | float():
            return f"the number {value:g}" if isinstance(value, float) else _integer(value)
        case _:
            return kind(value)


def kind(value: object) -> str:
    """The kind of a TOML value, without anything of the value."""
    return next(words for types, words in _KINDS if isinstance(value, types))


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a boolean"),  # before int, which it is too
    (str, "a string"),
    (int, "an integer"),
    (float, "a float"),
    (dict, "a table"),
    (list, "an array"),
    ((dt.date, dt.time), "a date or time"),
)


def _integer(value: int) -> str:
    return f"the number {value}" if abs(value) < 10**18 else "a huge number"


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that `word` is most likely a typo of."""
    by_form = {_form(name): name for name in names}
    near = difflib.get_close_matches(_form(word), by_form, 1)
    return by_form[near[0]] if near else None


def _form(name: str) -> str:
    return name.lower().replace("-", "_")


def did_you_mean(word: str, names: Iterable[str]) -> str | None:
    near = nearest(word, names)
    return None if near is None else f"did you mean {near}?"


def one_of(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
