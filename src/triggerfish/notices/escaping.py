"""Text that attackers wrote, as text: in a header, in HTML, in a plain mail, in a chat. Pure.

All of it goes through `shown`: secrets masked, everything invisible visible, links dead. What
follows is right for one place only, and is applied last.
"""

from __future__ import annotations

import re
from html import escape
from urllib.parse import urlsplit

from triggerfish.notices.masking import masked

MOST_MARKS = 3
"""Combining marks on one letter; more would grow over the lines around it."""

_INVISIBLE = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
"""Default_Ignorable_Code_Point of Unicode, and what looks like a space and isn't one.

Python calls most of these unprintable, and letters without a shape printable.
https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt
"""
_HIDDEN = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _INVISIBLE) + "]")
_MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0e31-\u0e4e"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{" + str(MOST_MARKS) + "})"
    "([\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0e31-\u0e4e"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+)"
)
_HTTP = re.compile(r"http(?=s?:)", re.IGNORECASE)
_SCHEME = re.compile(r"(?<!hxxp)(?<!hxxps)(?<!\bs3)://", re.IGNORECASE)
_WWW = re.compile(r"(www)\.", re.IGNORECASE)
_DIRECT = re.compile(r"(mailto|tel|sms|javascript|data|vbscript):", re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=(?=\?)")
_SAFE_LINK = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~:/?#@!$&()*+,;=%-]*)?")


def visible(text: str) -> str:
    r"""`text` on one line in which nothing is hidden: `\n`, `\x1b`, `\u202e`."""
    text = _HIDDEN.sub(_escape, text)
    if not text.isprintable():
        text = "".join(each if each.isprintable() else _written(each) for each in text)
    return _MARKS.sub(lambda found: found[1] + "".join(map(_written, found[2])), text)


def defanged(text: str) -> str:
    """`text` in which no mail client or chat finds a link: `hxxp://`, `ftp[:]//`, `www[.]`."""
    text = _SCHEME.sub("[:]//", _HTTP.sub("hxxp", text))
    return _WWW.sub(r"\1[.]", _DIRECT.sub(r"\1[:]", text))


def shown(text: str) -> str:
    """What a person may see of a value: one line, no secret, nothing hidden, no link."""
    return defanged(visible(masked(text)))


def lines_shown(text: str) -> tuple[str, ...]:
    """The lines of a text, each `shown`; secrets are masked before, over line breaks."""
    lines = masked(text).replace("\r\n", "\n").split("\n")
    return tuple(defanged(visible(line)) for line in lines)


def clipped(text: str, most: int) -> str:
    """At most `most` characters of `text`; the last one says that there is more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def in_header(text: str, most: int) -> str:
    """A header's value: short, one line, and no encoded word that a reader would decode."""
    return clipped(_ENCODED_WORD.sub("= ", " ".join(shown(text).split())), most)


def in_html(text: str) -> str:
    return escape(text, quote=True)


_CHAT = {
    ord("<"): "\u2039",
    ord(">"): "\u203a",
    ord("@"): "\uff20",
    ord("`"): "\u02cb",
    ord("["): "\uff3b",
    ord("]"): "\uff3d",
}
"""Signs that chats act on, as signs that look alike: `<!channel>`, `@here`, `[text](address)`."""


def in_chat(text: str) -> str:
    return text.translate(_CHAT)


def safe_link(link: str | None) -> str | None:
    """The link if it's an https address with nothing odd in it; a mail then links to it."""
    if link is None or len(link) > 1000 or not _SAFE_LINK.fullmatch(link):
        return None
    return link if "@" not in urlsplit(link).netloc else None


def _escape(found: re.Match[str]) -> str:
    return _written(found[0])


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode()
