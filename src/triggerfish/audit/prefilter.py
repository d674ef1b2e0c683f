"""Which records of a block may matter to a rule: hyperscan where installed, else `re`. Pure.

Both find every record that a pattern occurs in and may find others; the rules decide. So what is
found in the end is the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hyperscan import Database

Hits = list[list[int]]


class Lane(msgspec.Struct, frozen=True):
    """Patterns whose ends are hits of one kind."""

    patterns: tuple[bytes, ...] = ()
    caseless: bool = True


Lanes = tuple[Lane, ...]


class Prefilter(Protocol):
    """Finds where patterns end: for each lane the ascending offsets, of which some may repeat."""

    def hits(self, block: bytes) -> Hits: ...


def hyperscan_is_there() -> bool:
    try:
        import hyperscan  # noqa: F401, PLC0415  optional, and only large files pay for it
    except ImportError:
        return False
    return True


@lru_cache(maxsize=16)
def hyperscan_prefilter(lanes: Lanes) -> Prefilter:
    """All patterns at once, at the speed of one. Compiling costs some 10 ms, once a process."""
    return _Hyperscan(lanes)


@lru_cache(maxsize=16)
def standard_prefilter(lanes: Lanes) -> Prefilter:
    """Patterns one after the other, those that can't match left out by a text they need."""
    return _Standard(lanes)


class _Hyperscan:
    def __init__(self, lanes: Lanes) -> None:
        import hyperscan  # noqa: PLC0415  see above

        patterns = [pattern for lane in lanes for pattern in lane.patterns]
        self._lanes = [number for number, lane in enumerate(lanes) for _ in lane.patterns]
        self._count = len(lanes)
        self._lock = Lock()
        self._database: Database | None = None
        if not patterns:
            return
        flags = hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_MULTILINE
        caseless = flags | hyperscan.HS_FLAG_CASELESS
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=patterns,
            ids=list(range(len(patterns))),
            elements=len(patterns),
            flags=[caseless if lanes[lane].caseless else flags for lane in self._lanes],
        )

    def hits(self, block: bytes) -> Hits:
        found: Hits = [[] for _ in range(self._count)]
        if self._database is None:
            return found
        append: list[Callable[[int], None]] = [found[lane].append for lane in self._lanes]

        def on_match(pattern: int, _start: int, end: int, _flags: int, _context: object) -> None:
            append[pattern](end)

        # The database's scratch space serves one scan at a time.
        with self._lock:
            self._database.scan(block, match_event_handler=on_match)
        for lane in found:
            lane.sort()
        return found


class _Standard:
    def __init__(self, lanes: Lanes) -> None:
        self._lanes = [
            [_Lazy(pattern, caseless=lane.caseless) for pattern in lane.patterns] for lane in lanes
        ]
        self._caseless = [lane.caseless for lane in lanes]

    def hits(self, block: bytes) -> Hits:
        lower = block.lower()
        return [
            _lane_hits(lane, lower if caseless else block)
            for lane, caseless in zip(self._lanes, self._caseless, strict=True)
        ]


def _lane_hits(lane: Sequence[_Lazy], text: bytes) -> list[int]:
    found: list[int] = []
    for pattern in lane:
        if pattern.needs in text:
            found += pattern.ends(text)
    found.sort()
    return found


class _Lazy:
    """A pattern, compiled when its literal first occurs. A caseless one is for lower-case text,
    which needs no caseless match: that is what lets `re` search for a literal.
    """

    def __init__(self, pattern: bytes, *, caseless: bool) -> None:
        needs = required_literal(pattern)
        self.needs = needs.lower() if caseless else needs
        self._pattern = pattern
        self._caseless = caseless
        self._expression: re.Pattern[bytes] | None = None

    def ends(self, text: bytes) -> list[int]:
        """Where it matches. Each match is followed by a search right behind its beginning: one that
        goes on over several records must not hide those that begin inside.
        """
        expression = self._expression or self._compiled()
        search = expression.search
        ends = []
        found = search(text)
        while found:
            ends.append(found.end())
            found = search(text, found.start() + 1)
        return ends

    def _compiled(self) -> re.Pattern[bytes]:
        flags = re.DOTALL | re.MULTILINE
        pattern = self._pattern
        if self._caseless and _UPPER_CASE_HIDDEN.search(pattern):
            flags |= re.IGNORECASE
        elif self._caseless:
            pattern = _lowered(pattern)
        self._expression = re.compile(pattern, flags)
        return self._expression


_TOKEN = re.compile(rb"\\x[0-9a-fA-F]{2}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
_UPPER_CASE_HIDDEN = re.compile(rb"\\x[45]|[A-Z]-[^A-Z]|[^A-Z]-[A-Z]")
_QUANTIFIER = re.compile(rb"(?:[*+?]|\{[0-9,]*\})[?+]?")


def _lowered(pattern: bytes) -> bytes:
    r"""The pattern with its letters in lower case; `\S` and its like stay what they are."""
    return b"".join(
        token if token.startswith(b"\\") else _lowered_class(token)
        for token in _TOKEN.findall(pattern)
    )


def _lowered_class(token: bytes) -> bytes:
    parts = re.split(rb"(\\x[0-9a-fA-F]{2}|\\.)", token, flags=re.DOTALL)
    return b"".join(part if part.startswith(b"\\") else part.lower() for part in parts)


def required_literal(pattern: bytes) -> bytes:
    """The longest text that whatever matches the pattern holds, in its case; b"" if unknown."""
    best = run = b""
    position = depth = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            break
        position = token.end()
        quantifier = _QUANTIFIER.match(pattern, position)
        position = quantifier.end() if quantifier else position
        literal = _literal(token[0])
        depth += (token[0] == b"(") - (token[0] == b")")
        if token[0] == b"|" and depth == 0:
            return b""
        if depth == 0 and literal and not quantifier:
            run += literal
            continue
        best, run = max(best, run, key=len), b""
    return max(best, run, key=len)


def _literal(token: bytes) -> bytes:
    """The one byte that a token stands for, if it stands for one."""
    if len(token) == 2 and token.startswith(b"\\"):
        return b"" if token[1:].isalnum() else token[1:]
    return b"" if len(token) > 1 or token in b".^$()|[]{}*+?" else token
