"""Secrets in SQL, blotted out before a statement goes anywhere. A mail would be one more leak.

Rather too much is masked than too little: after a word that announces a secret the whole text
goes, and in CREATE and ALTER USER every text but the date of VALID UNTIL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triggerfish.audit.sql import pieces
from triggerfish.audit.sql_words import fold

if TYPE_CHECKING:
    from triggerfish.audit.sql import Piece

MASK = "***"
SHOWN = 4096
"""How much of a statement a finding carries."""
_TAIL = 160
_BLANK = re.compile(r"\s+")

_KEY_WORDS = (
    "aws_access_key_id|aws_secret_access_key|access_key_id|secret_access_key|aws_session_token"
    "|session_token|security_token|master_symmetric_key|client_secret"
)
_OTHER_WORDS = "secret|token"
_PASSWORD_WORDS = "password|passwd|pwd|identified by"  # noqa: S105  words, no secret
_HINT = re.compile(
    rf"{_KEY_WORDS}|{_PASSWORD_WORDS}|{_OTHER_WORDS}|credentials|identified|user|AKIA|ASIA",
    re.IGNORECASE,
)
"""Without one of these there is no secret, which is so in most statements."""
_ANNOUNCED = re.compile(
    rf"(?:^|[^a-z0-9])(?:(?P<key>{_KEY_WORDS})|(?P<credentials>credentials)"
    rf"|(?P<other>{_OTHER_WORDS})|(?P<password>{_PASSWORD_WORDS}))[\s=:(]*(?:as\b\s*)?[\s=:(]*(?:e\s*)?$"
)
_ACCOUNT_DDL = re.compile(r"(?:^|[^a-z0-9_])(?:create|alter) user(?:[^a-z0-9_]|$)")
_UNTIL = re.compile(r"until\s*$")
_EMBEDDED = re.compile(
    rf"(?P<word>{_KEY_WORDS}|{_PASSWORD_WORDS}|{_OTHER_WORDS})(?P<to>['\"]?\s*[=:]\s*['\"]?)(?P<secret>[^\s'\";,&)]++)",
    re.IGNORECASE,
)
_NESTED = re.compile(
    rf"(?P<word>{_KEY_WORDS}|{_PASSWORD_WORDS}|{_OTHER_WORDS}|credentials)"
    r"(?P<to>[\s=:(]*(?:as\s+)?(?:''|\\'|\"|\$))(?P<secret>.+)",
    re.IGNORECASE | re.DOTALL,
)
_ACCESS_KEY = re.compile(r"(?P<word>\b(?:AKIA|ASIA))(?P<to>)[A-Z0-9]{12,}+")
_ROLE_ONLY = re.compile(r"\s*(?:aws_iam_role=[^;]*;?\s*)*", re.IGNORECASE)
_HIDDEN = re.compile(r"(?:md5|sha256\|)?\**|md5[0-9a-f]{32}|disable", re.IGNORECASE)
"""What Redshift itself writes in place of a password."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A statement fit to be shown, and which kinds of secret were in it."""

    text: str
    kinds: frozenset[str]


def mask(statement: str) -> str:
    """`statement` without its secrets, in every way of reading it, cut to `SHOWN` characters."""
    return masked(statement[:SHOWN]).text + ("…" if len(statement) > SHOWN else "")


def masked(text: str) -> Masked:
    """`text` without its secrets, in every way of reading it."""
    if _HINT.search(text) is None:
        return Masked(text, frozenset())
    kinds: set[str] = set()
    spans: set[tuple[int, int]] = set()
    for backslash in (True, False) if "\\'" in text else (True,):
        for nests in (True, False) if text.count("/*") > 1 else (True,):
            found = list(pieces(text, backslash=backslash, nests=nests))
            spans |= _secret_spans(text, found, kinds)
    shown = _without(text, spans)

    def blotted(found: re.Match[str]) -> str:
        kinds.add(_kind_of(found["word"]))
        return found["word"] + (found["to"] or "") + MASK

    shown = _ACCESS_KEY.sub(blotted, _EMBEDDED.sub(blotted, shown))
    return Masked(shown, frozenset(kinds))


def _kind_of(word: str) -> str:
    word = fold(word)
    if word in _PASSWORD_WORDS:
        return "password"
    return word if word == "credentials" else "other" if word in _OTHER_WORDS else "key"


def _secret_spans(text: str, found: list[Piece], kinds: set[str]) -> set[tuple[int, int]]:
    spans = set()
    tail, at, of_account = "", 0, False
    for piece in found:
        code = text[at : piece.begin]
        at = piece.end
        tail = _BLANK.sub(" ", tail + fold(code))[-_TAIL:]
        of_account = (of_account and ";" not in code) or bool(_ACCOUNT_DDL.search(tail))
        if piece.kind in {"string", "dollar"}:
            begin, end = piece.begin + piece.tag, max(piece.end - piece.tag, piece.begin + 1)
            if not text.endswith(text[piece.begin : piece.begin + piece.tag], 0, piece.end):
                end = piece.end
            spans |= _spans_of_text(text, (begin, end), tail, kinds, of_account=of_account)
            tail += "'"
        elif piece.kind == "comment":
            tail += " "
        else:
            tail += '"'
    return spans


def _spans_of_text(
    text: str, span: tuple[int, int], tail: str, kinds: set[str], *, of_account: bool
) -> set[tuple[int, int]]:
    begin, end = span
    inside = text[begin:end]
    announced = _ANNOUNCED.search(tail)
    kind = announced.lastgroup if announced else None
    if kind == "credentials" and _ROLE_ONLY.fullmatch(inside):
        return set()
    if kind or (of_account and not _UNTIL.search(tail)):
        if not _HIDDEN.fullmatch(inside):
            kinds.add(kind or "password")
        return {span}
    nested = _NESTED.search(inside)
    if nested is None:
        return set()
    kinds.add(_kind_of(nested["word"]))
    return {(begin + nested.start("secret"), end)}


def _without(text: str, spans: set[tuple[int, int]]) -> str:
    parts: list[str] = []
    at = 0
    for begin, end in sorted(spans):
        if end <= at:
            continue
        parts += [text[at : max(at, begin)], MASK]
        at = end
    return "".join([*parts, text[at:]])
