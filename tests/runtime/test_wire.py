from __future__ import annotations

from datetime import UTC, datetime

import pytest

from triggerfish.runtime.wire import time_from_epoch_ms, time_from_text


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-12-05T21:27:35.517Z", datetime(2024, 12, 5, 21, 27, 35, 517000, tzinfo=UTC)),
        ("2024-12-05T22:27:35+01:00", datetime(2024, 12, 5, 21, 27, 35, tzinfo=UTC)),
        ("2024-12-05T21:27:35", datetime(2024, 12, 5, 21, 27, 35, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:00", None),
        ("<aws.scheduler.scheduled-time>", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_utc_or_none(text: str | None, time: datetime | None) -> None:
    assert time_from_text(text) == time


@pytest.mark.parametrize(
    ("milliseconds", "time"),
    [
        ("1733434055612", datetime(2024, 12, 5, 21, 27, 35, 612000, tzinfo=UTC)),
        (1733434055612, datetime(2024, 12, 5, 21, 27, 35, 612000, tzinfo=UTC)),
        (10**30, None),
        ("soon", None),
        (None, None),
    ],
)
def test_epochs_are_utc_or_none(milliseconds: str | int | None, time: datetime | None) -> None:
    assert time_from_epoch_ms(milliseconds) == time
