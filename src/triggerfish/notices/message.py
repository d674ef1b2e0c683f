"""A digest, or several, as people read them: subject, plain text, HTML, a chat's lines, JSON. Pure.

Every text that isn't ours passes `escaping.shown` here, once; each form then escapes for its place.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triggerfish.notice import rank
from triggerfish.notices.digest import MOST_ATTACHED, worst_of
from triggerfish.notices.escaping import (
    clipped,
    in_chat,
    in_header,
    lines_shown,
    safe_link,
    shown,
)
from triggerfish.notices.masking import masked
from triggerfish.notices.page import page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from triggerfish.notice import Notice, Severity
    from triggerfish.notices.digest import Digest, Top

SUBJECT = 120
VALUE = 1_000
IN_A_ROW = 120
"""Characters of a value that stands beside others."""
EVIDENCE_LINES = 40
EVIDENCE_LINE = 500
CHAT_FACTS = 10
CHAT_LINES = 6
CHAT = 1_800
"""Discord takes 2,000 characters, and the others more."""
MOST_IN_DETAIL = 25
"""Matters of one message that are told in full; of the others the title is."""
ATTACHMENT_BYTES = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One matter. Every text is `shown` already: one line each, and still to be escaped."""

    severity: Severity
    title: str
    about: str
    """Who says it, and when it happened."""
    counted: str
    """How often and since when; empty for a single notice."""
    facts: tuple[tuple[str, str], ...]
    evidence: tuple[tuple[str, ...], ...]
    new: tuple[tuple[str, str], ...]
    top: tuple[tuple[str, str], ...]
    link: str | None
    """An https address that may be followed."""
    dead_link: str | None
    """One that may not, as text."""
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    subject: str
    severity: Severity
    text: str
    html: str
    data: bytes
    """JSON, in ASCII."""
    chat_title: str
    chat: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the limit did to a message."""

    limit: int
    notices: int = 0
    """Notices in it that had to wait."""
    since: datetime | None = None
    waiting: int = 0
    """Notices that still wait."""


def compose(
    digests: Sequence[Digest], *, stack: str, held: Held, failed: dict[str, str]
) -> Message:
    """`digests`, at least one, as one message; `failed` are channels that gave up, and why."""
    digests = sorted(digests, key=lambda digest: -rank(digest.severity))
    sections = [_section(digest) for digest in digests]
    notes = [*_notes(held), *_failures(failed)]
    subject = _subject(digests)
    foot = f"Triggerfish, stack {stack}"
    return Message(
        subject=subject,
        severity=worst_of(digest.severity for digest in digests),
        text="\n".join([*_text(sections, notes), "", "-- ", foot]) + "\n",
        html=page(sections[:MOST_IN_DETAIL], sections[MOST_IN_DETAIL:], notes, foot),
        data=_data(digests, stack=stack),
        chat_title=_chat_title(subject),
        chat=clipped("\n".join(_chat(sections, notes)), CHAT),
    )


def bare(digests: Sequence[Digest], *, stack: str) -> Message:
    """A message that holds nothing that could be wrong: for when `compose` fails."""
    severity = worst_of(digest.severity for digest in digests)
    count = sum(digest.count for digest in digests)
    subject = f"[{severity}] {count} notices that could not be shown"
    text = f"{subject}.\nThe state table and the function's log hold them.\nStack: {stack}\n"
    keys = [ascii(digest.key)[1:-1] for digest in digests]
    return Message(
        subject=subject,
        severity=severity,
        text=text,
        html=page([], [], text.splitlines(), ""),
        data=json.dumps({"stack": stack, "keys": keys}).encode(),
        chat_title=subject,
        chat=text,
    )


def iso(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _subject(digests: Sequence[Digest]) -> str:
    first = digests[0]
    if len(digests) == 1:
        subject = in_header(f"[{first.severity}] {first.title}", SUBJECT)
        # The thread's first subject, where it was as severe: mail readers thread by it too.
        if first.subject.startswith(f"[{first.severity}] "):
            subject = first.subject
        return f"Re: {subject}" if first.mails else subject
    severity = worst_of(digest.severity for digest in digests)
    rest = len(digests) - 1
    title = in_header(first.title, SUBJECT // 2)
    return f"[{severity}] {title} and {rest} other {'matter' if rest == 1 else 'matters'}"


def _section(digest: Digest) -> Section:
    latest = digest.samples[0]
    link = safe_link(digest.link)
    when = iso(digest.last)
    if digest.incident_start is not None:
        when += f", incident since {iso(digest.incident_start)}"
    return Section(
        severity=digest.severity,
        title=clipped(shown(digest.title), VALUE),
        about=f"{clipped(shown(digest.trigger), IN_A_ROW)}, {when}",
        counted=_counted(digest),
        facts=tuple(_facts(latest)),
        evidence=tuple(_evidence(digest)),
        new=tuple(
            (clipped(shown(label), IN_A_ROW), _listed(values, more))
            for label, values, more in digest.new
        ),
        top=tuple((clipped(shown(top.label), IN_A_ROW), _frequent(top)) for top in digest.top),
        link=link,
        dead_link=None if link or not digest.link else clipped(shown(digest.link), VALUE),
        key=clipped(shown(digest.key), IN_A_ROW),
    )


def _counted(digest: Digest) -> str:
    if digest.count == 1 and digest.told is None:
        return ""
    times = "once" if digest.count == 1 else f"{digest.count:,} times"
    if digest.told is not None:
        times += f" since the last message of {iso(digest.told)}"
    if digest.count > 1:
        times += f"; first {iso(digest.first)}, last {iso(digest.last)}"
    return f"{times}; {digest.total:,} in all" if digest.total > digest.count else times


def _facts(notice: Notice) -> Iterator[tuple[str, str]]:
    for label, value in notice.facts:
        yield clipped(shown(label), IN_A_ROW), clipped(shown(value), VALUE)


def _evidence(digest: Digest) -> Iterator[tuple[str, ...]]:
    """The evidence of the latest notices, each piece once."""
    pieces = dict.fromkeys(text for notice in digest.samples for text in notice.evidence)
    room = EVIDENCE_LINES
    for piece in pieces:
        lines = lines_shown(piece)
        if room <= 0:
            return
        kept = tuple(clipped(line, EVIDENCE_LINE) for line in lines[:room])
        left = len(lines) - len(kept)
        yield (*kept, f"({left} more lines are attached)") if left else kept
        room -= len(kept)


def _listed(values: Sequence[str], more: int) -> str:
    text = ", ".join(clipped(shown(value), IN_A_ROW) for value in values)
    return f"{text}, and {more:,} more" if more else text


def _frequent(top: Top) -> str:
    values = [f"{clipped(shown(value), IN_A_ROW)} ({count:,})" for value, count in top.values]
    text = ", ".join(values)
    return f"{text}, and {top.more:,} other values" if top.more else text


def _notes(held: Held) -> Iterator[str]:
    if held.notices:
        since = f" since {iso(held.since)}" if held.since else ""
        yield (
            f"The limit of {held.limit} messages an hour held {_notices(held.notices)} back"
            f"{since}; told here."
        )
    if held.waiting:
        yield (
            f"The limit of {held.limit} messages an hour holds {_notices(held.waiting)} back;"
            " to be told when the hour has room."
        )


def _notices(count: int) -> str:
    return "1 notice" if count == 1 else f"{count:,} notices"


def _failures(failed: dict[str, str]) -> Iterator[str]:
    for name, reason in failed.items():
        yield f"The channel {name} did not take this message: {clipped(shown(reason), VALUE)}"


# ---- plain text


def _text(sections: Sequence[Section], notes: Sequence[str]) -> Iterator[str]:
    for position, section in enumerate(sections):
        if position:
            yield ""
        if position < MOST_IN_DETAIL:
            yield from _section_text(section)
        else:
            yield f"[{section.severity}] {section.title}  {section.counted}".rstrip()
    for note in notes:
        yield from ("", note)


def _section_text(section: Section) -> Iterator[str]:
    yield f"[{section.severity}] {section.title}"
    yield section.about
    if section.counted:
        yield f"Happened {section.counted}"
    yield from _table("The latest:" if section.counted else "", section.facts)
    for piece in section.evidence:
        yield ""
        yield from (f"  | {line}" for line in piece)
    yield from _table("New since the last message:", section.new)
    yield from _table("Most often:", section.top)
    if section.link or section.dead_link:
        yield from ("", f"More: {section.link or section.dead_link}")
    yield f"Key: {section.key}"


def _table(heading: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    if rows:
        yield ""
    if rows and heading:
        yield heading
    width = min(max((len(label) for label, _ in rows), default=0), 20)
    for label, value in rows:
        yield f"  {label + ':':<{width + 1}} {value}"


# ---- chats


def _chat_title(subject: str) -> str:
    """The brackets around the severity are ours."""
    head, bracket, rest = subject.partition("] ")
    return f"{head}{bracket}{in_chat(rest)}"


def _chat(sections: Sequence[Section], notes: Sequence[str]) -> Iterator[str]:
    for section in sections[:CHAT_FACTS]:
        if len(sections) > 1:
            yield f"[{section.severity}] {in_chat(section.title)}"
        yield in_chat(section.about)
        if section.counted:
            yield f"Happened {section.counted}"
        new = section.new if len(sections) == 1 else ()
        rows = [*section.facts[:CHAT_FACTS], *((f"New {label}", text) for label, text in new)]
        for label, value in rows:
            yield in_chat(f"{label}: {clipped(value, IN_A_ROW)}")
        for piece in section.evidence[:1]:
            for line in piece[:CHAT_LINES]:
                yield in_chat(f"| {clipped(line, IN_A_ROW)}")
        if section.link:
            yield section.link
    if len(sections) > CHAT_FACTS:
        yield f"and {len(sections) - CHAT_FACTS} other matters"
    yield from (in_chat(note) for note in notes)


# ---- data


def _data(digests: Sequence[Digest], *, stack: str) -> bytes:
    """Everything that is told, secrets masked; where that's too much, less of the notices."""
    for most in (MOST_ATTACHED, 5, 1, 0):
        matters = [_matter(digest, most) for digest in digests]
        data = json.dumps({"stack": stack, "matters": matters}, indent=1).encode()
        if len(data) <= ATTACHMENT_BYTES:
            break
    return data


def _matter(digest: Digest, most: int) -> dict[str, object]:
    attached = digest.attached[:most]
    return {
        "key": masked(digest.key),
        "trigger": masked(digest.trigger),
        "severity": digest.severity,
        "title": masked(digest.title),
        "count": digest.count,
        "total": digest.total,
        "first": digest.first.isoformat(),
        "last": digest.last.isoformat(),
        "incident_start": digest.incident_start.isoformat() if digest.incident_start else None,
        "top": [
            {
                "label": masked(top.label),
                "values": [[masked(value), count] for value, count in top.values],
                "more": top.more,
            }
            for top in digest.top
        ],
        "new": [
            {"label": masked(label), "values": [masked(value) for value in values], "more": more}
            for label, values, more in digest.new
        ],
        "notices": [_notice(notice) for notice in attached],
        "notices_left_out": digest.count - len(attached),
    }


def _notice(notice: Notice) -> dict[str, object]:
    return {
        "title": masked(notice.title),
        "severity": notice.severity,
        "at": notice.at.isoformat() if notice.at else None,
        "facts": [[masked(label), masked(value)] for label, value in notice.facts],
        "evidence": [masked(text) for text in notice.evidence],
        "link": None if notice.link is None else masked(notice.link),
    }
