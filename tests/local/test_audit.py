"""Logs put where Redshift would put them."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from triggerfish.errors import InputError
from triggerfish.local.audit import Landing, landing

NOW = datetime(2026, 11, 24, 10, 53, tzinfo=UTC)
LINE = b"authenticated |Tue, 24 Nov 2026 10:00:00:177|[local] | |1|dev |rdsdb |Ident |0| | |0|\n"


def land(name: str, data: bytes = LINE) -> Landing:
    return landing(name, data, cluster="shop", region="eu-central-1", now=NOW)


def test_a_log_with_a_name_of_redshifts_keeps_it() -> None:
    name = "210987654321_redshift_us-east-1_books_userlog_2026-01-02T03:04.gz"
    made = land(f"some/folder/{name}", gzip.compress(LINE))
    assert made.key == f"AWSLogs/210987654321/redshift/us-east-1/2026/01/02/{name}"
    assert (made.kind, made.cluster) == ("user", "books")


def test_another_log_is_named_as_of_now_and_its_kind_is_what_is_in_it() -> None:
    made = land("sample.txt")
    assert made.key == (
        "AWSLogs/123456789012/redshift/eu-central-1/2026/11/24/"
        "123456789012_redshift_eu-central-1_shop_connectionlog_2026-11-24T10:53.gz"
    )
    assert gzip.decompress(made.data) == LINE


def test_a_plain_log_is_packed_and_a_packed_one_stays_as_it_is() -> None:
    packed = gzip.compress(LINE)
    assert land("connectionlog", packed).data == packed
    name = "123456789012_redshift_eu-central-1_shop_connectionlog_2026-11-24T10:53"
    assert land(name).name == f"{name}.gz"


def test_the_same_log_is_the_same_object() -> None:
    assert land("sample.txt") == land("sample.txt")


def test_what_is_no_audit_log_is_refused() -> None:
    with pytest.raises(InputError, match=r"^notes\.txt is no audit log of Redshift"):
        land("notes.txt", b"buy milk\n")
