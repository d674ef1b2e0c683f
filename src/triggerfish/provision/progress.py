"""A member on its way to service: its name, its builds, its health. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from triggerfish.provision.failing import fail
from triggerfish.provision.following import REFUSED, failed_attempts, next_job, plan_build
from triggerfish.provision.instructions import Change, Complete, Point, Save

if TYPE_CHECKING:
    from triggerfish.provision.members import Member
    from triggerfish.provision.observation import Listed, Machine
    from triggerfish.provision.planning import Planning


def progress(at: Planning, member: Member, listed: Listed | None, machine: Machine | None) -> None:
    if member.lifecycle == "pool":
        at.tag(member)
        return  # a number and tags in the pool; the rest when it leaves it
    if at.overdue(member) and member.lifecycle != "standby":
        why = f"not in service after {at.group.timeout}; last: {member.reason or member.phase}"
        fail(at, member, why)
    elif not at.beat(member, listed):
        match member.phase:
            case "numbered":
                _name(at, member, machine)
            case "named" | "building":
                _build(at, member)
            case "verifying":
                _verify(at, member, listed)
            case _:
                pass


def _name(at: Planning, member: Member, machine: Machine | None) -> None:
    if machine is None or machine.address is None:
        at.wake(2)
        at.explain(member, "EC2 shows no address yet")
        return
    after = replace(
        member,
        phase="named",
        address=machine.address,
        recorded=machine.address,
        since_ms=at.seen.now_ms,
        reason="",
    )
    cause = f"{member.domain} points at {machine.address}"
    change = Change(member, after, cause)
    if member.recorded == machine.address:
        at.add(Save(change))
    else:
        at.points.append(Point(change, member.domain, machine.address, member.recorded))


def _build(at: Planning, member: Member) -> None:
    at.wake_for(member.since_ms)
    job = next_job(at.group, member)
    if job is None:
        after = replace(member, phase="verifying", since_ms=at.seen.now_ms, reason="")
        at.add(Save(Change(member, after, "every job succeeded")))
        return
    if at.seen.jenkins_fault is not None:
        at.wake(10)
        at.explain(member, at.seen.jenkins_fault)
        return
    if member.active_build is None and failed_attempts(member, job) >= at.group.attempts:
        fail(at, member, _failure_of(at, member, job))
        return
    if at.add(plan_build(at.group, member, job, at.seen)):
        return
    if not at.tag(member):
        _explain_queue(at, member)


def _failure_of(at: Planning, member: Member, job: str) -> str:
    last = member.builds_of(job)[-1]
    attempts = f"attempt {last.attempt} of {at.group.attempts}"
    if last.result == REFUSED:
        return f"Jenkins refused {job}, {attempts}: {member.reason}"
    return f"{job} #{last.number or '-'} ended {last.result}, {attempts}"


def _explain_queue(at: Planning, member: Member) -> None:
    active, view = member.active_build, at.seen.jenkins
    if active is None or view is None:
        return
    item = view.queue.get(active.request_id)
    if item is not None and item.why:
        # The seconds in "In the quiet period. Expires in 4.9 sec" change with every look.
        at.explain(member, item.why.split(". Expires", maxsplit=1)[0])


def _verify(at: Planning, member: Member, listed: Listed | None) -> None:
    at.wake_for(member.since_ms)
    if at.tag(member):
        return
    if at.group.hook and not member.hook_done and listed is not None:
        if listed.lifecycle == "Pending:Wait":
            after = replace(member, hook_done=True)
            cause = f"hook {at.group.hook}: CONTINUE"
            at.add(Complete(Change(member, after, cause), "CONTINUE"))
            return
        if listed.lifecycle == "Pending":
            return  # about to wait for the hook
    missing = _missing_health(at, member, listed)
    if missing is not None:
        at.explain(member, missing)
        return
    after = replace(member, phase="ready", since_ms=at.seen.now_ms, reason="")
    cause = "built" if at.group.finish == "built" else "healthy in every target group"
    at.add(Save(Change(member, after, cause)))
    if at.memory.failures:
        at.memory = replace(at.memory, failures=0)


def _missing_health(at: Planning, member: Member, listed: Listed | None) -> str | None:
    if at.group.finish == "built":
        return None
    lifecycle = listed.lifecycle if listed else "detached"
    if lifecycle != "InService":
        return f"the group lists it as {lifecycle}"
    states = at.seen.health.get(member.instance, ())
    healthy = sum(1 for state in states if state == "healthy")
    wanted = len(at.seen.group.target_groups)
    if healthy == wanted:
        return None
    worst = next((state for state in states if state != "healthy"), "unknown")
    return f"healthy in {healthy} of {wanted} target groups ({worst})"
