r"""One record's bytes to the record. Pure.

Lines end at `\n` alone: a lone `\r`, `\x0b`, `\x85` or U+2028 is a character that a client sent.
Columns count from the left, since newer versions append some and clients put `|` into the later
ones; whatever is missing is empty. Nothing here raises: what can't be read is None, and `complaint`
says why.

Formats: https://docs.aws.amazon.com/redshift/latest/mgmt/db-auditing.html and the columns of
STL_CONNECTION_LOG and STL_USERLOG, in order; files of 2018 to 2023 have 16, 19 and 21 columns.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from triggerfish.audit.records import ActivityRecord, ConnectionRecord, ParseProblem, UserRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.audit.records import LogKind, ProblemKind

CONNECTION_EVENTS = (
    b"authenticated",
    b"authentication failure",
    b"initiating session",
    b"disconnecting session",
    b"set application_name",
)
CONNECTION_FIELDS = 15
CONNECTION_FIELDS_READ = 21
USER_ACTIONS = (b"alter", b"create", b"drop", b"rename")
USER_FIELDS = 11
SAMPLE_BYTES = 200

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun",
         b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), start=1)
}  # fmt: skip

# `Mon, 7 Dec 2020 20:01:55:177`, also `07 Dec`; the weekday is not compared.
TIME = re.compile(
    rb"\s*[A-Za-z]{3},\s+(\d{1,2}) ([A-Za-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d)(?:[:.](\d{1,6}))?\s*"
)
CONNECTION_LINE = re.compile(
    b"(?:" + b"|".join(CONNECTION_EVENTS) + rb") *+\|"
    rb"[A-Z][a-z]{2}, ++\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d:\d{3} *+\|(?:[^|]*+\|){12}"
)
"""A line that there is nothing to say about; others are looked at by `complaint`."""

SESSION = re.compile(rb"\s*[0-9A-Fa-f-]{16,36}\s*")
"""A client's `|` in a column before it may have put another column in its place."""

# `'2020-12-08T22:00:03Z UTC [ db=dev ...`; start_node files have a space for the `T`, some files a
# space before the quote.
HEAD_START = rb" {0,4}'[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}Z? UTC \[ db="
HEAD_START_SCANNED = rb"\n {0,4}'[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}Z? " + (
    b"".join(b"[" + re.escape(bytes([byte])) + rb"\x01]" for byte in b"UTC [ db=")
)
"""For hyperscan, which would otherwise look for ` UTC [ db=` first, at twice the time for a block.
Finds too much where a block has a byte 1."""
HEAD_START_BYTES = 40
"""More than a head's start is long."""
HEAD_BYTES = 2048
HEAD = re.compile(
    rb" {0,4}'(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)Z? UTC \[ "
    rb"db=(?P<database>.{0,512}?) (?P<who>user=(?P<user>.{0,512}?) pid=(?P<pid>\d{1,19}) "
    rb"userid=(?P<user_id>\d{1,19})) xid=(?P<xid>\d{1,19}) \]' LOG: ?",
    re.DOTALL,
)
"""Ends at the first place it can: names are given by who may create them, SQL by anybody."""

_HEAD_START = re.compile(HEAD_START)

_minutes: dict[bytes, int] = {}
_MINUTES_KEPT = 4096


def milliseconds(text: bytes) -> int | None:
    """Read a time of the connection and user logs, as milliseconds since 1970, UTC."""
    # A minute's text is read once; what follows it is `55:177`.
    text = text.rstrip()
    minute = _minutes.get(text[:-6])
    if minute is not None:
        seconds, fraction = text[-6:-4], text[-3:]
        if text[-4:-3] == b":" and seconds.isdigit() and fraction.isdigit() and seconds < b"60":
            return minute + int(seconds) * 1000 + int(fraction)
    return _milliseconds(text)


def _milliseconds(text: bytes) -> int | None:
    found = TIME.fullmatch(text)
    if found is None:
        return None
    day, month, year, hour, minute, second, fraction = found.groups()
    number = MONTHS.get(month.lower())
    if number is None:
        return None
    try:
        moment = datetime(int(year), number, int(day), int(hour), int(minute), tzinfo=UTC)
        whole = (moment - EPOCH) // timedelta(milliseconds=1)
        moment.replace(second=int(second))
    except ValueError:
        return None
    if fraction is not None and len(fraction) == 3 and found[0][-4:-3] == b":":
        if len(_minutes) >= _MINUTES_KEPT:
            _minutes.clear()
        _minutes[text[:-6]] = whole
    return whole + int(second) * 1000 + int((fraction or b"0").ljust(3, b"0")[:3])


