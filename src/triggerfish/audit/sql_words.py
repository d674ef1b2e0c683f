"""Words of SQL: what makes one, and when two are the same. Pure, and quick to import."""

from __future__ import annotations

import re


def word_class(also: str = "") -> str:
    """A character class of what identifiers are made of, and of `also`.

    Written by what is not in it: PostgreSQL takes whatever is no ASCII for a letter.
    https://www.postgresql.org/docs/8.0/sql-syntax.html#SQL-SYNTAX-IDENTIFIERS
    """
    others = (chr(code) for code in range(128))
    outside = "".join(c for c in others if not (c.isalnum() or c in "_$" + also))
    return f"[^{re.escape(outside)}]"


WORD = word_class()
WORD_OR_QUOTE = word_class('"')
_MOVED = 0xE000
_QUOTED_TO_WORD = {
    code: _MOVED + code for code in range(128) if not (chr(code).isalnum() or chr(code) in "_$")
}
_WORD_TO_QUOTED = {moved: code for code, moved in _QUOTED_TO_WORD.items()}
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def fold(text: str) -> str:
    """Lower case of ASCII letters only, as the server and a caseless scan of bytes have it."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


def quoted_as_word(name: str) -> str:
    """What is between the quotes of an identifier, as a reading has it."""
    return fold(name.replace('""', '"')).translate(_QUOTED_TO_WORD)


def shown(name: str) -> str:
    """An identifier of a reading as a person writes it: `"public.cards` is `public.cards`."""
    return name.replace('"', "").translate(_WORD_TO_QUOTED)
