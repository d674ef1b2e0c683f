"""One run for one cluster: read what waits, one object after another, until nothing does.

An object's reading ends in one transaction: the rules' state moves on, the object is in the ledger
and what was found is in the outbox, from which it is told. So a run may die anywhere, and the next
one reads the same records from the same state to the same findings under the same ids.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec

from triggerfish.audit.entries import Entry, ObjectKey, Pending, Totals
from triggerfish.audit.notify import grouped, unread_finding
from triggerfish.audit.s3 import ObjectGone
from triggerfish.audit.store import ClusterStore
from triggerfish.errors import InputError, Refused, Unavailable
from triggerfish.runtime import log
from triggerfish.runtime.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from triggerfish.audit.entries import Found
    from triggerfish.audit.ledger import Ledger
    from triggerfish.audit.records import Finding, LogFile
    from triggerfish.audit.s3 import Listed, ObjectReader
    from triggerfish.audit.store import State
    from triggerfish.runtime.table import Table
    from triggerfish.types import Clock

TELL_AFTER = timedelta(seconds=20)
"""How long what was found waits for what the next logs show."""
MOST_SEARCHED = 24
MOST_SEARCHED_BYTES = 256 * 1024 * 1024
"""Of the logs before, which are searched again for who did what a new log shows: how many, and how
large one may be. Most hold the answer in what the rules remember."""
MOST_ATTEMPTS = 4
"""How often reading an object may end without a word: a crash, too little memory, a bug."""


class Objects(Protocol):
    """S3, as far as runs read it."""

    def open(self, bucket: str, key: str, version: str = "") -> ObjectReader: ...
    def listing(self, bucket: str, prefix: str) -> Iterator[Listed]: ...
    def folders(self, bucket: str, prefix: str) -> list[str]: ...


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine made of an object, or of a part of it."""

    totals: Totals
    """Of this part alone."""
    findings: Sequence[Finding]
    """What could not be read is among them."""
    stopped_at: int | None = None
    """Where to read on, in uncompressed bytes; None: it is read."""


class Memory(Protocol):
    """What the rules remember of a cluster; reading changes it."""

    def to_bytes(self) -> bytes: ...


class Engine(Protocol):
    """The rules over one log."""

    def file(self, key: str) -> LogFile:
        """What the name of an object says."""

    def remember(self, data: bytes) -> Memory:
        """What `Memory.to_bytes` gave; nothing is remembered of no bytes."""

    def scan(self, reader: ObjectReader, name: str, memory: Memory, part: Part) -> Reading:
        """Scan an object, or the rest of it."""

    def wanted(self, memory: Memory, cluster: str) -> frozenset[str]:
        """The kinds of log that may complete what was found."""

    def search(
        self, reader: ObjectReader, name: str, memory: Memory, part: Part
    ) -> Sequence[Finding]:
        """Search a log for what completes findings, and for nothing else."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of an object to scan, and until when."""

    offset: int = 0
    keep_going: Callable[[], bool]
    """Asked now and then; once it says no, the engine stops behind a record."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run reaches the world through."""

    table: Table
    clock: Clock
    objects: Objects
    engine: Engine
    ledger: Ledger
    tell: Callable[[Sequence[Found]], None]
    """Keep findings and hand them to people; the same ones again change nothing."""
    bury: Callable[[Pending, str], None]
    """Keep a request that can't be met as a dead letter, with the reason."""
    join_window_s: int
    """How far apart the logs of one deed may be."""
    go_on: Callable[[str], None]
    """Have a new invocation go on with a cluster."""


def read_waiting(
    cluster: str, ports: Ports, *, run: str, may_go_on: Callable[[], bool], tidy: bool = False
) -> None:
    """Read what waits for the cluster. `run` names this run and no other.

    Where another run has the cluster, that one looks once more. Raises Unavailable when something
    waits on that can't be read now. `tidy` also deletes what runs left behind that died.
    """
    store = ClusterStore(ports.table, cluster, ports.clock)
    lease = Lease(ports.table, store.partition, run, ports.clock)
    if not lease.take():
        log.info("another run has the cluster and will look again", cluster=cluster)
        return
    turns = 0
    try:
        if tidy:
            store.tidy()
        while True:
            held = Run(cluster, ports, store, lease, run=f"{run}/{turns}", may_go_on=may_go_on)
            if not held.read_all():
                lease.abandon()
                ports.go_on(cluster)
                return
            if lease.end():
                return
            turns += 1
    except BaseException:
        lease.abandon()
        raise


