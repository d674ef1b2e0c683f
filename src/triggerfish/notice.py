"""A message for people, as every trigger hands it over. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from datetime import datetime

Severity = Literal["info", "low", "medium", "warning", "high", "critical"]
"""From the least to the most; `critical` never waits."""

SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a person is told.

    `key` names the matter (`provision/web/i-0abc/failed`): notices of one key are one matter, and
    its first part is the trigger where `trigger` is not given. `facts` are pairs of label and
    value, in the order a reader wants them. Labels are ours; title, values and evidence may hold
    text that attackers wrote: whatever shows them escapes them.
    """

    key: str
    severity: Severity
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    evidence: tuple[str, ...] = ()
    """What was seen, word for word: a statement, a log line. Each may have several lines."""
    link: str | None = None
    """Where to look further: an https address of ours."""
    trigger: str = ""
    at: datetime | None = None
    """When it happened; None: when it was sent."""
    incident_start: datetime | None = None
    """When the incident began of which this is news: each incident is a thread of its own."""
    id: str = ""
    """What names this very notice: sent again under one id it is still one. Empty: each is new."""

    @property
    def source(self) -> str:
        """The trigger that speaks."""
        return self.trigger or self.key.partition("/")[0]


def rank(severity: Severity) -> int:
    """A greater number is more severe."""
    return SEVERITIES.index(severity)
