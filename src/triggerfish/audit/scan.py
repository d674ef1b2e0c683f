"""Reads one log from its first byte to its last and applies the rules, in bounded memory.

What is found depends on the log and the rules alone: not on how the bytes came in pieces, nor on
which of the optional libraries are installed.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

from triggerfish.audit import origin, parse, prefilter
from triggerfish.audit.kinds import LOGS
from triggerfish.audit.logfile import log_file
from triggerfish.audit.records import FileContext, Rows
from triggerfish.audit.stream import Ahead, Caps, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from triggerfish.audit.cut import Block, Cutter
    from triggerfish.audit.records import (
        Finding,
        LogFile,
        LogKind,
        ParseProblem,
        ProblemKind,
        Record,
    )
    from triggerfish.audit.stream import Inflate, Source

State = TypeVar("State")
State_contra = TypeVar("State_contra", contravariant=True)

SAMPLES = 5
"""Problems of one kind that are kept; the others are counted."""


class Rules(Protocol[State_contra]):
    """What a scan asks of the rules. Two lanes, which must not share state:

    *records*: each record that a `prefilter` pattern occurs in is parsed and given to `evaluate`,
    and every record of a user log.
    *rows* (connection log only): the lines that a `feeds` pattern occurs in are split, no more, and
    given to `feed` in bulk, in file order, some thousands at once; nothing may depend on how many.
    Rules without stateful ones return `()` from `feeds`.

    Patterns are what both `re` and hyperscan read: bytes, caseless, multi-line (`^` is a line's
    start), dot matches all; no look-around, no back-references, nothing that matches emptiness.
    `prefilter` may find too much, never too little.
    """

    def prefilter(self, kind: LogKind) -> tuple[bytes, ...]: ...

    def feeds(self, kind: LogKind) -> tuple[bytes, ...]: ...

    def evaluate(
        self, record: Record, state: State_contra, context: FileContext
    ) -> Sequence[Finding]: ...

    def feed(self, rows: Rows, state: State_contra, context: FileContext) -> Sequence[Finding]: ...


def no_session(_pid: int, _user: str) -> bool:
    return False


def always() -> bool:
    return True


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a scan is told besides the rules. The last three change nothing of what is found."""

    kind: LogKind | None = None
    cluster: str = ""
    caps: Caps = Caps()
    resume_at: int = 0
    """Where an earlier scan of the same bytes stopped."""
    keep_going: Callable[[], bool] = always
    """Asked for each block; once it says no, the scan stops behind a record."""
    most_findings: int = 10_000
    """With more the scan stops too, to go on with the report in hand."""
    knows_session: Callable[[int, str], bool] = no_session
    """Whether the connection log has this (pid, user): vouches for activity records."""
    parallel: bool = False
    """Decompress a large file in a thread of its own."""
    use_hyperscan: bool | None = None
    """None: where it is installed and the file is large enough to be worth its compilation."""
    inflate: Inflate | None = None
    """None: ISA-L where it is installed and the file is large, else the standard library."""


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file, or of the part of it that was read."""

    file: LogFile
    kind: LogKind | None
    records: int
    bytes: int
    compressed_bytes: int
    """Read from the source, from its beginning."""
    problems: tuple[ParseProblem, ...]
    """At most `SAMPLES` of each kind, by offset."""
    problem_counts: Mapping[str, int]
    findings: tuple[Finding, ...]
    resume_at: int | None
    """Where to go on, in uncompressed bytes; None when the file is read."""


def scan(
    source: Source,
    name: str,
    rules: Rules[State],
    *,
    state: State,
    options: Options | None = None,
) -> FileReport:
    """Scan what `source` gives. Raises what `source`, `rules` and `keep_going` raise.

    `name` says kind and cluster, unless the options do; failing both, the first line says the kind.
    """
    options = options or Options()
    file = log_file(name)
    stream = Stream(source, caps=options.caps, inflate=options.inflate)
    pieces = iter(stream)
    first = _first_bytes(pieces)
    kind = options.kind or file.kind or kind_of(first)
    context = FileContext(cluster=options.cluster or file.cluster, file=name)
    run = Run(rules, state, context, options)
    if kind is None:
        if first:
            run.notes.add("unknown-file", 0, first)
        return run.report(file, kind, stream)
    if name.endswith(".gz") and first and not stream.is_gzip and not options.resume_at:
        run.notes.add("not-gzip", 0, first)
    log = LOGS[kind](run, hyperscan=_wants_hyperscan(stream, options))
    if options.parallel and not stream.is_small:
        with Ahead(pieces) as ahead:
            run.read(log, chain((first,), ahead))
    else:
        run.read(log, chain((first,), pieces))
    return run.report(file, kind, stream)


def kind_of(text: bytes) -> LogKind | None:
    """Which log begins like this."""
    lines = text.lstrip(b"\r\n").split(b"\n", 1)
    if re.match(parse.HEAD_START, lines[0]):
        return "activity"
    fields = lines[0].split(b"|")
    if len(fields) >= parse.USER_FIELDS and fields[3].strip().lower() in parse.USER_ACTIONS:
        return "user"
    return "connection" if fields[0].strip() in parse.CONNECTION_EVENTS else None


def _first_bytes(pieces: Iterator[bytes]) -> bytes:
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= parse.HEAD_BYTES:
            break
    return first


def _wants_hyperscan(stream: Stream, options: Options) -> bool:
    if options.use_hyperscan is not None:
        return options.use_hyperscan
    return not stream.is_small and prefilter.hyperscan_is_there()


class _Notes:
    """Problems: all are counted, some are kept."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._kept: list[ParseProblem] = []
        self.counts: dict[str, int] = {}

    def add(self, kind: ProblemKind, offset: int, sample: bytes = b"") -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.counts[kind] <= SAMPLES:
            self._kept.append(parse.problem(kind, self._file, offset, sample))

    def kept(self) -> tuple[ParseProblem, ...]:
        return tuple(sorted(self._kept, key=lambda each: (each.offset, each.kind)))


