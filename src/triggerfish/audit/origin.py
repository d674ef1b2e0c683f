r"""Whether an activity record is a statement of its own, or text that another statement carried.

A statement is logged with its newlines, so whoever sends one can put a whole record into a comment
or a quoted text. Such a record is read like any other, since it may be real, and is marked. It is
of verified origin when, in the text before it,

* every quote and comment is closed, and
* an earlier record has the same user, user id and pid (or the connection log knows the session).

The file's first record has nothing before it that could have carried it. Pure.

How much is looked at doesn't depend on how the file was cut into blocks, and no text is read again
for each record: attackers also choose how many records there are.
"""

from __future__ import annotations

import re
from collections import deque

from triggerfish.audit.parse import HEAD, HEAD_BYTES, HEAD_START

WINDOW = 64 * 1024
"""Quotes and comments are followed from a multiple of this, one or two windows back."""
SESSION_BYTES = 1024 * 1024
"""How far back a session's earlier records are looked for."""

_HEAD_MARK = b" UTC [ db="
_HEAD_START = re.compile(HEAD_START)
_HEAD_AT_LINE_START = re.compile(rb"^(?=" + HEAD_START + rb")", re.MULTILINE)
_DOLLAR = rb"(?<![\w$])\$(?:[A-Za-z_]\w*)?\$"
# A head's own quotes are closed ones, so that a run of records is closed as a whole; where a string
# would end at a head's first quote, it was left open. Dollar quotes are left to the followers: a
# group referred back to inside a possessive repetition ends in a SystemError of Python's `re`.
_CLOSED = re.compile(
    rb"(?:[^'\"/$-]++"
    rb"|'[^']*+'(?![0-9]{4}-[0-9]{2}-[0-9]{2}[T ])"
    rb'|"[^"]*+"'
    rb"|--[^\n]*+"
    rb"|/\*(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/"
    rb"|-(?!-)|/(?!\*)|(?!" + _DOLLAR + rb")\$)*+",
    re.DOTALL,
)
_OPENING = re.compile(rb"'|\"|--|/\*|" + _DOLLAR)
_COMMENT_EDGE = re.compile(rb"/\*|\*/")
_STRING_END = re.compile(rb"[^']*+'")
_STRING_END_ESCAPED = re.compile(rb"(?:[^'\\]++|\\.)*+'", re.DOTALL)
_TRIES = 8


