"""Pieces of a stream to blocks that hold whole records, in bounded memory. Pure.

How the stream came in pieces changes nothing of which records there are, whole or in parts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import msgspec

from triggerfish.audit.parse import HEAD, HEAD_BYTES, HEAD_START, HEAD_START_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_BYTES = 1024 * 1024
"""A longer line is read to here. The widest connection record has some 1,200 bytes."""
STATEMENT_BYTES = 4 * 1024 * 1024
"""A longer record is looked at in parts of this size."""
OVERLAP_BYTES = 64 * 1024
"""Of the parts, so that what lies across a part's end is seen whole in the next."""

_HEAD_START = re.compile(HEAD_START)
_HEAD_MARK = b" UTC [ db="


class Block(msgspec.Struct, frozen=True, gc=False):
    """Bytes from a record's beginning to a record's end; `offset` is where the first begins."""

    data: bytes
    offset: int
    is_part: bool = False
    """A part, or the beginning, of one record that is too large."""
    is_first_part: bool = False
    end: int = 0
    """The offset behind the block; 0 where reading can't go on from there."""


class Cutter(Protocol):
    def cut(self, piece: bytes) -> Iterator[Block]: ...
    def finish(self) -> Iterator[Block]: ...


class Lines:
    """For logs of which each line is a record."""

    def __init__(self, offset: int, *, most: int = LINE_BYTES) -> None:
        self._offset = offset
        self._most = most
        self._rest = b""
        self._skipping = False

    def cut(self, piece: bytes) -> Iterator[Block]:
        if self._skipping:
            line_end = piece.find(b"\n") + 1
            self._offset += line_end or len(piece)
            self._skipping = not line_end
            piece = piece[line_end:] if line_end else b""
        end = piece.rfind(b"\n") + 1
        first = piece.find(b"\n", 0, end) + 1 or len(piece)
        if len(self._rest) + first > self._most:
            yield self._shortened(piece[:first])
            piece, end = piece[first:], end - first
        if end > 0:
            yield self._block(b"".join((self._rest, memoryview(piece)[:end])))
            self._rest = piece[end:]
        else:
            self._rest += piece

    def finish(self) -> Iterator[Block]:
        if self._rest:
            yield self._block(self._rest)
            self._rest = b""

    def _block(self, data: bytes) -> Block:
        offset = self._offset
        self._offset += len(data)
        return Block(data, offset, end=self._offset)

    def _shortened(self, rest: bytes) -> Block:
        line = self._rest + rest
        self._skipping = not line.endswith(b"\n")
        offset = self._offset
        self._offset += len(line)
        self._rest = b""
        end = 0 if self._skipping else self._offset
        return Block(line[: self._most], offset, is_part=True, is_first_part=True, end=end)


class Records:
    """For the activity log, whose records begin with a head and go on over lines."""

    def __init__(
        self, offset: int, *, most: int = STATEMENT_BYTES, overlap: int = OVERLAP_BYTES
    ) -> None:
        self._offset = offset
        self._most = most
        self._overlap = overlap
        self._pending = b""
        self._total = offset  # where what is pending ends
        self._in_parts = False

    def cut(self, piece: bytes) -> Iterator[Block]:
        if not self._in_parts and len(self._pending) < HEAD_BYTES < len(piece):
            # As good as always: little is pending, and a head stands near the piece's end.
            last = last_head(piece, HEAD_START_BYTES)
            if last > 0:
                self._total += len(piece)
                yield self._taken(b"".join((self._pending, memoryview(piece)[:last])), piece[last:])
                return
        known = max(0, len(self._pending) - HEAD_START_BYTES)
        self._pending += piece
        self._total += len(piece)
        last = last_head(self._pending, known)
        if last > 0 and (self._in_parts or len(self._pending) > self._most):
            yield from self._first_record(known)
            last = last_head(self._pending, 0)
        if last > 0:
            yield self._taken(self._pending[:last], self._pending[last:])
        # A head that has only begun is not yet known for one, hence twice its size.
        while len(self._pending) >= self._most + 2 * HEAD_START_BYTES:
            yield self._part()

    def finish(self) -> Iterator[Block]:
        while len(self._pending) >= self._most + HEAD_START_BYTES:
            yield self._part()
        if self._pending:
            yield self._last_part() if self._in_parts else self._taken(self._pending, b"")

    def _first_record(self, known: int) -> Iterator[Block]:
        """The first record alone, in parts if it is too large."""
        end = first_head(self._pending, known)
        following = self._pending[end:]
        self._pending = self._pending[:end]
        self._total -= len(following)
        while len(self._pending) >= self._most + HEAD_START_BYTES:
            yield self._part()
        yield self._last_part() if self._in_parts else self._taken(self._pending, b"")
        self._pending = following
        self._total += len(following)

    def _taken(self, data: bytes, following: bytes) -> Block:
        self._pending = following
        offset, self._offset = self._offset, self._total - len(following)
        return Block(data, offset, end=self._offset)

    def _part(self) -> Block:
        data = self._pending[: self._most]
        head = HEAD.match(data)
        again = data[: head.end()] if head else b""
        block = Block(data, self._offset, is_part=True, is_first_part=not self._in_parts)
        self._pending = again + self._pending[self._most - self._overlap :]
        self._in_parts = True
        return block

    def _last_part(self) -> Block:
        block = Block(self._pending, self._offset, is_part=True, end=self._total)
        self._pending = b""
        self._offset = self._total
        self._in_parts = False
        return block


def last_head(data: bytes, start: int) -> int:
    """Where the last head begins whose mark is behind `start`; -1 if there is none."""
    mark = len(data)
    while (mark := data.rfind(_HEAD_MARK, start, mark)) >= 0:
        line = data.rfind(b"\n", max(0, mark - HEAD_START_BYTES), mark) + 1
        head = _HEAD_START.match(data, line)
        if head is not None and head.end() == mark + len(_HEAD_MARK):
            return line
    return -1


def first_head(data: bytes, start: int) -> int:
    """Where the first head behind the record's own begins; the end if there is none."""
    mark = start - 1
    while (mark := data.find(_HEAD_MARK, mark + 1)) >= 0:
        line = data.rfind(b"\n", max(0, mark - HEAD_START_BYTES), mark) + 1
        head = _HEAD_START.match(data, line)
        if line > 0 and head is not None and head.end() == mark + len(_HEAD_MARK):
            return line
    return len(data)
