from __future__ import annotations

from datetime import UTC, datetime, timedelta

from triggerfish.runtime.clock import SystemClock


def test_the_system_clock_is_aware_and_in_utc() -> None:
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
