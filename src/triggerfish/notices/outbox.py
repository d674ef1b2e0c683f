"""What goes out now, in which message, to which channels, and what follows a failure. Pure.

A `Parcel` is one message on its way: it is written down before it is sent, so that a run that dies
is continued where it was, channel by channel. The limit counts parcels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from triggerfish.notice import Severity, rank
from triggerfish.notices.config import MAIL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from triggerfish.notices.config import Notices

HOUR_MS = 3_600_000
MOST_MATTERS = 200
"""Matters in one message; more of them make the next one."""

TRIES_REFUSED = 3
TRIES_UNAVAILABLE = 4
TRIES_WITHOUT_ANOTHER = 12
"""Where no other channel is left, an outage is borne for about an hour."""
FIRST_PAUSE_MS = 5_000
MOST_PAUSE_MS = 600_000

OURSELVES = "notices"
"""The trigger of a test and of the canary: it goes to every channel."""


class Candidate(Struct, frozen=True, kw_only=True):
    """A matter that is due."""

    matter: str
    """The fingerprint of its key."""
    count: int
    """How many of its notices are told."""
    severity: Severity
    trigger: str
    due_ms: int
    held_since_ms: int = 0
    """Since when the limit has held it back; 0: it hasn't."""


class Part(Struct, frozen=True, kw_only=True):
    """A matter inside a parcel."""

    matter: str
    severity: Severity
    trigger: str


class Attempts(Struct, frozen=True, kw_only=True):
    count: int = 0
    again_ms: int = 0
    reason: str = ""


class Parcel(Struct, frozen=True, kw_only=True):
    id: str
    parts: tuple[Part, ...]
    channels: tuple[str, ...]
    """Who gets it, in the order of the config; a replacement is added at the end."""
    held: int = 0
    """Notices in it that the limit had held back."""
    held_since_ms: int = 0
    waiting: int = 0
    """Notices that the limit still holds back."""
    sent: dict[str, str] = field(default_factory=dict)
    """What each channel that took it answered."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why each channel that gave up didn't take it."""
    attempts: dict[str, Attempts] = field(default_factory=dict)
    version: int = 0

    @property
    def open(self) -> tuple[str, ...]:
        """The channels that have yet to take it."""
        done = {*self.sent, *self.failed}
        return tuple(name for name in self.channels if name not in done)

    def again_ms(self) -> int:
        """When the next attempt is due; 0 where one is due at once or nothing is open."""
        return min((self.attempts.get(name, Attempts()).again_ms for name in self.open), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    parcels: tuple[tuple[tuple[Candidate, ...], int], ...]
    """Which matters go out together, and how many notices still wait behind the limit."""
    held: tuple[Candidate, ...]
    held_until_ms: int


def plan(candidates: Sequence[Candidate], sent_ms: Sequence[int], limit: int, now_ms: int) -> Plan:
    """Decide which of the matters that are due go out now.

    Critical ones always do, each in a message of its own. The last message that the limit allows
    takes all that is left; what comes after that is held until the hour has room again, and is then
    told together.
    """
    recent = sorted(at for at in sent_ms if at > now_ms - HOUR_MS)
    critical = [(one,) for one in _in_order(candidates) if one.severity == "critical"]
    waiting = [one for one in _in_order(candidates) if one.severity != "critical"]
    room = limit - len(recent) - len(critical)
    groups: list[tuple[Candidate, ...]] = [*critical]
    while waiting and room > 0:
        together = len(waiting) if room == 1 else 1
        groups.append(tuple(waiting[: min(together, MOST_MATTERS)]))
        waiting = waiting[min(together, MOST_MATTERS) :]
        room -= 1
    behind = sum(one.count for one in waiting)
    times = sorted([*recent, *(now_ms for _ in groups)])
    over = len(times) - limit
    until_ms = times[over] + HOUR_MS if waiting and 0 <= over < len(times) else now_ms + HOUR_MS
    return Plan(
        parcels=tuple((group, behind) for group in groups),
        held=tuple(waiting),
        held_until_ms=until_ms,
    )


def make_parcel(
    id: str,  # noqa: A002  it names the parcel
    candidates: Sequence[Candidate],
    notices: Notices,
    *,
    waiting: int,
) -> Parcel:
    parts = tuple(
        Part(matter=one.matter, severity=one.severity, trigger=one.trigger) for one in candidates
    )
    since = [one.held_since_ms for one in candidates if one.held_since_ms]
    return Parcel(
        id=id,
        parts=parts,
        channels=routes(parts, notices),
        held=sum(one.count for one in candidates if one.held_since_ms),
        held_since_ms=min(since, default=0),
        waiting=waiting,
    )


def routes(parts: Sequence[Part], notices: Notices) -> tuple[str, ...]:
    """The channels that want one of the parts, in order; the first of all where none does.

    Nothing is dropped because no rule of routing thought of it.
    """
    names = all_channels(notices)
    wanted = [name for name in names if any(wants(name, part, notices) for part in parts)]
    return tuple(wanted or names[:1])


def all_channels(notices: Notices) -> list[str]:
    mail = [MAIL] if notices.sender is not None else []
    return [*mail, *(channel.name for channel in notices.channels)]


def wants(name: str, part: Part, notices: Notices) -> bool:
    """Whether the channel is for such a notice."""
    if part.trigger == OURSELVES:
        return True
    settings = {channel.name: channel for channel in notices.channels}.get(name, notices)
    triggers: tuple[str, ...] = settings.triggers
    return rank(part.severity) >= rank(settings.severity) and (
        not triggers or part.trigger in triggers
    )


def parts_for(name: str, parcel: Parcel, notices: Notices) -> tuple[Part, ...]:
    """What a channel is told of a parcel: what it wants, or all where it stands in for another."""
    return tuple(part for part in parcel.parts if wants(name, part, notices)) or parcel.parts


def after_success(parcel: Parcel, name: str, answer: str) -> Parcel:
    return replace(parcel, sent={**parcel.sent, name: answer})


def after_failure(
    parcel: Parcel, name: str, reason: str, notices: Notices, *, now_ms: int, refused: bool
) -> Parcel:
    """Try again after a pause; when that's no use any more, the next channel takes its place."""
    count = parcel.attempts.get(name, Attempts()).count + 1
    others = [each for each in all_channels(notices) if each not in parcel.channels]
    most = TRIES_REFUSED if refused else TRIES_UNAVAILABLE
    if not refused and not others and not parcel.sent:
        most = TRIES_WITHOUT_ANOTHER
    if count < most:
        pause_ms = min(FIRST_PAUSE_MS * 4 ** (count - 1), MOST_PAUSE_MS)
        attempt = Attempts(count=count, again_ms=now_ms + pause_ms, reason=reason)
        return replace(parcel, attempts={**parcel.attempts, name: attempt})
    return replace(
        parcel,
        failed={**parcel.failed, name: reason},
        channels=(*parcel.channels, *others[:1]),
    )


def uncovered(parcel: Parcel, notices: Notices) -> tuple[Part, ...]:
    """The parts that no channel which took the parcel was told of."""
    told = {part for name in parcel.sent for part in parts_for(name, parcel, notices)}
    return tuple(part for part in parcel.parts if part not in told)


def _in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The most severe first, then what has waited longest."""
    return sorted(candidates, key=lambda one: (-rank(one.severity), one.due_ms, one.matter))
