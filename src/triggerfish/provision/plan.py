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

from triggerfish.provision.departures import DEAD_STATES, fate_of, is_going, plan_departure
from triggerfish.provision.failing import after_failure
from triggerfish.provision.following import (
    next_job,
)
from triggerfish.provision.instructions import (
    Assign,
    Change,
    Complete,
    Plan,
    Remember,
    Save,
)
from triggerfish.provision.members import IN_PROGRESS, Member, Slot
from triggerfish.provision.numbering import plan_numbers, tagged_number
from triggerfish.provision.planning import Planning
from triggerfish.provision.progress import progress

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
    planner = _GroupPlanning(group, state, seen)
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


class _GroupPlanning(Planning):
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
        slots = self.state.slots | self._held_by_strangers()
        for instruction in plan_numbers(self.group, newcomers, slots, self.seen):
            change = instruction.change
            if isinstance(instruction, Save):
                self.wake(5)
                if change.before is not None:
                    self._wait_for_number(change.before, change)
                    continue
            self.add(instruction)

    def _held_by_strangers(self) -> dict[int, Slot]:
        """Numbers that only a tag knows of: the table was lost while their holders were dying."""
        return {
            number: Slot(number=number, instance=instance)
            for instance, machine in self.seen.machines.items()
            if instance not in self.state.members
            and machine.state != "terminated"
            and (listed := self.seen.group.instances.get(instance)) is not None
            and (is_going(listed.lifecycle) or machine.state in DEAD_STATES)
            and (number := tagged_number(self.group, machine)) is not None
            and not (number in self.state.slots and self.state.slots[number].instance)
        }

    def _wait_for_number(self, before: Member, change: Change) -> None:
        if self.overdue(before) and not before.told:
            after = replace(change.after, told=True)
            self.add(self.tell(Change(before, after, change.cause), "waits for a number"))
        elif change.after.reason != before.reason:
            self.add(Save(change))

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
                if not self.beat(member, listed):
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
            progress(self, member, listed, machine)
        elif member.phase == "failed":
            after_failure(self, member, listed)

    def _plan_points(self) -> None:
        """Name all that wait in one batch; a burst still launching is given time to be one."""
        now_ms = self.seen.now_ms
        view = self.seen.group
        alive = sum(1 for listed in view.instances.values() if not is_going(listed.lifecycle))
        oldest_ms = min((p.change.after.seen_ms for p in self.points), default=now_ms)
        still_launching = alive < view.desired and now_ms - oldest_ms < SETTLE_MS
        if len(self.points) >= SETTLE_MEMBERS and still_launching:
            self.wake(1)
            return
        self.instructions.extend(self.points)


def _enters_pool(listed: Listed | None) -> bool:
    return listed is not None and listed.lifecycle == "Warmed:Pending:Wait"


def _phase_again(member: Member, group: ProvisionGroup) -> Phase:
    if member.number is None:
        return "seen"
    if next_job(group, member) is None:
        return "verifying"
    return "numbered"
