"""A group's state in the table: read whole, written transition by transition.

Items, all with `pk` first:

    group#G     member#i-0abc          the member
    group#G     slot#00007             a number and who holds it
    group#G     memory                 what the group remembers
    group#G     lease, wake            see `runtime.lease`
    gone#G      i-0abc                 a member that has gone, for 30 days
    history     is pk `instance#i-0abc`, sk `<milliseconds>#<version>`, for 90 days

Every write is conditional on the version that the decision was made from. Transitions that belong
to different members share transactions for speed only; where one of them lost, each is tried alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec.structs import replace

from triggerfish.errors import Conflict
from triggerfish.provision.members import (
    GroupState,
    Member,
    Memory,
    Slot,
    state_from_items,
    to_item,
)
from triggerfish.runtime.attribute_values import to_attributes
from triggerfish.runtime.table import Absent, ConditionFailed, Delete, Equals, Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.notice import Notice
    from triggerfish.provision.instructions import Change
    from triggerfish.runtime.table import Condition, Item, Table, Write
    from triggerfish.types import Clock

M = TypeVar("M", Member, Slot)

DAY_S = 24 * 3600
GONE_KEPT_S = 30 * DAY_S
HISTORY_KEPT_S = 90 * DAY_S
NOTICES_KEPT_S = 30 * DAY_S
WRITES_A_TRANSACTION = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change and the slot that goes with it, written together or not at all."""

    change: Change
    slot_before: Slot | None = None
    slot_after: Slot | None = None


@dataclass(slots=True)
class Written:
    """What was written, with its new versions, and how many transitions somebody else overtook."""

    members: list[Member] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    overtaken: int = 0

    def add(self, other: Written) -> None:
        self.members += other.members
        self.slots += other.slots
        self.overtaken += other.overtaken


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One transition as `explain` shows it. `from_phase` is empty at birth."""

    at_ms: int
    group: str
    instance: str
    generation: int
    number: int | None
    from_phase: str
    to_phase: str
    cause: str


class GroupStore:
    def __init__(self, table: Table, group: str, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self.group = group
        self.partition = self.partition_of(group)

    @staticmethod
    def partition_of(group: str) -> str:
        return f"group#{group}"

    def read(self) -> GroupState:
        return state_from_items(self._table.query(self.partition))

    def gone(self) -> list[Member]:
        return [msgspec.convert(item, Member) for item in self._table.query(f"gone#{self.group}")]

    def save(self, transitions: Sequence[Transition]) -> Written:
        """Write transitions of different members. Raises Unavailable; what lost is counted."""
        written = Written()
        batch: list[tuple[Transition, list[Write]]] = []
        size = 0
        for transition in transitions:
            writes = self._writes(transition)
            if size + len(writes) > WRITES_A_TRANSACTION:
                written.add(self._save_batch(batch))
                batch, size = [], 0
            batch.append((transition, writes))
            size += len(writes)
        written.add(self._save_batch(batch))
        return written

    def remember(self, before: Memory, after: Memory) -> Memory:
        """Write the group's memory. Raises Conflict when it's not what it was."""
        kept = replace(after, version=before.version + 1)
        condition: Condition = Equals({"version": before.version}) if before.version else Absent()
        item: Item = {"pk": self.partition, "sk": "memory", **to_item(kept)}
        self._table.write(Put(item, condition))
        return kept

    def _save_batch(self, batch: list[tuple[Transition, list[Write]]]) -> Written:
        if not batch:
            return Written()
        try:
            self._table.transact([write for _, writes in batch for write in writes])
        except Conflict as error:
            if len(batch) == 1 and not _is_own_write(error, batch[0][1]):
                return Written(overtaken=1)
            if len(batch) > 1:
                written = Written()
                for one in batch:
                    written.add(self._save_batch([one]))
                return written
        members = [_next(transition.change.after) for transition, _ in batch]
        slots = [_next(t.slot_after) for t, _ in batch if t.slot_after is not None]
        return Written(members, slots)

    def _writes(self, transition: Transition) -> list[Write]:
        change = transition.change
        after = _next(change.after)
        key = {"pk": self.partition, "sk": f"member#{after.instance}"}
        condition: Condition = (
            Equals({"version": change.before.version}) if change.before else Absent()
        )
        writes: list[Write] = []
        if after.phase == "gone":
            writes.append(Delete(key["pk"], key["sk"], condition))
            writes.append(Put(self._gone_item(after)))
        else:
            writes.append(Put({**key, **to_item(after)}, condition))
        if transition.slot_after is not None:
            writes.append(self._slot_write(transition.slot_before, _next(transition.slot_after)))
        writes.append(Put(self._history_item(change, after)))
        return writes

    def _slot_write(self, before: Slot | None, after: Slot) -> Write:
        condition: Condition = Equals({"version": before.version}) if before else Absent()
        key = {"pk": self.partition, "sk": f"slot#{after.number:05}"}
        return Put({**key, **to_item(after)}, condition)

    def _gone_item(self, member: Member) -> Item:
        return {
            "pk": f"gone#{self.group}",
            "sk": member.instance,
            "expires_at": self._now_s() + GONE_KEPT_S,
            **to_item(member),
        }

    def _history_item(self, change: Change, after: Member) -> Item:
        at_ms = int(self._clock.now().timestamp() * 1000)
        entry = HistoryEntry(
            at_ms=at_ms,
            group=self.group,
            instance=after.instance,
            generation=after.generation,
            number=after.number,
            from_phase=change.before.phase if change.before else "",
            to_phase=after.phase,
            cause=change.cause,
        )
        return {
            "pk": f"instance#{after.instance}",
            "sk": f"{at_ms:015}#{after.version:06}",
            "expires_at": self._now_s() + HISTORY_KEPT_S,
            **msgspec.to_builtins(entry),
        }

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())


def keep_notice(table: Table, notice: Notice, clock: Clock) -> None:
    """Keep a notice where `status` finds it; the same matter overwrites itself."""
    now = clock.now()
    item: Item = {
        "pk": "notices",
        "sk": notice.key,
        "at_ms": int(now.timestamp() * 1000),
        "severity": notice.severity,
        "title": notice.title,
        "facts": [list(fact) for fact in notice.facts],
        "expires_at": int(now.timestamp()) + NOTICES_KEPT_S,
    }
    table.write(Put(item))


def history(table: Table, instance: str) -> list[HistoryEntry]:
    """Every transition of an instance, oldest first."""
    items = table.query(f"instance#{instance}")
    return [msgspec.convert(item, HistoryEntry) for item in items]


def _next(value: M) -> M:
    return replace(value, version=value.version + 1)


def _is_own_write(error: Conflict, writes: Sequence[Write]) -> bool:
    """Whether it failed on our own write, whose answer was lost and which was sent again."""
    if not isinstance(error, ConditionFailed):
        return False
    for position in error.failed:
        write, current = writes[position], error.current[position]
        if not isinstance(write, Put) or current is None:
            return False
        if to_attributes(write.item) != to_attributes(current):  # a tuple comes back as a list
            return False
    return bool(error.failed)