class Log(Protocol):
    """One kind of log."""

    def cutter(self, offset: int) -> Cutter: ...
    def look(self, block: Block) -> None: ...
    def finish(self) -> None: ...


class Run(Generic[State]):
    """What is common to all logs: reading on, counting, collecting."""

    def __init__(
        self, rules: Rules[State], state: State, context: FileContext, options: Options
    ) -> None:
        self.rules = rules
        self.state = state
        self.context = context
        self.options = options
        self.notes = _Notes(context.file)
        self.records = 0
        self.unreadable = 0
        self.findings: list[Finding] = []
        self.before = origin.Before()
        self.resume_at: int | None = None
        self._end = options.resume_at

    def read(self, log: Log, pieces: Iterable[bytes]) -> None:
        start = self.options.resume_at
        position = 0
        cutter = log.cutter(start)
        for each in pieces:
            piece = each
            position += len(piece)
            skipped = start - position + len(piece)
            if skipped > 0:
                self.before.add(piece[:skipped])
                piece = piece[skipped:]
                if piece:
                    self.before.join()
            for block in cutter.cut(piece):
                self._look(log, block)
                if block.end and not self._goes_on():
                    self._end = self.resume_at = block.end
                    log.finish()
                    return
        for block in cutter.finish():
            self._look(log, block)
        self._end = max(start, position)
        log.finish()

    def _goes_on(self) -> bool:
        return len(self.findings) < self.options.most_findings and self.options.keep_going()

    def _look(self, log: Log, block: Block) -> None:
        if block.is_first_part:
            self.notes.add("too-large", block.offset, block.data)
        log.look(block)
        self.before.add(block.data)

    def evaluate(self, record: Record) -> None:
        self.findings += self.rules.evaluate(record, self.state, self.context)

    def report(self, file: LogFile, kind: LogKind | None, stream: Stream) -> FileReport:
        if self.resume_at is None and stream.problem is not None:
            self.notes.add(stream.problem, stream.output_bytes)
        size = self._end - self.options.resume_at
        is_whole = self.resume_at is None and not self.options.resume_at
        if kind and size and is_whole and self.records <= self.unreadable:
            self.notes.add("no-records", 0)
        # A record that is too large is looked at in parts, which may show the same twice; and rules
        # may tell a finding again once they know more of it.
        found = {(each.offset, each.rule, each.key, each.file): each for each in self.findings}
        return FileReport(
            file=file,
            kind=kind,
            records=self.records,
            bytes=size,
            compressed_bytes=stream.compressed_bytes,
            problems=self.notes.kept(),
            problem_counts=self.notes.counts,
            findings=tuple(found[place] for place in sorted(found)),
            resume_at=self.resume_at,
        )
