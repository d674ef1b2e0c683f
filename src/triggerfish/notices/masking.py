"""Secrets inside text that is about to be told: a mail must not be a new leak. Pure.

Written for SQL of Redshift and for what stands in log lines and addresses. Every expression is
bounded, so that no text takes longer than its length asks for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MASK = "***"

_GAP = r"(?:\s|/\*.{0,200}?\*/|--[^\n]{0,200}\n){0,20}"
"""What SQL lets stand between two words."""
_QUOTED = r"(?:'(?:[^'\\]|''|\\.)*(?:'|$)|\$(?P<tag>\w{0,20})\$.*?(?:\$(?P=tag)\$|$))"
"""A text in quotes; one that was cut off ends with what is there."""

_SQL_WORDS = (
    r"(?:PASSWORD|CREDENTIALS|SECRET_ACCESS_KEY|SESSION_TOKEN|ACCESS_KEY_ID|MASTER_SYMMETRIC_KEY"
    r"|IDENTIFIED\s{1,20}BY)"
)
_NAMES = (
    r"(?:aws_secret_access_key|aws_access_key_id|aws_session_token|secret_access_key|session_token"
    r"|master_symmetric_key|client_secret|api[_-]?key|access[_-]?token|auth[_-]?token|secret"
    r"|passwd|password|pwd|token)"
)

_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # PASSWORD 'x', CREDENTIALS AS 'x', with comments and line breaks between
    (
        re.compile(
            rf"(?P<word>{_SQL_WORDS}{_GAP}(?:\bAS\b{_GAP}|={_GAP})?)E?{_QUOTED}",
            re.IGNORECASE | re.DOTALL,
        ),
        lambda found: f"{found['word']}'{MASK}'",
    ),
    # name=x, name: x, "name": "x"
    (
        re.compile(
            rf"(?P<word>{_NAMES}[\"']?\s{{0,20}}[:=]\s{{0,20}}[\"']?)[^\s;,&'\"<>)]+",
            re.IGNORECASE,
        ),
        rf"\g<word>{MASK}",
    ),
    # scheme://user:password@host
    (
        re.compile(
            r"(?P<word>\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,200}:)[^\s/@]{1,500}@", re.IGNORECASE
        ),
        rf"\g<word>{MASK}@",
    ),
    # Authorization: Bearer x
    (
        re.compile(r"(?P<word>\b(?:Bearer|Basic)\s{1,20})[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
        rf"\g<word>{MASK}",
    ),
    # keys that are known by their form: AWS, GitHub, Slack, a JSON web token
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}"), MASK),
    (re.compile(r"\bxox[abeprs]-[A-Za-z0-9-]{8,}"), MASK),
    (
        re.compile(r"\bhooks\.slack\.com/services/\S+", re.IGNORECASE),
        f"hooks.slack.com/services/{MASK}",
    ),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END|$)", re.DOTALL), MASK),
)


def masked(text: str) -> str:
    """`text` with what looks like a secret as `***`."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
