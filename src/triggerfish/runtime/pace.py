"""A token bucket that all invocations share: how fast AWS lets all of us call, not each of us.

Counted in whole thousandths of a token, so nothing is lost or invented by rounding. Clocks of
different workers differ: time that goes backwards refills nothing, and no time is counted twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from triggerfish.runtime.table import Absent, ConditionFailed, Equals, Put

if TYPE_CHECKING:
    from triggerfish.runtime.table import Condition, Item, Table
    from triggerfish.types import Clock

PK = "pace"
MAX_ATTEMPTS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TokenBucket:
    def __init__(self, table: Table, name: str, clock: Clock) -> None:
        """One bucket for each `name` (`ec2:CreateTags`). A bucket not used before is full."""
        self._table = table
        self._name = name
        self._clock = clock

    def take(self, wanted: int, *, capacity: int = 100, refill_per_s: int = 10) -> int:
        """Take up to `wanted` tokens and return how many were granted; 0 means come back later.

        However many workers take, within any time they get at most `capacity` and what refilled.
        A crash after taking wastes tokens and never grants them twice.
        """
        item = self._table.get(PK, self._name)
        for _ in range(MAX_ATTEMPTS):
            now_ms = (self._clock.now() - _EPOCH) // timedelta(milliseconds=1)
            level, at_ms = _refilled(item, now_ms, capacity * 1000, refill_per_s)
            granted = min(wanted, level // 1000)
            if granted <= 0:
                return 0
            put = self._put(item, level - granted * 1000, at_ms)
            try:
                self._table.write(put)
            except ConditionFailed as conflict:
                item = conflict.current[0]
            else:
                return granted
        return 0

    def _put(self, item: Item | None, level: int, at_ms: int) -> Put:
        version = _number(item, "version", 0)
        condition: Condition = Absent() if item is None else Equals({"version": version})
        new = {"level": level, "at_ms": at_ms, "version": version + 1}
        return Put({"pk": PK, "sk": self._name, **new}, condition)


def _refilled(item: Item | None, now_ms: int, full: int, refill_per_s: int) -> tuple[int, int]:
    """Level and the time it holds for: a token a second is a thousandth a millisecond."""
    at_ms = _number(item, "at_ms", now_ms)
    level = _number(item, "level", full)
    passed_ms = max(0, now_ms - at_ms)
    return min(full, level + passed_ms * refill_per_s), at_ms + passed_ms


def _number(item: Item | None, name: str, default: int) -> int:
    value = (item or {}).get(name, default)
    return value if isinstance(value, int) else default
