from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.conftest import CONNECTION_LOG, USER_LOG, connection_line, head
from triggerfish.audit.parse import (
    activity_record,
    complaint,
    connection_record,
    milliseconds,
    user_record,
)
from triggerfish.audit.records import ConnectionRecord, UserRecord


def connection(line: bytes | str) -> ConnectionRecord:
    return connection_record((line if isinstance(line, bytes) else line.encode(),), "f", 0)


LINES = CONNECTION_LOG.read_bytes().split(b"\n")


@pytest.mark.parametrize(
    ("number", "columns", "application", "driver", "session"),
    [
        (0, 16, "", "", ""),
        (1, 19, "", "", ""),
        (4, 21, "", "Amazon Redshift JDBC Driver 1.2.55.1083",
         "da9edc00-a1e6-44e0-8274-9417e5f355de"),
        (6, 23, "a", "c", ""),
    ],
)  # fmt: skip
def test_columns_count_from_the_left(
    number: int, columns: int, application: str, driver: str, session: str
) -> None:
    """A `|` in the application name moves what follows, and no column before it."""
    line = LINES[number]
    record = connection(line)
    assert line.count(b"|") + 1 == columns
    assert (record.application, record.driver, record.session) == (application, driver, session)
    assert record.ssl_version == (
        "TLSv1.2" if columns == 21 else "TLSv1.3" if columns == 23 else ""
    )


def test_connection_line_is_read_whole() -> None:
    assert connection(LINES[4]) == ConnectionRecord(
        event="authentication failure",
        at=datetime(2022, 3, 16, 8, 18, 14, 766000, tzinfo=UTC),
        host="::ffff:192.0.2.13",
        port="1224",
        pid=1073742045,
        database="dev",
        user="maria",
        auth_method="password",
        duration_us=0,
        ssl_version="TLSv1.2",
        ssl_cipher="ECDHE-RSA-AES256-GCM-SHA384",
        iam_guid="",
        application="",
        os_version="Windows 10 10.0 amd64",
        driver="Amazon Redshift JDBC Driver 1.2.55.1083",
        plugin="none",
        session="da9edc00-a1e6-44e0-8274-9417e5f355de",
        file="f",
        offset=0,
    )


def test_fields_and_line_give_the_same_record() -> None:
    line = connection_line(application="a|b").encode()
    assert connection_record(line.split(b"|", 7), "f", 0) == connection(line)


def test_what_is_missing_is_empty() -> None:
    record = connection("authenticated |Mon, 2 Mar 2026 10:00:00:001|192.0.2.1 ")
    assert (record.event, record.host, record.user, record.pid) == (
        "authenticated", "192.0.2.1", "", None,
    )  # fmt: skip


def test_bytes_that_are_not_utf_8_are_shown() -> None:
    assert connection(LINES[7]).user == "jos\\xe9"
    assert connection(LINES[7]).application == "one\rtwo\x0bthree\x85four\u2028five"


def test_user_line_is_read_whole() -> None:
    lines = USER_LOG.read_bytes().split(b"\n")
    assert user_record(lines[2], "f", 9) == UserRecord(
        user_id=101,
        user="new name",
        old_user="old name",
        action="rename",
        create_db=False,
        superuser=False,
        catalog_update=False,
        valid_until="9223372036854775807",
        pid=14890,
        xid=1082,
        at=datetime(2020, 12, 3, 10, 19, 0, 1000, tzinfo=UTC),
        file="f",
        offset=9,
    )
    flags = user_record(lines[1], "f", 0)
    assert (flags.create_db, flags.superuser, flags.catalog_update) == (True, True, False)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (b"Mon, 7 Dec 2020 20:01:55:177", datetime(2020, 12, 7, 20, 1, 55, 177000, tzinfo=UTC)),
        (b"Sun, 01 Jan 2023 01:05:07:124", datetime(2023, 1, 1, 1, 5, 7, 124000, tzinfo=UTC)),
        (b"Mon, 16 Mar 2022 08:18:14:766", datetime(2022, 3, 16, 8, 18, 14, 766000, tzinfo=UTC)),
        (b"Thu,  3 Dec 2020 10:18:38:416 ", datetime(2020, 12, 3, 10, 18, 38, 416000, tzinfo=UTC)),
        (b"Thu, 29 Feb 2024 00:00:00:000", datetime(2024, 2, 29, tzinfo=UTC)),
        (b"Thu, 3 Dec 2020 10:18:38", datetime(2020, 12, 3, 10, 18, 38, tzinfo=UTC)),
        (b"Thu, 3 Dec 2020 10:18:38.5", datetime(2020, 12, 3, 10, 18, 38, 500000, tzinfo=UTC)),
        (b"Wed, 29 Feb 2023 00:00:00:000", None),
        (b"Thu, 3 Foo 2020 10:18:38:416", None),
        (b"Thu, 3 Dec 2020 24:18:38:416", None),
        (b"Thu, 3 Dec 2020 10:18:60:416", None),
        (b"2020-12-03T10:18:38", None),
        (b"", None),
    ],
)
def test_time_is_read_or_none(text: bytes, at: datetime | None) -> None:
    wanted = None if at is None else round(at.timestamp() * 1000)
    assert milliseconds(text) == wanted
    assert milliseconds(text) == wanted


