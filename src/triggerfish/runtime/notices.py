"""Handing a `Notice` over: one queue, on which every message to a person travels.

Titles and values may hold anything that an attacker could write into a log. Nothing of it makes
handing over fail: what is too long is cut and says so, what is no text is written as escapes.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

from triggerfish.blueprint import Call
from triggerfish.errors import InputError
from triggerfish.notice import SEVERITIES, Notice, Severity
from triggerfish.runtime.aws import calling
from triggerfish.runtime.wire import decoded, time_from_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from types_boto3_sqs import SQSClient

T = TypeVar("T")

QUEUE_VARIABLE = "TRIGGERFISH_NOTICES_QUEUE_URL"
"""The variable of a function that hands notices over; not set where nobody is to be told."""

CALLS = (Call("sqs:SendMessage", "${NoticesQueue.Arn}"),)

MAX_SHORT = 1_000
"""Characters of a key, a title, a link, an id."""
MAX_LABEL = 100
MAX_VALUE = 8_000
"""Characters of a fact's value and of a piece of evidence."""
MAX_FACTS = 40
MAX_EVIDENCE = 20
MAX_TEXT = 30_000
"""Characters of all values and evidence together: a notice is one item of the state table."""


class NoticeQueue:
    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, notice: Notice) -> None:
        """Hand the notice over; once this returns it is kept. Raises Unavailable, Refused."""
        with calling("sqs:SendMessage", f"notice {to_ascii(notice.key)}"):
            self._sqs.send_message(QueueUrl=self._url, MessageBody=to_message(notice))


def to_message(notice: Notice) -> str:
    """The notice as a queue message: ASCII, and short enough, whatever is in it."""
    return json.dumps(to_data(notice))


def to_data(notice: Notice) -> dict[str, object]:
    """What `from_data` reads back: plain data, of at most 300 KB in UTF-8."""
    fitted = fit(notice)
    return {
        "notice": {
            "key": fitted.key,
            "severity": fitted.severity,
            "title": fitted.title,
            "facts": [list(fact) for fact in fitted.facts],
            "evidence": list(fitted.evidence),
            "link": fitted.link,
            "trigger": fitted.trigger,
            "at": _iso(fitted.at),
            "incident_start": _iso(fitted.incident_start),
            "id": fitted.id,
        }
    }


def from_message(body: str) -> Notice:
    """Read `to_message` back. Raises InputError, with a reason that repeats no value."""
    return from_data(decoded(body, "the notice"))


def from_data(content: object) -> Notice:
    """Read `to_data` back. Raises InputError as `from_message` does."""
    found = content.get("notice") if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise InputError("the message holds no notice")
    severity = found.get("severity")
    if severity not in SEVERITIES:
        raise InputError(f"the notice's severity is none of {', '.join(SEVERITIES)}")
    link = found.get("link")
    return fit(
        Notice(
            key=_text(found, "key"),
            severity=cast("Severity", severity),
            title=_text(found, "title"),
            facts=tuple(_pair(fact) for fact in _items(found, "facts")),
            evidence=tuple(map(str, _items(found, "evidence"))),
            link=link if isinstance(link, str) else None,
            trigger=str(found.get("trigger") or ""),
            at=_time(found.get("at")),
            incident_start=_time(found.get("incident_start")),
            id=str(found.get("id") or ""),
        )
    )


def fit(notice: Notice) -> Notice:
    """The notice with every text well-formed and cut to what the state table holds.

    What fits is left as it is, so doing it again changes nothing.
    """
    room = MAX_TEXT
    facts: list[tuple[str, str]] = []
    for label, value in _some(notice.facts, MAX_FACTS, lambda left: ("More", f"{left} left out")):
        facts.append((_cut(label, MAX_LABEL), _cut(value, min(MAX_VALUE, room))))
        room -= len(facts[-1][1])
    evidence: list[str] = []
    for text in _some(notice.evidence, MAX_EVIDENCE, lambda left: f"({left} more, left out)"):
        evidence.append(_cut(text, min(MAX_VALUE, room)))
        room -= len(evidence[-1])
    key = _named(notice.key) or "notice"
    return Notice(
        key=key,
        severity=notice.severity,
        title=_cut(notice.title, MAX_SHORT) or key,
        facts=tuple(facts),
        evidence=tuple(evidence),
        link=None if notice.link is None else _cut(notice.link, MAX_SHORT),
        trigger=_cut(notice.trigger, MAX_SHORT),
        at=_utc(notice.at),
        incident_start=_utc(notice.incident_start),
        id=_named(notice.id),
    )


def to_ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _some(items: Sequence[T], most: int, said: Callable[[int], T]) -> list[T]:
    """At most `most`: where there are more, the last says how many were left out."""
    kept = items if len(items) <= most else items[: most - 1]
    left = len(items) - len(kept)
    return [*kept, said(left)] if left else list(kept)


def _whole(text: str) -> str:
    """Half a surrogate pair is no text to DynamoDB, to a mail or to JSON: it's shown as one."""
    return text.encode("utf-8", "backslashreplace").decode()


def _cut(text: str, most: int) -> str:
    whole = _whole(text)
    if len(whole) <= most:
        return whole
    said = f"... ({len(whole):,} characters)"
    return f"{whole[: most - len(said)]}{said}" if most > len(said) else whole[:most]


def _named(text: str) -> str:
    """A name that is too long keeps telling itself from others that begin the same."""
    whole = _whole(text)
    if len(whole) <= MAX_SHORT:
        return whole
    return f"{whole[: MAX_SHORT - 33]}#{hashlib.sha256(whole.encode()).hexdigest()[:32]}"


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    time = time.replace(microsecond=time.microsecond // 1000 * 1000)
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        return None  # the year 1 or 9999: no time a log has


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")


def _time(value: object) -> datetime | None:
    return time_from_text(value) if isinstance(value, str) else None


def _text(found: Mapping[str, object], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str):
        raise InputError(f"the notice has no {name}")
    return value


def _items(found: Mapping[str, object], name: str) -> list[object]:
    value = found.get(name) or []
    if not isinstance(value, list):
        raise InputError(f"the notice's {name} is not a list")
    return value


def _pair(fact: object) -> tuple[str, str]:
    match fact:
        case [label, value]:
            return str(label), str(value)
        case _:
            raise InputError("a fact of the notice is not a pair of label and value")
