"""Many notices of one matter as one thing to tell: how often, when, what is new. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from triggerfish.notice import SEVERITIES, Notice, Severity, rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_LABELS = 12
MOST_TOP = 5
MOST_NEW = 10
MOST_KNOWN = 300
"""Values of one label that are remembered, the latest: what was forgotten is new again."""
MOST_SAMPLES = 3
MOST_ATTACHED = 50


class Kept(Struct, frozen=True, kw_only=True):
    """A notice in the state table that nobody was told of yet."""

    sk: str
    at_ms: int
    """When it happened, or was sent."""
    notice: Notice
    parcel: str = ""
    """The message it is in, if it is in one."""


class Memory(Struct, frozen=True, kw_only=True):
    """What is remembered of a matter between its messages."""

    mails: int = 0
    """Messages in the present thread."""
    told_ms: int = 0
    """When the last message went out."""
    total: int = 0
    """Notices told in the present thread."""
    thread: str = ""
    subject: str = ""
    mail_ids: tuple[str, ...] = ()
    """The Message-IDs that SES gave to the first and to the last mail of the thread."""
    incident: str = ""
    known: dict[str, list[str]] = {}
    """Fingerprints of the values that were told, by label."""
    parcel: str = ""
    """The parcel by which the last message went out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """The most frequent values of a label."""

    label: str
    values: tuple[tuple[str, int], ...]
    more: int
    """How many other values there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One matter, as a message tells it."""

    key: str
    trigger: str
    severity: Severity
    title: str
    count: int
    first: datetime
    last: datetime
    total: int
    """Notices of the thread, these included."""
    told: datetime | None
    """When the last message about it went out; None: this is the first."""
    top: tuple[Top, ...]
    new: tuple[tuple[str, tuple[str, ...], int], ...]
    """Label, values that the last messages didn't tell, and how many more of them there are."""
    samples: tuple[Notice, ...]
    """The latest notices, the last one first."""
    attached: tuple[Notice, ...]
    thread: str
    subject: str
    """The subject of the thread's first message; empty where this is it."""
    mail_ids: tuple[str, ...]
    mails: int
    link: str | None
    incident_start: datetime | None


def summarise(kept: Sequence[Kept], memory: Memory) -> Digest:
    """Tell `kept`, at least one, oldest first, as one."""
    ordered = sorted(kept, key=lambda one: one.at_ms)
    worst = max(ordered, key=lambda one: (rank(one.notice.severity), one.at_ms)).notice
    latest = [one.notice for one in reversed(ordered)]
    incident = incident_of(kept)
    thread = thread_of(worst.key, incident)
    goes_on = thread == memory.thread
    return Digest(
        key=worst.key,
        trigger=worst.source,
        severity=worst.severity,
        title=worst.title,
        count=len(kept),
        first=_time(ordered[0].at_ms),
        last=_time(ordered[-1].at_ms),
        total=len(kept) + (memory.total if goes_on else 0),
        told=_time(memory.told_ms) if memory.told_ms else None,
        top=tuple(_tops(latest)),
        new=tuple(_news(latest, memory)) if memory.told_ms else (),
        samples=tuple(latest[:MOST_SAMPLES]),
        attached=tuple(latest[:MOST_ATTACHED]),
        thread=thread,
        subject=memory.subject if goes_on else "",
        mail_ids=memory.mail_ids if goes_on else (),
        mails=memory.mails if goes_on else 0,
        link=next((notice.link for notice in latest if notice.link), None),
        incident_start=next((n.incident_start for n in latest if n.incident_start), None),
    )


def remembered(
    memory: Memory, digest: Digest, notices: Iterable[Notice], *, told_ms: int, parcel: str
) -> Memory:
    """The memory after the digest was told; whoever sent it adds subject and ids."""
    known = {label: list(values) for label, values in memory.known.items()}
    for notice in notices:
        for label, value in notice.facts:
            if label in known or len(known) < MOST_LABELS:
                prints = known.setdefault(label, [])
                print_ = fingerprint(value)
                if print_ not in prints:
                    prints.append(print_)
    return Memory(
        mails=digest.mails + 1,
        told_ms=told_ms,
        total=digest.total,
        thread=digest.thread,
        subject=digest.subject,
        mail_ids=digest.mail_ids,
        incident=_incident(digest.incident_start),
        known={label: values[-MOST_KNOWN:] for label, values in known.items()},
        parcel=parcel,
    )


def due_ms(kept: Sequence[Kept], memory: Memory, window_ms: int) -> int:
    """When `kept` is to be told: 0 for at once, else the end of the window since the last message.

    At once goes what is critical, the first of a matter, and the first of a new incident.
    """
    if any(one.notice.severity == "critical" for one in kept) or not memory.told_ms:
        return 0
    incident = _incident(incident_of(kept))
    if incident and incident != memory.incident:
        return 0
    return memory.told_ms + window_ms


def incident_of(kept: Sequence[Kept]) -> datetime | None:
    """When the latest incident among `kept` began."""
    return max((o.notice.incident_start for o in kept if o.notice.incident_start), default=None)


def thread_of(key: str, incident: datetime | None) -> str:
    """What names the thread of a matter's messages."""
    return hashlib.sha256(f"{key}\0{_incident(incident)}".encode()).hexdigest()[:32]


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def worst_of(severities: Iterable[Severity]) -> Severity:
    return max(severities, key=rank, default=SEVERITIES[0])


def _tops(notices: Sequence[Notice]) -> Iterable[Top]:
    """The labels whose values differ, or are many; none for a single notice."""
    if len(notices) < 2:
        return
    counts: dict[str, Counter[str]] = {}
    for notice in notices:
        for label, value in notice.facts:
            if label in counts or len(counts) < MOST_LABELS:
                counts.setdefault(label, Counter())[value] += 1
    for label, counted in counts.items():
        top = tuple(counted.most_common(MOST_TOP))
        yield Top(label=label, values=top, more=len(counted) - len(top))


def _news(notices: Sequence[Notice], memory: Memory) -> Iterable[tuple[str, tuple[str, ...], int]]:
    found: dict[str, dict[str, None]] = {}
    for notice in notices:
        for label, value in notice.facts:
            if label in memory.known and fingerprint(value) not in memory.known[label]:
                found.setdefault(label, {})[value] = None
    for label, values in found.items():
        first = tuple(values)[:MOST_NEW]
        yield label, first, len(values) - len(first)


def _incident(start: datetime | None) -> str:
    return start.isoformat() if start else ""


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
