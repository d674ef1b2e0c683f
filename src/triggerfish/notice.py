"""A message for people, as every trigger hands it over. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a person is told.

    `key` names the matter (`provision/web/i-0abc/failed`): notices of one key are one matter.
    `facts` are pairs of label and value, in the order a reader wants them; values may hold text
    that attackers wrote and are escaped by whatever shows them.
    """

    key: str
    severity: Severity
    title: str
    facts: tuple[tuple[str, str], ...] = ()
