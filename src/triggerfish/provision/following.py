"""What to do about a member's builds, given what Jenkins shows of them. Pure.

What must never happen: two builds for one request id, a second attempt while the first may still
succeed, a build for a member that is leaving. A request is called lost only when Jenkins was read
after the request was made, and the reading reaches back to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from triggerfish.provision.instructions import Cancel, Change, Save, Trigger
from triggerfish.provision.members import BUILDS_KEPT, Build, Member, request_id

if TYPE_CHECKING:
    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.observation import JenkinsView, Observation

SUCCESS = "SUCCESS"
CANCELLED = "CANCELLED"
LOST = "LOST"
REFUSED = "REFUSED"

IN_FLIGHT_MS = 20_000
"""How long a request whose answer never came may still arrive: more than its own time limit."""

CLOCK_MARGIN_MS = 60_000
"""How far Jenkins' clock may be off ours before a look back is trusted."""


def with_build(member: Member, build: Build) -> Member:
    """The member with `build` in place of the one of the same request, or as its newest."""
    builds = tuple(b for b in member.builds if b.request_id != build.request_id)
    return replace(member, builds=(*builds, build)[-BUILDS_KEPT:])


def next_job(group: ProvisionGroup, member: Member) -> str | None:
    """The first job without a successful build in this generation; None when all have one."""
    for job in group.jobs:
        if not any(build.result == SUCCESS for build in member.builds_of(job)):
            return job
    return None


def failed_attempts(member: Member, job: str) -> int:
    return sum(1 for b in member.builds_of(job) if b.result not in {None, SUCCESS, LOST})


def plan_build(
    group: ProvisionGroup, member: Member, job: str, seen: Observation
) -> Trigger | Save | None:
    """Take the job one step further; None when there is nothing to do but wait."""
    view = seen.jenkins
    if view is None:
        return None
    active = member.active_build
    if active is None:
        return _ask(group, member, job, seen, view)
    build = look_up(active, view)
    if build != active:
        return _follow(member, active, build)
    if is_lost(active, seen, view):
        again = replace(active, run=seen.run, intended_ms=seen.now_ms, queue_id=None)
        cause = f"Jenkins no longer knows {active.request_id}: asked again"
        return _trigger(group, member, again, seen.now_ms, cause)
    return None


def look_up(build: Build, view: JenkinsView) -> Build:
    """The build with what Jenkins shows of it now."""
    running = view.builds.get(build.request_id)
    if running is not None:
        result = (running.result or "UNKNOWN") if running.done else None
        return replace(build, number=running.number, result=result)
    item = view.queue.get(build.request_id)
    if item is not None:
        return replace(build, queue_id=item.id, result=CANCELLED if item.cancelled else None)
    return build


def is_lost(build: Build, seen: Observation, view: JenkinsView) -> bool:
    """Whether Jenkins, asked after the request and far enough back, shows nothing of it."""
    if build.run == seen.run or build.number is not None:
        return False
    if any(build.request_id in known for known in (view.queue, view.builds, view.unsearched)):
        return False
    if seen.now_ms - build.intended_ms < IN_FLIGHT_MS:
        return False
    complete_since = view.complete_since_ms.get(build.job)
    return complete_since is not None and complete_since <= build.intended_ms - CLOCK_MARGIN_MS


def plan_cancel(member: Member, seen: Observation) -> Cancel | Save | None:
    """End the active build of a member that needs it no more; None if Jenkins can't be asked."""
    active = member.active_build
    view = seen.jenkins
    if active is None or view is None:
        return None
    build = look_up(active, view)
    if build.result is not None:
        return _follow(member, active, build)
    if active.request_id not in view.queue and active.request_id not in view.builds:
        if not is_lost(active, seen, view):
            return None
        lost = with_build(member, replace(active, result=LOST))
        return Save(
            Change(member, lost, f"{active.request_id} isn't in Jenkins: nothing to cancel")
        )
    queued = view.queue.get(active.request_id)
    number = build.number
    after = with_build(member, replace(build, result=CANCELLED))
    what = f"build {active.job} #{number}" if number else f"queue item {queued and queued.id}"
    return Cancel(
        Change(member, after, f"cancelled {what}: the member is {member.phase}"),
        build,
        queued.id if queued and number is None else None,
        number,
    )


def _ask(
    group: ProvisionGroup, member: Member, job: str, seen: Observation, view: JenkinsView
) -> Trigger | Save:
    attempt = failed_attempts(member, job) + 1
    build = Build(
        job=job,
        generation=member.generation,
        attempt=attempt,
        request_id=request_id(member, job, attempt),
        run=seen.run,
        intended_ms=seen.now_ms,
    )
    known = look_up(build, view)
    if known != build:
        # Asked for by a run whose record of it is lost: take it over instead of building twice.
        after = replace(
            with_build(member, known), phase="building", since_ms=seen.now_ms, reason=""
        )
        return Save(Change(member, after, f"found {build.request_id} in Jenkins"))
    return _trigger(group, member, build, seen.now_ms, f"asked for {job}, attempt {attempt}")


def _trigger(
    group: ProvisionGroup, member: Member, build: Build, now_ms: int, cause: str
) -> Trigger:
    after = replace(
        with_build(member, build),
        phase="building",
        reason="",
        since_ms=now_ms if member.phase != "building" else member.since_ms,
    )
    return Trigger(Change(member, after, cause), build, parameters(group, member, build))


def _follow(member: Member, before: Build, build: Build) -> Save:
    if build.result is not None:
        cause = f"{build.job} #{build.number or '-'} ended: {build.result}"
    elif build.number != before.number:
        cause = f"{build.job} #{build.number} runs"
    else:
        cause = f"{build.job} is queue item {build.queue_id}"
    return Save(Change(member, with_build(member, build), cause))


def parameters(group: ProvisionGroup, member: Member, build: Build) -> dict[str, str]:
    """The build's parameters: ours, and over them what the config says.

    `REQUEST_ID` always stays ours: it's how a build is found again.
    """
    values = template_values(group, member)
    ours = {
        "INSTANCE_ID": member.instance,
        "GROUP": group.group,
        "NUMBER": str(member.number),
        "NAME": member.name,
        "DOMAIN": member.domain,
        "ADDRESS": member.address or "",
    }
    configured = {key: text.render(**values) for key, text in group.parameters.items()}
    return {**ours, **configured, "REQUEST_ID": build.request_id}


def template_values(group: ProvisionGroup, member: Member) -> dict[str, str | int]:
    """The values that templates of tags and parameters take."""
    return {
        "number": member.number or 0,
        "group": group.group,
        "instance": member.instance,
        "az": member.zone,
        "name": member.name,
        "domain": member.domain,
        "address": member.address or "",
    }
