"""What waits to be told and what was told, in the state table.

    notice#M       memory            what is remembered of the matter M (the fingerprint of a key)
    notice#M       item#MS#ID        a notice that nobody was told of yet; `parcel` names the
                                     message that it is in
    notice-seen    pk `notice-seen#ID`, sk `seen`, for 14 days: the notice ID came already
    notices-due    M                 the matters that have notices waiting
    notices-outbox parcel#ID         a message on its way
    notices-outbox sent              when the messages of the last hour went out
    notices-outbox lease, wake       see `runtime.lease`

A notice is written with its mark `seen` and its matter's entry in `notices-due` at once or not at
all. It is deleted only after somebody was told, or it's in the dead letters. One run at a time
sends, by the lease; every write that this relies on has a condition besides.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from triggerfish.errors import Conflict, Refused
from triggerfish.notices.digest import Kept, Memory
from triggerfish.notices.outbox import HOUR_MS, Parcel
from triggerfish.runtime.notices import from_message, to_data
from triggerfish.runtime.table import (
    Absent,
    ConditionFailed,
    Delete,
    Equals,
    Present,
    Put,
    Update,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from triggerfish.notice import Notice
    from triggerfish.runtime.table import Condition, Item, Table, Value, Write
    from triggerfish.types import Clock

OUTBOX = "notices-outbox"
DUE = "notices-due"

SEEN_KEPT_S = 14 * 24 * 3600
"""As long as SQS keeps a dead letter."""
MEMORY_KEPT_S = 30 * 24 * 3600
MOST_WAITING = 5_000
"""Notices of one matter that wait at a time; what is beyond goes to the dead letters."""
WRITES_AT_ONCE = 100


class Due(Struct, frozen=True, kw_only=True):
    """A matter that has notices waiting. `due_ms` is 0 where nobody has looked since the latest."""

    sk: str
    latest: str
    count: int = 0
    due_ms: int = 0
    critical: bool = False
    held_since_ms: int = 0

    @property
    def matter(self) -> str:
        return self.sk


class Matter(Struct, frozen=True, kw_only=True):
    """All that is kept of one matter."""

    memory: Memory
    kept: tuple[Kept, ...]
    """In the order in which they were kept, as far as clocks agree."""

    def outside(self, parcels: Collection[str]) -> tuple[Kept, ...]:
        """The notices that are in none of these messages.

        One that names another message was meant for one that was never written down.
        """
        return tuple(one for one in self.kept if one.parcel not in parcels)

    def inside(self, parcel: str) -> tuple[Kept, ...]:
        return tuple(one for one in self.kept if one.parcel == parcel)


class NoticeStore:
    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def keep(self, notice: Notice, message_id: str, sent_ms: int) -> bool:
        """Write a notice down; False when it was before. Raises Refused where too many wait."""
        matter = fingerprint(notice.key)
        waiting = self._table.get(DUE, matter)
        if waiting is not None and _number(waiting.get("count")) >= MOST_WAITING:
            raise Refused(f"{MOST_WAITING} notices of this matter wait to be told already")
        at_ms = int(notice.at.timestamp() * 1000) if notice.at else sent_ms
        name = notice_id(notice, message_id)
        sk = f"item#{self._now_ms():015}#{name}"
        seen: Item = {
            "pk": f"notice-seen#{name}",
            "sk": "seen",
            "expires_at": self._now_ms() // 1000 + SEEN_KEPT_S,
        }
        item: Item = {
            "pk": f"notice#{matter}",
            "sk": sk,
            "at_ms": at_ms,
            "notice": json.dumps(to_data(notice), ensure_ascii=False),
            "id": name,
        }
        marks: dict[str, Value] = {"latest": sk, "due_ms": 0}
        if notice.severity == "critical":
            marks["critical"] = True
        try:
            self._table.transact(
                [
                    Put(seen, Absent()),
                    Put(item),
                    Update(DUE, matter, set=marks, add={"count": 1}),
                ]
            )
        except ConditionFailed:
            return False
        return True

    def due(self) -> list[Due]:
        """The matters that have notices waiting, critical ones first."""
        found = [msgspec.convert(item, Due) for item in self._table.query(DUE)]
        return sorted(found, key=lambda due: (not due.critical, due.due_ms, due.sk))

    def waiting(self, matter: str) -> Due | None:
        item = self._table.get(DUE, matter)
        return None if item is None else msgspec.convert(item, Due)

    def matter(self, matter: str) -> Matter:
        memory, kept = Memory(), []
        for item in self._table.query(f"notice#{matter}"):
            if item["sk"] == "memory":
                memory = msgspec.convert(item, Memory)
            else:
                kept.append(
                    Kept(
                        sk=str(item["sk"]),
                        at_ms=_number(item["at_ms"]),
                        notice=from_message(str(item["notice"])),
                        parcel=str(item.get("parcel") or ""),
                    )
                )
        return Matter(memory=memory, kept=tuple(kept))

    def wait(self, due: Due, *, due_ms: int, count: int, held_since_ms: int = 0) -> None:
        """Let a matter wait until then, unless a notice came meanwhile."""
        changes: dict[str, Value] = {
            "due_ms": due_ms,
            "count": count,
            "held_since_ms": held_since_ms,
        }
        self._if_latest(Update(DUE, due.sk, set=changes, condition=_latest(due.latest)))

    def settle(self, due: Due) -> None:
        """Forget that a matter waits, unless a notice came meanwhile."""
        self._if_latest(Delete(DUE, due.sk, _latest(due.latest)))

    def _if_latest(self, write: Update | Delete) -> None:
        try:
            self._table.write(write)
        except ConditionFailed:
            return

    # --- parcels

    def parcels(self) -> list[Parcel]:
        return [msgspec.convert(item, Parcel) for item in self._table.query(OUTBOX, "parcel#")]

    def sent_ms(self) -> list[int]:
        """When messages went out, within the last hour or longer ago."""
        item = self._table.get(OUTBOX, "sent") or {}
        return msgspec.convert(item.get("at_ms", []), list[int])

    def open(
        self, parcel: Parcel, contents: Mapping[str, Sequence[Kept]], sent_ms: Sequence[int]
    ) -> Parcel:
        """Write a parcel down, before anything of it is sent, and count it.

        Its notices, by their matters, are marked first: what comes later is never taken for told.
        """
        marks: list[Write] = [
            Update(f"notice#{matter}", one.sk, set={"parcel": parcel.id}, condition=Present())
            for matter, kept in contents.items()
            for one in kept
        ]
        for first in range(0, len(marks), WRITES_AT_ONCE):
            self._table.transact(marks[first : first + WRITES_AT_ONCE])
        new = replace(parcel, version=1)
        recent = [at for at in sent_ms if at > self._now_ms() - HOUR_MS]
        times: Item = {"pk": OUTBOX, "sk": "sent", "at_ms": [*recent, self._now_ms()]}
        self._table.transact([Put(_parcel_item(new), Absent()), Put(times)])
        return new

    def save(self, parcel: Parcel) -> Parcel:
        """Write a parcel's progress. Raises Conflict where another run goes on with it."""
        new = replace(parcel, version=parcel.version + 1)
        item = _parcel_item(new)
        try:
            self._table.write(Put(item, Equals({"version": parcel.version})))
        except ConditionFailed as error:
            if error.current[0] is None or dict(error.current[0]) != dict(item):
                raise
        return new

    def close(self, parcel: Parcel) -> None:
        condition: Condition = Equals({"version": parcel.version})
        try:
            self._table.write(Delete(OUTBOX, f"parcel#{parcel.id}", condition))
        except ConditionFailed as error:
            if error.current[0] is not None:
                raise Conflict(f"parcel {parcel.id}: another run goes on with it") from error

    # --- after a message

    def remember(self, matter: str, memory: Memory) -> None:
        item: Item = {
            "pk": f"notice#{matter}",
            "sk": "memory",
            "expires_at": self._now_ms() // 1000 + MEMORY_KEPT_S,
            **msgspec.to_builtins(memory),
        }
        self._table.write(Put(item))

    def drop(self, matter: str, kept: Iterable[Kept], *, unsee: bool = False) -> None:
        """Delete notices; with `unsee` they may come again, from the dead letters."""
        writes: list[Write] = []
        for one in kept:
            writes.append(Delete(f"notice#{matter}", one.sk))
            if unsee:
                writes.append(Delete(f"notice-seen#{one.sk.rpartition('#')[2]}", "seen"))
        for first in range(0, len(writes), WRITES_AT_ONCE):
            self._table.transact(writes[first : first + WRITES_AT_ONCE])

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def fingerprint(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def notice_id(notice: Notice, message_id: str) -> str:
    """What a notice is known by: its own id in its matter, or the message that brought it."""
    name = f"{notice.key}\0{notice.id}" if notice.id else f"message\0{message_id}"
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _parcel_item(parcel: Parcel) -> Item:
    return {"pk": OUTBOX, "sk": f"parcel#{parcel.id}", **msgspec.to_builtins(parcel)}


def _latest(sk: str) -> Condition:
    return Equals({"latest": sk})


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
