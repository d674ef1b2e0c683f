"""Texts as an attacker would choose them, and notices full of them."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from triggerfish.notice import SEVERITIES, Notice

PIECES = (
    "\r\n",
    "\n",
    "\r",
    "\r\nBcc: eve@evil.example",
    "\r\n\r\n<html>",
    "\x00",
    "\x1b[31m",
    "\x85",
    "\u2028",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\ud800",
    "\udfff",
    "\uffff",
    "\U000e0041",
    "\U0010ffff",
    "\u0301" * 30,
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><a href="https://evil.example">',
    "' onmouseover='alert(1)",
    "</pre></td></table>",
    "&lt;b&gt;&#60;",
    "<!channel>",
    "<!here|x>",
    "@everyone",
    "[x](https://evil.example)",
    "http://evil.example/a?b=c",
    "hTTps://evil.example",
    "www.evil.example",
    "javascript:alert(1)",
    "=?utf-8?q?=0d=0aBcc:_eve=40evil.example?=",
    "=?utf-8?b?DQpCY2M6IHg=?=",
    "--===============",
    "From me",
    ".",
    "{{7*7}}",
    "%s%n{0}{key}",
    "PASSWORD 'hunter2secret'",
    "password=hunter2secret",
    "CREDENTIALS 'aws_secret_access_key=hunter2secret'",
    "\\u202e",
    "Zürich 東京",
    "A" * 3000,
    " " * 200,
)
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet=st.characters(codec=None)),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=8).map("".join),
)
TIMES = st.one_of(
    st.none(),
    st.datetimes(timezones=st.just(UTC)),
    st.just(datetime(1, 1, 1, tzinfo=UTC)),
    st.just(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
)


def notices(key: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy[Notice]:
    """Notices every field of which an attacker wrote."""
    return st.builds(
        Notice,
        key=key,
        severity=st.sampled_from(SEVERITIES),
        title=TEXTS,
        facts=st.lists(st.tuples(TEXTS, TEXTS), max_size=4).map(tuple),
        evidence=st.lists(TEXTS, max_size=3).map(tuple),
        link=st.one_of(st.none(), TEXTS),
        trigger=TEXTS,
        at=TIMES,
        incident_start=TIMES,
        id=TEXTS,
    )
