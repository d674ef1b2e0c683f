"""On which line each key of a TOML document stands. `tomllib` doesn't say.

Looked at first: tomlkit keeps no positions (python-poetry/tomlkit issue 55), spanned-toml is no
longer kept up, tree-sitter-toml brings a C extension for this alone. So this walks a text that
`tomllib` has accepted: it only has to know where keys and values begin and end, not whether they
are right.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from triggerfish.faults import KeyPath

_BLANK = " \t"
_BETWEEN = " \t\r\n"
_ENDS_OF_BARE_KEY = frozenset(" \t.=]}\n\r")
_ENDS_OF_BARE_VALUE = frozenset(",]}#\n\r")


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of each key, table header and array element of a valid TOML document."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text + "\n"
        self._at = 0
        self._line = 1
        self._lines: dict[KeyPath, int] = {}
        self._tables: dict[KeyPath, int] = {}
        """How many elements each array of tables has so far."""

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip_to_something():
            if self._next("[["):
                table = self._header(closing="]]", is_array=True)
            elif self._next("["):
                table = self._header(closing="]", is_array=False)
            else:
                self._pair(table)
        return self._lines

    def _header(self, *, closing: str, is_array: bool) -> KeyPath:
        path: KeyPath = ()
        line = self._line
        self._advance(len(closing))
        *parents, name = self._key()
        for parent in parents:
            path = (*path, parent)
            self._lines.setdefault(path, line)
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        path = (*path, name)
        if is_array:
            self._lines.setdefault(path, line)
            position = self._tables.get(path, 0)
            self._tables[path] = position + 1
            path = (*path, position)
        self._lines[path] = line
        self._skip(_BLANK)
        self._advance(len(closing))
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        line = self._line
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._skip(_BLANK)
        self._advance(len("="))
        self._skip(_BLANK)
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_BLANK)
            parts.append(self._part_of_key())
            self._skip(_BLANK)
            if not self._next("."):
                return parts
            self._advance(1)

    def _part_of_key(self) -> str:
        begin = self._at
        if self._next('"') or self._next("'"):
            self._string()
            written = self._text[begin : self._at]
            return str(tomllib.loads(f"key = {written}")["key"])
        while self._text[self._at] not in _ENDS_OF_BARE_KEY:
            self._at += 1
        return self._text[begin : self._at]

    def _value(self, path: KeyPath) -> None:
        if self._next("["):
            self._array(path)
        elif self._next("{"):
            self._inline_table(path)
        elif self._next('"') or self._next("'"):
            self._string()
        else:
            while self._text[self._at] not in _ENDS_OF_BARE_VALUE:
                self._at += 1

    def _array(self, path: KeyPath) -> None:
        self._advance(1)
        position = 0
        while self._skip_to_something(",") and not self._next("]"):
            element = (*path, position)
            self._lines[element] = self._line
            self._value(element)
            position += 1
        self._advance(1)

    def _inline_table(self, path: KeyPath) -> None:
        self._advance(1)
        while self._skip_to_something(",") and not self._next("}"):
            self._pair(path)
        self._advance(1)

    def _string(self) -> None:
        quote = self._text[self._at]
        if self._next(quote * 3):
            self._advance(3)
            self._run_to(quote * 3, escapes=quote == '"')
            while self._next(quote):  # up to two more quotes belong to the text
                self._advance(1)
        else:
            self._advance(1)
            self._run_to(quote, escapes=quote == '"')

    def _run_to(self, closing: str, *, escapes: bool) -> None:
        while not self._next(closing):
            self._advance(2 if escapes and self._next("\\") else 1)
        self._advance(len(closing))

    def _skip_to_something(self, also: str = "") -> bool:
        """Pass blanks, line ends, comments and `also`; whether anything is left."""
        while self._at < len(self._text):
            if self._next("#"):
                while not self._next("\n"):
                    self._advance(1)
            elif self._text[self._at] in _BETWEEN + also:
                self._advance(1)
            else:
                return True
        return False

    def _skip(self, characters: str) -> None:
        while self._text[self._at] in characters:
            self._advance(1)

    def _next(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _advance(self, count: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + count)
        self._at += count
