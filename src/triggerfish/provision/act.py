"""Carries a plan out. The other executor, `describe`, says what this one would do.

Each instruction stands alone: what one peer refuses or can't do now is recorded with its member or
left for the next run, and never keeps the instructions after it from being tried.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from triggerfish.errors import Conflict, Error, Refused, Unavailable
from triggerfish.provision.following import REFUSED, with_build
from triggerfish.provision.instructions import (
    Assign,
    Beat,
    Cancel,
    Change,
    Complete,
    Point,
    Release,
    Remember,
    Save,
    Tag,
    Tell,
    Terminate,
    Trigger,
    Unpoint,
)
from triggerfish.provision.ports import RecordChange
from triggerfish.provision.store import Transition, Written
from triggerfish.runtime import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.instructions import Instruction, Plan
    from triggerfish.provision.members import GroupState, Member
    from triggerfish.provision.ports import JenkinsPort, Ports
    from triggerfish.provision.store import GroupStore

I = TypeVar("I")  # noqa: E741 - an instruction

JENKINS_REQUESTS_AT_ONCE = 4

TAGS_A_TAKE = 10
"""What the pace grants is used at once: grants that wait would come on top of EC2's own refill."""


@dataclass(slots=True)
class Outcome:
    """What a round did. `jenkins_fault` says that Jenkins was found to be away on the way."""

    progress: bool = False
    wake_s: int | None = None
    jenkins_fault: str | None = None
    faults: list[str] = field(default_factory=list)

    def wake(self, seconds: int) -> None:
        self.wake_s = seconds if self.wake_s is None else min(self.wake_s, seconds)


