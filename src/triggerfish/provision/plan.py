"""The decision: from a group's kept state and one look at the world to a list of instructions.

Pure: the same arguments give the same plan. Events play no part in it; a run that was woken for
nothing plans nothing. Each member gets at most one instruction a round; the caller carries out the
plan, applies what was written, and plans again until a round plans nothing that can be done now.

What must never happen, whatever is duplicated, lost, late or reordered, and wherever a run dies:

1. Two members of a group have one number, or a member has two.
2. A number is given again while its last holder may be alive.
3. Jenkins builds one request twice, or a second attempt starts while the first may still succeed.
4. A DNS name is taken from somebody else, or removed when it points somewhere else.
5. A member that was provisioned is provisioned again because it came back from standby.
6. A member fails, or waits for ever, and nobody is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from triggerfish.notice import Notice
from triggerfish.provision.departures import DEAD_STATES, fate_of, is_going, plan_departure
from triggerfish.provision.following import (
    REFUSED,
    failed_attempts,
    next_job,
    plan_build,
    plan_cancel,
    template_values,
)
from triggerfish.provision.instructions import (
    Assign,
    Beat,
    Change,
    Complete,
    Plan,
    Point,
    Remember,
    Save,
    Tag,
    Tell,
    Terminate,
)
from triggerfish.provision.members import IN_PROGRESS, Member
from triggerfish.provision.numbering import MEMBER_TAG, plan_numbers

if TYPE_CHECKING:
    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.instructions import Instruction
    from triggerfish.provision.members import GroupState, Phase
    from triggerfish.provision.observation import Listed, Machine, Observation

SETTLE_MEMBERS = 20
SETTLE_MS = 5_000
"""A burst of this many names waits this long, while its group still launches, for one DNS batch."""

UNANNOUNCED = "unannounced"
"""The activity of a return from standby that was seen before its event came."""


def plan_group(group: ProvisionGroup, state: GroupState, seen: Observation) -> Plan:
    """Decide what to do for one group now, and when to look again."""
    planner = _Planner(group, state, seen)
    planner.run()
    return Plan(tuple(planner.instructions), planner.wake_s)


def kind_of(listed: Listed | None) -> str:
    """The lifecycle state as far as it matters here; "" is the ordinary case."""
    if listed is None or listed.lifecycle in {"Detaching", "Detached"}:
        return "detached"
    lifecycle = listed.lifecycle
    if lifecycle.startswith("Warmed:"):
        return "pool"
    if lifecycle.casefold() in {"standby", "enteringstandby"}:
        return "standby"
    if "RootVolume" in lifecycle:
        return "root-volume"
    return ""


class _Planner:
    """One planning pass; holds only what the pass accumulates."""

    def __init__(self, group: ProvisionGroup, state: GroupState, seen: Observation) -> None:
        self.group = group
        self.state = state
        self.seen = seen
        self.memory = state.memory
        self.instructions: list[Instruction] = []
        self.wake_s: int | None = None
        self._points: list[Point] = []

    def run(self) -> None:
        newcomers = self._newcomers()
        for member in self.state.members.values():
            listed = self.seen.group.instances.get(member.instance)
            if not self._rests(member, listed):
                self._plan_member(member, listed, newcomers)
        self._plan_numbers(newcomers)
        self._plan_points()
        if self.memory != self.state.memory:
            self.instructions.append(Remember(self.state.memory, self.memory))

    def _rests(self, member: Member, listed: Listed | None) -> bool:
        """Ready, in service, and nothing asked about it: most members, most of the time."""
        return (
            member.phase == "ready"
            and member.instance not in self.seen.machines
            and listed is not None
            and listed.lifecycle == "InService"
            and not member.lifecycle
            and not member.absent_ms
            and member.instance not in self.seen.returns
        )

    def wake(self, seconds: int) -> None:
        self.wake_s = seconds if self.wake_s is None else min(self.wake_s, seconds)

    def add(self, instruction: Instruction | None) -> bool:
        if instruction is None:
            return False
        self.instructions.append(instruction)
        return True

    # --- newcomers and numbers

    def _newcomers(self) -> list[tuple[Member | None, Member]]:
        found: list[tuple[Member | None, Member]] = []
        for instance, listed in self.seen.group.instances.items():
            if instance in self.state.members or is_going(listed.lifecycle):
                continue
            machine = self.seen.machines.get(instance)
            if machine is not None and machine.state in DEAD_STATES:
                continue
            found.append((None, self._born(instance, listed, machine)))
        return found

    def _born(self, instance: str, listed: Listed, machine: Machine | None) -> Member:
        now_ms = self.seen.now_ms
        return Member(
            group=self.group.group,
            instance=instance,
            phase="seen",
            seen_ms=now_ms,
            since_ms=now_ms,
            started_ms=now_ms,
            zone=listed.zone or (machine.zone if machine else ""),
            address=machine.address if machine else None,
            lifecycle=kind_of(listed),
            pooled=kind_of(listed) == "pool",
        )

    def _plan_numbers(self, newcomers: list[tuple[Member | None, Member]]) -> None:
        if not newcomers:
            return
        for instruction in plan_numbers(self.group, newcomers, self.state.slots, self.seen):
            change = instruction.change
            if isinstance(instruction, Save):
                self.wake(5)
                if change.before is not None:
                    self._wait_for_number(change.before, change)
                    continue
            self.add(instruction)

    def _wait_for_number(self, before: Member, change: Change) -> None:
        if self._overdue(before) and not before.told:
            after = replace(change.after, told=True)
            self.add(self._tell(Change(before, after, change.cause), "waits for a number"))
        elif change.after.reason != before.reason:
            self.add(Save(change))

    # --- members

    def _plan_member(
        self,
        member: Member,
        listed: Listed | None,
        newcomers: list[tuple[Member | None, Member]],
    ) -> None:
        machine = self.seen.machines.get(member.instance)
        fate, why = fate_of(member, listed, machine, self.seen)
        if fate in {"leaving", "gone"}:
            if self.add(plan_departure(self.group, member, self.state.slots, self.seen, fate, why)):
                return
            self.wake(5 if member.active_build is None else 10)
        elif fate == "absent":
            self._note_absence(member)
        elif member.phase == "leaving":
            # Listed as alive again: what looked like its end was a stale answer.
            back = replace(member, phase=_phase_again(member, self.group), absent_ms=0, reason="")
            self.add(Save(Change(member, back, "the group lists it as alive")))
        elif not self._note_lifecycle(member, listed):
            if member.number is None and member.phase == "seen":
                if not self._beat(member, listed):
                    newcomers.append((member, member))
            else:
                self._advance(member, listed, machine)

    def _note_absence(self, member: Member) -> None:
        self.wake(10)
        if not member.absent_ms:
            after = replace(member, absent_ms=self.seen.now_ms)
            self.add(Save(Change(member, after, "neither EC2 nor the group shows it")))

    def _note_lifecycle(self, member: Member, listed: Listed | None) -> bool:
        """Record a change of lifecycle that matters: standby, pool, root volume, detached."""
        kind = kind_of(listed)
        activity = self.seen.returns.get(member.instance)
        news = activity not in {None, member.return_activity}
        returned = not kind and (member.lifecycle == "standby" or news)
        if kind == member.lifecycle and not member.absent_ms and not returned:
            return False
        after = replace(member, lifecycle=kind, absent_ms=0, pooled=member.pooled or kind == "pool")
        if kind != member.lifecycle and "pool" in {kind, member.lifecycle}:
            after = replace(after, hook_done=False)  # the launch hook holds it once more
        if not kind and member.lifecycle in {"pool", "standby"}:
            after = replace(after, started_ms=self.seen.now_ms)
        if returned:
            counted = member.lifecycle != "standby" and member.return_activity == UNANNOUNCED
            after = replace(
                after,
                standby_returns=member.standby_returns + (0 if counted else 1),
                return_activity=activity or UNANNOUNCED,
            )
            cause = "back from standby: what was provisioned stays so"
            return self.add(Save(Change(member, after, cause)))
        was_provisioned = member.phase in {"verifying", "ready", "failed"}
        if not kind and member.lifecycle in {"pool", "root-volume"} and was_provisioned:
            return self.add(self._next_generation(member, after))
        cause = f"the group lists it as {listed.lifecycle}" if listed else "detached, and alive"
        return self.add(Save(Change(member, after, cause)))

    def _next_generation(self, member: Member, noted: Member) -> Instruction:
        """The same instance is a new server: out of the warm pool, or on a new root volume."""
        after = replace(
            noted,
            generation=member.generation + 1,
            phase="seen" if member.number is None else "numbered",
            since_ms=self.seen.now_ms,
            started_ms=self.seen.now_ms,
            reason="",
            hook_done=False,
            kept=False,
            told=False,
        )
        source = "the warm pool" if member.lifecycle == "pool" else "a root-volume replacement"
        change = Change(member, after, f"back from {source}: generation {after.generation}")
        slot = self.state.slots.get(member.number or 0)
        if slot is None or slot.instance != member.instance:
            return Save(change)
        return Assign(change, slot, replace(slot, generation=after.generation))

    def _advance(self, member: Member, listed: Listed | None, machine: Machine | None) -> None:
        if self.group.hook and not member.hook_done and _enters_pool(listed):
            # The launch hook holds it on its way into the pool too, where nothing is provisioned.
            cause = f"hook {self.group.hook}: CONTINUE into the warm pool"
            self.add(Complete(Change(member, replace(member, hook_done=True), cause), "CONTINUE"))
        elif member.phase in IN_PROGRESS:
            self._progress(member, listed, machine)
        elif member.phase == "failed":
            self._after_failure(member, listed)

    def _progress(self, member: Member, listed: Listed | None, machine: Machine | None) -> None:
        if member.lifecycle == "pool":
            self._tag(member)
            return  # a number and tags in the pool; the rest when it leaves it
        if self._overdue(member) and member.lifecycle != "standby":
            why = (
                f"not in service after {self.group.timeout}; last: {member.reason or member.phase}"
            )
            self._fail(member, why)
        elif not self._beat(member, listed):
            match member.phase:
                case "numbered":
                    self._name(member, machine)
                case "named" | "building":
                    self._build(member)
                case "verifying":
                    self._verify(member, listed)
                case _:
                    pass

    def _overdue(self, member: Member) -> bool:
        return self.seen.now_ms - member.started_ms > self.group.timeout.seconds * 1000

    def _name(self, member: Member, machine: Machine | None) -> None:
        if machine is None or machine.address is None:
            self.wake(2)
            self._explain(member, "EC2 shows no address yet")
            return
        after = replace(
            member,
            phase="named",
            address=machine.address,
            recorded=machine.address,
            since_ms=self.seen.now_ms,
            reason="",
        )
        cause = f"{member.domain} points at {machine.address}"
        change = Change(member, after, cause)
        if member.recorded == machine.address:
            self.add(Save(change))
        else:
            self._points.append(Point(change, member.domain, machine.address, member.recorded))

    def _plan_points(self) -> None:
        """Name all that wait in one batch; a burst still launching is given time to be one."""
        now_ms = self.seen.now_ms
        view = self.seen.group
        alive = sum(1 for listed in view.instances.values() if not is_going(listed.lifecycle))
        oldest_ms = min((p.change.after.seen_ms for p in self._points), default=now_ms)
        still_launching = alive < view.desired and now_ms - oldest_ms < SETTLE_MS
        if len(self._points) >= SETTLE_MEMBERS and still_launching:
            self.wake(1)
            return
        self.instructions.extend(self._points)

    def _build(self, member: Member) -> None:
        self._wake_for(member.since_ms)
        job = next_job(self.group, member)
        if job is None:
            after = replace(member, phase="verifying", since_ms=self.seen.now_ms, reason="")
            self.add(Save(Change(member, after, "every job succeeded")))
            return
        if self.seen.jenkins_fault is not None:
            self.wake(10)
            self._explain(member, self.seen.jenkins_fault)
            return
        if member.active_build is None and failed_attempts(member, job) >= self.group.attempts:
            self._fail(member, self._failure_of(member, job))
            return
        if self.add(plan_build(self.group, member, job, self.seen)):
            return
        if not self._tag(member):
            self._explain_queue(member)

    def _failure_of(self, member: Member, job: str) -> str:
        last = member.builds_of(job)[-1]
        attempts = f"attempt {last.attempt} of {self.group.attempts}"
        if last.result == REFUSED:
            return f"Jenkins refused {job}, {attempts}: {member.reason}"
        return f"{job} #{last.number or '-'} ended {last.result}, {attempts}"

    def _explain_queue(self, member: Member) -> None:
        active, view = member.active_build, self.seen.jenkins
        if active is None or view is None:
            return
        item = view.queue.get(active.request_id)
        if item is not None and item.why:
            # The seconds in "In the quiet period. Expires in 4.9 sec" change with every look.
            self._explain(member, item.why.split(". Expires", maxsplit=1)[0])

    def _verify(self, member: Member, listed: Listed | None) -> None:
        self._wake_for(member.since_ms)
        if self._tag(member):
            return
        if self.group.hook and not member.hook_done and listed is not None:
            if listed.lifecycle == "Pending:Wait":
                after = replace(member, hook_done=True)
                cause = f"hook {self.group.hook}: CONTINUE"
                self.add(Complete(Change(member, after, cause), "CONTINUE"))
                return
            if listed.lifecycle == "Pending":
                return  # about to wait for the hook
        missing = self._missing_health(member, listed)
        if missing is not None:
            self._explain(member, missing)
            return
        after = replace(member, phase="ready", since_ms=self.seen.now_ms, reason="")
        cause = "built" if self.group.finish == "built" else "healthy in every target group"
        self.add(Save(Change(member, after, cause)))
        if self.memory.failures:
            self.memory = replace(self.memory, failures=0)

    def _missing_health(self, member: Member, listed: Listed | None) -> str | None:
        if self.group.finish == "built":
            return None
        lifecycle = listed.lifecycle if listed else "detached"
        if lifecycle != "InService":
            return f"the group lists it as {lifecycle}"
        states = self.seen.health.get(member.instance, ())
        healthy = sum(1 for state in states if state == "healthy")
        wanted = len(self.seen.group.target_groups)
        if healthy == wanted:
            return None
        worst = next((state for state in states if state != "healthy"), "unknown")
        return f"healthy in {healthy} of {wanted} target groups ({worst})"

    # --- failure

    def _fail(self, member: Member, why: str) -> None:
        after = replace(member, phase="failed", since_ms=self.seen.now_ms, reason=why, told=False)
        self.add(Save(Change(member, after, why)))

    def _after_failure(self, member: Member, listed: Listed | None) -> None:
        if not member.told:
            after = replace(member, told=True)
            self.add(self._tell(Change(member, after, "told a person"), "was not provisioned"))
        elif member.active_build is not None:
            if not self.add(plan_cancel(member, self.seen)):
                self.wake(10)
        elif not (member.hook_done or member.kept) and self.group.on_failure != "keep":
            self._give_up(member, listed)
        else:
            self._beat(member, listed)

    def _give_up(self, member: Member, listed: Listed | None) -> None:
        """Hand the instance back to the group, unless too many in a row were: then keep it."""
        after = replace(member, hook_done=True)
        if self.memory.failures >= self.group.attempts:
            why = f"kept: {self.memory.failures} members before it failed in a row"
            after = replace(member, kept=True, reason=f"{member.reason}; {why}")
            self.add(self._tell(Change(member, after, why), "was kept"))
            return
        waits = listed is not None and listed.lifecycle == "Pending:Wait"
        if self.group.on_failure == "abandon" and self.group.hook and waits:
            cause = f"hook {self.group.hook}: ABANDON"
            self.add(Complete(Change(member, after, cause), "ABANDON"))
        elif self.group.on_failure == "terminate" and listed is not None:
            self.add(Terminate(Change(member, after, "terminated: it was not provisioned")))
        else:
            return
        self.memory = replace(self.memory, failures=self.memory.failures + 1)

    def _tell(self, change: Change, what: str) -> Tell:
        member = change.after
        return Tell(
            change,
            Notice(
                key=f"provision/{member.group}/{member.instance}/{member.phase}",
                severity="critical" if self.group.mode == "stateful" else "warning",
                title=f"{member.name or member.instance} of {member.group} {what}",
                facts=(
                    ("Group", member.group),
                    ("Number", str(member.number or "none")),
                    ("Instance", member.instance),
                    ("Zone", member.zone),
                    ("Reason", member.reason),
                ),
            ),
        )

    # --- common steps

    def _tag(self, member: Member) -> bool:
        if member.tagged or member.number is None:
            return False
        values = template_values(self.group, member)
        tags = {key: text.render(**values) for key, text in self.group.tags.items()}
        tags = {"Name": member.name, **tags, MEMBER_TAG: f"{member.group}/{member.number}"}
        change = Change(member, replace(member, tagged=True), "tagged")
        return self.add(Tag(change, tags))

    def _beat(self, member: Member, listed: Listed | None) -> bool:
        """Restart the hook's timer once a third of it has passed."""
        hook = self.seen.hook
        if hook is None or listed is None or listed.lifecycle != "Pending:Wait" or member.hook_done:
            return False
        since_ms = self.seen.now_ms - (member.beat_ms or member.seen_ms)
        if since_ms * 3 < hook.heartbeat_timeout_s * 1000:
            return False
        after = replace(member, beat_ms=self.seen.now_ms)
        return self.add(Beat(Change(member, after, "hook's timer restarted")))

    def _explain(self, member: Member, reason: str) -> None:
        """Keep the reason of a wait; a changed number in it is no news."""
        if _letters(reason) != _letters(member.reason):
            self.add(Save(Change(member, replace(member, reason=reason), reason)))

    def _wake_for(self, since_ms: int) -> None:
        """Look often at first, then less: a build that took a minute may take another ten."""
        waited_s = (self.seen.now_ms - since_ms) // 1000
        self.wake(min(max(waited_s // 10, 1), 15))


def _enters_pool(listed: Listed | None) -> bool:
    return listed is not None and listed.lifecycle == "Warmed:Pending:Wait"


def _phase_again(member: Member, group: ProvisionGroup) -> Phase:
    if member.number is None:
        return "seen"
    if next_job(group, member) is None:
        return "verifying"
    return "numbered"


def _letters(text: str) -> str:
    return "".join(character for character in text if not character.isdigit())
