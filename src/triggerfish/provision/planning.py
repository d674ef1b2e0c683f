"""What one planning pass gathers, and the steps that several of its parts take. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from triggerfish.notice import Notice
from triggerfish.provision.following import template_values
from triggerfish.provision.instructions import Beat, Change, Save, Tag, Tell
from triggerfish.provision.numbering import MEMBER_TAG

if TYPE_CHECKING:
    from triggerfish.provision.config import ProvisionGroup
    from triggerfish.provision.instructions import Instruction, Point
    from triggerfish.provision.members import GroupState, Member
    from triggerfish.provision.observation import Listed, Observation


class Planning:
    """One pass over one group. Each member gets at most one instruction in it."""

    def __init__(self, group: ProvisionGroup, state: GroupState, seen: Observation) -> None:
        self.group = group
        self.state = state
        self.seen = seen
        self.memory = state.memory
        self.instructions: list[Instruction] = []
        self.points: list[Point] = []
        """DNS names to be made, in one batch at the end."""
        self.wake_s: int | None = None

    def wake(self, seconds: int) -> None:
        self.wake_s = seconds if self.wake_s is None else min(self.wake_s, seconds)

    def add(self, instruction: Instruction | None) -> bool:
        if instruction is None:
            return False
        self.instructions.append(instruction)
        return True

    def overdue(self, member: Member) -> bool:
        return self.seen.now_ms - member.started_ms > self.group.timeout.seconds * 1000

    def tell(self, change: Change, what: str) -> Tell:
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

    def tag(self, member: Member) -> bool:
        if member.tagged or member.number is None:
            return False
        values = template_values(self.group, member)
        tags = {key: text.render(**values) for key, text in self.group.tags.items()}
        tags = {"Name": member.name, **tags, MEMBER_TAG: f"{member.group}/{member.number}"}
        change = Change(member, replace(member, tagged=True), "tagged")
        return self.add(Tag(change, tags))

    def beat(self, member: Member, listed: Listed | None) -> bool:
        """Restart the hook's timer once a third of it has passed."""
        hook = self.seen.hook
        if hook is None or listed is None or listed.lifecycle != "Pending:Wait" or member.hook_done:
            return False
        since_ms = self.seen.now_ms - (member.beat_ms or member.seen_ms)
        if since_ms * 3 < hook.heartbeat_timeout_s * 1000:
            return False
        after = replace(member, beat_ms=self.seen.now_ms)
        return self.add(Beat(Change(member, after, "hook's timer restarted")))

    def explain(self, member: Member, reason: str) -> None:
        """Keep the reason of a wait; a changed number in it is no news."""
        if _letters(reason) != _letters(member.reason):
            self.add(Save(Change(member, replace(member, reason=reason), reason)))

    def wake_for(self, since_ms: int) -> None:
        """Look often at first, then less: a build that took a minute may take another ten."""
        waited_s = (self.seen.now_ms - since_ms) // 1000
        self.wake(min(max(waited_s // 10, 1), 15))


def _letters(text: str) -> str:
    return "".join(character for character in text if not character.isdigit())
