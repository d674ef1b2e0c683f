"""The words of the audit trigger: what a log holds, and what was found in it. Pure data.

Text is decoded as UTF-8 with `backslashreplace`, so every value is printable to a terminal only
after escaping: attackers wrote the fields. Offsets count uncompressed bytes from the file's start.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  msgspec reads the annotations
from typing import Literal

import msgspec

LogKind = Literal["connection", "user", "activity"]
Severity = Literal["low", "medium", "high", "critical"]
ProblemKind = Literal[
    "unknown-event",  # a connection event or user action that no documentation names
    "too-few-fields",
    "bad-time",
    "bad-number",
    "bad-bytes",  # not UTF-8; shown with backslashes
    "no-head",  # text in an activity log that belongs to no record, or a head without its end
    "no-records",  # a file that isn't empty, yet holds none
    "truncated",  # a gzip stream that ends too early
    "not-gzip",  # named .gz, read as plain text
    "bad-gzip",  # damaged, or something else follows the last member
    "too-large",  # a cap was reached: the file's, the ratio's or one record's
    "unknown-file",  # the name says no kind of log
]


class LogFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file's base name says; `None` and empty where it doesn't say."""

    name: str
    kind: LogKind | None
    cluster: str = ""
    account: str = ""
    region: str = ""
    at: datetime | None = None


class ConnectionRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of a connection log. `host` is as logged: `[local]`, `::ffff:192.0.2.1`, a name.

    `duration_us` is only meaningful for `disconnecting session`. Empty text: empty in the log, or
    a column that the cluster's version doesn't write.
    """

    event: str
    at: datetime | None
    host: str
    port: str
    pid: int | None
    database: str
    user: str
    auth_method: str
    duration_us: int | None
    ssl_version: str
    ssl_cipher: str
    iam_guid: str
    application: str
    os_version: str
    driver: str
    plugin: str
    session: str
    file: str
    offset: int


class UserRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of a user log. `user` is whom the change hit, not who made it."""

    user_id: int | None
    user: str
    old_user: str
    action: str  # lower case: alter, create, drop, rename
    create_db: bool
    superuser: bool
    catalog_update: bool
    valid_until: str
    pid: int | None
    xid: int | None
    at: datetime | None
    file: str
    offset: int


class ActivityRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One statement of an activity log, newlines kept.

    `verified` is False when the record may be text that another statement carried: its head stands
    inside an open quote or comment, or its (pid, user id, user) was not seen before.
    """

    at: datetime | None
    database: str
    user: str
    pid: int | None
    user_id: int | None
    xid: int | None
    statement: str
    verified: bool
    file: str
    offset: int


Record = ConnectionRecord | UserRecord | ActivityRecord


class ParseProblem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that could not be read. `sample` is ASCII, control characters escaped, <= 200."""

    kind: ProblemKind
    file: str
    offset: int
    sample: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that matched, with its evidence. Values are as logged: whoever shows them escapes.

    `key` is (rule, cluster, the rule's own fields) as one text: findings of one key are one matter.
    `source` is the address; `actor` who did it, where that is known and differs from `user`, whom
    it concerns.
    """

    rule: str
    severity: Severity
    title: str
    at: datetime | None
    cluster: str
    database: str
    user: str
    actor: str
    source: str
    application: str
    statement: str
    file: str
    offset: int
    key: str
    facts: tuple[tuple[str, str], ...] = ()


class FileContext(msgspec.Struct, frozen=True, kw_only=True):
    """Where the records being evaluated come from."""

    cluster: str
    file: str


class Rows(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Connection rows in bulk, for rules that count: no record object a row, a few hundred ns each.

    `rows[i]` is the line split at its first seven `|`: event, time, host, port, pid, database,
    user, and the rest unsplit; padding not stripped. `offsets[i]` is where it starts.
    `parse.connection_record(rows[i], file, offsets[i])` makes the full record of the few that
    become findings; `parse.milliseconds(row[1])` is the quick time (epoch ms, None if unreadable).
    """

    rows: list[list[bytes]]
    offsets: list[int]
