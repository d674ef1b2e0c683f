"""A bucket, a table, a mailbox and a queue in one process, whose runs can be killed at any call.

It drives the trigger's own code (`read_waiting`, the ledger, the store) through the same ports as
production, with a small engine of its own in place of the rules: one line is one record.

    fail NAME      a finding; the third of a name, over all files, is a burst as well
    grind NAME     no finding, and time runs out behind it where a run has no more
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from triggerfish.audit.config import Audit
from triggerfish.audit.entries import Found, ObjectKey, Totals
from triggerfish.audit.ledger import Ledger
from triggerfish.audit.logfile import log_file
from triggerfish.audit.reading import Part, Ports, Reading, read_waiting
from triggerfish.audit.reconcile import ask_for_unread
from triggerfish.audit.records import Finding, LogFile
from triggerfish.audit.s3 import Listed, ObjectForbidden, ObjectGone
from triggerfish.audit.store import ClusterStore, FindingStore
from triggerfish.errors import Unavailable
from triggerfish.local.fakes.clock import ManualClock
from triggerfish.local.fakes.table import MemoryTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from triggerfish.audit.entries import Pending
    from triggerfish.audit.reading import Memory
    from triggerfish.audit.s3 import ObjectReader
    from triggerfish.runtime.table import Item, Write

BUCKET = "example-audit-logs"
FOLDER = "AWSLogs/123456789012/redshift/eu-central-1"
BURST = 3
RETENTION_S = 400 * 86_400


class Killed(BaseException):
    """The function was killed here."""


def key_of(kind: str = "connectionlog", at: str = "2026-11-24T10:53", cluster: str = "shop") -> str:
    day = at[:10].replace("-", "/")
    return f"{FOLDER}/{day}/123456789012_redshift_eu-central-1_{cluster}_{kind}_{at}.gz"


def make_finding(**changes: object) -> Finding:
    values: dict[str, object] = {
        "rule": "failed-login",
        "severity": "low",
        "title": "A login failed",
        "at": None,
        "cluster": "shop",
        "database": "dev",
        "user": "bob",
        "actor": "",
        "source": "198.51.100.7",
        "application": "",
        "statement": "",
        "file": f"s3://{BUCKET}/{key_of()}",
        "offset": 0,
        "key": "failed-login/shop/bob",
        **changes,
    }
    return Finding(**values)  # type: ignore[arg-type]


class KillableTable(MemoryTable):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def get(self, pk: str, sk: str) -> Item | None:
        self._world.step()
        return super().get(pk, sk)

    def query(self, pk: str, sk_prefix: str = "") -> list[Item]:
        self._world.step()
        return super().query(pk, sk_prefix)

    def before_write(self, writes: Sequence[Write]) -> None:
        self._world.step()

    def after_write(self, writes: Sequence[Write]) -> None:
        self._world.step()


@dataclass
class Stored:
    data: bytes
    etag: str
    version: str


class Reader:
    def __init__(self, world: World, stored: Stored) -> None:
        self._world = world
        self._data = stored.data
        self._at = 0
        self.etag, self.version, self.size = stored.etag, stored.version, len(stored.data)

    def read(self, size: int = -1, /) -> bytes:
        self._world.step()
        end = len(self._data) if size < 0 else self._at + size
        taken, self._at = self._data[self._at : end], min(end, len(self._data))
        return taken


class Failed:
    def __init__(self, count: dict[str, int]) -> None:
        self.count = Counter(count)

    def to_bytes(self) -> bytes:
        return json.dumps(self.count, sort_keys=True).encode()


class LineEngine:
    """Rules that fit on a page; the state is how often each name failed."""

    def file(self, key: str) -> LogFile:
        return log_file(key)

    def remember(self, data: bytes) -> Failed:
        return Failed(json.loads(data) if data else {})

    def wanted(self, memory: Memory, cluster: str) -> frozenset[str]:
        return frozenset()

    def search(
        self, reader: ObjectReader, name: str, memory: Memory, part: Part
    ) -> Sequence[Finding]:
        return ()

    def scan(self, reader: ObjectReader, name: str, memory: Memory, part: Part) -> Reading:
        assert isinstance(memory, Failed)
        failed = memory.count
        findings: list[Finding] = []
        offset, records, stopped = 0, 0, None
        cluster = log_file(name).cluster
        data = b""
        while piece := reader.read(64):
            data += piece
        for line in data.splitlines(keepends=True):
            begin, offset = offset, offset + len(line)
            if begin < part.offset:
                continue
            records += 1
            verb, _, who = line.decode().strip().partition(" ")
            if verb == "fail":
                failed[who] += 1
                key = f"failed-login/{cluster}/{who}"
                findings.append(
                    make_finding(user=who, key=key, file=name, offset=begin, cluster=cluster)
                )
                if failed[who] == BURST:
                    findings.append(
                        make_finding(
                            rule="brute-force",
                            severity="high",
                            user=who,
                            key=f"brute-force/{cluster}/{who}",
                            file=name,
                            offset=begin,
                            cluster=cluster,
                        )
                    )
            elif verb == "crash":
                raise ZeroDivisionError(who)
            if verb == "grind" and not part.keep_going():
                stopped = offset
                break
        totals = Totals(records=records, bytes=offset, findings=len(findings))
        return Reading(totals=totals, findings=findings, stopped_at=stopped)


@dataclass
class World:
    """Everything outside of the trigger."""

    audit: Audit = field(default_factory=lambda: Audit(bucket=BUCKET))
    objects: dict[str, Stored] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    """Keys that S3 can't give now."""
    told: list[Found] = field(default_factory=list)
    buried: list[tuple[str, str]] = field(default_factory=list)
    wakes: list[str] = field(default_factory=list)
    opened: Counter[str] = field(default_factory=Counter)
    kill_at: int | None = None
    killed: bool = False
    steps: int = 0
    runs: int = 0

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.table = KillableTable(self)
        self.ledger = Ledger(self.table, self.clock, retention_s=RETENTION_S)
        self.findings = FindingStore(self.table, retention_s=RETENTION_S)
        self.engine = LineEngine()

    # ---- death ----

    def step(self) -> None:
        """A moment at which the run may be killed: before and after each of its calls."""
        self.steps += 1
        if self.killed:
            raise Killed
        if self.kill_at is not None:
            self.kill_at -= 1
            self.killed = self.kill_at < 0
        if self.killed:
            raise Killed

    # ---- S3 ----

    def put(self, text: str, key: str | None = None, *, version: str = "") -> ObjectKey:
        """Store an object; gives it as the event of it names it."""
        key = key or key_of()
        data = text.encode()
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.objects[key] = Stored(data, etag, version)
        return ObjectKey(bucket=BUCKET, key=key, etag=etag, version=version)

    def open(self, bucket: str, key: str, version: str = "") -> Reader:
        self.step()
        self.opened[key] += 1
        if key in self.forbidden:
            raise ObjectForbidden(f"{bucket}/{key} may not be read: AccessDenied")
        if key in self.busy:
            raise Unavailable("SlowDown")
        stored = self.objects.get(key)
        if stored is None or (version and version != stored.version):
            raise ObjectGone(f"{bucket}/{key} was deleted before it was read")
        return Reader(self, stored)

    def listing(self, bucket: str, prefix: str) -> Iterator[Listed]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                stored = self.objects[key]
                yield Listed(
                    bucket=bucket,
                    key=key,
                    etag=stored.etag,
                    size=len(stored.data),
                    modified_at=self.clock.now(),
                )

    def folders(self, bucket: str, prefix: str) -> list[str]:
        inside = [key.removeprefix(prefix) for key in self.objects if key.startswith(prefix)]
        return sorted({f"{prefix}{rest.partition('/')[0]}/" for rest in inside if "/" in rest})

    # ---- the trigger ----

    def announce(self, *objects: ObjectKey, kill_at: int | None = None, may: int = 10**9) -> bool:
        """An event of these objects comes; False when the run it woke was killed."""
        return self._run(lambda: self._take_in(objects), kill_at, may)

    def run(self, cluster: str = "shop", *, kill_at: int | None = None, may: int = 10**9) -> bool:
        return self._run(lambda: {cluster}, kill_at, may)

    def reconcile(self) -> int:
        asked = ask_for_unread(
            self.audit,
            "shop-own-bucket",
            objects=self,
            engine=self.engine,
            ledger=self.ledger,
            clock=self.clock,
        )
        for cluster in self.ledger.partitions():
            self.run(cluster)
        return asked

    def _take_in(self, objects: Sequence[ObjectKey]) -> set[str]:
        files = [(self.engine.file(each.key), each) for each in objects]
        for file, each in files:
            self.ledger.ask(file, each)
        return {file.cluster for file, _ in files}

    def _run(self, clusters: Callable[[], set[str]], kill_at: int | None, may: int) -> bool:
        """`may` is how often the run is told that it has time left."""
        self.runs += 1
        self.kill_at, self.killed = kill_at, False
        left = Counter({"turns": may})

        def may_go_on() -> bool:
            left["turns"] -= 1
            return left["turns"] >= 0

        try:
            with suppress(Unavailable):
                for cluster in sorted(clusters()):
                    run = f"run-{self.runs}/{cluster}"
                    read_waiting(cluster, self.ports(), run=run, may_go_on=may_go_on)
        except Killed:
            return False
        finally:
            self.kill_at, self.killed = None, False
        return True

    def ports(self) -> Ports:
        return Ports(
            table=self.table,
            clock=self.clock,
            objects=self,
            engine=self.engine,
            ledger=self.ledger,
            tell=self._tell,
            bury=self._bury,
            go_on=self._go_on,
            join_window_s=6 * 3600,
        )

    def _tell(self, found: Sequence[Found]) -> None:
        for each in found:
            if self.findings.holds(each):
                continue
            self.step()
            self.told.append(each)
            self.step()
            self.findings.keep(each)

    def _bury(self, pending: Pending, why: str) -> None:
        self.step()
        self.buried.append((pending.object.key, why))

    def _go_on(self, cluster: str) -> None:
        self.step()
        self.wakes.append(cluster)

    def settle(self, *objects: ObjectKey) -> None:
        """The queue delivers again, after the dead run's lease has run out, until all is read."""
        for _ in range(10):
            self.clock.advance(60)
            self.announce(*objects)

    # ---- what came of it ----

    def times_told(self) -> Counter[tuple[str, str]]:
        """How often each matter was told, by file: rule and user."""
        return Counter((each.finding.rule, each.finding.user) for each in self.told)

    def state(self, cluster: str = "shop") -> dict[str, int]:
        data = ClusterStore(self.table, cluster, self.clock).state().data
        counted: dict[str, int] = json.loads(data) if data else {}
        return counted
