"""A mail must not be a new leak."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notices.hostile import PIECES
from triggerfish.notices.masking import masked


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("CREATE USER bob PASSWORD 'S3cret!x'", "CREATE USER bob PASSWORD '***'"),
        ("alter user bob password'it''s secret' valid", "alter user bob password'***' valid"),
        ("PASSWORD/* x */'S3cret'", "PASSWORD/* x */'***'"),
        ("PASSWORD -- x\n 'S3cret'", "PASSWORD -- x\n '***'"),
        ("PASSWORD $$S3cret$$ x", "PASSWORD '***' x"),
        ("PASSWORD $a$S3'cret$a$ x", "PASSWORD '***' x"),
        (r"PASSWORD E'S3\'cret' x", "PASSWORD '***' x"),
        ("PASSWORD 'S3cret and cut o", "PASSWORD '***'"),
        ("PASSWORD DISABLE", "PASSWORD DISABLE"),
        (
            "COPY t FROM 's3://b/k' CREDENTIALS AS 'aws_access_key_id=A;aws_secret_access_key=B'",
            "COPY t FROM 's3://b/k' CREDENTIALS AS '***'",
        ),
        (
            "SECRET_ACCESS_KEY 'abc' SESSION_TOKEN 'def'",
            "SECRET_ACCESS_KEY '***' SESSION_TOKEN '***'",
        ),
        ("MASTER_SYMMETRIC_KEY 'abc'", "MASTER_SYMMETRIC_KEY '***'"),
        (
            "IAM_ROLE 'arn:aws:iam::123456789012:role/x'",
            "IAM_ROLE 'arn:aws:iam::123456789012:role/x'",
        ),
        ("aws_secret_access_key=abc/def+g", "aws_secret_access_key=***"),
        ('{"password": "abc", "user": "bob"}', '{"password": "***", "user": "bob"}'),
        ("api-key: abc&x=1", "api-key: ***&x=1"),
        ("postgres://bob:S3cret@db.example.com/x", "postgres://bob:***@db.example.com/x"),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer ***"),
        ("key AKIAABCDEFGHIJKLMNOP used", "key *** used"),
        ("ghp_abcdefghijklmnopqrstuvwx", "***"),
        ("xoxb-123456789-abc", "***"),
        ("https://hooks.slack.com/services/T0/B0/x y", "https://hooks.slack.com/services/*** y"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "***"),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
            "a *** RSA PRIVATE KEY-----",
        ),
        (
            "SELECT * FROM passwords WHERE user = 'bob'",
            "SELECT * FROM passwords WHERE user = 'bob'",
        ),
    ],
)
def test_a_secret_is_masked_and_what_is_around_it_is_not(text: str, wanted: str) -> None:
    assert masked(text) == wanted


HEADS = st.sampled_from(
    [
        "PASSWORD '",
        "password  $$",
        "CREDENTIALS AS '",
        "aws_secret_access_key=",
        "MASTER_SYMMETRIC_KEY\n'",
    ]
)


@given(st.sampled_from(PIECES), HEADS, st.booleans())
def test_a_secret_in_sql_is_never_told(before: str, head: str, cut: bool) -> None:  # noqa: FBT001
    tail = "" if cut else "$$" if "$$" in head else "'"
    assert "qT7zk9" not in masked(f"{before} ; ALTER USER x {head}qT7zk9{tail}")


@pytest.mark.parametrize(
    "text",
    [
        "PASSWORD/*",
        "PASSWORD ",
        "a://",
        "'",
        "PASSWORD '",
        "$a$",
        "password=",
        "eyJ",
        "://:",
        "-- \n",
    ],
)
def test_no_text_takes_long(text: str) -> None:
    """Half a million steps would be seconds: this is linear or nearly so."""
    began = time.process_time()
    masked(text * (30_000 // len(text)))
    assert time.process_time() - began < 0.5
