"""What is kept of objects and of findings. Pure data."""

from __future__ import annotations

import hashlib
from datetime import datetime  # noqa: TC003  msgspec reads the annotations
from typing import Literal

import msgspec

from triggerfish.audit.records import Finding  # noqa: TC001  msgspec reads the annotations

MOST_STATEMENT = 8_000
"""Characters of a statement that are kept: the log has the rest."""


class ObjectKey(msgspec.Struct, frozen=True, kw_only=True):
    """What makes an object this one: another etag is another object under the same name."""

    bucket: str
    key: str
    etag: str
    version: str = ""

    @property
    def id(self) -> str:
        parts = (self.bucket, self.key, self.etag, self.version)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of one file so far. `findings` counts what was told, repeats included."""

    records: int = 0
    bytes: int = 0
    problems: int = 0
    findings: int = 0

    def plus(self, other: Totals) -> Totals:
        return Totals(
            records=self.records + other.records,
            bytes=self.bytes + other.bytes,
            problems=self.problems + other.problems,
            findings=self.findings + other.findings,
        )


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """An object that waits to be read, or to be read on from `offset` of its uncompressed bytes."""

    cluster: str
    object: ObjectKey
    announced: bool = True
    """Whether an event told of it, and not the hourly listing."""
    asked_ms: int = 0
    attempts: int = 0
    """How often reading it was begun and neither ended nor came further."""
    opened: ObjectKey | None = None
    """What a part was read of: a listing tells no version, and events are late."""
    offset: int = 0
    totals: Totals = Totals()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an object."""

    cluster: str
    object: ObjectKey
    kind: str
    """connection, user, activity; empty where the name doesn't say."""
    at: datetime | None
    """The time in the file's name."""
    status: Literal["read", "unread"]
    reason: str = ""
    """Why it was not read."""
    announced: bool = True
    read_at: datetime
    totals: Totals = Totals()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A finding as it is kept and told: once, with how often it repeated in the same reading."""

    id: str
    """The same however often the record is read again."""
    finding: Finding
    count: int = 1
    last_at: datetime | None = None
    """The time of the last repeat."""
    found_at: datetime

    @property
    def happened_at(self) -> datetime:
        return self.finding.at or self.found_at


def id_of(finding: Finding) -> str:
    parts = (finding.rule, finding.cluster, finding.key, finding.file, str(finding.offset))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def shortened(finding: Finding) -> Finding:
    """The finding with a statement that fits a table and a mail."""
    if len(finding.statement) <= MOST_STATEMENT:
        return finding
    left_out = len(finding.statement) - MOST_STATEMENT
    text = f"{finding.statement[:MOST_STATEMENT]}... ({left_out} more characters)"
    return msgspec.structs.replace(finding, statement=text)
