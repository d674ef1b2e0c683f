"""Which object was read, which waits, and what became of it: each is read once.

An object is its bucket, key, etag and version. Items, all with `pk` first:

    audit#C                pending#ID    asked for, not read yet, with how far a reading has come
    audit-files#C#DAY      ID            read, or why not; DAY is the day in the file's name
    audit-clusters         C             a cluster that has logs here

C is the cluster. An event only asks: `ask` changes nothing where the object waits or was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from triggerfish.audit.entries import Entry, ObjectKey, Pending
from triggerfish.runtime.table import (
    Absent,
    And,
    ConditionFailed,
    Delete,
    Equals,
    Or,
    Present,
    Put,
    Update,
)

if TYPE_CHECKING:
    from triggerfish.audit.records import LogFile
    from triggerfish.runtime.table import Item, Table, Write
    from triggerfish.types import Clock

T = TypeVar("T")

NO_CLUSTER = "-"
"""Stands for the cluster of a file whose name names none."""
UNDATED = "undated"
CLUSTERS = "audit-clusters"


def partition(cluster: str) -> str:
    return f"audit#{cluster or NO_CLUSTER}"


class Ledger:
    def __init__(self, table: Table, clock: Clock, *, retention_s: int) -> None:
        self._table = table
        self._clock = clock
        self._retention_s = retention_s
        self._known: set[str] = set()

    def ask(self, file: LogFile, key: ObjectKey, *, announced: bool = True) -> bool:
        """Have the object read. False where it waits already, or was read."""
        entry = self.entry(file, key)
        if entry is not None and entry.status == "read":
            return False
        self._know(file.cluster)
        pending = Pending(
            cluster=file.cluster, object=key, announced=announced, asked_ms=self._now_ms()
        )
        try:
            self._table.write(Put(pending_item(pending), Absent()))
        except ConditionFailed:
            return False
        return True

    def waiting(self, cluster: str) -> list[Pending]:
        """What is to be read: what failed before comes last, so that it keeps nothing waiting."""
        items = self._table.query(partition(cluster), "pending#")
        found = [_decoded(item, Pending) for item in items]
        return sorted(found, key=lambda each: (each.attempts, each.object.key.rpartition("/")[2]))

    def begin(self, pending: Pending) -> Pending | None:
        """Count an attempt; None where the object doesn't wait any more."""
        begun = msgspec.structs.replace(pending, attempts=pending.attempts + 1)
        return begun if self._replace(pending, begun) else None

    def spare(self, pending: Pending) -> None:
        """Take the attempt back: it failed for a reason that isn't the object's."""
        self._replace(pending, msgspec.structs.replace(pending, attempts=pending.attempts - 1))

    def _replace(self, before: Pending, after: Pending) -> bool:
        try:
            self._table.write(Put(pending_item(after), And(Present(), _as_it_was(before))))
        except ConditionFailed as error:
            current = error.current[0]
            return current is not None and _decoded(current, Pending) == after
        return True

    def drop(self, pending: Pending) -> None:
        """Forget that the object waits: it was read under another announcement."""
        self._table.write(Delete(partition(pending.cluster), f"pending#{pending.object.id}"))

    def entry(self, file: LogFile, key: ObjectKey) -> Entry | None:
        item = self._table.get(day_partition(file.cluster, day_of(file)), key.id)
        return None if item is None else _decoded(item, Entry)

    def day(self, cluster: str, day: str) -> list[Entry]:
        """Every object of a day, by the names of the files. `day` is `2026-11-24`, or `UNDATED`."""
        items = self._table.query(day_partition(cluster, day))
        found = [_decoded(item, Entry) for item in items]
        return sorted(found, key=lambda each: each.object.key)

    def clusters(self) -> list[str]:
        """Every cluster that ever had a log here; one without a name is left out."""
        names = [str(item["sk"]) for item in self._table.query(CLUSTERS)]
        return [name for name in names if name != NO_CLUSTER]

    def partitions(self) -> list[str]:
        """As `clusters`, with an empty name for files whose name names none."""
        names = [str(item["sk"]) for item in self._table.query(CLUSTERS)]
        return ["" if name == NO_CLUSTER else name for name in names]

    def writes(self, before: Pending, after: Pending | None, entry: Entry | None) -> list[Write]:
        """The writes that end a reading, or keep how far it came, for a transaction.

        They fail where the object doesn't wait any more, or was read meanwhile.
        """
        key = (partition(before.cluster), f"pending#{before.object.id}")
        if after is not None:
            return [Put(pending_item(after), _as_it_was(before))]
        writes: list[Write] = [Delete(*key, _as_it_was(before))]
        if entry is not None:
            writes.append(Put(self._entry_item(entry), Or(Absent(), Equals({"status": "unread"}))))
        return writes

    def _entry_item(self, entry: Entry) -> Item:
        day = entry.at.date().isoformat() if entry.at else UNDATED
        return {
            "pk": day_partition(entry.cluster, day),
            "sk": entry.object.id,
            "status": entry.status,
            "data": msgspec.json.encode(entry).decode(),
            "expires_at": int(self._clock.now().timestamp()) + self._retention_s,
        }

    def _know(self, cluster: str) -> None:
        name = cluster or NO_CLUSTER
        if name not in self._known:
            self._table.write(Update(CLUSTERS, name, set={"seen_ms": self._now_ms()}))
            self._known.add(name)

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def day_of(file: LogFile) -> str:
    return file.at.date().isoformat() if file.at else UNDATED


def day_partition(cluster: str, day: str) -> str:
    return f"audit-files#{cluster or NO_CLUSTER}#{day}"


def pending_item(pending: Pending) -> Item:
    return {
        "pk": partition(pending.cluster),
        "sk": f"pending#{pending.object.id}",
        "attempts": pending.attempts,
        "offset": pending.offset,
        "data": msgspec.json.encode(pending).decode(),
    }


def _as_it_was(pending: Pending) -> Equals:
    return Equals({"attempts": pending.attempts, "offset": pending.offset})


def _decoded(item: Item, wanted: type[T]) -> T:
    return msgspec.json.decode(str(item["data"]), type=wanted)
