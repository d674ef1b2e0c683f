"""What attackers wrote is text and nothing else, wherever it is shown."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notices.hostile import TEXTS
from triggerfish.notices.escaping import (
    clipped,
    defanged,
    in_chat,
    in_header,
    in_html,
    lines_shown,
    safe_link,
    shown,
    visible,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("bob\r\nBcc: eve", "bob\\r\\nBcc: eve"),
        ("a\tb\x00c\x1b[31m", "a\\tb\\x00c\\x1b[31m"),
        ("invoice\u202efdp.exe", "invoice\\u202efdp.exe"),
        ("ad\u200bmin", "ad\\u200bmin"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
        ("\ufeffx\u00ad", "\\ufeffx\\xad"),
        ("a\u3164b\u2800c", "a\\u3164b\\u2800c"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("no break\xa0space", "no break\\xa0space"),
        ("half\ud800", "half\\ud800"),
        ("Zürich 東京 \U0001f600", "Zürich 東京 \U0001f600"),
        ("e\u0301", "e\u0301"),
        ("e" + "\u0301" * 5, "e\u0301\u0301\u0301\\u0301\\u0301"),
    ],
)
def test_what_is_hidden_is_shown(text: str, wanted: str) -> None:
    assert visible(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("http://evil.example/x", "hxxp://evil.example/x"),
        ("HTTPS://evil.example", "hxxpS://evil.example"),
        ("_http://evil.example", "_hxxp://evil.example"),
        ("ftp://evil.example", "ftp[:]//evil.example"),
        ("www.evil.example", "www[.]evil.example"),
        ("mailto:eve@evil.example", "mailto[:]eve@evil.example"),
        ("javascript:alert(1)", "javascript[:]alert(1)"),
        ("UNLOAD TO 's3://bucket/key'", "UNLOAD TO 's3://bucket/key'"),
        ("web-01.internal.example.com", "web-01.internal.example.com"),
    ],
)
def test_links_are_dead(text: str, wanted: str) -> None:
    assert defanged(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<!channel> hello", "\u2039!channel\u203a hello"),
        ("@here @everyone", "\uff20here \uff20everyone"),
        ("[text](address)", "\uff3btext\uff3d(address)"),
        ("`code`", "\u02cbcode\u02cb"),
    ],
)
def test_what_chats_act_on_is_dead(text: str, wanted: str) -> None:
    assert in_chat(text) == wanted


@pytest.mark.parametrize(
    "link",
    [
        "https://console.aws.amazon.com/redshiftv2/home?region=eu-central-1#cluster",
        "https://jenkins.example.com:8443/job/infra/7/",
    ],
)
def test_a_plain_https_address_is_followed(link: str) -> None:
    assert safe_link(link) == link


@pytest.mark.parametrize(
    "link",
    [
        None,
        "",
        "javascript:alert(1)",
        "http://example.com",
        "https://user@evil.example/",
        'https://example.com/"onmouseover="x',
        "https://example.com/\nBcc: x",
        "https://example.com/<b>",
        "https://ex\u0430mple.com/",
        "https://example.com/" + "a" * 1000,
    ],
)
def test_an_odd_address_is_text(link: str | None) -> None:
    assert safe_link(link) is None


def test_an_encoded_word_is_not_decoded_by_a_mail_reader() -> None:
    assert in_header("=?utf-8?q?a=0d=0aBcc:_x?=", 100) == "= ?utf-8?q?a=0d=0aBcc:_x?="


def test_a_long_text_says_that_there_is_more() -> None:
    assert clipped("abcdef", 4) == "abc…"
    assert clipped("abcd", 4) == "abcd"


def test_a_statement_keeps_its_lines_and_no_line_hides_anything() -> None:
    text = "SELECT 1;\r\nALTER USER bob\n  PASSWORD\n 'x\ny';\r\x07"
    assert lines_shown(text) == ("SELECT 1;", "ALTER USER bob", "  PASSWORD", " '***';\\r\\x07")


@given(TEXTS)
def test_nothing_hidden_is_left(text: str) -> None:
    told = shown(text)
    assert told.isprintable()
    assert all(unicodedata.category(each) not in {"Cc", "Cf", "Zl", "Zp"} for each in told)
    assert "\n" not in told
    assert not re.search(r"https?:", told, re.IGNORECASE)


@given(TEXTS)
def test_html_reads_back_as_the_text(text: str) -> None:
    written = in_html(shown(text))
    assert not set("<>\"'") & set(written)
    assert html.unescape(written) == shown(text)


@given(TEXTS, st.integers(10, 80))
def test_a_header_is_one_short_line(text: str, most: int) -> None:
    header = in_header(text, most)
    assert len(header) <= most
    assert header.isprintable()
    assert "=?" not in header


@given(TEXTS)
def test_every_line_of_evidence_is_one_line(text: str) -> None:
    assert all(line.isprintable() for line in lines_shown(text))
