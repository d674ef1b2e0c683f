"""EC2's token buckets, one an action.

Source: "Request throttling for the Amazon EC2 API": CreateTags holds 100 tokens and regains 10 a
second. The local cloud throttles CreateTags by default, so that code which doesn't pace itself
fails here too; other actions are added through `/_fleet/faults`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    capacity: float
    refill_per_s: float


DEFAULT_LIMITS: Mapping[str, Limit] = {"CreateTags": Limit(capacity=100, refill_per_s=10)}


class Throttle:
    def __init__(self) -> None:
        self._buckets: dict[str, tuple[Limit, float, float]] = {}
        self.refused: dict[str, int] = {}

    def admit(self, action: str, limit: Limit | None, now: float) -> bool:
        """Take one token of `action`; `now` is in seconds on any steady clock."""
        if limit is None:
            return True
        known, tokens, at = self._buckets.get(action, (limit, limit.capacity, now))
        if known != limit:
            tokens, at = limit.capacity, now
        tokens = min(limit.capacity, tokens + max(0.0, now - at) * limit.refill_per_s)
        admitted = tokens >= 1
        self._buckets[action] = (limit, tokens - 1 if admitted else tokens, now)
        if not admitted:
            self.refused[action] = self.refused.get(action, 0) + 1
        return admitted
