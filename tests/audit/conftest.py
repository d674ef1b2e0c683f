"""Rules that find what they are told to, and logs to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from triggerfish.audit.records import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from triggerfish.audit.records import FileContext, LogKind, Record, Rows

LOGS = Path(__file__).parent / "logs"
CONNECTION_LOG = LOGS / "123456789012_redshift_eu-central-1_shop_connectionlog_2023-01-01T01_53"
USER_LOG = LOGS / "123456789012_redshift_eu-central-1_shop_userlog_2020-12-03T10_53"
ACTIVITY_LOG = LOGS / "123456789012_redshift_eu-central-1_shop_useractivitylog_2020-12-08T22_53"
FEED = rb"^authenticat(?:ed|ion failure) *\|[^|]*\|[^|\[]"


class Spotting:
    """Finds every record that one of the patterns occurs in; the state is the rows that were fed.

    As with real rules, a pattern looks at each record alone, whatever the prefilter let through.
    """

    def __init__(self, *patterns: bytes, feeds: tuple[bytes, ...] = ()) -> None:
        self.patterns = patterns
        self.fed = feeds
        self.records: list[Record] = []

    def prefilter(self, kind: LogKind) -> tuple[bytes, ...]:
        return self.patterns

    def feeds(self, kind: LogKind) -> tuple[bytes, ...]:
        return self.fed

    def evaluate(
        self, record: Record, state: list[tuple[int, list[bytes]]], context: FileContext
    ) -> list[Finding]:
        self.records.append(record)
        statement = getattr(record, "statement", "")
        return [
            Finding(
                rule="spotted",
                severity="low",
                title="",
                at=record.at,
                cluster=context.cluster,
                database=getattr(record, "database", ""),
                user=record.user,
                actor="",
                source=getattr(record, "host", ""),
                application=getattr(record, "application", ""),
                statement=statement,
                file=record.file,
                offset=record.offset,
                key=f"spotted/{context.cluster}/{record.user}",
                facts=(("verified", str(getattr(record, "verified", True))),),
            )
        ]

    def feed(
        self, rows: Rows, state: list[tuple[int, list[bytes]]], context: FileContext
    ) -> list[Finding]:
        state += zip(rows.offsets, rows.rows, strict=True)
        return []


class Matching(Spotting):
    """Spotting, of records whose text holds a word: what real rules do with too many records."""

    def __init__(self, word: str, *patterns: bytes) -> None:
        super().__init__(*patterns)
        self.word = word

    def evaluate(
        self, record: Record, state: list[tuple[int, list[bytes]]], context: FileContext
    ) -> list[Finding]:
        text = " ".join(str(value) for value in msgspec.structs.astuple(record)).lower()
        return super().evaluate(record, state, context) if self.word in text else []


class Pieces:
    """A source that gives its bytes in pieces of these sizes, round and round."""

    def __init__(self, data: bytes, sizes: Sequence[int] = (1 << 20,)) -> None:
        self.data = data
        self.position = 0
        self.sizes = self._round(sizes)

    @staticmethod
    def _round(sizes: Sequence[int]) -> Iterator[int]:
        while True:
            yield from sizes

    def read(self, size: int, /) -> bytes:
        taken = self.data[self.position : self.position + min(size, next(self.sizes))]
        self.position += len(taken)
        return taken


def head(
    user: str = "ana", *, pid: int = 700, user_id: int = 104, xid: int = 5000, second: int = 1
) -> str:
    return (
        f"'2026-03-02T10:00:{second:02}Z UTC "
        f"[ db=dev user={user} pid={pid} userid={user_id} xid={xid} ]' LOG: "
    )


def connection_line(**changes: str) -> str:
    fields = {
        "event": "authenticated",
        "time": "Mon, 2 Mar 2026 10:00:00:001",
        "host": "::ffff:192.0.2.1",
        "port": "40001",
        "pid": "700",
        "database": "dev",
        "user": "ana",
        "auth": "password",
        "duration": "0",
        "ssl": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "mtu": "0",
        "compression": "",
        "expansion": "",
        "guid": "",
        "application": "psql",
        "os": "Linux",
        "driver": "libpq",
        "plugin": "none",
        "protocol": "0",
        "session": "02d54c77-8302-4ae6-8e83-000000000001",
    } | changes
    unpadded = {"time", "pid", "duration", "mtu", "protocol", "session"}
    return "|".join(v if k in unpadded else f"{v} " for k, v in fields.items())


def calls(count: int) -> Callable[[], bool]:
    """Says yes so many times, then no."""
    left = [count]

    def ask() -> bool:
        left[0] -= 1
        return left[0] >= 0

    return ask
