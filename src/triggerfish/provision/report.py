"""Members, transitions and notices as people and scripts read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triggerfish.provision.members import IN_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from triggerfish.provision.members import Member
    from triggerfish.provision.store import HistoryEntry

MEMBER_COLUMNS = ("GROUP", "NO", "INSTANCE", "NAME", "ADDRESS", "PHASE", "BUILD", "AGE", "REASON")


def iso(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%H:%M:%S")


def member_data(member: Member) -> dict[str, object]:
    """A member as `--json` gives it; `attempts` counts the tries of its latest job."""
    latest = member.builds[-1] if member.builds else None
    return {
        "group": member.group,
        "number": member.number,
        "instance": member.instance,
        "generation": member.generation,
        "name": member.name,
        "domain": member.domain,
        "address": member.address,
        "zone": member.zone,
        "phase": member.phase,
        "attempts": latest.attempt if latest else 0,
        "builds": [
            {
                "job": build.job,
                "number": build.number,
                "generation": build.generation,
                "attempt": build.attempt,
                "result": build.result,
            }
            for build in member.builds
        ],
        "reason": member.reason,
        "since": iso(member.since_ms),
    }


def age(milliseconds: int) -> str:
    """A length of time at a glance: `8s`, `5m`, `3h`, `12d`."""
    seconds = max(milliseconds // 1000, 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def member_row(member: Member, now_ms: int) -> tuple[object, ...]:
    """One line of the table; `AGE` is how long the member has been in its phase."""
    latest = member.builds[-1] if member.builds else None
    build = f"{latest.job.rpartition('/')[2]} #{latest.number or '-'}" if latest else None
    return (
        member.group,
        member.number,
        member.instance,
        member.name or None,
        member.address,
        member.phase,
        build,
        age(now_ms - member.since_ms),
        member.reason or None,
    )


def in_order(members: Iterable[Member]) -> list[Member]:
    """By group and number; those without a number last."""
    return sorted(members, key=lambda m: (m.group, m.number is None, m.number or 0, m.seen_ms))


def history_data(entries: Sequence[HistoryEntry]) -> list[dict[str, object]]:
    return [
        {
            "at": iso(entry.at_ms),
            "group": entry.group,
            "generation": entry.generation,
            "number": entry.number,
            "from": entry.from_phase or None,
            "to": entry.to_phase,
            "cause": entry.cause,
        }
        for entry in entries
    ]


def summary(group: str, members: Sequence[Member]) -> dict[str, object]:
    """One group in `status`: how many members, and who needs a look."""
    return {
        "group": group,
        "members": len(members),
        "ready": sum(member.phase == "ready" for member in members),
        "on_the_way": sum(member.phase in IN_PROGRESS for member in members),
        "failed": [member_data(member) for member in members if member.phase == "failed"],
    }


def notice_data(item: Mapping[str, object]) -> dict[str, object]:
    at_ms = item.get("at_ms")
    return {
        "at": iso(at_ms) if isinstance(at_ms, int) else None,
        "severity": item.get("severity"),
        "title": item.get("title"),
        "facts": item.get("facts"),
    }
