"""The state the provision trigger keeps: members, slots and what a group remembers. Pure.

Two items hold a number: the slot (who has the number) and the member (which number it has). Both
are written in one transaction, so that neither exists without the other. Times are milliseconds
since 1970 in UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from triggerfish.runtime.table import Item

Phase = Literal[
    "seen", "numbered", "named", "building", "verifying", "ready", "failed", "leaving", "gone"
]

IN_PROGRESS: frozenset[Phase] = frozenset({"seen", "numbered", "named", "building", "verifying"})
"""Phases of a member that is on its way to service: the trigger wakes itself again for these."""

BUILDS_KEPT = 20


class Build(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One build that was asked for: intended first, then queued, running, finished.

    `request_id` is unique for instance, generation, job and attempt; whoever searches Jenkins for
    it finds the build, whether or not the answer to our request was ever seen. `run` is the run
    that asked, whose own look at Jenkins is older than its question. `result` is Jenkins' own
    word, or one of ours: CANCELLED, LOST, REFUSED.
    """

    job: str
    generation: int
    attempt: int
    request_id: str
    run: str
    intended_ms: int
    queue_id: int | None = None
    number: int | None = None
    result: str | None = None

    @property
    def active(self) -> bool:
        return self.result is None


class Member(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An instance with, sooner or later, a number in its group.

    `recorded` is the address that the DNS name held when we last wrote it. `version` counts writes
    and is the condition of the next one.
    """

    group: str
    instance: str
    phase: Phase
    seen_ms: int
    since_ms: int
    started_ms: int
    generation: int = 1
    number: int | None = None
    reason: str = ""
    name: str = ""
    domain: str = ""
    address: str | None = None
    recorded: str | None = None
    zone: str = ""
    lifecycle: str = ""
    tagged: bool = False
    builds: tuple[Build, ...] = ()
    pooled: bool = False
    reprovision: bool = False
    hook_done: bool = False
    kept: bool = False
    beat_ms: int = 0
    absent_ms: int = 0
    told: bool = False
    standby_returns: int = 0
    return_activity: str = ""
    version: int = 0

    @property
    def active_build(self) -> Build | None:
        return next((build for build in reversed(self.builds) if build.active), None)

    def builds_of(self, job: str) -> tuple[Build, ...]:
        """The builds of `job` in the present generation, oldest first."""
        return tuple(
            build
            for build in self.builds
            if build.job == job and build.generation == self.generation
        )


class Slot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A number of a group and who holds it.

    `instance` is empty once it's free; `free_ms` is the moment from which a free number may be
    given again; `zone` is the availability zone of the last holder. `recorded` is an address that
    the number's DNS name still holds although nobody owns it (a forced release).
    """

    number: int
    instance: str = ""
    generation: int = 0
    free_ms: int = 0
    zone: str = ""
    recorded: str | None = None
    version: int = 0


class Memory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a group remembers beyond its members.

    `failures` counts members in a row that were given up on, since the last one that got ready.
    """

    failures: int = 0
    version: int = 0


class GroupState(msgspec.Struct, kw_only=True):
    """Everything kept of one group."""

    members: dict[str, Member]
    slots: dict[int, Slot]
    memory: Memory


def request_id(member: Member, job: str, attempt: int) -> str:
    """The `REQUEST_ID` parameter of a build: the same for every try to ask for it.

    >>> request_id(member, "infra/provision", 1)
    'i-0abc.g1.infra/provision.a1'
    """
    return f"{member.instance}.g{member.generation}.{job}.a{attempt}"


def to_item(value: Member | Slot | Memory) -> Item:
    item: Item = msgspec.to_builtins(value)
    return item


def state_from_items(items: Iterable[Mapping[str, object]]) -> GroupState:
    """Read a group's partition; items of other kinds (lease, wake) are passed over."""
    members: dict[str, Member] = {}
    slots: dict[int, Slot] = {}
    memory = Memory()
    for item in items:
        key = item["sk"]
        if not isinstance(key, str):
            continue
        if key.startswith("member#"):
            member = msgspec.convert(item, Member)
            members[member.instance] = member
        elif key.startswith("slot#"):
            slot = msgspec.convert(item, Slot)
            slots[slot.number] = slot
        elif key == "memory":
            memory = msgspec.convert(item, Memory)
    return GroupState(members=members, slots=slots, memory=memory)
