"""What a cluster's rules remember, what was found, and what is still to be told.

Items, all with `pk` first:

    audit#C                state            the rules' state, with the version it is of
    audit#C                outbox#VERSION   what that version's reading found, until it was told
    audit-parts#C          TOKEN#NUMBER     states and outboxes that are too large for one item
    audit-findings#DAY     TIME#ID          a finding, by the day and time of what happened

One transaction moves the state from one version to the next, takes the object off the waiting list
and fills the outbox: all three, or none. Whoever dies before it has told nobody, and whoever dies
after it leaves an outbox that the next run tells, under the same ids.
"""

from __future__ import annotations

import hashlib
import zlib
from datetime import UTC
from typing import TYPE_CHECKING

import msgspec

from triggerfish.audit.entries import Found
from triggerfish.audit.ledger import partition
from triggerfish.runtime.table import Absent, ConditionFailed, Delete, Equals, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from triggerfish.runtime.table import Condition, Item, Table, Write
    from triggerfish.types import Clock

PART_BYTES = 300_000
"""An item holds 400 KB; a transaction 4 MB."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The rules' state as bytes; `version` 0 is before the first."""

    version: int = 0
    data: bytes = b""
    parts: tuple[str, int] | None = None
    """Where it lies, if not in the item: token and number of parts."""


class ClusterStore:
    def __init__(self, table: Table, cluster: str, clock: Clock) -> None:
        self._table = table
        self._cluster = cluster
        self._clock = clock
        self.partition = partition(cluster)
        self._parts = f"audit-parts#{cluster or '-'}"

    def state(self) -> State:
        item = self._table.get(self.partition, "state")
        if item is None:
            return State()
        return State(
            version=int(str(item["version"])),
            data=zlib.decompress(self._load(item)) if item["bytes"] else b"",
            parts=_parts_of(item),
        )

    def commit(
        self, before: State, data: bytes, found: Sequence[Found], writes: Sequence[Write], run: str
    ) -> State:
        """Write the next state, the outbox and `writes`, all or nothing.

        `run` names this attempt and no other. Raises Conflict where the state, or what `writes`
        ask for, is not as it was.
        """
        version = before.version + 1
        token = hashlib.sha256(f"{run}#{version}".encode()).hexdigest()[:24]
        condition: Condition = Equals({"version": before.version}) if before.version else Absent()
        head: Item = {
            "pk": self.partition,
            "sk": "state",
            "version": version,
            "token": token,
            **self._keep(zlib.compress(data, 1) if data else b"", f"{token}s"),
        }
        transaction: list[Write] = [Put(head, condition), *writes]
        if found:
            told = zlib.compress(msgspec.json.encode(found), 6)
            outbox: Item = {
                "pk": self.partition,
                "sk": f"outbox#{version:012}",
                **self._keep(told, f"{token}o"),
            }
            transaction.append(Put(outbox))
        try:
            self._table.transact(transaction)
        except ConditionFailed as error:
            current = error.current[0]
            # Our own write, whose answer was lost and which was sent again, left our token.
            if current is None or current.get("token") != token:
                raise
        if before.parts is not None:
            self._drop(*before.parts)
        return State(version=version, data=data, parts=_parts_of(head))

    def tell(self, keep: Callable[[Sequence[Found]], None]) -> int:
        """Give `keep` what is in the outbox, oldest first, and forget it once `keep` returns."""
        items = self._table.query(self.partition, "outbox#")
        found: list[Found] = []
        for item in items:
            text = zlib.decompress(self._load(item))
            found += msgspec.json.decode(text, type=list[Found])
        if found:
            keep(found)
        for item in items:
            self._table.write(Delete(self.partition, str(item["sk"])))
            if parts := _parts_of(item):
                self._drop(*parts)
        return len(found)

    def tidy(self) -> int:
        """Delete the parts that runs left which died before their transaction. Under the lease."""
        heads = [self._table.get(self.partition, "state") or {}]
        heads += self._table.query(self.partition, "outbox#")
        used = {parts[0] for head in heads if (parts := _parts_of(head))}
        lost = [
            str(item["sk"])
            for item in self._table.query(self._parts)
            if str(item["sk"]).partition("#")[0] not in used
        ]
        for name in lost:
            self._table.write(Delete(self._parts, name))
        return len(lost)

    def _keep(self, blob: bytes, token: str) -> Item:
        if len(blob) <= PART_BYTES:
            return {"bytes": len(blob), "data": blob}
        count = -(-len(blob) // PART_BYTES)
        for number in range(count):
            part = blob[number * PART_BYTES : (number + 1) * PART_BYTES]
            self._table.write(Put({"pk": self._parts, "sk": f"{token}#{number:04}", "data": part}))
        return {"bytes": len(blob), "parts": [token, count]}

    def _load(self, item: Item) -> bytes:
        parts = _parts_of(item)
        if parts is None:
            data = item["data"]
            return data if isinstance(data, bytes) else b""
        token, count = parts
        pieces: list[bytes] = []
        for number in range(count):
            part = self._table.get(self._parts, f"{token}#{number:04}")
            data = part["data"] if part else None
            if not isinstance(data, bytes):
                # Written before the transaction that names it, and deleted after the next one.
                raise AssertionError(f"{self._parts} {token}#{number:04} is missing")  # noqa: TRY004
            pieces.append(data)
        return b"".join(pieces)

    def _drop(self, token: str, count: int) -> None:
        for number in range(count):
            self._table.write(Delete(self._parts, f"{token}#{number:04}"))


def _parts_of(item: Item) -> tuple[str, int] | None:
    match item.get("parts"):
        case [str(token), int(count)]:
            return token, count
        case _:
            return None


class FindingStore:
    """Every finding, by the day of what happened."""

    def __init__(self, table: Table, *, retention_s: int) -> None:
        self._table = table
        self._retention_s = retention_s

    def keep(self, each: Found) -> None:
        """Keep a finding; one that is kept already becomes what it is now."""
        day, name = _place(each)
        item: Item = {
            "pk": day,
            "sk": name,
            "rule": each.finding.rule,
            "severity": each.finding.severity,
            "data": msgspec.json.encode(each).decode(),
            "expires_at": int(each.found_at.timestamp()) + self._retention_s,
        }
        self._table.write(Put(item))

    def holds(self, each: Found) -> bool:
        """Whether this finding is kept already, just as it is."""
        item = self._table.get(*_place(each))
        if item is None:
            return False
        kept = msgspec.json.decode(str(item["data"]), type=Found)
        return (kept.finding, kept.count) == (each.finding, each.count)

    def day(self, day: str) -> list[Found]:
        """The findings of a day (`2026-11-24`), oldest first."""
        items = self._table.query(findings_partition(day))
        return [msgspec.json.decode(str(item["data"]), type=Found) for item in items]


def _place(each: Found) -> tuple[str, str]:
    at = each.happened_at.astimezone(UTC)
    name = f"{at.strftime('%H:%M:%S.%f')[:12]}#{each.id}"
    return findings_partition(at.date().isoformat()), name


def findings_partition(day: str) -> str:
    return f"audit-findings#{day}"
