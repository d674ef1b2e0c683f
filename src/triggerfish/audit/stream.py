"""A log's bytes, decompressed piece by piece in bounded memory, and what was wrong with them.

gzip (any number of members) and plain text are told apart by their first bytes. ISA-L decompresses
where it is installed and the file is not a small one; the standard library gives the same bytes.
A stream that ends too early or is damaged is read to its last good byte.
"""

from __future__ import annotations

import zlib
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from triggerfish.audit.records import ProblemKind

PIECE_BYTES = 256 * 1024
"""Small enough to stay in a processor's cache between decompression and search."""
READ_BYTES = 64 * 1024
HISTORY_BYTES = 8 * 1024 * 1024
"""Of a member's compressed beginning, kept to decompress it anew when it turns out damaged."""
MAGIC = b"\x1f\x8b"
GZIP = 31  # zlib's window bits that ask for gzip's header, trailer and checksum
AHEAD_PIECES = 8


class Source(Protocol):
    """An open file or S3 object. May give less than it is asked for; b"" is the end."""

    def read(self, size: int, /) -> bytes: ...


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """How much a file may become. A log shrinks 5 to 20 times, a bomb 1,000 times."""

    output_bytes: int = 64 * 1024**3
    ratio: int = 400
    ratio_from_bytes: int = 64 * 1024**2
    """Output below this is taken at any ratio: an idle cluster's heartbeats compress well."""


class Decompressor(Protocol):
    """What `zlib` and `isal_zlib` have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflate(msgspec.Struct, frozen=True):
    """A library that decompresses."""

    new: Callable[[], Decompressor]
    error: type[Exception]


STANDARD = Inflate(lambda: zlib.decompressobj(GZIP), zlib.error)


def isal() -> Inflate | None:
    """ISA-L, where it is installed."""
    try:
        from isal import igzip_lib, isal_zlib  # noqa: PLC0415  optional; only large files pay
    except ImportError:
        return None
    error: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # the stub errs
    return Inflate(lambda: isal_zlib.decompressobj(GZIP), error)


class Stream:
    """The decompressed bytes, once. `problem` and `compressed_bytes` are final after the last."""

    def __init__(
        self, source: Source, *, caps: Caps | None = None, inflate: Inflate | None = None
    ) -> None:
        self._source = source
        self._caps = caps or Caps()
        self._inflate = inflate
        self.compressed_bytes = 0
        self.output_bytes = 0
        self.is_gzip = False
        self.is_small = False
        self.problem: ProblemKind | None = None

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces(self._first()):
            self.output_bytes += len(piece)
            yield piece
            if self._is_too_large():
                self.problem = "too-large"
                return

    def _first(self) -> bytes:
        """The first block, whole unless the file is shorter."""
        blocks = []
        wanted = READ_BYTES
        while wanted and (block := self._read(wanted)):
            blocks.append(block)
            wanted -= len(block)
        self.is_small = wanted > 0
        return b"".join(blocks)

    def _read(self, size: int) -> bytes:
        block = self._source.read(size)
        self.compressed_bytes += len(block)
        return block

    def _is_too_large(self) -> bool:
        caps = self._caps
        return self.output_bytes > caps.output_bytes or (
            self.is_gzip
            and self.output_bytes > caps.ratio_from_bytes
            and self.output_bytes > caps.ratio * self.compressed_bytes
        )

    def _pieces(self, block: bytes) -> Iterator[bytes]:
        self.is_gzip = block.startswith(MAGIC)
        if self.is_gzip:
            yield from self._members(block)
            return
        while block:
            yield block
            block = self._read(PIECE_BYTES)

    def _members(self, block: bytes) -> Iterator[bytes]:
        inflate = self._inflate or (None if self.is_small else isal()) or STANDARD
        while True:
            member = _Member(inflate, self._read)
            yield from member.pieces(block)
            if member.problem is not None:
                self.problem = member.problem
                return
            block = member.rest.lstrip(b"\0")
            while len(block) < len(MAGIC) and (more := self._read(READ_BYTES)):
                block = (block + more).lstrip(b"\0")
            if not block:
                return
            if not block.startswith(MAGIC):
                self.problem = "bad-gzip"
                return


class _Member:
    """One gzip member."""

    def __init__(self, inflate: Inflate, read: Callable[[int], bytes]) -> None:
        self._inflate = inflate
        self._read = read
        self._kept: list[bytes] | None = []
        self._kept_bytes = 0
        self._output_bytes = 0
        self.rest = b""
        self.problem: ProblemKind | None = None

    def pieces(self, block: bytes) -> Iterator[bytes]:
        inflater = self._inflate.new()
        try:
            while block:
                self._keep(block)
                yield from self._inflated(inflater, block)
                if inflater.eof:
                    self.rest = inflater.unused_data
                    return
                block = self._read(READ_BYTES)
            self.problem = "truncated"
        except self._inflate.error:
            self.problem = "bad-gzip"
        yield from self._last_good()

    def _inflated(self, inflater: Decompressor, block: bytes) -> Iterator[bytes]:
        while True:
            piece = inflater.decompress(block, PIECE_BYTES)
            if piece:
                self._output_bytes += len(piece)
                yield piece
            block = inflater.unconsumed_tail
            if inflater.eof or (not block and len(piece) < PIECE_BYTES):
                return

    def _keep(self, block: bytes) -> None:
        if self._kept is None:
            return
        self._kept_bytes += len(block)
        self._kept.append(block)
        if self._kept_bytes > HISTORY_BYTES:
            self._kept = None

    def _last_good(self) -> Iterator[bytes]:
        """What a library withheld because its call failed, or that it wanted more bytes for."""
        skip = self._output_bytes
        for piece in _to_the_last_byte(self._kept or ()):
            if skip < len(piece):
                yield piece[skip:]
            skip = max(0, skip - len(piece))


def _to_the_last_byte(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The standard library's reading of a member's beginning, up to what can't be read."""
    inflater = zlib.decompressobj(GZIP)
    for block in blocks:
        before, given, rest = inflater.copy(), 0, block
        try:
            while True:
                piece = inflater.decompress(rest, PIECE_BYTES)
                given += len(piece)
                yield piece
                rest = inflater.unconsumed_tail
                if not rest and len(piece) < PIECE_BYTES:
                    break
        except zlib.error:
            yield _singly(before, block)[given:]
            return


def _singly(inflater: zlib._Decompress, block: bytes) -> bytes:
    """A failed call gives nothing; called for each byte, all before the bad one comes out."""
    pieces = []
    try:
        for position in range(len(block)):
            pieces.append(inflater.decompress(block[position : position + 1]))  # noqa: PERF401  a failure ends it
    except zlib.error:
        pass
    return b"".join(pieces)


class Ahead:
    """Iterates in a thread of its own, some pieces ahead. Close it: `with Ahead(stream) as pieces`.

    An exception of the iterator is raised where the pieces are read.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._queue: Queue[bytes | BaseException | None] = Queue(AHEAD_PIECES)
        self._closed = Event()
        self._thread = Thread(target=self._run, args=(pieces,), daemon=True)

    def __enter__(self) -> Iterator[bytes]:
        self._thread.start()
        return self._taken()

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()
            except Empty:
                self._thread.join(0.01)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _taken(self) -> Iterator[bytes]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _run(self, pieces: Iterable[bytes]) -> None:
        end: BaseException | None = None
        try:
            for piece in pieces:
                if not self._put(piece):
                    return
        except BaseException as error:  # noqa: BLE001  raised again by the reader
            end = error
        self._put(end)

    def _put(self, item: bytes | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except Full:
                continue
            return True
        return False