def moment_of(ms: int | None) -> datetime | None:
    return None if ms is None else EPOCH + timedelta(milliseconds=ms)


def connection_record(fields: Sequence[bytes], file: str, offset: int) -> ConnectionRecord:
    """From a line's fields; the last one given may hold the rest of the line unsplit."""
    values = b"|".join(fields).split(b"|", CONNECTION_FIELDS_READ)
    values += [b""] * (CONNECTION_FIELDS_READ - len(values))
    return ConnectionRecord(
        event=text_of(values[0]),
        at=moment_of(milliseconds(values[1])),
        host=text_of(values[2]),
        port=text_of(values[3]),
        pid=number_of(values[4]),
        database=text_of(values[5]),
        user=text_of(values[6]),
        auth_method=text_of(values[7]),
        duration_us=number_of(values[8]),
        ssl_version=text_of(values[9]),
        ssl_cipher=text_of(values[10]),
        iam_guid=text_of(values[14]),
        application=text_of(values[15]),
        os_version=text_of(values[16]),
        driver=text_of(values[17]),
        plugin=text_of(values[18]),
        session=text_of(values[20]) if SESSION.fullmatch(values[20]) else "",
        file=file,
        offset=offset,
    )


def user_record(line: bytes, file: str, offset: int) -> UserRecord:
    values = line.split(b"|", USER_FIELDS)
    values += [b""] * (USER_FIELDS - len(values))
    return UserRecord(
        user_id=number_of(values[0]),
        user=text_of(values[1]),
        old_user=text_of(values[2]),
        action=text_of(values[3]).lower(),
        create_db=values[4].strip() == b"1",
        superuser=values[5].strip() == b"1",
        catalog_update=values[6].strip() == b"1",
        valid_until=text_of(values[7]),
        pid=number_of(values[8]),
        xid=number_of(values[9]),
        at=moment_of(milliseconds(values[10])),
        file=file,
        offset=offset,
    )


def activity_record(text: bytes, file: str, offset: int, *, verified: bool) -> ActivityRecord:
    """From a head and all that follows it; a head that can't be read leaves all but the text."""
    head = HEAD.match(text)
    if head is None:
        return ActivityRecord(
            at=None,
            database="",
            user="",
            pid=None,
            user_id=None,
            xid=None,
            statement=_decoded(text).rstrip("\r\n"),
            verified=False,
            file=file,
            offset=offset,
        )
    return ActivityRecord(
        at=_activity_time(head[1]),
        database=_decoded(head["database"]),
        user=_decoded(head["user"]),
        pid=int(head["pid"]),
        user_id=int(head["user_id"]),
        xid=int(head["xid"]),
        statement=_decoded(text[head.end() :]).rstrip("\r\n"),
        # A name with a head's words in it could be read in two ways.
        verified=verified and b" user=" not in head["user"] and b" pid=" not in head["user"],
        file=file,
        offset=offset,
    )


def is_head_start(data: bytes, start: int) -> bool:
    return _HEAD_START.match(data, start) is not None


def _activity_time(text: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(text.decode("ascii")).replace(tzinfo=UTC)
    except ValueError:
        return None


def complaint(kind: LogKind, text: bytes) -> ProblemKind | None:
    """Why a line, or the beginning of an activity record, can't be read as a whole."""
    if kind == "activity":
        return None if HEAD.match(text) else "no-head"
    fields = text.split(b"|", 12)
    if kind == "user":
        known = fields[3:4] and fields[3].strip().lower() in USER_ACTIONS
        few, time = len(fields) < USER_FIELDS, fields[10:11]
    else:
        known = fields[0].strip() in CONNECTION_EVENTS
        few, time = text.count(b"|") < CONNECTION_FIELDS - 1, fields[1:2]
    if few:
        return "too-few-fields"
    if not known:
        return "unknown-event"
    return "bad-time" if milliseconds(time[0]) is None else None


def problem(kind: ProblemKind, file: str, offset: int, sample: bytes = b"") -> ParseProblem:
    shown = sample[:SAMPLE_BYTES].decode("ascii", "backslashreplace")
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return ParseProblem(kind=kind, file=file, offset=offset, sample=safe[:SAMPLE_BYTES])


def text_of(value: bytes) -> str:
    """A column's text. Each is padded by one space; an attacker's own spaces go with it."""
    return _decoded(value.strip(b" \r\n"))


def number_of(value: bytes) -> int | None:
    value = value.strip()
    return int(value) if value.isdigit() and len(value) < 20 else None


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
