"""What is to happen later, kept with the state so that a restart forgets none of it."""

from __future__ import annotations

import heapq
from typing import Literal

Kind = Literal[
    "running",
    "gone",
    "forgotten",
    "noticed",
    "reconcile",
    "in-service",
    "standby",
    "detached",
    "drained",
    "hook",
    "elb-check",
]


class Timers:
    """A heap of (due, order, kind, key). Due times are epoch seconds; equal ones keep their order.

    Whoever handles a timer checks that it still applies: timers are never cancelled.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Kind, str]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due: float, kind: Kind, key: str) -> None:
        self._order += 1
        heapq.heappush(self._heap, (due, self._order, kind, key))

    def pop_due(self, now: float) -> tuple[Kind, str] | None:
        if not self._heap or self._heap[0][0] > now:
            return None
        _, _, kind, key = heapq.heappop(self._heap)
        return kind, key

    def next_due(self) -> float | None:
        return self._heap[0][0] if self._heap else None
