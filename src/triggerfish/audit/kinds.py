"""The three kinds of logs: where their records end, and which of them the rules get to see.

Problems are looked for apart from the rules, so that what is said of a file doesn't depend on them.
"""

from __future__ import annotations

from bisect import bisect_left
from io import BytesIO
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from triggerfish.audit import parse, prefilter
from triggerfish.audit.cut import Lines, Records
from triggerfish.audit.prefilter import Lane
from triggerfish.audit.records import Rows
from triggerfish.audit.stream import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from triggerfish.audit.cut import Block, Cutter
    from triggerfish.audit.prefilter import Lanes, Prefilter
    from triggerfish.audit.records import LogKind
    from triggerfish.audit.scan import Log, Run

State = TypeVar("State")

ROWS_AT_ONCE = 4096
LOOKED_AT_WHOLE_BYTES = 2 * 1024 * 1024
LOOKED_AT_OF = 64
"""What can't be parsed is looked for in all of a file's first 2 MiB, which is all of an ordinary
file, and behind them in each 64th 256 KiB; everywhere, in how the lines of connection logs begin.
"""


def _is_looked_at(offset: int) -> bool:
    return offset < LOOKED_AT_WHOLE_BYTES or offset // PIECE_BYTES % LOOKED_AT_OF == 0


def _may_be_looked_at(block: Block) -> bool:
    return any(
        _is_looked_at(offset)
        for offset in (*range(block.offset, block.offset + len(block.data), PIECE_BYTES),
                       block.offset + len(block.data) - 1)
    )  # fmt: skip


def _prefilter(lanes: Lanes, *, hyperscan: bool) -> Prefilter:
    if hyperscan:
        return prefilter.hyperscan_prefilter(lanes)
    return prefilter.standard_prefilter(lanes)