@pytest.mark.parametrize("tail", [b"+5:177", b" 5:177", b"61:177", b"55:1_7", b"5\xb2:177"])
def test_known_minute_vouches_for_no_second(tail: bytes) -> None:
    assert milliseconds(b"Mon, 7 Dec 2020 20:01:55:177") is not None
    assert milliseconds(b"Mon, 7 Dec 2020 20:01:" + tail) is None


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001  UTC is added
def test_any_time_is_read_to_the_millisecond(at: datetime) -> None:
    ms = at.microsecond // 1000
    text = f"Mon, {at.day} {at:%b %Y %H:%M:%S}:{ms:03}".encode()
    wanted = round(at.replace(microsecond=0, tzinfo=UTC).timestamp()) * 1000 + ms
    assert milliseconds(text) == wanted
    assert milliseconds(text) == wanted


@pytest.mark.parametrize(
    ("text", "at", "user", "statement"),
    [
        (head() + "select 1\n", datetime(2026, 3, 2, 10, 0, 1, tzinfo=UTC), "ana", "select 1"),
        (" " + head() + "a\n\nb\n", datetime(2026, 3, 2, 10, 0, 1, tzinfo=UTC), "ana", "a\n\nb"),
        (head("john smith") + "x", datetime(2026, 3, 2, 10, 0, 1, tzinfo=UTC), "john smith", "x"),
        (head("a\nb") + "x", datetime(2026, 3, 2, 10, 0, 1, tzinfo=UTC), "a\nb", "x"),
        (head().replace("T10", " 10").replace("Z UTC", " UTC") + "x",
         datetime(2026, 3, 2, 10, 0, 1, tzinfo=UTC), "ana", "x"),
        (head().replace("10:00", "25:00") + "x", None, "ana", "x"),
        (head() + "a\rb\x0bc\x85d\u2028e\r\n", datetime(2026, 3, 2, 10, 0, 1, tzinfo=UTC), "ana",
         "a\rb\x0bc\x85d\u2028e"),
    ],
)  # fmt: skip
def test_activity_record_is_read(text: str, at: datetime | None, user: str, statement: str) -> None:
    record = activity_record(text.encode(), "f", 3, verified=True)
    assert (record.at, record.user, record.statement) == (at, user, statement)
    assert (record.database, record.pid, record.user_id, record.xid) == ("dev", 700, 104, 5000)
    assert record.verified


def test_head_ends_at_the_first_place_it_can() -> None:
    """What follows was written by whoever sent the statement."""
    text = head("bob") + "select ' userid=1 xid=1 ]' LOG: x"
    assert activity_record(text.encode(), "f", 0, verified=True).user == "bob"


@pytest.mark.parametrize("user", ["bob user=awsuser", "bob pid=1 userid=1"])
def test_head_that_can_be_read_in_two_ways_is_not_verified(user: str) -> None:
    assert not activity_record((head(user) + "x").encode(), "f", 0, verified=True).verified


def test_text_without_a_head_is_kept() -> None:
    record = activity_record(b"drop user \xff bob\n", "f", 0, verified=True)
    assert (record.statement, record.user, record.verified) == ("drop user \\xff bob", "", False)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (connection_line(), None),
        (connection_line().rsplit("|", 6)[0], None),
        (connection_line().rsplit("|", 7)[0], "too-few-fields"),
        ("", "too-few-fields"),
        (connection_line(event="logged out"), "unknown-event"),
        (connection_line(time="yesterday"), "bad-time"),
        (connection_line(time="Mon, 31 Feb 2026 10:00:00:001"), "bad-time"),
    ],
)
def test_complaint_about_a_connection_line(line: str, wanted: str | None) -> None:
    assert complaint("connection", line.encode()) == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("1|a | |alter |1|1|1|0|1|1|Thu, 3 Dec 2020 10:18:38:416", None),
        ("1|a | |Alter |1|1|1|0|1|1|Thu, 3 Dec 2020 10:18:38:416|more", None),
        ("1|a | |alter |1|1|1|0|1|1", "too-few-fields"),
        ("1|a | |vanish |1|1|1|0|1|1|Thu, 3 Dec 2020 10:18:38:416", "unknown-event"),
        ("1|a | |alter |1|1|1|0|1|1|", "bad-time"),
    ],
)
def test_complaint_about_a_user_line(line: str, wanted: str | None) -> None:
    assert complaint("user", line.encode()) == wanted


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    connection(data)
    user_record(data, "f", 0)
    record = activity_record(data, "f", 0, verified=True)
    assert msgspec.json.encode(record)
