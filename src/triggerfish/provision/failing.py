"""A member that failed: people are told, its build ends, its group gets it back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from triggerfish.provision.following import plan_cancel
from triggerfish.provision.instructions import Change, Complete, Save, Terminate

if TYPE_CHECKING:
    from triggerfish.provision.members import Member
    from triggerfish.provision.observation import Listed
    from triggerfish.provision.planning import Planning


def fail(at: Planning, member: Member, why: str) -> None:
    after = replace(member, phase="failed", since_ms=at.seen.now_ms, reason=why, told=False)
    at.add(Save(Change(member, after, why)))


def after_failure(at: Planning, member: Member, listed: Listed | None) -> None:
    if not member.told:
        after = replace(member, told=True)
        at.add(at.tell(Change(member, after, "told a person"), "was not provisioned"))
    elif member.active_build is not None:
        if not at.add(plan_cancel(member, at.seen)):
            at.wake(10)
    elif not (member.hook_done or member.kept) and at.group.on_failure != "keep":
        _give_up(at, member, listed)
    elif not at.beat(member, listed) and at.seen.hook is not None and not member.hook_done:
        at.wake(max(at.seen.hook.heartbeat_timeout_s // 4, 5))  # or its timer runs out unseen


def _give_up(at: Planning, member: Member, listed: Listed | None) -> None:
    """Hand the instance back to the group, unless too many in a row were: then keep it."""
    after = replace(member, hook_done=True)
    if at.memory.failures >= at.group.attempts:
        why = f"kept: {at.memory.failures} members before it failed in a row"
        after = replace(member, kept=True, reason=f"{member.reason}; {why}")
        at.add(at.tell(Change(member, after, why), "was kept"))
        return
    waits = listed is not None and listed.lifecycle == "Pending:Wait"
    if at.group.on_failure == "abandon" and at.group.hook and waits:
        cause = f"hook {at.group.hook}: ABANDON"
        at.add(Complete(Change(member, after, cause), "ABANDON"))
    elif at.group.on_failure == "terminate" and listed is not None:
        at.add(Terminate(Change(member, after, "terminated: it was not provisioned")))
    else:
        return
    at.memory = replace(at.memory, failures=at.memory.failures + 1)
