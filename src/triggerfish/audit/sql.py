r"""SQL as its server reads it, as far as a rule needs: what is code, what is text, what is comment.

Attackers write the statements, so each step is linear in their length, and where servers and
settings differ in how they read (does `\'` end a string? do comments nest?) every reading counts.

A reading is the code alone, in one form: folded to lower case, comments gone, one space between
words and none around `( ) , . ; =`. A string is `'N`, its place in `strings`. A quoted identifier
is `"name`, with what is no letter, digit, `_` or `$` moved to the private use area, so that no
quoted name reads as words of SQL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triggerfish.audit.sql_words import WORD, WORD_OR_QUOTE, fold, quoted_as_word

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAG = WORD[:-1] + "$]"

_SPECIAL = re.compile(rf"--|/\*|'|\"|(?<!{WORD})\$(?:(?!\d){_TAG}+)?\$")
_LINE = re.compile(r"[^\n\r]*+")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_BACKSLASH_STRING = re.compile(r"'(?:[^'\\]++|\\.|'')*+", re.DOTALL)
_PLAIN_STRING = re.compile(r"'(?:[^']++|'')*+")
_QUOTED = re.compile(r'"(?:[^"]++|"")*+')
_BLANK = re.compile(r"[ \t\n\r\f\v]+")
_AROUND = re.compile(r" ?([(),.;=]) ?")
_ESCAPED_BLANK = re.compile(r"\\[nrtf]")
_CARRIES_SQL = re.compile(rf"(?<!{WORD_OR_QUOTE})(execute|unload)\(? ?'(\d+)")
_HAS_BODY = re.compile(rf"(?<!{WORD_OR_QUOTE})(?:procedure|function|do)(?!{WORD})")
_STRING = re.compile(r"'(\d+)")
_PART = re.compile(r" ?\|\| ?|'(\d+)|[^'|]++|.")

MOST_NESTED = 4
"""How deep SQL within text within SQL is followed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a statement that isn't plain code: `text[begin:end]`."""

    kind: str
    """comment, string, dollar or quoted."""
    begin: int
    end: int
    tag: int = 0
    """How long each delimiter is."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One statement, up to its `;`, in the form above. `verb`: what carried it as text, if any."""

    code: str
    strings: tuple[str, ...]
    verb: str = ""

    def string(self, placeholder: str) -> str:
        """What `'N` stands for."""
        return self.strings[int(placeholder[1:])]


def readings(statement: str) -> Iterator[Reading]:
    """Every statement in `statement`, also those in texts that will be run, in every reading."""
    waiting = [(statement, "", 0)]
    seen = set()
    while waiting:
        text, verb, depth = waiting.pop()
        for pieces in _ways_to_read(text, depth):
            for reading in _split(text, pieces, verb):
                if (reading.code, reading.strings) in seen:
                    continue
                seen.add((reading.code, reading.strings))
                yield reading
                if depth < MOST_NESTED:
                    waiting += [(inner, by, depth + 1) for by, inner in _carried(reading)]


def _ways_to_read(text: str, depth: int) -> Iterator[list[Piece]]:
    doubtful = depth <= 1  # deeper, the readings of readings would be too many
    backslashes = (True, False) if doubtful and "\\'" in text else (True,)
    nestings = (True, False) if doubtful and text.count("/*") > 1 else (True,)
    before: list[list[Piece]] = []
    for nests in nestings:
        for backslash in backslashes:
            found = list(pieces(text, backslash=backslash, nests=nests))
            if found not in before:
                before.append(found)
                yield found


def pieces(text: str, *, backslash: bool = True, nests: bool = True) -> Iterator[Piece]:
    """What isn't plain code, in order. An open end reaches to the end of the text."""
    at = 0
    while (special := _SPECIAL.search(text, at)) is not None:
        begin, opening = special.start(), special.group()
        match opening:
            case "--":
                piece = Piece("comment", begin, _end(_LINE, text, begin))
            case "/*":
                piece = Piece("comment", begin, _comment_end(text, begin, nests=nests))
            case "'":
                form = _BACKSLASH_STRING if backslash else _PLAIN_STRING
                piece = Piece("string", begin, _closed(text, _end(form, text, begin)), 1)
            case '"':
                piece = Piece("quoted", begin, _closed(text, _end(_QUOTED, text, begin)), 1)
            case _:
                close = text.find(opening, special.end())
                end = len(text) if close < 0 else close + len(opening)
                piece = Piece("dollar", begin, end, len(opening))
        yield piece
        at = piece.end


def _end(form: re.Pattern[str], text: str, begin: int) -> int:
    found = form.match(text, begin)
    return begin if found is None else found.end()


def _closed(text: str, end: int) -> int:
    return min(end + 1, len(text))


def _comment_end(text: str, begin: int, *, nests: bool) -> int:
    if not nests:
        close = text.find("*/", begin + 2)
        return len(text) if close < 0 else close + 2
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, begin):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(text)


def _split(text: str, found: list[Piece], verb: str) -> Iterator[Reading]:
    code: list[str] = []
    strings: list[str] = []
    at = 0
    for piece in found:
        code.append(fold(text[at : piece.begin]))
        at = piece.end
        match piece.kind:
            case "comment":
                code.append(" ")
            case "quoted":
                code.append(f' "{quoted_as_word(_inside(text, piece))} ')
            case _:
                code.append(f" '{len(strings)} ")
                strings.append(_inside(text, piece))
    code.append(fold(text[at:]))
    plain = _AROUND.sub(r"\1", _BLANK.sub(" ", "".join(code)))
    first = 0
    for part in plain.split(";"):
        own = [strings[int(number)] for number in _STRING.findall(part)]
        if stripped := part.strip(" "):
            yield Reading(_renumbered(stripped, first), tuple(own), verb)
        first += len(own)


def _renumbered(code: str, first: int) -> str:
    return _STRING.sub(lambda found: f"'{int(found.group(1)) - first}", code) if first else code


def _inside(text: str, piece: Piece) -> str:
    inside = text[piece.begin + piece.tag : piece.end]
    closing = text[piece.begin : piece.begin + piece.tag]
    return inside.removesuffix(closing)


def _carried(reading: Reading) -> Iterator[tuple[str, str]]:
    """The texts in a reading that the server runs as SQL, with the verb that makes it do so."""
    carriers = list(_CARRIES_SQL.finditer(reading.code))
    ends = [following.start() for following in carriers[1:]]
    for carrier, end in zip(carriers, [*ends, len(reading.code)], strict=False):
        if carrier.group(1) == "unload":  # of one text, and TO another
            yield "unload", _unescaped(reading.strings[int(carrier.group(2))])
        else:
            yield "execute", _joined(reading, carrier.start(2) - 1, end)
    if _HAS_BODY.search(reading.code):
        yield from (("body", text) for text in reading.strings)


def _joined(reading: Reading, begin: int, end: int) -> str:
    """The text that `'a' || name || 'b'` comes to, as far as it is written there."""
    parts: list[str] = []
    for part in _PART.finditer(reading.code, begin, end):
        if part.group(1) is not None:
            parts.append(_unescaped(reading.strings[int(part.group(1))]))
        elif part.group().strip() != "||":
            parts.append(" unknown ")
    return "".join(parts)


def _unescaped(text: str) -> str:
    plain = text.replace("''", "'").replace("\\'", "'")
    return _ESCAPED_BLANK.sub(" ", plain)