class Actor:
    """Carries out plans for one group, writing into `state` what was written to the table."""

    def __init__(
        self,
        group: ProvisionGroup,
        ports: Ports,
        store: GroupStore,
        state: GroupState,
        keep_lease: Callable[[], None],
    ) -> None:
        self._group = group
        self._ports = ports
        self._store = store
        self._state = state
        self._keep_lease = keep_lease
        self._outcome = Outcome()
        self._faulted: set[str] = set()
        self._not_given_up = 0

    def carry_out(self, plan: Plan) -> Outcome:
        """Do what the plan says. Raises LeaseLost, and Unavailable when the table is away.

        A member whose instruction failed gets no further one from this actor: the next run's turn.
        """
        self._outcome = Outcome()
        instructions = [i for i in plan.instructions if _instance(i) not in self._faulted]
        skipped = [i for i in plan.instructions if _instance(i) in self._faulted]
        self._not_given_up = sum(map(_gives_up, skipped))
        self._transitions(instructions)
        self._point(_of(Point, instructions), _of(Unpoint, instructions))
        self._trigger(_of(Trigger, instructions))
        self._tag(_of(Tag, instructions))
        for instruction in instructions:
            self._single(instruction)
        return self._outcome

    # --- transitions

    def _transitions(self, instructions: Iterable[Instruction]) -> None:
        self._save(
            Transition(
                change=i.change,
                slot_before=None if isinstance(i, Save) else i.slot_before,
                slot_after=None if isinstance(i, Save) else i.slot_after,
            )
            for i in instructions
            if isinstance(i, Save | Assign | Release)
        )

    def _save(self, transitions: Iterable[Transition]) -> Written:
        self._keep_lease()
        transitions = list(transitions)
        if not transitions:
            return Written()
        written = self._store.save(transitions)
        self._apply(written)
        _log_transitions(transitions, written)
        return written

    def _apply(self, written: Written) -> None:
        for member in written.members:
            if member.phase == "gone":
                self._state.members.pop(member.instance, None)
            else:
                self._state.members[member.instance] = member
        for slot in written.slots:
            self._state.slots[slot.number] = slot
        self._outcome.progress |= bool(written.members)
        if written.overtaken:
            self._outcome.faults.append(f"{written.overtaken} transitions were overtaken")
            self._outcome.wake(1)

    # --- DNS

    def _point(self, points: Sequence[Point], unpoints: Sequence[Unpoint]) -> None:
        if not points and not unpoints:
            return
        if not self._ports.zone_pace(self._group.zone).take(1):
            self._outcome.wake(3)
            return
        self._keep_lease()
        changes = [
            RecordChange(domain=p.domain, previous=p.previous, address=p.address) for p in points
        ] + [RecordChange(domain=u.domain, previous=u.address, address=None) for u in unpoints]
        try:
            left_alone = self._ports.records.change(
                self._group.zone, changes, ttl_s=self._group.ttl.seconds
            )
        except Error as error:
            self._fault(error, [p.change for p in points] + [u.change for u in unpoints])
            return
        made = [p for p in points if p.domain not in left_alone]
        self._save(Transition(change=point.change) for point in made)
        for point in points:
            if point.domain in left_alone:
                self._fault(_not_taken(point, left_alone[point.domain]), [point.change])
        # A record that no longer holds our address isn't ours to remove: done either way.
        self._save(Transition(change=unpoint.change) for unpoint in unpoints)

    # --- Jenkins

    def _trigger(self, triggers: Sequence[Trigger]) -> None:
        if not triggers:
            return
        written = self._save(Transition(change=trigger.change) for trigger in triggers)
        intended = {member.instance: member for member in written.members}
        ready = [t for t in triggers if t.change.after.instance in intended]
        jenkins = self._ports.jenkins(self._group)
        asked: list[Transition] = []
        with ThreadPoolExecutor(JENKINS_REQUESTS_AT_ONCE) as pool:
            for at in range(0, len(ready), JENKINS_REQUESTS_AT_ONCE):
                self._keep_lease()
                some = ready[at : at + JENKINS_REQUESTS_AT_ONCE]
                changes = pool.map(
                    lambda t: self._ask(jenkins, t, intended[t.change.after.instance]), some
                )
                asked += [Transition(change=change) for change in changes if change]
                if self._outcome.jenkins_fault is not None:
                    break
        self._save(asked)

    def _ask(self, jenkins: JenkinsPort, trigger: Trigger, member: Member) -> Change | None:
        build = trigger.build
        try:
            queue_id = jenkins.trigger(build.job, trigger.parameters)
        except Refused as error:
            refused = with_build(member, replace(build, result=REFUSED))
            return Change(member, replace(refused, reason=error.message), error.message)
        except Unavailable as error:
            # Whether Jenkins took it is unknown: the next look finds the request, or asks again.
            self._outcome.jenkins_fault = error.message
            self._outcome.wake(10)
            return None
        queued = replace(build, queue_id=queue_id)
        return Change(member, with_build(member, queued), f"{build.job} is queue item {queue_id}")

    # --- tags

    def _tag(self, tags: Sequence[Tag]) -> None:
        done: list[Transition] = []
        for at in range(0, len(tags), TAGS_A_TAKE):
            some = tags[at : at + TAGS_A_TAKE]
            granted = self._ports.tag_pace.take(len(some))
            for tag in some[:granted]:
                self._keep_lease()
                try:
                    self._ports.machines.tag(tag.change.after.instance, tag.tags)
                except Error as error:
                    self._fault(error, [tag.change])
                else:
                    done.append(Transition(change=tag.change))
            if granted < len(some):
                self._outcome.wake(1)
                break
        self._save(done)

    # --- one by one

    def _single(self, instruction: Instruction) -> None:
        try:
            match instruction:
                case Cancel(change, build, queue_id, number):
                    self._keep_lease()
                    jenkins = self._ports.jenkins(self._group)
                    jenkins.cancel(build, queue_id=queue_id, number=number)
                    self._save([Transition(change=change)])
                case Beat(change):
                    self._ports.auto_scaling.beat(
                        self._group.group, self._group.hook or "", change.after.instance
                    )
                    self._save([Transition(change=change)])
                case Complete(change, result):
                    self._ports.auto_scaling.complete(
                        self._group.group, self._group.hook or "", change.after.instance, result
                    )
                    self._save([Transition(change=change)])
                case Terminate(change):
                    self._ports.auto_scaling.terminate(change.after.instance)
                    self._save([Transition(change=change)])
                case Tell(change, notice):
                    self._ports.tell(notice)
                    self._save([Transition(change=change)])
                case Remember(before, after):
                    failures = max(after.failures - self._not_given_up, 0)
                    if failures != before.failures:
                        counted = replace(after, failures=failures)
                        self._state.memory = self._store.remember(before, counted)
                case _:
                    return
        except Conflict:
            raise
        except Error as error:
            self._not_given_up += _gives_up(instruction)
            changes = [] if isinstance(instruction, Remember) else [instruction.change]
            self._fault(error, changes)

    def _fault(self, error: Error, changes: Sequence[Change]) -> None:
        """A peer said no, or can't answer: keep what it said with the members that it concerns."""
        if isinstance(error, Conflict):
            raise error
        self._outcome.faults.append(error.message)
        self._outcome.wake(10)
        self._faulted.update(change.after.instance for change in changes)
        log.warning("could not carry out", reason=error.message, members=len(changes))
        if not isinstance(error, Refused):
            return
        explained = [
            Transition(
                change=Change(c.before, replace(c.before, reason=error.message), error.message)
            )
            for c in changes
            if c.before is not None and c.before.reason != error.message
        ]
        self._save(explained)


def _of(kind: type[I], instructions: Iterable[Instruction]) -> list[I]:
    return [instruction for instruction in instructions if isinstance(instruction, kind)]


def _instance(instruction: Instruction) -> str:
    return "" if isinstance(instruction, Remember) else instruction.change.after.instance


def _gives_up(instruction: Instruction) -> bool:
    if isinstance(instruction, Complete):
        return instruction.result == "ABANDON"
    return isinstance(instruction, Terminate)


def _not_taken(point: Point, holds: str | None) -> Refused:
    return Refused(f"{point.domain} holds {holds or 'no record'}, which isn't ours: not taken")


def _log_transitions(transitions: Sequence[Transition], written: Written) -> None:
    saved = {member.instance for member in written.members}
    for transition in transitions:
        change = transition.change
        if change.after.instance in saved:
            log.info(
                "member",
                group=change.after.group,
                instance=change.after.instance,
                number=change.after.number,
                phase=change.after.phase,
                cause=change.cause,
            )
