"""One run at a time for one thing (a group, the outbox), and one wake-up ahead.

The lease keeps concurrent runs from doing the same twice; conditions in the table keep the state
right even where the lease fails. A run that finds the thing taken leaves its mark (`again`), and
the holder looks once more: the event that woke the other run is never lost.

Two items of the partition are the lease's own: `lease` and `wake`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.errors import Unavailable
from triggerfish.runtime.table import (
    Absent,
    And,
    AtMost,
    ConditionFailed,
    Delete,
    Equals,
    Lacks,
    Or,
    Present,
    Put,
    Update,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from triggerfish.runtime.table import Item, Table, Value
    from triggerfish.types import Clock

LEASE_MS = 30_000
"""Longer than any one step takes: a request of ours ends after 13 s."""

RENEW_MS = 10_000
NEWS = "news#"
"""An attribute for each piece: several runs may leave theirs."""


class LeaseLost(Unavailable):
    """Another run holds the lease now; ours must not act any more."""


class Lease:
    """The right to act on one partition. Use `take`, then `keep` before each step, then `end`."""

    def __init__(self, table: Table, partition: str, owner: str, clock: Clock) -> None:
        self._table = table
        self._partition = partition
        self._owner = owner
        self._clock = clock
        self._until_ms = 0
        self.news: Mapping[str, str] = {}
        """What the run that asked to look again had heard; set when `end` says False."""

    def take(self, news: Mapping[str, str] | None = None) -> bool:
        """Take the lease; where another run has it, ask that run to look again and say False.

        `news` is left with the mark for the holder, who finds it in `news`.
        """
        while True:
            try:
                self._write(Or(Absent(), AtMost("until_ms", self._now_ms())))
            except ConditionFailed as error:
                current = error.current[0] or {}
                if current.get("owner") == self._owner:
                    return True  # our own write: its answer was lost and it was sent again
                if self._ask_holder(news or {}):
                    return False
            else:
                return True

    def keep(self) -> None:
        """Renew the lease when a part of it has passed. Raises LeaseLost."""
        if self._until_ms - self._now_ms() > LEASE_MS - RENEW_MS:
            return
        now_ms = self._now_ms()
        try:
            self._table.write(
                Update(
                    self._partition,
                    "lease",
                    set={"until_ms": now_ms + LEASE_MS},
                    condition=Equals({"owner": self._owner}),
                )
            )
        except ConditionFailed as error:
            raise LeaseLost(f"{self._partition}: another run took over") from error
        self._until_ms = now_ms + LEASE_MS

    def end(self) -> bool:
        """Give the lease back; False, and it's kept, when somebody asked to look again."""
        mine = Equals({"owner": self._owner})
        try:
            self._table.write(Delete(self._partition, "lease", And(mine, Lacks("again"))))
        except ConditionFailed as error:
            current = error.current[0]
            if current is None or current.get("owner") != self._owner:
                return True
            left = [name for name in current if name.startswith(NEWS)]
            self.news = {name.removeprefix(NEWS): str(current[name]) for name in left}
            self._clear_mark(left)
            return False
        return True

    def abandon(self) -> None:
        """Give the lease back whatever was asked of it."""
        try:
            self._table.write(Delete(self._partition, "lease", Equals({"owner": self._owner})))
        except ConditionFailed:
            return  # it ran out and another run has it

    def _write(self, condition: Or) -> None:
        until_ms = self._now_ms() + LEASE_MS
        item: Item = {
            "pk": self._partition,
            "sk": "lease",
            "owner": self._owner,
            "until_ms": until_ms,
        }
        self._table.write(Put(item, condition))
        self._until_ms = until_ms

    def _ask_holder(self, news: Mapping[str, str]) -> bool:
        marks: dict[str, Value] = {"again": True}
        marks |= {f"{NEWS}{about}": said for about, said in news.items()}
        try:
            self._table.write(Update(self._partition, "lease", set=marks, condition=Present()))
        except ConditionFailed:
            return False  # given back meanwhile: try to take it
        return True

    def _clear_mark(self, news: Sequence[str]) -> None:
        self._table.write(
            Update(
                self._partition,
                "lease",
                remove=("again", *news),
                condition=Equals({"owner": self._owner}),
            )
        )

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def end_lease_of_the_dead(table: Table, partition: str, died_ms: int) -> None:
    """Free a group at once where its lease is from before `died_ms`, when every run died."""
    try:
        table.write(Delete(partition, "lease", AtMost("until_ms", died_ms + LEASE_MS)))
    except ConditionFailed:
        return  # there is none, or a living run has it


def claim_wake(table: Table, partition: str, now_ms: int, wake_s: int) -> bool:
    """Whether to send a wake-up for `wake_s` from now: not while an earlier one is on its way.

    Written before the message is sent. If the run dies in between, the sweep makes up for it.
    """
    due_ms = now_ms + wake_s * 1000
    item: Item = {"pk": partition, "sk": "wake", "due_ms": due_ms, "negative_due_ms": -due_ms}
    overdue = AtMost("due_ms", now_ms)
    later = AtMost("negative_due_ms", -due_ms - 1)
    try:
        table.write(Put(item, Or(Absent(), Or(overdue, later))))
    except ConditionFailed:
        return False
    return True