class Run:
    """One pass over what waits, under the lease."""

    def __init__(
        self,
        cluster: str,
        ports: Ports,
        store: ClusterStore,
        lease: Lease,
        *,
        run: str,
        may_go_on: Callable[[], bool],
    ) -> None:
        self._cluster = cluster
        self._ports = ports
        self._store = store
        self._lease = lease
        self._run = run
        self._may_go_on = may_go_on
        self._state: State = store.state()
        self._memory: Memory | None = None
        self._told_at = ports.clock.now()

    def read_all(self) -> bool:
        """Whether there was time for all of it. Raises Unavailable where one can't be read now."""
        self._tell()
        try:
            return self._read_each()
        except Exception:
            self._tell()  # what was found before may be told by nobody for a while
            raise

    def _read_each(self) -> bool:
        failure: Unavailable | None = None
        for pending in self._ports.ledger.waiting(self._cluster):
            if not self._may_go_on():
                self._tell()
                return False
            self._lease.keep()
            try:
                if not self._read(pending):
                    self._tell()
                    return False
            except Unavailable as error:
                log.warning("an object can't be read now", key=pending.object.key, error=error)
                failure = failure or error
        if failure is not None:
            raise failure
        self._tell()
        return True

    def _tell(self) -> None:
        """Tell what was found, in all logs that were read since: together it is one story."""
        self._store.tell(self._ports.tell)
        self._told_at = self._ports.clock.now()

    def _read(self, waiting: Pending) -> bool:
        """Read one object; False when time ran out before its end."""
        pending = self._ports.ledger.begin(waiting)
        if pending is None:
            return True
        if pending.attempts > MOST_ATTEMPTS:
            self._give_up(pending, f"reading it failed {MOST_ATTEMPTS} times", bury=True)
            return True
        try:
            reader = self._open(pending)
        except ObjectGone as error:
            self._give_up(pending, error.message, bury=False)
            return True
        except (Refused, InputError) as error:
            self._give_up(pending, error.message, bury=True)
            return True
        except Unavailable:
            self._ports.ledger.spare(pending)
            raise
        if reader is None:
            return True
        return self._scan(pending, reader)

    def _open(self, pending: Pending) -> ObjectReader | None:
        """The object as it is; None where what is there was read before."""
        asked = pending.opened or pending.object
        reader = self._ports.objects.open(asked.bucket, asked.key, asked.version)
        actual = self._actual(pending, reader)
        if pending.opened is not None and actual != pending.opened:
            raise ObjectGone(f"{asked.bucket}/{asked.key} was replaced while it was read")
        entry = self._ports.ledger.entry(self._ports.engine.file(asked.key), actual)
        if entry is not None and entry.status == "read":
            self._ports.ledger.drop(pending)
            return None
        return reader

    @staticmethod
    def _actual(pending: Pending, reader: ObjectReader) -> ObjectKey:
        """What was opened: a listing tells no version, and an event may be late."""
        return msgspec.structs.replace(pending.object, etag=reader.etag, version=reader.version)

    def _scan(self, pending: Pending, reader: ObjectReader) -> bool:
        actual = self._actual(pending, reader)
        memory = self._memory or self._ports.engine.remember(self._state.data)
        self._memory = None  # until all of it is written: what failed half-way is forgotten
        try:
            reading, findings = self._findings(actual, reader, memory, pending.offset)
        except Unavailable:
            self._ports.ledger.spare(pending)
            raise
        totals = pending.totals.plus(reading.totals)
        found = grouped(findings, found_at=self._ports.clock.now())
        after: Pending | None = None
        entry: Entry | None = None
        if reading.stopped_at is None:
            entry = self._entry(pending, actual, totals)
        else:
            came_on = reading.stopped_at > pending.offset
            after = msgspec.structs.replace(
                pending,
                opened=actual,
                offset=reading.stopped_at,
                totals=totals,
                attempts=0 if came_on else pending.attempts,
            )
        self._commit(pending, after, entry, found, memory.to_bytes())
        self._memory = memory
        log.info(
            "read" if after is None else "read in part",
            file=actual.key,
            cluster=self._cluster,
            records=reading.totals.records,
            findings=len(found),
        )
        return after is None

    def _findings(
        self, actual: ObjectKey, reader: ObjectReader, memory: Memory, offset: int
    ) -> tuple[Reading, list[Finding]]:
        """What a log shows, completed from the logs that say who did it, where they are there."""
        part = Part(offset=offset, keep_going=self._may_go_on)
        kept = _Kept(reader, self._lease.keep)
        reading = self._ports.engine.scan(kept, name_of(actual), memory, part)
        findings = list(reading.findings)
        if reading.stopped_at is None:
            findings += self._completed(actual, memory, searched_before=not findings)
        return reading, findings

    def _completed(
        self, actual: ObjectKey, memory: Memory, *, searched_before: bool
    ) -> Iterator[Finding]:
        """What this log, and where it shows something new those before it, say of who did it."""
        engine, file = self._ports.engine, self._ports.engine.file(actual.key)
        searched: set[ObjectKey] = set()
        for key, kind in self._beside(actual, file, also_before=not searched_before):
            if key in searched or not self._may_go_on():
                continue
            if kind not in engine.wanted(memory, self._cluster):
                continue
            searched.add(key)
            try:
                reader = self._ports.objects.open(key.bucket, key.key, key.version)
            except Refused:
                continue  # deleted since: what is known is told
            part = Part(keep_going=self._may_go_on)
            yield from engine.search(_Kept(reader, self._lease.keep), name_of(key), memory, part)

    def _beside(
        self, actual: ObjectKey, file: LogFile, *, also_before: bool
    ) -> Iterator[tuple[ObjectKey, str]]:
        """The log itself, and those read before that it may belong to, the nearest first."""
        yield actual, file.kind or ""
        if not also_before or file.at is None:
            return
        at, window = file.at, timedelta(seconds=self._ports.join_window_s)
        days = {(at - window).date(), at.date(), (at + window).date()}
        entries = [
            entry
            for day in sorted(days)
            for entry in self._ports.ledger.day(self._cluster, day.isoformat())
            if entry.status == "read"
            and entry.at is not None
            and abs(entry.at - at) <= window
            and entry.totals.bytes <= MOST_SEARCHED_BYTES
        ]
        entries.sort(key=lambda entry: abs((entry.at or at) - at))
        yield from ((entry.object, entry.kind) for entry in entries[:MOST_SEARCHED])

    def _commit(
        self,
        pending: Pending,
        after: Pending | None,
        entry: Entry | None,
        found: Sequence[Found],
        data: bytes,
    ) -> None:
        writes = self._ports.ledger.writes(pending, after, entry)
        attempt = f"{self._run}/{pending.object.id}/{pending.offset}/{pending.attempts}"
        self._state = self._store.commit(self._state, data, found, writes, attempt)
        if self._ports.clock.now() - self._told_at > TELL_AFTER:
            self._tell()

    def _give_up(self, pending: Pending, why: str, *, bury: bool) -> None:
        """An object that won't be read: said once, and kept as a dead letter where it may help."""
        log.error("an object is not read", key=pending.object.key, reason=why)
        file = self._ports.engine.file(pending.object.key)
        known = self._ports.ledger.entry(file, pending.object)
        if bury and known is None:
            self._ports.bury(pending, why)
        finding = unread_finding(file, name_of(pending.object), why)
        entry = self._entry(pending, pending.object, pending.totals, why)
        found = grouped([finding], found_at=self._ports.clock.now())
        self._commit(pending, None, entry, found, self._state.data)

    def _entry(self, pending: Pending, actual: ObjectKey, totals: Totals, why: str = "") -> Entry:
        file = self._ports.engine.file(actual.key)
        return Entry(
            cluster=self._cluster,
            object=actual,
            kind=file.kind or "",
            at=file.at,
            status="unread" if why else "read",
            reason=why,
            announced=pending.announced,
            read_at=self._ports.clock.now(),
            totals=totals,
        )


class _Kept:
    """A reader that renews the lease as it is read, for as long as that takes."""

    def __init__(self, reader: ObjectReader, keep: Callable[[], None]) -> None:
        self._reader = reader
        self._keep = keep
        self.etag, self.version, self.size = reader.etag, reader.version, reader.size

    def read(self, size: int = -1, /) -> bytes:
        self._keep()
        return self._reader.read(size)


def name_of(key: ObjectKey) -> str:
    """The object as findings name their file."""
    return f"s3://{key.bucket}/{key.key}"