def _lines_of(data: bytes, ends: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """The lines, each once and with its place, that hold the bytes before `ends` (ascending)."""
    behind = 0
    for end in ends:
        if end <= behind:
            continue
        start = data.rfind(b"\n", 0, end - 1) + 1
        behind = data.find(b"\n", end - 1) + 1 or len(data) + 1
        yield start, data[start : behind - 1]


class ConnectionLog(Generic[State]):
    # A line that begins like no event of the documentation.
    ODD = (rb"\n(?:[^adis]|a[^u]|d[^i]|i[^n]|s[^e])",)

    def __init__(self, run: Run[State], *, hyperscan: bool) -> None:
        self._run = run
        self._rows = Rows(rows=[], offsets=[])
        rules = run.rules
        lanes = (
            Lane(rules.prefilter("connection")),
            Lane(rules.feeds("connection")),
            Lane(self.ODD, caseless=False),
        )
        self._prefilter = _prefilter(lanes, hyperscan=hyperscan)

    def cutter(self, offset: int) -> Cutter:
        return Lines(offset)

    def look(self, block: Block) -> None:
        data, offset, run = block.data, block.offset, self._run
        records, rows, odd = self._prefilter.hits(data)
        lines = BytesIO(data).readlines()
        run.records += len(lines)
        for place, line in _lines_of(data, records):
            record = parse.connection_record((line,), run.context.file, offset + place)
            run.evaluate(record)
        if rows:
            self._take(data, offset, rows)
        if _may_be_looked_at(block):
            self._check_all(lines, offset)
        else:
            self._check(lines[0], offset)
            for place, line in _lines_of(data, odd):
                self._check(line, offset + place)

    def _take(self, data: bytes, offset: int, ends: list[int]) -> None:
        """Split the lines, quickly: there may be 100,000."""
        find, rfind, size = data.find, data.rfind, len(data)
        # A line that was hit twice is one line.
        starts = list(dict.fromkeys([rfind(b"\n", 0, end - 1) + 1 for end in ends]))
        stops = [find(b"\n", start) for start in starts]
        if stops[-1] < 0:
            stops[-1] = size
        rows = self._rows
        rows.rows.extend(
            [data[start:stop].split(b"|", 7) for start, stop in zip(starts, stops, strict=True)]
        )
        rows.offsets.extend([offset + start for start in starts])
        if len(rows.rows) >= ROWS_AT_ONCE:
            self.finish()

    def finish(self) -> None:
        run, rows = self._run, self._rows
        if rows.rows:
            self._rows = Rows(rows=[], offsets=[])
            run.findings += run.rules.feed(rows, run.state, run.context)

    def _check_all(self, lines: list[bytes], offset: int) -> None:
        fits = parse.CONNECTION_LINE.match
        for line in lines:
            if not fits(line) and _is_looked_at(offset):
                self._check(line, offset)
            offset += len(line)

    def _check(self, line: bytes, offset: int) -> None:
        if parse.CONNECTION_LINE.match(line):
            return
        if not line.strip():
            self._run.records -= 1
            return
        kind = parse.complaint("connection", line)
        if kind is not None:
            self._run.unreadable += 1
            self._run.notes.add(kind, offset, line.rstrip(b"\n"))


class UserLog(Generic[State]):
    """Rarely written and short: every line is evaluated."""

    def __init__(self, run: Run[State], *, hyperscan: bool) -> None:
        del hyperscan
        self._run = run

    def cutter(self, offset: int) -> Cutter:
        return Lines(offset)

    def look(self, block: Block) -> None:
        offset, run = block.offset, self._run
        for line in BytesIO(block.data):
            if line.strip():
                run.records += 1
                kind = parse.complaint("user", line)
                if kind is not None:
                    run.unreadable += 1
                    run.notes.add(kind, offset, line.rstrip(b"\n"))
                run.evaluate(parse.user_record(line, run.context.file, offset))
            offset += len(line)

    def finish(self) -> None:
        pass


class ActivityLog(Generic[State]):
    def __init__(self, run: Run[State], *, hyperscan: bool) -> None:
        self._run = run
        heads = parse.HEAD_START_SCANNED if hyperscan else rb"\n" + parse.HEAD_START
        lanes = (Lane(run.rules.prefilter("activity")), Lane((heads,), caseless=False))
        self._prefilter = _prefilter(lanes, hyperscan=hyperscan)
        self._first = -1
        self._is_part_verified = False

    def cutter(self, offset: int) -> Cutter:
        return Records(offset)

    def look(self, block: Block) -> None:
        data, run = block.data, self._run
        hits, heads = self._prefilter.hits(data)
        if b"\x01" in data:
            heads = [end for end in heads if parse.is_head_start(data, _head_at(data, end))]
        if not block.is_part or block.is_first_part:
            run.records += 1 + len(heads)
            if block.offset == 0:
                self._first = self._first_record(data, heads)
            if _may_be_looked_at(block):
                self._check_all(block, heads)
        if block.is_first_part:
            self._is_part_verified = self._is_verified(block, 0)
        numbers = {bisect_left(heads, end) for end in hits}
        for number in sorted(numbers):
            start = _head_at(data, heads[number - 1]) if number else 0
            end = _head_at(data, heads[number]) if number < len(heads) else len(data)
            self._evaluate(block, start, end)

    @staticmethod
    def _first_record(data: bytes, heads: list[int]) -> int:
        """Where the file's first record begins; -1 where other text stands before it."""
        if parse.is_head_start(data, 0):
            return 0
        start = _head_at(data, heads[0]) if heads else 0
        return start if start and not data[:start].strip() else -1

    def _evaluate(self, block: Block, start: int, end: int) -> None:
        text, offset, run = block.data[start:end], block.offset + start, self._run
        verified = self._is_part_verified if block.is_part else self._is_verified(block, start)
        run.evaluate(parse.activity_record(text, run.context.file, offset, verified=verified))

    def _is_verified(self, block: Block, start: int) -> bool:
        before = self._run.before
        head = parse.HEAD.match(block.data, start)
        if head is None or not before.is_closed(block.data, block.offset, start):
            return False
        if block.offset + start == self._first:
            return True
        user = head["user"].decode("utf-8", "backslashreplace")
        return before.has_session(block.data, start, head["who"]) or (
            self._run.options.knows_session(int(head["pid"]), user)
        )

    def _check_all(self, block: Block, heads: list[int]) -> None:
        data, run = block.data, self._run
        fits = parse.HEAD.match
        starts = [0, *(_head_at(data, end) for end in heads)]
        for start in starts:
            if fits(data, start) or not _is_looked_at(block.offset + start):
                continue
            if start == 0 and not data[: starts[1] if heads else None].strip():
                run.records -= 1
                continue
            run.unreadable += 1
            run.notes.add("no-head", block.offset + start, data[start : start + parse.SAMPLE_BYTES])

    def finish(self) -> None:
        pass


def _head_at(data: bytes, end: int) -> int:
    """Where the head begins whose start ends there."""
    return data.rfind(b"\n", 0, end) + 1


LOGS: Final[Mapping[LogKind, Callable[..., Log]]] = {
    "connection": ConnectionLog,
    "user": UserLog,
    "activity": ActivityLog,
}
