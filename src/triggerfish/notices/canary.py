"""Notices about notices: the weekly canary and a person's test go to every channel. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triggerfish.notice import Notice
from triggerfish.notices.outbox import OURSELVES

if TYPE_CHECKING:
    from datetime import datetime

    from triggerfish.notice import Severity


def canary(stack: str, at: datetime) -> Notice:
    """One a day at most: a schedule that fires twice is one canary."""
    return Notice(
        key="notices/canary",
        trigger=OURSELVES,
        severity="info",
        title=f"Notices of {stack} reach you",
        facts=(
            ("Stack", stack),
            ("What this is", "the weekly test of every channel"),
            ("When it stays away", "somebody should look at `triggerfish status`"),
        ),
        at=at,
        id=at.date().isoformat(),
    )


def trial(stack: str, *, key: str, severity: Severity, title: str) -> Notice:
    """What a person sends to see that it arrives."""
    return Notice(
        key=key,
        trigger=OURSELVES,
        severity=severity,
        title=title,
        facts=(("Stack", stack), ("What this is", "a test, sent by a person")),
    )
