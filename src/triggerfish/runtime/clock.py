"""The time outside tests. Tests and simulations use `triggerfish.local.fakes.clock`."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)
