"""When a member is on its way out, when it has gone, and what that sets free. Pure.

A number is free again only when EC2 says that its holder is gone and the group no longer lists it.
Members in standby, in the warm pool, detached or retained are alive and keep theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from triggerfish.provision.following import plan_cancel
from triggerfish.provision.instructions import Change, Release, Save, Unpoint
from triggerfish.provision.members import Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.instructions import Instruction
    from triggerfish.provision.members import Member
    from triggerfish.provision.observation import Listed, Machine, Observation

Fate = Literal["here", "leaving", "absent", "gone"]

DEAD_STATES = frozenset({"shutting-down", "terminated"})

ABSENT_MS = 10 * 60 * 1000
"""How long EC2 must not show an unlisted instance before it counts as gone.

EC2 shows terminated instances "usually for less than one hour" and new ones after seconds, so one
empty answer proves nothing (EC2 API reference, "Eventual consistency").
"""


def is_going(lifecycle: str) -> bool:
    """Whether a lifecycle state means that the group is terminating the instance."""
    return lifecycle.removeprefix("Warmed:").startswith("Terminat")


def fate_of(  # noqa: PLR0911 - one a case
    member: Member, listed: Listed | None, machine: Machine | None, seen: Observation
) -> tuple[Fate, str]:
    """What becomes of the member, and how we know."""
    if listed is not None:
        if is_going(listed.lifecycle):
            return "leaving", f"the group lists it as {listed.lifecycle}"
        if machine is not None and machine.state in DEAD_STATES:
            return "leaving", f"EC2 says {machine.state}"
        return "here", ""
    if machine is not None:
        if machine.state == "terminated":
            return "gone", "EC2 says terminated and the group no longer lists it"
        if machine.state == "shutting-down":
            return "leaving", "EC2 says shutting-down"
        return "here", "detached"
    if member.instance not in seen.asked:
        return "here", "not asked for"
    if member.absent_ms and seen.now_ms - member.absent_ms >= ABSENT_MS:
        return "gone", "neither EC2 nor the group has shown it for 10 minutes"
    return "absent", "neither EC2 nor the group shows it"


def plan_departure(
    group: ProvisionGroup,
    member: Member,
    slots: Mapping[int, Slot],
    seen: Observation,
    fate: Fate,
    why: str,
) -> Instruction | None:
    """The next step of a member that is leaving or gone; None when all it can do is wait."""
    if member.phase != "leaving":
        leaving = replace(member, phase="leaving", since_ms=seen.now_ms, reason=why)
        return Save(Change(member, leaving, why))
    if member.active_build is not None:
        cancel = plan_cancel(member, seen)
        if cancel is not None:
            return cancel
        if seen.now_ms - member.since_ms < group.timeout.seconds * 1000:
            return None  # Jenkins can't be asked; the number stays while a build may still run
    if fate != "gone":
        return None
    if member.recorded is not None and member.domain:
        removed = replace(member, recorded=None)
        cause = f"{member.domain} no longer points at {member.recorded}"
        return Unpoint(Change(member, removed, cause), member.domain, member.recorded)
    return _release(group, member, slots, seen.now_ms, why)


def _release(
    group: ProvisionGroup, member: Member, slots: Mapping[int, Slot], now_ms: int, why: str
) -> Release:
    gone = replace(member, phase="gone", reason=why, since_ms=now_ms)
    slot = slots.get(member.number) if member.number is not None else None
    if slot is None or (slot.instance, slot.generation) != (member.instance, member.generation):
        return Release(Change(member, gone, why), None, None)
    cooling_ms = group.ttl.seconds * 1000 if group.mode == "elastic" else 0
    free = Slot(
        number=slot.number,
        free_ms=now_ms + cooling_ms,
        zone=member.zone or slot.zone,
        version=slot.version,
    )
    return Release(Change(member, gone, why), slot, free)