class Before:
    """What stands before the block that is looked at: the last blocks, `SESSION_BYTES` of them.

    Blocks hold whole records, so that no head lies across two of them.
    """

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque()
        self._bytes = 0
        self._quotes = _Quotes(-1)

    def add(self, data: bytes) -> None:
        self._blocks.append(data)
        self._bytes += len(data)
        while self._bytes - len(self._blocks[0]) >= SESSION_BYTES:
            self._bytes -= len(self._blocks.popleft())

    def join(self) -> None:
        """Make one block of what was added, where those were not of whole records."""
        self._blocks = deque([b"".join(self._blocks)])

    def is_closed(self, block: bytes, offset: int, start: int) -> bool:
        """Whether the head at `start` of the block, itself at `offset`, stands in the open.

        To be asked of one head after the other.
        """
        place = offset + start
        anchor = max(0, place // WINDOW - 1) * WINDOW
        if anchor != self._quotes.anchor:
            self._quotes = _Quotes(anchor)
        return self._quotes.is_closed(self._text(block, start, place - anchor))

    def _text(self, block: bytes, start: int, size: int) -> bytes:
        """The `size` bytes before `start` in the block."""
        text = block[max(0, start - size) : start]
        for data in reversed(self._blocks):
            if len(text) >= size:
                break
            text = data[-(size - len(text)) :] + text
        return text

    def has_session(self, block: bytes, start: int, who: bytes) -> bool:
        """Whether a record of the `SESSION_BYTES` before has this `user=... pid=... userid=...`."""
        if _has_session(block, max(0, start - SESSION_BYTES), start, who):
            return True
        left = SESSION_BYTES - start
        for data in reversed(self._blocks):
            if left <= 0:
                return False
            if _has_session(data, max(0, len(data) - left), len(data), who):
                return True
            left -= len(data)
        return False


def _has_session(data: bytes, begin: int, end: int, who: bytes) -> bool:
    position = end
    for _ in range(_TRIES):
        position = data.rfind(b" " + who + b" xid=", begin, position)
        if position < 0:
            return False
        start = data.rfind(b"\n", max(0, position - HEAD_BYTES), position) + 1
        head = HEAD.match(data, start) if start >= begin else None
        if head is not None and head["who"] == who:
            return True
    return False


class _Quotes:
    """Follows quotes and comments through a text that begins at `anchor` and grows.

    What is said of a place doesn't depend on which places were asked for before.
    """

    def __init__(self, anchor: int) -> None:
        self.anchor = anchor
        self._closed_to = -1
        self._followers: tuple[_Follower, ...] = ()

    def is_closed(self, text: bytes) -> bool:
        """Whether all is closed at the end of `text`, behind which stands a head."""
        if self._closed_to < 0:
            first = _HEAD_AT_LINE_START.search(text)
            if first is None:
                # The statement before began so long ago that nothing is known of it. At the file's
                # beginning there is none.
                return self.anchor == 0 and not text.strip()
            self._closed_to = first.start()
        if not self._followers:
            if text.find(b"\\'", self._closed_to) < 0 and self._is_plainly_closed(text):
                self._closed_to = len(text)
                return True
            # `\'` ends a string on one setting of the server and doesn't on another: both count.
            ends = (_STRING_END, _STRING_END_ESCAPED)
            self._followers = tuple(_Follower(self._closed_to, end) for end in ends)
        are_closed = [each.is_closed_at_the_end_of(text) for each in self._followers]
        return all(are_closed)

    def _is_plainly_closed(self, text: bytes) -> bool:
        """Without following each quote: most text is like that."""
        start = self._closed_to
        if all(text.find(opening, start) < 0 for opening in (b"/*", b'"', b"$")):
            # Only a string may be open, and that only in the last record.
            mark = text.rfind(_HEAD_MARK, start)
            line = text.rfind(b"\n", start, mark) + 1
            head = _HEAD_START.match(text, line) if line > start else None
            start = line if head and head.end() == mark + len(_HEAD_MARK) else start
        return _CLOSED.fullmatch(text, start) is not None


class _Follower:
    """Goes on where it stood.

    A comment, a dollar quote or a quoted name goes on through what looks like a head. A string
    doesn't, so that a stray quote in one record spoils the next alone: text in single quotes can't
    hold a head, whose own quotes would end it.
    """

    def __init__(self, position: int, string_end: re.Pattern[bytes]) -> None:
        self._position = position
        self._string_end = string_end
        self._inside = b""
        self._depth = 0
        self._is_broken = False

    def is_closed_at_the_end_of(self, text: bytes) -> bool:
        for head in _HEAD_AT_LINE_START.finditer(text, self._position):
            self._follow(text, head.start())
        self._follow(text, len(text))
        return not self._inside and not self._is_broken

    def _follow(self, text: bytes, end: int) -> None:
        if self._position < end:
            self._is_broken = False
        while self._position < end:
            if self._inside:
                self._position = self._closed(text, end)
            else:
                self._position = self._opened(text, end)

    def _opened(self, text: bytes, end: int) -> int:
        """Behind what opens next, or behind the string or comment line that begins there."""
        opening = _OPENING.search(text, self._position, end)
        if opening is None:
            return end
        token, inside = opening[0], opening.end()
        if token == b"'":
            closing = self._string_end.match(text, inside, end)
            self._is_broken = closing is None
            return closing.end() if closing else end
        if token == b"--":
            return text.find(b"\n", inside, end) + 1 or end
        self._inside, self._depth = token, 1
        return inside

    def _closed(self, text: bytes, end: int) -> int:
        """Behind what closes it; the end, where it is still open."""
        if self._inside != b"/*":
            found = text.find(self._inside, self._position, end)
            if found < 0:
                return end
            behind, self._inside = found + len(self._inside), b""
            return behind
        for edge in _COMMENT_EDGE.finditer(text, self._position, end):
            self._depth += 1 if edge[0] == b"/*" else -1
            if self._depth == 0:
                self._inside = b""
                return edge.end()
        return end
